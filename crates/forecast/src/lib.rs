//! The forecasting core of Tickcast: one pure crate that backtests, serves and runs in the browser.
//!
//! # The interface in short
//! - A series is a `&[f64]`, oldest first, equally spaced; **NaN marks a missing value**.
//! - A [`ModelRef`] is the text that names a model; [`Providers`] resolve it to a [`ForecastModel`], which is
//!   fitted to a [`History`] (or loaded) and gives a [`ModelState`] that forecasts, takes further values and
//!   is saved as bytes. Other crates bring models as [`ModelProvider`]s.
//! - [`ModelSpec`] is one of this crate's models by name (`"arima(1,1,1)+drift".parse()`); [`ModelSpec::fit`] with
//!   [`FitOptions`] (season, log) gives a boxed [`FittedModel`], [`ModelSpec::fit_owned`] the
//!   serde-able [`Fitted`].
//! - [`FittedModel::forecast`] gives a [`Forecast`] with a band for every [`Level`];
//!   [`FittedModel::update`] takes one more observation without a refit;
//!   [`FittedModel::summary`] and [`FittedModel::residuals`] describe the fit.
//! - Static use goes through [`Model::fit`] on the model types: [`baseline`], [`arima`] (with
//!   regressors and automatic choice), [`ets`], [`theta`], [`garch`], [`combine`].
//! - [`Answer`] is the JSON form of a fit and its forecast, [`FitReport`] what a page shows of a fit.
//! - [`conformal`] puts calibrated bands on any forecast: split, and adaptive online.
//! - [`ModelSpec::cost`] says beforehand what a fit takes, about.
//! - [`CancelToken::scope`] makes fits that can be stopped from another thread.
//! - [`backtest::Backtest`] runs models from rolling origins beside [`BASELINES`], with progress,
//!   cancellation and a clock passed in.
//! - [`metrics`], [`diagnostics`], [`calibration`] and [`backtest::diebold_mariano`] measure.
//!
//! ```
//! use forecast::{FitOptions, FittedModel, Level, ModelSpec};
//!
//! let y = [101.0, 102.5, f64::NAN, 101.9, 103.2];
//! let spec: ModelSpec = "naive".parse()?;
//! let mut fitted = spec.fit(&y, &FitOptions { log: true, ..FitOptions::default() })?;
//! let forecast = fitted.forecast(5, &Level::DEFAULT)?;
//! assert!((forecast.mean[0] - 103.2).abs() < 1e-9);
//! fitted.update(104.0)?;
//! # Ok::<(), forecast::Error>(())
//! ```
//!
//! # Numbers
//! Transcendental functions come from `libm` and no sum depends on the number of threads: native
//! code and wasm give the same bits. Time and randomness are never read; nothing here does input
//! or output.
//!
//! # What it does not do
//! Neural models (crate `neural`), data access, plotting, scheduling. There is no "accuracy %".

mod answer;
pub mod arima;
pub mod backtest;
pub mod baseline;
mod bfgs;
pub mod calibration;
mod cancel;
pub mod combine;
pub mod conformal;
mod cost;
pub mod decompose;
pub mod diagnostics;
pub mod distribution;
mod error;
pub mod ets;
mod fit;
mod fit_report;
pub mod garch;
mod history;
mod lattice;
mod least_squares;
pub mod metrics;
mod model;
mod nelder_mead;
mod output;
mod provider;
mod reference;
mod series;
mod served;
mod spec;
mod state;
pub mod theta;
mod transform;

pub use answer::Answer;
pub use baseline::BASELINES;
pub use cancel::CancelToken;
pub use cost::Cost;
pub use error::{Error, ErrorKind, Result};
pub use fit::{FitOptions, Fitted};
pub use fit_report::FitReport;
pub use history::{History, Observation};
pub use model::{FittedModel, Model, Parameter, Summary};
pub use output::{Forecast, Interval, Level, MAX_HORIZON_STEPS};
pub use provider::{
    Classical, ForecastModel, ModelProvider, ModelState, Needs, Preloaded, Providers, Training,
};
pub use reference::ModelRef;
pub use served::{Calibration, CalibrationOptions, Served, ServedState};
pub use spec::ModelSpec;
pub use state::STATE_VERSION;
pub use transform::{Point, exp_forecast, log_series};
