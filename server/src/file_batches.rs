//! A file of prices, read on a thread that may block, as the stream of batches that an import takes.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use futures::{Stream, StreamExt as _};
use source::{
    Decoded, SourceBatch, SourceError,
    file::{FileOptions, PriceFile, Progress, rows::Counts},
    parquet_file::{ParquetImport, is_parquet},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Batches that wait for the store at most; the reader waits beyond.
const AHEAD: usize = 4;

/// A file of prices, open.
pub enum PricesFile {
    /// Read by the reader of all files.
    Table(Box<PriceFile>),
    /// Parquet, row by row.
    Parquet(Box<ParquetImport>),
}

impl PricesFile {
    /// Opens a file.
    ///
    /// # Errors
    /// See [`PriceFile::open`].
    pub fn open(path: &Path, options: FileOptions) -> Result<Self, SourceError> {
        Ok(if path != Path::new("-") && is_parquet(path)? {
            Self::Parquet(Box::new(ParquetImport::open(path, options)?))
        } else {
            Self::Table(Box::new(PriceFile::open(path, options)?))
        })
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Table(file) => file.name(),
            Self::Parquet(file) => file.name(),
        }
    }

    /// Its size.
    pub fn total_bytes(&self) -> u64 {
        match self {
            Self::Table(file) => file.total_bytes(),
            Self::Parquet(file) => file.progress().total_bytes,
        }
    }

    /// What was decided of it.
    pub fn facts(&self) -> Vec<String> {
        match self {
            Self::Table(file) => file.facts(),
            Self::Parquet(_) => Vec::new(),
        }
    }

    fn origin(&self) -> String {
        match self {
            Self::Table(file) => file.origin(),
            Self::Parquet(file) => format!("parquet:{}", file.name()),
        }
    }

    fn for_each(
        self,
        mut progress: impl FnMut(Progress) + Send + 'static,
        take: impl FnMut(Decoded) -> Result<(), SourceError>,
    ) -> Result<Counts, SourceError> {
        match self {
            Self::Table(file) => file.for_each(&mut progress, take),
            Self::Parquet(file) => {
                file.with_progress(progress).for_each(take)?;
                Ok(Counts::default())
            }
        }
    }
}

/// What a reading says when it has come to its end.
#[derive(Debug, Default)]
pub struct Tally {
    of_others: AtomicU64,
    moved: AtomicU64,
}

impl Tally {
    /// Rows of other symbols than the one asked for.
    pub fn of_others(&self) -> u64 {
        self.of_others.load(Ordering::Relaxed)
    }

    /// Bars that begin within the interval that they are kept under, and not with it.
    pub fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}

/// Reads `file` to its end; `progress` hears of each batch read.
pub fn stream(
    file: PricesFile,
    tally: Arc<Tally>,
    progress: impl FnMut(Progress) + Send + 'static,
) -> impl Stream<Item = Result<SourceBatch, SourceError>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let source: Arc<str> = file.origin().into();
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
        match read {
            Ok(counts) => {
                tally.of_others.store(counts.of_others, Ordering::Relaxed);
                tally.moved.store(counts.moved, Ordering::Relaxed);
            }
            Err(e) => {
                // Whoever imports may be gone already: then nobody waits for the error.
                let _ = sender.blocking_send(Err(e));
            }
        }
    });
    ReceiverStream::new(receiver).boxed()
}
