//! What decides in the training loop, without doing it: when to train.
//!
//! - [`calendar`]: the sessions of exchanges, early closes included, with an overlay of extra closures.
//! - [`schedule`]: cron in a time zone, or minutes around the open or close of every session; missed fires.
//!
//! Everything is a pure function: the time is an argument, nothing is read or written. Times are UTC
//! ([`market::Timestamp`]); the zone of an exchange or a schedule is only used where a wall clock is meant.
//!
//! What it does not do: run jobs, keep anything, fit models.

pub mod calendar;
mod error;
pub mod schedule;
mod zone;

pub use error::{Error, Result};
