//! Counters of forecasts, as a snapshot for pages and as `tickcast_*` metrics.
//!
//! Model: as those of the stages, in `pipeline::stats`, whose [`Counter`] counts them.

use pipeline::{Counter, Rate};
use serde::Serialize;

/// The counters of the crate.
#[derive(Debug)]
pub(crate) struct Counters {
    pub store_errors: Counter,
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
            // The metric of the stages: whoever watches it asks how the store is, not who asked it.
            store_errors: Counter::new("tickcast_store_errors_total"),
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

/// What is served, kind by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ServingStats {
    /// Forecasts at closed bars.
    pub forecasts: ForecastStats,
    /// Forecasts on request.
    pub predictions: PredictStats,
    /// Backtests on request.
    pub backtests: BacktestStats,
    /// Calls of the store that failed and were, or will be, tried again.
    #[serde(skip)]
    pub store_errors: Rate,
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
