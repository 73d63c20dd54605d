//! Prices of the past, straight into the store: for `tickcast import` and the sample data.
//!
//! Model: batches of rows, good and bad, in; a running report out. The bus is not involved, and the
//! market clock does not move. Importing twice does no harm.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::{Stream, StreamExt};
use market::{Bar, Interval, RejectReason, Symbol, Timestamp};
use serde::Serialize;
use source::{SourceBatch, SourceError};

use crate::{Result, Sink};

/// What became of the bars of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportedBars {
    /// Were not there before.
    pub new: u64,
    /// Took the place of others.
    pub replaced: u64,
    /// Were there already, with the same numbers.
    pub equal: u64,
    /// Gave way to bars that were made of trades.
    pub kept: u64,
}

impl ImportedBars {
    /// All of them.
    pub const fn all(&self) -> u64 {
        self.new + self.replaced + self.equal + self.kept
    }
}

/// What an import has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Rows read, good and bad.
    pub rows: u64,
    /// Ticks stored.
    pub ticks: u64,
    /// Ticks that were there already.
    pub duplicates: u64,
    /// The bars.
    pub bars: ImportedBars,
    /// Rejected rows.
    pub rejected: u64,
    /// The same by their reasons.
    pub reasons: BTreeMap<RejectReason, u64>,
    /// The symbols seen.
    pub symbols: BTreeSet<Symbol>,
}

/// Bars that are no further apart than so many intervals are read together.
const NEAR: i64 = 64;

/// What writing the bars will do, by what the store has in their place.
async fn compare(sink: &Sink, bars: &[Bar]) -> Result<ImportedBars> {
    let mut by_series: BTreeMap<(&Symbol, Interval), Vec<&Bar>> = BTreeMap::new();
    for bar in bars {
        by_series
            .entry((&bar.symbol, bar.interval))
            .or_default()
            .push(bar);
    }
    let mut done = ImportedBars::default();
    for ((symbol, interval), bars) in by_series {
        let mut starts: Vec<Timestamp> = bars.iter().map(|bar| bar.start).collect();
        starts.sort_unstable();
        let mut there: HashMap<Timestamp, Bar> = HashMap::new();
        // Bars far apart are asked for one by one: what lies between them may be the whole store.
        let near = |a: &Timestamp, b: &Timestamp| b.micros_since(*a) <= NEAR * interval.micros();
        for run in starts.chunk_by(near) {
            if let (Some(first), Some(last)) = (run.first(), run.last()) {
                let stored = sink.stored_bars(symbol, interval, *first, *last).await?;
                there.extend(stored.into_iter().map(|bar| (bar.start, bar)));
            }
        }
        for bar in bars {
            match there.get(&bar.start) {
                None => done.new += 1,
                Some(old) if old.trades > 0 => done.kept += 1,
                Some(old) if same(old, bar) => done.equal += 1,
                Some(_) => done.replaced += 1,
            }
            // The same bar may come twice in a batch.
            if there.get(&bar.start).is_none_or(|old| old.trades == 0) {
                there.insert(bar.start, bar.clone());
            }
        }
    }
    Ok(done)
}

fn same(a: &Bar, b: &Bar) -> bool {
    (a.open, a.high, a.low, a.close, a.volume) == (b.open, b.high, b.low, b.close, b.volume)
}

/// An import under way.
#[derive(Debug)]
pub struct Import {
    sink: Sink,
    report: ImportReport,
}

impl Import {
    /// An import into a sink.
    pub fn new(sink: Sink) -> Self {
        Self {
            sink,
            report: ImportReport::default(),
        }
    }

    /// Stores one batch and returns the report so far.
    ///
    /// # Errors
    /// The store's: then write the batch again, or import everything again.
    pub async fn write(&mut self, batch: SourceBatch) -> Result<&ImportReport> {
        let rows = batch.rows() as u64;
        let rejected = batch.rejects.len() as u64;
        let report = &mut self.report;
        report
            .symbols
            .extend(batch.ticks.iter().map(|t| t.symbol.clone()));
        report
            .symbols
            .extend(batch.bars.iter().map(|b| b.symbol.clone()));
        let appended = self.sink.write_history(batch.ticks).await?;
        report.ticks += appended.stored.len() as u64;
        report.duplicates += appended.duplicates as u64;
        let bars = compare(&self.sink, &batch.bars).await?;
        self.sink.write_history_bars(batch.bars).await?;
        let report = &mut self.report;
        report.bars.new += bars.new;
        report.bars.replaced += bars.replaced;
        report.bars.equal += bars.equal;
        report.bars.kept += bars.kept;
        for reject in &batch.rejects {
            *report.reasons.entry(reject.reason).or_default() += 1;
        }
        self.sink.reject(batch.rejects).await?;
        report.rejected += rejected;
        report.rows += rows;
        Ok(report)
    }

    /// Stores a stream of batches; `progress` hears of each.
    ///
    /// # Errors
    /// The source's or the store's; what was stored before stays.
    pub async fn run(
        mut self,
        batches: impl Stream<Item = std::result::Result<SourceBatch, SourceError>>,
        mut progress: impl FnMut(&ImportReport),
    ) -> Result<ImportReport> {
        let mut batches = std::pin::pin!(batches);
        while let Some(batch) = batches.next().await {
            progress(self.write(batch?).await?);
        }
        Ok(self.report)
    }

    /// What was done so far.
    pub fn report(&self) -> &ImportReport {
        &self.report
    }
}
