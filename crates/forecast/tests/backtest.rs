//! The rolling-origin backtest: what it sees, what it scores, how it stops.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use forecast::backtest::{
    Backtest, Control, Forecaster, Measures, Verdict, Window, diebold_mariano, overall,
};
use forecast::{CancelToken, Error, Forecast, ForecastModel, History, Level, Providers, Result};
use testing::{Lcg, SplitMix64};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn series(n: usize) -> Vec<f64> {
    Lcg::new(5, 3).walk(20.0).take(n).collect()
}

fn models(names: &[&str]) -> Vec<Arc<dyn ForecastModel>> {
    let providers = Providers::classical();
    names
        .iter()
        .map(|name| providers.parse(name).unwrap())
        .collect()
}

/// Knows a fixed shift of the truth, and writes down which pasts it was shown.
struct Oracle {
    truth: Vec<f64>,
    shown: Mutex<Vec<Vec<f64>>>,
}

impl Forecaster for Oracle {
    fn name(&self) -> String {
        "oracle".to_owned()
    }

    fn forecast(&self, past: &History<'_>, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        let past = past.values;
        self.shown.lock().unwrap().push(past.to_vec());
        let end = self
            .truth
            .windows(past.len())
            .position(|w| w == past)
            .unwrap()
            + past.len();
        let mean = self.truth[end..end + horizon].to_vec();
        Forecast::normal(self.name(), mean, vec![0.1; horizon], levels)
    }
}

#[test]
fn the_baselines_always_run_beside() {
    let layout = Backtest {
        horizon: 3,
        origins: 10,
        ..Backtest::default()
    };
    let report = layout
        .run(&series(80), &models(&["mean"]), Control::default())
        .unwrap();
    let names: Vec<&str> = report.models.iter().map(|row| row.model.as_str()).collect();
    assert_eq!(names, ["mean", "naive", "drift"]);
    assert!(!report.models[0].baseline && report.models[1].baseline);
    let naive = report.model("naive").unwrap();
    assert_eq!(naive.measures.skill, Some(0.0));
    assert_eq!(naive.folds.len(), 10);
    assert_eq!(naive.steps.len(), 3);
}

#[test]
fn a_fold_sees_its_window_and_nothing_else() {
    let y = series(60);
    let layout = Backtest {
        horizon: 2,
        origins: 3,
        step: 5,
        gap: 1,
        window: Window::Sliding(20),
        ..Backtest::default()
    };
    let oracle = Oracle {
        truth: y.clone(),
        shown: Mutex::new(Vec::new()),
    };
    let report = layout.run_with(&y, &[&oracle], Control::default()).unwrap();
    let mut shown = oracle.shown.lock().unwrap().clone();
    shown.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut want: Vec<Vec<f64>> = [47, 52, 57]
        .iter()
        .map(|end| y[end - 20..*end].to_vec())
        .collect();
    want.sort_by(|a, b| a[0].total_cmp(&b[0]));
    assert_eq!(shown, want);
    let row = report.model("oracle").unwrap();
    let origins: Vec<usize> = row.folds.iter().map(|fold| fold.origin).collect();
    assert_eq!(origins, [47, 52, 57]);
    // It forecast the steps behind the gap without error, so those were scored.
    assert_eq!(row.measures.mae, Some(0.0));
    assert_eq!(row.measures.levels[0].coverage, Some(1.0));
}

#[test]
fn a_model_that_is_always_right_is_better_than_naive_and_the_mean_of_a_walk_is_not() {
    let y = series(200);
    let layout = Backtest {
        origins: 60,
        ..Backtest::default()
    };
    let oracle = Oracle {
        truth: y.clone(),
        shown: Mutex::new(Vec::new()),
    };
    let report = layout.run_with(&y, &[&oracle], Control::default()).unwrap();
    let row = report.model("oracle").unwrap();
    assert_eq!(row.verdict, Verdict::Better);
    assert!(row.p_holm.unwrap() < 0.01 && row.measures.skill == Some(1.0));
    let report = layout
        .run(&y, &models(&["mean"]), Control::default())
        .unwrap();
    assert_eq!(report.model("mean").unwrap().verdict, Verdict::Worse);
}

#[test]
fn a_model_that_fails_is_reported_and_stops_nobody() {
    let mut y = series(60);
    y[3] = -1.0;
    let options = forecast::FitOptions {
        log: true,
        ..forecast::FitOptions::default()
    };
    let layout = Backtest {
        origins: 5,
        options,
        ..Backtest::default()
    };
    let report = layout
        .run(&y, &models(&["naive"]), Control::default())
        .unwrap();
    let row = report.model("naive").unwrap();
    assert_eq!((row.failures, row.measures.mae), (5, None));
    assert!(row.folds[0].error.as_ref().unwrap().contains("positive"));
}

#[test]
fn progress_is_told_and_cancelling_stops() {
    let y = series(80);
    let layout = Backtest {
        origins: 20,
        ..Backtest::default()
    };
    let calls = AtomicUsize::new(0);
    let progress = |_: usize, all: usize| {
        assert_eq!(all, 40);
        calls.fetch_add(1, Ordering::Relaxed);
    };
    let clock = || 1.5;
    let control = Control {
        progress: Some(&progress),
        clock: Some(&clock),
        ..Control::default()
    };
    let report = layout.run(&y, &models(&["naive"]), control).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 40);
    assert_eq!(report.models[0].seconds, Some(0.0));

    let cancel = CancelToken::new();
    let stop = |done: usize, _: usize| {
        if done == 5 {
            cancel.cancel();
        }
    };
    let control = Control {
        progress: Some(&stop),
        cancel: Some(&cancel),
        ..Control::default()
    };
    assert_eq!(
        layout.run(&y, &models(&["naive"]), control),
        Err(Error::Cancelled)
    );
}

