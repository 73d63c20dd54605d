//! From the bus to the store.
//!
//! Checkpoint semantics: rows are committed on the bus only after the store has them (and the dead
//! letters those that cannot be used). While the store is away nothing is polled, so the bus fills
//! and holds the sources: memory stays bounded and no position is lost. When the process dies
//! between the two, the rows come again and the store drops the doubles.
//!
//! What it does not do: give up. A batch that the store calls invalid is written record by record,
//! and the record at fault goes to the dead letters.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{BusError, Consumer, Delivery, EventBus, Payload, Position};
use market::{Bar, ErrorKind, Reject, RejectReason, Symbol, Tick};
use tokio_util::sync::CancellationToken;

use crate::{
    PipelineError, Result, Sink,
    backoff::Backoff,
    clock::Clock,
    config::{ConsumeConfig, PipelineConfig},
    dead_letters::{self, DeadLetterOutlet},
    decode::Decode,
    observers::{Observers, PartitionChange},
    stats::Counters,
};

/// Raw bytes from which on they are decoded away from the async threads.
const DECODE_APART_BYTES: usize = 64 * 1_024;
/// How often to commit at most on a bus that keeps its records, where a commit is a write of the
/// broker's: so much may come again after a kill, and the store drops it.
const COMMIT_EVERY: Duration = Duration::from_millis(200);
/// Rows that may be stored and not committed before more are polled: with the batch that follows (unless
/// one message alone holds more), no more than the store of CSV files remembers to tell doubles by.
const MOST_UNCOMMITTED: usize = 10_000;
/// How long to wait with the next poll when a commit has failed and no more may be polled.
const COMMIT_AGAIN: Duration = Duration::from_millis(100);
/// How often to look which partitions are still one's own.
const OWNED_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct ConsumeStage {
    pub bus: Arc<dyn EventBus>,
    pub sink: Sink,
    pub counters: Arc<Counters>,
    pub topic: String,
    pub group: String,
    pub decode: Decode,
    pub config: ConsumeConfig,
    /// Where dead letters go besides the store.
    pub dead_letters: Option<Arc<dyn DeadLetterOutlet>>,
    /// Whether a message that comes again stands where it stood: on a bus that keeps its records.
    pub keeps: bool,
    /// Who is told which partitions are this consumer's.
    pub observers: Observers,
}

/// Rows of some deliveries, sorted by where they go.
#[derive(Debug, Default)]
struct Rows {
    ticks: Vec<Tick>,
    bars: Vec<Bar>,
    rejects: Vec<(Option<Position>, Reject)>,
    received: Option<Instant>,
}

/// What is known of the partitions.
#[derive(Debug, Default)]
struct Partitions {
    /// Those that were this consumer's at the last look.
    owned: BTreeSet<u32>,
    /// The one that each symbol was last seen in.
    last_seen_in: HashMap<Symbol, u32>,
}

impl ConsumeStage {
    pub(crate) fn new(
        config: &PipelineConfig,
        bus: Arc<dyn EventBus>,
        sink: Sink,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        dead_letters: Option<Arc<dyn DeadLetterOutlet>>,
        observers: Observers,
    ) -> Self {
        Self {
            bus,
            sink,
            counters,
            topic: config.topic.clone(),
            group: config.group.clone(),
            decode: Decode {
                rules: Arc::new(config.rules()),
                clock,
            },
            config: config.consume.clone(),
            dead_letters,
            keeps: false,
            observers,
        }
    }

    fn backoff(&self) -> Backoff {
        let config = &self.config;
        let (min, max) = (config.backoff_min_ms, config.backoff_max_ms);
        Backoff::seeded(min, max, config.jitter_seed)
    }

