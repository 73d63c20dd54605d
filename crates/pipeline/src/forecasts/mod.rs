//! Forecasts of every series at each closed bar, and `/forecast`.
//!
//! Model: the sink tells the [`LiveForecaster`] which bars have changed; it remembers only, per (symbol,
//! interval), from where on there may be a closed bar to forecast from. So nothing queues up: when
//! it cannot keep pace, bars are passed over (and counted), for only the newest closed bar matters.
//! A task of its own reads the window from the store, updates its models or fits them anew (see
//! [`model_cache`]) on a pool of threads, writes the fans to
//! the ledger and only then shows them: a fan that the ledger refuses, since its outcome could be
//! known, is never shown. When later bars close, it scores what is due.
//!
//! What it does not do: choose models (they are configured); show scores.

mod hub;
mod ledger;
mod live_forecaster;
mod model_cache;
mod read;
mod series;
mod session;

pub use hub::ForecastHub;
pub(crate) use live_forecaster::LiveForecaster;
pub(crate) use model_cache::{CachedModel, ModelCache, REFIT_BARS, TrainingWindow};
pub(crate) use read::{FanReader, latest as latest_in_ledger};
pub(crate) use series::{Origin, bands, has_no_width, levels, recipe};
pub use session::ForecastSession;
pub(crate) use session::QueueBounds;
