//! The Kafka side of the bus, over librdkafka.
//!
//! Model: a record is one message (several when it has more rows than a message may), keyed by its
//! symbol, so that a symbol's records stay in one partition and in order. The producer is
//! idempotent and waits for every in-sync replica. Consumers of a group share the partitions; an
//! offset is committed when the pipeline says that the store has the rows.
//!
//! Bounds: the broker keeps what its retention says, so [`EventBus::publish`] does not wait for slow
//! groups as the in-process bus does; it waits while the producer's own queue is full, and a
//! consumer reads no further ahead than its options say.
//!
//! Metrics (label `topic`): `tickcast_bus_published_rows_total`,
//! `tickcast_bus_publish_waits_total`, `tickcast_bus_read_ahead_rows`, `tickcast_bus_pauses_total`,
//! `tickcast_bus_dead_letters_total`, and by group `tickcast_bus_lag_records`.
//!
//! What it does not do: transactions (the store's keys make repeats harmless), decode rows that did
//! not come from a Tickcast, notice partitions added to a topic that is being followed.

mod assignment;
mod clock;
mod consumer;
mod dead_letters;
mod fault;
mod options;
mod partitioner;
mod producer;
mod reading;
mod topics;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rdkafka::{Offset, consumer::BaseConsumer, producer::Producer as _};

use self::{
    clock::HostClock,
    consumer::{KafkaConsumer, Reads, Start},
    fault::{Asking, Complaints, fault},
    producer::Producer,
    reading::Reading,
    wire::Decoder,
};
pub use self::{
    dead_letters::DeadLetterTopic,
    options::{Compression, KafkaOptions},
};
use crate::{
    Bounds, BusError, Consumer, EventBus, GroupLag, Payload, Position, Record, Result, TopicLog,
};

/// From this many rows on, encoding is done off the async threads.
const ENCODE_INLINE_ROWS: usize = 256;
/// How long [`EventBus::subscribe`] waits for the group to give the new member its share.
const JOIN_PATIENCE: Duration = Duration::from_secs(15);

/// Where to begin following a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FollowFrom {
    /// With what is published after the call has returned.
    #[default]
    Newest,
    /// With the oldest record that the broker still has.
    Oldest,
    /// After these positions; partitions that are not named, from the oldest record on.
    After(Vec<Position>),
}

/// A bus over Kafka. Clones share it.
#[derive(Clone)]
pub struct KafkaBus {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    options: KafkaOptions,
    producer: Producer,
    complaints: Arc<Complaints>,
    decoder: Decoder,
    closed: AtomicBool,
    members: Mutex<Members>,
    /// Topics that are known to be there.
    topics: tokio::sync::Mutex<BTreeSet<String>>,
}

#[derive(Default)]
struct Members {
    readings: Vec<Weak<Reading>>,
    alive: Vec<Weak<()>>,
    groups: BTreeSet<String>,
    observers: BTreeMap<String, Arc<BaseConsumer<Asking>>>,
}

impl Inner {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(BusError::Closed);
        }
        Ok(())
    }
}

fn stuck(error: tokio::task::JoinError) -> BusError {
    BusError::Unavailable {
        detail: format!("a kafka call was cut off: {error}"),
    }
}

