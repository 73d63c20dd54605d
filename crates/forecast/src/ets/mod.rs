//! Exponential smoothing in state-space form (ETS), the form chosen by AICc.
//!
//! Model: Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing. Error
//! additive or multiplicative, trend none, additive or damped, season none, additive or
//! multiplicative; the three forms with additive error and multiplicative season are left out, as
//! is multiplicative trend (R's defaults). A missing value leaves the states to their own course.
//! Does not: smooth seasons longer than 24 steps (the form is then chosen without a season), as R's
//! `ets` does not either.

mod auto;
mod fitted;
mod form;
mod objective;
mod recursion;

pub use auto::{AutoEts, LONGEST_SEASON};
pub use fitted::{Ets, FittedEts};
pub use form::{ErrorForm, EtsForm, SeasonForm, TrendForm};
pub(crate) use objective::line;
