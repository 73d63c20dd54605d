//! Counters of the stages, as a snapshot for pages and as `tickcast_*` metrics.
//!
//! Model: each stage counts into its own [`Counter`]s: an atomic total, a short history for the
//! rate, and a counter of the `metrics` facade under the same name. Labels are source names and
//! stage names only, never symbols: their number is bounded by the configuration.
//!
//! What it does not do: export; the server installs a recorder.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use serde::Serialize;

use crate::source_spec::SourceStatus;

/// Seconds that a rate is taken over.
const WINDOW_S: usize = 10;

/// A total that knows its rate.
#[derive(Debug)]
pub struct Counter {
    metric: &'static str,
    total: AtomicU64,
    born: Instant,
    /// Per second since `born`, modulo the window: the second and what was counted in it.
    seconds: Mutex<[(u64, u64); WINDOW_S + 1]>,
}

impl Counter {
    /// A counter, and the metric of this name.
    pub fn new(metric: &'static str) -> Self {
        Self {
            metric,
            total: AtomicU64::new(0),
            born: Instant::now(),
            seconds: Mutex::new([(0, 0); WINDOW_S + 1]),
        }
    }

    /// Counts `n` more.
    pub fn add(&self, n: usize) {
        if n == 0 {
            return;
        }
        let n = n as u64;
        self.total.fetch_add(n, Ordering::Relaxed);
        metrics::counter!(self.metric).increment(n);
        let now = self.born.elapsed().as_secs();
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut seconds[(now % (WINDOW_S as u64 + 1)) as usize];
        if slot.0 == now {
            slot.1 += n;
        } else {
            *slot = (now, n);
        }
    }

    /// Total and rate.
    pub fn read(&self) -> Rate {
        let elapsed = self.born.elapsed();
        let now = elapsed.as_secs();
        let seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        // The second that is still running is left out, except in the first one of all.
        let recent: u64 = seconds
            .iter()
            .filter(|(s, _)| now == 0 || (*s < now && s + WINDOW_S as u64 >= now))
            .map(|(_, n)| n)
            .sum();
        let over = if now == 0 {
            elapsed.as_secs_f64().max(0.001)
        } else {
            now.min(WINDOW_S as u64) as f64
        };
        Rate {
            total: self.total.load(Ordering::Relaxed),
            per_second: recent as f64 / over,
        }
    }
}

/// What a counter says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rate {
    /// Since the start of the process.
    pub total: u64,
    /// Over the last ten seconds.
    pub per_second: f64,
}

impl std::ops::AddAssign for Rate {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.per_second += other.per_second;
    }
}

/// The counters of the stages.
#[derive(Debug)]
pub(crate) struct Counters {
    pub received: Counter,
    pub published: Counter,
    pub stored: Counter,
    pub duplicates: Counter,
    pub bars_written: Counter,
    pub rejected: Counter,
    pub store_errors: Counter,
    pub bus_errors: Counter,
    pub followed: Counter,
    pub followed_doubles: Counter,
    pub live_messages: Counter,
    pub live_conflations: Counter,
    pub live_skipped: Counter,
    pub live_cut_offs: Counter,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            received: Counter::new("tickcast_rows_received_total"),
            published: Counter::new("tickcast_rows_published_total"),
            stored: Counter::new("tickcast_ticks_stored_total"),
            duplicates: Counter::new("tickcast_ticks_duplicate_total"),
            bars_written: Counter::new("tickcast_bars_written_total"),
            rejected: Counter::new("tickcast_rows_rejected_total"),
            store_errors: Counter::new("tickcast_store_errors_total"),
            bus_errors: Counter::new("tickcast_bus_errors_total"),
            followed: Counter::new("tickcast_live_followed_ticks_total"),
            followed_doubles: Counter::new("tickcast_live_followed_duplicates_total"),
            live_messages: Counter::new("tickcast_live_messages_total"),
            live_conflations: Counter::new("tickcast_live_conflations_total"),
            live_skipped: Counter::new("tickcast_live_skipped_ticks_total"),
            live_cut_offs: Counter::new("tickcast_live_cut_offs_total"),
        }
    }
}

/// The pipeline stage by stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PipelineStats {
    /// The sources.
    pub sources: Vec<SourceStatus>,
    /// Rows that sources handed over, good and bad.
    pub received: Rate,
    /// Rows that the bus took.
    pub published: Rate,
    /// Ticks stored.
    pub stored: Rate,
    /// Ticks that were there already.
    pub duplicates: Rate,
    /// Bars written that came as bars.
    pub bars_written: Rate,
    /// Rejected rows.
    pub rejected: Rate,
    /// Calls of the store that failed and were, or will be, tried again.
    pub store_errors: Rate,
    /// Calls of the bus that failed and were, or will be, tried again.
    pub bus_errors: Rate,
    /// Records on the bus that are not stored yet; `None` when the bus does not say.
    pub bus_lag_records: Option<u64>,
    /// What goes over the topic, of all processes; `None` while two answers of the bus are not there.
    pub topic_flow: Option<TopicFlow>,
    /// Ticks read from the topic for `/live`, in a process that follows it on its own.
    pub followed: Rate,
    /// `/live`.
    pub live: LiveStats,
}

/// What goes over a topic, whichever processes publish and store: messages, which hold one row or
/// more. Over the last ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TopicFlow {
    /// Messages published to it per second.
    pub published_per_second: f64,
    /// Messages per second that the group which stores has committed.
    pub taken_per_second: f64,
}

/// `/live`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LiveStats {
    /// Readers connected.
    pub sessions: usize,
    /// Messages put into readers' queues.
    pub messages: Rate,
    /// The longest queue of a reader.
    pub deepest_queue: usize,
    /// How often a queue was full and folded into the latest state.
    pub conflations: Rate,
    /// Ticks left out that way.
    pub skipped_ticks: Rate,
    /// Readers cut off.
    pub cut_offs: Rate,
}
