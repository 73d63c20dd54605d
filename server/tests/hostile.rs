//! Requests that are meant to bring the server down, or do so by accident: each is answered or cut off, in
//! bounded memory, and the others go on being served.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use support::{Server, client, data_dir, now_us, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const MIB: usize = 1024 * 1024;

async fn push(server: &Server, body: String) -> (u16, Value) {
    let url = format!("{}/api/ticks", server.url);
    let response = client().post(url).body(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn letters(server: &Server) -> Value {
    let url = format!("{}/api/deadletters?limit=1000", server.url);
    client()
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_push_of_bad_rows_keeps_some_of_them_and_says_how_many_more_there_were() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let first = json!({"symbol": "ACME", "ts_us": now_us(), "price": -1});
    assert_eq!(push(&server, first.to_string()).await.0, 422);
    let before = server.peak_memory();
    let (status, problem) = push(&server, "x\n".repeat(2 * MIB)).await;
    let detail = problem["detail"].as_str().unwrap();
    assert_eq!(status, 422, "{problem}");
    assert!(detail.contains("and 2097151 more rows"), "{problem}");
    let grown = server.peak_memory().saturating_sub(before);
    assert!(
        grown < 200 * MIB,
        "4 MiB of bad rows took {} MiB",
        grown / MIB
    );
    let page = letters(&server).await;
    let open: u64 = page["counts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["open"].as_u64().unwrap())
        .sum();
    assert_eq!(open, 1 + 1_001, "{}", page["counts"]);
    assert_eq!(
        page["letters"][0]["reject"]["reason"], "bad_price",
        "the oldest letter is still there"
    );
    let last = server_letters_of(&server, "unparsable").await;
    assert!(
        last.iter()
            .any(|detail| detail.starts_with("2096152 more rows")),
        "{last:?}"
    );
}

async fn server_letters_of(server: &Server, reason: &str) -> Vec<String> {
    let url = format!(
        "{}/api/deadletters?limit=1000&after=500&reason={reason}",
        server.url
    );
    let page: Value = client()
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let letters = page["letters"].as_array().unwrap();
    letters
        .iter()
        .map(|l| l["reject"]["detail"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn good_rows_among_many_bad_ones_are_stored_and_counted() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let now = now_us();
    let good: String = (0..30_000)
        .map(|seq| {
            format!("{{\"symbol\":\"ACME\",\"ts_us\":{now},\"seq\":{seq},\"price\":1}}\nx\n")
        })
        .collect();
    let (status, answer) = push(&server, good.clone()).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["stored"], &answer["rejected"], &answer["not_kept"]),
        (&json!(30_000), &json!(30_000), &json!(29_000)),
        "{answer}"
    );
    assert_eq!(answer["rejects"].as_array().unwrap().len(), 20);
    let (_, again) = push(&server, good).await;
    assert_eq!(again["duplicates"], 30_000, "{again}");
}

/// A WebSocket spoken by hand: what a well-behaved library would not send can be sent.
struct RawSocket(tokio::net::TcpStream);

impl RawSocket {
    async fn open(server: &Server, path: &str) -> Self {
        let mut stream = tokio::net::TcpStream::connect(server.address())
            .await
            .unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            server.address()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            seen.push(stream.read_u8().await.unwrap());
        }
        assert!(
            seen.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&seen)
        );
        Self(stream)
    }

    /// Sends a frame: its first byte, and a payload under a mask of zeros.
    async fn send(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first];
        match payload.len() {
            n @ 0..126 => frame.push(0x80 | n as u8),
            n @ 126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend((n as u16).to_be_bytes());
            }
            n => {
                frame.push(0x80 | 127);
                frame.extend((n as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.0.write_all(&frame).await.unwrap();
    }

    /// The next frame of the server: its opcode and payload.
    async fn next(&mut self) -> (u8, Vec<u8>) {
        let first = self.0.read_u8().await.unwrap();
        let length = match self.0.read_u8().await.unwrap() {
            126 => u64::from(self.0.read_u16().await.unwrap()),
            127 => self.0.read_u64().await.unwrap(),
            n => u64::from(n),
        };
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.unwrap();
        (first & 0xf, payload)
    }

    /// The code that the server closes with.
    async fn close_code(&mut self) -> u16 {
        loop {
            if let (8, payload) = self.next().await {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }

    /// The next error message.
    async fn error(&mut self) -> String {
        loop {
            let (opcode, payload) = self.next().await;
            assert_eq!(opcode, 1, "{payload:?}");
            let message: Value = serde_json::from_slice(&payload).unwrap();
            if message["type"] == "error" {
                return message["detail"].as_str().unwrap().to_owned();
            }
        }
    }
}

/// A whole message of text.
const TEXT: u8 = 0x81;

#[tokio::test]
async fn a_websocket_is_closed_with_the_code_of_what_was_wrong() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    for path in ["/live", "/forecast"] {
        let mut socket = RawSocket::open(&server, path).await;
        socket.send(0x88, &1000u16.to_be_bytes()).await;
        assert_eq!(
            socket.close_code().await,
            1000,
            "a close is answered with its own code"
        );
        let mut socket = RawSocket::open(&server, path).await;
        socket.send(0xf1, b"reserved bits").await;
        assert_eq!(socket.close_code().await, 1002);
        let mut socket = RawSocket::open(&server, path).await;
        socket.send(0x80, b"the rest of nothing").await;
        assert_eq!(socket.close_code().await, 1002);
        let mut socket = RawSocket::open(&server, path).await;
        socket.send(TEXT, b"\xff\xfe").await;
        assert_eq!(socket.close_code().await, 1007);
        let mut socket = RawSocket::open(&server, path).await;
        socket.send(TEXT, &[b' '; 65_537]).await;
        assert_eq!(socket.close_code().await, 1009);
        // In parts too, none of which is too large.
        let mut socket = RawSocket::open(&server, path).await;
        socket.send(0x01, &[b' '; 40_000]).await;
        socket.send(0x80, &[b' '; 40_000]).await;
        assert_eq!(socket.close_code().await, 1009);
    }
}

#[tokio::test]
async fn long_lists_are_capped_before_they_are_walked() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let names: Vec<String> = (0..7_000).map(|n| format!("S{n}")).collect();
    let intervals = ["1s", "1m", "5m", "15m", "1h", "1d"].repeat(100);
    let many = json!({"op": "subscribe", "symbols": names, "intervals": intervals}).to_string();
    let same =
        json!({"op": "subscribe", "symbols": vec!["ACME"; 4_000], "intervals": vec!["1m"; 4_000]});
    assert!(many.len() <= 65_536 && same.to_string().len() <= 65_536);
    let mut forecasts = RawSocket::open(&server, "/forecast").await;
    forecasts.send(TEXT, same.to_string().as_bytes()).await;
    forecasts.send(TEXT, many.as_bytes()).await;
    // 7,000 symbols in six intervals, of which 1,000 series less the one before fit.
    let refused = forecasts.error().await;
    assert!(
        refused.starts_with("41001 series were not subscribed"),
        "{refused}"
    );
    let mut live = RawSocket::open(&server, "/live").await;
    live.send(TEXT, same.to_string().as_bytes()).await;
    live.send(TEXT, many.as_bytes()).await;
    let refused = live.error().await;
    assert!(
        refused.starts_with("6001 symbols were not subscribed"),
        "{refused}"
    );
}

#[tokio::test]
async fn no_answer_repeats_more_than_an_excerpt_of_what_was_wrong() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let long = "x".repeat(60_000);
    for path in ["/live", "/forecast"] {
        let mut socket = RawSocket::open(&server, path).await;
        for text in [
            json!({"op": long}).to_string(),
            json!([long]).to_string(),
            long.clone(),
        ] {
            socket.send(TEXT, text.as_bytes()).await;
            let detail = socket.error().await;
            assert!(
                detail.chars().count() < 300,
                "{path}: {} characters",
                detail.len()
            );
        }
    }
    let mut socket = RawSocket::open(&server, "/forecast").await;
    let predict = json!({"op": "predict", "series": [1, 2], "horizon": 1, "model": long});
    socket.send(TEXT, predict.to_string().as_bytes()).await;
    assert!(socket.error().await.len() < 1_000);
    let huge = "y".repeat(2 * MIB);
    let number = json!({"series": huge, "horizon": 1}).to_string();
    let model = json!({"series": [1, 2], "horizon": 1, "model": huge}).to_string();
    for (path, body) in [
        ("/predict", number),
        ("/predict", model),
        ("/api/ticks", json!([huge]).to_string()),
        (
            "/api/ticks",
            json!({"symbol": huge, "schema_version": huge}).to_string(),
        ),
        (
            "/api/forecast",
            json!({"symbol": huge, "interval": huge, "model": huge, "horizon": 1}).to_string(),
        ),
        (
            "/api/backtest",
            json!({"search": format!("symbols=A&models={huge}")}).to_string(),
        ),
    ] {
        let url = format!("{}{path}", server.url);
        let request = client()
            .post(url)
            .header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(
            text.len() < 2_000,
            "{path} answers with {} bytes",
            text.len()
        );
    }
    let url = format!("{}/api/{}", server.url, "z".repeat(30_000));
    let problem: Value = client()
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(
        problem["detail"].as_str().unwrap().chars().count() < 300,
        "{problem}"
    );
}

/// A request that takes minutes: a long season, and values missing in it.
fn long_fit() -> Value {
    let value =
        |t: usize| (t != 100).then(|| 50.0 + (t as f64 * 0.7).sin() + (t * 7_919 % 13) as f64);
    let series: Vec<Option<f64>> = (0..400).map(value).collect();
    json!({"series": series, "horizon": 5, "model": "arima(1,0,1)(2,1,2)[90]"})
}

fn quick_fit() -> Value {
    json!({"series": [1.0, 2.0, 3.0, 4.0], "horizon": 2, "model": "drift"})
}

async fn predict(server: &Server, request: &Value) -> (u16, Value) {
    let url = format!("{}/predict", server.url);
    let response = client().post(url).json(request).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Waits until so many forecasts on request are being computed.
async fn until_in_hand(server: &Server, count: u64) {
    let in_hand = |status: &Value| status["stages"]["predictions"]["in_flight"] == count;
    let what = format!("{count} forecasts in hand");
    until(&what, async || server.pipeline().await, in_hand).await;
}

#[tokio::test]
async fn long_fits_block_nobody_and_end_when_nobody_waits_for_them() {
    let (_scratch, data) = data_dir();
    let server = Server::start(
        &data,
        &[
            "--set",
            "predict.timeout_ms=600000",
            "--set",
            "predict.long_in_flight=2",
        ],
    );
    let url = format!("{}/predict", server.url);
    let long = |_| tokio::spawn(client().post(url.clone()).json(&long_fit()).send());
    let waiting: Vec<_> = (0..2).map(long).collect();
    until_in_hand(&server, 2).await;
    for model in ["naive", "drift", "mean", "ets"] {
        let mut request = quick_fit();
        request["series"] = json!(
            (0..100)
                .map(|t| 5.0 + f64::from(t * 7 % 11))
                .collect::<Vec<_>>()
        );
        request["model"] = json!(model);
        let (status, answer) = predict(&server, &request).await;
        assert_eq!(status, 200, "{model}: {answer}");
    }
    let (status, problem) = predict(&server, &long_fit()).await;
    assert_eq!(
        (status, &problem["kind"]),
        (503, &json!("unavailable")),
        "{problem}"
    );
    // The clients go away, by HTTP and by WebSocket.
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    until_in_hand(&server, 0).await;
    let mut socket = RawSocket::open(&server, "/forecast").await;
    let mut request = long_fit();
    request["op"] = json!("predict");
    socket.send(TEXT, request.to_string().as_bytes()).await;
    until_in_hand(&server, 1).await;
    drop(socket);
    until_in_hand(&server, 0).await;
    // And the server stops though one is being computed.
    let last = tokio::spawn(client().post(url).json(&long_fit()).send());
    until_in_hand(&server, 1).await;
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    assert_eq!(stopped.await.unwrap(), Some(0));
    drop(last);
}

#[tokio::test]
async fn a_fit_that_takes_too_long_is_stopped_and_one_that_would_is_not_begun() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--set", "predict.timeout_ms=60000"]);
    let mut request = quick_fit();
    request["model"] = json!("arima(24,1,24)(24,1,24)[400]");
    request["series"] = json!(vec![1.5; 20_000]);
    let (status, problem) = predict(&server, &request).await;
    assert_eq!(
        (status, &problem["field"]),
        (422, &json!("model")),
        "{problem}"
    );
    drop(server);
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--set", "predict.timeout_ms=4000"]);
    // Estimated to take a few times as long as it may: it is begun, and stopped.
    let mut request = long_fit();
    request["model"] = json!("arima(1,0,1)(1,1,1)[30]");
    let (status, problem) = predict(&server, &request).await;
    assert!(
        (status, &problem["kind"]) == (504, &json!("timeout")) || status == 200,
        "{problem}"
    );
    until_in_hand(&server, 0).await;
}

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

/// A client at another address of this machine.
fn client_from(address: [u8; 4]) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .local_address(std::net::IpAddr::from(address))
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

/// A connection from another address of this machine.
async fn connect_from(server: &Server, address: [u8; 4]) -> tokio::net::TcpStream {
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

#[tokio::test]
async fn memory_that_large_bodies_took_is_given_back() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    push(&server, quick_fit().to_string()).await;
    let before = server.resident_memory();
    for _ in 0..3 {
        let body = "x\n".repeat(12 * MIB);
        let (one, other) = tokio::join!(push(&server, body.clone()), push(&server, body));
        assert_eq!((one.0, other.0), (422, 422), "{} {}", one.1, other.1);
    }
    let given_back = |after: &usize| *after < before + 64 * MIB;
    let what = format!("the memory from before, {} MiB,", before / MIB);
    until(&what, async || server.resident_memory(), given_back).await;
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
