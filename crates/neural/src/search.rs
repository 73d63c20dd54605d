//! A search for size, rate of learning and batch within a budget: successive halving.
//!
//! Model: many trials are trained for a ninth of the epochs, the best three of them for a third, and the best of these to
//! the end (Jamieson & Talwalkar 2016, "Non-stochastic best arm identification", with the thirds of
//! Li et al. 2018, "Hyperband"). A trial that goes on goes on from where it was. What it costs is known before: the
//! [`Plan`] takes the most trials whose epochs stay within the budget. Trials are compared by their loss on the
//! validation block and see nothing behind it.
//! Does not: search for the window, in whose scale losses are measured: two windows cannot be compared by them.

use kernels::Random;
use serde::{Deserialize, Serialize};

use crate::config::{Kind, Size};
use crate::error::{Error, Result};

/// Trials that a later one goes on beside, and how much longer it is trained. A first rung that is shorter than a ninth
/// lies in the warm-up, and says nothing.
const ETA: usize = 3;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Size of the network.
    pub size: Size,
    /// Highest rate of learning.
    pub rate: f32,
    /// Windows per step.
    pub batch: usize,
}

/// A trial and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// What was tried.
    #[serde(flatten)]
    pub trial: Trial,
    /// Epochs that it was trained for.
    pub epochs: usize,
    /// Its best loss on the validation block.
    pub loss: f64,
}

/// A search that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchRecord {
    /// Epochs that it was allowed.
    pub budget: usize,
    /// Epochs that it took, those of the winner's training among them.
    pub spent: usize,
    /// The trials in the order that they were begun.
    pub trials: Vec<TrialRecord>,
    /// The place of the best of them.
    pub winner: usize,
}

/// How many trials there are, and how long each of them is trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Trials left, and the epochs that each of them has been trained for at the end of the rung.
    pub rungs: Vec<(usize, usize)>,
}

impl Plan {
    /// The most trials, of `trials` that there are, whose epochs stay within `budget`; the last is trained for `epochs`.
    ///
    /// # Errors
    /// A budget that is not enough for two trials.
    pub(crate) fn new(trials: usize, epochs: usize, budget: usize) -> Result<Self> {
        for left in [&[ETA, 1][..], &[1]] {
            let mut rungs: Vec<(usize, usize)> = vec![(0, epochs.div_ceil(ETA * left[0]))];
            rungs.extend(left.iter().map(|left| (*left, epochs.div_ceil(*left))));
            let mut plan = Self { rungs };
            let (fewest, each) = (trials.min(ETA * left[0]), plan.rungs[0].1.max(1));
            plan.rungs[0].0 = fewest;
            let first = fewest * each;
            let others = plan.epochs() - first;
            let most = budget.saturating_sub(others) / each;
            if most >= fewest {
                plan.rungs[0].0 = most.min(trials);
                return Ok(plan);
            }
        }
        let least = Self {
            rungs: vec![(ETA.min(trials), epochs.div_ceil(ETA)), (1, epochs)],
        };
        let least = least.epochs();
        let reason = format!(
            "a search over networks of {epochs} epochs needs at least {least} in all, got {budget}"
        );
        Err(Error::argument("search", reason))
    }

    /// Epochs in all.
    pub(crate) fn epochs(&self) -> usize {
        let mut before = 0;
        let mut sum = 0usize;
        for (left, until) in &self.rungs {
            sum = sum.saturating_add(left * (until - before));
            before = *until;
        }
        sum
    }
}

/// What there is to try for a kind, in an order that follows from the seed: every combination of sizes, a third of the
/// usual rate, the usual rate and three times it, and two batches.
pub(crate) fn trials(kind: Kind, size: Option<Size>, rate: f32, seed: u64) -> Vec<Trial> {
    let sizes = match (size, kind) {
        (Some(size), _) => vec![size],
        // All that sets its sizes apart is the window.
        (None, Kind::NLinear) => vec![Size::Base],
        (None, _) => vec![Size::Small, Size::Base, Size::Large],
    };
    let mut all = Vec::new();
    for size in sizes {
        for factor in [1.0 / 3.0, 1.0, 3.0] {
            for batch in [32, 128] {
                all.push(Trial {
                    size,
                    rate: rate * factor,
                    batch,
                });
            }
        }
    }
    Random::new(seed).shuffle(&mut all);
    all
}

