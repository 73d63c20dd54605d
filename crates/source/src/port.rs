//! The port: a source puts batches into a [`SourceSink`], the pipeline takes them from a
//! [`SourceOutlet`].
//!
//! Checkpoint semantics, the same for every source:
//! - A batch is *taken* when the pipeline calls [`Acknowledgement::taken`]: when the bus has it (or
//!   the store, for a pipeline without a bus). From then on it is the pipeline's to keep.
//! - A source moves its checkpoint (cursor, file position) past a batch only after it was taken.
//!   A batch that is dropped without having been taken is sent again: delivery is at least once.
//!   The key (symbol, timestamp, sequence) makes the repeat harmless, so a source must give the
//!   same row the same sequence every time it reads it.
//! - Batches of one source are sent in order. With [`SourceSink::send`] the source waits for each to
//!   be taken before it goes on; with [`SourceSink::send_ahead`] it sends further ones meanwhile and
//!   hears of each later (one that it has to send again then comes after its successors); with
//!   [`SourceSink::send_unacknowledged`] it does not hear of it, and says in its own documentation
//!   what is lost when the process dies.
//! - The queue between them is bounded in batches; a source waits while it is full, so back-pressure
//!   reaches the provider as slower polling.
//!
//! A source that retries a fault itself reports it by [`SourceSink::report_retry`], so that whoever looks
//! sees why nothing comes.
//!
//! What it does not do: keep checkpoints across restarts. A source that can start from a checkpoint
//! takes it as an option and reports each new one (see the sources).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use market::{Bar, Reject, Tick};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{Result, SourceError};

/// Rows as they came from a source, checked one by one.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceBatch {
    /// Who made it: `rest:tickcast`, `push`, `replay:prices.csv`.
    pub source: Arc<str>,
    /// Where the source stood before it, in the source's own words; `None` of one that always starts
    /// with its first row, or keeps where it stands elsewhere.
    pub source_offset: Option<Arc<str>>,
    /// When the process got the rows, by its monotonic clock.
    pub received: Instant,
    /// The good trades.
    pub ticks: Vec<Tick>,
    /// The good bars, of rows that came as bars.
    pub bars: Vec<Bar>,
    /// The rows that cannot be used.
    pub rejects: Vec<Reject>,
}

impl SourceBatch {
    /// How many rows it has, good and bad.
    pub fn rows(&self) -> usize {
        self.ticks.len() + self.bars.len() + self.rejects.len()
    }
}

/// Where prices come from.
#[async_trait]
pub trait TickSource: Send + 'static {
    /// Its name, as in [`SourceBatch::source`].
    fn name(&self) -> Arc<str>;

    /// Yields batches until `cancel` is cancelled or the source has come to its end (a file does, a
    /// provider does not). Faults that pass (a provider down, time-outs, a batch not taken) are
    /// retried inside and do not end it.
    ///
    /// # Errors
    /// What repeating will not mend: refused credentials, a wrong setting, a file that cannot be
    /// read. [`SourceError::Closed`] when the pipeline is gone.
    async fn run(self: Box<Self>, out: SourceSink, cancel: CancellationToken) -> Result<()>;
}

/// A batch in the queue, with its acknowledgement.
#[derive(Debug)]
pub struct Delivered {
    /// The rows.
    pub batch: SourceBatch,
    /// To be called when the batch was taken.
    pub ack: Acknowledgement,
}

/// Acknowledges to the source that its batch was taken; dropped without that, that it was not.
#[derive(Debug)]
#[must_use = "dropping it makes the source send the batch again"]
pub struct Acknowledgement(Option<oneshot::Sender<()>>);

impl Acknowledgement {
    /// The batch is the pipeline's to keep.
    pub fn taken(self) {
        if let Some(acknowledge) = self.0 {
            // The source may have been cancelled meanwhile: then nobody waits for it.
            let _ = acknowledge.send(());
        }
    }
}

/// A batch that was sent and is not acknowledged yet.
#[derive(Debug)]
#[must_use = "a batch may be dropped without having been taken"]
pub struct InFlight {
    acknowledged: oneshot::Receiver<()>,
    queue: mpsc::Sender<Delivered>,
}

impl InFlight {
    /// Waits until the batch was taken.
    ///
    /// # Errors
    /// As [`SourceSink::send`].
    pub async fn taken(self) -> Result<()> {
        self.acknowledged.await.map_err(|_| {
            if self.queue.is_closed() {
                SourceError::Closed
            } else {
                SourceError::NotTaken
            }
        })
    }
}

/// A fault that a source retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What went wrong.
    pub error: String,
    /// How long the source waits before it tries again.
    pub wait: Duration,
}

/// What a source went on past, although rows may be missing because of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    /// How often since the source was started.
    pub count: u64,
    /// The last time, in words; empty when there was none.
    pub last: String,
}

/// The source's end of the queue.
#[derive(Clone, Debug)]
pub struct SourceSink {
    queue: mpsc::Sender<Delivered>,
    trouble: Arc<watch::Sender<Option<Trouble>>>,
    warnings: Arc<watch::Sender<Warnings>>,
}

/// The pipeline's end of the queue.
#[derive(Debug)]
pub struct SourceOutlet {
    queue: mpsc::Receiver<Delivered>,
    trouble: watch::Receiver<Option<Trouble>>,
    warnings: watch::Receiver<Warnings>,
}

