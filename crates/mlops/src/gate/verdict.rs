//! The verdict: what was decided, by which numbers, and in words. It is kept, shown and handed on as it is.

use market::Timestamp;
use serde::{Deserialize, Serialize};

/// What is served from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The candidate becomes champion.
    Promote,
    /// The champion stays.
    KeepChampion,
    /// Naive is served: there is no champion, or it is worse than naive.
    ServeNaive,
}

/// Why a candidate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Too few held-out origins.
    TooFewOrigins,
    /// It gave no forecast at some origins.
    MissingForecasts,
    /// It does not beat the champion.
    NotBetterThanChampion,
    /// It does not beat naive.
    NotBetterThanNaive,
    /// Its 95 % interval covers too few outcomes.
    CoverageTooLow,
    /// Its 95 % interval covers too many.
    CoverageTooHigh,
    /// It takes too long.
    TooSlow,
    /// There are more origins than the year was planned for: the bound would not hold for another test.
    BudgetSpent,
    /// Another candidate of the same round is better.
    BetterCandidate,
}

/// A one-sided Diebold–Mariano test of the candidate against another on the same origins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The other: the champion's name, or `naive`.
    pub against: String,
    /// Origins compared.
    pub origins: usize,
    /// Mean loss of the candidate less that of the other; negative when the candidate is better.
    pub mean_difference: f64,
    /// The statistic, negative when the candidate is better; none when the losses never differ.
    pub statistic: Option<f64>,
    /// The chance of a statistic as low as this if the candidate is no better.
    pub p_value: Option<f64>,
    /// What the p-value must be below at this gate.
    pub level: f64,
    /// Whether it is.
    pub beats: bool,
}

/// Mean losses over the held-out origins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanLosses {
    /// Of the candidate, where it gave a forecast; none where it gave none at all.
    pub candidate: Option<f64>,
    /// Of the champion; none without one.
    pub champion: Option<f64>,
    /// Of naive.
    pub naive: f64,
}

/// The 95 % interval beside its bounds. Shares from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoverageCheck {
    /// Outcomes inside.
    pub inside: u64,
    /// Of so many.
    pub outcomes: u64,
    /// The share; none without outcomes.
    pub share: Option<f64>,
    /// The least that is allowed.
    pub least: f64,
    /// The most.
    pub most: f64,
    /// Whether it lies between.
    pub within: bool,
}

/// The latency beside its budget, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyCheck {
    /// 99th percentile.
    pub p99_ms: f64,
    /// The most that is allowed.
    pub budget_ms: f64,
    /// Whether it is within.
    pub within: bool,
}

/// The error budget as it stands after this verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetState {
    /// The share of years that may see a false promotion.
    pub false_promotions_a_year: f64,
    /// The part of it that this comparison has.
    pub share: f64,
    /// How much of that part could have been spent by now.
    pub spent: f64,
    /// Verdicts this year, this one included.
    pub tries_this_year: u32,
    /// Different comparisons of a candidate with a champion this year: each has a share of its own.
    pub comparisons_this_year: u32,
    /// Promotions this year, this one included.
    pub promotions_this_year: u32,
    /// When the year ends and the budget opens anew.
    pub year_ends: Timestamp,
}

/// A verdict with all its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The model name.
    pub model: String,
    /// The candidate.
    pub candidate: String,
    /// The champion at that time; none where naive was served.
    pub champion: Option<String>,
    /// When it was judged.
    pub at: Timestamp,
    /// What was decided.
    pub decision: Decision,
    /// Why the candidate was refused, all reasons; empty when it was promoted.
    pub reasons: Vec<Reason>,
    /// Whether naive beats the champion on these origins.
    pub champion_worse_than_naive: bool,
    /// Held-out origins with an outcome.
    pub origins: usize,
    /// The first of them.
    pub first_origin: Option<Timestamp>,
    /// The last.
    pub last_origin: Option<Timestamp>,
    /// Mean losses over them.
    pub mean_loss: MeanLosses,
    /// 1 − loss/loss of naive: 0 is as good as naive; none where naive's loss is 0.
    pub skill_against_naive: Option<f64>,
    /// Against the champion; none without one.
    pub against_champion: Option<Comparison>,
    /// Against naive.
    pub against_naive: Comparison,
    /// The 95 % interval.
    pub coverage_95: CoverageCheck,
    /// The latency.
    pub latency: LatencyCheck,
    /// The error budget.
    pub budget: BudgetState,
    /// The verdict as a paragraph for a person.
    pub words: String,
}
