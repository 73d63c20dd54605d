//! Rounds of training: who is promoted, what is refused, and that the future plays no part.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

#[path = "support/closes.rs"]
mod closes;
#[path = "support/years.rs"]
mod years;

use std::sync::Arc;

use closes::{closes, day, recipe, series, small, task, train};
use forecast::{
    CancelToken, Classical, Cost, FitOptions, ForecastModel, History, Level, ModelProvider,
    ModelRef, ModelState, Needs, Providers, ServedState, Training, backtest::Control,
};
use mlops::{
    calendar::Calendars,
    gate::{Decision, Reason},
    training::{
        Action, Champion, Manifest, Outcome, Recipe, Role, Standing, Trainer, TrainingError,
    },
};

fn champion(reference: &str, version: u32) -> Option<Champion> {
    Some(Champion {
        reference: reference.parse().unwrap(),
        version,
    })
}

#[test]
fn a_random_walk_is_refused_in_words_and_with_all_measures() {
    let walk = series(closes(1, 0.0, 700));
    let outcome = train(
        &small(&["arima(1,1,0)", "theta"]),
        &walk,
        Standing::default(),
        day(700),
    );
    let Outcome { round, trained } = outcome.unwrap();
    assert_eq!(
        (round.action, round.served, trained),
        (Action::Keep, None, None)
    );
    assert_eq!(round.verdicts.len(), 2);
    for verdict in &round.verdicts {
        assert_eq!(verdict.decision, Decision::ServeNaive);
        assert!(
            verdict.reasons.contains(&Reason::NotBetterThanNaive),
            "{verdict:?}"
        );
        assert_eq!(verdict.origins, 150);
    }
    for part in [
        "Naive is served for daily-ACME: the candidate ",
        "has not been shown to be better than naive",
        "Judged beside it, and not better: ",
    ] {
        assert!(
            round.words.contains(part),
            "{part:?} is missing in: {}",
            round.words
        );
    }
    let names: Vec<_> = round
        .measures
        .iter()
        .map(|one| (one.model.as_str(), one.role))
        .collect();
    assert_eq!(
        names,
        [
            ("naive", Role::Naive),
            ("arima(1,1,0)", Role::Candidate),
            ("theta", Role::Candidate)
        ]
    );
    for one in &round.measures {
        assert_eq!(
            (one.origins, one.failures, one.fits),
            (150, 0, 3),
            "{one:?}"
        );
        let near =
            |value: Option<f64>, low, high| value.is_some_and(|value| value > low && value < high);
        assert!(near(one.mase, 0.7, 1.4), "{one:?}");
        assert!(near(one.skill_against_naive, -0.1, 0.1), "{one:?}");
        assert!(
            near(one.crps, 0.002, 0.02) && near(one.pinball, 0.001, 0.02),
            "{one:?}"
        );
        assert!(
            near(one.coverage_80, 0.7, 0.9) && near(one.coverage_95, 0.88, 0.999),
            "{one:?}"
        );
        assert_eq!((one.fit_ms, one.forecast_p99_ms), (None, None));
    }
    assert_eq!(round.measures[0].skill_against_naive, Some(0.0));
    let lineage = &round.lineage;
    assert_eq!(
        (lineage.from, lineage.until, lineage.rows),
        (day(0), day(700), 700)
    );
    assert_eq!(
        (lineage.sha256.clone(), lineage.parent),
        (walk.sha256(), None)
    );
}

#[test]
fn autocorrelated_returns_are_promoted_within_the_year_and_the_files_forecast_as_they_were_fitted()
{
    let recipe = recipe(&["arima(1,1,0)"]);
    for seed in [11, 12] {
        let y = closes(seed, 0.3, 1_100);
        let mut standing = Standing::default();
        let promoted = (850..=1_100).step_by(50).find_map(|days| {
            let known = series(y[..days].to_vec());
            let outcome = train(&recipe, &known, standing.clone(), day(days)).unwrap();
            standing.budget = outcome.round.budget.clone();
            (outcome.round.action == Action::Promote).then_some((days, outcome))
        });
        let (days, outcome) = promoted.unwrap();
        assert!(
            outcome
                .round
                .words
                .starts_with("arima(1,1,0) becomes the champion of daily-ACME")
        );
        let trained = outcome.trained.unwrap();
        let [manifest, state] = &trained.files[..] else {
            panic!("{trained:?}");
        };
        let manifest: Manifest = serde_json::from_slice(&manifest.bytes).unwrap();
        assert_eq!(
            (manifest.reference.as_str(), manifest.last),
            ("arima(1,1,0)", day(days - 1))
        );
        let model = Providers::classical().resolve(&manifest.reference).unwrap();
        let read = ServedState::load(&*model, &state.bytes).unwrap();
        let window = y[days - 500..days].to_vec();
        let options = &manifest.options;
        let fitted = ServedState::fit(&*model, &(&window).into(), options, &manifest.calibration);
        let levels = [Level(95.0)];
        assert_eq!(
            read.forecast(5, &levels),
            fitted.unwrap().forecast(5, &levels)
        );
    }
}

