//! From evidence to a verdict.

use forecast::backtest::diebold_mariano;
use market::Timestamp;

use super::{
    budget::ErrorBudget,
    evidence::{Evidence, Policy, fault},
    verdict::{
        BudgetState, Comparison, CoverageCheck, Decision, LatencyCheck, MeanLosses, Reason, Verdict,
    },
    words,
};
use crate::Result;

/// Judges the candidates of a round, each by itself, and leaves at most one promotion: that with the lowest mean loss.
/// Gives the verdicts in the order of the evidence, and the budget as it is after them: the two are kept together.
///
/// # Errors
/// Evidence that does not fit together, is not of one model, champion and set of origins, or does not continue what
/// the budget's year has seen: then nothing is judged and nothing is spent.
pub fn judge_round(
    round: &[Evidence],
    policy: &Policy,
    budget: &ErrorBudget,
    at: Timestamp,
) -> Result<(Vec<Verdict>, ErrorBudget)> {
    let mut budget = budget.clone();
    let mut verdicts: Vec<Verdict> = Vec::new();
    for evidence in round {
        let first = &round[0];
        if evidence.champion != first.champion || evidence.origins != first.origins {
            return Err(fault(format!(
                "{} is not judged against the same champion on the same origins as {}",
                evidence.candidate, first.candidate
            )));
        }
        if verdicts.iter().any(|v| v.candidate == evidence.candidate) {
            return Err(fault(format!("{} stands twice", evidence.candidate)));
        }
        verdicts.push(judge_one(evidence, policy, &mut budget, at)?);
    }
    choose(&mut verdicts);
    budget.promotions += u32::from(verdicts.iter().any(|v| v.decision == Decision::Promote));
    for verdict in &mut verdicts {
        verdict.budget.promotions_this_year = budget.promotions;
        verdict.words = words::tell(verdict);
    }
    Ok((verdicts, budget))
}

/// Judges a candidate that is alone in its round.
///
/// # Errors
/// As [`judge_round`].
pub fn judge(
    evidence: &Evidence,
    policy: &Policy,
    budget: &ErrorBudget,
    at: Timestamp,
) -> Result<(Verdict, ErrorBudget)> {
    let (verdicts, budget) = judge_round(std::slice::from_ref(evidence), policy, budget, at)?;
    let verdict = verdicts.into_iter().next();
    verdict
        .map(|verdict| (verdict, budget))
        .ok_or_else(|| fault("there is nothing to judge".into()))
}

/// The verdict on a candidate, without words, and as if it were alone.
fn judge_one(
    evidence: &Evidence,
    policy: &Policy,
    budget: &mut ErrorBudget,
    at: Timestamp,
) -> Result<Verdict> {
    policy.check()?;
    evidence.check()?;
    budget.admit(evidence, at)?;
    let shown = Shown::of(evidence);
    budget.first_origin = budget
        .first_origin
        .or_else(|| evidence.origins.first().copied());
    budget.gates += 1;
    let pair = budget.pair(evidence);
    let share = budget.tries[pair].share;
    let level = budget.level(share, shown.count());
    let spent = budget.spent(share, shown.count());

    let test = |against: &str, other: &[f64]| {
        compare(against, &shown.candidate, other, evidence.overlap, level)
    };
    let against_naive = test("naive", &shown.naive);
    let against_champion = evidence
        .champion
        .as_deref()
        .map(|name| test(name, &shown.champion));
    let champion_worse_than_naive = evidence.champion.is_some() && {
        let other = compare(
            "naive",
            &shown.naive,
            &shown.champion,
            evidence.overlap,
            policy.demotion_level,
        );
        other.beats
    };
    let coverage_95 = coverage(evidence, policy);
    let latency = LatencyCheck {
        p99_ms: evidence.latency_p99_ms,
        budget_ms: policy.latency_budget_ms,
        within: evidence.latency_p99_ms <= policy.latency_budget_ms,
    };

    let mut reasons = Vec::new();
    let mut refuse = |when: bool, reason: Reason| {
        if when {
            reasons.push(reason);
        }
    };
    refuse(shown.count() < policy.least_origins, Reason::TooFewOrigins);
    refuse(
        shown.candidate.iter().any(|l| l.is_nan()),
        Reason::MissingForecasts,
    );
    refuse(shown.count() > budget.planned_origins, Reason::BudgetSpent);
    refuse(
        against_champion.as_ref().is_some_and(|test| !test.beats),
        Reason::NotBetterThanChampion,
    );
    refuse(!against_naive.beats, Reason::NotBetterThanNaive);
    let low = coverage_95
        .share
        .is_none_or(|share| share < policy.coverage_least);
    refuse(low, Reason::CoverageTooLow);
    refuse(!low && !coverage_95.within, Reason::CoverageTooHigh);
    refuse(!latency.within, Reason::TooSlow);

    let decision = match (reasons.is_empty(), &evidence.champion) {
        (true, _) => Decision::Promote,
        (false, Some(_)) if !champion_worse_than_naive => Decision::KeepChampion,
        (false, _) => Decision::ServeNaive,
    };
    let mean_loss = MeanLosses {
        candidate: mean(&shown.candidate),
        champion: mean(&shown.champion),
        naive: mean(&shown.naive).unwrap_or(0.0),
    };
    Ok(Verdict {
        model: evidence.model.clone(),
        candidate: evidence.candidate.clone(),
        champion: evidence.champion.clone(),
        at,
        decision,
        reasons,
        champion_worse_than_naive,
        origins: shown.count(),
        first_origin: shown.origins.first().copied(),
        last_origin: shown.origins.last().copied(),
        skill_against_naive: mean_loss
            .candidate
            .map(|loss| 1.0 - loss / mean_loss.naive)
            .filter(|skill| skill.is_finite()),
        mean_loss,
        against_champion,
        against_naive,
        coverage_95,
        latency,
        budget: BudgetState {
            false_promotions_a_year: budget.alpha,
            share,
            spent,
            tries_this_year: budget.gates,
            comparisons_this_year: u32::try_from(budget.tries.len()).unwrap_or(u32::MAX),
            promotions_this_year: budget.promotions,
            year_ends: budget.ends,
        },
        words: String::new(),
    })
}

