//! `import`, `forecast` and `deadletters` on real input.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod support;

use serde_json::Value;
use support::{data_dir, run, stderr, stdout};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/stocks-daily.csv.gz");

#[test]
fn the_sample_data_is_imported_and_a_second_import_changes_nothing() {
    let (_scratch, data) = data_dir();
    let data = data.display().to_string();
    let first = run(&[
        "import",
        SAMPLE,
        "--column",
        "Adj Close",
        "--data-dir",
        &data,
    ]);
    assert!(first.status.success(), "{}", stderr(&first));
    assert!(stdout(&first).contains("12154 rows"), "{}", stdout(&first));
    let again = run(&[
        "import",
        SAMPLE,
        "--column",
        "Adj Close",
        "--data-dir",
        &data,
    ]);
    assert!(again.status.success(), "{}", stderr(&again));
}

#[test]
fn bad_rows_of_a_file_become_dead_letters_and_go_through_after_a_fix() {
    let (scratch, data) = data_dir();
    let file = scratch.path().join("prices.csv");
    std::fs::write(
        &file,
        "symbol,date,open,high,low,close,volume\n\
         ACME,2024-03-01,10,12,9,11,100\n\
         ACME,2024-03-04,10,8,9,11,100\n\
         OTHER,2024-03-01,1,1,1,1,1\n\
         ACME,not a day,10,12,9,11,100\n",
    )
    .unwrap();
    let (file, data) = (file.display().to_string(), data.display().to_string());
    let only_acme = ["--set", "ingest.symbols=ACME", "--data-dir", &data];
    let output = run(&[&["import", &file][..], &only_acme].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let listed = run(&["deadletters", "list", "--json", "--data-dir", &data]);
    let letters: Vec<Value> = stdout(&listed)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let mut reasons: Vec<&str> = letters
        .iter()
        .map(|l| l["reason"].as_str().unwrap())
        .collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        ["bad_bar", "bad_timestamp", "unknown_symbol"],
        "{}",
        stderr(&listed)
    );
    assert!(
        letters[0]["origin"]
            .as_str()
            .unwrap()
            .contains("prices.csv:3"),
        "{}",
        letters[0]
    );
    // The fix: every symbol is taken.
    let replayed = run(&["deadletters", "replay", "--data-dir", &data]);
    assert_eq!(
        stdout(&replayed).trim(),
        "1 replayed, 2 still cannot be used",
        "{}",
        stderr(&replayed)
    );
    let left = run(&["deadletters", "list", "--json", "--data-dir", &data]);
    assert_eq!(stdout(&left).lines().count(), 2);
}

#[test]
fn forecast_gives_one_row_per_series_and_step() {
    let output = run(&[
        "forecast",
        "--input",
        SAMPLE,
        "--id",
        "Ticker",
        "--column",
        "Adj Close",
        "--model",
        "drift",
        "--horizon",
        "3",
        "--format",
        "csv",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("id,step,mean,lo-80,hi-80,lo-95,hi-95"));
    assert_eq!(lines.count(), 5 * 3);
}

#[test]
fn forecast_json_carries_the_fit() {
    let (scratch, _) = data_dir();
    let file = scratch.path().join("y.csv");
    std::fs::write(&file, "y\n1\n2\n\n4\n5\n7\n").unwrap();
    let file = file.display().to_string();
    let output = run(&[
        "forecast",
        "--input",
        &file,
        "--model",
        "naive",
        "--horizon",
        "2",
        "--level",
        "90",
        "--format",
        "json",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(value["mean"], serde_json::json!([7.0, 7.0]));
    for key in [
        "model", "params", "sigma2", "loglik", "aic", "aicc", "bic", "seconds",
    ] {
        assert!(value.get(key).is_some(), "{key} is missing in {value}");
    }
    assert!(value["lower"]["90"][1].as_f64() < value["lower"]["90"][0].as_f64());
}

#[test]
fn a_forecast_of_nothing_usable_says_why() {
    let (scratch, _) = data_dir();
    let file = scratch.path().join("y.csv");
    std::fs::write(&file, "y\nten\n").unwrap();
    let file = file.display().to_string();
    let output = run(&[
        "forecast",
        "--input",
        &file,
        "--model",
        "naive",
        "--horizon",
        "2",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("line 2: \"ten\""),
        "{}",
        stderr(&output)
    );
}

#[test]
fn backtest_gives_one_row_per_series_and_model_and_draws_the_errors() {
    let (scratch, _) = data_dir();
    let plot = scratch.path().join("errors.svg").display().to_string();
    let output = run(&[
        "backtest",
        "--input",
        SAMPLE,
        "--id",
        "Ticker",
        "--column",
        "Adj Close",
        "--model",
        "drift",
        "--model",
        "theta",
        "--horizon",
        "5",
        "--origins",
        "8",
        "--window",
        "100",
        "--log",
        "--format",
        "csv",
        "--plot",
        &plot,
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let header = csv.headers().unwrap().clone();
    for name in [
        "id", "model", "MASE", "RMSSE", "sMAPE", "pinball", "CRPS", "cover-80", "width-95",
        "p-naive",
    ] {
        assert!(
            header.iter().any(|h| h == name),
            "{name} is missing in {header:?}"
        );
    }
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    // Five series and all of them together; drift, theta and the naive that always runs.
    assert_eq!(rows.len(), (5 + 1) * 3, "{text}");
    let mase = header.iter().position(|h| h == "MASE").unwrap();
    assert!(
        rows.iter().all(|r| r[mase].parse::<f64>().unwrap() > 0.0),
        "{text}"
    );
    let svg = std::fs::read_to_string(plot).unwrap();
    assert!(
        svg.starts_with("<svg") && svg.contains("theta"),
        "{}",
        &svg[..200]
    );
}

#[test]
fn a_backtest_that_does_not_fit_the_series_says_how_many_observations_it_needs() {
    let (scratch, _) = data_dir();
    let file = scratch.path().join("y.csv");
    std::fs::write(&file, "y\n1\n2\n3\n4\n").unwrap();
    let file = file.display().to_string();
    let output = run(&[
        "backtest",
        "--input",
        &file,
        "--model",
        "drift",
        "--horizon",
        "2",
        "--origins",
        "9",
    ]);
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("observations"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn every_model_forecasts_the_real_prices() {
    for model in [
        "naive",
        "drift",
        "snaive",
        "mean",
        "ets",
        "theta",
        "arima(1,1,1)",
        "arima(0,1,1)+drift",
        "auto-arima",
        "garch",
        "combo",
    ] {
        let output = run(&[
            "forecast",
            "--input",
            SAMPLE,
            "--id",
            "Ticker",
            "--column",
            "Adj Close",
            "--model",
            model,
            "--season",
            "5",
            "--horizon",
            "5",
            "--log",
            "--format",
            "csv",
        ]);
        assert!(output.status.success(), "{model}: {}", stderr(&output));
        assert_eq!(stdout(&output).lines().count(), 1 + 5 * 5, "{model}");
    }
}
