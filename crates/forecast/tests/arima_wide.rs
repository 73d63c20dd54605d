//! ARIMA fits of many more series against R 4.2.2, forecast 8.20 (see fixtures/README.md): every fit
//! and every automatic choice of the file. The wider comparison is examples/against_r.rs.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use forecast::arima::{Arima, ArimaOrder, AutoArima, Constant};
use forecast::distribution::normal_quantile;
use forecast::{FittedModel, Level, Model};
use serde::Deserialize;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Deserialize)]
struct Series {
    name: String,
    frequency: usize,
    values: Vec<Option<f64>>,
    fits: Vec<Fit>,
    auto: Auto,
}

#[derive(Deserialize)]
struct Auto {
    order: [usize; 3],
    seasonal: [usize; 3],
    aicc: f64,
}

#[derive(Deserialize)]
struct Fit {
    order: [usize; 3],
    seasonal: [usize; 3],
    mean: bool,
    drift: bool,
    #[serde(deserialize_with = "named")]
    coef: BTreeMap<String, f64>,
    loglik: f64,
    /// At the first step, the middle one and the last.
    forecast: [f64; 3],
    width95: [f64; 3],
}

/// R writes an empty list of coefficients as `[]`.
fn named<'de, D: serde::Deserializer<'de>>(d: D) -> Result<BTreeMap<String, f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Shape {
        Named(BTreeMap<String, f64>),
        Empty([f64; 0]),
    }
    Ok(match Shape::deserialize(d)? {
        Shape::Named(map) => map,
        Shape::Empty([]) => BTreeMap::new(),
    })
}

fn reference() -> Vec<Series> {
    include_str!("fixtures/wide_reference.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn values(series: &Series) -> Vec<f64> {
    let values = series.values.iter();
    values.map(|v| v.unwrap_or(f64::NAN)).collect()
}

fn order(fit: &Fit, frequency: usize) -> ArimaOrder {
    let [p, d, q] = fit.order;
    let mut order = ArimaOrder::new(p, d, q);
    let [sp, sd, sq] = fit.seasonal;
    if sp + sd + sq > 0 {
        order = order.seasonal(sp, sd, sq, frequency);
    }
    order.with(match (fit.mean, fit.drift) {
        (_, true) if order.d + order.seasonal_d < 2 => Constant::Drift,
        (true, _) => Constant::Mean,
        _ => Constant::None,
    })
}

#[test]
fn no_log_likelihood_is_below_r_and_equal_optima_are_equal_in_every_number() {
    let mut faults = Vec::new();
    let (mut agreeing, mut total) = (0, 0);
    for series in &reference() {
        let y = values(series);
        let present = y.iter().filter(|v| !v.is_nan());
        let size = present.fold(0.0, |a: f64, v| a.max(v.abs()));
        for fit in &series.fits {
            total += 1;
            let order = order(fit, series.frequency);
            let label = format!("{} {order}", series.name);
            let ours = Arima::new(order).fit(&y).unwrap();
            let summary = ours.summary();
            let ahead = summary.loglik.unwrap() - fit.loglik;
            if ahead < -0.01 {
                faults.push(format!("{label}: log-likelihood {ahead:+} from R's"));
            }
            if ahead.abs() > 1e-4 {
                continue;
            }
            agreeing += 1;
            for param in &summary.params {
                let want = fit.coef[&param.name];
                let error = (param.value - want).abs();
                if error > 1e-3 && error > 1e-3 * want.abs() {
                    faults.push(format!("{label}: {} {} R {want}", param.name, param.value));
                }
            }
            let horizon = if series.frequency == 1 {
                10
            } else {
                2 * series.frequency
            };
            let forecast = ours.forecast(horizon, &[Level(95.0)]).unwrap();
            // R's quantiles are normal at any length; ours are Student's t below 30 degrees of freedom.
            let sd = forecast.sd.as_ref().unwrap();
            let normal = 2.0 * normal_quantile(0.975);
            for (i, step) in [0, horizon / 2 - 1, horizon - 1].into_iter().enumerate() {
                let (got, want) = (forecast.mean[step], fit.forecast[i]);
                if (got - want).abs() > 1e-3 * size {
                    faults.push(format!("{label}: mean {step} {got} R {want}"));
                }
                let (got, want) = (normal * sd[step], fit.width95[i]);
                if (got - want).abs() > 0.01 * want {
                    faults.push(format!("{label}: width {step} {got} R {want}"));
                }
            }
        }
    }
    println!("{agreeing} of {total} fits at R's optimum");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(agreeing * 3 >= total * 2, "{agreeing} of {total}");
}

#[test]
fn no_automatic_choice_is_more_than_half_a_point_above_r() {
    let mut faults = Vec::new();
    for series in &reference() {
        let ours = AutoArima::new(series.frequency)
            .fit(&values(series))
            .unwrap();
        let (order, aicc) = (ours.order(), ours.aicc().unwrap());
        let (want, plain, seasonal) = (series.auto.aicc, series.auto.order, series.auto.seasonal);
        if aicc > want + 0.5 {
            let name = &series.name;
            faults.push(format!(
                "{name}: {order} {aicc}, R {plain:?}{seasonal:?} {want}"
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
