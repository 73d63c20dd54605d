//! Consumers: a thread of their own reads ahead and decodes, the pipeline takes and commits.
//!
//! Semantics: at least once. An offset is committed when the pipeline says so and never by itself;
//! a member of a group that dies leaves what it had not committed to the others. A partition that
//! moves to another member first waits, a few seconds at most, for what was handed out of it to be
//! committed, so that an orderly hand-over repeats nothing.
//!
//! Back-pressure: what is read ahead is bounded in rows and bytes. When the pipeline does not take
//! it, the thread waits; when that lasts, it pauses the partitions and goes on serving the group,
//! so that a store that is away for an hour costs neither memory nor the membership.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    config::ClientConfig,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    assignment::Context,
    fault::{self, Complaints, fault},
    reading::{Reading, Taken},
    wire::Decoder,
};
use crate::{BusError, Consumer, Delivery, Position, Result};

/// How long the thread waits for room before it pauses the partitions.
const PAUSE_AFTER: Duration = Duration::from_secs(1);
/// How long one look for messages takes at most: so long a dropped consumer stays in its group.
const LOOK: Duration = Duration::from_millis(50);
/// A closing consumer that has found nothing for so long has read everything that it will get.
const DRAIN_IDLE: Duration = Duration::from_secs(10);
/// How long a commit is repeated while the group is between two assignments.
const COMMIT_PATIENCE: Duration = Duration::from_secs(5);

type Client = BaseConsumer<Context>;

/// What a consumer reads.
pub(super) enum Reads {
    /// Its share of a group.
    Group(String),
    /// These partitions from these offsets, on its own.
    Partitions(Vec<(i32, Offset)>),
}

/// Where a group begins that has committed nothing.
fn otherwise(config: &ClientConfig) -> Offset {
    match config.get("auto.offset.reset") {
        Some("latest" | "largest" | "end") => Offset::End,
        _ => Offset::Beginning,
    }
}

/// What it takes to start a consumer.
pub(super) struct Start {
    pub config: ClientConfig,
    pub topic: String,
    pub reads: Reads,
    pub decoder: Decoder,
    pub complaints: Arc<Complaints>,
    pub reading: Arc<Reading>,
    /// Dropped when the consumer has left.
    pub alive: Arc<()>,
}

/// The pipeline's end of a consumer.
pub(super) struct KafkaConsumer {
    client: Option<Arc<Client>>,
    reading: Arc<Reading>,
    topic: String,
    in_group: bool,
    complaints: Arc<Complaints>,
}

impl KafkaConsumer {
    /// Starts the reading thread.
    pub(super) fn start(start: Start) -> Result<Self> {
        let Start {
            config,
            topic,
            reads,
            decoder,
            complaints,
            reading,
            alive,
        } = start;
        let context = Context {
            reading: reading.clone(),
            complaints: complaints.clone(),
            otherwise: otherwise(&config),
        };
        let client: Client = config
            .create_with_context(context)
            .map_err(|e| fault("starting a consumer", &e, &complaints))?;
        let in_group = matches!(reads, Reads::Group(_));
        match &reads {
            Reads::Group(_) => client.subscribe(&[&topic]),
            Reads::Partitions(partitions) => {
                let mut list = TopicPartitionList::new();
                partitions
                    .iter()
                    .try_for_each(|(p, offset)| list.add_partition_offset(&topic, *p, *offset))
                    .and_then(|()| client.assign(&list))
                    .map(|()| reading.assign(partitions.iter().map(|(p, _)| *p)))
            }
        }
        .map_err(|e| fault("subscribing", &e, &complaints))?;
        let client = Arc::new(client);
        let thread = Thread {
            client: client.clone(),
            reading: reading.clone(),
            topic: topic.clone(),
            decoder,
            complaints: complaints.clone(),
            ends: HashMap::new(),
            last_message: Instant::now(),
        };
        std::thread::Builder::new()
            .name("kafka-consumer".into())
            .spawn(move || {
                thread.run();
                drop(alive);
            })
            .map_err(|e| BusError::Unavailable {
                detail: format!("starting a consumer's thread: {e}"),
            })?;
        Ok(Self {
            client: Some(client),
            reading,
            topic,
            in_group,
            complaints,
        })
    }
}

impl KafkaConsumer {
    /// Waits until the group has given it its share, at most `timeout`. A group that takes longer
    /// only means that the first polls find nothing.
    pub(super) async fn joined(&self, timeout: Duration) {
        let deadline = tokio::time::Instant::now() + timeout;
        while !self.reading.joined() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        // The thread must be the last to hold the client: leaving the group takes a while.
        self.client = None;
        self.reading.stop();
    }
}

