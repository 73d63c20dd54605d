//! The stages between source, bus, store and readers.
//!
//! ```text
//! source ─► produce ─► bus ─► consume ─► Sink ─► store
//!                                          ├──► LiveHub ─► LiveSession (`/live`)
//!                                          └──► forecaster ─► ledger ─► ForecastHub (`/forecast`)
//!
//! topic ─► follow ─► LiveHub, ledger ─► ForecastHub     (a process that does not store)
//! ```
//!
//! Invariants:
//! - A source moves on only when the bus has its rows; the bus's position moves only when the store
//!   has them. Everything else may be lost and made anew.
//! - Readers see the ticks of a symbol in one order (of storage, or of the topic), each once, across reconnects and
//!   restarts; or they are told how many were left out.
//! - A forecast is in the ledger before it is shown, and before its outcome can be known.
//! - Neither readers nor forecasts can slow ingestion: both only take note under a short lock.
//!
//! [`Pipeline::start`] puts the stages together, [`Pipeline::start_as`] those of a [`Role`]. What the crate does not do: HTTP, WebSockets,
//! concrete buses and stores.

mod backoff;
mod backtests;
mod clock;
mod config;
mod consume;
mod cpu;
mod dead_letters;
mod error;
mod follow;
mod forecasts;
mod import;
mod lag;
mod live;
mod nothing_stored;
mod predict;
mod produce;
mod push;
mod retention;
mod series_reader;
mod sink;
mod stages;
mod start;
mod stats;
mod stop;
mod watch;

pub use backtests::{BacktestEvent, BacktestRequest, BacktestRun, Backtested, Backtests};
pub use clock::{Clock, MarketClock, MarketTime, SystemClock};
pub use config::{
    BacktestConfig, ConsumeConfig, ForecastConfig, LiveConfig, PipelineConfig, PredictConfig,
    ProduceConfig,
};
pub use dead_letters::{DeadLetterOutlet, ReplayReport, replay};
pub use error::{PipelineError, Result};
pub use forecasts::{ForecastHub, ForecastSession};
pub use import::{Import, ImportReport, ImportedBars};
pub use live::{Frame, LiveHub, LiveSession};
pub use predict::{FitReport, Predictor};
pub use produce::{BuildSource, SourceSpec, SourceState, SourceStatus};
pub use push::Pushed;
pub use retention::{RetentionConfig, remove_old};
pub use sink::Sink;
pub use stages::{Parts, Role};
pub use start::Pipeline;
pub use stats::{
    BacktestStats, Counter, ForecastStats, LiveStats, PipelineStats, PredictStats, Rate, TopicFlow,
};
pub use watch::WatchGuard;

/// The reason that readers are told when the server goes away.
pub(crate) const SHUTTING_DOWN: &str = "the server is shutting down";
