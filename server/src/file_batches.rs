//! A CSV or Parquet file, read on a thread that may block, as the stream of batches that an import
//! takes.

use std::{path::Path, sync::Arc, time::Instant};

use futures::{Stream, StreamExt as _};
use source::{
    Decoded, SourceBatch, SourceError,
    csv::{CsvImport, CsvOptions, Progress},
    parquet_file::{ParquetImport, is_parquet},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Batches that wait for the store at most; the reader waits beyond.
const AHEAD: usize = 4;

/// A file of prices, open.
pub enum PriceFile {
    /// Lines.
    Csv(Box<CsvImport>),
    /// Columns.
    Parquet(Box<ParquetImport>),
}

impl PriceFile {
    /// Opens a file; what it is, its first bytes say.
    ///
    /// # Errors
    /// It cannot be read, or its columns do not do.
    pub fn open(path: &Path, options: CsvOptions) -> Result<Self, SourceError> {
        Ok(if is_parquet(path)? {
            Self::Parquet(Box::new(ParquetImport::open(path, options)?))
        } else {
            Self::Csv(Box::new(CsvImport::open(path, options)?))
        })
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Csv(file) => file.name(),
            Self::Parquet(file) => file.name(),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        match self {
            Self::Csv(file) => file.progress(),
            Self::Parquet(file) => file.progress(),
        }
    }

    fn origin(&self) -> Arc<str> {
        let kind = match self {
            Self::Csv(_) => "csv",
            Self::Parquet(_) => "parquet",
        };
        format!("{kind}:{}", self.name()).into()
    }

    fn for_each(
        self,
        progress: impl FnMut(Progress) + Send + 'static,
        take: impl FnMut(Decoded) -> Result<(), SourceError>,
    ) -> Result<Progress, SourceError> {
        match self {
            Self::Csv(file) => file.with_progress(progress).for_each(take),
            Self::Parquet(file) => file.with_progress(progress).for_each(take),
        }
    }
}

/// Reads `file` to its end; `progress` hears of each batch read.
pub fn stream(
    file: PriceFile,
    progress: impl FnMut(Progress) + Send + 'static,
) -> impl Stream<Item = Result<SourceBatch, SourceError>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let source = file.origin();
    tokio::task::spawn_blocking(move || {
        let read = file.for_each(progress, |decoded| {
            let batch = SourceBatch {
                source: Arc::clone(&source),
                source_offset: None,
                received: Instant::now(),
                ticks: decoded.ticks,
                bars: decoded.bars,
                rejects: decoded.rejects,
            };
            sender
                .blocking_send(Ok(batch))
                .map_err(|_| SourceError::Closed)
        });
        if let Err(e) = read {
            // Whoever imports may be gone already: then nobody waits for the error.
            let _ = sender.blocking_send(Err(e));
        }
    });
    ReceiverStream::new(receiver).boxed()
}
