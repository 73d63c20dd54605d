//! The gate: whether a candidate may take the champion's place.
//!
//! Model: candidate, champion and naive are compared on the same held-out origins. A candidate is promoted only if
//! it beats the champion **and** naive by a Diebold–Mariano test, its 95 % interval covers within bounds, and its
//! latency is within budget. What a test must show depends on the model's [`ErrorBudget`]: over a whole year of
//! gates, whenever and however often they are held, at most a share [`Policy::false_promotions_a_year`] of years may
//! see a promotion of a candidate that is no better.
//!
//! How that bound holds (docs/adr/0017): held-out origins are only ever added within a budget's year, so the
//! standardised sums of loss differences follow a Brownian motion B(t), t being the share of the year's origins that
//! is there. By the reflection principle P(max B > a up to t = 1) = 2·(1 − Φ(a)), for looks at any times. So the test
//! at t asks for z > a/√t: strict at first, nearly the plain test at the year's end. It is the boundary of O'Brien &
//! Fleming (1979), Biometrics 35(3), in the continuous form of Lan & DeMets (1983), Biometrika 70(3). Several
//! candidates share the budget by Bonferroni; a candidate or champion that comes later takes from a reserve.
//!
//! What it does not do: fit, score, or keep anything; choose between what the bound does not see (a person who tries
//! fifty configurations on the same origins before the gate gets to see one).

mod budget;
mod evidence;
mod judge;
mod verdict;
mod words;

pub use budget::{ErrorBudget, Try};
pub use evidence::{CoverageCount, Evidence, Policy};
pub use judge::{judge, judge_round};
pub use verdict::{
    BudgetState, Comparison, CoverageCheck, Decision, LatencyCheck, MeanLosses, Reason, Verdict,
};
