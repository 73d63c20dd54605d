//! A server of MongoDB's protocol that is full, or that one may not write to: nothing is lost, no good
//! row becomes a dead letter, the log says what to do, and `/readyz` that it is so and that it is over.
//!
//! The server answers so by its own `failCommand` (on mongod: `enableTestCommands=1`), to this test's
//! consumer alone, which it knows by the `appName` of the URI.

use std::net::SocketAddr;

use mongodb::{
    Client,
    bson::{Document, doc},
};
use serde_json::{Value, json};

use super::{ask, client, service, settings, started, support::until, web};

async fn fail(server: &Client, app: &str, mode: &str, code: i32) {
    let command = doc! {
        "configureFailPoint": "failCommand",
        "mode": mode,
        "data": {
            "failCommands": ["insert", "update", "findAndModify"],
            "errorCode": code,
            "appName": app,
        },
    };
    let admin = server.database("admin");
    admin.run_command(command).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_refuses_to_write_rows_wait_and_the_log_says_what_to_do() {
    let app = format!("refused-{}", std::process::id());
    let settings = settings("refused");
    let mut of_consumer = settings.clone();
    let uri = service("MONGODB_URI");
    let joint = if uri.contains('?') { '&' } else { '?' };
    for setting in [
        format!("mongodb.uri={uri}{joint}appName={app}"),
        "health.port=0".into(),
        "log.format=text".into(),
    ] {
        of_consumer.extend(["--set".into(), setting]);
    }
    let (consumer, health) = started("consume", &of_consumer).await;
    let (_web, address) = web(&settings).await;
    let mut first = 202;
    for _ in 0..6 {
        // A group that is being formed takes its time.
        first = push(address, 0..5).await;
        if first == 200 {
            break;
        }
    }
    assert_eq!(first, 200);
    let server = Client::with_uri_str(&uri).await.unwrap();
    let database = settings.iter();
    let mut database = database.filter_map(|s| s.strip_prefix("mongodb.database="));
    let database = server.database(database.next().unwrap());
    let mut sent = 5;
    for (code, what_to_do) in [
        (14_031, "disk is full; free or add space"),
        (13, "it needs readWrite on the database"),
    ] {
        fail(&server, &app, "alwaysOn", code).await;
        // On the topic, and not stored yet.
        assert_eq!(push(address, sent..sent + 5).await, 202);
        let log = async || consumer.log.lock().unwrap().clone();
        until(what_to_do, log, |log| log.contains(what_to_do)).await;
        let (status, why) = ask(health.unwrap(), "/readyz").await;
        assert_eq!(status, 503, "{why}");
        assert!(why.contains("store: the store"), "{why}");
        fail(&server, &app, "off", code).await;
        sent += 5;
        let ticks = database.collection::<Document>("stock_data");
        let there = async || ticks.count_documents(doc! {}).await.unwrap();
        let there = until("the rows sent", there, |there| *there >= sent).await;
        assert_eq!(there, sent);
        assert_eq!(push(address, 0..sent).await, 200, "all of them are there");
        let (status, why) = ask(health.unwrap(), "/readyz").await;
        assert_eq!(status, 200, "{why}");
    }
    let (_, status) = ask(health.unwrap(), "/api/pipeline").await;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["dead_letters"], json!([]));
}

/// Posts ticks that are the same ones when they are posted again; the status.
async fn push(address: SocketAddr, seqs: std::ops::Range<u64>) -> u16 {
    let row = |seq: u64| {
        json!({"symbol": "ACME", "ts_us": 1_700_000_000_000_000_i64, "seq": seq,
               "price": 10, "size": 1})
    };
    let rows: Vec<Value> = seqs.map(row).collect();
    let answer = client()
        .post(format!("http://{address}/api/ticks"))
        .body(Value::from(rows).to_string())
        .send()
        .await
        .unwrap();
    answer.status().as_u16()
}
