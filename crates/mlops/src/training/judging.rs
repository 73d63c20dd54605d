//! From walks to a round: the evidence, what the gate says of it, and what follows.

use forecast::{
    ModelRef,
    backtest::{Walk, diebold_mariano},
};
use market::Timestamp;

use super::{
    error::TrainingError,
    evaluate::{Role, Walked},
    outcome::{Action, LeftOut, Lineage, Round},
    recipe::JudgedBy,
    round::{Runner, Task, Trainer},
    series::Series,
};
use crate::gate::{Decision, ErrorBudget, Evidence, Verdict, judge_round};

type Result<T> = std::result::Result<T, TrainingError>;

/// How much of the year's bound can have been used.
fn spent(budget: &ErrorBudget) -> f64 {
    let tries = budget.tries.iter();
    tries.map(|one| budget.spent(one.share, one.origins)).sum()
}

/// A round after its walks.
pub(super) struct Judging<'a> {
    pub trainer: &'a Trainer<'a>,
    pub task: &'a Task,
    pub series: &'a Series,
    pub as_of: Timestamp,
    pub runners: &'a [Runner],
    pub walked: Vec<Walked>,
    pub layout: &'a Walk,
}

impl Judging<'_> {
    /// The round; the budget is that of the year so far, if it has begun.
    ///
    /// # Errors
    /// Evidence that the gate cannot judge.
    pub(super) fn judge(self, budget: Option<&ErrorBudget>) -> Result<Round> {
        let policy = &self.trainer.recipe.policy;
        let (mut evidence, mut left_out) = (Vec::new(), Vec::new());
        for (runner, walked) in self.of(Role::Candidate) {
            if walked.purged == 0 {
                evidence.push((runner, self.evidence(runner, walked)));
            } else {
                left_out.push(LeftOut {
                    model: runner.reference.to_string(),
                    reason: format!(
                        "it was trained on what {} of {} held-out origins are to forecast, or does not say until when \
                         it was trained",
                        walked.purged,
                        walked.loss.len()
                    ),
                });
            }
        }
        let spent_before = budget.map_or(0.0, spent);
        let (verdicts, budget) = if evidence.is_empty() {
            (Vec::new(), budget.cloned())
        } else {
            let round: Vec<Evidence> = evidence.iter().map(|(_, shown)| shown.clone()).collect();
            let budget = match budget {
                Some(budget) => budget.clone(),
                None => ErrorBudget::open(&self.task.name, policy, round.len(), self.as_of)?,
            };
            let (verdicts, budget) = judge_round(&round, policy, &budget, self.as_of)?;
            (verdicts, Some(budget))
        };
        let promoted = verdicts
            .iter()
            .position(|verdict| verdict.decision == Decision::Promote);
        let champion = self.of(Role::Champion).next();
        let worse_than_naive = match verdicts.first() {
            Some(verdict) => verdict.champion_worse_than_naive,
            None => self.champion_is_worse(),
        };
        let (action, served) = match (promoted, champion) {
            (Some(place), _) => (Action::Promote, Some(evidence[place].0)),
            (None, None) => (Action::Keep, None),
            (None, Some(_)) if worse_than_naive => (Action::ServeNaive, None),
            (None, Some((runner, _))) if self.trainer.recipe.refresh_champion => {
                (Action::Refresh, Some(runner))
            }
            (None, Some((runner, _))) => (Action::Keep, Some(runner)),
        };
        let champion = champion.map(|(runner, _)| runner.reference.clone());
        Ok(Round {
            model: self.task.name.clone(),
            symbol: self.series.symbol().clone(),
            interval: self.series.interval(),
            as_of: self.as_of,
            judged_by: self.trainer.recipe.judged_by,
            words: self.words(&verdicts, champion.as_ref(), action, &left_out),
            champion,
            action,
            served: served.map(|runner| runner.reference.clone()),
            verdicts,
            budget_spent: (budget.as_ref().map_or(0.0, spent) - spent_before).max(0.0),
            budget,
            left_out,
            lineage: self.lineage(),
            measures: self.walked.into_iter().map(|one| one.measures).collect(),
        })
    }

    fn of(&self, role: Role) -> impl Iterator<Item = (&Runner, &Walked)> {
        let all = self.runners.iter().zip(&self.walked);
        all.filter(move |(runner, _)| runner.role == role)
    }

    fn losses(&self, role: Role) -> Vec<f64> {
        self.of(role)
            .next()
            .map_or_else(Vec::new, |(_, walked)| walked.loss.clone())
    }

    fn evidence(&self, runner: &Runner, walked: &Walked) -> Evidence {
        let origins = 0..walked.loss.len();
        let last_known = |number| self.layout.first + number * self.layout.step - 1;
        Evidence {
            model: self.task.name.clone(),
            candidate: runner.model.name(),
            champion: self
                .of(Role::Champion)
                .next()
                .map(|(runner, _)| runner.model.name()),
            origins: origins
                .map(|number| self.series.starts()[last_known(number)])
                .collect(),
            candidate_loss: walked.loss.clone(),
            champion_loss: self.losses(Role::Champion),
            naive_loss: self.losses(Role::Naive),
            overlap: self.layout.horizon.div_ceil(self.layout.step),
            coverage_95: walked.coverage_95,
            latency_p99_ms: walked.measures.forecast_p99_ms.unwrap_or(0.0),
        }
    }

    /// Whether naive beats the champion where no candidate stands against it.
    fn champion_is_worse(&self) -> bool {
        let (champion, naive) = (self.losses(Role::Champion), self.losses(Role::Naive));
        let overlap = self.layout.horizon.div_ceil(self.layout.step);
        let level = self.trainer.recipe.policy.demotion_level;
        diebold_mariano(&naive, &champion, overlap)
            .is_some_and(|test| test.statistic < 0.0 && 0.5 * test.p_value < level)
    }

    /// The verdict that decided, and what else there is to say.
    fn words(
        &self,
        verdicts: &[Verdict],
        champion: Option<&ModelRef>,
        action: Action,
        left_out: &[LeftOut],
    ) -> String {
        let loss = |verdict: &&Verdict| verdict.mean_loss.candidate.unwrap_or(f64::INFINITY);
        let promoted = verdicts.iter().find(|v| v.decision == Decision::Promote);
        let best = promoted.or_else(|| verdicts.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))));
        let model = &self.task.name;
        let mut words = match (best, champion) {
            (Some(verdict), _) => verdict.words.clone(),
            (None, Some(champion)) if action == Action::ServeNaive => format!(
                "Naive is served for {model} from now on: it beats the champion {champion}, and there is no candidate."
            ),
            (None, Some(champion)) => {
                format!("{champion} stays the champion of {model}: there is no candidate to judge.")
            }
            (None, None) => format!("Naive is served for {model}: there is no candidate to judge."),
        };
        let others: Vec<&str> = verdicts
            .iter()
            .filter(|verdict| best.is_some_and(|best| best.candidate != verdict.candidate))
            .map(|verdict| verdict.candidate.as_str())
            .collect();
        if !others.is_empty() {
            words += &format!(" Judged beside it, and not better: {}.", others.join(", "));
        }
        if let Some(verdict) = best {
            words += &self.in_quantiles(&verdict.candidate);
        }
        if action == Action::Refresh {
            words += " The champion is fitted to the new closes.";
        }
        for one in left_out {
            words += &format!(" {} was not judged: {}.", one.model, one.reason);
        }
        words
    }

    /// How good a candidate's intervals are beside naive's, and whether that is what decided.
    fn in_quantiles(&self, candidate: &str) -> String {
        let crps = |role: Role, name: &str| {
            let mut of = self.of(role).map(|(_, walked)| &walked.measures);
            of.find(|one| one.model == name).and_then(|one| one.crps)
        };
        let mut words = String::new();
        if self.trainer.recipe.judged_by == JudgedBy::Quantiles {
            words += " Losses are those of quantiles.";
        }
        let pair = crps(Role::Candidate, candidate).zip(crps(Role::Naive, "naive"));
        if let Some((own, naive)) = pair {
            let share = 100.0 * (own / naive - 1.0);
            words += &format!(
                " In quantiles (CRPS) {candidate} has {own:.5}, naive {naive:.5}: {share:+.1} %."
            );
        }
        words
    }

    fn lineage(&self) -> Lineage {
        let starts = self.series.starts();
        let until = starts
            .last()
            .map(|last| self.series.interval().end_of(*last));
        Lineage {
            from: starts.first().copied().unwrap_or_default(),
            until: until.unwrap_or_default(),
            rows: self.series.len(),
            sha256: self.series.sha256(),
            code_version: self.trainer.code_version.to_owned(),
            seed: self.trainer.recipe.seed,
            parent: self
                .task
                .standing
                .champion
                .as_ref()
                .map(|champion| champion.version),
        }
    }
}
