//! Networks from outside: one is really trained as a candidate, promoted or refused, served, and goes on after a kill.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;
#[path = "support/training.rs"]
mod training;

use serde_json::{Value, json};
use support::{Server, run, stderr, stdout, until};
use training::{finished, get, payload, post, stocked};

const LSTM: &str = "lstm(small,window=16,epochs=60,patience=60)";

/// A round over both symbols' closes whose only candidate is this.
fn of(candidate: &str, symbol: &str) -> Value {
    let mut payload = payload(symbol, 650);
    payload["candidates"] = json!([candidate]);
    payload["together"] = json!(["EDGE", "WALK"]);
    json!({ "kind": "train", "payload": payload })
}

async fn submit(server: &Server, job: &Value) -> i64 {
    let (status, job) = post(server, "/api/jobs", job, None).await;
    assert_eq!(status, 201, "{job}");
    job["id"].as_i64().unwrap()
}

async fn log(server: &Server, id: i64) -> String {
    get(server, &format!("/api/jobs/{id}/log"))
        .await
        .to_string()
}

/// The hash of the weights of a version.
async fn weights(server: &Server, name: &str) -> String {
    let version = get(server, &format!("/api/models/{name}/versions/1")).await;
    let mut files = version["artefacts"].as_array().unwrap().iter();
    let file = files.find(|file| file["path"] == "model.safetensors");
    file.unwrap()["sha256"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_network_is_trained_judged_and_served_or_refused_in_words_and_survives_a_kill() {
    let (_scratch, data) = stocked();
    let flags = ["--set", "training.lease_ms=1000"];
    let server = Server::start(&data, &flags);

    // Killed in the middle of the training, which the next process goes on with.
    let id = submit(&server, &of(LSTM, "EDGE")).await;
    let begun = |log: &String| log.contains("epoch 3 of 60");
    let seen = until("three epochs", async || log(&server, id).await, begun).await;
    assert!(
        seen.contains("validation") && seen.contains("windows/s"),
        "{seen}"
    );
    let job = get(&server, &format!("/api/jobs/{id}")).await;
    assert_eq!(job["state"], "running", "{job}");
    server.kill();
    let server = Server::start(&data, &flags);
    let edge = finished(&server, id).await;
    assert_eq!(edge["state"], "succeeded", "{edge}");
    assert_eq!(
        edge["result"]["action"], "promote",
        "{}",
        edge["result"]["words"]
    );
    assert_eq!(log(&server, id).await.matches("epoch 1 of 60").count(), 1);
    let measures = &edge["result"]["measures"];
    assert!(
        measures["crps"].is_f64() && measures["mase"].is_f64(),
        "{measures}"
    );

    let ask =
        |model: &str| json!({ "symbol": "EDGE", "interval": "1d", "horizon": 3, "model": model });
    let champion = ask("models:/close-1d.EDGE@champion");
    let (status, served) = post(&server, "/predict", &champion, None).await;
    assert_eq!(status, 200, "{served}");
    let killed = weights(&server, "close-1d.EDGE").await;
    // By its bare name it cannot be asked for: it is trained first.
    let (status, problem) = post(&server, "/predict", &ask("lstm"), None).await;
    assert_eq!(
        (status, &problem["field"]),
        (422, &json!("model")),
        "{problem}"
    );

    // The other symbol's round judges the same network, which knows nothing of a walk.
    let walk = finished(&server, submit(&server, &of(LSTM, "WALK")).await).await;
    let result = &walk["result"];
    assert_eq!(
        (&result["action"], &result["promoted"]),
        (&json!("keep"), &json!(false))
    );
    assert_eq!(
        result["networks"][0]["trained"], false,
        "once for both symbols"
    );
    let words = result["words"].as_str().unwrap();
    assert!(
        words.contains("Naive is served") && words.contains(LSTM),
        "{words}"
    );
    assert_eq!(
        get(&server, "/api/models/close-1d.WALK/versions").await,
        json!([])
    );
    assert_eq!(server.stop(), Some(0));

    // A process that nobody killed has the same weights.
    let (_scratch, data) = stocked();
    let server = Server::start(&data, &flags);
    let whole = finished(&server, submit(&server, &of(LSTM, "EDGE")).await).await;
    assert_eq!(whole["state"], "succeeded", "{whole}");
    assert_eq!(weights(&server, "close-1d.EDGE").await, killed);
    assert_eq!(
        whole["result"]["measures"]["crps"],
        edge["result"]["measures"]["crps"]
    );
    let (_, again) = post(&server, "/predict", &champion, None).await;
    assert_eq!(again["mean"], served["mean"]);
}

#[tokio::test]
async fn a_training_ends_when_it_is_cancelled() {
    let (_scratch, data) = stocked();
    let server = Server::start(&data, &["--set", "training.lease_ms=1000"]);
    let id = submit(&server, &of("lstm(epochs=1000,patience=1000)", "EDGE")).await;
    let path = format!("/api/jobs/{id}");
    let trains = |job: &Value| job["progress"].to_string().contains(": epoch ");
    let job = until("a step", async || get(&server, &path).await, trains).await;
    let progress = &job["progress"];
    assert!(
        progress["total"].as_u64() > progress["done"].as_u64(),
        "{job}"
    );
    let (status, _) = post(&server, &format!("{path}/cancel"), &json!({}), None).await;
    assert!([200, 202].contains(&status));
    assert_eq!(finished(&server, id).await["state"], "cancelled");
}

#[test]
fn the_command_submits_a_network_by_the_flags_that_describe_one() {
    let (_scratch, data) = stocked();
    let data = data.display().to_string();
    let train = |flags: &[&str]| {
        let mut line = vec![
            "train",
            "--symbols",
            "EDGE,WALK",
            "--days",
            "always",
            "--json",
        ];
        line.extend(["--as-of", "2023-11-20T00:00:00Z", "--data-dir", &data]);
        line.extend(flags);
        run(&line)
    };
    let nlinear = [
        "--model",
        "nlinear",
        "--window",
        "16",
        "--epochs",
        "3",
        "--ensemble",
        "2",
    ];
    let done = train(&nlinear);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    for job in stdout(&done).lines() {
        let job: Value = serde_json::from_str(job).unwrap();
        let payload = &job["payload"];
        assert_eq!(
            payload["candidates"],
            json!(["nlinear(window=16,seeds=2,epochs=3)"])
        );
        assert_eq!(payload["together"], json!(["EDGE", "WALK"]));
        let network = &job["result"]["networks"][0];
        assert_eq!(network["epochs"].as_array().unwrap().len(), 2, "{network}");
    }
    for (flags, what) in [
        (&["--size", "small"][..], "--size"),
        (&["--candidate", "lstm(huge)"], "lstm(huge)"),
        (&["--model", "lstm", "--holdout", "5"], "--holdout"),
        (&["--judged-by", "luck"], "points or quantiles"),
    ] {
        let refused = train(flags);
        assert_eq!(refused.status.code(), Some(2), "{what}");
        assert!(stderr(&refused).contains(what), "{}", stderr(&refused));
    }
}

#[test]
fn a_model_that_reads_volumes_is_given_them_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let input = training::file(folder.path(), "EDGE", 5, 0.6);
    let out = folder.path().join("lstm");
    let out = out.to_str().unwrap();
    let with = |command: &str, flags: &[&str]| {
        let mut line = vec![command, "--input", &input, "--horizon", "2"];
        line.extend(flags);
        run(&line)
    };
    let small = [
        "--model", "lstm", "--size", "small", "--window", "16", "--epochs", "2",
    ];
    let mut flags = small.to_vec();
    flags.extend(["--covariate", "volume", "--out", out]);
    let done = with("train", &flags);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(
        !stderr(&done).contains("without the covariate"),
        "{}",
        stderr(&done)
    );
    let model = format!("lstm:{out}");
    let done = with("forecast", &["--model", &model, "--format", "json"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let done = with(
        "backtest",
        &["--model", &model, "--origins", "3", "--format", "json"],
    );
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let report: Value = serde_json::from_str(&stdout(&done)).unwrap();
    let rows = report["models"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row["model"] == model.as_str())
        .unwrap();
    assert_eq!(row["failures"], 0, "{row}");
    // A file without the column says so, and nothing is guessed.
    let done = with(
        "forecast",
        &["--model", &model, "--volume-column", "turnover"],
    );
    assert_ne!(done.status.code(), Some(0));
    let words = stderr(&done);
    assert!(
        words.contains("no volumes") && words.contains("volume"),
        "{words}"
    );
}

#[tokio::test]
async fn a_schedule_has_its_symbols_learnt_from_together() {
    let (_scratch, data) = stocked();
    let mut flags = Vec::new();
    for setting in [
        "training.schedule=* * * * * *",
        "training.days=always",
        "training.candidates=nlinear(window=16,epochs=2)",
        "training.judged_by=quantiles",
    ] {
        flags.extend(["--set", setting]);
    }
    let server = Server::start(&data, &flags);
    let two = |jobs: &Value| jobs.as_array().unwrap().len() >= 2;
    let path = "/api/jobs?kind=train";
    let jobs = until("a fire", async || get(&server, path).await, two).await;
    for job in jobs.as_array().unwrap() {
        assert_eq!(job["payload"]["together"], json!(["EDGE", "WALK"]), "{job}");
        assert_eq!(job["payload"]["judged_by"], "quantiles");
    }
}
