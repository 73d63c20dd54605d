//! `/live`, `/forecast` and `POST /predict` of a real server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use futures::{SinkExt as _, StreamExt as _};
use market::Interval;
use protocol::{ForecastMessage, LiveMessage};
use serde_json::{Value, json};
use support::{Server, client, data_dir, now_us};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn connect(server: &Server, path: &str, request: Value) -> Socket {
    let (mut socket, _) = connect_async(server.ws(path)).await.unwrap();
    socket
        .send(Message::text(request.to_string()))
        .await
        .unwrap();
    socket
}

async fn next<T: serde::de::DeserializeOwned>(socket: &mut Socket) -> Option<T> {
    loop {
        match socket.next().await? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

async fn post(server: &Server, seqs: std::ops::Range<u64>) {
    let ts = now_us();
    let rows: Vec<Value> = seqs
        .map(|seq| json!({"symbol": "ACME", "ts_us": ts, "seq": seq, "price": 10.0 + seq as f64, "size": 1}))
        .collect();
    let response = client()
        .post(format!("{}/api/ticks", server.url))
        .body(Value::from(rows).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
}

/// Reads ticks until the one with `last` has come; returns their sequence numbers and the position.
async fn ticks_until(socket: &mut Socket, last: u64) -> (Vec<u64>, u64) {
    let mut seen = Vec::new();
    let mut position = 0;
    while seen.last() != Some(&last) {
        match next::<LiveMessage>(socket).await.expect("the socket ended") {
            LiveMessage::Ticks { ticks, seq, .. } => {
                seen.extend(ticks.iter().map(|t| t.seq));
                position = seq;
            }
            LiveMessage::Latest { .. } => panic!("this reader is not slow"),
            _ => {}
        }
    }
    (seen, position)
}

async fn snapshot(socket: &mut Socket) -> LiveMessage {
    loop {
        let message = next::<LiveMessage>(socket).await.expect("the socket ended");
        if matches!(message, LiveMessage::Snapshot { .. }) {
            return message;
        }
    }
}

#[tokio::test]
async fn a_reader_goes_on_after_a_restart_of_the_server_without_a_gap_or_a_repeat() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let subscribe = json!({"op": "subscribe", "symbols": ["ACME"], "intervals": ["1s"]});
    let mut socket = connect(&server, "/live", subscribe).await;
    snapshot(&mut socket).await;
    post(&server, 0..20).await;
    let (before, position) = ticks_until(&mut socket, 19).await;
    assert_eq!(before, (0..20).collect::<Vec<_>>());
    // More are stored while nobody reads; then the server dies.
    drop(socket);
    post(&server, 20..35).await;
    server.kill();
    let server = Server::start(&data, &[]);
    let resume = json!({
        "op": "subscribe", "symbols": ["ACME"], "intervals": ["1s"], "resume": {"ACME": position}
    });
    let mut socket = connect(&server, "/live", resume).await;
    let (missed, _) = ticks_until(&mut socket, 34).await;
    assert_eq!(missed, (20..35).collect::<Vec<_>>());
    post(&server, 35..40).await;
    let (after, _) = ticks_until(&mut socket, 39).await;
    assert_eq!(after, (35..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stop_says_goodbye_and_closes_with_1001() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let mut socket = connect(&server, "/live", json!({"op": "ping", "id": 7})).await;
    loop {
        if let Some(LiveMessage::Pong { id }) = next(&mut socket).await {
            assert_eq!(id, 7);
            break;
        }
    }
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    let code = loop {
        match socket.next().await {
            Some(Ok(Message::Close(frame))) => break frame.map(|f| f.code),
            Some(Ok(_)) => {}
            other => panic!("the socket ended without a close frame: {other:?}"),
        }
    };
    assert_eq!(code, Some(CloseCode::Away));
    assert_eq!(stopped.await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_answered_and_the_socket_stays() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let mut socket = connect(&server, "/live", json!({"op": "dance"})).await;
    loop {
        if let LiveMessage::Error { .. } = next(&mut socket).await.expect("the socket ended") {
            break;
        }
    }
    socket
        .send(Message::text(r#"{"op":"ping","id":1}"#))
        .await
        .unwrap();
    loop {
        if let LiveMessage::Pong { .. } = next(&mut socket).await.expect("the socket ended") {
            break;
        }
    }
}

#[tokio::test]
async fn a_series_in_the_body_is_forecast_alike_by_http_and_websocket() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let request = json!({"series": [1.0, 2.0, null, 4.0, 5.0], "model": "drift", "horizon": 3});
    let by_http: Value = client()
        .post(format!("{}/predict", server.url))
        .json(&request)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(by_http["mean"], json!([6.0, 7.0, 8.0]), "{by_http}");
    let mut by_socket = request.clone();
    by_socket["op"] = json!("predict");
    by_socket["id"] = json!(3);
    let mut socket = connect(&server, "/forecast", by_socket).await;
    let prediction = loop {
        match next(&mut socket).await.expect("the socket ended") {
            ForecastMessage::Prediction(prediction) => break prediction,
            ForecastMessage::Error { detail, .. } => panic!("{detail}"),
            _ => {}
        }
    };
    assert_eq!(prediction.id, Some(3));
    let mut prediction = serde_json::to_value(prediction).unwrap();
    prediction.as_object_mut().unwrap().remove("id");
    assert_eq!(prediction, by_http);
}

#[tokio::test]
async fn a_predict_request_that_cannot_be_served_names_the_field() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &[]);
    let cases = [
        (json!({"series": [1.0, 2.0], "horizon": 0}), "horizon"),
        (
            json!({"series": [1.0, 2.0], "horizon": 3, "model": "oracle"}),
            "model",
        ),
        (json!({"horizon": 3}), "symbol"),
        (
            json!({"series": [1.0, 2.0], "horizon": 3, "levels": [101.0]}),
            "levels",
        ),
    ];
    for (request, field) in cases {
        let response = client()
            .post(format!("{}/predict", server.url))
            .json(&request)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 422, "{request}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["field"], field, "{problem}");
    }
    let unknown = json!({"symbol": "NOBODY", "interval": "1m", "horizon": 3});
    let response = client()
        .post(format!("{}/predict", server.url))
        .json(&unknown)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 404);
}

/// Asks for JSON.
async fn get(server: &Server, path: &str) -> Value {
    let answer = client().get(format!("{}{path}", server.url)).send().await;
    answer.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn the_simulated_exchange_brings_prices_and_their_forecasts() {
    let (_scratch, data) = data_dir();
    let server = Server::start(&data, &["--source", "simulated", "--rate", "200"]);
    let mut live = connect(&server, "/live", json!({"op": "ping", "id": 1})).await;
    let Some(LiveMessage::Hello { simulated, .. }) = next(&mut live).await else {
        panic!("no greeting");
    };
    assert!(simulated);
    server.counted("stored", 1).await;
    let subscribe = json!({"op": "subscribe", "symbols": ["NIMBU"], "intervals": ["1s"]});
    let mut forecasts = connect(&server, "/forecast", subscribe).await;
    let fan = loop {
        match next(&mut forecasts).await.expect("the socket ended") {
            ForecastMessage::Fan(fan) => break fan,
            ForecastMessage::Error { detail, .. } => panic!("{detail}"),
            _ => {}
        }
    };
    assert_eq!((fan.symbol.as_str(), fan.interval), ("NIMBU", Interval::S1));
    assert!(!fan.mean.is_empty() && !fan.bands.is_empty(), "{fan:?}");
    let page = client()
        .get(format!("{}/s/NIMBU?interval=1s", server.url))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(page.contains("data-testid=\"simulated-banner\""), "{page}");
    // The server's picture stands before the canvas, which is empty before the wasm arrives.
    let from = page.split("data-testid=\"chart-svg\"").nth(1);
    let chart = from.and_then(|html| html.split("<canvas").next());
    let chart = chart.unwrap_or_else(|| panic!("no chart in {page}"));
    for part in ["<svg", "NIMBU 1s prices", "bars of 1s from", "Forecast by"] {
        assert!(chart.contains(part), "no {part:?} in {chart}");
    }
    assert_eq!(
        get(&server, "/api/deadletters").await["letters"],
        json!([]),
        "the exchange's rows are all usable"
    );
}