/// Rounds of a year with the same candidates are looks at the same losses: one comparison, told more often.
#[test]
fn later_rounds_of_a_year_add_origins_and_change_none() {
    let y = closes(3, 0.1, 400);
    let recipe = small(&["arima(1,1,0)"]);
    let mut standing = Standing::default();
    for (gate, days) in [330, 331, 345, 400].into_iter().enumerate() {
        let known = series(y[..days].to_vec());
        let round = train(&recipe, &known, standing, day(days)).unwrap().round;
        let budget = round.budget.clone().unwrap();
        assert_eq!((budget.tries.len(), budget.gates as usize), (1, gate + 1));
        assert_eq!(budget.first_origin, Some(day(179)));
        assert_eq!(round.verdicts[0].origins, 150 + days - 330);
        standing = Standing {
            budget: round.budget,
            champion: None,
        };
    }
    // A year later the next one opens, with the last origins again.
    let end = standing.budget.as_ref().unwrap().ends;
    let y = closes(3, 0.1, 760);
    let round = train(&recipe, &series(y), standing, day(760))
        .unwrap()
        .round;
    let budget = round.budget.unwrap();
    assert!(end < day(760) && budget.ends > end);
    assert_eq!((budget.gates, budget.first_origin), (1, Some(day(609))));
}

#[test]
fn whatever_comes_later_changes_no_verdict_and_no_file() {
    let mut y = closes(5, 0.3, 500);
    let recipe = small(&["arima(1,1,0)", "ets"]);
    let standing = Standing {
        champion: champion("theta", 3),
        budget: None,
    };
    let then = train(
        &recipe,
        &series(y[..420].to_vec()),
        standing.clone(),
        day(420),
    )
    .unwrap();
    for value in &mut y[420..] {
        *value *= 7.0;
    }
    let later = train(&recipe, &series(y.clone()), standing.clone(), day(420)).unwrap();
    assert_eq!(later, then);
    // The last bar of what was known is not played down either.
    y[419] *= 1.05;
    let other = train(&recipe, &series(y), standing, day(420)).unwrap();
    assert_ne!(other.round.measures, then.round.measures);
}

#[test]
fn the_same_round_is_the_same_on_one_thread_and_on_many() {
    let recipe = small(&["arima(1,1,0)", "ets", "theta", "drift"]);
    let held = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let tasks: Vec<_> = (0..3)
            .map(|seed| {
                let series = series(closes(seed, 0.2, 320));
                task(&series, Standing::default())
            })
            .collect();
        let (providers, calendars) = (Providers::classical(), Calendars::builtin());
        let trainer = Trainer {
            recipe: &recipe,
            providers: &providers,
            calendars: &calendars,
            code_version: "test",
        };
        pool.install(|| trainer.train_all(&tasks, day(320), Control::default()))
    };
    let one = held(1);
    assert!(one.iter().all(Result::is_ok));
    assert_eq!(held(4), one);
    assert_ne!(one[0], one[1]);
}

#[test]
fn a_champion_that_stays_is_fitted_to_the_new_closes_and_one_that_naive_beats_goes() {
    let known = series(closes(7, 0.0, 500));
    let stands = |reference| Standing {
        champion: champion(reference, 4),
        budget: None,
    };
    let recipe = small(&["theta", "ets"]);
    let Outcome { round, trained } = train(&recipe, &known, stands("theta"), day(500)).unwrap();
    assert_eq!((round.action, round.verdicts.len()), (Action::Refresh, 1));
    assert_eq!(trained.unwrap().reference.as_str(), "theta");
    assert_eq!(round.lineage.parent, Some(4));
    assert!(
        round
            .words
            .ends_with("The champion is fitted to the new closes."),
        "{}",
        round.words
    );
    assert_eq!(round.served_measures().unwrap().role, Role::Champion);

    let unchanged = Recipe {
        refresh_champion: false,
        ..recipe.clone()
    };
    let outcome = train(&unchanged, &known, stands("theta"), day(500)).unwrap();
    assert_eq!(
        (outcome.round.action, outcome.trained),
        (Action::Keep, None)
    );

    // The mean of all prices is no forecast of a walk.
    for candidates in [&["theta"][..], &["mean"]] {
        let recipe = small(candidates);
        let Outcome { round, trained } = train(&recipe, &known, stands("mean"), day(500)).unwrap();
        assert_eq!(
            (round.action, round.served, trained),
            (Action::ServeNaive, None, None)
        );
        let told = "Naive is served for daily-ACME from now on: it beats the champion mean";
        assert!(round.words.starts_with(told), "{}", round.words);
    }
    let alone = train(&small(&["theta"]), &known, stands("theta"), day(500))
        .unwrap()
        .round;
    assert_eq!((alone.action, alone.budget), (Action::Refresh, None));
    assert!(
        alone.words.contains("no candidate to judge"),
        "{}",
        alone.words
    );
}

