//! Files of columns and of JSON, by the commands that read prices: one reader for all of them.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
};

use crate::support::{data_dir, run, stderr, stdout, tickcast};

/// A fixture of the reader's own tests (their make.py says how they were written).
fn fixture(name: &str) -> String {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/source/tests/files/columnar"
    );
    PathBuf::from(folder).join(name).display().to_string()
}

const FILES: [&str; 6] = [
    "pandas-gzip.parquet",
    "pandas-new-york-index.parquet",
    "arrow-decimal128.parquet",
    "pandas-lz4.feather",
    "arrow-stream.arrows",
    "pandas-records.json",
];

#[test]
fn what_import_takes_forecast_and_backtest_take_too() {
    for name in FILES {
        let (scratch, data) = data_dir();
        let data = data.display().to_string();
        let file = fixture(name);
        let imported = run(&["import", &file, "--symbol", "ACME", "--data-dir", &data]);
        let said = stdout(&imported);
        assert!(imported.status.success(), "{name}: {}", stderr(&imported));
        assert!(
            said.contains("bars of 1d") && said.contains("8 new"),
            "{name}: {said}"
        );
        let out = scratch.path().join("out.csv");
        let flags = ["export", "--interval=1d", "--data-dir", &data, "-o"];
        let exported = run(&[&flags[..], &[out.to_str().unwrap()]].concat());
        assert!(exported.status.success(), "{}", stderr(&exported));
        let rows = fs::read_to_string(&out).unwrap();
        let days: Vec<&str> = rows.lines().skip(1).collect();
        assert_eq!(days.len(), 8, "{name}: {rows}");
        assert!(
            days[0].contains(",1772582400000000,"),
            "{name}: {}",
            days[0]
        );
        let forecast = ["--model", "naive", "--horizon", "1", "--format", "csv"];
        let by_name = run(&[&["forecast", "--input", &file][..], &forecast].concat());
        let told = stdout(&by_name);
        assert!(
            told.contains("\n1,192.6,"),
            "{name}: {told} {}",
            stderr(&by_name)
        );
        let by_stdin = tickcast()
            .args([&["forecast", "--input", "-"][..], &forecast].concat())
            .stdin(Stdio::from(File::open(&file).unwrap()))
            .output()
            .unwrap();
        assert_eq!(stdout(&by_stdin), told, "{name}: {}", stderr(&by_stdin));
        let flags = [
            "--model",
            "naive",
            "--horizon",
            "1",
            "--origins",
            "2",
            "--season",
            "1",
        ];
        let tested = run(&[&["backtest", "--input", &file][..], &flags].concat());
        assert!(tested.status.success(), "{name}: {}", stderr(&tested));
    }
}

#[test]
fn a_table_of_two_tickers_is_two_series_to_every_command() {
    let (_scratch, data) = data_dir();
    let data = data.display().to_string();
    let file = fixture("yfinance-group-by-column.parquet");
    let imported = run(&["import", &file, "--data-dir", &data]);
    assert!(
        stdout(&imported).contains("of 2 symbols"),
        "{}",
        stdout(&imported)
    );
    let forecast = ["--model", "naive", "--horizon", "1", "--format", "csv"];
    let both = run(&[&["forecast", "--input", &file][..], &forecast].concat());
    assert_eq!(both.status.code(), Some(2), "{}", stdout(&both));
    let one = run(&[
        &["forecast", "--input", &file, "--symbol", "MSFT"][..],
        &forecast,
    ]
    .concat());
    assert!(
        stdout(&one).contains("\n1,202.6,"),
        "{} {}",
        stdout(&one),
        stderr(&one)
    );
}
