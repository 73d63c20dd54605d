//! A round from the checks to the files.

use std::sync::atomic::{AtomicUsize, Ordering};

use forecast::{
    ForecastModel, History, ModelRef, Providers, ServedState,
    backtest::{Control, Walk, diebold_mariano},
};
use market::Timestamp;
use rayon::prelude::*;

use super::{
    check::{DataFault, check},
    error::TrainingError,
    evaluate::{LEVELS, Role, Walked, walk},
    outcome::{
        Action, ArtefactFile, LeftOut, Lineage, MANIFEST_FILE, Manifest, Outcome, Round,
        STATE_FILE, Trained,
    },
    recipe::Recipe,
    series::Series,
};
use crate::{
    calendar::Calendars,
    gate::{Decision, ErrorBudget, Evidence, Verdict, judge_round},
};

type Result<T> = std::result::Result<T, TrainingError>;

/// The champion of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Champion {
    /// The reference that its version was fitted by.
    pub reference: ModelRef,
    /// The version.
    pub version: u32,
}

/// Where a name stands before a round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Its champion; none while naive is served.
    pub champion: Option<Champion>,
    /// The error budget as the last round left it; none before the first.
    pub budget: Option<ErrorBudget>,
}

/// What a round is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The model name.
    pub name: String,
    /// The closes.
    pub series: Series,
    /// Where the name stands.
    pub standing: Standing,
}

/// Holds rounds.
#[derive(Clone, Copy, Debug)]
pub struct Trainer<'a> {
    /// How.
    pub recipe: &'a Recipe,
    /// Who knows the models.
    pub providers: &'a Providers,
    /// The sessions of exchanges.
    pub calendars: &'a Calendars,
    /// The version of the program, for the lineage.
    pub code_version: &'a str,
}

/// A model that walks.
struct Runner {
    reference: ModelRef,
    model: std::sync::Arc<dyn ForecastModel>,
    role: Role,
}

