//! The pipeline over the real SQLite store and the in-process bus.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod commits;
mod faults;
mod flow;
mod harness;
mod live;
mod observers;
mod resume;