    /// Consumes until the bus is closed and drained, or until `stop`: then what is polled is still
    /// stored and committed, unless `abort` says that there is no time.
    pub(crate) async fn run(self, stop: CancellationToken, abort: CancellationToken) {
        let mut backoff = self.backoff();
        while !stop.is_cancelled() {
            let ended = tokio::select! {
                ended = self.consume(&stop) => ended,
                () = abort.cancelled() => return,
            };
            match ended {
                Ok(()) => return,
                Err(e) => {
                    self.counters.bus_errors.add(1);
                    tracing::warn!(error = %e, "consuming begins anew");
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(backoff.next_wait()) => {}
            }
        }
    }

    async fn consume(&self, stop: &CancellationToken) -> Result<()> {
        let mut consumer = self.bus.subscribe(&self.topic, &self.group).await?;
        let timeout = Duration::from_millis(self.config.poll_timeout_ms.max(1));
        let mut partitions = Partitions::default();
        let mut looked = Instant::now();
        // Rows that are stored and not committed, and when a commit was last tried.
        let (mut owed, mut tried) = (0, Instant::now());
        let every = if self.keeps {
            COMMIT_EVERY
        } else {
            Duration::ZERO
        };
        loop {
            if looked.elapsed() >= OWNED_EVERY {
                looked = Instant::now();
                self.tell_of_partitions(consumer.as_ref(), &mut partitions);
            }
            if owed > 0 && (tried.elapsed() >= every || owed >= MOST_UNCOMMITTED) {
                tried = Instant::now();
                if self.commit(consumer.as_mut()).await? {
                    owed = 0;
                }
            }
            if owed >= MOST_UNCOMMITTED && !stop.is_cancelled() {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(COMMIT_AGAIN) => {}
                }
                continue;
            }
            let wait = if owed > 0 {
                let due = every.saturating_sub(tried.elapsed());
                // A commit that failed is no reason to ask without a pause.
                due.max(Duration::from_millis(10)).min(timeout)
            } else {
                timeout
            };
            let polled = tokio::select! {
                biased;
                // As when the bus has nothing more.
                () = stop.cancelled() => Err(BusError::Closed),
                polled = consumer.poll(self.config.batch_rows, wait) => polled,
            };
            let deliveries = match polled {
                Ok(deliveries) => deliveries,
                Err(BusError::Closed) => {
                    if owed > 0 {
                        self.commit(consumer.as_mut()).await?;
                    }
                    return Ok(());
                }
                Err(e) => return Err(e.into()),
            };
            if deliveries.is_empty() {
                continue;
            }
            if self.observers.follow_partitions() {
                partitions.note(&deliveries);
            }
            owed += self.store(deliveries).await?.max(1);
        }
    }

    /// Tells the observers which partitions have come, and which have gone to other consumers.
    fn tell_of_partitions(&self, consumer: &dyn Consumer, partitions: &mut Partitions) {
        if !self.observers.follow_partitions() {
            return;
        }
        if let Some(owned) = consumer.owned()
            && let Some(change) = partitions.change_to(owned.into_iter().collect())
        {
            self.observers.partitions_changed(&change);
        }
    }

