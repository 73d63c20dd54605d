//! How many rows a second one client pushes over HTTP in batches of 1,000, beside an older build where
//! `TICKCAST_BASELINE` names one: the two take turns, so that both meet the same machine.

use std::{path::PathBuf, time::Instant};

use anyhow::Result;
use bench_live::{Goal, figure, process::Server};

/// Batches of one turn, and rows of a batch.
const BATCHES: usize = 100;
const ROWS: usize = 1_000;
/// Turns; the median counts.
const TURNS: usize = 7;
/// 2024-03-04T00:00:00Z, in microseconds.
const MONDAY_US: i64 = 1_709_510_400_000_000;

/// Measures, and prints the ratio to the baseline where there is one.
pub async fn push() -> Result<()> {
    let baseline = std::env::var_os("TICKCAST_BASELINE").map(PathBuf::from);
    let now = Server::start(&["--source", "none"]).await?;
    let before = match &baseline {
        Some(path) => Some(Server::start_binary(path, &["--source", "none"]).await?),
        None => None,
    };
    let (mut rates, mut baselines) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        rates.push(rows_per_s(&now, turn).await?);
        if let Some(before) = &before {
            baselines.push(rows_per_s(before, turn).await?);
        }
    }
    let rate = median(&mut rates);
    let what = "rows pushed over HTTP in batches of 1,000";
    if before.is_some() {
        let baseline = median(&mut baselines);
        figure(
            &format!("{what}, older build"),
            baseline,
            "rows/s",
            Goal::None,
        );
        figure(what, rate, "rows/s", Goal::AtLeast(baseline));
    } else {
        figure(what, rate, "rows/s", Goal::None);
    }
    now.stop().await?;
    if let Some(before) = before {
        before.stop().await?;
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn rows_per_s(server: &Server, turn: usize) -> Result<f64> {
    let bodies: Vec<String> = (0..BATCHES).map(|n| batch(turn * BATCHES + n)).collect();
    let client = reqwest::Client::new();
    let url = format!("{}/api/ticks", server.url);
    let began = Instant::now();
    for body in bodies {
        let answer = client.post(&url).body(body).send().await?;
        anyhow::ensure!(answer.status().is_success(), "{}", answer.text().await?);
        answer.bytes().await?;
    }
    Ok((BATCHES * ROWS) as f64 / began.elapsed().as_secs_f64())
}

/// Rows of ten symbols, a millisecond apart.
fn batch(number: usize) -> String {
    let row = |n: usize| {
        let seq = number * ROWS + n;
        let ts = MONDAY_US + seq as i64 * 1_000;
        let price = 100.0 + (seq % 977) as f64 / 100.0;
        format!(
            r#"{{"symbol":"SYM{}","ts_us":{ts},"seq":{seq},"price":{price},"size":{}}}"#,
            seq % 10,
            1 + seq % 50
        )
    };
    let rows: Vec<String> = (0..ROWS).map(row).collect();
    format!("[{}]", rows.join(","))
}
