//! The in-process side of the bus.
//!
//! Model: a topic is made when it is first named. A record goes to the partition that its key's
//! hash says. Rows that some group has not committed are kept, at most `capacity_rows` of them in a
//! topic; publishers wait beyond, in the order in which they came. Two cases follow from that and
//! are meant so:
//! - A topic without a group keeps what comes up to its capacity, then publishers wait until a
//!   group joins, reads and commits.
//! - A group whose consumers have all gone still counts as the slowest one: what it has not
//!   committed waits for it.
//!
//! Semantics: at least once, from the front of what is kept; gone with the process. What must not be
//! lost in a crash is therefore acknowledged to its sender only when the store has it.
//!
//! Metrics (label `topic`): `tickcast_bus_depth_rows`, `tickcast_bus_published_rows_total`,
//! `tickcast_bus_publish_waits_total`, `tickcast_bus_redelivered_records_total`.
//!
//! What it does not do: persist, or reach another process.

mod topic;

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use metrics::{Counter, Gauge, counter, gauge};
use tokio::{sync::Notify, time::Instant};

use self::topic::{MemberId, Polled, Topic};
use crate::{BusError, Consumer, Delivery, EventBus, GroupLag, Record, Result};

/// What a [`MemoryBus`] is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryBusOptions {
    /// Rows that a topic keeps at most for its slowest group; [`EventBus::publish`] waits beyond.
    /// One record larger than this is taken when the topic is empty.
    pub capacity_rows: usize,
    /// Partitions of each topic: the most consumers of one group that work at the same time.
    pub partitions: u32,
}

impl Default for MemoryBusOptions {
    /// 200,000 rows (about 10 MB of ticks) and 4 partitions.
    fn default() -> Self {
        Self {
            capacity_rows: 200_000,
            partitions: 4,
        }
    }
}

/// A bus inside the process: bounded, partitioned, gone when the process is. Clones share it.
#[derive(Clone)]
pub struct MemoryBus {
    shared: Arc<Shared>,
}

struct Shared {
    options: MemoryBusOptions,
    topics: Mutex<Topics>,
}

#[derive(Default)]
struct Topics {
    by_name: HashMap<String, Arc<Channel>>,
    closed: bool,
}

/// A topic with what its publishers and consumers wait on.
struct Channel {
    topic: Mutex<Topic>,
    /// Publishers take turns, so that a large record is not overtaken for ever by small ones.
    turn: tokio::sync::Mutex<()>,
    /// Records came, partitions changed hands, or the topic closed.
    arrived: Notify,
    /// Rows were freed, or the topic closed.
    freed: Notify,
    depth: Gauge,
    published: Counter,
    waits: Counter,
    redelivered: Counter,
}

/// A panic while the lock was held cannot leave a half-made change behind that matters more than
/// going on: every change is a few assignments.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryBus {
    /// An empty bus. A capacity or a partition count of 0 counts as 1.
    pub fn new(options: MemoryBusOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                options,
                topics: Mutex::default(),
            }),
        }
    }

    fn channel(&self, name: &str) -> Arc<Channel> {
        let mut topics = lock(&self.shared.topics);
        if let Some(channel) = topics.by_name.get(name) {
            return channel.clone();
        }
        let options = &self.shared.options;
        let mut topic = Topic::new(options.capacity_rows, options.partitions);
        if topics.closed {
            topic.close();
        }
        let label = name.to_owned();
        let channel = Arc::new(Channel {
            topic: Mutex::new(topic),
            turn: tokio::sync::Mutex::default(),
            arrived: Notify::new(),
            freed: Notify::new(),
            depth: gauge!("tickcast_bus_depth_rows", "topic" => label.clone()),
            published: counter!("tickcast_bus_published_rows_total", "topic" => label.clone()),
            waits: counter!("tickcast_bus_publish_waits_total", "topic" => label.clone()),
            redelivered: counter!("tickcast_bus_redelivered_records_total", "topic" => label),
        });
        topics.by_name.insert(name.to_owned(), channel.clone());
        channel
    }
}

impl fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBus")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventBus for MemoryBus {
    async fn publish(&self, topic: &str, records: Vec<Record>) -> Result<()> {
        let channel = self.channel(topic);
        let mut records = VecDeque::from(records);
        let _turn = channel.turn.lock().await;
        while !records.is_empty() {
            let freed = channel.freed.notified();
            tokio::pin!(freed);
            // Before the look at the topic: what is freed after the look must not be missed.
            freed.as_mut().enable();
            let taken = {
                let mut topic = lock(&channel.topic);
                if topic.is_closed() {
                    return Err(BusError::Closed);
                }
                let taken = topic.push(&mut records);
                channel.depth.set(topic.rows() as f64);
                taken
            };
            channel.published.increment(taken as u64);
            channel.arrived.notify_waiters();
            if !records.is_empty() {
                channel.waits.increment(1);
                freed.await;
            }
        }
        Ok(())
    }

    /// Joining works on a closed bus too: a consumer that failed can come back for what is left.
    async fn subscribe(&self, topic: &str, group: &str) -> Result<Box<dyn Consumer>> {
        let channel = self.channel(topic);
        let member = lock(&channel.topic).join(group);
        channel.arrived.notify_waiters();
        Ok(Box::new(MemoryConsumer {
            channel,
            group: group.to_owned(),
            member,
            turn: 0,
        }))
    }

    async fn lag(&self, topic: &str) -> Result<Vec<GroupLag>> {
        Ok(lock(&self.channel(topic).topic).lag())
    }

    async fn close(&self) {
        let channels: Vec<_> = {
            let mut topics = lock(&self.shared.topics);
            topics.closed = true;
            topics.by_name.values().cloned().collect()
        };
        for channel in channels {
            lock(&channel.topic).close();
            channel.arrived.notify_waiters();
            channel.freed.notify_waiters();
        }
    }
}

/// A member of a group on a [`MemoryBus`]; leaves the group when dropped.
struct MemoryConsumer {
    channel: Arc<Channel>,
    group: String,
    member: MemberId,
    /// The partition that the next poll begins with.
    turn: usize,
}

#[async_trait]
impl Consumer for MemoryConsumer {
    /// Cancel-safe: records are marked as delivered in the same step that returns them.
    async fn poll(&mut self, max_rows: usize, timeout: Duration) -> Result<Vec<Delivery>> {
        // A time-out beyond what the clock can count to is no time-out.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let arrived = self.channel.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            let polled =
                lock(&self.channel.topic).poll(&self.group, self.member, max_rows, self.turn);
            match polled {
                Polled::Records(records) => {
                    self.turn = self.turn.wrapping_add(1);
                    return Ok(records);
                }
                Polled::Drained => return Err(BusError::Closed),
                Polled::Nothing => {}
            }
            match deadline {
                None => arrived.await,
                Some(deadline) => {
                    if tokio::time::timeout_at(deadline, arrived).await.is_err() {
                        return Ok(Vec::new());
                    }
                }
            }
        }
    }

    async fn commit(&mut self) -> Result<()> {
        let (held, rows) = {
            let mut topic = lock(&self.channel.topic);
            (topic.commit(&self.group, self.member), topic.rows())
        };
        if held {
            self.channel.depth.set(rows as f64);
            self.channel.freed.notify_waiters();
            // Partitions may have changed hands, and a closed topic may be drained now.
            self.channel.arrived.notify_waiters();
        }
        Ok(())
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        let again = lock(&self.channel.topic).leave(&self.group, self.member);
        self.channel.redelivered.increment(again);
        self.channel.arrived.notify_waiters();
    }
}