#[test]
fn a_layout_that_does_not_fit_is_refused() {
    let y = series(30);
    for layout in [
        Backtest {
            origins: 0,
            ..Backtest::default()
        },
        Backtest {
            step: 0,
            ..Backtest::default()
        },
        Backtest {
            horizon: 0,
            ..Backtest::default()
        },
        Backtest {
            origins: 29,
            horizon: 2,
            ..Backtest::default()
        },
        Backtest {
            window: Window::Sliding(25),
            ..Backtest::default()
        },
        Backtest {
            origins: usize::MAX,
            step: usize::MAX,
            ..Backtest::default()
        },
        Backtest {
            levels: vec![Level(101.0)],
            ..Backtest::default()
        },
    ] {
        assert!(
            layout
                .run(&y, &models(&["naive"]), Control::default())
                .is_err(),
            "{layout:?}"
        );
    }
}

#[test]
fn intervals_of_a_walk_cover_as_they_say() {
    let y = series(800);
    let layout = Backtest {
        origins: 600,
        ..Backtest::default()
    };
    let report = layout
        .run(&y, &models(&["naive"]), Control::default())
        .unwrap();
    let levels = &report.model("naive").unwrap().measures.levels;
    // Steps are uniform, not normal: 80 % normal bounds cover a little less or more.
    assert!(
        (levels[0].coverage.unwrap() - 0.8).abs() < 0.08,
        "{levels:?}"
    );
    assert!(levels[1].coverage.unwrap() > 0.93, "{levels:?}");
}

#[test]
fn a_report_travels_as_json() {
    let layout = Backtest {
        origins: 6,
        horizon: 2,
        ..Backtest::default()
    };
    let report = layout
        .run(&series(50), &models(&["theta"]), Control::default())
        .unwrap();
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(
        serde_json::from_str::<forecast::backtest::Report>(&text).unwrap(),
        report
    );
}

/// A walk of steps of mean 0, by `seed`.
fn driftless(n: usize, seed: u64) -> Vec<f64> {
    let mut random = SplitMix64::new(seed);
    (0..n)
        .scan(100.0, |level, _| {
            *level += random.unit() - 0.5;
            Some(*level)
        })
        .collect()
}

#[test]
fn a_gap_makes_folds_overlap_and_the_test_against_naive_allows_for_it() {
    let mut worse = 0;
    for seed in 1..=20 {
        let y = driftless(400, seed);
        let layout = Backtest {
            horizon: 1,
            origins: 200,
            gap: 20,
            ..Backtest::default()
        };
        let report = layout
            .run(&y, &models(&["drift"]), Control::default())
            .unwrap();
        let losses = |name: &str| -> Vec<f64> {
            let folds = &report.model(name).unwrap().folds;
            folds.iter().map(|fold| fold.mae.unwrap()).collect()
        };
        // Folds up to 20 apart share innovations: a moving average of order 20.
        let want = diebold_mariano(&losses("drift"), &losses("naive"), 21);
        let drift = report.model("drift").unwrap();
        assert_eq!(drift.against_naive, want);
        worse += usize::from(drift.verdict == Verdict::Worse);
        let independent = diebold_mariano(&losses("drift"), &losses("naive"), 1);
        assert!(want.unwrap().statistic.abs() < independent.unwrap().statistic.abs());
    }
    // Taken for independent, most of these folds make drift look worse beyond doubt.
    assert!(worse <= 4, "{worse} of 20");
}

#[test]
fn pinball_and_crps_do_not_depend_on_the_levels_asked_for() {
    let y = series(80);
    let scores = |levels: &[f64]| {
        let layout = Backtest {
            levels: levels.iter().map(|v| Level(*v)).collect(),
            ..Backtest::default()
        };
        let report = layout
            .run(&y, &models(&["ets"]), Control::default())
            .unwrap();
        let measures = &report.model("ets").unwrap().measures;
        (measures.pinball.unwrap(), measures.crps.unwrap())
    };
    assert_eq!(scores(&[80.0, 95.0]), scores(&[42.0, 99.9]));
    assert_eq!(scores(&[80.0, 95.0]), scores(&[]));
}

#[test]
fn a_step_or_a_window_of_nothing_is_refused_by_name() {
    for (step, window, name) in [
        (0, Window::Expanding, "step"),
        (1, Window::Sliding(0), "window"),
    ] {
        let layout = Backtest {
            step,
            window,
            ..Backtest::default()
        };
        let error = layout.run(&series(80), &models(&["mean"]), Control::default());
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
}

#[test]
fn over_many_series_skills_are_averaged_and_failures_summed() {
    let layout = Backtest {
        horizon: 2,
        ..Backtest::default()
    };
    let run = |n| {
        layout
            .run(&series(n), &models(&["mean", "ets"]), Control::default())
            .unwrap()
    };
    let (a, b) = (run(80), run(110));
    let all = overall(&[&a, &b]);
    for (at, row) in all.iter().enumerate() {
        let (a, b) = (&a.models[at], &b.models[at]);
        let half = |f: fn(&Measures) -> Option<f64>| {
            0.5 * (f(&a.measures).unwrap() + f(&b.measures).unwrap())
        };
        assert_eq!(row.model, a.model);
        assert_eq!(row.measures.skill, Some(half(|m| m.skill)));
        assert_eq!(row.measures.mase, Some(half(|m| m.mase)));
        assert_eq!(
            row.measures.levels[1].coverage,
            Some(half(|m| m.levels[1].coverage))
        );
        assert_eq!(row.failures, a.failures + b.failures);
        // These have the unit of their series.
        assert_eq!((row.measures.mae, row.measures.crps), (None, None));
    }
}
