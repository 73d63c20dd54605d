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

use crate::produce::SourceStatus;

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
    pub(crate) fn new(metric: &'static str) -> Self {
        Self {
            metric,
            total: AtomicU64::new(0),
            born: Instant::now(),
            seconds: Mutex::new([(0, 0); WINDOW_S + 1]),
        }
    }

    pub(crate) fn add(&self, n: usize) {
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

/// The counters of all stages.
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
    pub fans_made: Counter,
    pub fans_fitted: Counter,
    pub fans_recorded: Counter,
    pub fans_too_late: Counter,
    pub fans_skipped: Counter,
    pub fans_failed: Counter,
    pub fans_scored: Counter,
    pub predictions: Counter,
    pub predictions_refused: Counter,
    pub backtests: Counter,
    pub backtests_refused: Counter,
    pub backtests_stopped: Counter,
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
            fans_made: Counter::new("tickcast_forecasts_made_total"),
            fans_fitted: Counter::new("tickcast_forecasts_fitted_total"),
            fans_recorded: Counter::new("tickcast_forecasts_recorded_total"),
            fans_too_late: Counter::new("tickcast_forecasts_too_late_total"),
            fans_skipped: Counter::new("tickcast_forecasts_skipped_total"),
            fans_failed: Counter::new("tickcast_forecasts_failed_total"),
            fans_scored: Counter::new("tickcast_forecast_steps_scored_total"),
            predictions: Counter::new("tickcast_predictions_total"),
            predictions_refused: Counter::new("tickcast_predictions_refused_total"),
            backtests: Counter::new("tickcast_backtests_total"),
            backtests_refused: Counter::new("tickcast_backtests_refused_total"),
            backtests_stopped: Counter::new("tickcast_backtests_stopped_total"),
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
    /// Forecasts at closed bars.
    pub forecasts: ForecastStats,
    /// Forecasts on request.
    pub predictions: PredictStats,
    /// Backtests on request.
    pub backtests: BacktestStats,
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

/// Forecasts at closed bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ForecastStats {
    /// Readers of `/forecast` connected.
    pub sessions: usize,
    /// Symbols and intervals followed.
    pub series: usize,
    /// Fans computed.
    pub made: Rate,
    /// Those for which the model was fitted; for the others a kept one took the new bars.
    pub fitted: Rate,
    /// Fans written to the ledger.
    pub recorded: Rate,
    /// Fans that came after their outcome could be known: not shown, not recorded.
    pub too_late: Rate,
    /// Closed bars passed over because a newer one had closed.
    pub skipped: Rate,
    /// Fits that were refused or broke down (too few bars, as a rule).
    pub failed: Rate,
    /// Steps scored.
    pub scored: Rate,
}

/// Forecasts on request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PredictStats {
    /// Being computed now.
    pub in_flight: usize,
    /// Answered.
    pub answered: Rate,
    /// Refused because too many were being computed.
    pub refused: Rate,
}

/// Backtests on request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BacktestStats {
    /// Being computed now.
    pub in_flight: usize,
    /// Ended with a report.
    pub finished: Rate,
    /// Refused because too many were being computed.
    pub refused: Rate,
    /// Stopped because somebody asked, or because nobody waited for them any more.
    pub stopped: Rate,
}