#[test]
fn an_unknown_model_a_recipe_that_cannot_be_and_a_set_flag_end_the_round() {
    let known = series(closes(2, 0.0, 400));
    let error = train(&small(&["prophet"]), &known, Standing::default(), day(400)).unwrap_err();
    assert!(
        error.to_string().starts_with("prophet: unknown model"),
        "{error}"
    );
    let mut recipe = small(&["drift"]);
    recipe.layout.horizon = 10_000;
    let error = train(&recipe, &known, Standing::default(), day(400)).unwrap_err();
    assert!(error.to_string().starts_with("layout.horizon: "), "{error}");

    let token = CancelToken::new();
    token.cancel();
    let control = Control {
        cancel: Some(&token),
        ..Control::default()
    };
    let recipe = small(&["drift"]);
    let (providers, calendars) = (Providers::classical(), Calendars::builtin());
    let trainer = Trainer {
        recipe: &recipe,
        providers: &providers,
        calendars: &calendars,
        code_version: "test",
    };
    let ended = trainer.train(&task(&known, Standing::default()), day(400), control);
    assert_eq!(ended, Err(TrainingError::Cancelled));
}

/// Drift, as a model that says that it was trained before.
#[derive(Debug)]
struct TrainedBefore(ModelRef);

impl ForecastModel for TrainedBefore {
    fn name(&self) -> String {
        self.0.to_string()
    }

    fn needs(&self, options: &FitOptions) -> Needs {
        forecast::ModelSpec::Drift.needs(options)
    }

    fn cost(&self, observations: usize, missing: bool, options: &FitOptions) -> Cost {
        ForecastModel::cost(&forecast::ModelSpec::Drift, observations, missing, options)
    }

    fn training(&self) -> Training {
        let until = self.0.rest().parse::<usize>().ok();
        Training::Before {
            until_ms: until.map(|n| day(n).as_millis()),
        }
    }

    fn fit(
        &self,
        history: &History<'_>,
        options: &FitOptions,
    ) -> forecast::Result<Box<dyn ModelState>> {
        ForecastModel::fit(&forecast::ModelSpec::Drift, history, options)
    }

    fn load(&self, state: &[u8]) -> forecast::Result<Box<dyn ModelState>> {
        ForecastModel::load(&forecast::ModelSpec::Drift, state)
    }
}

#[derive(Debug)]
struct Before;

impl ModelProvider for Before {
    fn schemes(&self) -> Vec<&str> {
        vec!["before"]
    }

    fn models(&self) -> Vec<ModelRef> {
        Vec::new()
    }

    fn resolve(&self, reference: &ModelRef) -> forecast::Result<Arc<dyn ForecastModel>> {
        Ok(Arc::new(TrainedBefore(reference.clone())))
    }
}

#[test]
fn a_model_that_was_trained_on_held_out_origins_is_not_judged_by_them() {
    let known = series(closes(2, 0.0, 400));
    // The held-out origins are the last 150 days: the outcome of the first is day 250.
    let recipe = small(&["before:249", "before:250", "before:unknown"]);
    let providers = Providers::new(vec![Arc::new(Classical), Arc::new(Before)]);
    let calendars = Calendars::builtin();
    let trainer = Trainer {
        recipe: &recipe,
        providers: &providers,
        calendars: &calendars,
        code_version: "test",
    };
    let task = task(&known, Standing::default());
    let round = trainer
        .train(&task, day(400), Control::default())
        .unwrap()
        .round;
    let judged: Vec<_> = round
        .verdicts
        .iter()
        .map(|v| v.candidate.as_str())
        .collect();
    assert_eq!(judged, ["before:249"]);
    let left_out: Vec<_> = round
        .left_out
        .iter()
        .map(|one| one.model.as_str())
        .collect();
    assert_eq!(left_out, ["before:250", "before:unknown"]);
    assert!(
        round.left_out[0].reason.contains("1 of 150"),
        "{:?}",
        round.left_out
    );
    assert!(
        round.words.contains("before:unknown was not judged"),
        "{}",
        round.words
    );
}
