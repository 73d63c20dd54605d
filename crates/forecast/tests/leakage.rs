//! The future is not seen: whatever comes after an origin, what is forecast there is the same to the last
//! bit, and whatever comes after a fold, so are its scores.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/models.rs"]
mod models;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use forecast::backtest::{Backtest, Configured, Control, FoldScore, Forecaster, Walk, Window};
use forecast::conformal::{AdaptiveConformal, SplitConformal};
use forecast::{
    CalibrationOptions, FitOptions, Forecast, ForecastModel, History, Level, ModelSpec, Providers,
    Result,
};
use testing::Lcg;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use self::models::MODELS;

/// A positive seasonal walk.
fn walk(n: usize) -> Vec<f64> {
    let levels = Lcg::new(11, 7).walk(60.0).take(n).enumerate();
    levels
        .map(|(t, level)| level + [0.0, 2.0, -1.0, 1.0][t % 4])
        .collect()
}

/// The series with everything from `from` on changed beyond recognition.
fn changed(y: &[f64], from: usize) -> Vec<f64> {
    let mut other = y.to_vec();
    for (t, value) in other.iter_mut().enumerate().skip(from) {
        *value = 500.0 + 30.0 * (t % 3) as f64;
    }
    other
}

fn options(log: bool) -> FitOptions {
    FitOptions {
        season: 4,
        log,
        ..FitOptions::default()
    }
}

fn bits(fold: &FoldScore) -> (usize, Option<u64>, Option<u64>, Option<&str>) {
    let bits = |v: Option<f64>| v.map(f64::to_bits);
    (
        fold.origin,
        bits(fold.mae),
        bits(fold.crps),
        fold.error.as_deref(),
    )
}

#[test]
fn no_fold_of_a_backtest_changes_with_what_comes_after_it() {
    let y = walk(100);
    let providers = Providers::classical();
    let models: Vec<Arc<dyn ForecastModel>> = MODELS
        .iter()
        .map(|name| providers.parse(name).unwrap())
        .collect();
    for log in [false, true] {
        let layout = Backtest {
            horizon: 3,
            origins: 4,
            step: 4,
            gap: 1,
            options: options(log),
            ..Backtest::default()
        };
        let run = |y: &[f64]| layout.run(y, &models, Control::default()).unwrap();
        // Origins 84, 88, 92, 96; the second fold is scored up to 92.
        let before = run(&y);
        let after = run(&changed(&y, 92));
        assert_eq!(before.models.len(), MODELS.len());
        for (a, b) in before.models.iter().zip(&after.models) {
            for fold in 0..2 {
                let (a, b) = (&a.folds[fold], &b.folds[fold]);
                assert!(a.mae.is_some(), "{a:?}");
                assert_eq!(bits(a), bits(b), "log {log}, fold {fold}");
            }
            // The later ones do see the change.
            assert_ne!(bits(&a.folds[2]), bits(&b.folds[2]), "{} {log}", a.model);
            assert_ne!(bits(&a.folds[3]), bits(&b.folds[3]), "{} {log}", a.model);
        }
    }
}

/// A named model that writes down what it forecast from how long a past.
struct Watched {
    model: Configured,
    made: Mutex<BTreeMap<usize, Forecast>>,
}

impl Forecaster for Watched {
    fn name(&self) -> String {
        format!("watched {}", self.model.name())
    }

    fn forecast(&self, past: &History<'_>, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        let forecast = self.model.forecast(past, horizon, levels)?;
        let mut made = self.made.lock().unwrap();
        made.insert(past.values.len(), forecast.clone());
        Ok(forecast)
    }
}

#[test]
fn no_forecast_of_a_backtest_changes_with_the_first_value_after_its_origin() {
    let y = walk(100);
    for log in [false, true] {
        let layout = Backtest {
            horizon: 3,
            origins: 4,
            step: 4,
            gap: 1,
            options: options(log),
            ..Backtest::default()
        };
        for model in MODELS {
            let made = |y: &[f64]| {
                let watched = Watched {
                    model: Configured {
                        model: Providers::classical().parse(model).unwrap(),
                        options: options(log),
                        calibration: layout.calibration,
                    },
                    made: Mutex::default(),
                };
                layout.run_with(y, &[&watched], Control::default()).unwrap();
                watched.made.into_inner().unwrap()
            };
            let (before, after) = (made(&y), made(&changed(&y, 88)));
            let origins: Vec<usize> = before.keys().copied().collect();
            assert_eq!(origins, [84, 88, 92, 96], "{model}");
            for origin in [84, 88] {
                assert_eq!(before[&origin], after[&origin], "{model} {log} {origin}");
            }
            for origin in [92, 96] {
                assert_ne!(before[&origin], after[&origin], "{model} {log} {origin}");
            }
        }
    }
}

