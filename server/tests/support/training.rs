//! Made-up closes in a data directory, and rounds of training over HTTP.

#![allow(dead_code, reason = "each test uses a part")]

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};
use testing::Lcg;

use crate::support::{Server, client, data_dir, run, stderr, until};

/// Days in the files.
pub const DAYS: usize = 700;

/// Daily closes from 2022 on whose log-returns have this autocorrelation.
pub fn file(directory: &Path, symbol: &str, seed: u64, autocorrelation: f64) -> String {
    let mut dice = Lcg::new(seed, Lcg::MMIX);
    let (mut price, mut step) = (100.0_f64.ln(), 0.0);
    let mut text = String::from("symbol,date,open,high,low,close,volume\n");
    for day in 0..DAYS {
        step = autocorrelation * step + 0.01 * dice.normal();
        price += step;
        let date = market::Timestamp::from_secs(1_640_995_200 + 86_400 * day as i64).to_string();
        let close = price.exp();
        writeln!(
            text,
            "{symbol},{},{close},{close},{close},{close},1",
            &date[..10]
        )
        .unwrap();
    }
    let path = directory.join(format!("{symbol}.csv"));
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A data directory with a series that can be forecast and a walk that cannot.
pub fn stocked() -> (tempfile::TempDir, std::path::PathBuf) {
    let (scratch, data) = data_dir();
    for (symbol, seed, autocorrelation) in [("EDGE", 5, 0.6), ("WALK", 8, 0.0)] {
        let path = file(scratch.path(), symbol, seed, autocorrelation);
        let done = run(&["import", &path, "--data-dir", data.to_str().unwrap()]);
        assert!(done.status.success(), "{}", stderr(&done));
    }
    (scratch, data)
}

/// A round that is quick: few held-out origins.
pub fn payload(symbol: &str, last_day: usize) -> Value {
    json!({
        "symbol": symbol, "interval": "1d", "days": "always", "candidates": ["arima(1,1,0)"],
        "window": 150, "least_window": 100, "refit_every": 100, "held_out_origins": 150,
        "as_of_us": (1_640_995_200 + 86_400 * last_day as i64) * 1_000_000,
    })
}

pub async fn post(server: &Server, path: &str, body: &Value, key: Option<&str>) -> (u16, Value) {
    let mut request = client().post(format!("{}{path}", server.url)).json(body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

pub async fn get(server: &Server, path: &str) -> Value {
    let (status, text) = server.get(path).await;
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

pub async fn train(server: &Server, symbol: &str, last_day: usize, key: &str) -> Value {
    let job = json!({ "kind": "train", "payload": payload(symbol, last_day) });
    let (status, job) = post(server, "/api/jobs", &job, Some(key)).await;
    assert!([200, 201].contains(&status), "{job}");
    finished(server, job["id"].as_i64().unwrap()).await
}

pub async fn finished(server: &Server, id: i64) -> Value {
    let path = format!("/api/jobs/{id}");
    let ended = |job: &Value| !["queued", "running"].contains(&job["state"].as_str().unwrap());
    until("the job's end", async || get(server, &path).await, ended).await
}
