//! Rows out of a store into a file: CSV or Parquet, of any side that can be read.
//!
//! Model: symbol by symbol, oldest rows first, in segments that are on the disk before the next is
//! read (see the module `part`): an export that is cut off goes on where it stopped when it is asked
//! for again, without a duplicate. The file has its name only when it is whole. Until then the disk holds
//! it up to twice.
//!
//! What it does not do: hold the store still. Rows that come while it runs are in the file when they
//! are of a time that was not read yet; a symbol that comes after an export of every symbol has begun
//! is left to a later export, also when this one is cut off and goes on.

mod pages;
mod parquet_rows;
mod part;

use std::path::PathBuf;

use market::{Bar, Interval, Symbol, Tick, Timestamp};
use serde::{Deserialize, Serialize};

use self::{
    pages::{Page, Pages},
    part::{Checkpoint, Part, What},
};
use crate::{PriceReader, Result, StoreError, blocking::blocking, csv_rows};

/// Which rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Trades.
    Ticks,
    /// Bars of an interval.
    Bars(Interval),
}

/// How they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Lines with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// What is exported, and where to.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportOptions {
    /// The symbols, in the order of the file.
    pub symbols: Vec<Symbol>,
    /// They are all that there are, and were not named: an export that goes on keeps to the symbols
    /// it began with, whichever have come since.
    pub every_symbol: bool,
    /// Which rows of them.
    pub kind: Kind,
    /// At or after.
    pub from: Timestamp,
    /// Before.
    pub until: Timestamp,
    /// How they are written.
    pub format: Format,
    /// The file; `<file>.part` is used meanwhile.
    pub output: PathBuf,
    /// Rows of a segment, about: what an export that is cut off loses at most.
    pub segment_rows: usize,
}

/// How far an export is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExportProgress {
    /// Rows in the file.
    pub rows: u64,
    /// Of them, rows that an earlier run wrote.
    pub resumed_rows: u64,
    /// How much of the symbols and of their time is done, 0 to 1.
    pub share: f64,
}

/// The rows of a segment.
#[derive(Default)]
struct Segment {
    ticks: Vec<Tick>,
    bars: Vec<Bar>,
}

impl Segment {
    fn len(&self) -> usize {
        self.ticks.len() + self.bars.len()
    }

    fn encode(&self, what: &What) -> std::io::Result<Vec<u8>> {
        let parquet = match (what.format, what.kind) {
            (Format::Csv, _) => {
                let mut bytes = Vec::with_capacity(self.len() * 64);
                for tick in &self.ticks {
                    csv_rows::write_tick(&mut bytes, tick)?;
                }
                for bar in &self.bars {
                    csv_rows::write_bar(&mut bytes, bar)?;
                }
                return Ok(bytes);
            }
            (Format::Parquet, Kind::Ticks) => parquet_rows::ticks(&self.ticks),
            (Format::Parquet, Kind::Bars(_)) => parquet_rows::bars(&self.bars),
        };
        parquet.map_err(|e| std::io::Error::other(e.to_string()))
    }
}

/// Writes the file, or goes on with one that was cut off; `progress` hears of each page read.
///
/// # Errors
/// Conflict: the file is there already, or another process is writing it. Invalid: what was begun
/// under this name is of other rows. Unavailable: the store's, or the disk's; ask again to go on.
pub async fn export(
    store: &dyn PriceReader,
    options: &ExportOptions,
    mut progress: impl FnMut(ExportProgress),
) -> Result<ExportProgress> {
    if options.output.exists() {
        return Err(StoreError::Exists {
            path: options.output.clone(),
        });
    }
    let what = What {
        symbols: options.symbols.clone(),
        every_symbol: options.every_symbol,
        kind: options.kind,
        from_us: options.from,
        until_us: options.until,
        format: options.format,
    };
    let output = options.output.clone();
    let (mut part, mut at) = blocking(move || Part::open(&output, &what)).await?;
    let resumed_rows = at.rows;
    let symbols = at.what.symbols.len().max(1) as f64;
    let mut tell = |at: &Checkpoint, waiting: usize, of_symbol: f64| {
        let now = ExportProgress {
            rows: at.rows + waiting as u64,
            resumed_rows,
            share: (at.symbol as f64 + of_symbol) / symbols,
        };
        progress(now);
        now
    };
    while let Some(symbol) = at.what.symbols.get(at.symbol).cloned() {
        let mut pages = Pages::new(store, symbol, options.kind, at.next_us, options.until).await?;
        let mut segment = Segment::default();
        loop {
            let page = pages.next().await?;
            let last = page.is_none();
            match page {
                Some(Page::Ticks(ticks)) => segment.ticks.extend(ticks),
                Some(Page::Bars(bars)) => segment.bars.extend(bars),
                None => {}
            }
            tell(&at, segment.len(), pages.share());
            if segment.len() >= options.segment_rows || last && segment.len() > 0 {
                at.segments += 1;
                at.rows += segment.len() as u64;
                at.next_us = pages.next;
                (part, at) = save(part, at, std::mem::take(&mut segment)).await?;
            }
            if last {
                break;
            }
        }
        at.symbol += 1;
        at.next_us = options.from;
    }
    let done = tell(&at, 0, 0.0);
    blocking(move || part.finish(at)).await?;
    Ok(done)
}

async fn save(part: Part, after: Checkpoint, segment: Segment) -> Result<(Part, Checkpoint)> {
    blocking(move || {
        let bytes = segment.encode(&after.what).map_err(|e| part.fault(&e))?;
        part.add(&bytes, &after)?;
        Ok((part, after))
    })
    .await
}
