//! The port: what the pipeline asks of a bus.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use market::{Bar, Reject, Tick};

use crate::Result;

/// What a record carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// Ticks of the record's key, already checked by who published them.
    Ticks(Arc<[Tick]>),
    /// Bars of the record's key that came as bars from their source.
    Bars(Arc<[Bar]>),
    /// A message as it came from outside: JSON, to be decoded and checked by the consumer.
    Raw(Bytes),
    /// A message that cannot even be decoded, with the reason: of a schema version that this build
    /// does not know, or longer than allowed. To be put aside as it is.
    Reject(Arc<Reject>),
}

impl Payload {
    /// How many rows it counts for in capacities and rates; a raw message counts as one.
    pub fn rows(&self) -> usize {
        match self {
            Self::Ticks(ticks) => ticks.len(),
            Self::Bars(bars) => bars.len(),
            Self::Raw(_) | Self::Reject(_) => 1,
        }
    }
}

/// A record to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Decides the partition, and with it the order: the symbol, as a rule.
    pub key: String,
    /// Who made it: `rest:tickcast`, `push`, `replay:prices.csv`.
    pub source: Arc<str>,
    /// Where the source stood before the batch that the rows are of, in its own words, for a source
    /// that goes on from the topic.
    pub source_offset: Option<Arc<str>>,
    /// When the process that published it got the rows, by a monotonic clock of the host.
    pub received: std::time::Instant,
    /// The rows.
    pub payload: Payload,
}

/// Where a record stands in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The partition.
    pub partition: u32,
    /// The offset in it, from 0, without gaps in the in-process bus.
    pub offset: u64,
}

/// A record as a consumer gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Where it stands.
    pub position: Position,
    /// The record. Its `received` is that of the publisher where the bus can carry it, else the
    /// moment of the poll.
    pub record: Record,
}

/// How far a group is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLag {
    /// The consumer group.
    pub group: String,
    /// Records published and not yet committed by it.
    pub records: u64,
    /// Where it stands: its committed offsets, added up over the partitions. It grows as long as
    /// anything is committed.
    pub committed: u64,
}

/// A bus of named topics.
#[async_trait]
pub trait EventBus: Send + Sync + 'static {
    /// Publishes records in the order given and returns when the bus has taken all of them. Waits
    /// while the bus is full.
    ///
    /// # Errors
    /// Closed, unreachable, or too large. Then some of the records may have been taken: publish
    /// again, the store drops the doubles.
    async fn publish(&self, topic: &str, records: Vec<Record>) -> Result<()>;

    /// Joins a consumer group. A new group starts at the oldest record that the bus still has.
    ///
    /// # Errors
    /// Closed or unreachable.
    async fn subscribe(&self, topic: &str, group: &str) -> Result<Box<dyn Consumer>>;

    /// How far each group of a topic is behind.
    ///
    /// # Errors
    /// Closed or unreachable.
    async fn lag(&self, topic: &str) -> Result<Vec<GroupLag>>;

    /// Takes no further records: publishers get an error, consumers drain what is there and then
    /// get [`crate::BusError::Closed`].
    async fn close(&self);
}

/// A member of a consumer group.
#[async_trait]
pub trait Consumer: Send + 'static {
    /// Waits for at least one record, at most `timeout`, and returns up to `max_rows` rows' worth
    /// of them in order (at least one record even when it alone is larger). Empty after the
    /// time-out.
    ///
    /// # Errors
    /// [`crate::BusError::Closed`] when the bus is closed and drained.
    async fn poll(&mut self, max_rows: usize, timeout: Duration) -> Result<Vec<Delivery>>;

    /// Marks everything that this consumer has polled so far as done.
    ///
    /// # Errors
    /// Closed or unreachable: then a later call, which includes what this one was for, may succeed;
    /// until one does, the records come again to whoever consumes after this consumer.
    async fn commit(&mut self) -> Result<()>;

    /// The partitions that are this consumer's now; `None` where there is nothing to share. What
    /// follows from records of others is for their owners to do.
    fn owned(&self) -> Option<Vec<u32>> {
        None
    }
}

/// How far a partition reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The partition.
    pub partition: u32,
    /// The offset of the oldest record that is still there.
    pub oldest: u64,
    /// The offset that the next record will get.
    pub next: u64,
}

/// A bus that keeps its records, so that anybody may read them again from any offset.
#[async_trait]
pub trait TopicLog: Send + Sync + 'static {
    /// Whether each partition of a topic can be read at the moment. Who follows all of it must not begin
    /// before: partitions that have no leader are in none of the other answers.
    ///
    /// # Errors
    /// Closed or unreachable.
    async fn is_whole(&self, _topic: &str) -> Result<bool> {
        Ok(true)
    }

    /// How far each partition of a topic that can be read reaches, by number.
    ///
    /// # Errors
    /// Closed or unreachable.
    async fn bounds(&self, topic: &str) -> Result<Vec<Bounds>>;

    /// The partition that producers put a key into, of so many; `None` of no partitions.
    fn partition_of(&self, key: &str, partitions: u32) -> Option<u32>;

    /// Reads from these positions on (each the first to be read), and only these partitions, in no
    /// group: committing does nothing.
    ///
    /// # Errors
    /// Closed or unreachable.
    async fn read_from(&self, topic: &str, from: &[Position]) -> Result<Box<dyn Consumer>>;
}
