//! The roles over the real services that `KAFKA_BROKERS` and `MONGODB_URI` name: a tick goes from
//! one process to another, readers may resume at another web process, and a process says what it
//! misses. Fails where the services are absent: `scripts/services run -- cargo test …` starts them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

#[cfg(test)]
mod away;
#[path = "../torture/exchange.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod exchange;
#[cfg(test)]
mod forecasts;
#[cfg(test)]
mod going_on;
#[path = "../torture/processes.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod processes;
#[path = "../torture/proxy.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod proxy;
#[cfg(test)]
mod pushes;
#[cfg(test)]
mod refusing_store;
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod tls_to_the_store;
#[cfg(test)]
mod topic_on_the_page;

use std::{net::SocketAddr, time::Duration};

use futures::{SinkExt as _, StreamExt as _};
use processes::Process;
use protocol::LiveMessage;
use serde_json::{Value, json};
use support::until;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

fn service(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run this with scripts/services run --"))
}

/// The settings of a topic and database of one's own.
fn settings(name: &str) -> Vec<String> {
    let unique = format!("{name}-{}", std::process::id());
    [
        "bus.kind=kafka".to_owned(),
        format!("kafka.brokers={}", service("KAFKA_BROKERS")),
        "kafka.partitions=3".into(),
        format!("bus.topic={unique}"),
        "store.kind=mongodb".into(),
        format!("mongodb.uri={}", service("MONGODB_URI")),
        format!("mongodb.database={unique}"),
        "source.kind=none".into(),
        "web.port=0".into(),
        "live.heartbeat_ms=500".into(),
    ]
    .into_iter()
    .flat_map(|setting| ["--set".to_owned(), setting])
    .collect()
}

/// The same on services of the test's own, to be killed; the driver soon sees that one is gone.
fn with_services(name: &str, services: &processes::Services) -> Vec<String> {
    let mut settings = settings(name);
    for setting in [
        format!("kafka.brokers={}", services.brokers),
        format!(
            "mongodb.uri=mongodb://{}/?serverSelectionTimeoutMS=1000",
            services.mongo
        ),
    ] {
        settings.extend(["--set".into(), setting]);
    }
    settings
}

async fn started(role: &str, settings: &[String]) -> (Process, Option<SocketAddr>) {
    let mut process = Process::new(role, settings);
    tokio::task::spawn_blocking(move || {
        let address = process.start();
        (process, address)
    })
    .await
    .unwrap()
}