    /// Commits what is stored; says whether that is done. A bus that is away is no reason to leave
    /// the group: the next commit makes up for this one.
    async fn commit(&self, consumer: &mut dyn Consumer) -> Result<bool> {
        match consumer.commit().await {
            Ok(()) => Ok(true),
            // Everything is stored: that the bus is gone changes nothing.
            Err(BusError::Closed) => Ok(true),
            Err(e) if e.kind().is_transient() => {
                self.counters.bus_errors.add(1);
                tracing::warn!(error = %e, "committing is tried again");
                Ok(false)
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Stores what was delivered; returns only when all of it is stored, with the number of its rows.
    async fn store(&self, deliveries: Vec<Delivery>) -> Result<usize> {
        let rows = self.decode(deliveries.clone()).await?;
        let count = rows.ticks.len() + rows.bars.len() + rows.rejects.len();
        match self.write(rows).await {
            Err(e) if is_refused(&e) => {
                tracing::warn!(error = %e, "the store refuses a batch: writing it record by record");
                for delivery in deliveries {
                    self.store_one(delivery).await?;
                }
                Ok(count)
            }
            other => other.map(|()| count),
        }
    }

    async fn store_one(&self, delivery: Delivery) -> Result<()> {
        let rows = self.decode(vec![delivery.clone()]).await?;
        let Err(e) = self.write(rows).await else {
            return Ok(());
        };
        if !is_refused(&e) {
            return Err(e);
        }
        let payload = match &delivery.record.payload {
            Payload::Ticks(ticks) => serde_json::to_string(&**ticks).unwrap_or_default(),
            Payload::Bars(bars) => serde_json::to_string(&**bars).unwrap_or_default(),
            Payload::Raw(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Payload::Reject(reject) => reject.payload.clone(),
        };
        let reject = Reject::new(
            RejectReason::BadField,
            e.to_string(),
            &*delivery.record.source,
            payload,
        );
        self.write(Rows {
            rejects: vec![(Some(delivery.position), reject)],
            ..Rows::default()
        })
        .await
    }

    /// Writes rows, trying again for as long as the store is away or broken.
    async fn write(&self, rows: Rows) -> Result<()> {
        let mut backoff = self.backoff();
        self.again(&mut backoff, || {
            let ticks = rows.ticks.clone();
            async { self.sink.write(ticks, rows.received).await.map(|_| ()) }
        })
        .await?;
        self.again(&mut backoff, || {
            let bars = rows.bars.clone();
            async { self.sink.write_bars(bars).await.map(|_| ()) }
        })
        .await?;
        self.reject(&mut backoff, rows.rejects).await
    }

    /// Puts rows aside in the store, and tells those who watch the topic of dead letters.
    async fn reject(
        &self,
        backoff: &mut Backoff,
        rejects: Vec<(Option<Position>, Reject)>,
    ) -> Result<()> {
        if rejects.is_empty() {
            return Ok(());
        }
        let mut rejects = rejects;
        if self.keeps {
            dead_letters::name_messages(&self.topic, &mut rejects);
        }
        self.again(backoff, || {
            let rejects = rejects.iter().map(|(_, reject)| reject.clone()).collect();
            async { self.sink.reject(rejects).await.map(drop) }
        })
        .await?;
        dead_letters::publish(self.dead_letters.as_deref(), &rejects, backoff).await;
        Ok(())
    }

    async fn again<F: Future<Output = Result<()>>>(
        &self,
        backoff: &mut Backoff,
        mut write: impl FnMut() -> F,
    ) -> Result<()> {
        loop {
            match write().await {
                Ok(()) => {
                    backoff.reset();
                    return Ok(());
                }
                Err(e @ PipelineError::Store(_)) if e.kind() != ErrorKind::Invalid => {
                    let wait = backoff.next_wait();
                    tracing::warn!(error = %e, wait_ms = wait.as_millis() as u64, "storing is tried again");
                    tokio::time::sleep(wait).await;
                }
                Err(e) => return Err(e),
            }
        }
    }

    async fn decode(&self, deliveries: Vec<Delivery>) -> Result<Rows> {
        let raw_bytes: usize = deliveries
            .iter()
            .map(|d| match &d.record.payload {
                Payload::Raw(bytes) => bytes.len(),
                Payload::Ticks(_) | Payload::Bars(_) | Payload::Reject(_) => 0,
            })
            .sum();
        let decode = self.decode.clone();
        let work = move || {
            let mut rows = Rows::default();
            for delivery in deliveries {
                rows.take(delivery, &decode);
            }
            rows
        };
        if raw_bytes < DECODE_APART_BYTES {
            return Ok(work());
        }
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| PipelineError::Internal {
                detail: "decoding panicked".into(),
            })
    }
}

impl Rows {
    fn take(&mut self, delivery: Delivery, decode: &Decode) {
        let (position, received) = (delivery.position, delivery.record.received);
        self.received = Some(match self.received {
            Some(oldest) => oldest.min(received),
            None => received,
        });
        let rows = decode.rows(delivery);
        self.ticks.extend(rows.ticks);
        self.bars.extend(rows.bars);
        let rejects = rows.rejects.into_iter();
        self.rejects.extend(rejects.map(|r| (Some(position), r)));
    }
}

/// Whether the store says that the rows themselves cannot be kept.
fn is_refused(error: &PipelineError) -> bool {
    matches!(error, PipelineError::Store(e) if e.kind() == ErrorKind::Invalid)
}

impl Partitions {
    /// Takes note of where symbols are.
    fn note(&mut self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            // Only a key is looked at, as one symbol's rows: a message of many symbols has none.
            if let Ok(symbol) = delivery.record.key.parse::<Symbol>() {
                self.last_seen_in
                    .insert(symbol, delivery.position.partition);
            }
        }
    }

    /// What has changed since the last look, and forgets what is another's now.
    fn change_to(&mut self, owned: BTreeSet<u32>) -> Option<PartitionChange> {
        let gone = self.last_seen_in.extract_if(|_, at| !owned.contains(at));
        let mut revoked_symbols: Vec<Symbol> = gone.map(|(symbol, _)| symbol).collect();
        revoked_symbols.sort_unstable();
        let change = PartitionChange {
            assigned: owned.difference(&self.owned).copied().collect(),
            revoked: self.owned.difference(&owned).copied().collect(),
            revoked_symbols,
        };
        self.owned = owned;
        (change != PartitionChange::default()).then_some(change)
    }
}

#[cfg(test)]
mod tests {
    use bus::Record;

    use super::*;

    fn delivery(symbol: &str, partition: u32) -> Delivery {
        Delivery {
            position: Position {
                partition,
                offset: 0,
            },
            record: Record {
                key: symbol.to_owned(),
                source: "test".into(),
                source_offset: None,
                received: Instant::now(),
                payload: Payload::Ticks([].into()),
            },
        }
    }

    #[test]
    fn partitions_that_come_and_go_are_told_once_with_the_symbols_that_went() {
        let mut partitions = Partitions::default();
        let names = |names: &[&str]| -> Vec<Symbol> {
            names.iter().map(|name| name.parse().unwrap()).collect()
        };
        let change = partitions.change_to([0, 1].into()).unwrap();
        assert_eq!((change.assigned, change.revoked), (vec![0, 1], vec![]));
        partitions.note(&[delivery("BBB", 1), delivery("AAA", 1), delivery("CCC", 0)]);
        assert_eq!(partitions.change_to([0, 1].into()), None);
        let change = partitions.change_to([0, 2].into()).unwrap();
        assert_eq!((change.assigned, change.revoked), (vec![2], vec![1]));
        assert_eq!(change.revoked_symbols, names(&["AAA", "BBB"]));
        // What was polled before it went is stored after: it is another's all the same.
        partitions.note(&[delivery("AAA", 1)]);
        let change = partitions.change_to([0, 2].into()).unwrap();
        assert_eq!(change.revoked_symbols, names(&["AAA"]));
    }
}
