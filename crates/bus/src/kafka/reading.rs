//! What a consumer's reading thread and the pipeline share: the records read ahead, bounded, and
//! how far each partition has been handed out and committed.
//!
//! A partition gets a new generation each time it is assigned. What was read under an older one is
//! dropped: its next owner reads it again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::{Delivery, Payload};

/// A record read ahead.
struct Ahead {
    partition: i32,
    generation: u64,
    bytes: usize,
    delivery: Delivery,
}

/// Bytes of a raw message that count as a row: an array of rows is decoded by whoever polls.
const RAW_ROW_BYTES: usize = 64;

/// The rows that a message counts for.
fn weight(delivery: &Delivery) -> usize {
    match &delivery.record.payload {
        Payload::Raw(bytes) => bytes.len() / RAW_ROW_BYTES + 1,
        payload => payload.rows(),
    }
}

/// A partition that is ours.
#[derive(Debug)]
struct Owned {
    generation: u64,
    /// The offset after the last record read.
    read: Option<i64>,
    /// The offset after the last record handed out.
    handed_out: Option<i64>,
    /// The offset committed last by us.
    committed: Option<i64>,
    /// It is being taken away: nothing more of it is handed out.
    leaving: bool,
}

#[derive(Default)]
struct State {
    ahead: VecDeque<Ahead>,
    rows: usize,
    bytes: usize,
    owned: HashMap<i32, Owned>,
    generations: u64,
    joined: bool,
    /// The partitions are paused, those that come too.
    paused: bool,
    stopped: bool,
    closing: bool,
    drained: bool,
    failure: Option<String>,
}

/// See the module.
pub(super) struct Reading {
    state: Mutex<State>,
    /// Records came, or the end did.
    arrived: Notify,
    /// Room was made, something was committed, or the consumer was dropped.
    changed: Condvar,
    max_rows: usize,
    max_bytes: usize,
}

/// What is there for the pipeline.
pub(super) enum Taken {
    Records(Vec<Delivery>),
    Nothing,
    Failed(String),
    Drained,
}

