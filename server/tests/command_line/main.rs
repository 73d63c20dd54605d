//! `import`, `export` and `deadletters` on real input, and removal by age; which symbols
//! an export has, forecasting, training and schedules, in their own files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

mod columnar;
mod edges;
mod exporting;
mod files;
mod forecasting;
mod scheduling;
#[path = "../support/mod.rs"]
mod support;
mod training;

use market::{Bar, Interval, Symbol, Tick, TickKey, Timestamp};
use serde_json::Value;
use store::{BarQuery, PriceReader as _, SqliteOptions, SqliteStore};
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

/// What is stored of a symbol: every tick, and the bars of an interval without what a file of bars
/// does not keep.
async fn stored(data: &str, interval: Interval) -> (Vec<Tick>, Vec<Bar>) {
    let store = SqliteStore::open(SqliteOptions::new(data)).await.unwrap();
    let symbol: Symbol = "ACME".parse().unwrap();
    let all = (Timestamp::MIN, Timestamp::MAX, usize::MAX);
    let ticks = store.ticks(&symbol, all.0, all.1, all.2).await.unwrap();
    let query = BarQuery {
        symbol,
        interval,
        from: all.0,
        until: all.1,
        limit: all.2,
    };
    let mut bars = store.bars(&query).await.unwrap();
    let key = TickKey {
        ts: Timestamp::MIN,
        seq: 0,
    };
    for bar in &mut bars {
        (bar.trades, bar.first, bar.last) = (0, key, key);
    }
    store.close().await.unwrap();
    (ticks, bars)
}

#[tokio::test]
async fn what_is_exported_is_imported_into_a_fresh_store_as_it_was_in_both_formats() {
    let (scratch, data) = data_dir();
    let file = scratch.path().join("ticks.csv");
    let mut text = "symbol,ts_us,seq,price,size\n".to_owned();
    for i in 0..5_000_i64 {
        let ts = 1_700_000_000_000_000 + i * 350_001;
        let price = 100.0 + (i % 77) as f64 / 7.0;
        text += &format!("ACME,{ts},{i},{price},{}\n", (i % 5) as f64 / 3.0);
    }
    std::fs::write(&file, text).unwrap();
    let (file, data) = (file.display().to_string(), data.display().to_string());
    let imported = run(&["import", &file, "--data-dir", &data]);
    assert!(imported.status.success(), "{}", stderr(&imported));
    let (ticks, bars) = stored(&data, Interval::M1).await;
    assert_eq!(ticks.len(), 5_000);
    for format in ["csv", "parquet"] {
        let path = |what: &str| {
            let path = scratch.path().join(format!("{format}-{what}"));
            path.display().to_string()
        };
        for (what, rows) in [("ticks", "--ticks"), ("bars", "--interval=1m")] {
            let output = format!("{}.{format}", path(what));
            let exported = run(&["export", "-o", &output, rows, "--data-dir", &data]);
            assert!(exported.status.success(), "{}", stderr(&exported));
            let fresh = path(&format!("data-{what}"));
            let imported = run(&["import", &output, "--data-dir", &fresh]);
            assert!(imported.status.success(), "{}", stderr(&imported));
            assert!(
                stdout(&imported).contains(" 0 put aside"),
                "{}",
                stdout(&imported)
            );
            let (fresh_ticks, fresh_bars) = stored(&fresh, Interval::M1).await;
            assert_eq!(fresh_bars, bars, "{format}");
            if what == "ticks" {
                assert_eq!(fresh_ticks, ticks, "{format}");
            }
        }
    }
    // A directory gets a file per symbol, and a second run leaves what is there.
    let directory = format!("{}/out/", scratch.path().display());
    for expected in ["rows", "there already"] {
        let flags = [
            "--interval",
            "1h",
            "--format",
            "parquet",
            "--data-dir",
            &data,
        ];
        let exported = run(&[&["export", "-o", &directory][..], &flags].concat());
        assert!(
            stdout(&exported).contains(expected),
            "{}",
            stdout(&exported)
        );
    }
    assert!(std::path::Path::new(&format!("{directory}ACME.1h.parquet")).is_file());
    let unknown = run(&[
        "export",
        "-o",
        "x.csv",
        "--symbol",
        "NONE",
        "--data-dir",
        &data,
    ]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        stderr(&unknown).contains("no prices of NONE"),
        "{}",
        stderr(&unknown)
    );
}

#[tokio::test]
async fn what_is_older_than_its_age_is_removed_while_the_server_runs() {
    let (_scratch, data) = data_dir();
    let ages = [
        "--set",
        "retention.ticks_days=2",
        "--set",
        "retention.bars_days=1s=2",
    ];
    let server = support::Server::start(&data, &ages);
    let row = |days: i64, seq: u64| {
        serde_json::json!({"symbol": "ACME", "ts_us": support::now_us() - days * 86_400_000_000,
                           "seq": seq, "price": 10, "size": 1})
    };
    let post = support::client()
        .post(format!("{}/api/ticks", server.url))
        .body(Value::from(vec![row(9, 1), row(5, 2), row(0, 3)]).to_string());
    assert_eq!(post.send().await.unwrap().status(), 200);
    let removed = |kind: &str, n: u64| {
        format!("tickcast_retention_removed_rows_total{{kind=\"{kind}\"}} {n}")
    };
    let all = |metrics: &String| {
        metrics.contains(&removed("ticks", 2)) && metrics.contains(&removed("bars_1s", 2))
    };
    let metrics = async || server.get("/metrics").await.1;
    support::until("the removal of old rows", metrics, all).await;
    assert_eq!(server.stop(), Some(0));
    let (ticks, minutes) = stored(&data.display().to_string(), Interval::M1).await;
    assert_eq!(
        (ticks.len(), minutes.len()),
        (1, 3),
        "bars of other intervals stay"
    );
}
