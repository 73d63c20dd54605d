//! Files of every writer at hand (tests/files/columnar/make.py says how they were made) hold the same
//! eight bars, and must give the same columns.

use std::{collections::BTreeMap, path::PathBuf};

use market::{Interval, RejectReason, Timestamp};

use super::*;
use crate::{
    Decoded, SourceError,
    file::{
        FileOptions, PriceFile,
        table::{Column, MISSING},
    },
};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/files/columnar")
        .join(name)
}

fn open(name: &str) -> ColumnarTable {
    let input = Input::open(&path(name)).unwrap();
    let format = Format::of_head(&input.head(64).unwrap()).expect("a format that is known");
    ColumnarTable::open(input, format).unwrap()
}

const DAYS: [&str; 8] = [
    "2026-03-04",
    "2026-03-05",
    "2026-03-06",
    "2026-03-09",
    "2026-03-10",
    "2026-03-11",
    "2026-03-12",
    "2026-03-13",
];
const OPEN: [f64; 8] = [190.0, 190.5, 190.09, 190.07, 191.25, 191.0, 190.75, 192.03];
const HIGH: [f64; 8] = [191.21, 191.08, 190.38, 191.5, 192.0, 191.31, 192.25, 193.11];
const LOW: [f64; 8] = [189.67, 189.4, 189.8, 189.95, 190.87, 190.02, 190.5, 191.77];
const CLOSE: [f64; 8] = [190.5, 190.09, 190.08, 191.2, 191.04, 190.71, 192.01, 192.6];
const VOLUME: [f64; 8] = [
    27_282.0, 67_664.0, 34_231.0, 51_870.0, 40_012.0, 38_777.0, 61_205.0, 45_990.0,
];