impl Reading {
    pub(super) fn new(max_rows: usize, max_bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            arrived: Notify::new(),
            changed: Condvar::new(),
            max_rows: max_rows.max(1),
            max_bytes: max_bytes.max(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- the pipeline's side ---

    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Up to `max_rows` rows' worth of records, at least one if there is any.
    pub(super) fn take(&self, max_rows: usize) -> Taken {
        let mut state = self.lock();
        let mut out = Vec::new();
        let mut rows = 0;
        while let Some(next) = state.ahead.front() {
            let current = state
                .owned
                .get(&next.partition)
                .is_some_and(|o| o.generation == next.generation && !o.leaving);
            let weight = weight(&next.delivery);
            if current && !out.is_empty() && rows + weight > max_rows {
                break;
            }
            let Some(next) = state.ahead.pop_front() else {
                break;
            };
            state.rows -= weight;
            state.bytes -= next.bytes;
            if !current {
                continue;
            }
            rows += weight;
            let after = i64::try_from(next.delivery.position.offset).unwrap_or(i64::MAX) + 1;
            if let Some(owned) = state.owned.get_mut(&next.partition) {
                owned.handed_out = Some(after);
            }
            out.push(next.delivery);
        }
        self.changed.notify_all();
        if !out.is_empty() {
            Taken::Records(out)
        } else if let Some(failure) = &state.failure {
            Taken::Failed(failure.clone())
        } else if state.drained {
            Taken::Drained
        } else {
            Taken::Nothing
        }
    }

    /// The offsets to commit: of each partition of ours that has handed out more than it committed.
    pub(super) fn uncommitted(&self) -> Vec<(i32, u64, i64)> {
        self.lock()
            .owned
            .iter()
            .filter(|(_, o)| o.handed_out > o.committed)
            .filter_map(|(p, o)| Some((*p, o.generation, o.handed_out?)))
            .collect()
    }

    pub(super) fn committed(&self, offsets: &[(i32, u64, i64)]) {
        let mut state = self.lock();
        for (partition, generation, offset) in offsets {
            if let Some(owned) = state.owned.get_mut(partition)
                && owned.generation == *generation
            {
                owned.committed = owned.committed.max(Some(*offset));
            }
        }
        self.changed.notify_all();
    }

    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Gives what is still in the topic and then ends.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    pub(super) fn joined(&self) -> bool {
        let state = self.lock();
        state.joined || state.failure.is_some()
    }

    // --- the reading thread's side ---

    pub(super) fn stopped(&self) -> bool {
        self.lock().stopped
    }

    pub(super) fn closing(&self) -> bool {
        let state = self.lock();
        state.closing && !state.drained
    }

    /// Whether as much is read ahead as may be.
    pub(super) fn full(&self) -> bool {
        let state = self.lock();
        state.rows >= self.max_rows || state.bytes >= self.max_bytes
    }

    /// Whether there is room again for a good stretch of reading.
    pub(super) fn roomy(&self) -> bool {
        let state = self.lock();
        state.rows <= self.max_rows / 2 && state.bytes <= self.max_bytes / 2
    }

    /// Waits for room, or for the end, at most `timeout`.
    pub(super) fn wait_for_room(&self, timeout: Duration) {
        let _unused = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |s| {
                !s.stopped && (s.rows >= self.max_rows || s.bytes >= self.max_bytes)
            })
            .unwrap_or_else(PoisonError::into_inner);
    }

    pub(super) fn push(&self, partition: i32, bytes: usize, delivery: Delivery) {
        let mut state = self.lock();
        let after = i64::try_from(delivery.position.offset).unwrap_or(i64::MAX) + 1;
        let Some(owned) = state.owned.get_mut(&partition) else {
            return; // taken away meanwhile
        };
        owned.read = Some(after);
        let generation = owned.generation;
        state.rows += weight(&delivery);
        state.bytes += bytes;
        state.ahead.push_back(Ahead {
            partition,
            generation,
            bytes,
            delivery,
        });
        drop(state);
        self.arrived.notify_one();
    }

    pub(super) fn depth(&self) -> usize {
        self.lock().rows
    }

    pub(super) fn assign(&self, partitions: impl IntoIterator<Item = i32>) {
        let mut state = self.lock();
        for partition in partitions {
            state.generations += 1;
            let generation = state.generations;
            state.owned.insert(
                partition,
                Owned {
                    generation,
                    read: None,
                    handed_out: None,
                    committed: None,
                    leaving: false,
                },
            );
        }
        state.joined = true;
        drop(state);
        self.arrived.notify_one();
    }

    pub(super) fn paused(&self) -> bool {
        self.lock().paused
    }

    pub(super) fn set_paused(&self, paused: bool) {
        self.lock().paused = paused;
    }

    /// Hands out no more of these partitions and waits until what was handed out is committed, so
    /// that the next owner does not get it once more. At most `timeout`: a pipeline that is stuck
    /// must not hold up the group.
    pub(super) fn before_revoke(&self, partitions: &[i32], timeout: Duration) {
        let mut state = self.lock();
        for partition in partitions {
            if let Some(owned) = state.owned.get_mut(partition) {
                owned.leaving = true;
            }
        }
        let started = Instant::now();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, timeout, |s| {
                !s.stopped
                    && partitions
                        .iter()
                        .filter_map(|p| s.owned.get(p))
                        .any(|o| o.handed_out > o.committed)
            })
            .unwrap_or_else(PoisonError::into_inner);
        drop(state);
        let waited = started.elapsed();
        if waited >= timeout {
            tracing::warn!(
                ?partitions,
                "partitions were given up with records handed out and not committed: they come again to their next owner"
            );
        }
    }

    pub(super) fn revoke(&self, partitions: &[i32]) {
        let mut guard = self.lock();
        let state = &mut *guard;
        for partition in partitions {
            state.owned.remove(partition);
        }
        let (owned, rows, bytes) = (&state.owned, &mut state.rows, &mut state.bytes);
        state.ahead.retain(|a| {
            let keep = owned
                .get(&a.partition)
                .is_some_and(|o| o.generation == a.generation);
            if !keep {
                *rows -= weight(&a.delivery);
                *bytes -= a.bytes;
            }
            keep
        });
        state.joined = true;
    }

    /// The partitions that are ours, with the offset after the last record read.
    pub(super) fn owned(&self) -> Vec<(i32, Option<i64>)> {
        let state = self.lock();
        state.owned.iter().map(|(p, o)| (*p, o.read)).collect()
    }

    pub(super) fn drained(&self) {
        self.lock().drained = true;
        self.arrived.notify_one();
    }

    pub(super) fn failed(&self, why: Option<String>) {
        self.lock().failure = why;
        self.arrived.notify_one();
    }
}
