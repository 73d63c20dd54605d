//! Where prices come from: the port [`TickSource`], and what a row from outside means.
//!
//! Checkpoint semantics are the port's ([`SourceSink`] and its module): a source moves on only
//! after the pipeline has taken a batch, so delivery is at least once and the key of a tick makes
//! the repeat harmless.
//!
//! What it does not do: HTTP servers (the simulated exchange's routes live in the server), storing,
//! retries of what the pipeline does with a batch.

#[cfg(feature = "feeds")]
mod clock;
pub mod decode;
mod error;
pub mod file;
#[cfg(feature = "feeds")]
mod port;
#[cfg(feature = "feeds")]
pub mod replay;
#[cfg(feature = "feeds")]
pub mod rest;
#[cfg(feature = "feeds")]
pub mod sim;

#[cfg(feature = "feeds")]
pub use clock::{WallClock, system_clock};
pub use decode::{Decoded, Decoding, ticks_from_json};
pub use error::{Result, SourceError};
#[cfg(feature = "feeds")]
pub use port::{
    Acknowledgement, Delivered, InFlight, SourceBatch, SourceOutlet, SourceSink, TickSource,
    Trouble, Warnings, source_channel,
};
