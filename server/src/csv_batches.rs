//! A CSV file, read on a thread that may block, as the stream of batches that an import takes.

use std::{sync::Arc, time::Instant};

use futures::{Stream, StreamExt as _};
use source::{
    SourceBatch, SourceError,
    csv::{CsvImport, Progress},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Batches that wait for the store at most; the reader waits beyond.
const AHEAD: usize = 4;

/// Reads `file` to its end; `progress` hears of each batch read.
pub fn stream(
    file: CsvImport,
    progress: impl FnMut(Progress) + Send + 'static,
) -> impl Stream<Item = Result<SourceBatch, SourceError>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let source: Arc<str> = format!("csv:{}", file.name()).into();
    tokio::task::spawn_blocking(move || {
        let read = file.with_progress(progress).for_each(|decoded| {
            let batch = SourceBatch {
                source: Arc::clone(&source),
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
