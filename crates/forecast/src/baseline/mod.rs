//! The baselines that always run beside every model: naive, drift, seasonal naive and mean.
//!
//! Model: each has its exact normal (mean: Student-t) forecast distribution, parameter uncertainty
//! included where a parameter is estimated. The formulas are those of Hyndman & Athanasopoulos,
//! Forecasting: Principles and Practice (3rd ed.), section 5.5, as R's forecast 8.20 computes them
//! (`rwf`, `snaive`, `meanf`).
//! Does not: estimate anything by likelihood.

mod drift;
mod mean;
mod moments;
mod naive;

pub use drift::{Drift, FittedDrift};
pub use mean::{FittedMean, Mean};
pub(crate) use moments::Moments;
pub use naive::{FittedNaive, Naive, SeasonalNaive};

/// The names of the baselines, in the grammar of [`crate::ModelSpec`]: they run beside every model.
pub const BASELINES: [&str; 3] = ["naive", "drift", "snaive"];