/// All rows of a table, as texts of integers and floats.
fn rows(table: &ColumnarTable, batch_rows: usize) -> Vec<Vec<String>> {
    let wanted: Vec<usize> = (0..table.columns().len())
        .filter(|at| !matches!(table.columns()[*at].kind, ColumnKind::Other(_)))
        .collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    table
        .scan(&wanted, batch_rows, &mut |batch| {
            assert!(batch.rows <= batch_rows);
            assert_eq!(batch.first_row, rows.len() as u64);
            for row in 0..batch.rows {
                let text = |c: &Column| String::from_utf8(c.text(row).into_owned()).unwrap();
                rows.push(batch.columns.iter().map(text).collect());
            }
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    rows
}

/// The rows by the lower-case names of their columns.
fn by_name(table: &ColumnarTable) -> Vec<BTreeMap<String, String>> {
    let names: Vec<String> = table
        .columns()
        .iter()
        .filter(|c| !matches!(c.kind, ColumnKind::Other(_)))
        .map(|c| c.name.to_ascii_lowercase())
        .collect();
    rows(table, 3)
        .into_iter()
        .map(|row| names.iter().cloned().zip(row).collect())
        .collect()
}

/// All rows of a file.
fn read(name: &str, change: impl FnOnce(&mut FileOptions)) -> (PriceFile, Decoded) {
    let mut options = FileOptions::new("2026-11-01".parse().unwrap());
    change(&mut options);
    let file = PriceFile::open(&path(name), options).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut all = Decoded::default();
    let take = |batch: Decoded| {
        all.ticks.extend(batch.ticks);
        all.bars.extend(batch.bars);
        all.rejects.extend(batch.rejects);
        Ok(())
    };
    file.for_each(|_| {}, take).unwrap();
    (file, all)
}

fn as_acme(options: &mut FileOptions) {
    options.symbol = Some("ACME".parse().unwrap());
}

fn assert_daily(name: &str) {
    let (file, all) = read(name, as_acme);
    assert_eq!(file.interval(), Some(Interval::D1), "{name}");
    assert_eq!(
        (all.bars.len(), all.rejects.len()),
        (8, 0),
        "{name}: {:?}",
        all.rejects
    );
    for (at, bar) in all.bars.iter().enumerate() {
        assert_eq!(bar.symbol.as_str(), "ACME", "{name}");
        assert_eq!(bar.start, DAYS[at].parse().unwrap(), "{name}");
        assert_eq!(bar.volume, VOLUME[at], "{name}");
        let prices = [bar.open, bar.high, bar.low, bar.close];
        let expected = [OPEN[at], HIGH[at], LOW[at], CLOSE[at]];
        // Sixteen bits hold three digits.
        let within = if name.contains("float16") { 0.07 } else { 0.0 };
        for (price, expected) in prices.into_iter().zip(expected) {
            assert!(
                (price - expected).abs() <= within,
                "{name}: {price} {expected}"
            );
        }
    }
}

#[test]
fn the_same_bars_are_read_from_the_files_of_every_writer() {
    for name in [
        "pandas-naive-ns.parquet",
        "pandas-new-york-index.parquet",
        "pandas-tokyo-index.parquet",
        "pandas-utc-ms.parquet",
        "pandas-unnamed-index.parquet",
        "pandas-adj-close.parquet",
        "pandas-seconds.parquet",
        "pandas-snappy.parquet",
        "pandas-zstd.parquet",
        "pandas-gzip.parquet",
        "pandas-lz4.parquet",
        "pandas-brotli.parquet",
        "pandas-uncompressed.parquet",
        "pandas-lz4.feather",
        "pandas-zstd.feather",
        "pandas-uncompressed.feather",
        "arrow-decimal128.parquet",
        "arrow-decimal32-as-integer.parquet",
        "arrow-decimal64-as-integer.parquet",
        "arrow-decimal256.parquet",
        "arrow-float32.parquet",
        "arrow-float16.parquet",
        "arrow-int96.parquet",
        "arrow-no-schema.parquet",
        "arrow-version-1.parquet",
        "arrow-data-page-2.parquet",
        "arrow-row-groups.parquet",
        "arrow-large-string.arrow",
        "arrow-string-view.arrow",
        "arrow-binary.arrow",
        "arrow-stream.arrows",
        "polars-date.parquet",
        "polars-decimal.parquet",
        "polars-tokyo.parquet",
        "polars-categorical.parquet",
        "polars-enum.arrow",
        "polars.arrow",
        "polars-zstd.arrow",
        "polars-stream.arrows",
        "fastparquet-new-york.parquet",
        "fastparquet-lz4.parquet",
        "yfinance-history.parquet",
        "pandas-text-dates.parquet",
        "pandas-records.json",
        "pandas-lines.jsonl",
        "polars-lines.ndjson",
    ] {
        assert_daily(name);
    }
}

#[test]
fn nanoseconds_of_1971_are_those_of_1971() {
    let (_, all) = read("pandas-1971-ns.parquet", as_acme);
    let expected: Timestamp = "1971-03-04".parse().unwrap();
    assert_eq!((all.bars.len(), all.bars[0].start), (8, expected));
}

#[test]
fn the_tables_of_yfinance_give_each_symbol_its_bars() {
    for name in [
        "yfinance-group-by-column.parquet",
        "yfinance-group-by-ticker.parquet",
        "yfinance-reset-index.parquet",
        "yfinance-through-polars.parquet",
        "yfinance-one-ticker.parquet",
    ] {
        let (_, all) = read(name, |_| {});
        let closes = |symbol: &str| -> Vec<f64> {
            let bars = all.bars.iter().filter(|b| b.symbol.as_str() == symbol);
            bars.map(|b| b.close).collect()
        };
        assert_eq!(closes("AAPL"), CLOSE, "{name}");
        if !name.contains("one") {
            assert_eq!(closes("MSFT"), CLOSE.map(|c| c + 10.0), "{name}");
        }
        assert_eq!(all.rejects, [], "{name}");
    }
}

#[test]
fn an_adjusted_close_scales_the_bars_of_a_columnar_file_too() {
    let (_, all) = read("pandas-adj-close.parquet", |options| {
        as_acme(options);
        options.close_column = Some("Adj Close".into());
    });
    assert_eq!((all.bars[0].close, all.bars[7].close), (186.69, 192.6));
    assert!((all.bars[0].open - 190.0 * (186.69 / 190.5)).abs() < 1e-9);
}

#[test]
fn the_candles_and_trades_of_freqtrade_are_read_in_each_width_of_its_dates() {
    for file in [
        "freqtrade-ns/BTC_USDT-5m.feather",
        "freqtrade-ms/BTC_USDT-5m.feather",
        "freqtrade-int/BTC_USDT-5m.feather",
        "freqtrade-int/BTC_USDT-5m.json",
        "freqtrade-int/BTC_USDT-5m.json.gz",
        "freqtrade-ns/ETH_USDT_USDT-5m-futures.parquet",
        "freqtrade-ms/ETH_USDT_USDT-5m-futures.parquet",
        "freqtrade-int/ETH_USDT_USDT-5m-futures.parquet",
    ] {
        let (read, all) = read(file, |_| {});
        assert_eq!(read.interval(), Some(Interval::M5), "{file}");
        assert_eq!((all.bars.len(), all.rejects.len()), (8, 0), "{file}");
        let first = &all.bars[0];
        assert_eq!(
            first.start,
            "2026-03-04T09:30:00Z".parse().unwrap(),
            "{file}"
        );
        assert_eq!(
            (first.open, first.close, first.volume),
            (190.0, 190.5, 27_282.0)
        );
        let symbol = if file.contains("ETH") {
            "ETH_USDT_USDT"
        } else {
            "BTC_USDT"
        };
        assert_eq!(first.symbol.as_str(), symbol);
    }
    for file in [
        "freqtrade-int/BTC_USDT-trades.feather",
        "freqtrade-int/BTC_USDT-trades.json",
    ] {
        let (_, all) = read(file, |_| {});
        let told: Vec<(i64, u64, f64, f64)> = all
            .ticks
            .iter()
            .map(|t| (t.ts.as_millis(), t.seq, t.price, t.size))
            .collect();
        let expected = [
            (1_772_616_600_000, 900_001, 64_250.5, 0.25),
            (1_772_616_600_000, 900_002, 64_250.4, 0.5),
            (1_772_616_601_250, 900_003, 64_251.0, 0.125),
        ];
        assert_eq!(told, expected, "{file}: {:?}", all.rejects);
        assert_eq!(all.ticks[0].symbol.as_str(), "BTC_USDT");
    }
}

#[test]
fn rows_with_holes_are_rejected_and_a_date_beside_a_time_of_day_is_one_time() {
    let (_, all) = read("pandas-holes.parquet", as_acme);
    let reasons: Vec<_> = all
        .rejects
        .iter()
        .map(|r| (r.reason, r.origin.as_str()))
        .collect();
    assert_eq!(all.bars.len(), 6);
    assert_eq!(
        reasons,
        [
            (RejectReason::BadPrice, "parquet:pandas-holes.parquet:3"),
            (RejectReason::BadTimestamp, "parquet:pandas-holes.parquet:5"),
        ]
    );
    let (file, all) = read("arrow-date-and-time.parquet", as_acme);
    assert_eq!((file.interval(), all.bars.len()), (Some(Interval::M1), 8));
    assert_eq!(all.bars[7].start, "2026-03-04T09:37:00Z".parse().unwrap());
    let (_, all) = read("polars-trades.parquet", |_| {});
    let prices: Vec<f64> = all.ticks.iter().map(|t| t.price).collect();
    assert_eq!(prices, [190.5, 190.49, 12.25, 190.52]);
    assert!(all.ticks[0].ts == all.ticks[1].ts && all.ticks[0].seq < all.ticks[1].seq);
    let (_, all) = read("pandas-category-ticker.parquet", |_| {});
    assert_eq!((all.bars.len(), all.bars[15].symbol.as_str()), (16, "MSFT"));
}

#[test]
fn names_of_two_levels_give_each_column_its_symbol_in_either_order() {
    for name in [
        "yfinance-group-by-column.parquet",
        "yfinance-group-by-ticker.parquet",
        "yfinance-reset-index.parquet",
        "yfinance-through-polars.parquet",
    ] {
        let table = open(name);
        let of = |symbol: Option<&str>| -> Vec<String> {
            let of_symbol = table
                .columns()
                .iter()
                .filter(|c| c.symbol.as_deref() == symbol);
            let mut names: Vec<String> = of_symbol.map(|c| c.name.clone()).collect();
            names.sort();
            names
        };
        let prices = ["Close", "High", "Low", "Open", "Volume"];
        assert_eq!(of(Some("AAPL")), prices, "{name}");
        assert_eq!(of(Some("MSFT")), prices, "{name}");
        assert_eq!(of(None), ["Date"], "{name}");
        let at = |symbol: &str| {
            let is = |c: &ColumnInfo| c.name == "Close" && c.symbol.as_deref() == Some(symbol);
            table.columns().iter().position(is).unwrap()
        };
        // In the order that is asked for, which need not be the file's.
        let wanted = [at("MSFT"), at("AAPL")];
        table
            .scan(&wanted, 100, &mut |batch| {
                let text = |column: usize| batch.columns[column].text(0).into_owned();
                assert_eq!((text(0), text(1)), (b"200.5".to_vec(), b"190.5".to_vec()));
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
    }
    let one = open("yfinance-one-ticker.parquet");
    let symbols: Vec<_> = one
        .columns()
        .iter()
        .filter_map(|c| c.symbol.clone())
        .collect();
    assert_eq!(symbols, vec!["AAPL"; 5]);
}

#[test]
fn dates_and_times_of_day_and_missing_values_are_what_was_written() {
    let table = open("arrow-date-and-time.parquet");
    let rows = by_name(&table);
    assert_eq!(rows[1]["time"], "09:31:00");
    let holes = by_name(&open("pandas-holes.parquet"));
    assert_eq!(
        (holes[2]["close"].as_str(), holes[4]["date"].as_str()),
        ("", "")
    );
    assert_eq!(holes[4]["close"], "191.04");
    let trades = by_name(&open("polars-trades.parquet"));
    let stamps: Vec<&str> = trades.iter().map(|t| t["ts"].as_str()).collect();
    assert_eq!(stamps[2], "1772628600250000");
    let tickers = by_name(&open("pandas-category-ticker.parquet"));
    assert_eq!(
        (
            tickers[0]["ticker"].as_str(),
            tickers[15]["ticker"].as_str()
        ),
        ("AAPL", "MSFT")
    );
}

#[test]
fn a_scan_ends_when_enough_was_seen_and_begins_again_at_the_first_row() {
    for name in [
        "arrow-row-groups.parquet",
        "arrow-stream.arrows",
        "polars.arrow",
    ] {
        let table = open(name);
        for _ in 0..2 {
            let mut seen = 0;
            table
                .scan(&[0], 2, &mut |batch| {
                    seen += batch.rows;
                    assert!(matches!(&batch.columns[0], Column::Int(v) if v[0] != MISSING));
                    Ok(ControlFlow::Break(()))
                })
                .unwrap();
            assert_eq!(seen, 2, "{name}");
        }
        let mut last = 0;
        table
            .scan(&[1], 5, &mut |batch| {
                assert!(batch.bytes_read >= last);
                last = batch.bytes_read;
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        assert!(
            last <= std::fs::metadata(path(name)).unwrap().len(),
            "{name}"
        );
    }
}

#[test]
fn a_damaged_file_is_an_error_wherever_it_is_cut_or_changed() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "pandas-snappy.parquet",
        "pandas-lz4.feather",
        "arrow-stream.arrows",
    ] {
        let whole = std::fs::read(path(name)).unwrap();
        for at in (12..whole.len()).step_by(97) {
            let cut = dir.path().join("cut");
            std::fs::write(&cut, &whole[..at]).unwrap();
            let mut turned = whole.clone();
            turned[at] ^= 0xff;
            let changed = dir.path().join("changed");
            std::fs::write(&changed, turned).unwrap();
            for file in [cut, changed] {
                let input = Input::open(&file).unwrap();
                let Some(format) = Format::of_head(&input.head(64).unwrap()) else {
                    continue;
                };
                // A change within a value goes unseen; no other outcome than an error is one.
                let read = ColumnarTable::open(input, format).and_then(|table| {
                    let wanted: Vec<usize> = (0..table.columns().len()).collect();
                    table.scan(&wanted, 100, &mut |_| Ok(ControlFlow::Continue(())))
                });
                assert!(
                    matches!(read, Ok(()) | Err(SourceError::File { missing: false, .. })),
                    "{name} at {at}"
                );
            }
        }
    }
}

#[test]
fn formats_are_told_by_their_first_bytes() {
    let head = |name: &str| {
        let input = Input::open(&path(name)).unwrap();
        Format::of_head(&input.head(64).unwrap())
    };
    assert_eq!(head("polars-date.parquet"), Some(Format::Parquet));
    assert_eq!(head("polars.arrow"), Some(Format::ArrowFile));
    assert_eq!(head("polars-stream.arrows"), Some(Format::ArrowStream));
    assert_eq!(head("pandas-lines.jsonl"), None);
    assert_eq!(Format::of_head(b""), None);
    assert_eq!(Format::of_head(&[0xff; 16]), None);
}
