//! Neural forecasts of prices: windows, training, trained models and their files, on the networks of crate
//! `kernels`.
//!
//! # The interface in short
//! - A [`Config`] names the network ([`Kind`]: LSTM, PatchTST or NLinear), its size, window, horizon and
//!   covariates. [`train`](training::train) fits it globally: one model over many [`Series`].
//! - A trained [`Model`] forecasts any series that is long enough, one or ten thousand by one call, as
//!   [`forecast::Forecast`]; [`TrainedModel`] is it as a [`forecast::ForecastModel`], and [`Artefacts`] the
//!   provider of those that lie in a directory.
//! - [`device`] is the port of other places to run a model; without one it runs on the kernels.
//! - [`ZeroShot`] is the provider of Fracast-0, which others have trained.
//! - [`artefact`] writes a model to a directory and reads it back, every file checked by its hash.
//!
//! # What it does not do
//! Read clocks (progress takes one as an argument) or tables of prices; backtest; serve.

#![forbid(unsafe_code)]

pub mod artefact;
mod checkpoint;
mod config;
pub mod device;
mod error;
mod features;
mod measures;
mod model;
mod provider;
mod quantiles;
mod search;
mod series;
mod spec;
mod state;
pub mod training;
mod windows;
mod zero_shot;

pub use config::{Config, Covariate, Kind, Size, Transform};
pub use error::{Error, ErrorKind, Result};
pub use features::{LARGEST_INPUT, MissingCovariate, Scaler};
pub use model::{DataRange, Measures, Model, Provenance};
pub use provider::{Artefacts, Networks, TrainedModel, TrainedNetworks};
pub use search::{SearchRecord, Trial, TrialRecord};
pub use series::Series;
pub use spec::NetworkSpec;
pub use zero_shot::ZeroShot;
