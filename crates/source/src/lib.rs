//! Where prices come from: the port [`TickSource`], and what a row from outside means.
//!
//! Checkpoint semantics are the port's ([`SourceSink`] and its module): a source moves on only
//! after the pipeline has taken a batch, so delivery is at least once and the key of a tick makes
//! the repeat harmless.
//!
//! What it does not do: HTTP servers (the simulated exchange's routes live in the server), storing,
//! retries of what the pipeline does with a batch.

mod clock;
pub mod decode;
mod error;
pub mod file;
mod port;
pub mod replay;
pub mod rest;
pub mod sim;

pub use clock::{WallClock, system_clock};
pub use decode::{Decoded, Decoding, ticks_from_json};
pub use error::{Result, SourceError};
pub use port::{
    Acknowledgement, Delivered, InFlight, SourceBatch, SourceOutlet, SourceSink, TickSource,
    Trouble, Warnings, source_channel,
};
