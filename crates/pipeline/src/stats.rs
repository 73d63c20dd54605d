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

use protocol::Rate;

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
