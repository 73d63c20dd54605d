//! WebSockets, and requests that say too much.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    MIB,
    support::{Server, client, data_dir},
};

/// A WebSocket spoken by hand: what a well-behaved library would not send can be sent.
pub struct RawSocket(tokio::net::TcpStream);

impl RawSocket {
    pub async fn open(server: &Server, path: &str) -> Self {
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
    pub async fn send(&mut self, first: u8, payload: &[u8]) {
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
    pub async fn next(&mut self) -> (u8, Vec<u8>) {
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
    pub async fn close_code(&mut self) -> u16 {
        loop {
            if let (8, payload) = self.next().await {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }

    /// The next error message.
    pub async fn error(&mut self) -> String {
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
pub const TEXT: u8 = 0x81;

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
