//! ARIMA on what it was not made for: every fit ends, with a clear error or a finite forecast.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use forecast::arima::{Arima, ArimaOrder, Constant, Method};
use forecast::{FittedModel, Level, Model};
use testing::noise;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn walk(n: usize, seed: u64) -> Vec<f64> {
    let mut level = 50.0;
    let steps = noise(n, seed);
    steps
        .iter()
        .map(|e| {
            level += e;
            level
        })
        .collect()
}

/// An error with words, or a forecast of finite numbers in order.
fn ends_well(order: ArimaOrder, method: Method, y: &[f64]) {
    let fitted = match Arima::new(order).method(method).fit(y) {
        Ok(fitted) => fitted,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    if let Ok(forecast) = fitted.forecast(30, &Level::DEFAULT) {
        assert!(forecast.mean.iter().all(|v| v.is_finite()), "{order} {y:?}");
        for band in &forecast.intervals {
            let pairs = band.lower.iter().zip(&band.upper);
            let fine = |(l, u): (&f64, &f64)| l.is_finite() && u.is_finite() && l <= u;
            assert!(pairs.into_iter().all(fine), "{order} {y:?}");
        }
    }
    let summary = fitted.summary();
    let coefficients = summary.params.iter().map(|param| param.value);
    let numbers = coefficients.chain(summary.sigma2).chain(summary.loglik);
    assert!(numbers.into_iter().all(f64::is_finite), "{order} {y:?}");
}

#[test]
fn orders_that_a_short_series_can_hardly_bear_end() {
    let orders = [
        ArimaOrder::new(5, 2, 5).seasonal(2, 1, 2, 24),
        ArimaOrder::new(3, 3, 3).seasonal(1, 1, 1, 12),
        ArimaOrder::new(12, 0, 12).with(Constant::Mean),
        ArimaOrder::new(0, 0, 24),
        ArimaOrder::new(24, 1, 0).with(Constant::Drift),
        ArimaOrder::new(1, 0, 1).seasonal(2, 0, 2, 26),
    ];
    let mut holes = walk(60, 3);
    for t in [0, 7, 8, 30, 31, 32, 59] {
        holes[t] = f64::NAN;
    }
    for order in orders {
        ends_well(order, Method::Ml, &walk(60, 1));
        ends_well(order, Method::CssMl, &walk(60, 2));
        ends_well(order, Method::Css, &walk(60, 2));
        ends_well(order, Method::Ml, &holes);
    }
}

#[test]
fn a_level_far_from_zero_leaves_the_forecast_at_that_level() {
    let steps = noise(120, 4);
    for level in [0.0, 1e3, 1e5, 1e7, 1e9, 1e12] {
        let y: Vec<f64> = steps.iter().map(|e| level + e).collect();
        let order = ArimaOrder::new(1, 1, 1);
        let fitted = Arima::new(order).fit(&y).unwrap();
        let forecast = fitted.forecast(10, &[Level(95.0)]).unwrap();
        let band = &forecast.intervals[0];
        for h in 0..10 {
            assert!(
                (forecast.mean[h] - level).abs() < 3.0,
                "{level} {}",
                forecast.mean[h]
            );
            let width = band.upper[h] - band.lower[h];
            assert!((2.0..20.0).contains(&width), "{level} {width}");
        }
    }
}

#[test]
fn the_scale_of_a_series_changes_only_the_scale_of_the_forecast() {
    let y = walk(100, 5);
    for order in [
        ArimaOrder::new(1, 1, 1),
        ArimaOrder::new(2, 0, 1).with(Constant::Mean),
        ArimaOrder::new(0, 1, 1).seasonal(0, 1, 1, 4),
    ] {
        let plain = Arima::new(order).fit(&y).unwrap();
        let plain = plain.forecast(8, &[Level(95.0)]).unwrap();
        for scale in [1e-12, 1e-6, 1e6, 1e12] {
            let scaled: Vec<f64> = y.iter().map(|v| v * scale).collect();
            let fitted = Arima::new(order).fit(&scaled).unwrap();
            let forecast = fitted.forecast(8, &[Level(95.0)]).unwrap();
            for h in 0..8 {
                // R's search, which is repeated, stops a little earlier or later in other units.
                let error = forecast.mean[h] / scale - plain.mean[h];
                assert!(error.abs() < 0.05, "{order} {scale} {error}");
            }
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod on_arbitrary_series {
    use forecast::arima::AutoArima;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_order_on_any_short_series_ends(
            (p, d, q) in (0usize..4, 0usize..3, 0usize..4),
            (seasonal_p, seasonal_d, seasonal_q, season) in (0usize..2, 0usize..2, 0usize..2, 2usize..7),
            y in prop::collection::vec(
                prop_oneof![8 => -1e3..1e3f64, 2 => Just(f64::NAN), 1 => Just(0.0), 1 => Just(7.0)],
                2..50,
            ),
            scale in prop_oneof![Just(1e-12), Just(1.0), Just(1e12)],
            constant in prop_oneof![Just(Constant::None), Just(Constant::Mean), Just(Constant::Drift)],
        ) {
            let y: Vec<f64> = y.iter().map(|v| v * scale).collect();
            let order = ArimaOrder::new(p, d, q)
                .seasonal(seasonal_p, seasonal_d, seasonal_q, season)
                .with(constant);
            for method in [Method::Ml, Method::Css, Method::CssMl] {
                ends_well(order, method, &y);
            }
            if let Ok(fitted) = AutoArima::new(season).fit(&y)
                && let Ok(forecast) = fitted.forecast(7, &Level::DEFAULT)
            {
                prop_assert!(forecast.mean.iter().all(|v| v.is_finite()));
            }
        }
    }
}
