//! The error budget of a model name: what a year of gates may still get wrong.
//!
//! Model: the year's bound α is split before it is spent. The comparisons that the year opens with share its larger
//! part equally; each pair of candidate and champion that comes later takes a part of the reserve, the j-th of them
//! 1/(j·(j+1)) of it, which never sums to more than the reserve. A pair's share is all that its own boundary may
//! ever cross by chance (see [`super`]).
//! What it does not do: carry anything over into the next year, which opens anew.

use forecast::distribution::{normal_cdf, normal_quantile};
use market::Timestamp;
use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, Policy, fault};
use crate::Result;

/// A pair of candidate and champion, as far as it was compared this year.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Try {
    /// The candidate.
    pub candidate: String,
    /// The champion it stood against; none for naive alone.
    pub champion: Option<String>,
    /// The share of the year's bound that this pair has.
    pub share: f64,
    /// How often it was judged.
    pub gates: u32,
    /// How many origins it was judged on last.
    pub origins: usize,
    /// Sums of the losses on those, candidate, champion, naive: they tell whether what was shown has changed.
    pub sums: [f64; 3],
}

/// The error budget of one model name for one year.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBudget {
    /// The model name.
    pub model: String,
    /// When the year opened.
    pub opened: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// The share of such years that may see a false promotion.
    pub alpha: f64,
    /// The part of it for later comparisons.
    pub reserve: f64,
    /// Candidates that the year opens with.
    pub candidates: usize,
    /// Held-out origins that there will be when it ends.
    pub planned_origins: usize,
    /// The first held-out origin; all evidence of the year begins there. Set by the first gate.
    pub first_origin: Option<Timestamp>,
    /// Each pair that was compared, in the order of their first gate.
    pub tries: Vec<Try>,
    /// Verdicts this year.
    pub gates: u32,
    /// Promotions among them.
    pub promotions: u32,
}

/// 365.25 days.
const YEAR_US: i64 = 31_557_600_000_000;

impl ErrorBudget {
    /// Opens a year for a model name, with so many candidates.
    ///
    /// # Errors
    /// A policy that cannot be; no candidate.
    pub fn open(model: &str, policy: &Policy, candidates: usize, at: Timestamp) -> Result<Self> {
        policy.check()?;
        if candidates == 0 {
            return Err(fault("a year opens with at least one candidate".into()));
        }
        Ok(Self {
            model: model.to_owned(),
            opened: at,
            ends: at.plus_micros(YEAR_US),
            alpha: policy.false_promotions_a_year,
            reserve: policy.reserve,
            candidates,
            planned_origins: policy.planned_origins(),
            first_origin: None,
            tries: Vec::new(),
            gates: 0,
            promotions: 0,
        })
    }

    /// The share of the `index`-th pair, from 0.
    fn share(&self, index: usize) -> f64 {
        if index < self.candidates {
            return self.alpha * (1.0 - self.reserve) / self.candidates as f64;
        }
        let later = (index - self.candidates + 1) as f64;
        self.alpha * self.reserve / (later * (later + 1.0))
    }

    /// Checks that evidence belongs to this year and only adds to what it saw.
    ///
    /// # Errors
    /// Another model, a year that is over, origins that begin elsewhere.
    pub(super) fn admit(&self, evidence: &Evidence, at: Timestamp) -> Result<()> {
        if evidence.model != self.model {
            return Err(fault(format!(
                "the budget is that of {}, the evidence of {}",
                self.model, evidence.model
            )));
        }
        if at >= self.ends {
            return Err(fault(format!(
                "the budget's year ended at {}: open the next",
                self.ends
            )));
        }
        let first = evidence.origins.first().copied();
        if let Some(begins) = self.first_origin
            && first != Some(begins)
        {
            return Err(fault(format!(
                "this year's held-out origins begin at {begins}, and are only added to"
            )));
        }
        Ok(())
    }

    /// The pair of the evidence, a new one where it was not compared yet or where what was shown has changed.
    /// Gives its place in [`Self::tries`].
    pub(super) fn pair(&mut self, evidence: &Evidence) -> usize {
        let found = self.tries.iter().rposition(|known| {
            known.candidate == evidence.candidate
                && known.champion == evidence.champion
                && known.origins <= evidence.origins.len()
                && same(&known.sums, &sums(evidence, known.origins))
        });
        let place = found.unwrap_or_else(|| {
            self.tries.push(Try {
                candidate: evidence.candidate.clone(),
                champion: evidence.champion.clone(),
                share: self.share(self.tries.len()),
                gates: 0,
                origins: 0,
                sums: [0.0; 3],
            });
            self.tries.len() - 1
        });
        let pair = &mut self.tries[place];
        pair.gates += 1;
        pair.origins = evidence.origins.len();
        pair.sums = sums(evidence, pair.origins);
        place
    }

    /// The largest one-sided p-value that counts as beating, for a pair with `share` on `origins` origins. 0 once
    /// there are more origins than the year was planned for.
    #[must_use]
    pub fn level(&self, share: f64, origins: usize) -> f64 {
        if origins > self.planned_origins {
            return 0.0;
        }
        normal_cdf(-self.bound(share, origins))
    }

    /// How much of `share` could have been spent by `origins` origins: the chance that a candidate which is no
    /// better has been promoted by then.
    #[must_use]
    pub fn spent(&self, share: f64, origins: usize) -> f64 {
        2.0 * normal_cdf(-self.bound(share, origins.min(self.planned_origins)))
    }

    /// The boundary a/√t, in standard errors.
    fn bound(&self, share: f64, origins: usize) -> f64 {
        let part = origins as f64 / self.planned_origins as f64;
        -normal_quantile(0.5 * share) / part.sqrt()
    }
}

fn sums(evidence: &Evidence, origins: usize) -> [f64; 3] {
    let sum = |losses: &[f64]| losses.iter().take(origins).filter(|l| !l.is_nan()).sum();
    [
        sum(&evidence.candidate_loss),
        sum(&evidence.champion_loss),
        sum(&evidence.naive_loss),
    ]
}

/// Equal but for what is lost when a sum is written and read.
fn same(known: &[f64; 3], now: &[f64; 3]) -> bool {
    known
        .iter()
        .zip(now)
        .all(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()))
}
