//! What decides in the training loop, without doing it: when to train.
//!
//! - [`calendar`]: the sessions of exchanges, early closes included, with an overlay of extra closures.
//!
//! Everything is a pure function: the time is an argument, nothing is read or written. Times are UTC
//! ([`market::Timestamp`]); the zone of an exchange is only used where a wall clock is meant.
//!
//! What it does not do: run jobs, keep anything, fit models.

pub mod calendar;
mod error;
mod zone;

pub use error::{Error, Result};
