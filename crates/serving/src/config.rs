//! What forecasts are set up with. Every default works for one process on two cores.

use std::{collections::BTreeMap, time::Duration};

use forecast::{Calibration, ModelRef, ModelSpec};
use market::Interval;
use serde::{Deserialize, Serialize};

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServingConfig {
    /// Forecasts at closed bars, and `/forecast`.
    pub forecast: ForecastConfig,
    /// Forecasts on request.
    pub predict: PredictConfig,
    /// Backtests on request.
    pub backtest: BacktestConfig,
}

impl ServingConfig {
    /// Every fault, as (key, what was expected). Empty when the configuration can be used.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut at_least_one = |key: &'static str, value: usize| {
            if value == 0 {
                faults.push((key, "expected at least 1".to_owned()));
            }
        };
        at_least_one("forecast.window_bars", self.forecast.window_bars);
        at_least_one("forecast.queue_messages", self.forecast.queue_messages);
        at_least_one("predict.in_flight", self.predict.in_flight);
        at_least_one("predict.long_in_flight", self.predict.long_in_flight);
        at_least_one("backtest.in_flight", self.backtest.in_flight);
        let horizon = self.forecast.horizon_steps;
        if !(1..=1_000).contains(&horizon) {
            faults.push((
                "forecast.horizon_steps",
                format!("expected 1 to 1000, got {horizon}"),
            ));
        }
        for level in &self.forecast.levels {
            if !(*level > 0.0 && *level < 100.0) {
                faults.push((
                    "forecast.levels",
                    format!("expected percentages between 0 and 100, got {level}"),
                ));
            }
        }
        faults
    }
}

/// Forecasts at closed bars, and `/forecast`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForecastConfig {
    /// The models beside `naive`, which always runs.
    pub models: Vec<ModelRef>,
    /// The model that answers where a request names none, in the place of a series' champion; none: the champion,
    /// and naive where there is none.
    pub default_model: Option<ModelRef>,
    /// A champion whose last bar in training is longer ago is not served, and naive is; none: never.
    pub champion_expiry: Option<Duration>,
    /// The intervals whose bars are forecast for every symbol. Others are while somebody watches.
    pub intervals: Vec<Interval>,
    /// How many steps ahead.
    pub horizon_steps: usize,
    /// Another horizon for some intervals.
    pub horizon_steps_by_interval: BTreeMap<Interval, usize>,
    /// Levels of the prediction intervals, percent.
    pub levels: Vec<f64>,
    /// How many closes a model sees.
    pub window_bars: usize,
    /// Buckets without a trade in a row that carry the last close forward at most; a longer gap is
    /// a closed market and leaves no values.
    pub max_carried_bars: usize,
    /// Forecast the logarithm of the close.
    pub log: bool,
    /// How intervals are calibrated.
    pub calibration: Calibration,
    /// Answers that wait for a reader of `/forecast` at most; beyond, it is cut off. Of fans one of each
    /// series and model waits.
    pub queue_messages: usize,
    /// Symbols and intervals of one session at most.
    pub max_subscriptions: usize,
}

impl Default for ForecastConfig {
    fn default() -> Self {
        Self {
            models: vec![ModelSpec::Drift.into(), ModelSpec::SeasonalNaive.into()],
            default_model: None,
            champion_expiry: None,
            intervals: vec![
                Interval::M1,
                Interval::M5,
                Interval::M15,
                Interval::H1,
                Interval::D1,
            ],
            horizon_steps: 10,
            horizon_steps_by_interval: BTreeMap::new(),
            levels: vec![80.0, 95.0],
            window_bars: 500,
            max_carried_bars: market::MAX_CARRIED_BARS,
            log: true,
            calibration: Calibration::default(),
            queue_messages: 1_024,
            max_subscriptions: 1_000,
        }
    }
}

impl ForecastConfig {
    /// The models that run, `naive` first and each once.
    pub fn models(&self) -> Vec<ModelRef> {
        let mut models: Vec<ModelRef> = vec![ModelSpec::Naive.into()];
        for model in &self.models {
            if !models.contains(model) {
                models.push(model.clone());
            }
        }
        models
    }

    /// The horizon of an interval.
    pub fn horizon(&self, interval: Interval) -> usize {
        self.horizon_steps_by_interval
            .get(&interval)
            .copied()
            .unwrap_or(self.horizon_steps)
            .clamp(1, 1_000)
    }
}

/// Forecasts on request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PredictConfig {
    /// Quick forecasts that are in hand at once at most; a further request is refused.
    pub in_flight: usize,
    /// The same of long ones, which have threads of their own.
    pub long_in_flight: usize,
    /// The longest that an answer may take.
    pub timeout_ms: u64,
    /// The longest series of one's own.
    pub max_series: usize,
}

impl Default for PredictConfig {
    fn default() -> Self {
        Self {
            in_flight: 16,
            long_in_flight: 4,
            timeout_ms: 30_000,
            max_series: 20_000,
        }
    }
}

/// Backtests on request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BacktestConfig {
    /// Backtests that are computed at once at most; a further request is refused. They share the
    /// cores among them.
    pub in_flight: usize,
    /// The most symbols of one backtest.
    pub max_symbols: usize,
    /// The most fits of one backtest: symbols × models × origins.
    pub max_fits: usize,
    /// The longest horizon, in steps.
    pub max_horizon: usize,
    /// How many stored closes a backtest sees.
    pub window_bars: usize,
    /// How intervals are calibrated, inside each fold.
    pub calibration: Calibration,
    /// The longest that a backtest may be estimated to take, in seconds on all cores of its own.
    pub max_seconds: u64,
}

impl Default for BacktestConfig {
    fn default() -> Self {
        Self {
            in_flight: 2,
            max_symbols: 50,
            max_fits: 50_000,
            max_horizon: 1_000,
            window_bars: 5_000,
            calibration: Calibration::default(),
            max_seconds: 3_600,
        }
    }
}
