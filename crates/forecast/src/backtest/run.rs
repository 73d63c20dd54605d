//! Running the folds.
//!
//! Model: origins are counted back from the end of the series, so the last fold always uses the
//! newest data. A fold hands the forecaster a slice that ends at the origin: the future is not in
//! it. A model that fails in a fold is reported as failed there and scored on the others.
//! Does not: score (see [`super::report`]).

use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::report::{Fold, Report, summarise};
use std::sync::Arc;

use crate::baseline::BASELINES;
use crate::cancel::CancelToken;
use crate::error::{Error, Result};
use crate::fit::FitOptions;
use crate::history::History;
use crate::metrics::{naive_scale, naive_square_scale};
use crate::output::{Forecast, Interval, Level, check_request};
use crate::provider::{Classical, ForecastModel, ModelProvider as _};
use crate::series::check_series;
use crate::served::{Calibration, CalibrationOptions, ServedState};

/// Which past a fold sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// Everything up to the origin.
    #[default]
    Expanding,
    /// The last so many observations.
    Sliding(usize),
}

/// How a backtest is laid out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backtest {
    /// Steps forecast from each origin.
    pub horizon: usize,
    /// Number of origins.
    pub origins: usize,
    /// Steps between origins.
    pub step: usize,
    /// Steps between the origin and the first step scored: 0 scores from the next one.
    pub gap: usize,
    /// Which past a fold sees.
    pub window: Window,
    /// Levels whose coverage and width are reported.
    pub levels: Vec<Level>,
    /// How the models are fitted; the season also scales MASE and RMSSE.
    pub options: FitOptions,
    /// How their intervals are calibrated, inside each fold.
    pub calibration: CalibrationOptions,
}

impl Default for Backtest {
    fn default() -> Self {
        Self {
            horizon: 1,
            origins: 20,
            step: 1,
            gap: 0,
            window: Window::Expanding,
            levels: Level::DEFAULT.to_vec(),
            options: FitOptions::default(),
            calibration: CalibrationOptions {
                method: Calibration::None,
                ..CalibrationOptions::default()
            },
        }
    }
}

/// Anything that can forecast from a past: a model with its options, and what tests bring.
pub trait Forecaster: Sync {
    /// Name in the report.
    fn name(&self) -> String;

    /// Fits whatever there is to fit to `past` and forecasts. Everything learnt must come from
    /// `past`.
    ///
    /// # Errors
    /// Whatever the model refuses.
    fn forecast(&self, past: &History<'_>, horizon: usize, levels: &[Level]) -> Result<Forecast>;
}

/// A model with its options as a [`Forecaster`].
#[derive(Debug, Clone)]
pub struct Configured {
    /// The model.
    pub model: Arc<dyn ForecastModel>,
    /// How it is fitted.
    pub options: FitOptions,
    /// How its intervals are calibrated.
    pub calibration: CalibrationOptions,
}

impl Forecaster for Configured {
    fn name(&self) -> String {
        self.model.name()
    }

    fn forecast(&self, past: &History<'_>, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        let state = ServedState::fit(&*self.model, past, &self.options, &self.calibration)?;
        Ok(state.forecast(horizon, levels)?.forecast)
    }
}

/// The caller's hold on a running backtest. The default neither reports, stops nor times.
#[derive(Clone, Copy, Default)]
pub struct Control<'a> {
    /// Called after every fit with (done, all).
    pub progress: Option<&'a (dyn Fn(usize, usize) + Sync)>,
    /// Set it to stop, in the middle of a fit too.
    pub cancel: Option<&'a CancelToken>,
    /// A monotonic clock in seconds, for the time that each model takes.
    pub clock: Option<&'a (dyn Fn() -> f64 + Sync)>,
}

impl std::fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

/// Levels whose bounds give the quantiles from which CRPS and pinball loss are computed, whatever
/// levels are asked for: else two reports could not be compared.
pub(super) const QUANTILE_LEVELS: [f64; 11] = [
    10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 99.0,
];