/// Leaves at most one promotion, that with the lowest mean loss. The others are refused because of it.
fn choose(verdicts: &mut [Verdict]) {
    let loss = |verdict: &Verdict| verdict.mean_loss.candidate.unwrap_or(f64::INFINITY);
    let best = verdicts
        .iter()
        .enumerate()
        .filter(|(_, verdict)| verdict.decision == Decision::Promote)
        .min_by(|(_, a), (_, b)| loss(a).total_cmp(&loss(b)))
        .map(|(place, _)| place);
    for (place, verdict) in verdicts.iter_mut().enumerate() {
        if verdict.decision != Decision::Promote || Some(place) == best {
            continue;
        }
        verdict.reasons.push(Reason::BetterCandidate);
        verdict.decision = match verdict.champion {
            Some(_) if !verdict.champion_worse_than_naive => Decision::KeepChampion,
            _ => Decision::ServeNaive,
        };
    }
}

/// The origins with an outcome, and the losses at them.
struct Shown {
    origins: Vec<Timestamp>,
    candidate: Vec<f64>,
    champion: Vec<f64>,
    naive: Vec<f64>,
}

impl Shown {
    fn of(evidence: &Evidence) -> Self {
        let kept: Vec<usize> = (0..evidence.origins.len())
            .filter(|i| !evidence.naive_loss[*i].is_nan())
            .collect();
        let at = |losses: &[f64]| kept.iter().map(|i| losses[*i]).collect();
        let naive: Vec<f64> = at(&evidence.naive_loss);
        let champion = match evidence.champion {
            None => Vec::new(),
            // Where it gave no forecast, naive was served.
            Some(_) => kept
                .iter()
                .zip(&naive)
                .map(|(i, naive)| {
                    let loss = evidence.champion_loss[*i];
                    if loss.is_nan() { *naive } else { loss }
                })
                .collect(),
        };
        Self {
            origins: kept.iter().map(|i| evidence.origins[*i]).collect(),
            candidate: at(&evidence.candidate_loss),
            champion,
            naive,
        }
    }

    const fn count(&self) -> usize {
        self.origins.len()
    }
}

/// Whether the first losses are lower than the others, at a level.
fn compare(against: &str, first: &[f64], other: &[f64], overlap: usize, level: f64) -> Comparison {
    let test = diebold_mariano(first, other, overlap);
    // One-sided: the half of the two-sided p-value on the side of the first.
    let p_value = test.map(|test| {
        let half = 0.5 * test.p_value;
        if test.statistic < 0.0 {
            half
        } else {
            1.0 - half
        }
    });
    let differences: Vec<f64> = first.iter().zip(other).map(|(a, b)| a - b).collect();
    Comparison {
        against: against.to_owned(),
        origins: test.map_or(first.len(), |test| test.origins),
        mean_difference: mean(&differences).unwrap_or(0.0),
        statistic: test.map(|test| test.statistic),
        p_value,
        level,
        beats: p_value.is_some_and(|p| p < level),
    }
}

fn coverage(evidence: &Evidence, policy: &Policy) -> CoverageCheck {
    let (inside, outcomes) = (evidence.coverage_95.inside, evidence.coverage_95.outcomes);
    let share = (outcomes > 0).then(|| inside as f64 / outcomes as f64);
    let (least, most) = (policy.coverage_least, policy.coverage_most);
    CoverageCheck {
        inside,
        outcomes,
        share,
        least,
        most,
        within: share.is_some_and(|share| share >= least && share <= most),
    }
}

/// The mean of what is there.
fn mean(values: &[f64]) -> Option<f64> {
    let (sum, n) = values
        .iter()
        .filter(|v| !v.is_nan())
        .fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
    (n > 0).then(|| sum / n as f64)
}