async fn web(settings: &[String]) -> (Process, SocketAddr) {
    let (process, address) = started("web", settings).await;
    (process, address.unwrap())
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

async fn post(address: SocketAddr, seqs: std::ops::Range<u64>) -> Value {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let rows: Vec<Value> = seqs
        .map(|seq| {
            json!({"symbol": "ACME", "ts_us": now.as_micros() as i64, "seq": seq,
                   "price": 10.0 + seq as f64, "size": 1})
        })
        .collect();
    // 202 says that the store did not have the rows yet when the answer was due (a group that is being
    // formed takes its time): posting them again is harmless, and waits again.
    let body = Value::from(rows).to_string();
    for _ in 0..6 {
        let response = client()
            .post(format!("http://{address}/api/ticks"))
            .body(body.clone())
            .send()
            .await
            .unwrap();
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        if status == 200 {
            return answer;
        }
        assert_eq!(status, 202, "{answer}");
    }
    panic!("the store does not get the rows");
}

/// Rows that an answer says are in the store, whether this post or an earlier one brought them.
fn in_store(answer: &Value) -> u64 {
    answer["stored"].as_u64().unwrap() + answer["duplicates"].as_u64().unwrap_or(0)
}

async fn connect(address: SocketAddr, path: &str, request: Value) -> Socket {
    let (mut socket, _) = connect_async(format!("ws://{address}{path}"))
        .await
        .unwrap();
    socket
        .send(Message::text(request.to_string()))
        .await
        .unwrap();
    socket
}

async fn next<T: serde::de::DeserializeOwned>(socket: &mut Socket) -> T {
    let limit = Duration::from_secs(60);
    loop {
        let message = tokio::time::timeout(limit, socket.next()).await;
        let message = message.expect("heartbeats at least").unwrap();
        if let Message::Text(text) = message.unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

/// Waits until the subscription stands: what comes after it comes as ticks.
async fn snapshot(socket: &mut Socket) {
    while !matches!(
        next::<LiveMessage>(socket).await,
        LiveMessage::Snapshot { .. }
    ) {}
}

/// Reads to the end: whether the reader is told of it, and the status that the connection ends with.
async fn farewell(mut socket: Socket) -> (bool, Option<u16>) {
    let (mut bye, mut code) = (false, None);
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => {
                let message = serde_json::from_str(&text).unwrap();
                bye |= matches!(message, LiveMessage::Bye { .. });
            }
            Message::Close(frame) => code = frame.map(|frame| u16::from(frame.code)),
            _ => {}
        }
    }
    (bye, code)
}

async fn ticks_until(socket: &mut Socket, last: u64) -> (Vec<u64>, u64) {
    let (mut seen, mut position) = (Vec::new(), 0);
    while seen.last() != Some(&last) {
        match next::<LiveMessage>(socket).await {
            LiveMessage::Ticks { ticks, seq, .. } => {
                seen.extend(ticks.iter().map(|t| t.seq));
                position = seq;
            }
            LiveMessage::Snapshot { reset: true, .. } | LiveMessage::Latest { .. } => {
                panic!("something was left out")
            }
            _ => {}
        }
    }
    (seen, position)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_resumes_at_another_web_process_and_the_store_has_each_tick_once() {
    let settings = settings("resume");
    let (_consumer, _) = started("consume", &settings).await;
    let (_first, one) = web(&settings).await;
    let subscribe = json!({"op": "subscribe", "symbols": ["ACME"], "intervals": ["1d"]});
    let mut socket = connect(one, "/live", subscribe).await;
    snapshot(&mut socket).await;
    let pushed = post(one, 0..20).await;
    assert_eq!(in_store(&pushed), 20);
    let (before, position) = ticks_until(&mut socket, 19).await;
    assert_eq!(before, (0..20).collect::<Vec<_>>());
    drop(socket);
    post(one, 20..30).await;
    // The other one begins to follow only now.
    let (_second, other) = web(&settings).await;
    let resume = json!({"op": "subscribe", "symbols": ["ACME"], "intervals": ["1d"],
                        "resume": {"ACME": position}});
    let mut socket = connect(other, "/live", resume).await;
    assert_eq!(
        ticks_until(&mut socket, 29).await.0,
        (20..30).collect::<Vec<_>>()
    );
    post(one, 30..35).await;
    assert_eq!(
        ticks_until(&mut socket, 34).await.0,
        (30..35).collect::<Vec<_>>()
    );
    // The bar comes to hold what the store holds, each tick once.
    loop {
        if let LiveMessage::Bar { bar, .. } = next(&mut socket).await {
            assert!(bar.trades <= 35, "{bar:?}");
            if bar.trades == 35 {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_lag_and_dead_letters_of_a_consumer_can_be_asked_for() {
    let mut settings = settings("health");
    settings.extend(["--set".into(), "health.port=0".into()]);
    let (mut consumer, address) = started("consume", &settings).await;
    let address = address.unwrap();
    let (_web, web) = web(&settings).await;
    let refused = client()
        .post(format!("http://{web}/api/ticks"))
        .body(r#"{"symbol":"ACME","ts_us":1700000000000000,"price":-1}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 422);
    post(web, 0..5).await;
    let get = |path: &str| {
        let url = format!("http://{address}{path}");
        async move { client().get(url).send().await.unwrap() }
    };
    let ready = get("/readyz").await;
    assert_eq!(ready.status(), 200, "{}", ready.text().await.unwrap());
    // The web process answers once it finds the rows in the store; the consumer counts them after.
    let status = async || -> Value { get("/api/pipeline").await.json().await.unwrap() };
    let five = |status: &Value| status["stages"]["stored"]["total"] == 5;
    let status = until("five rows stored", status, five).await;
    assert_eq!(status["role"], "consume");
    assert_eq!(status["dead_letters"][0]["reason"], "bad_price");
    let metrics = get("/metrics").await.text().await.unwrap();
    for name in [
        "tickcast_bus_lag_records",
        "tickcast_dead_letters{",
        "tickcast_ticks_stored_total 5",
    ] {
        assert!(metrics.contains(name), "{name} is missing in {metrics}");
    }
    for path in ["/nothing", "/api/ticks"] {
        let answer = get(path).await;
        assert_eq!(answer.status(), 404, "{path}");
        let kind = &answer.headers()["content-type"];
        assert_eq!(kind, "application/problem+json", "{path}");
    }
    let (code, _) = tokio::task::block_in_place(|| consumer.stop());
    assert_eq!(code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_over_kafka_and_mongodb_does_all_of_it_in_one_process() {
    let settings = settings("serve");
    let (mut server, address) = started("serve", &settings).await;
    let address = address.unwrap();
    let subscribe = json!({"op": "subscribe", "symbols": ["ACME"], "intervals": []});
    let mut socket = connect(address, "/live", subscribe).await;
    snapshot(&mut socket).await;
    assert_eq!(in_store(&post(address, 0..8).await), 8);
    assert_eq!(
        ticks_until(&mut socket, 7).await.0,
        (0..8).collect::<Vec<_>>()
    );
    drop(socket);
    let (code, _) = tokio::task::block_in_place(|| server.stop());
    assert_eq!(code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_stops_in_order_when_it_is_asked_to_and_readers_are_told() {
    let settings = settings("stop");
    let mut of_ingest = settings.clone();
    of_ingest.extend(["--set".into(), "source.kind=simulated".into()]);
    let (mut ingest, _) = started("ingest", &of_ingest).await;
    let (mut consumer, _) = started("consume", &settings).await;
    let (mut web, address) = web(&settings).await;
    let subscribe = json!({"op": "subscribe", "symbols": ["ACME"], "intervals": []});
    let mut socket = connect(address, "/live", subscribe).await;
    snapshot(&mut socket).await;
    assert_eq!(in_store(&post(address, 0..8).await), 8);
    let reading = tokio::spawn(farewell(socket));
    for process in [&mut ingest, &mut consumer, &mut web] {
        let (code, _) = tokio::task::block_in_place(|| process.stop());
        let log = process.log.lock().unwrap();
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("not everything stopped"), "{log}");
    }
    assert_eq!(reading.await.unwrap(), (true, Some(1001)));
}

/// Asks a process something about itself.
async fn ask(address: SocketAddr, path: &str) -> (u16, String) {
    let url = format!("http://{address}{path}");
    let answer = client().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_answers_for_its_health_and_names_its_role() {
    let mut settings = settings("all-roles");
    settings.extend(["--set".into(), "health.port=0".into()]);
    for role in ["ingest", "consume", "web", "serve"] {
        let (_process, address) = started(role, &settings).await;
        let address = address.unwrap_or_else(|| panic!("{role} says where it listens"));
        assert_eq!(ask(address, "/healthz").await.0, 200, "{role}");
        // A web process reads the topic first.
        let ready = async || ask(address, "/readyz").await;
        until(role, ready, |answer| answer.0 == 200).await;
        let (status, metrics) = ask(address, "/metrics").await;
        assert_eq!(status, 200, "{role}");
        let info = format!("tickcast_process_info{{role=\"{role}\"");
        assert!(metrics.contains(&info), "{role}: {metrics}");
        let (_, pipeline) = ask(address, "/api/pipeline").await;
        let pipeline: Value = serde_json::from_str(&pipeline).unwrap();
        assert_eq!(pipeline["role"], role);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_says_which_dependency_is_missing_while_it_is_and_not_after() {
    let services = tokio::task::spawn_blocking(processes::Services::start)
        .await
        .unwrap();
    let mut settings = with_services("missing", &services);
    for setting in ["mongodb.timeout_ms=1000".into(), "health.port=0".into()] {
        settings.extend(["--set".into(), setting]);
    }
    let (_consumer, address) = started("consume", &settings).await;
    let address = address.unwrap();
    let says = |wanted: u16, words: &'static str| async move {
        let ready = async || ask(address, "/readyz").await;
        let said = |answer: &(u16, String)| answer.0 == wanted && answer.1.contains(words);
        until(words, ready, said).await;
    };
    says(200, "ready").await;
    for (service, name) in [("mongo", "store"), ("kafka", "bus")] {
        tokio::task::block_in_place(|| services.kill(service));
        says(503, name).await;
        // The process itself goes on, and its metrics can be read.
        assert_eq!(ask(address, "/healthz").await.0, 200);
        assert_eq!(ask(address, "/metrics").await.0, 200);
        tokio::task::block_in_place(|| services.start_again(service));
        says(200, "ready").await;
    }
}

/// The rows of every file of a symbol, by sequence.
fn csv_rows(dir: &std::path::Path) -> Vec<u64> {
    let mut seqs = Vec::new();
    for entry in std::fs::read_dir(dir.join("ACME")).into_iter().flatten() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let lines = text.lines().skip(1);
        seqs.extend(lines.filter_map(|l| l.split(',').nth(2)?.parse::<u64>().ok()));
    }
    seqs.sort_unstable();
    seqs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_with_csv_files_in_the_place_of_mongodb_loses_and_doubles_nothing_when_killed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings("csv");
    let mut csv = settings.clone();
    for setting in [
        "store.kind=csv".to_owned(),
        format!("store.csv_dir={}", folder.path().join("csv").display()),
        format!("bus.group=csv-{}", std::process::id()),
        "health.port=0".into(),
    ] {
        csv.extend(["--set".into(), setting]);
    }
    // A web process takes the rows in; it has MongoDB, which another consumer fills.
    let (_other, _) = started("consume", &settings).await;
    let (_web, web) = web(&settings).await;
    let (mut consumer, _) = started("consume", &csv).await;
    let mut sent = 0;
    for _ in 0..4 {
        for _ in 0..5 {
            post(web, sent..sent + 40).await;
            sent += 40;
        }
        consumer = tokio::task::spawn_blocking(move || {
            consumer.kill();
            consumer.start();
            consumer
        })
        .await
        .unwrap();
    }
    let expected: Vec<u64> = (0..sent).collect();
    let dir = folder.path().join("csv");
    let rows = async || csv_rows(&dir);
    let rows = until("the last row", rows, |rows| rows.len() >= expected.len()).await;
    assert_eq!(rows, expected);
    let address = tokio::task::spawn_blocking(move || {
        consumer.kill();
        let address = consumer.start().unwrap();
        (consumer, address)
    })
    .await
    .unwrap();
    let (status, ready) = ask(address.1, "/readyz").await;
    assert_eq!(status, 200, "{ready}");
    let refused = std::process::Command::new(env!("CARGO_BIN_EXE_tickcast"))
        .arg("web")
        .args(&csv)
        .output()
        .unwrap();
    assert!(!refused.status.success());
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(why.contains("for writing only"), "{why}");
}
