//! Counters of forecasts, as a snapshot for pages and as `tickcast_*` metrics.
//!
//! Model: as those of the stages, in `pipeline::stats`, whose [`Counter`] counts them.

use pipeline::Counter;

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
