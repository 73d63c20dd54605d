//! What decides in the training loop: when to train, what to train and whether a candidate may take the
//! champion's place, and whether what is served has drifted.
//!
//! - [`calendar`]: the sessions of exchanges, early closes included, with an overlay of extra closures.
//! - [`schedule`]: cron in a time zone, or minutes around the open or close of every session; missed fires.
//! - [`gate`]: verdicts on candidates, with an error budget that holds for a year of gates.
//! - [`drift`]: Page–Hinkley on errors and PSI on inputs, at one false alarm in N days over all symbols.
//! - [`training`]: a round from closes to a verdict and the files of the model that is served after it.
//! - [`scores`]: MASE, skill, CRPS and coverage over the last steps whose outcome is known.
//!
//! Everything is a pure function: the time and the seed are arguments, nothing is read or written. Times are
//! UTC ([`market::Timestamp`]); the zone of an exchange or a schedule is only used where a wall clock is meant.
//!
//! What it does not do: run jobs, keep anything.

pub mod calendar;
pub mod drift;
mod error;
pub mod gate;
pub mod schedule;
pub mod scores;
pub mod training;
mod zone;

pub use error::{Error, Result};
