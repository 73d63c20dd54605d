//! What a backtest is given.

use forecast::{
    Calibration, CalibrationOptions, FitOptions, Level, ModelRef,
    backtest::{Backtest, Window},
};
use market::{Interval, Symbol, Timestamp};
use serde::{Deserialize, Serialize};
use store::JobKind;

use super::{Payload, PayloadError, current_version, within};

/// A backtest of models over the closes of symbols, each by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BacktestPayload {
    /// The version of this format.
    #[serde(default = "current_version")]
    pub version: u32,
    /// Whose closes.
    pub symbols: Vec<Symbol>,
    /// The length of the bars.
    pub interval: Interval,
    /// The models; naive and drift always run beside them.
    pub models: Vec<ModelRef>,
    /// What is known: bars that end later do not exist. The time of the attempt when absent.
    #[serde(default, rename = "as_of_us", skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// Closes that are read at most, the latest.
    #[serde(default = "usual_rows")]
    pub rows: usize,
    /// Steps forecast from each origin.
    #[serde(default = "one")]
    pub horizon: usize,
    /// Number of origins.
    #[serde(default = "usual_origins")]
    pub origins: usize,
    /// Steps between origins; the horizon when absent, so that no outcome counts twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// Closes that a model sees at most; all up to the origin when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// The season in bars.
    #[serde(default = "one")]
    pub season: usize,
    /// Whether logarithms are fitted.
    #[serde(default)]
    pub log: bool,
    /// How intervals are calibrated, inside each fold.
    #[serde(default = "not_calibrated")]
    pub calibration: Calibration,
}

const fn usual_rows() -> usize {
    2_000
}

const fn usual_origins() -> usize {
    20
}

const fn one() -> usize {
    1
}

const fn not_calibrated() -> Calibration {
    Calibration::None
}

impl BacktestPayload {
    /// The layout of the folds.
    #[must_use]
    pub fn layout(&self) -> Backtest {
        Backtest {
            horizon: self.horizon,
            origins: self.origins,
            step: self.step.unwrap_or(self.horizon),
            gap: 0,
            window: self.window.map_or(Window::Expanding, Window::Sliding),
            levels: Level::DEFAULT.to_vec(),
            options: FitOptions {
                season: self.season,
                log: self.log,
                ..FitOptions::default()
            },
            calibration: CalibrationOptions::new(self.calibration, self.horizon),
        }
    }
}

impl Payload for BacktestPayload {
    const KIND: JobKind = JobKind::Backtest;

    fn check(&self) -> Result<(), PayloadError> {
        within("symbols", self.symbols.len(), 1, 100)?;
        within("models", self.models.len(), 1, 20)?;
        within("rows", self.rows, 10, 1_000_000)?;
        within("horizon", self.horizon, 1, 1_000)?;
        within("origins", self.origins, 1, 10_000)?;
        within("season", self.season, 1, 1_000)?;
        if let Some(step) = self.step {
            within("step", step, 1, 10_000)?;
        }
        if let Some(window) = self.window {
            within("window", window, 2, 1_000_000)?;
        }
        Ok(())
    }
}
