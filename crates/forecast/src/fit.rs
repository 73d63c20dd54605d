//! From a name and a series to a fitted model, in one type that can be saved.
//!
//! Model: [`Fitted`] is the closed set of this crate's fitted models. It is serde-able, so the
//! registry stores it, the server and the browser load it, and the three forecast alike.
//! Does not: decide which model is good.

use serde::{Deserialize, Serialize};

use crate::arima::{Arima, AutoArima, FittedArima, Method};
use crate::baseline::{Drift, FittedDrift, FittedMean, FittedNaive, Mean, Naive, SeasonalNaive};
use crate::cancel;
use crate::combine::{Combination, FittedCombination};
use crate::error::{Error, Result};
use crate::ets::{AutoEts, FittedEts};
use crate::garch::{Errors, FittedGarch, Garch};
use crate::lattice::{FittedLattice, tick};
use crate::model::{FittedModel, Model, Summary};
use crate::output::{Forecast, Level};
use crate::spec::ModelSpec;
use crate::theta::{FittedTheta, Theta, ThetaKind};
use crate::transform::{FittedLog, Point, log_series};

/// How to fit a model by name. The default fits the series as it is, without a season.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FitOptions {
    /// Steps in a season for `snaive`, `ets`, `theta`, `auto-arima` and `combo`; 1 for none.
    pub season: usize,
    /// Fit the logarithm of the series and bring forecasts back to its own units.
    pub log: bool,
    /// With [`Self::log`]: whether the point forecast is the median or the mean.
    pub point: Point,
    /// How ARIMA coefficients are estimated.
    pub arima: Method,
    /// `auto-arima` tries every combination of orders instead of walking stepwise.
    pub full_search: bool,
    /// Which theta method `theta` is.
    pub theta: ThetaKind,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            season: 1,
            log: false,
            point: Point::Median,
            arima: Method::Ml,
            full_search: false,
            theta: ThetaKind::Optimised,
        }
    }
}

/// A fitted model of any kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fitted {
    /// `naive` or `snaive`.
    Naive(FittedNaive),
    /// `drift`.
    Drift(FittedDrift),
    /// `mean`.
    Mean(FittedMean),
    /// `arima(…)` or the choice of `auto-arima`.
    Arima(Box<FittedArima>),
    /// `ets`.
    Ets(FittedEts),
    /// `theta`.
    Theta(FittedTheta),
    /// `garch`.
    Garch(FittedGarch),
    /// `combo`, or any other combination.
    Combination(FittedCombination),
    /// Any of these on the logarithm of the series.
    Log(FittedLog),
    /// Any of these, of prices on a grid that mostly stand still.
    Lattice(FittedLattice),
}

pub(crate) fn fit(spec: ModelSpec, y: &[f64], options: &FitOptions) -> Result<Fitted> {
    check_season(options)?;
    let fitted = if options.log {
        let logs = log_series(y)?;
        let inner = fit_plain(spec, &logs, options)?;
        Fitted::Log(FittedLog::new(inner, options.point))
    } else {
        fit_plain(spec, y, options)?
    };
    Ok(match tick(y) {
        Some(tick) => Fitted::Lattice(FittedLattice::new(fitted, tick)),
        None => fitted,
    })
}

pub(crate) fn check_season(options: &FitOptions) -> Result<()> {
    if options.season == 0 || options.season > crate::arima::MAX_SEASON_STEPS {
        let most = crate::arima::MAX_SEASON_STEPS;
        let reason = format!("expected 1 to {most} steps, got {}", options.season);
        return Err(Error::argument("season", reason));
    }
    Ok(())
}

/// Fits to the series as it is: neither logarithms nor the grid of its prices.
pub(crate) fn fit_plain(spec: ModelSpec, y: &[f64], options: &FitOptions) -> Result<Fitted> {
    cancel::check()?;
    let fitted = fit_to_the_end(spec, y, options);
    // Whatever came of it: a search that was stopped ends somewhere.
    cancel::check()?;
    fitted
}

fn fit_to_the_end(spec: ModelSpec, y: &[f64], options: &FitOptions) -> Result<Fitted> {
    match spec {
        ModelSpec::Naive => Naive.fit(y).map(Fitted::Naive),
        ModelSpec::Drift => Drift.fit(y).map(Fitted::Drift),
        ModelSpec::SeasonalNaive => SeasonalNaive {
            season: options.season,
        }
        .fit(y)
        .map(Fitted::Naive),
        ModelSpec::Mean => Mean.fit(y).map(Fitted::Mean),
        ModelSpec::Arima(order) => Arima::new(order)
            .method(options.arima)
            .fit(y)
            .map(|fitted| Fitted::Arima(Box::new(fitted))),
        ModelSpec::AutoArima => {
            let model = AutoArima::new(options.season);
            let model = if options.full_search {
                model.full()
            } else {
                model
            };
            model.fit(y).map(|fitted| Fitted::Arima(Box::new(fitted)))
        }
        ModelSpec::Ets => AutoEts {
            season: options.season,
        }
        .fit(y)
        .map(Fitted::Ets),
        ModelSpec::Theta => Theta {
            season: options.season,
            kind: options.theta,
        }
        .fit(y)
        .map(Fitted::Theta),
        ModelSpec::Garch => Garch {
            errors: Errors::Best,
        }
        .fit(y)
        .map(Fitted::Garch),
        ModelSpec::Combo => Combination::standard()
            .fit(y, options)
            .map(Fitted::Combination),
    }
}

impl Fitted {
    /// In-sample errors in the units of the series, also where the model's own residuals are
    /// relative (exponential smoothing with multiplicative errors); NaN where there is none.
    pub(crate) fn level_residuals(&self, y: &[f64]) -> Vec<f64> {
        let own = self.residuals();
        match self {
            Self::Ets(model) if model.is_relative() => {
                own.iter().zip(y).map(|(e, y)| y * e / (1.0 + e)).collect()
            }
            Self::Lattice(model) => model.inner().level_residuals(y),
            _ => own.to_vec(),
        }
    }

    fn inner(&self) -> &dyn FittedModel {
        match self {
            Self::Naive(model) => model,
            Self::Drift(model) => model,
            Self::Mean(model) => model,
            Self::Arima(model) => model.as_ref(),
            Self::Ets(model) => model,
            Self::Theta(model) => model,
            Self::Garch(model) => model,
            Self::Combination(model) => model,
            Self::Log(model) => model,
            Self::Lattice(model) => model,
        }
    }

    fn inner_mut(&mut self) -> &mut dyn FittedModel {
        match self {
            Self::Naive(model) => model,
            Self::Drift(model) => model,
            Self::Mean(model) => model,
            Self::Arima(model) => model.as_mut(),
            Self::Ets(model) => model,
            Self::Theta(model) => model,
            Self::Garch(model) => model,
            Self::Combination(model) => model,
            Self::Log(model) => model,
            Self::Lattice(model) => model,
        }
    }
}

impl FittedModel for Fitted {
    fn name(&self) -> String {
        self.inner().name()
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        self.inner().forecast(horizon, levels)
    }

    fn update(&mut self, y: f64) -> Result<()> {
        self.inner_mut().update(y)
    }

    fn summary(&self) -> Summary {
        self.inner().summary()
    }

    fn residuals(&self) -> &[f64] {
        self.inner().residuals()
    }
}