#[test]
fn split_calibration_takes_an_outcome_in_one_place_only() {
    let y = walk(90);
    let last = changed(&y, 89);
    for model in MODELS {
        // These take long and calibrate by the same code.
        if ["auto-arima", "combo"].contains(&model) {
            continue;
        }
        for log in [false, true] {
            let scores = |y: &[f64]| -> Vec<Vec<f64>> {
                let spec: ModelSpec = model.parse().unwrap();
                let split = SplitConformal::calibrate(&spec, y, &options(log), 3, 6).unwrap();
                let value = serde_json::to_value(&split).unwrap();
                serde_json::from_value(value["scores"].clone()).unwrap()
            };
            let (before, after) = (scores(&y), scores(&last));
            // The last value is the third step of the newest origin and nothing else.
            assert_eq!(before[..2], after[..2], "{model} {log}");
            let kept = after[2].iter().filter(|v| before[2].contains(v)).count();
            assert_eq!(kept, 5, "{model} {log}");
        }
    }
}

#[test]
fn adaptive_calibration_learns_from_forecasts_of_what_was_known_only() {
    let y = walk(90);
    let levels = [Level(80.0), Level(95.0)];
    for model in ["naive", "drift", "ets", "theta", "garch"] {
        for log in [false, true] {
            let spec: ModelSpec = model.parse().unwrap();
            let calibrate = |y: &[f64], origins: usize| {
                AdaptiveConformal::calibrate(&spec, y, &options(log), &levels, 2, origins, 0.1)
                    .unwrap()
            };
            // One origin less, and then by hand what the newest one teaches.
            let mut by_hand = calibrate(&y[..89], 7);
            let known = spec.fit(&y[..88], &options(log)).unwrap();
            by_hand.learn(&known.forecast(2, &[]).unwrap(), &y[88..]);
            assert_eq!(calibrate(&y, 8), by_hand, "{model} {log}");
            assert_ne!(calibrate(&changed(&y, 89), 8), by_hand, "{model} {log}");
        }
    }
}

#[test]
fn no_origin_of_a_walk_changes_with_what_comes_after_it_nor_with_how_far_the_series_goes() {
    let y = walk(160);
    let layout = Walk {
        first: 90,
        step: 2,
        horizon: 2,
        refit_every: 7,
        window: 60,
        levels: Level::DEFAULT.to_vec(),
        options: options(true),
        calibration: CalibrationOptions::default(),
    };
    let providers = Providers::classical();
    for name in ["naive", "theta", "ets", "arima(1,1,0)"] {
        let model = providers.parse(name).unwrap();
        let all = |y: &[f64]| layout.run(&y.into(), &*model, Control::default()).unwrap();
        let whole = all(&y);
        assert_eq!(whole.len(), layout.origins(y.len()));
        for cut in [100, 121, 140] {
            assert_eq!(all(&y[..cut]), whole[..layout.origins(cut)], "{name} {cut}");
            let other = all(&changed(&y, cut));
            let before = whole.iter().filter(|step| step.origin <= cut).count();
            assert_eq!(other[..before], whole[..before], "{name} {cut}");
            assert_ne!(other[before], whole[before], "{name} {cut}");
        }
    }
}

#[test]
fn a_walk_that_fits_at_each_origin_is_the_backtest_without_its_updates() {
    let y = walk(120);
    let model = Providers::classical().parse("theta").unwrap();
    let layout = Backtest {
        origins: 25,
        horizon: 2,
        window: Window::Sliding(50),
        options: options(false),
        ..Backtest::default()
    };
    let report = layout.run(&y, &[Arc::clone(&model)], Control::default());
    let folds = report.unwrap().models.remove(0).folds;
    let steps = Walk {
        first: folds[0].origin,
        step: 1,
        horizon: 2,
        refit_every: 1,
        window: 50,
        levels: Vec::new(),
        options: options(false),
        calibration: layout.calibration,
    };
    let steps = steps
        .run(&(&y).into(), &*model, Control::default())
        .unwrap();
    assert_eq!(steps.len(), folds.len());
    for (step, fold) in steps.iter().zip(&folds) {
        let mean = step.forecast.as_ref().unwrap().mean.clone();
        let error = forecast::metrics::mae(&y[step.origin..step.origin + 2], &mean);
        assert_eq!((step.origin, Some(error)), (fold.origin, fold.mae));
    }
}
