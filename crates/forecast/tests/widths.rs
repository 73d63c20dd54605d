//! How wide the intervals are: as the steps of the series say, whatever its level, its scale and
//! the values that are missing at its end.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use forecast::theta::{Theta, ThetaKind};
use forecast::{FitOptions, Fitted, FittedModel, Forecast, Level, Model, ModelSpec};
use testing::noise;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A walk from `level` with steps of size `unit`.
fn walk(n: usize, seed: u64, level: f64, unit: f64) -> Vec<f64> {
    noise(n, seed)
        .iter()
        .scan(0.0, |sum, e| {
            *sum += e * unit;
            Some(level + *sum)
        })
        .collect()
}

/// Models whose one-step width on a walk is about that of naive, and the kind of theta they use.
const OF_A_WALK: [(ModelSpec, ThetaKind); 7] = [
    (ModelSpec::Drift, ThetaKind::Optimised),
    (ModelSpec::Ets, ThetaKind::Optimised),
    (ModelSpec::Theta, ThetaKind::Optimised),
    (ModelSpec::Theta, ThetaKind::Standard),
    (ModelSpec::AutoArima, ThetaKind::Optimised),
    (ModelSpec::Garch, ThetaKind::Optimised),
    (ModelSpec::Combo, ThetaKind::Optimised),
];

fn fit(spec: ModelSpec, theta: ThetaKind, log: bool, y: &[f64]) -> Fitted {
    let options = FitOptions {
        log,
        theta,
        ..FitOptions::default()
    };
    spec.fit_owned(y, &options).unwrap()
}

fn width(forecast: &Forecast, step: usize) -> f64 {
    let band = forecast.interval(Level(95.0)).unwrap();
    band.upper[step] - band.lower[step]
}

