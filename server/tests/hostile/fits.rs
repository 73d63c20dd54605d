//! Fits that take long.

use serde_json::{Value, json};

use super::{
    sockets::{RawSocket, TEXT},
    support::{Server, client, data_dir, until},
};

/// A request that takes minutes: a long season, and values missing in it.
pub fn long_fit() -> Value {
    let value =
        |t: usize| (t != 100).then(|| 50.0 + (t as f64 * 0.7).sin() + (t * 7_919 % 13) as f64);
    let series: Vec<Option<f64>> = (0..400).map(value).collect();
    json!({"series": series, "horizon": 5, "model": "arima(1,0,1)(2,1,2)[90]"})
}

pub fn quick_fit() -> Value {
    json!({"series": [1.0, 2.0, 3.0, 4.0], "horizon": 2, "model": "drift"})
}

pub async fn predict(server: &Server, request: &Value) -> (u16, Value) {
    let url = format!("{}/predict", server.url);
    let response = client().post(url).json(request).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Another client: one that asks from this address of the loopback network.
fn client_at(address: [u8; 4]) -> reqwest::Client {
    let builder = reqwest::Client::builder().local_address(std::net::IpAddr::from(address));
    builder.build().unwrap()
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
            "predict.long_in_flight=4",
        ],
    );
    let url = format!("{}/predict", server.url);
    let long =
        |client: &reqwest::Client| tokio::spawn(client.post(url.clone()).json(&long_fit()).send());
    let mut waiting: Vec<_> = (0..2).map(|_| long(&client())).collect();
    until_in_hand(&server, 2).await;
    // One client has half of the slots, however it asks; the others are for others.
    let own = "2 long forecasts of this client are being computed already, try again later";
    let (status, problem) = predict(&server, &long_fit()).await;
    assert_eq!(
        (status, &problem["detail"]),
        (503, &json!(own)),
        "{problem}"
    );
    let mut socket = RawSocket::open(&server, "/forecast").await;
    let mut request = long_fit();
    request["op"] = json!("predict");
    socket.send(TEXT, request.to_string().as_bytes()).await;
    assert_eq!(socket.error().await, own);
    drop(socket);
    let other = client_at([127, 0, 0, 2]);
    waiting.extend((0..2).map(|_| long(&other)));
    until_in_hand(&server, 4).await;
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
    let third = client_at([127, 0, 0, 3])
        .post(url.clone())
        .json(&long_fit());
    let problem: Value = third.send().await.unwrap().json().await.unwrap();
    let all = "4 long forecasts are being computed already, try again later";
    assert_eq!(
        (&problem["status"], &problem["kind"], &problem["detail"]),
        (&json!(503), &json!("unavailable"), &json!(all)),
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