/// A queue of at most `capacity` batches (at least one).
///
/// ```
/// use source::{SourceBatch, source_channel};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (sink, mut outlet) = source_channel(8);
/// let source = tokio::spawn(async move {
///     let batch = SourceBatch {
///         source: "docs".into(),
///         source_offset: None,
///         received: std::time::Instant::now(),
///         ticks: Vec::new(),
///         bars: Vec::new(),
///         rejects: Vec::new(),
///     };
///     // Returns once the pipeline has taken the batch: then the source may move its cursor.
///     sink.send(batch).await
/// });
/// let delivered = outlet.recv().await.unwrap();
/// delivered.ack.taken();
/// assert!(source.await.unwrap().is_ok());
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn source_channel(capacity: usize) -> (SourceSink, SourceOutlet) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    let (report, reported) = watch::channel(None);
    let (warn, warned) = watch::channel(Warnings::default());
    (
        SourceSink {
            queue: sender,
            trouble: Arc::new(report),
            warnings: Arc::new(warn),
        },
        SourceOutlet {
            queue: receiver,
            trouble: reported,
            warnings: warned,
        },
    )
}

impl SourceSink {
    /// Reports that the source tries again after `wait`, and why.
    pub fn report_retry(&self, error: &SourceError, wait: Duration) {
        self.trouble.send_replace(Some(Trouble {
            error: error.to_string(),
            wait,
        }));
    }

    /// Reports that the fault is over. Cheap where there was none.
    pub fn report_recovered(&self) {
        self.trouble
            .send_if_modified(|trouble| trouble.take().is_some());
    }

    /// Reports something that the source goes on past, and that rows may be missing because of.
    pub fn report_warning(&self, warning: impl Into<String>) {
        self.warnings.send_modify(|warnings| {
            warnings.count += 1;
            warnings.last = warning.into();
        });
    }

    /// Sends a batch and waits until it was taken.
    ///
    /// # Errors
    /// [`SourceError::NotTaken`] when it was dropped: send it again. [`SourceError::Closed`] when
    /// the pipeline is gone.
    pub async fn send(&self, batch: SourceBatch) -> Result<()> {
        self.send_ahead(batch).await?.taken().await
    }

    /// Sends a batch, waits only for room in the queue, and returns its acknowledgement to come: several
    /// batches can be in flight at once. The source keeps each until it was taken.
    ///
    /// # Errors
    /// [`SourceError::Closed`] when the pipeline is gone.
    pub async fn send_ahead(&self, batch: SourceBatch) -> Result<InFlight> {
        let (acknowledge, acknowledged) = oneshot::channel();
        self.put(batch, Some(acknowledge)).await?;
        Ok(InFlight {
            acknowledged,
            queue: self.queue.clone(),
        })
    }

    /// Sends a batch and waits only for room in the queue.
    ///
    /// # Errors
    /// [`SourceError::Closed`] when the pipeline is gone.
    pub async fn send_unacknowledged(&self, batch: SourceBatch) -> Result<()> {
        self.put(batch, None).await
    }

    async fn put(
        &self,
        batch: SourceBatch,
        acknowledge: Option<oneshot::Sender<()>>,
    ) -> Result<()> {
        let source = batch.source.to_string();
        let (good, bad) = (batch.ticks.len() + batch.bars.len(), batch.rejects.len());
        let delivered = Delivered {
            batch,
            ack: Acknowledgement(acknowledge),
        };
        self.queue
            .send(delivered)
            .await
            .map_err(|_| SourceError::Closed)?;
        metrics::counter!("tickcast_source_rows_total", "source" => source.clone())
            .increment(good as u64);
        metrics::counter!("tickcast_source_rejects_total", "source" => source)
            .increment(bad as u64);
        metrics::gauge!("tickcast_source_queue_batches")
            .set((self.queue.max_capacity() - self.queue.capacity()) as f64);
        Ok(())
    }
}

impl SourceOutlet {
    /// The next batch; `None` when every source is done and the queue is empty.
    pub async fn recv(&mut self) -> Option<Delivered> {
        self.queue.recv().await
    }

    /// The fault that the source retries, `None` when it is over.
    pub fn trouble(&self) -> watch::Receiver<Option<Trouble>> {
        self.trouble.clone()
    }

    /// What the source went on past.
    pub fn warnings(&self) -> watch::Receiver<Warnings> {
        self.warnings.clone()
    }

    /// A batch that is there already.
    pub fn try_recv(&mut self) -> Option<Delivered> {
        self.queue.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> SourceBatch {
        SourceBatch {
            source: "test".into(),
            source_offset: None,
            received: Instant::now(),
            ticks: Vec::new(),
            bars: Vec::new(),
            rejects: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_source_hears_that_its_batch_was_taken() {
        let (sink, mut outlet) = source_channel(1);
        let source = tokio::spawn(async move { sink.send(batch()).await });
        outlet.recv().await.unwrap().ack.taken();
        assert!(source.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_source_hears_that_its_batch_was_dropped() {
        let (sink, mut outlet) = source_channel(1);
        let source = tokio::spawn(async move { sink.send(batch()).await });
        drop(outlet.recv().await.unwrap());
        assert!(matches!(source.await.unwrap(), Err(SourceError::NotTaken)));
        drop(outlet);
    }

    #[tokio::test]
    async fn a_source_hears_that_the_pipeline_is_gone() {
        let (sink, outlet) = source_channel(1);
        drop(outlet);
        assert!(matches!(sink.send(batch()).await, Err(SourceError::Closed)));
    }
}