impl KafkaBus {
    /// Connects and asks a broker for the cluster's metadata, so that a wrong address or wrong
    /// credentials are known at once.
    ///
    /// # Errors
    /// Configuration: a setting that librdkafka does not know, credentials that the broker refuses.
    /// Unavailable: no broker answered within the time-out.
    pub async fn connect(options: KafkaOptions) -> Result<Self> {
        let complaints = Arc::new(Complaints::default());
        let producer = Producer::new(options.producer(), complaints.clone())?;
        let client = producer.client();
        let (heard, timeout) = (complaints.clone(), options.timeout);
        tokio::task::spawn_blocking(move || {
            let started = std::time::Instant::now();
            loop {
                // In short steps: a refusal is told through the error callback, and the call
                // itself would wait out its whole time-out.
                let step = Duration::from_secs(2).min(timeout);
                match client.client().fetch_metadata(None, step) {
                    Ok(_) => return Ok(()),
                    Err(e) if heard.refused() || started.elapsed() >= timeout => {
                        return Err(fault("connecting to kafka", &e, &heard));
                    }
                    Err(_) => {}
                }
            }
        })
        .await
        .map_err(stuck)??;
        let decoder = Decoder {
            clock: HostClock::new(),
            max_message_bytes: options.max_message_bytes,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                producer,
                complaints,
                decoder,
                closed: AtomicBool::new(false),
                members: Mutex::default(),
                topics: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// Where the rows of `topic` that cannot be used go: `<topic>.dlq`.
    pub fn dead_letters(&self, topic: &str) -> DeadLetterTopic {
        DeadLetterTopic {
            inner: self.inner.clone(),
            origin: topic.to_owned(),
            name: format!("{topic}.dlq"),
        }
    }

    /// Reads a whole topic on its own, in no group: every process that follows gets every record.
    /// Committing does nothing; where to go on after a restart is the caller's to keep.
    ///
    /// # Errors
    /// Closed or unreachable.
    pub async fn follow(&self, topic: &str, from: FollowFrom) -> Result<Box<dyn Consumer>> {
        let inner = &self.inner;
        inner.check_open()?;
        inner.ensure_topic(topic).await?;
        let offsets = inner.offsets_to_follow(topic, from).await?;
        let config = inner.options.follower();
        let consumer = self.start(topic, config, Reads::Partitions(offsets))?;
        Ok(Box::new(consumer))
    }

    /// Waits until the consumers that were dropped have left their groups, at most `timeout`: the
    /// others then take over at once instead of after the session time-out.
    pub async fn left(&self, timeout: Duration) {
        let deadline = tokio::time::Instant::now() + timeout;
        while tokio::time::Instant::now() < deadline {
            let alive = {
                let mut members = self.inner.members();
                members.alive.retain(|a| a.strong_count() > 0);
                members.alive.len()
            };
            if alive == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn start(
        &self,
        topic: &str,
        config: rdkafka::ClientConfig,
        reads: Reads,
    ) -> Result<KafkaConsumer> {
        let inner = &self.inner;
        let options = &inner.options;
        let reading = Arc::new(Reading::new(
            options.read_ahead_rows,
            options.read_ahead_bytes,
        ));
        let alive = Arc::new(());
        {
            let mut members = inner.members();
            members.readings.retain(|r| r.strong_count() > 0);
            members.readings.push(Arc::downgrade(&reading));
            members.alive.retain(|a| a.strong_count() > 0);
            members.alive.push(Arc::downgrade(&alive));
            if let Reads::Group(group) = &reads {
                members.groups.insert(group.clone());
            }
        }
        KafkaConsumer::start(Start {
            config,
            topic: topic.to_owned(),
            reads,
            decoder: inner.decoder.clone(),
            complaints: inner.complaints.clone(),
            reading,
            alive,
        })
    }
}

#[async_trait]
impl EventBus for KafkaBus {
    async fn publish(&self, topic: &str, records: Vec<Record>) -> Result<()> {
        let inner = &self.inner;
        inner.check_open()?;
        inner.ensure_topic(topic).await?;
        let rows: usize = records.iter().map(|r| r.payload.rows()).sum();
        let bytes: usize = records
            .iter()
            .map(|r| match &r.payload {
                Payload::Raw(bytes) => bytes.len(),
                _ => 0,
            })
            .sum();
        let (max_rows, clock) = (
            inner.options.max_rows_per_message,
            inner.decoder.clock.clone(),
        );
        let encode = move || {
            let mut messages = Vec::with_capacity(records.len());
            for record in &records {
                wire::encode(record, max_rows, &clock, &mut messages)?;
            }
            Ok(messages)
        };
        let encoded = if rows < ENCODE_INLINE_ROWS && bytes < 1 << 20 {
            encode()
        } else {
            tokio::task::spawn_blocking(encode).await.map_err(stuck)?
        };
        let messages = encoded.map_err(|e: serde_json::Error| BusError::Invalid {
            detail: format!("a row cannot be written as JSON: {e}"),
        })?;
        inner.producer.send(topic, &messages).await?;
        metrics::counter!("tickcast_bus_published_rows_total", "topic" => topic.to_owned())
            .increment(rows as u64);
        Ok(())
    }

    async fn subscribe(&self, topic: &str, group: &str) -> Result<Box<dyn Consumer>> {
        let inner = &self.inner;
        inner.check_open()?;
        inner.ensure_topic(topic).await?;
        let config = inner.options.member(group);
        let consumer = self.start(topic, config, Reads::Group(group.to_owned()))?;
        consumer.joined(JOIN_PATIENCE).await;
        Ok(Box::new(consumer))
    }

    async fn lag(&self, topic: &str) -> Result<Vec<GroupLag>> {
        let inner = self.inner.clone();
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || inner.lag(&topic))
            .await
            .map_err(stuck)?
    }

    async fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        for reading in &self.inner.members().readings {
            if let Some(reading) = reading.upgrade() {
                reading.close();
            }
        }
        self.inner.producer.flush(self.inner.options.timeout).await;
    }
}

#[async_trait]
impl TopicLog for KafkaBus {
    async fn is_whole(&self, topic: &str) -> Result<bool> {
        self.inner.check_open()?;
        self.inner.ensure_topic(topic).await?;
        self.inner.is_led(topic).await
    }

    async fn bounds(&self, topic: &str) -> Result<Vec<Bounds>> {
        self.inner.check_open()?;
        self.inner.ensure_topic(topic).await?;
        let inner = self.inner.clone();
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || inner.bounds(&topic))
            .await
            .map_err(stuck)?
    }

    fn partition_of(&self, key: &str, partitions: u32) -> Option<u32> {
        partitioner::partition_of(key, partitions)
    }

    async fn read_from(&self, topic: &str, from: &[Position]) -> Result<Box<dyn Consumer>> {
        let inner = &self.inner;
        inner.check_open()?;
        inner.ensure_topic(topic).await?;
        let offsets = from
            .iter()
            .filter_map(|p| {
                let partition = i32::try_from(p.partition).ok()?;
                Some((partition, Offset::Offset(i64::try_from(p.offset).ok()?)))
            })
            .collect();
        let config = inner.options.follower();
        let consumer = self.start(topic, config, Reads::Partitions(offsets))?;
        Ok(Box::new(consumer))
    }
}

/// Offsets by partition, as a follower starts from them.
fn after(positions: &[Position]) -> HashMap<i32, Offset> {
    positions
        .iter()
        .filter_map(|p| {
            let partition = i32::try_from(p.partition).ok()?;
            let offset = i64::try_from(p.offset).ok()?;
            Some((partition, Offset::Offset(offset + 1)))
        })
        .collect()
}
