//! A file of prices, read on a thread that may block, as the stream of batches that an import takes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use futures::{Stream, StreamExt as _};
use source::{
    SourceBatch, SourceError,
    file::{PriceFile, Progress},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Batches that wait for the store at most; the reader waits beyond.
const AHEAD: usize = 4;

/// What a reading says when it has come to its end.
#[derive(Debug, Default)]
pub struct Tally {
    rows: AtomicU64,
    of_others: AtomicU64,
    moved: AtomicU64,
}

impl Tally {
    /// Rows of the file, good and bad.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

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
    file: PriceFile,
    tally: Arc<Tally>,
    mut progress: impl FnMut(Progress) + Send + 'static,
) -> impl Stream<Item = Result<SourceBatch, SourceError>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let source: Arc<str> = file.origin().into();
    tokio::task::spawn_blocking(move || {
        let read = file.for_each(&mut progress, |decoded| {
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
                tally.rows.store(counts.rows, Ordering::Relaxed);
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