impl Trainer<'_> {
    /// Holds the round of a name, as of a time: bars that end later do not exist. The same arguments give the same
    /// outcome, but for times that are measured by the clock of `control`. Models run in parallel on the rayon pool of
    /// the caller.
    ///
    /// # Errors
    /// Closes that are not fit to learn from; a recipe that cannot be; a model that is not there or cannot be fitted;
    /// cancelled.
    ///
    /// ```
    /// use forecast::{Providers, backtest::Control};
    /// use market::{Interval, Timestamp};
    /// use mlops::{calendar::Calendars, training::{Action, Recipe, Series, Standing, Task, TradingDays, Trainer}};
    ///
    /// let day = |n: i64| Timestamp::from_secs(86_400 * n);
    /// let recipe = Recipe {
    ///     candidates: vec!["drift".parse()?],
    ///     ..Recipe::new(Vec::new(), Interval::D1, TradingDays::Always)
    /// };
    /// let closes = (0..400).map(|n| 100.0 + f64::from(n * 7919 % 13)).collect();
    /// let series = Series::new("ACME".parse()?, Interval::D1, (0..400).map(day).collect(), closes)?;
    /// let task = Task { name: "daily-ACME".into(), series, standing: Standing::default() };
    /// let (providers, calendars) = (Providers::classical(), Calendars::builtin());
    /// let trainer = Trainer { recipe: &recipe, providers: &providers, calendars: &calendars, code_version: "1" };
    /// let outcome = trainer.train(&task, day(400), Control::default())?;
    /// assert_eq!(outcome.round.action, Action::Keep);
    /// assert!(outcome.round.words.starts_with("Naive is served for daily-ACME"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn train(&self, task: &Task, as_of: Timestamp, control: Control<'_>) -> Result<Outcome> {
        let recipe = self.recipe;
        recipe.check(self.calendars)?;
        let series = task.series.known_at(as_of);
        let budget = task
            .standing
            .budget
            .as_ref()
            .filter(|budget| as_of < budget.ends);
        let first = self.first_origin(&series, budget, as_of)?;
        let runners = self.runners(&task.standing)?;
        let layout = Walk {
            first,
            step: recipe.layout.step,
            horizon: recipe.layout.horizon,
            refit_every: recipe.layout.refit_every,
            window: recipe.layout.window,
            levels: LEVELS.to_vec(),
            options: recipe.options.clone(),
            calibration: recipe.calibration,
        };
        let walked = run_all(&layout, &series, &runners, control)?;
        let round = Judging {
            trainer: self,
            task,
            series: &series,
            as_of,
            runners: &runners,
            walked,
            layout: &layout,
        }
        .judge(budget)?;
        let trained = match (round.action, &round.served) {
            (Action::Promote | Action::Refresh, Some(reference)) => {
                let runner = runners.iter().find(|one| one.reference == *reference);
                runner
                    .map(|one| fit(recipe, &series, one, control))
                    .transpose()?
            }
            _ => None,
        };
        Ok(Outcome { round, trained })
    }

    /// Holds the rounds of many names in parallel; one that fails spoils no other. `progress` is told of names.
    pub fn train_all(
        &self,
        tasks: &[Task],
        as_of: Timestamp,
        control: Control<'_>,
    ) -> Vec<Result<Outcome>> {
        let done = AtomicUsize::new(0);
        let each = Control {
            progress: None,
            ..control
        };
        let one = |task: &Task| {
            let outcome = self.train(task, as_of, each);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if let Some(progress) = control.progress {
                progress(done, tasks.len());
            }
            outcome
        };
        tasks.par_iter().map(one).collect()
    }

    /// Checks the closes, and finds how many of them lie before the first held-out origin.
    fn first_origin(
        &self,
        series: &Series,
        budget: Option<&ErrorBudget>,
        as_of: Timestamp,
    ) -> Result<usize> {
        let recipe = self.recipe;
        let layout = &recipe.layout;
        let mut faults = check(series, &recipe.checks, &recipe.days, self.calendars, as_of);
        let (rows, needed) = (series.len(), recipe.least_rows());
        if rows < needed {
            faults.push(DataFault::TooFewRows {
                rows,
                needed,
                why: format!(
                    "{} to fit to, and {} held-out origins {} apart behind them",
                    layout.least_window, recipe.policy.least_origins, layout.step
                ),
            });
        }
        let began = budget.and_then(|budget| budget.first_origin);
        let first = match began {
            Some(began) => {
                let found = series.starts().partition_point(|start| *start <= began);
                let is_there = found > 0 && series.starts()[found - 1] == began;
                if !is_there || found < layout.least_window {
                    faults.push(DataFault::YearNotCovered {
                        began,
                        found: if is_there { found } else { 0 },
                        needed: layout.least_window,
                    });
                }
                found
            }
            None => {
                // The last origins that have all their outcomes, as many as a year opens with.
                let behind = rows.saturating_sub(layout.horizon);
                let most = behind.saturating_sub(layout.least_window) / layout.step + 1;
                let origins = most.min(recipe.policy.held_out_origins);
                behind.saturating_sub(origins.saturating_sub(1) * layout.step)
            }
        };
        if faults.is_empty() {
            Ok(first)
        } else {
            Err(TrainingError::Data { faults })
        }
    }

    /// Naive, the champion, and the candidates that are not champion.
    fn runners(&self, standing: &Standing) -> Result<Vec<Runner>> {
        let champion = standing
            .champion
            .as_ref()
            .map(|champion| &champion.reference);
        let naive: ModelRef = "naive"
            .parse()
            .map_err(|e| TrainingError::model("naive", e))?;
        let mut all: Vec<Runner> = Vec::new();
        let listed = [(Some(&naive), Role::Naive), (champion, Role::Champion)];
        let candidates = self.recipe.candidates.iter();
        let candidates = candidates.map(|one| (Some(one), Role::Candidate));
        for (reference, role) in listed.into_iter().chain(candidates) {
            let Some(reference) = reference else { continue };
            let model = self
                .providers
                .resolve(reference)
                .map_err(|e| TrainingError::model(reference.as_str(), e))?;
            // The same model under another spelling is the same model.
            let name = model.name();
            if all.iter().any(|known| known.model.name() == name) {
                if role == Role::Champion {
                    return Err(TrainingError::recipe(
                        "champion",
                        "naive is the champion of nothing: it is served without one".to_owned(),
                    ));
                }
                continue;
            }
            all.push(Runner {
                reference: reference.clone(),
                model,
                role,
            });
        }
        Ok(all)
    }
}

