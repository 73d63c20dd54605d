//! Requests that are meant to bring the server down, or do so by accident: each is answered or cut off, in
//! bounded memory, and the others go on being served.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod connections;
mod fits;
mod rows;
mod sockets;
#[path = "../support/mod.rs"]
mod support;

use std::{sync::Arc, time::Duration};

use connections::connect_from;
use fits::{long_fit, predict, quick_fit};
use serde_json::{Value, json};
use sockets::{RawSocket, TEXT};
use support::{Server, client, data_dir};
use tokio::io::AsyncWriteExt as _;

const MIB: usize = 1024 * 1024;

async fn push(server: &Server, body: String) -> (u16, Value) {
    let url = format!("{}/api/ticks", server.url);
    let response = client().post(url).body(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// A client at another address of this machine.
fn client_from(address: [u8; 4]) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .local_address(std::net::IpAddr::from(address))
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

#[tokio::test]
async fn health_is_answered_while_the_server_is_under_every_load_of_these() {
    let (_scratch, data) = data_dir();
    let server = Arc::new(Server::start(
        &data,
        &["--set", "predict.timeout_ms=600000"],
    ));
    let attacker = [127, 0, 0, 2];
    let mut loads = tokio::task::JoinSet::new();
    for load in 0..4 {
        let server = Arc::clone(&server);
        loads.spawn(async move {
            for round in 0..3 {
                match load {
                    0 => {
                        let url = format!("{}/api/ticks", server.url);
                        let body = ["x\n", "{\n", "{}"][round].repeat(2 * MIB);
                        let _ = client_from(attacker).post(url).body(body).send().await;
                    }
                    1 => {
                        // Abandoned after a moment.
                        let url = format!("{}/predict", server.url);
                        let fit = client_from(attacker).post(url).json(&long_fit()).send();
                        let _ = tokio::time::timeout(Duration::from_millis(500), fit).await;
                    }
                    2 => {
                        let names: Vec<String> = (0..7_000).map(|n| format!("S{n}")).collect();
                        let intervals = ["1s", "1m", "1h"].repeat(200);
                        let subscribe =
                            json!({"op": "subscribe", "symbols": names, "intervals": intervals});
                        for path in ["/forecast", "/live"] {
                            let mut socket = RawSocket::open(&server, path).await;
                            for _ in 0..10 {
                                socket.send(TEXT, subscribe.to_string().as_bytes()).await;
                                socket.send(TEXT, &[b'['; 60_000]).await;
                            }
                            socket.error().await;
                        }
                    }
                    _ => {
                        let mut held = Vec::new();
                        for _ in 0..100 {
                            let mut slow = connect_from(&server, attacker).await;
                            slow.write_all(
                                b"POST /api/ticks HTTP/1.1\r\nContent-Length: 9999\r\nX: ",
                            )
                            .await
                            .unwrap();
                            held.push(slow);
                        }
                        tokio::time::sleep(Duration::from_millis(300)).await;
                    }
                }
            }
        });
    }
    let mut asked = 0;
    loop {
        let ask = client().get(format!("{}/healthz", server.url)).send();
        assert_eq!(ask.await.unwrap().status(), 200, "after {asked} answers");
        asked += 1;
        match tokio::time::timeout(Duration::from_millis(20), loads.join_next()).await {
            Ok(None) => break,
            Ok(Some(ended)) => ended.unwrap(),
            Err(_) => {}
        }
    }
    assert!(asked > 4, "{asked}");
    let (status, answer) = predict(&server, &quick_fit()).await;
    assert_eq!(status, 200, "{answer}");
}