#[async_trait]
impl Consumer for KafkaConsumer {
    async fn poll(&mut self, max_rows: usize, timeout: Duration) -> Result<Vec<Delivery>> {
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            let reading = self.reading.clone();
            let arrived = reading.arrived();
            match self.reading.take(max_rows) {
                Taken::Records(records) => return Ok(records),
                Taken::Failed(detail) => return Err(BusError::Unavailable { detail }),
                Taken::Drained => return Err(BusError::Closed),
                Taken::Nothing => {}
            }
            if tokio::time::timeout_at(deadline, arrived).await.is_err() {
                return Ok(Vec::new());
            }
        }
    }

    async fn commit(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            let offsets = self.reading.uncommitted();
            if offsets.is_empty() {
                return Ok(());
            }
            if !self.in_group {
                self.reading.committed(&offsets);
                return Ok(());
            }
            let Some(client) = self.client.clone() else {
                return Err(BusError::Closed);
            };
            let mut list = TopicPartitionList::new();
            for (partition, _, offset) in &offsets {
                list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))
                    .map_err(|e| fault("committing", &e, &self.complaints))?;
            }
            let done = tokio::task::spawn_blocking(move || client.commit(&list, CommitMode::Sync))
                .await
                .map_err(|e| BusError::Unavailable {
                    detail: format!("committing: {e}"),
                })?;
            match done {
                Ok(()) => {
                    self.reading.committed(&offsets);
                    return Ok(());
                }
                // Between two assignments the group takes no commits; it will in a moment, or what
                // was to be committed is no longer ours.
                Err(error)
                    if is_between_assignments(&error) && started.elapsed() < COMMIT_PATIENCE =>
                {
                    tokio::time::sleep(LOOK).await;
                }
                Err(error) => return Err(fault("committing", &error, &self.complaints)),
            }
        }
    }

    fn owned(&self) -> Option<Vec<u32>> {
        let owned = self.reading.owned().into_iter();
        Some(owned.map(|(p, _)| p.unsigned_abs()).collect())
    }
}

fn is_between_assignments(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
        )
    )
}

/// The reading thread.
struct Thread {
    client: Arc<Client>,
    reading: Arc<Reading>,
    topic: String,
    decoder: Decoder,
    complaints: Arc<Complaints>,
    /// While closing: the offset up to which each partition is read.
    ends: HashMap<i32, i64>,
    last_message: Instant,
}

impl Thread {
    fn run(mut self) {
        while !self.reading.stopped() {
            self.hold_back();
            self.look();
            if self.reading.closing() && self.at_the_end() {
                self.reading.drained();
            }
        }
    }

    /// Waits while too much is read ahead; when that lasts, pauses, so that looking for messages
    /// can go on, which is what keeps the membership.
    fn hold_back(&mut self) {
        let paused = self.reading.paused();
        if !paused && self.reading.full() {
            self.reading.wait_for_room(PAUSE_AFTER);
            if self.reading.full() && !self.reading.stopped() {
                self.set_paused(true);
            }
        } else if paused && self.reading.roomy() {
            self.set_paused(false);
        }
        metrics::gauge!("tickcast_bus_read_ahead_rows", "topic" => self.topic.clone())
            .set(self.reading.depth() as f64);
    }

    fn set_paused(&mut self, paused: bool) {
        let result = self.client.assignment().and_then(|partitions| {
            if paused {
                self.client.pause(&partitions)
            } else {
                self.client.resume(&partitions)
            }
        });
        match result {
            Ok(()) => {
                self.reading.set_paused(paused);
                if paused {
                    metrics::counter!("tickcast_bus_pauses_total", "topic" => self.topic.clone())
                        .increment(1);
                }
            }
            Err(error) => tracing::warn!(%error, paused, "pausing or resuming partitions"),
        }
    }

    fn look(&mut self) {
        match self.client.poll(LOOK) {
            None => {}
            Some(Ok(message)) => {
                self.last_message = Instant::now();
                let (partition, offset) = (message.partition(), message.offset());
                let position = Position {
                    partition: partition.unsigned_abs(),
                    offset: offset.unsigned_abs(),
                };
                let record = self.decoder.decode(&message, position);
                let bytes = message.payload_len();
                self.reading
                    .push(partition, bytes, Delivery { position, record });
            }
            Some(Err(error)) => self.complaint(&error),
        }
    }

    fn complaint(&self, error: &KafkaError) {
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_))
            || matches!(
                error.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::GroupAuthorizationFailed
                        | RDKafkaErrorCode::TopicAuthorizationFailed
                )
            );
        if fatal {
            let why = fault("consuming", error, &self.complaints).to_string();
            self.reading.failed(Some(why));
        } else {
            fault::complain(&self.complaints, error, "consuming");
        }
    }

    /// Whether every partition of ours is read up to where it ended when closing was first seen.
    fn at_the_end(&mut self) -> bool {
        if self.last_message.elapsed() > DRAIN_IDLE && !self.reading.paused() {
            return true;
        }
        let timeout = Duration::from_secs(5);
        for (partition, read) in self.reading.owned() {
            let end = match self.ends.get(&partition) {
                Some(end) => *end,
                None => match self
                    .client
                    .fetch_watermarks(&self.topic, partition, timeout)
                {
                    Ok((low, high)) => {
                        let from = self.starts_at(partition).unwrap_or(low);
                        // Nothing to read: then there will be no message to tell how far we are.
                        let end = if from >= high { 0 } else { high };
                        self.ends.insert(partition, end);
                        end
                    }
                    Err(_) => return false,
                },
            };
            if end > read.unwrap_or(0) {
                return false;
            }
        }
        true
    }

    /// Where reading of the partition began, if the group has committed.
    fn starts_at(&self, partition: i32) -> Option<i64> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        let list = self
            .client
            .committed_offsets(list, Duration::from_secs(5))
            .ok()?;
        match list.find_partition(&self.topic, partition)?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }
}