#[test]
fn a_level_far_above_the_steps_does_not_widen_the_fan() {
    for (level, unit) in [(100.0, 0.01), (1e6, 1.0), (1.0, 1e-6)] {
        let y = walk(200, 1, level, unit);
        for log in [false, true] {
            let of = |spec, theta| {
                fit(spec, theta, log, &y)
                    .forecast(5, &[Level(95.0)])
                    .unwrap()
            };
            let naive = of(ModelSpec::Naive, ThetaKind::Optimised);
            for (spec, theta) in OF_A_WALK {
                let forecast = of(spec, theta);
                for step in [0, 4] {
                    let ratio = width(&forecast, step) / width(&naive, step);
                    assert!(
                        (0.7..1.4).contains(&ratio),
                        "{spec} {theta:?} level {level} log {log} step {step}: {ratio}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_level_that_leaves_the_steps_few_digits_does_not_make_the_fan_certain() {
    for level in [1e10, 1e11, 1e12] {
        let y = walk(200, 2, level, 1.0);
        let naive = ModelSpec::Naive.fit(&y, &FitOptions::default()).unwrap();
        let naive = naive.forecast(1, &[Level(95.0)]).unwrap();
        for (spec, theta) in OF_A_WALK {
            let forecast = fit(spec, theta, false, &y)
                .forecast(1, &[Level(95.0)])
                .unwrap();
            let ratio = width(&forecast, 0) / width(&naive, 0);
            assert!(
                (0.7..1.4).contains(&ratio),
                "{spec} {theta:?} {level}: {ratio}"
            );
        }
    }
}

#[test]
fn a_constant_series_has_a_fan_of_no_width() {
    for value in [5.0, 1e12, 1e-12] {
        for (spec, theta) in OF_A_WALK {
            for log in [false, true] {
                let forecast = fit(spec, theta, log, &[value; 40])
                    .forecast(5, &[Level(80.0), Level(95.0)])
                    .unwrap();
                for band in &forecast.intervals {
                    for h in 0..5 {
                        assert_eq!(
                            band.lower[h], band.upper[h],
                            "{spec} {theta:?} {value} {log}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn the_standard_theta_starts_where_the_series_does() {
    let y = walk(60, 3, 1000.0, 1.0);
    let fitted = Theta::standard(1).fit(&y).unwrap();
    assert!(
        fitted.residuals()[0].abs() < 5.0,
        "{}",
        fitted.residuals()[0]
    );
}

#[test]
fn missing_values_at_the_end_widen_the_first_step() {
    let mut y = walk(300, 4, 500.0, 1.0);
    let full = y.clone();
    y.extend([f64::NAN; 5]);
    for (spec, theta) in OF_A_WALK {
        let one = |fitted: &Fitted| width(&fitted.forecast(1, &[Level(95.0)]).unwrap(), 0);
        let before = one(&fit(spec, theta, false, &full));
        let grown = one(&fit(spec, theta, false, &y)) / before;
        assert!(
            (grown / 6f64.sqrt() - 1.0).abs() < 0.15,
            "{spec} {theta:?}: {grown}"
        );
        let mut updated = fit(spec, theta, false, &full);
        for _ in 0..5 {
            updated.update(f64::NAN).unwrap();
        }
        let grown = one(&updated) / before;
        assert!(
            (grown / 6f64.sqrt() - 1.0).abs() < 0.15,
            "{spec} {theta:?} updated: {grown}"
        );
        // A value ends the uncertainty that the gap brought.
        updated.update(500.0).unwrap();
        let after = one(&updated) / before;
        assert!((after - 1.0).abs() < 0.3, "{spec} {theta:?}: {after}");
    }
}

#[test]
fn a_series_whose_squares_vanish_is_refused_and_one_of_zeros_is_not() {
    for (spec, theta) in OF_A_WALK {
        let options = FitOptions {
            theta,
            ..FitOptions::default()
        };
        let y: Vec<f64> = walk(60, 5, 50.0, 1.0).iter().map(|v| v * 1e-300).collect();
        let error = spec.fit(&y, &options).unwrap_err();
        assert!(
            error.to_string().contains("e-299 in size"),
            "{spec}: {error}"
        );
        assert!(spec.fit(&[0.0; 60], &options).is_ok(), "{spec}");
    }
}

/// Shares of the outcomes one step after walks of `n` values that lie within the 80 % and the 95 %
/// interval; none where the model needs a longer series.
fn coverage_of_walks(spec: ModelSpec, theta: ThetaKind, n: usize) -> Option<[f64; 2]> {
    const WALKS: u64 = 600;
    let mut held = [0.0; 2];
    for seed in 0..WALKS {
        let y = walk(n + 1, seed_of(seed), 100.0, 1.0);
        let options = FitOptions {
            theta,
            ..FitOptions::default()
        };
        let fitted = match spec.fit_owned(&y[..n], &options) {
            Ok(fitted) => fitted,
            Err(forecast::Error::TooShort { .. }) => return None,
            Err(error) => panic!("{spec} {n} {seed}: {error}"),
        };
        let forecast = fitted.forecast(1, &Level::DEFAULT).unwrap();
        for (held, band) in held.iter_mut().zip(&forecast.intervals) {
            *held += f64::from(u8::from((band.lower[0]..=band.upper[0]).contains(&y[n])));
        }
    }
    Some(held.map(|held| held / WALKS as f64))
}

#[test]
fn intervals_hold_on_walks_of_four_values_and_more() {
    let mut faults = Vec::new();
    for (spec, theta) in [(ModelSpec::Naive, ThetaKind::Optimised)]
        .into_iter()
        .chain(OF_A_WALK)
    {
        for n in [4, 5, 6, 8, 10, 15, 30] {
            let Some(held) = coverage_of_walks(spec, theta, n) else {
                continue;
            };
            println!("{spec} {theta:?} n {n}: {held:?}");
            if held[1] < 0.9 {
                faults.push(format!("{spec} {theta:?} n {n}: {held:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn intervals_hold_on_prices_that_mostly_stand_still() {
    let mut faults = Vec::new();
    for (standing, bound) in [
        (0.6, 0.841_6),
        (0.8, 1.281_6),
        (0.9, 1.644_9),
        (0.95, 1.960_0),
    ] {
        for spec in [
            ModelSpec::Naive,
            ModelSpec::Garch,
            ModelSpec::Theta,
            ModelSpec::Drift,
        ] {
            const SERIES: u64 = 120;
            let mut held = [0.0; 10];
            for seed in 0..SERIES {
                let y = standing_walk(510, seed_of(seed), bound);
                let fitted = fit(spec, ThetaKind::Optimised, false, &y[..500]);
                let forecast = fitted.forecast(10, &[Level(95.0)]).unwrap();
                let band = &forecast.intervals[0];
                for step in 0..10 {
                    let within = (band.lower[step]..=band.upper[step]).contains(&y[500 + step]);
                    held[step] += f64::from(u8::from(within)) / SERIES as f64;
                }
            }
            println!("{spec} standing {standing}: {held:.2?}");
            if held.iter().any(|share| *share < 0.9) {
                faults.push(format!("{spec} standing {standing}: {held:.2?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Cents that go up or down by one where a normal number lies further out than `bound`, and else stand
/// still.
fn standing_walk(n: usize, seed: u64, bound: f64) -> Vec<f64> {
    let mut cents = 400.0;
    noise(n, seed)
        .iter()
        .map(|e| {
            cents += f64::from(i8::from(*e > bound)) - f64::from(i8::from(*e < -bound));
            cents / 100.0
        })
        .collect()
}

/// Seeds far apart: neighbours would give neighbouring first numbers.
fn seed_of(index: u64) -> u64 {
    (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8
}