impl Backtest {
    /// Backtests the models; baselines that are not among them are added behind.
    ///
    /// # Errors
    /// A layout that does not fit the series, an invalid value, or [`Error::Cancelled`]. A model
    /// that fails is no error: the report says so.
    ///
    /// ```
    /// use forecast::{Providers, backtest::{Backtest, Control}};
    /// let y: Vec<f64> = (0..60).map(|t| 100.0 + f64::from(t * 7919 % 13)).collect();
    /// let theta = Providers::classical().parse("theta")?;
    /// let report = Backtest::default().run(&y, &[theta], Control::default())?;
    /// let names: Vec<_> = report.models.iter().map(|row| row.model.as_str()).collect();
    /// assert_eq!(names, ["theta", "naive", "drift"]);
    /// # Ok::<(), forecast::Error>(())
    /// ```
    pub fn run<'a>(
        &self,
        history: impl Into<History<'a>>,
        models: &[Arc<dyn ForecastModel>],
        control: Control<'_>,
    ) -> Result<Report> {
        let configured: Vec<Configured> = models.iter().map(|m| self.configured(m)).collect();
        let forecasters: Vec<&dyn Forecaster> = configured
            .iter()
            .map(|model| model as &dyn Forecaster)
            .collect();
        self.run_with(history, &forecasters, control)
    }

    fn configured(&self, model: &Arc<dyn ForecastModel>) -> Configured {
        Configured {
            model: Arc::clone(model),
            options: self.options.clone(),
            calibration: self.calibration,
        }
    }

    /// As [`Self::run`] for any forecasters.
    ///
    /// # Errors
    /// As there.
    pub fn run_with<'a>(
        &self,
        history: impl Into<History<'a>>,
        models: &[&dyn Forecaster],
        control: Control<'_>,
    ) -> Result<Report> {
        let history: History<'_> = history.into();
        let y = history.values;
        check_series("backtest", y, 2)?;
        let origins = self.origins(y.len())?;
        let given: Vec<String> = models.iter().map(|model| model.name()).collect();
        let mut baselines = Vec::new();
        for name in BASELINES {
            let model = Classical.resolve(&name.parse()?)?;
            // Without a season the seasonal naive is the naive.
            let repeats =
                model.needs(&self.options).longest_season.is_some() && self.options.season < 2;
            if !given.iter().any(|other| other == name) && !repeats {
                baselines.push(self.configured(&model));
            }
        }
        let mut all: Vec<&dyn Forecaster> = models.to_vec();
        all.extend(baselines.iter().map(|model| model as &dyn Forecaster));

        let total = all.len() * origins.len();
        let done = AtomicUsize::new(0);
        let one = |job: usize| -> Result<Fold> {
            let stopped = || control.cancel.is_some_and(CancelToken::is_cancelled);
            if stopped() {
                return Err(Error::Cancelled);
            }
            // Folds of one model lie apart, so that slow models spread over the threads.
            let (origin, model) = (origins[job / all.len()], all[job % all.len()]);
            let fold = || self.fold(&history, origin, model, control.clock);
            let fold = match control.cancel {
                Some(token) => token.scope(fold),
                None => fold(),
            };
            if stopped() {
                return Err(Error::Cancelled);
            }
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            if let Some(progress) = control.progress {
                progress(count, total);
            }
            Ok(fold)
        };
        #[cfg(feature = "parallel")]
        let folds: Result<Vec<Fold>> = {
            use rayon::prelude::*;
            (0..total).into_par_iter().map(one).collect()
        };
        #[cfg(not(feature = "parallel"))]
        let folds: Result<Vec<Fold>> = (0..total).map(one).collect();
        let mut by_model: Vec<Vec<Fold>> = all.iter().map(|_| Vec::new()).collect();
        for (job, fold) in folds?.into_iter().enumerate() {
            by_model[job % all.len()].push(fold);
        }
        // The loss of a fold depends on every innovation from its origin to its last step, the gap's
        // included: two folds k apart share some when k·step < gap + horizon.
        let overlap = (self.gap + self.horizon).div_ceil(self.step);
        let names = all.iter().map(|model| model.name()).collect::<Vec<_>>();
        Ok(summarise(self, &names, models.len(), by_model, overlap))
    }

    /// Whether the layout fits a series of `n` values, missing ones included.
    ///
    /// # Errors
    /// Says what is needed; or which number of the layout cannot be.
    pub fn fits(&self, n: usize) -> Result<()> {
        self.origins(n).map(drop)
    }

    /// How many values the layout needs at least, from which its first fold is fitted to `fitted` of them.
    #[must_use]
    pub fn needs(&self, fitted: usize) -> usize {
        let shortest = match self.window {
            Window::Expanding => fitted.max(2),
            Window::Sliding(length) => length.max(2),
        };
        self.origins
            .saturating_sub(1)
            .saturating_mul(self.step)
            .saturating_add(self.horizon)
            .saturating_add(self.gap)
            .saturating_add(shortest)
    }

    /// Ends of the pasts of the folds, oldest first.
    fn origins(&self, n: usize) -> Result<Vec<usize>> {
        check_request(self.horizon, &self.levels)?;
        if self.origins == 0 {
            return Err(Error::argument("origins", "expected at least 1, got 0"));
        }
        if self.step == 0 {
            return Err(Error::argument("step", "expected at least 1, got 0"));
        }
        if self.window == Window::Sliding(0) {
            return Err(Error::argument(
                "window",
                "expected at least 1 observation, got 0",
            ));
        }
        let needed = self.needs(2);
        if n < needed {
            let reason = format!(
                "{} origins {} apart with horizon {} and gap {} need {needed} observations, got {n}",
                self.origins, self.step, self.horizon, self.gap
            );
            return Err(Error::argument("origins", reason));
        }
        let last = n - self.horizon - self.gap;
        Ok((0..self.origins)
            .rev()
            .map(|back| last - back * self.step)
            .collect())
    }

    fn fold(
        &self,
        history: &History<'_>,
        origin: usize,
        model: &dyn Forecaster,
        clock: Option<&(dyn Fn() -> f64 + Sync)>,
    ) -> Fold {
        let start = match self.window {
            Window::Expanding => 0,
            Window::Sliding(length) => origin - length.max(2),
        };
        let y = history.values;
        let past = history.range(start..origin);
        let mut levels: Vec<Level> = QUANTILE_LEVELS.iter().map(|v| Level(*v)).collect();
        levels.extend(
            self.levels
                .iter()
                .filter(|level| !QUANTILE_LEVELS.contains(&level.0)),
        );
        let started = clock.map(|clock| clock());
        let outcome = model.forecast(&past, self.gap + self.horizon, &levels);
        let seconds = clock.zip(started).map(|(clock, started)| clock() - started);
        let outcome = outcome.and_then(|forecast| {
            if forecast.mean.len() == self.gap + self.horizon {
                Ok(forecast)
            } else {
                Err(Error::numeric(
                    model.name(),
                    "the forecast has another horizon",
                ))
            }
        });
        let season = self.options.season;
        Fold {
            origin,
            actual: y[origin + self.gap..origin + self.gap + self.horizon].to_vec(),
            forecast: outcome.map(|forecast| behind(forecast, self.gap)),
            scale: naive_scale(past.values, season),
            square_scale: naive_square_scale(past.values, season),
            seconds,
        }
    }
}

/// The forecast without its first `gap` steps.
fn behind(forecast: Forecast, gap: usize) -> Forecast {
    let cut = |values: Vec<f64>| values[gap..].to_vec();
    Forecast {
        mean: cut(forecast.mean),
        sd: forecast.sd.map(cut),
        intervals: forecast
            .intervals
            .into_iter()
            .map(|band| Interval {
                level: band.level,
                lower: cut(band.lower),
                upper: cut(band.upper),
            })
            .collect(),
        model: forecast.model,
    }
}
