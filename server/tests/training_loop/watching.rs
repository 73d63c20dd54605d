//! What is served is watched, and somebody is told: looks for drift, trainings that have not come, a webhook.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use mlops::webhook::signature;
use serde_json::{Value, json};

use crate::{
    support::{Server, run, until},
    training::{finished, get, payload, post as send, stocked, train},
};

const SECRET: &str = "sixteen letters.";

type Received = Arc<Mutex<Vec<(HeaderMap, String)>>>;

async fn take(State(received): State<Received>, headers: HeaderMap, body: Bytes) {
    let body = String::from_utf8(body.to_vec()).unwrap();
    received.lock().unwrap().push((headers, body));
}

/// A receiver on a free port.
async fn receiver() -> (String, Received) {
    let received = Received::default();
    let router = Router::new()
        .route("/hook", post(take))
        .with_state(received.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, received)
}

/// What has come, by its entity; each held to its signature.
fn messages(received: &Received, entity: &str) -> Vec<Value> {
    let all = received.lock().unwrap();
    all.iter()
        .filter_map(|(headers, body)| {
            let header = |name: &str| headers[name].to_str().unwrap();
            let (id, at) = (
                header("x-tickcast-delivery-id"),
                header("x-tickcast-timestamp"),
            );
            let signed = signature(SECRET, id, at, body);
            assert_eq!(header("x-tickcast-signature"), signed);
            let message: Value = serde_json::from_str(body).unwrap();
            (message["entity"] == entity).then_some(message)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_and_moves_of_aliases_go_to_the_webhook_and_a_look_is_shown() {
    let (_scratch, data) = stocked();
    let (url, received) = receiver().await;
    let flags = [
        "--set",
        &format!("webhook.url={url}"),
        "--set",
        &format!("webhook.secret={SECRET}"),
        "--set",
        "webhook.allow_private=true",
    ];
    let server = Server::start(&data, &flags);
    train(&server, "EDGE", 680, "first").await;
    let alias = "/api/models/close-1d.EDGE/aliases/champion";
    let away = json!({ "version": null, "why": "a test" });
    let back = json!({ "version": 1, "why": "as it was" });
    for to in [&away, &back] {
        assert_eq!(send(&server, alias, to, None).await.0, 200);
    }
    let come = async || messages(&received, "model_version_alias");
    let both = |all: &Vec<Value>| all.len() == 2;
    let moves = until("two moves", come, both).await;
    let told: Vec<(&Value, &Value)> = moves
        .iter()
        .map(|one| (&one["action"], &one["data"]["version"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("deleted"), &Value::Null),
            (&json!("created"), &json!("1"))
        ]
    );
    assert_eq!(moves[1]["data"]["name"], "close-1d.EDGE");
    assert_eq!(moves[1]["data"]["why"], "as it was");
    let rounds = messages(&received, "training_round");
    assert_eq!(rounds.len(), 1);
    assert_eq!(rounds[0]["data"]["round"]["model"], "close-1d.EDGE");

    // A training that cannot be is told, too.
    let wrong = json!({ "kind": "train", "payload": payload("NOSUCH", 680) });
    let (_, job) = send(&server, "/api/jobs", &wrong, None).await;
    assert_eq!(
        finished(&server, job["id"].as_i64().unwrap()).await["state"],
        "failed"
    );
    let failed = |all: &Vec<Value>| all.iter().any(|one| one["action"] == "failed");
    until(
        "a failure",
        async || messages(&received, "training_round"),
        failed,
    )
    .await;

    // A look; nothing has been forecast live, so that only what comes in can be read.
    let (status, job) = send(
        &server,
        "/api/jobs",
        &json!({ "kind": "watch", "payload": {} }),
        None,
    )
    .await;
    assert_eq!(status, 201, "{job}");
    let job = finished(&server, job["id"].as_i64().unwrap()).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    let alarms = get(&server, "/api/alarms").await;
    let watched = &alarms["last_look"]["watched"][0];
    assert_eq!(watched["name"], "close-1d.EDGE", "{alarms}");
    assert_eq!(
        (&watched["version"], &watched["outcomes"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(alarms["overdue"], json!([]));
    let (_, metrics) = server.get("/metrics").await;
    for name in [
        "tickcast_drift_watched 1",
        "tickcast_webhook_messages_total{outcome=\"delivered\"}",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_that_has_not_come_is_a_word_on_the_health_page_and_a_message() {
    let (_scratch, data) = stocked();
    let server = Server::start(&data, &[]);
    train(&server, "EDGE", 680, "first").await;
    let (_, health) = server.get("/healthz").await;
    assert_eq!(health, r#"{"status":"ok"}"#);
    assert_eq!(server.stop(), Some(0));
    let (url, received) = receiver().await;
    // EDGE was last trained in 2023; of WALK, which never was, nothing is due before the next January.
    let flags = [
        "--set",
        "training.schedule=0 0 1 1 *",
        "--set",
        "training.days=always",
        "--set",
        &format!("webhook.url={url}"),
        "--set",
        &format!("webhook.secret={SECRET}"),
        "--set",
        "webhook.allow_private=true",
    ];
    let server = Server::start(&data, &flags);
    let warned = |text: &String| text.contains("warnings");
    let health = until("a warning", async || server.get("/healthz").await.1, warned).await;
    let health: Value = serde_json::from_str(&health).unwrap();
    let warnings = health["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{health}");
    let words = warnings[0].as_str().unwrap();
    assert!(
        words.starts_with("no training of close-1d.EDGE since 2023-11-12"),
        "{words}"
    );
    assert!(
        words.ends_with("one was due at 2024-01-01T00:00:00Z"),
        "{words}"
    );
    let alarms = get(&server, "/api/alarms").await;
    assert_eq!(alarms["overdue"][0]["name"], "close-1d.EDGE", "{alarms}");
    let one = |all: &Vec<Value>| !all.is_empty();
    let told = until("a message", async || messages(&received, "training"), one).await;
    assert_eq!((&told[0]["action"], told.len()), (&json!("overdue"), 1));
    let (_, metrics) = server.get("/metrics").await;
    assert!(metrics.contains("tickcast_training_overdue 1"), "{metrics}");
}

#[test]
fn a_webhook_that_cannot_be_is_refused_at_the_start() {
    for (settings, words) in [
        (
            &["webhook.url=http://127.0.0.1:1/"][..],
            "webhook.allow_private",
        ),
        (
            &[
                "webhook.url=http://169.254.169.254/",
                "webhook.allow_private=true",
            ],
            "link-local",
        ),
        (&["webhook.url=ftp://example.com/"], "http or https"),
        (&["webhook.url=https://example.com/"], "webhook.secret"),
        (
            &["webhook.url=https://example.com/", "webhook.secret=short"],
            "webhook.secret",
        ),
        (&["drift.schedule=0 0 30 2 *"], "drift.schedule"),
    ] {
        let mut line = vec!["serve", "--port", "0", "--data-dir", "none"];
        line.extend(settings.iter().flat_map(|one| ["--set", *one]));
        let refused = run(&line);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{settings:?}: {said}");
        assert!(said.contains(words), "{settings:?}: {said}");
    }
}
