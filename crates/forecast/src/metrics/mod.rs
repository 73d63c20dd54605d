//! Measures of forecasts: how far off, how well calibrated, how much better than naive.
//!
//! Model: pure functions of actual values and forecasts of the same length; pairs with a missing
//! (NaN) actual are left out, and the result is NaN when nothing is left. Lower is better, except
//! for coverage (nearer the level is better) and skill (higher is better). There is deliberately
//! no "accuracy %".
//! Does not: run models (see [`crate::backtest`]).

mod point;
mod probabilistic;

pub use point::{mae, mase, naive_scale, naive_square_scale, rmse, rmsse, skill, smape};
pub use probabilistic::{coverage, crps_normal, crps_quantiles, interval_score, pinball, width};
