//! Compares ARIMA fits with R's, by criterion: `against_r FILE... [--only NAME]
//! [--method ML|CSS|CSS-ML] [--auto] [--fits] [-v]`.
//!
//! Each FILE holds lines written by tests/fixtures/wide_reference.R. Prints every fault and, at the
//! end, counts. A fault of a fixed-order fit: a log-likelihood more than 0.01 below R's; and, where
//! the two log-likelihoods agree (within the tolerance printed), coefficients, forecasts or widths
//! that differ. A fault of the automatic choice: AICc more than 0.5 above R's.

use std::collections::BTreeMap;
use std::time::Instant;

use forecast::arima::{Arima, ArimaOrder, AutoArima, Constant, FittedArima, Method};
use forecast::{FittedModel, Level, Model};
use serde::Deserialize;

#[derive(Deserialize)]
struct Series {
    name: String,
    frequency: usize,
    values: Vec<Option<f64>>,
    fits: Vec<Fit>,
    auto: Fit,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Fit {
    order: Vec<usize>,
    seasonal: Vec<usize>,
    mean: bool,
    drift: bool,
    method: String,
    error: Option<serde_json::Value>,
    coef: Coefficients,
    se: Coefficients,
    sigma2: f64,
    loglik: Option<f64>,
    aicc: Option<serde_json::Value>,
    forecast: Vec<f64>,
    lower95: Vec<Option<f64>>,
    upper95: Vec<Option<f64>>,
    lower80: Vec<Option<f64>>,
    upper80: Vec<Option<f64>>,
    xreg: Vec<Vec<f64>>,
}

/// An object, or an empty list where R had nothing to say.
#[derive(Deserialize)]
#[serde(untagged)]
enum Coefficients {
    Named(BTreeMap<String, f64>),
    Empty(#[expect(dead_code, reason = "always empty")] Vec<f64>),
}

impl Default for Coefficients {
    fn default() -> Self {
        Self::Empty(Vec::new())
    }
}

impl Coefficients {
    fn get(&self, name: &str) -> Option<f64> {
        match self {
            Self::Named(map) => map.get(name).copied(),
            Self::Empty(_) => None,
        }
    }
}

fn order(fit: &Fit, frequency: usize) -> ArimaOrder {
    let mut order = ArimaOrder::new(fit.order[0], fit.order[1], fit.order[2]);
    if fit.seasonal.iter().sum::<usize>() > 0 {
        order = order.seasonal(fit.seasonal[0], fit.seasonal[1], fit.seasonal[2], frequency);
    }
    let undifferenced = order.lost() == 0;
    let few = order.d + order.seasonal_d <= 1;
    order.with(match (fit.mean, fit.drift) {
        (_, true) if few => Constant::Drift,
        (true, _) if undifferenced => Constant::Mean,
        _ => Constant::None,
    })
}

const AGREE: [f64; 3] = [1e-4, 1e-3, 1e-2];

#[derive(Default)]
struct Counts {
    fits: usize,
    refused_by_r: usize,
    refused_by_us: usize,
    below: usize,
    higher: usize,
    agree: [usize; 3],
    coefficients: [usize; 3],
    forecasts: [usize; 3],
    widths: [usize; 3],
    errors: usize,
    autos: usize,
    auto_above: usize,
    seconds: f64,
    slowest: (f64, String),
}

fn compare(
    label: &str,
    ours: &FittedArima,
    fit: &Fit,
    size: f64,
    verbose: bool,
    counts: &mut Counts,
) {
    let summary = ours.summary();
    let (Some(loglik), Some(want)) = (summary.loglik, fit.loglik) else {
        return;
    };
    let gap = loglik - want;
    let css = fit.method == "CSS";
    if gap < -0.01 {
        counts.below += 1;
        println!("LOGLIK {label}: {loglik:.4}, R {want:.4}, {gap:+.4}");
    }
    if gap > 0.01 {
        counts.higher += 1;
        if verbose {
            println!("higher {label}: {loglik:.4}, R {want:.4}, {gap:+.4}");
        }
    }
    let horizon = fit.forecast.len();
    let levels = [Level(80.0), Level(95.0)];
    let rows: Vec<Vec<f64>> = (0..if fit.xreg.is_empty() { 0 } else { horizon })
        .map(|h| {
            fit.xreg
                .iter()
                .map(|column| column[column.len() - horizon + h])
                .collect()
        })
        .collect();
    let forecast = ours.forecast_with(horizon, &levels, &rows);
    let mut regressor = 0;
    let known = ["ar", "ma", "sar", "sma", "intercept", "drift"];
    let mut worst_coefficient = (0.0f64, String::new());
    let mut worst_error = (0.0f64, String::new());
    let names: Vec<String> = match &fit.coef {
        Coefficients::Named(map) => map.keys().cloned().collect(),
        Coefficients::Empty(_) => Vec::new(),
    };
    let others: Vec<&String> = names
        .iter()
        .filter(|name| !known.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit())))
        .collect();
    for param in &summary.params {
        let name = if param.name.starts_with("xreg") {
            regressor += 1;
            // R names them as their columns: in the order of the file, which is alphabetical here
            // but for `sin`, `cos`.
            let mut sorted = others.clone();
            if sorted.iter().any(|name| *name == "sin") {
                sorted.reverse();
            }
            sorted
                .get(regressor - 1)
                .map_or(param.name.clone(), |name| (*name).clone())
        } else {
            param.name.clone()
        };
        let Some(want) = fit.coef.get(&name) else {
            println!("NAME {label}: R has no {name}: {names:?}");
            continue;
        };
        let error = (param.value - want).abs();
        let error = error.min(error / want.abs().max(1e-300));
        if error > worst_coefficient.0 {
            worst_coefficient = (error, format!("{name} {:.5} R {want:.5}", param.value));
        }
        if let (Some(ours), Some(theirs)) = (param.se, fit.se.get(&name)) {
            let error = (ours - theirs).abs() / theirs.max(1e-300);
            if error > worst_error.0 {
                worst_error = (error, format!("se({name}) {ours:.5} R {theirs:.5}"));
            }
        }
    }
    let mut worst_mean = 0.0f64;
    let mut worst_width = 0.0f64;
    if let Ok(forecast) = &forecast {
        for h in 0..horizon {
            worst_mean = worst_mean.max((forecast.mean[h] - fit.forecast[h]).abs() / size);
            let bands = [(&fit.lower80, &fit.upper80), (&fit.lower95, &fit.upper95)];
            for (band, (lower, upper)) in forecast.intervals.iter().zip(bands) {
                if let (Some(lower), Some(upper)) = (lower[h], upper[h]) {
                    let want = upper - lower;
                    let error = (band.upper[h] - band.lower[h] - want).abs() / want;
                    worst_width = worst_width.max(error);
                }
            }
        }
    } else {
        println!("FORECAST {label}: {forecast:?}");
    }
    for (i, tolerance) in AGREE.into_iter().enumerate() {
        if gap.abs() > tolerance {
            continue;
        }
        counts.agree[i] += 1;
        let marks = [
            (
                worst_coefficient.0 > 1e-3,
                "COEF",
                &mut counts.coefficients[i],
            ),
            (worst_mean > 1e-3, "MEAN", &mut counts.forecasts[i]),
            (worst_width > 0.01, "WIDTH", &mut counts.widths[i]),
        ];
        for (bad, word, count) in marks {
            if bad {
                *count += 1;
                if i == 0 || verbose {
                    println!(
                        "{word}@{tolerance:e} {label}: gap {gap:+.2e} coefficient {:.1e} ({}) mean {worst_mean:.1e} width {worst_width:.1e} sigma2 {:.4e} R {:.4e}",
                        worst_coefficient.0,
                        worst_coefficient.1,
                        summary.sigma2.unwrap_or(0.0),
                        fit.sigma2
                    );
                }
            }
        }
        if i == 0 && !css && worst_error.0 > 0.02 && worst_coefficient.0 < 1e-3 {
            counts.errors += 1;
            if verbose {
                println!("SE {label}: {:.1e} {}", worst_error.0, worst_error.1);
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = Vec::new();
    let (mut only, mut only_method) = (None, None);
    let (mut fits, mut auto, mut verbose) = (true, true, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => only = arguments.next(),
            "--method" => only_method = arguments.next(),
            "--auto" => fits = false,
            "--fits" => auto = false,
            "-v" => verbose = true,
            _ => files.push(argument),
        }
    }
    let mut counts = Counts::default();
    let timed = |counts: &mut Counts, label: &str, start: Instant| {
        let seconds = start.elapsed().as_secs_f64();
        counts.seconds += seconds;
        if seconds > counts.slowest.0 {
            counts.slowest = (seconds, label.to_owned());
        }
        if seconds > 2.0 {
            println!("SLOW {label}: {seconds:.2} s");
        }
    };
    for file in files {
        for line in std::fs::read_to_string(file)?.lines() {
            let series: Series = serde_json::from_str(line)?;
            if only.as_ref().is_some_and(|only| *only != series.name) {
                continue;
            }
            let y: Vec<f64> = series
                .values
                .iter()
                .map(|v| v.unwrap_or(f64::NAN))
                .collect();
            let size = y
                .iter()
                .filter(|v| !v.is_nan())
                .fold(0.0, |a: f64, v| a.max(v.abs()));
            let chosen = |fit: &&Fit| fits && only_method.as_ref().is_none_or(|m| *m == fit.method);
            for fit in series.fits.iter().filter(chosen) {
                let order = order(fit, series.frequency);
                let regression = if fit.xreg.is_empty() { "" } else { " xreg" };
                let label = format!("{} {order} {}{regression}", series.name, fit.method);
                let method = match fit.method.as_str() {
                    "CSS" => Method::Css,
                    "CSS-ML" => Method::CssMl,
                    _ => Method::Ml,
                };
                let start = Instant::now();
                let ours = Arima::new(order)
                    .method(method)
                    .regressors(fit.xreg.clone())
                    .fit(&y);
                timed(&mut counts, &label, start);
                if fit.error.is_some() {
                    counts.refused_by_r += 1;
                    continue;
                }
                counts.fits += 1;
                match ours {
                    Ok(ours) => compare(&label, &ours, fit, size, verbose, &mut counts),
                    Err(error) => {
                        counts.refused_by_us += 1;
                        println!("REFUSED {label}: {error}; R loglik {:?}", fit.loglik);
                    }
                }
            }
            if auto && series.auto.error.is_none() {
                counts.autos += 1;
                let start = Instant::now();
                let ours = AutoArima::new(series.frequency).fit(&y);
                let label = format!("{} auto", series.name);
                timed(&mut counts, &label, start);
                let theirs = order(&series.auto, series.frequency);
                let want = series
                    .auto
                    .aicc
                    .as_ref()
                    .and_then(serde_json::Value::as_f64);
                match ours {
                    Ok(ours) => {
                        let (chosen, aicc) = (ours.order(), ours.aicc());
                        let (got, want) =
                            (aicc.unwrap_or(f64::INFINITY), want.unwrap_or(f64::INFINITY));
                        let differently =
                            chosen.d != theirs.d || chosen.seasonal_d != theirs.seasonal_d;
                        if got > want + 0.5 || differently {
                            counts.auto_above += usize::from(got > want + 0.5);
                            let word = if got > want + 0.5 { "AUTO" } else { "auto" };
                            println!(
                                "{word} {label}: {chosen} {got:.3}, R {theirs} {want:.3}, {:+.3}",
                                got - want
                            );
                        } else if verbose {
                            println!(
                                "fine {label}: {chosen} {got:.3}, R {theirs} {want:.3}, {:+.3}",
                                got - want
                            );
                        }
                    }
                    Err(error) => println!("AUTO {label}: {error}; R {theirs} {want:?}"),
                }
            }
        }
    }
    println!(
        "{} fits, {} refused by R, {} by us; {} more than 0.01 below R, {} more than 0.01 above; {} standard errors differ by 2 %",
        counts.fits,
        counts.refused_by_r,
        counts.refused_by_us,
        counts.below,
        counts.higher,
        counts.errors
    );
    for (i, tolerance) in AGREE.into_iter().enumerate() {
        println!(
            "log-likelihoods within {tolerance:e}: {}; of these differ in coefficients {}, forecasts {}, widths {}",
            counts.agree[i], counts.coefficients[i], counts.forecasts[i], counts.widths[i]
        );
    }
    println!(
        "{} automatic choices, {} more than 0.5 above R",
        counts.autos, counts.auto_above
    );
    println!(
        "{:.1} s in fits, slowest {:.2} s: {}",
        counts.seconds, counts.slowest.0, counts.slowest.1
    );
    Ok(())
}
