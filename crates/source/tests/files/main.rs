//! Files in the layouts that known tools write, read without options; and what is asked for or refused.
//!
//! The fixtures have invented numbers in the layouts that the tools document (see the table in
//! docs/files.md): three bars of 10.0/10.5/9.9/10.2, 10.2/10.6/10.1/10.4 and 10.4/10.5/10.0/10.1 with
//! volumes of 1200, 900 and 1500 wherever the layout allows.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod asked;
mod layouts;
mod series;
mod wrapped;

use std::path::{Path, PathBuf};

use market::{Bar, Tick, Timestamp};
use source::{
    Decoded, SourceError,
    file::{FileOptions, PriceFile},
};

/// After every time of the fixtures.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn options() -> FileOptions {
    FileOptions::new(NOW)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/files/fixtures")
        .join(name)
}

/// What a file holds, and what was decided of it.
struct Read {
    ticks: Vec<Tick>,
    bars: Vec<Bar>,
    rejects: Vec<market::Reject>,
    facts: String,
}

fn open(path: &Path, options: FileOptions) -> Result<Read, SourceError> {
    let file = PriceFile::open(path, options)?;
    let mut all = Decoded::default();
    file.for_each(
        |_| {},
        |batch| {
            all.ticks.extend(batch.ticks);
            all.bars.extend(batch.bars);
            all.rejects.extend(batch.rejects);
            Ok(())
        },
    )?;
    Ok(Read {
        ticks: all.ticks,
        bars: all.bars,
        rejects: all.rejects,
        facts: file.facts().join("\n"),
    })
}

/// Reads a text as the file of this name.
fn read_text(name: &str, text: &str, options: FileOptions) -> Result<Read, SourceError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    open(&path, options)
}

/// The option or thing that an error names, and the error.
fn asked(read: Result<Read, SourceError>) -> (String, String) {
    match read {
        Err(error @ SourceError::Config { .. }) => {
            let text = error.to_string();
            let SourceError::Config { key, .. } = error else {
                unreachable!()
            };
            (key, text)
        }
        Err(other) => panic!("another error: {other}"),
        Ok(read) => panic!("it was read: {} bars, {}", read.bars.len(), read.facts),
    }
}

/// A bar in words: symbol, interval, start, prices and volume.
fn said(bar: &Bar) -> String {
    format!(
        "{} {} {} {}/{}/{}/{} {}",
        bar.symbol, bar.interval, bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume
    )
}