/// Runs a plan over trials by number. `advance` trains a trial until it has seen so many epochs and gives its best
/// loss and the epochs that it really took; a trial that breaks down has no loss and is out.
///
/// # Errors
/// Those of `advance`; no trial that has a loss.
pub(crate) fn halve(
    plan: &Plan,
    budget: usize,
    all: &[Trial],
    advance: &mut dyn FnMut(usize, usize) -> Result<(f64, usize)>,
) -> Result<SearchRecord> {
    let begun = plan.rungs.first().map_or(0, |(left, _)| *left);
    let mut records: Vec<TrialRecord> = all[..begun]
        .iter()
        .map(|trial| TrialRecord {
            trial: *trial,
            epochs: 0,
            loss: f64::INFINITY,
        })
        .collect();
    let mut left: Vec<usize> = (0..begun).collect();
    for (many, until) in &plan.rungs {
        // The sort is stable: of equals the earlier goes on.
        left.sort_by(|a, b| records[*a].loss.total_cmp(&records[*b].loss));
        left.truncate(*many);
        for number in &left {
            let (loss, epochs) = advance(*number, *until)?;
            let record = &mut records[*number];
            record.loss = if loss.is_finite() {
                loss
            } else {
                f64::INFINITY
            };
            record.epochs = epochs;
        }
    }
    let winner = left.first().copied().unwrap_or_default();
    if !records.get(winner).is_some_and(|one| one.loss.is_finite()) {
        return Err(Error::argument("search", "every trial broke down"));
    }
    Ok(SearchRecord {
        budget,
        spent: records.iter().map(|one| one.epochs).sum(),
        trials: records,
        winner,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_takes_as_many_trials_as_the_budget_allows_and_no_epoch_more() {
        for budget in [70, 100, 150, 400, 10_000] {
            for epochs in [3, 10, 40] {
                for there in [6, 18] {
                    let plan = Plan::new(there, epochs, budget).unwrap();
                    assert!(plan.epochs() <= budget, "{plan:?} {budget}");
                    assert_eq!(plan.rungs.last(), Some(&(1, epochs)));
                    assert!(
                        plan.rungs
                            .windows(2)
                            .all(|w| w[0].0 >= w[1].0 && w[0].1 <= w[1].1)
                    );
                }
            }
        }
        let plan = Plan::new(18, 40, 100).unwrap();
        assert_eq!(plan.rungs, [(9, 5), (3, 14), (1, 40)]);
        assert_eq!(plan.epochs(), 9 * 5 + 3 * 9 + 26);
        assert_eq!(Plan::new(18, 40, 113).unwrap().rungs[0], (12, 5));
        assert_eq!(Plan::new(18, 40, 999).unwrap().rungs[0], (18, 5));
        assert_eq!(Plan::new(18, 40, 97).unwrap().rungs, [(5, 14), (1, 40)]);
        let words = Plan::new(18, 40, 50).unwrap_err().to_string();
        assert!(words.contains("at least 68"), "{words}");
    }

    #[test]
    fn the_best_of_each_rung_go_on_and_each_goes_on_from_where_it_was() {
        let all = trials(Kind::Lstm, None, 1e-3, 7);
        assert_eq!(all.len(), 18);
        assert_eq!(
            all,
            trials(Kind::Lstm, None, 1e-3, 7),
            "of one seed one order"
        );
        assert_ne!(all, trials(Kind::Lstm, None, 1e-3, 8));
        let plan = Plan::new(all.len(), 40, 100).unwrap();
        let mut calls = Vec::new();
        // Number 5 is best in the end; number 2 breaks down in the second rung.
        let mut advance = |number: usize, until: usize| {
            calls.push((number, until));
            let loss = match number {
                2 if until > 5 => f64::NAN,
                2 => 0.1,
                5 => 0.3,
                other => 0.4 + other as f64,
            };
            Ok((loss, until))
        };
        let found = halve(&plan, 100, &all, &mut advance).unwrap();
        assert_eq!(found.winner, 5);
        assert_eq!(calls[9..], [(2, 14), (5, 14), (0, 14), (5, 40)]);
        assert_eq!(found.spent, 6 * 5 + 14 + 14 + 40);
        assert!(found.spent <= found.budget);
        assert_eq!(found.trials[5].epochs, 40);
        let mut none = |_: usize, until: usize| Ok((f64::NAN, until));
        assert!(halve(&plan, 100, &all, &mut none).is_err());
    }
}
