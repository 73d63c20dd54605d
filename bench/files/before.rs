//! The same measurement at commit 125b29b, before files were read by columns; `run` puts it into a tree of that
//! commit.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

use std::{path::Path, time::Instant};

use market::Timestamp;
use source::{
    csv::{CsvImport, CsvOptions},
    parquet_file::{ParquetImport, is_parquet},
};

fn main() {
    for path in std::env::args().skip(1) {
        let mut options = CsvOptions::new(Timestamp::from_secs(4_000_000_000));
        options.symbol = Some("ACME".parse().unwrap());
        let begin = Instant::now();
        let (mut good, mut bad) = (0, 0);
        let take = |batch: source::Decoded| {
            good += batch.ticks.len() + batch.bars.len();
            bad += batch.rejects.len();
            Ok(())
        };
        if is_parquet(Path::new(&path)).unwrap() {
            ParquetImport::open(&path, options).unwrap().for_each(take).unwrap();
        } else {
            CsvImport::open(&path, options).unwrap().for_each(take).unwrap();
        }
        let took = begin.elapsed();
        println!("{path}\t{good}\t{bad}\t0\t{:.3}\t{:.1}", took.as_secs_f64(), peak_mb());
    }
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok())
        .map_or(f64::NAN, |kb| kb / 1_000.0)
}
