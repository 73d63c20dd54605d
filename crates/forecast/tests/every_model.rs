//! What holds for every model: no panic and no NaN on any input, the same forecast at any scale, and a
//! state that can be saved. That none looks at the future is in leakage.rs.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/models.rs"]
mod models;

use forecast::{ErrorKind, FitOptions, Fitted, FittedModel, Level, ModelSpec, Point};
use testing::noise;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use self::models::MODELS;

fn options(season: usize) -> FitOptions {
    FitOptions {
        season,
        ..FitOptions::default()
    }
}

fn walk(n: usize, seed: u64) -> Vec<f64> {
    let mut level = 50.0;
    noise(n, seed)
        .iter()
        .enumerate()
        .map(|(t, e)| {
            level += e;
            level + [0.0, 2.0, -1.0, 1.0][t % 4]
        })
        .collect()
}

/// Fits, forecasts, updates and forecasts again; whatever comes must be an error or all finite.
fn survives(model: &str, y: &[f64], options: &FitOptions) {
    let spec: ModelSpec = model.parse().unwrap();
    let mut fitted = match spec.fit(y, options) {
        Ok(fitted) => fitted,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let check = |fitted: &dyn FittedModel| {
        if let Ok(f) = fitted.forecast(7, &Level::DEFAULT) {
            assert_eq!(f.mean.len(), 7);
            assert!(f.mean.iter().all(|v| v.is_finite()), "{model} {y:?}");
            for band in &f.intervals {
                for h in 0..7 {
                    assert!(band.lower[h] <= band.upper[h], "{model} {y:?}");
                    assert!(band.lower[h].is_finite() && band.upper[h].is_finite());
                }
            }
        }
    };
    check(fitted.as_ref());
    let _ = fitted.summary();
    let last = y.iter().rev().find(|v| !v.is_nan()).copied().unwrap();
    for value in [last, f64::NAN, last] {
        let _ = fitted.update(value);
        check(fitted.as_ref());
    }
    assert!(fitted.update(f64::INFINITY).is_err());
    check(fitted.as_ref());
}

#[test]
fn an_update_does_not_change_what_was_forecast_before() {
    let y = walk(100, 2);
    for model in MODELS {
        let spec: ModelSpec = model.parse().unwrap();
        let mut fitted = spec.fit(&y[..90], &options(4)).unwrap();
        let before = fitted.forecast(3, &Level::DEFAULT).unwrap();
        let mut again = spec.fit(&y[..90], &options(4)).unwrap();
        for value in &y[90..] {
            fitted.update(*value).unwrap();
        }
        assert_eq!(
            again.forecast(3, &Level::DEFAULT).unwrap(),
            before,
            "{model}"
        );
        again.update(y[90]).unwrap();
        let after = fitted.forecast(3, &[]).unwrap();
        assert!(
            model == "arima(0,0,0)" || after.mean != before.mean,
            "{model}"
        );
    }
}

#[test]
fn a_baseline_that_is_updated_is_the_fit_of_the_longer_series_to_the_last_bit() {
    let mut y = walk(130, 12);
    for t in [20, 21, 70, 101, 102, 117] {
        y[t] = f64::NAN;
    }
    for model in ["naive", "drift", "snaive", "mean"] {
        for log in [false, true] {
            let spec: ModelSpec = model.parse().unwrap();
            let options = FitOptions { log, ..options(4) };
            let mut fitted = spec.fit(&y[..90], &options).unwrap();
            for end in 90..y.len() {
                let longer = spec.fit(&y[..end], &options).unwrap();
                assert_eq!(
                    fitted.forecast(6, &Level::DEFAULT).unwrap(),
                    longer.forecast(6, &Level::DEFAULT).unwrap(),
                    "{model} {log} {end}"
                );
                fitted.update(y[end]).unwrap();
            }
        }
    }
}

#[test]
fn an_arima_update_is_the_filter_over_the_longer_series() {
    // With no coefficients to estimate, fit and update must agree to the last digits.
    let y = walk(100, 3);
    for model in ["arima(0,1,0)", "arima(0,2,0)", "arima(0,1,0)(0,1,0)[4]"] {
        let spec: ModelSpec = model.parse().unwrap();
        let mut fitted = spec.fit(&y[..90], &options(4)).unwrap();
        for value in &y[90..] {
            fitted.update(*value).unwrap();
        }
        let longer = spec.fit(&y, &options(4)).unwrap();
        let (a, b) = (
            fitted.forecast(5, &[]).unwrap(),
            longer.forecast(5, &[]).unwrap(),
        );
        for (a, b) in a.mean.iter().zip(&b.mean) {
            assert!((a - b).abs() < 1e-9, "{model}: {a} {b}");
        }
    }
}

#[test]
fn a_fitted_model_can_be_saved_and_goes_on_alike() {
    let y = walk(100, 4);
    for model in MODELS {
        for log in [false, true] {
            let spec: ModelSpec = model.parse().unwrap();
            let options = FitOptions {
                log,
                point: Point::Mean,
                ..options(4)
            };
            let mut fitted = spec.fit_owned(&y, &options).unwrap();
            let text = serde_json::to_string(&fitted).unwrap();
            let mut loaded: Fitted = serde_json::from_str(&text).unwrap();
            for value in [51.0, f64::NAN, 49.0] {
                fitted.update(value).unwrap();
                loaded.update(value).unwrap();
            }
            let (a, b) = (
                fitted.forecast(5, &Level::DEFAULT),
                loaded.forecast(5, &Level::DEFAULT),
            );
            assert_eq!(a.unwrap(), b.unwrap(), "{model}");
        }
    }
}

#[test]
fn the_intervals_of_a_random_walk_never_narrow() {
    for seed in 0..10 {
        let y: Vec<f64> = noise(150, seed + 10)
            .iter()
            .scan(200.0, |level, e| {
                *level += e;
                Some(*level)
            })
            .collect();
        for model in [
            "naive",
            "drift",
            "arima(0,1,0)",
            "arima(0,1,0)+drift",
            "garch",
            "theta",
        ] {
            for log in [false, true] {
                let spec: ModelSpec = model.parse().unwrap();
                let fitted = spec.fit(&y, &FitOptions { log, ..options(1) }).unwrap();
                let f = fitted.forecast(50, &Level::DEFAULT).unwrap();
                for band in &f.intervals {
                    for h in 1..50 {
                        // On logarithms a falling median shrinks the band: measured in logs.
                        let size = |v: f64| if log { v.ln() } else { v };
                        let width = |h: usize| size(band.upper[h]) - size(band.lower[h]);
                        assert!(width(h) >= width(h - 1) * (1.0 - 1e-12), "{model} {h}");
                    }
                }
            }
        }
    }
}

#[test]
fn awkward_series_give_an_error_or_a_right_answer() {
    let nan = f64::NAN;
    let ramp: Vec<f64> = (0..60).map(f64::from).collect();
    let gappy: Vec<f64> = walk(90, 5)
        .iter()
        .enumerate()
        .map(|(t, v)| if t % 3 == 0 { nan } else { *v })
        .collect();
    let ends: Vec<f64> = (0..60)
        .map(|t| {
            if (5..50).contains(&t) {
                f64::from(t % 7) + 1.0
            } else {
                nan
            }
        })
        .collect();
    let spike: Vec<f64> = (0..60).map(|t| if t == 30 { 1e9 } else { 1.0 }).collect();
    let alternating: Vec<f64> = (0..60)
        .map(|t| if t % 2 == 0 { 1.0 } else { -1.0 })
        .collect();
    let zeros_then: Vec<f64> = (0..60)
        .map(|t| if t < 55 { 0.0 } else { f64::from(t) })
        .collect();
    let explosive: Vec<f64> = (0..60).map(|t| 1.5f64.powi(t)).collect();
    let series: Vec<Vec<f64>> = vec![
        vec![],
        vec![1.0],
        vec![1.0, 2.0],
        vec![1.0, 2.0, 3.0],
        vec![1.0, 1.0, 1.0, 1.0],
        vec![nan; 40],
        vec![nan, nan, 1.0, nan],
        vec![5.0; 60],
        vec![0.0; 60],
        vec![1e12; 60],
        ramp,
        gappy,
        ends,
        spike,
        alternating,
        zeros_then,
        explosive,
        walk(60, 6).iter().map(|v| v * 1e12).collect(),
        walk(60, 6).iter().map(|v| v * 1e-12).collect(),
        walk(60, 6).iter().map(|v| v * 1e140).collect(),
        walk(60, 6).iter().map(|v| v * 1e-140).collect(),
        walk(60, 6).iter().map(|v| 1e12 + v * 1e-3).collect(),
        walk(60, 6).iter().map(|v| -v).collect(),
        vec![f64::INFINITY; 30],
        vec![1e308; 30],
        vec![f64::MIN_POSITIVE; 30],
    ];
    for y in &series {
        for model in MODELS {
            for season in [1, 4, 12] {
                survives(model, y, &options(season));
            }
            survives(
                model,
                y,
                &FitOptions {
                    log: true,
                    point: Point::Mean,
                    ..options(4)
                },
            );
        }
    }
}

#[test]
fn infinity_is_refused_with_its_position() {
    for value in [f64::INFINITY, f64::NEG_INFINITY, 1e200] {
        let mut y = walk(60, 7);
        y[17] = value;
        for model in MODELS {
            let spec: ModelSpec = model.parse().unwrap();
            let error = spec.fit(&y, &options(4)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{model}");
            assert!(error.to_string().contains("17"), "{model}: {error}");
        }
    }
}

#[test]
fn a_constant_series_is_forecast_as_it_is() {
    for model in MODELS {
        let spec: ModelSpec = model.parse().unwrap();
        for value in [5.0, -3.0, 1e12, 1e-12] {
            let fitted = spec.fit(&[value; 60], &options(4)).unwrap();
            let f = fitted.forecast(6, &Level::DEFAULT).unwrap();
            let zero_mean = model == "arima(0,0,0)";
            for h in 0..6 {
                let want = if zero_mean { 0.0 } else { value };
                assert!(
                    (f.mean[h] - want).abs() <= 1e-6 * value.abs(),
                    "{model} {:?}",
                    f.mean
                );
            }
        }
    }
}

#[test]
fn horizons_and_levels_outside_their_range_are_refused() {
    let fitted = ModelSpec::Naive.fit(&walk(30, 8), &options(1)).unwrap();
    assert!(fitted.forecast(0, &[]).is_err());
    assert!(fitted.forecast(usize::MAX, &[]).is_err());
    for level in [0.0, 100.0, -5.0, f64::NAN, 150.0] {
        assert!(fitted.forecast(1, &[Level(level)]).is_err());
    }
    assert!(ModelSpec::Ets.fit(&walk(30, 8), &options(0)).is_err());
    assert!(
        ModelSpec::Ets
            .fit(&walk(30, 8), &options(usize::MAX))
            .is_err()
    );
}

#[test]
fn forecasts_scale_with_the_series() {
    let y = walk(80, 9);
    for model in MODELS {
        let spec: ModelSpec = model.parse().unwrap();
        let base = spec
            .fit(&y, &options(4))
            .unwrap()
            .forecast(5, &Level::DEFAULT)
            .unwrap();
        for scale in [1e12, 1e-12] {
            let scaled: Vec<f64> = y.iter().map(|v| v * scale).collect();
            let f = spec
                .fit(&scaled, &options(4))
                .unwrap()
                .forecast(5, &Level::DEFAULT)
                .unwrap();
            for h in 0..5 {
                let error = (f.mean[h] / scale - base.mean[h]).abs();
                assert!(error <= 1e-3 * base.mean[h].abs(), "{model} {scale}");
                let width = f.intervals[1].upper[h] - f.intervals[1].lower[h];
                let want = base.intervals[1].upper[h] - base.intervals[1].lower[h];
                assert!(
                    (width / scale / want - 1.0).abs() < 1e-2,
                    "{model} {scale} {h}"
                );
            }
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod on_arbitrary_series {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => -100.0..100.0f64,
            2 => Just(f64::NAN),
            1 => Just(0.0),
            1 => Just(7.0),
            1 => (-11i32..11).prop_map(|e| 10f64.powi(e)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_input_breaks_a_model(
            y in prop::collection::vec(value(), 0..40),
            model in 0..MODELS.len(),
            season in 1usize..6,
            log in any::<bool>(),
        ) {
            survives(MODELS[model], &y, &FitOptions { log, ..options(season) });
        }

        #[test]
        fn near_constant_series_break_no_model(
            base in -1e6..1e6f64,
            tiny in prop::collection::vec(-1i8..2, 5..40),
            exponent in -16i32..0,
            model in 0..MODELS.len(),
        ) {
            let unit = base.abs().max(1.0) * 10f64.powi(exponent);
            let y: Vec<f64> = tiny.iter().map(|v| base + f64::from(*v) * unit).collect();
            survives(MODELS[model], &y, &options(4));
        }

        #[test]
        fn levels_nest(y in prop::collection::vec(1.0..100.0f64, 30..50), model in 0..MODELS.len()) {
            let spec: ModelSpec = MODELS[model].parse().unwrap();
            if let Ok(fitted) = spec.fit(&y, &options(1)) {
                let f = fitted.forecast(5, &[Level(50.0), Level(80.0), Level(95.0)]).unwrap();
                for pair in f.intervals.windows(2) {
                    for h in 0..5 {
                        prop_assert!(pair[1].lower[h] <= pair[0].lower[h]);
                        prop_assert!(pair[1].upper[h] >= pair[0].upper[h]);
                    }
                }
            }
        }
    }
}
