//! How fast files are read: rows a second and the most memory the process had, for each file that is named.
//! `cargo run --release -p source --example file_rate -- FILE…`. Figures for a person; nothing is asserted.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

use std::{path::Path, time::Instant};

use market::Timestamp;
use source::file::{FileOptions, PriceFile};

fn main() {
    for path in std::env::args().skip(1) {
        let mut options = FileOptions::new(Timestamp::from_secs(4_000_000_000));
        options.symbol = Some("ACME".parse().unwrap());
        let begin = Instant::now();
        let file = PriceFile::open(Path::new(&path), options).unwrap();
        let opened = begin.elapsed();
        let (mut good, mut bad) = (0, 0);
        file.for_each(
            |_| {},
            |batch| {
                good += batch.ticks.len() + batch.bars.len();
                bad += batch.rejects.len();
                Ok(())
            },
        )
        .unwrap();
        let took = begin.elapsed();
        println!(
            "{path}\t{good}\t{bad}\t{:.3}\t{:.3}\t{:.1}",
            opened.as_secs_f64(),
            took.as_secs_f64(),
            peak_mb()
        );
    }
}

/// The most memory that the process has had, in megabytes.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok())
        .map_or(f64::NAN, |kb| kb / 1_000.0)
}
