//! Forecasts of stored prices: at every closed bar, on request, and judged.
//!
//! ```text
//! pipeline ─(observers)─► LiveForecaster ─► ledger ─► ForecastHub ─► ForecastSession (`/forecast`)
//!                           │  ▲
//!                           ▼  │ states, windows
//! `/predict`, pages ─► Predictor ─► ModelCache, SeriesReader ─► store
//!
//! ledger ─► FanReader ─► ForecastHub          (a process that does not store)
//! ```
//!
//! Invariants:
//! - A forecast is in the ledger before it is shown, and before its outcome can be known.
//! - Who is champion of a series is looked up once for an answer: it is by one version as a whole (`contenders.rs`).
//! - Whoever asks of one series, model and origin gets one answer: all of them use the state in the cache, and it
//!   is made once.
//! - The pipeline is never slowed: it tells what it has stored, and that is noted under a short lock.
//!
//! [`Serving::start`] puts it together over stages that do not run yet. What the crate does not do: HTTP, WebSockets,
//! say which models there are (that is a `forecast::Providers`).

mod backtests;
mod config;
mod contenders;
mod cpu;
mod error;
mod fan_reader;
mod feed;
mod ledger;
mod live_forecaster;
mod model_cache;
mod origin;
mod predict;
mod series_reader;
mod start;
mod stats;

pub use backtests::{BacktestEvent, BacktestRequest, BacktestRun, Backtested, Backtests};
pub use config::{BacktestConfig, ForecastConfig, PredictConfig, ServingConfig};
pub use contenders::{ChampionStanding, Contender, Contenders, Nobody, is_registered};
pub use error::{Result, ServingError};
pub use feed::{ForecastHub, ForecastSession};
pub use predict::Predictor;
pub use protocol::{BacktestStats, ForecastStats, PredictStats, ServingStats};
pub use start::Serving;
