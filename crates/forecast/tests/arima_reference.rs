//! ARIMA fits against R 4.2.2, forecast 8.20 (see fixtures/README.md): every fit of the file.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use forecast::arima::{Arima, ArimaOrder, AutoArima, Constant};
use forecast::{FittedModel, Level, Model};
use serde::Deserialize;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Deserialize)]
struct Series {
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
    drift: bool,
    mean: bool,
    coef: BTreeMap<String, f64>,
    sigma2: f64,
    loglik: f64,
    aicc: f64,
    bic: f64,
    forecast: Vec<f64>,
    lower95: Vec<f64>,
    upper95: Vec<f64>,
    lower80: Vec<f64>,
    upper80: Vec<f64>,
}

fn reference() -> BTreeMap<String, Series> {
    let text = std::env::var("ARIMA_REFERENCE").map_or_else(
        |_| include_str!("fixtures/arima_reference.json").to_owned(),
        |path| std::fs::read_to_string(path).unwrap(),
    );
    serde_json::from_str(&text).unwrap()
}

fn values(series: &Series) -> Vec<f64> {
    series
        .values
        .iter()
        .map(|v| v.unwrap_or(f64::NAN))
        .collect()
}

fn order(fit: &Fit, frequency: usize) -> ArimaOrder {
    let [p, d, q] = fit.order;
    let mut order = ArimaOrder::new(p, d, q);
    let [sp, sd, sq] = fit.seasonal;
    if sp + sd + sq > 0 {
        order = order.seasonal(sp, sd, sq, frequency);
    }
    order.with(match (fit.mean, fit.drift) {
        (_, true) => Constant::Drift,
        (true, false) if order.lost() == 0 => Constant::Mean,
        _ => Constant::None,
    })
}

#[test]
fn every_fit_is_as_good_as_r_and_agrees_where_the_optima_agree() {
    let mut faults = Vec::new();
    let (mut compared, mut total) = (0, 0);
    for (name, series) in &reference() {
        let y = values(series);
        let present = || y.iter().filter(|v| !v.is_nan());
        let size = present().fold(0.0, |a: f64, v| a.max(v.abs()));
        for fit in &series.fits {
            total += 1;
            let order = order(fit, series.frequency);
            let label = format!("{name} {order}");
            let ours = Arima::new(order).fit(&y).unwrap();
            let summary = ours.summary();
            let loglik = summary.loglik.unwrap();
            if loglik < fit.loglik - 0.01 {
                faults.push(format!("{label}: loglik {loglik}, R {}", fit.loglik));
            }
            if (loglik - fit.loglik).abs() > 1e-4 {
                println!("{label}: loglik {loglik} against {}", fit.loglik);
            }
            // The same optimum is as high; then every number must agree.
            if (loglik - fit.loglik).abs() > 1e-4 {
                continue;
            }
            compared += 1;
            for param in &summary.params {
                let want = fit.coef[&param.name];
                let error = (param.value - want).abs();
                // R stops its search early where the likelihood is flat: there the distance is
                // measured in standard errors.
                let flat = param.se.is_some_and(|se| error < 0.02 * se);
                if error > 1e-3 && error > 1e-3 * want.abs() && !flat {
                    let ahead = loglik - fit.loglik;
                    let (name, value, se) = (&param.name, param.value, param.se);
                    faults.push(format!(
                        "{label}: {name} {value} ({se:?}) R {want}, {ahead:e}"
                    ));
                }
            }
            let near =
                |what: &str, got: f64, want: f64, tolerance: f64, faults: &mut Vec<String>| {
                    if (got - want).abs() > tolerance {
                        faults.push(format!("{label}: {what} {got}, R {want}"));
                    }
                };
            near("aicc", summary.aicc.unwrap(), fit.aicc, 1e-3, &mut faults);
            near("bic", summary.bic.unwrap(), fit.bic, 1e-3, &mut faults);
            near(
                "sigma2",
                summary.sigma2.unwrap(),
                fit.sigma2,
                0.01 * fit.sigma2,
                &mut faults,
            );
            let horizon = fit.forecast.len();
            let f = ours.forecast(horizon, &[Level(80.0), Level(95.0)]).unwrap();
            let bands = [(&fit.lower80, &fit.upper80), (&fit.lower95, &fit.upper95)];
            for h in 0..horizon {
                near(
                    &format!("mean {h}"),
                    f.mean[h],
                    fit.forecast[h],
                    1e-3 * size,
                    &mut faults,
                );
                for (band, (lower, upper)) in f.intervals.iter().zip(bands) {
                    let want = upper[h] - lower[h];
                    let got = band.upper[h] - band.lower[h];
                    near(&format!("width {h}"), got, want, 0.01 * want, &mut faults);
                }
            }
        }
    }
    println!("{compared} of {total} fits at the same optimum");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(compared * 2 >= total, "{compared} of {total}");
}

#[test]
fn the_automatic_choice_is_as_good_as_r() {
    let mut faults = Vec::new();
    for (name, series) in &reference() {
        let y = values(series);
        let ours = AutoArima::new(series.frequency).fit(&y).unwrap();
        let (order, aicc) = (ours.order(), ours.aicc().unwrap());
        let Auto {
            order: plain,
            seasonal,
            aicc: want,
        } = &series.auto;
        println!("{name}: {order} {aicc:.4}, R {plain:?}{seasonal:?} {want:.4}");
        if aicc > want + 0.5 {
            faults.push(format!(
                "{name}: {order} {aicc}, R {plain:?}{seasonal:?} {want}"
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_seasonal_series_with_gaps_is_ranked_interpolated_and_fitted_exactly() {
    let bundled: BTreeMap<String, Series> =
        serde_json::from_str(include_str!("fixtures/arima_reference.json")).unwrap();
    let mut y = values(&bundled["logAirPassengers"]);
    for t in (5..y.len()).step_by(17) {
        y[t] = f64::NAN;
    }
    let chosen = AutoArima::new(12).fit(&y).unwrap();
    let exact = Arima::new(chosen.order()).fit(&y).unwrap();
    let difference = chosen.aicc().unwrap() - exact.aicc().unwrap();
    // The fixed fit may lie beyond the unit-root limit that the automatic choice keeps to.
    assert!(
        (-0.01..1.0).contains(&difference),
        "{} {difference}",
        chosen.order()
    );
}
