//! The training loop: when to train, what a round of training ends with, whether a candidate may take the champion's
//! place, whether what is served has drifted; and the worker that does it.
//!
//! - [`calendar`]: the sessions of exchanges, early closes included, with an overlay of extra closures.
//! - [`schedule`]: cron in a time zone, or minutes around the open or close of every session; missed fires.
//! - [`gate`]: verdicts on candidates, with an error budget that holds for a year of gates.
//! - [`drift`]: Page–Hinkley on errors and PSI on inputs, at one false alarm in N days over all symbols.
//! - [`training`]: a round from closes to a verdict and the files of the model that is served after it.
//! - [`scores`]: MASE, skill, CRPS and coverage over the last steps whose outcome is known.
//! - [`jobs`]: what jobs are given. [`worker`]: takes them from the store and does them.
//! - [`registered`]: models of the registry as references.
//! - [`mlflow`]: what a run has to say, sent to an MLflow server, and models loaded from one.
//!
//! Everything but [`worker`], [`registered`] and [`mlflow`] is a pure function: the time and the seed are arguments, nothing
//! is read or written. Times are UTC ([`market::Timestamp`]); the zone of an exchange or a schedule is only used where a
//! wall clock is meant.
//!
//! What it does not do: fire schedules, deliver messages to others than MLflow, serve.

pub mod calendar;
pub mod champions;
pub mod drift;
mod error;
pub mod gate;
pub mod jobs;
pub mod mlflow;
pub mod registered;
pub mod schedule;
pub mod scores;
pub mod training;
pub mod webhook;
pub mod worker;
mod zone;

pub use error::{Error, Result};
pub use worker::{Worker, WorkerConfig, WorkerPorts};
