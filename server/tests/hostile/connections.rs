//! Clients that ask too often, and connections that are slow, silent or very many.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    client_from,
    fits::quick_fit,
    push,
    sockets::{RawSocket, TEXT},
    support::{Server, client, data_dir, until},
};

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_again() {
    let (_scratch, data) = data_dir();
    let settings = [
        "limits.predictions_per_s=1",
        "limits.pushes_per_s=1",
        "limits.sockets_per_s=1",
        "limits.backtests_per_min=1",
    ];
    let arguments: Vec<&str> = settings.iter().flat_map(|s| ["--set", s]).collect();
    let server = Server::start(&data, &arguments);
    let body = quick_fit().to_string();
    let search = json!({"search": "symbols=A"}).to_string();
    for (path, body) in [
        ("/predict", body.as_str()),
        ("/api/ticks", "[]"),
        ("/live", ""),
        ("/api/backtest", &search),
    ] {
        let url = format!("{}{path}", server.url);
        let mut refused = None;
        for _ in 0..30 {
            let request = match path {
                "/live" => client().get(&url),
                _ => client()
                    .post(&url)
                    .header("content-type", "application/json")
                    .body(body.to_owned()),
            };
            let answer = request.send().await.unwrap();
            if answer.status() == 429 {
                refused = Some(answer);
                break;
            }
        }
        let refused = refused.unwrap_or_else(|| panic!("{path} is not limited"));
        let wait: u64 = refused.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=60).contains(&wait), "{path}: {wait}");
        let problem: Value = refused.json().await.unwrap();
        assert_eq!(
            (&problem["status"], &problem["kind"]),
            (&json!(429), &json!("unavailable"))
        );
        // Another client is not.
        let other = client_from([127, 0, 0, 2]);
        let request = match path {
            "/live" => other.get(&url),
            _ => other
                .post(&url)
                .header("content-type", "application/json")
                .body(body.to_owned()),
        };
        assert_ne!(request.send().await.unwrap().status(), 429, "{path}");
    }
}

/// A connection from another address of this machine.
pub async fn connect_from(server: &Server, address: [u8; 4]) -> tokio::net::TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket
        .bind((std::net::Ipv4Addr::from(address), 0).into())
        .unwrap();
    socket
        .connect(server.address().parse().unwrap())
        .await
        .unwrap()
}

/// All that the server says until it closes.
async fn rest(stream: &mut tokio::net::TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn slow_heads_slow_bodies_and_silent_connections_are_ended() {
    let (_scratch, data) = data_dir();
    let settings = [
        "limits.header_timeout_ms=300",
        "limits.body_timeout_ms=300",
        "limits.idle_timeout_ms=1000",
        "live.heartbeat_ms=200",
        "predict.timeout_ms=400",
    ];
    let arguments: Vec<&str> = settings.iter().flat_map(|s| ["--set", s]).collect();
    let server = Server::start(&data, &arguments);
    let open = || tokio::net::TcpStream::connect(server.address());
    let mut silent = open().await.unwrap();
    assert_eq!(rest(&mut silent).await, "");
    let mut slow = open().await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: x")
        .await
        .unwrap();
    rest(&mut slow).await;
    let head = format!(
        "POST /api/ticks HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\n[",
        server.address()
    );
    let mut slow = open().await.unwrap();
    slow.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    // A body that is announced too large is refused without being read.
    let head = head.replace("1000", "999999999");
    let mut large = open().await.unwrap();
    large.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut large).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // A WebSocket is heard of often enough.
    let mut socket = RawSocket::open(&server, "/live").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    socket.send(TEXT, br#"{"op":"nothing"}"#).await;
    assert!(socket.error().await.contains("not a request"));
}

#[tokio::test]
async fn one_client_has_not_all_connections_and_not_all_memory_for_bodies() {
    let (_scratch, data) = data_dir();
    let settings = [
        "limits.connections_per_client=20",
        "limits.body_bytes=131072",
        "limits.bodies_bytes=262144",
    ];
    let arguments: Vec<&str> = settings.iter().flat_map(|s| ["--set", s]).collect();
    let server = Server::start(&data, &arguments);
    let head = format!(
        "POST /api/ticks HTTP/1.1\r\nHost: {}\r\nContent-Length: 131072\r\n\r\n",
        server.address()
    );
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut slow = connect_from(&server, [127, 0, 0, 2]).await;
        slow.write_all(head.as_bytes()).await.unwrap();
        slow.write_all(&[b' '; 60_000]).await.unwrap();
        held.push(slow);
    }
    // Half of it is taken by that client; it gets no more.
    let refused = async || {
        let url = format!("{}/api/ticks", server.url);
        let body = " ".repeat(1_000);
        client_from([127, 0, 0, 2])
            .post(url)
            .body(body)
            .send()
            .await
            .unwrap()
            .status()
            == 503
    };
    until("the bound on bodies in memory", refused, |refused| *refused).await;
    let (status, answer) = push(&server, " ".repeat(100_000)).await;
    assert_eq!(status, 200, "{answer}");
    for _ in 0..40 {
        held.push(connect_from(&server, [127, 0, 0, 2]).await);
    }
    // Connections are taken one after the other, so this one comes after all of those.
    let mut one_more = connect_from(&server, [127, 0, 0, 2]).await;
    let answer = rest(&mut one_more).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let health = client().get(format!("{}/healthz", server.url)).send().await;
    assert_eq!(health.unwrap().status(), 200);
    // Their places come free with them.
    drop(held);
    let served = async || {
        let url = format!("{}/healthz", server.url);
        let health = client_from([127, 0, 0, 2]).get(url).send().await;
        health.is_ok_and(|answer| answer.status() == 200)
    };
    until("a place of those that are gone", served, |served| *served).await;
}
