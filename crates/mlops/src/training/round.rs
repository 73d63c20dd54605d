//! A round from the checks to the files.

use std::sync::atomic::{AtomicUsize, Ordering};

use forecast::{
    ForecastModel, History, ModelRef, Providers, ServedState,
    backtest::{Control, Walk},
};
use market::Timestamp;
use rayon::prelude::*;

use super::{
    check::{DataFault, check},
    error::TrainingError,
    evaluate::{LEVELS, Role, Walked, walk},
    judging::Judging,
    outcome::{Action, ArtefactFile, MANIFEST_FILE, Manifest, Outcome, STATE_FILE, Trained},
    recipe::{JudgedBy, Recipe},
    series::Series,
};
use crate::{calendar::Calendars, gate::ErrorBudget};

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
pub(super) struct Runner {
    pub reference: ModelRef,
    pub model: std::sync::Arc<dyn ForecastModel>,
    pub role: Role,
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
        let budget = open(task, as_of);
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
        let walked = run_all(&layout, &series, &runners, recipe.judged_by, control)?;
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

    /// The start of the first bar that a round's held-out origins forecast: what is trained before the round must have
    /// seen nothing from there on. It is the same in all rounds of a year.
    ///
    /// # Errors
    /// Closes that are not fit to learn from; a recipe that cannot be.
    pub fn held_out_from(&self, task: &Task, as_of: Timestamp) -> Result<Timestamp> {
        self.recipe.check(self.calendars)?;
        let series = task.series.known_at(as_of);
        let first = self.first_origin(&series, open(task, as_of), as_of)?;
        Ok(series.starts().get(first).copied().unwrap_or_default())
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
                // In its shortest form, as verdicts and measures name it.
                reference: name.parse().unwrap_or_else(|_| reference.clone()),
                model,
                role,
            });
        }
        Ok(all)
    }
}

/// The budget of the year that is open at a time.
fn open(task: &Task, as_of: Timestamp) -> Option<&ErrorBudget> {
    let budget = task.standing.budget.as_ref();
    budget.filter(|budget| as_of < budget.ends)
}

/// Walks all models, each on whatever thread is free.
fn run_all(
    layout: &Walk,
    series: &Series,
    runners: &[Runner],
    judged_by: JudgedBy,
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
        let how = (runner.role, judged_by);
        walk(layout, series, &times_ms, &*runner.model, how, each)
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
    let mut files = vec![
        ArtefactFile::new(MANIFEST_FILE, manifest),
        ArtefactFile::new(STATE_FILE, bytes),
    ];
    for (name, bytes) in model.files().map_err(failed)? {
        files.push(ArtefactFile::new(name, bytes));
    }
    Ok(Trained {
        reference: runner.reference.clone(),
        files,
    })
}
