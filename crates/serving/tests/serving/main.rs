//! Forecasts over a real pipeline, the real SQLite store and the in-process bus.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod backtests;
mod champion;
mod feed;
mod forecasts;
mod harness;
mod one_answer;
mod predict;
mod shared_states;
