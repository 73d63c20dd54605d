//! What is served of a series that has a champion, where nobody names a model.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::{
    support::{Server, client, until},
    training::{get, post, stocked, train},
};

const ALIAS: &str = "/api/models/close-1d.EDGE/aliases/champion";

fn ask(symbol: &str) -> Value {
    json!({ "symbol": symbol, "interval": "1d", "horizon": 3 })
}

async fn served(server: &Server, symbol: &str) -> Value {
    let (status, answer) = post(server, "/predict", &ask(symbol), None).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn champion(server: &Server, version: Value) {
    let to = json!({ "version": version, "why": "a test" });
    let (status, answer) = post(server, ALIAS, &to, None).await;
    assert_eq!(status, 200, "{answer}");
}

/// A server with two versions of EDGE, the second one champion.
async fn two_versions(flags: &[&str]) -> (tempfile::TempDir, std::path::PathBuf, Server) {
    let (scratch, data) = stocked();
    let server = Server::start(&data, flags);
    for (day, key) in [(680, "first"), (690, "second")] {
        let job = train(&server, "EDGE", day, key).await;
        assert_eq!(job["state"], "succeeded", "{job}");
    }
    let second = |history: &Value| history["version"] == 2;
    until(
        "the second version",
        async || get(&server, ALIAS).await,
        second,
    )
    .await;
    (scratch, data, server)
}

#[tokio::test]
async fn a_champion_answers_and_is_on_the_page_where_no_model_is_named() {
    let (_scratch, data, server) = two_versions(&[]).await;
    let newest = |answer: &Value| answer["model"] == "models:/close-1d.EDGE/2";
    let answer = until(
        "it is served",
        async || served(&server, "EDGE").await,
        newest,
    )
    .await;
    let named = json!({
        "symbol": "EDGE", "interval": "1d", "horizon": 3, "model": "models:/close-1d.EDGE@champion",
    });
    assert_eq!(post(&server, "/predict", &named, None).await.1, answer);
    assert_eq!(
        served(&server, "WALK").await["model"],
        "naive",
        "it has none"
    );

    let page = async |server: &Server, path: &str| {
        let (status, html) = server.get(path).await;
        assert_eq!(status, 200, "{html}");
        html
    };
    let html = page(&server, "/s/EDGE?interval=1d").await;
    assert!(
        html.contains("<option value=\"champion\" selected>"),
        "{html}"
    );
    assert!(
        html.contains("Forecast by the champion close-1d.EDGE, version 2"),
        "{html}"
    );
    let html = page(&server, "/s/WALK?interval=1d").await;
    assert!(html.contains("<option value=\"theta\" selected>"), "{html}");
    assert!(!html.contains("<option value=\"champion\""), "{html}");

    // The page proves by the served version that a roll-back took; without a champion it is as before.
    champion(&server, json!(1)).await;
    let html = page(&server, "/s/EDGE?interval=1d").await;
    assert!(
        html.contains("Forecast by the champion close-1d.EDGE, version 1"),
        "{html}"
    );
    champion(&server, Value::Null).await;
    assert_eq!(served(&server, "EDGE").await["model"], "naive");
    champion(&server, json!(2)).await;
    assert_eq!(server.stop(), Some(0));

    // A pinned model stays whoever is champion; an old champion is not served.
    let server = Server::start(&data, &["--set", "forecast.default_model=drift"]);
    assert_eq!(served(&server, "EDGE").await["model"], "drift");
    let html = page(&server, "/s/EDGE?interval=1d").await;
    assert!(html.contains("<option value=\"drift\" selected>"), "{html}");
    assert_eq!(server.stop(), Some(0));
    let server = Server::start(&data, &["--set", "forecast.champion_expiry_days=3"]);
    assert_eq!(served(&server, "EDGE").await["model"], "naive");
    let html = page(&server, "/s/EDGE?interval=1d").await;
    assert!(html.contains("has expired: it is not served."), "{html}");
}

/// Sixty-four connections that ask without a pause while the champion is changed twenty times.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_and_each_is_answered_by_one_version_while_the_champion_changes() {
    let flags = ["--set", "limits.predictions_per_s=0"];
    let (_scratch, _data, server) = two_versions(&flags).await;
    let mut whole = Vec::new();
    for version in [1, 2] {
        champion(&server, json!(version)).await;
        let answer = served(&server, "EDGE").await;
        assert_eq!(answer["model"], format!("models:/close-1d.EDGE/{version}"));
        whole.push((answer["mean"].clone(), answer["bands"].clone()));
    }
    assert_ne!(whole[0], whole[1]);
    let (done, whole) = (Arc::new(AtomicBool::new(false)), Arc::new(whole));
    let answered: Arc<[AtomicUsize; 2]> = Arc::default();
    let askers: Vec<_> = (0..64)
        .map(|_| {
            let (done, whole, answered) = (done.clone(), whole.clone(), answered.clone());
            // A client of its own has a connection of its own.
            let (client, url) = (client(), format!("{}/predict", server.url));
            tokio::spawn(async move {
                while !done.load(Ordering::Acquire) {
                    let answer = client.post(&url).json(&ask("EDGE")).send().await.unwrap();
                    let status = answer.status();
                    let text = answer.text().await.unwrap();
                    assert_eq!(status, 200, "{text}");
                    let answer: Value = serde_json::from_str(&text).unwrap();
                    let which = usize::from(answer["model"] == "models:/close-1d.EDGE/2");
                    let numbers = (answer["mean"].clone(), answer["bands"].clone());
                    assert_eq!(numbers, whole[which], "{}", answer["model"]);
                    answered[which].fetch_add(1, Ordering::AcqRel);
                }
            })
        })
        .collect();
    for round in 0..20 {
        champion(&server, json!(1 + round % 2)).await;
    }
    // Both have answered, however slow the machine is.
    for version in [1, 2] {
        champion(&server, json!(version)).await;
        let before = answered[version - 1].load(Ordering::Acquire);
        let more = |count: &usize| *count > before;
        let count = async || answered[version - 1].load(Ordering::Acquire);
        until("an answer by it", count, more).await;
    }
    done.store(true, Ordering::Release);
    for asker in askers {
        asker.await.unwrap();
    }
}