/// Walks all models, each on whatever thread is free.
fn run_all(
    layout: &Walk,
    series: &Series,
    runners: &[Runner],
    control: Control<'_>,
) -> Result<Vec<Walked>> {
    let times_ms: Vec<i64> = series.starts().iter().map(|at| at.as_millis()).collect();
    let total = runners.len() * layout.origins(series.len());
    let done = AtomicUsize::new(0);
    let count = |_: usize, _: usize| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(progress) = control.progress {
            progress(done, total);
        }
    };
    let each = Control {
        progress: Some(&count),
        ..control
    };
    let one = |runner: &Runner| {
        walk(layout, series, &times_ms, &*runner.model, runner.role, each)
            .map_err(|e| TrainingError::model(runner.reference.as_str(), e))
    };
    runners.par_iter().map(one).collect()
}

/// Fits a model to the latest closes, and makes its files.
fn fit(recipe: &Recipe, series: &Series, runner: &Runner, control: Control<'_>) -> Result<Trained> {
    let failed = |e| TrainingError::model(runner.reference.as_str(), e);
    let times_ms: Vec<i64> = series.starts().iter().map(|at| at.as_millis()).collect();
    let all = History::from(series.closes()).with_times(Some(&times_ms));
    let (rows, model) = (series.len(), &*runner.model);
    let window = all.range(rows.saturating_sub(recipe.layout.window)..rows);
    let fitted = || ServedState::fit(model, &window, &recipe.options, &recipe.calibration);
    let state = match control.cancel {
        Some(token) => token.scope(fitted),
        None => fitted(),
    };
    let state = state.map_err(failed)?;
    let bytes = state.save().map_err(failed)?;
    // What cannot be read back is found out before it is published.
    ServedState::load(model, &bytes).map_err(failed)?;
    let manifest = Manifest {
        format: Manifest::FORMAT,
        reference: runner.reference.clone(),
        symbol: series.symbol().clone(),
        interval: series.interval(),
        last: series.starts().last().copied().unwrap_or_default(),
        options: recipe.options.clone(),
        calibration: recipe.calibration,
    };
    let manifest = serde_json::to_vec_pretty(&manifest).map_err(|e| {
        TrainingError::recipe("options", format!("they cannot be written as JSON: {e}"))
    })?;
    Ok(Trained {
        reference: runner.reference.clone(),
        files: vec![
            ArtefactFile::new(MANIFEST_FILE, manifest),
            ArtefactFile::new(STATE_FILE, bytes),
        ],
    })
}

/// A round after its walks.
struct Judging<'a> {
    trainer: &'a Trainer<'a>,
    task: &'a Task,
    series: &'a Series,
    as_of: Timestamp,
    runners: &'a [Runner],
    walked: Vec<Walked>,
    layout: &'a Walk,
}

impl Judging<'_> {
    fn judge(self, budget: Option<&ErrorBudget>) -> Result<Round> {
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
            words: self.words(&verdicts, champion.as_ref(), action, &left_out),
            champion,
            action,
            served: served.map(|runner| runner.reference.clone()),
            verdicts,
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
        if action == Action::Refresh {
            words += " The champion is fitted to the new closes.";
        }
        for one in left_out {
            words += &format!(" {} was not judged: {}.", one.model, one.reason);
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
