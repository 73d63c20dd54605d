//! What the gate is shown, and the rules it goes by.

use market::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The rules of a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The share of years that may see a promotion of a candidate that is no better, for one model name.
    pub false_promotions_a_year: f64,
    /// The part of it that is kept for candidates and champions that come during the year.
    pub reserve: f64,
    /// Held-out origins when a year opens.
    pub held_out_origins: usize,
    /// Origins that a year adds: 252 for daily bars.
    pub origins_a_year: usize,
    /// With fewer held-out origins nothing is promoted.
    pub least_origins: usize,
    /// The share of outcomes inside the 95 % interval must not be below.
    pub coverage_least: f64,
    /// Nor above.
    pub coverage_most: f64,
    /// Milliseconds that a forecast may take, at the 99th percentile.
    pub latency_budget_ms: f64,
    /// The champion gives way to naive when naive beats it with a one-sided p-value below this.
    pub demotion_level: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            false_promotions_a_year: 0.05,
            reserve: 0.2,
            held_out_origins: 500,
            origins_a_year: 252,
            least_origins: 100,
            coverage_least: 0.90,
            coverage_most: 0.99,
            latency_budget_ms: 100.0,
            demotion_level: 0.05,
        }
    }
}

impl Policy {
    /// Held-out origins at the end of a year.
    pub const fn planned_origins(&self) -> usize {
        self.held_out_origins.saturating_add(self.origins_a_year)
    }

    /// Checks the rules.
    ///
    /// # Errors
    /// The first number that cannot be one.
    pub fn check(&self) -> Result<()> {
        let share = |name: &str, value: f64, most: f64| {
            if value > 0.0 && value < most {
                return Ok(());
            }
            Err(fault(format!(
                "{name} is {value}, and must lie between 0 and {most}"
            )))
        };
        share("false_promotions_a_year", self.false_promotions_a_year, 1.0)?;
        share("reserve", self.reserve, 1.0)?;
        share("coverage_least", self.coverage_least, 0.95)?;
        share("demotion_level", self.demotion_level, 0.5)?;
        share("latency_budget_ms", self.latency_budget_ms, f64::INFINITY)?;
        if !(0.95..=1.0).contains(&self.coverage_most) {
            return Err(fault(format!(
                "coverage_most is {}, and must lie between 0.95 and 1",
                self.coverage_most
            )));
        }
        if self.held_out_origins < self.least_origins || self.least_origins < 30 {
            return Err(fault(format!(
                "held_out_origins is {} and least_origins {}: at least 30, and no more than are held out",
                self.held_out_origins, self.least_origins
            )));
        }
        Ok(())
    }
}

/// Outcomes inside the 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageCount {
    /// Inside.
    pub inside: u64,
    /// Of so many.
    pub outcomes: u64,
}

/// What one candidate is judged by. Losses are one per held-out origin, lower is better, oldest first, all from
/// forecasts that were made without knowing their outcome. Within a budget's year origins are only added: a loss
/// that was shown once does not change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The model name whose champion is sought.
    pub model: String,
    /// The candidate, by what makes it the same from day to day: kind and configuration, not version.
    pub candidate: String,
    /// The champion, likewise; none while naive is served.
    pub champion: Option<String>,
    /// When each held-out origin was, ascending.
    pub origins: Vec<Timestamp>,
    /// The candidate's loss at each; NaN where it gave no forecast.
    pub candidate_loss: Vec<f64>,
    /// The champion's; empty without one. NaN where it gave none: naive stood in for it.
    pub champion_loss: Vec<f64>,
    /// Naive's; NaN where the outcome is missing, which leaves the origin out.
    pub naive_loss: Vec<f64>,
    /// Steps that a forecast reaches ahead, in units of the distance of origins: 1 when they do not overlap.
    pub overlap: usize,
    /// The candidate's 95 % interval over the held-out origins.
    pub coverage_95: CoverageCount,
    /// Milliseconds that the candidate takes for a forecast, 99th percentile.
    pub latency_p99_ms: f64,
}

impl Evidence {
    /// Checks what can be checked without the budget.
    ///
    /// # Errors
    /// Lists of different lengths, origins out of order, counts that cannot be.
    pub fn check(&self) -> Result<()> {
        let n = self.origins.len();
        let champion = if self.champion.is_some() { n } else { 0 };
        for (whose, losses, want) in [
            ("the candidate", &self.candidate_loss, n),
            ("the champion", &self.champion_loss, champion),
            ("naive", &self.naive_loss, n),
        ] {
            if losses.len() != want {
                let found = losses.len();
                return Err(fault(format!(
                    "{found} losses of {whose} where there are {want} origins"
                )));
            }
            if losses.iter().any(|loss| loss.is_infinite()) {
                return Err(fault(format!("a loss of {whose} is infinite")));
            }
        }
        if let Some(pair) = self.origins.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(fault(format!(
                "origin {} does not come after {}",
                pair[1], pair[0]
            )));
        }
        if self.coverage_95.inside > self.coverage_95.outcomes {
            return Err(fault(
                "more outcomes inside the interval than outcomes".into(),
            ));
        }
        if self.overlap == 0 {
            return Err(fault(
                "an overlap of 0: forecasts reach at least one step ahead".into(),
            ));
        }
        if self.latency_p99_ms.is_nan() || self.latency_p99_ms < 0.0 {
            return Err(fault(format!("a latency of {} ms", self.latency_p99_ms)));
        }
        Ok(())
    }
}

pub fn fault(detail: String) -> Error {
    Error::Evidence { detail }
}
