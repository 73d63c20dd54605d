//! Prices of the past, straight into the store: for `tickcast import` and the sample data.
//!
//! Model: batches of rows, good and bad, in; a running report out. The bus is not involved, and the
//! market clock does not move. Importing twice does no harm.

use std::collections::BTreeSet;

use futures::{Stream, StreamExt};
use market::Symbol;
use serde::Serialize;
use source::{SourceBatch, SourceError};

use crate::{Result, Sink};

/// What an import has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Rows read, good and bad.
    pub rows: u64,
    /// Ticks stored.
    pub ticks: u64,
    /// Ticks that were there already.
    pub duplicates: u64,
    /// Bars written.
    pub bars: u64,
    /// Rows put aside.
    pub rejected: u64,
    /// The symbols seen.
    pub symbols: BTreeSet<Symbol>,
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
        report.bars += self.sink.write_history_bars(batch.bars).await? as u64;
        self.sink.put_aside(batch.rejects).await?;
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
