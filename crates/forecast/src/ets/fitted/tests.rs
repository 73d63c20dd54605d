//! Updates against R's `ets(y, model = fit, use.initial.values = TRUE)`: the recursion over a series with the
//! parameters and the first states of a fit to its first part (tests/fixtures/updates_reference.R).

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Run {
    name: String,
    form: String,
    values: Vec<f64>,
    alpha: f64,
    beta: f64,
    gamma: f64,
    phi: f64,
    level: f64,
    slope: f64,
    seasonal: Vec<f64>,
    predicted: Vec<f64>,
    forecast: Vec<f64>,
}

/// A form by R's letters: `MAdN`.
fn form(letters: &str) -> EtsForm {
    let error = match letters.as_bytes().first() {
        Some(b'A') => ErrorForm::Additive,
        Some(b'M') => ErrorForm::Multiplicative,
        _ => panic!("{letters}"),
    };
    let trend = match &letters[1..letters.len() - 1] {
        "N" => TrendForm::None,
        "A" => TrendForm::Additive,
        "Ad" => TrendForm::Damped,
        _ => panic!("{letters}"),
    };
    let season = match letters.as_bytes().last() {
        Some(b'N') => SeasonForm::None,
        Some(b'A') => SeasonForm::Additive,
        Some(b'M') => SeasonForm::Multiplicative,
        _ => panic!("{letters}"),
    };
    EtsForm::new(error, trend, season)
}

/// The model before its first value.
fn before_the_first_value(run: &Run, scale: f64) -> FittedEts {
    let form = form(&run.form);
    let unit = if form.season == SeasonForm::Multiplicative {
        1.0
    } else {
        scale
    };
    FittedEts {
        form,
        smoothing: Smoothing {
            alpha: run.alpha,
            beta: run.beta,
            gamma: run.gamma,
            phi: run.phi,
        },
        state: State {
            level: run.level / scale,
            slope: run.slope / scale,
            seasonal: run.seasonal.iter().map(|v| v / unit).collect(),
            position: 0,
        },
        age: 0,
        scale,
        sigma2: 0.01,
        freedom: 30,
        loglik: None,
        aic: None,
        aicc: None,
        bic: None,
        observations: 0,
        residuals: Vec::new(),
    }
}

#[test]
fn updates_predict_what_r_does_with_the_same_parameters() {
    let runs: Vec<Run> = serde_json::from_str(include_str!(
        "../../../tests/fixtures/updates_reference.json"
    ))
    .unwrap();
    for run in &runs {
        // R works in the units of the series, a fit of ours in those of its mean.
        let scale = run.values.iter().sum::<f64>() / run.values.len() as f64;
        let mut fitted = before_the_first_value(run, scale);
        for (t, (value, want)) in run.values.iter().zip(&run.predicted).enumerate() {
            let got = fitted.forecast(1, &[]).unwrap().mean[0];
            let name = (&run.name, &run.form);
            assert!(
                (got - want).abs() < 1e-9 * scale,
                "{name:?} at {t}: {got}, R {want}"
            );
            fitted.update(*value).unwrap();
        }
        assert_eq!(run.predicted.len(), run.values.len());
        // R's mean of a multiplicative season has, beyond a season, what an error adds that moves both the level
        // and the season, and takes the slope undamped where it is damped; ours is that of no further errors.
        let horizon = match (fitted.form.season, fitted.form.trend) {
            (SeasonForm::Multiplicative, TrendForm::Damped) => continue,
            (SeasonForm::Multiplicative, _) => run.seasonal.len(),
            _ => run.forecast.len(),
        };
        let got = fitted.forecast(horizon, &[]).unwrap().mean;
        for (h, (got, want)) in got.iter().zip(&run.forecast).enumerate() {
            let name = (&run.name, &run.form);
            assert!(
                (got - want).abs() < 1e-9 * scale,
                "{name:?} {h}: {got}, R {want}"
            );
        }
    }
}
