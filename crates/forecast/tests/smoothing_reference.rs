//! Exponential smoothing, theta and the baselines against R 4.2.2, forecast 8.20 (see
//! fixtures/README.md).

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use forecast::ets::{AutoEts, ErrorForm, Ets, EtsForm, SeasonForm, TrendForm};
use forecast::theta::Theta;
use forecast::{FitOptions, FittedModel, Level, Model, ModelSpec};
use serde::Deserialize;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Deserialize)]
struct Series {
    frequency: usize,
    values: Vec<f64>,
    ets: Vec<Fit>,
    auto: Auto,
    theta: Bands,
    naive: Bands,
    snaive: Bands,
    drift: Bands,
    mean: Bands,
}

#[derive(Deserialize)]
struct Auto {
    name: String,
    aicc: f64,
}

#[derive(Deserialize)]
struct Fit {
    form: String,
    loglik: f64,
    mean: Vec<f64>,
    lower95: Vec<f64>,
    upper95: Vec<f64>,
}

#[derive(Deserialize)]
struct Bands {
    mean: Vec<f64>,
    lower95: Vec<f64>,
    upper95: Vec<f64>,
}

fn reference() -> BTreeMap<String, Series> {
    serde_json::from_str(include_str!("fixtures/smoothing_reference.json")).unwrap()
}

fn form(name: &str) -> EtsForm {
    let error = if name.starts_with('A') {
        ErrorForm::Additive
    } else {
        ErrorForm::Multiplicative
    };
    let season = match name.as_bytes()[name.len() - 1] {
        b'N' => SeasonForm::None,
        b'A' => SeasonForm::Additive,
        _ => SeasonForm::Multiplicative,
    };
    let trend = match &name[1..name.len() - 1] {
        "N" => TrendForm::None,
        "A" => TrendForm::Additive,
        _ => TrendForm::Damped,
    };
    EtsForm::new(error, trend, season)
}

/// R leaves the constant of the Gaussian likelihood out.
fn as_r(loglik: f64, n: usize) -> f64 {
    let n = n as f64;
    loglik + 0.5 * n * (1.0 + (2.0 * std::f64::consts::PI / n).ln())
}

#[test]
fn every_form_of_exponential_smoothing_is_as_likely_as_in_r() {
    let mut faults = Vec::new();
    let (mut compared, mut total) = (0, 0);
    for (name, series) in &reference() {
        let y = &series.values;
        let size = y.iter().fold(0.0, |a: f64, v| a.max(v.abs()));
        for fit in &series.ets {
            total += 1;
            let ours = Ets {
                form: form(&fit.form),
                season: series.frequency,
            }
            .fit(y)
            .unwrap();
            let loglik = as_r(ours.summary().loglik.unwrap(), y.len());
            println!("{name} {}: {loglik:.4}, R {:.4}", fit.form, fit.loglik);
            if loglik < fit.loglik - 0.05 {
                faults.push(format!("{name} {}: {loglik}, R {}", fit.form, fit.loglik));
            }
            if (loglik - fit.loglik).abs() > 0.003 {
                continue;
            }
            compared += 1;
            let f = ours.forecast(fit.mean.len(), &[Level(95.0)]).unwrap();
            for h in 0..fit.mean.len() {
                if (f.mean[h] - fit.mean[h]).abs() > 0.01 * size {
                    faults.push(format!(
                        "{name} {} {h}: {} {}",
                        fit.form, f.mean[h], fit.mean[h]
                    ));
                }
                let got = f.intervals[0].upper[h] - f.intervals[0].lower[h];
                let want = fit.upper95[h] - fit.lower95[h];
                if (got / want - 1.0).abs() > 0.05 {
                    faults.push(format!("{name} {} width {h}: {got} {want}", fit.form));
                }
            }
        }
    }
    println!("{compared} of {total} fits at the same optimum");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_chosen_form_is_as_good_as_r() {
    for (name, series) in &reference() {
        let y = &series.values;
        let ours = AutoEts {
            season: series.frequency,
        }
        .fit(y)
        .unwrap();
        let constant = -2.0 * as_r(0.0, y.len());
        let aicc = ours.aicc().unwrap() + constant;
        println!(
            "{name}: {} {aicc:.3}, {} {:.3}",
            ours.name(),
            series.auto.name,
            series.auto.aicc
        );
        assert!(aicc <= series.auto.aicc + 0.5, "{name}");
    }
}

#[test]
fn the_baselines_are_those_of_r() {
    for (name, series) in &reference() {
        let options = FitOptions {
            season: series.frequency,
            ..FitOptions::default()
        };
        for (model, want) in [
            ("naive", &series.naive),
            ("snaive", &series.snaive),
            ("drift", &series.drift),
            ("mean", &series.mean),
        ] {
            let fitted = model
                .parse::<ModelSpec>()
                .unwrap()
                .fit(&series.values, &options)
                .unwrap();
            let f = fitted.forecast(want.mean.len(), &[Level(95.0)]).unwrap();
            let size = series.values.iter().fold(0.0, |a: f64, v| a.max(v.abs()));
            for h in 0..want.mean.len() {
                for (got, want) in [
                    (f.mean[h], want.mean[h]),
                    (f.intervals[0].lower[h], want.lower95[h]),
                    (f.intervals[0].upper[h], want.upper95[h]),
                ] {
                    assert!(
                        (got - want).abs() < 1e-9 * size,
                        "{name} {model} {h}: {got} {want}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_standard_theta_method_is_near_that_of_r() {
    for (name, series) in &reference() {
        let want = &series.theta;
        let fitted = Theta::standard(series.frequency)
            .fit(&series.values)
            .unwrap();
        let f = fitted.forecast(want.mean.len(), &[Level(95.0)]).unwrap();
        // R estimates the smoothing without the drift, so the two differ a little.
        let spread = want.upper95[0] - want.lower95[0];
        for h in 0..want.mean.len() {
            let error = (f.mean[h] - want.mean[h]).abs();
            println!("{name} {h}: {} {} {spread}", f.mean[h], want.mean[h]);
            assert!(
                error < 0.25 * spread,
                "{name} {h}: {} {}",
                f.mean[h],
                want.mean[h]
            );
        }
    }
}
