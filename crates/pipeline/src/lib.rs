//! The stages between source, bus, store and readers.
//!
//! ```text
//! source ─► produce ─► bus ─► consume ─► Sink ─► store
//!                                          ├──► LiveHub ─► LiveSession (`/live`)
//!                                          └──► Observers (other crates: forecasts, …)
//!
//! topic ─► tail ─► LiveHub       (a process that does not store)
//! ```
//!
//! Invariants:
//! - A source moves on only when the bus has its rows; the bus's position moves only when the store
//!   has them. Everything else may be lost and made anew.
//! - Readers see the ticks of a symbol in one order (of storage, or of the topic), each once, across reconnects and
//!   restarts; or they are told how many were left out.
//! - Neither readers nor observers can slow ingestion: both only take note under a short lock.
//!
//! [`Pipeline::start`] puts the stages together, [`Pipeline::start_as`] those of a [`Role`], [`Pipeline::prepare`]
//! lets observers subscribe before anything runs. What the crate does not do: forecasts, HTTP, WebSockets, concrete
//! buses and stores.

mod backoff;
mod clock;
mod config;
mod consume;
mod dead_letter_replay;
mod dead_letters;
mod decode;
mod error;
mod import;
mod interest;
mod lag;
mod live;
mod observers;
mod produce;
mod push;
pub mod resume;
mod retention;
mod sink;
mod source_spec;
mod stages;
mod start;
mod stats;
mod stop;
mod tail;

pub use clock::{Clock, MarketClock, MarketTime, SystemClock};
pub use config::{ConsumeConfig, LiveConfig, PipelineConfig, ProduceConfig};
pub use dead_letter_replay::{ReplayReport, replay};
pub use dead_letters::DeadLetterOutlet;
pub use error::{PipelineError, Result};
pub use import::{Import, ImportReport, ImportedBars};
pub use interest::{Interest, WatchGuard};
pub use live::{Frame, GOING_AWAY, LiveHub, LiveSession, POLICY, message_text};
pub use observers::{
    Observers, Origin, PartitionChange, PartitionObserver, StoredObserver, StoredRows,
};
pub use protocol::{LiveStats, PipelineStats, Rate, Role, SourceState, SourceStatus, TopicFlow};
pub use push::Pushed;
pub use retention::{RetentionConfig, remove_old};
pub use sink::Sink;
pub use source_spec::{BuildSource, SourceSpec};
pub use stages::Parts;
pub use start::{Pipeline, Prepared};
pub use stats::Counter;

/// The reason that readers are told when the server goes away.
pub const SHUTTING_DOWN: &str = "the server is shutting down";
