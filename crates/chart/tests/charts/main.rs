//! The charts as SVG: their structure, and that no input breaks them.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is the report"
)]

mod fixtures;
mod price;
mod properties;
mod quality;
