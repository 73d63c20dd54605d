//! ARIMA by the conditional sum of squares and with regressors, and the Ljung–Box test, against R
//! 4.2.2, forecast 8.20 (see fixtures/README.md); the full search and weighted combinations.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use forecast::arima::{Arima, ArimaOrder, AutoArima, Constant, Method};
use forecast::combine::Combination;
use forecast::diagnostics::ljung_box;
use forecast::{FitOptions, FittedModel, Forecast, Level, Model, ModelSpec};
use serde::Deserialize;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Deserialize)]
struct Fit {
    name: String,
    frequency: usize,
    values: Vec<Option<f64>>,
    order: Vec<usize>,
    method: String,
    constant: String,
    xreg: Vec<Vec<f64>>,
    coef: Coefficients,
    sigma2: f64,
    loglik: f64,
    mean: Vec<f64>,
    width95: Vec<f64>,
    residuals: Vec<Option<f64>>,
    fitted: usize,
    statistic: f64,
    p: f64,
}

/// R writes a single coefficient as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Coefficients {
    One(f64),
    Many(Vec<f64>),
}

impl Fit {
    fn coef(&self) -> Vec<f64> {
        match &self.coef {
            Coefficients::One(value) => vec![*value],
            Coefficients::Many(values) => values.clone(),
        }
    }

    fn values(&self) -> Vec<f64> {
        let values = self.values.iter();
        values.map(|v| v.unwrap_or(f64::NAN)).collect()
    }

    fn order(&self) -> ArimaOrder {
        let o = &self.order;
        let order = ArimaOrder::new(o[0], o[1], o[2]);
        let order = match o.get(3..6) {
            Some(s) => order.seasonal(s[0], s[1], s[2], self.frequency),
            None => order,
        };
        order.with(match self.constant.as_str() {
            "mean" => Constant::Mean,
            "drift" => Constant::Drift,
            _ => Constant::None,
        })
    }

    fn model(&self) -> Arima {
        let method = match self.method.as_str() {
            "CSS" => Method::Css,
            "CSS-ML" => Method::CssMl,
            _ => Method::Ml,
        };
        let model = Arima::new(self.order()).method(method);
        model.regressors(self.xreg.clone())
    }

    fn label(&self) -> String {
        format!("{} {} {}", self.name, self.order(), self.method)
    }
}

fn reference() -> Vec<Fit> {
    serde_json::from_str(include_str!("fixtures/methods_reference.json")).unwrap()
}

#[test]
fn every_method_and_regressors_give_the_numbers_of_r() {
    let fits = reference();
    assert_eq!(fits.len(), 21);
    let (mut faults, mut elsewhere) = (Vec::new(), Vec::new());
    for fit in &fits {
        let label = fit.label();
        let ours = fit.model().fit(&fit.values()).unwrap();
        let summary = ours.summary();
        let ahead = summary.loglik.unwrap() - fit.loglik;
        if ahead.abs() > 0.01 {
            elsewhere.push((label, ahead > 0.0));
            continue;
        }
        let mut near = |what: String, got: f64, want: f64, tolerance: f64| {
            if (got - want).abs() > tolerance || got.is_nan() {
                faults.push(format!("{label}: {what} {got}, R {want}"));
            }
        };
        let coef = fit.coef();
        assert_eq!(summary.params.len(), coef.len(), "{label}");
        for (param, want) in summary.params.iter().zip(&coef) {
            let flat = param.se.map_or(0.0, |se| 0.02 * se);
            let tolerance = 1e-3 * want.abs().max(1.0) + flat;
            near(param.name.clone(), param.value, *want, tolerance);
        }
        let sigma2 = summary.sigma2.unwrap();
        near("sigma2".into(), sigma2, fit.sigma2, 0.01 * fit.sigma2);
        let levels = [Level(95.0)];
        let future: Vec<Vec<f64>> = (0..6)
            .map(|h| fit.xreg.iter().map(|column| column[h]).collect())
            .collect();
        let forecast = if fit.xreg.is_empty() {
            ours.forecast(6, &levels).unwrap()
        } else {
            ours.forecast_with(6, &levels, &future).unwrap()
        };
        let size = fit.mean.iter().fold(0.0, |a: f64, v| a.max(v.abs()));
        let band = &forecast.intervals[0];
        for h in 0..6 {
            near(
                format!("mean {h}"),
                forecast.mean[h],
                fit.mean[h],
                1e-3 * size,
            );
            let width = band.upper[h] - band.lower[h];
            near(
                format!("width {h}"),
                width,
                fit.width95[h],
                0.01 * fit.width95[h],
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // Flat likelihoods with several tops. R's first one is not invertible, which is not allowed here;
    // CSS-ML starts from two points and can end lower.
    let elsewhere: Vec<(&str, bool)> = elsewhere.iter().map(|(l, up)| (l.as_str(), *up)).collect();
    let want = [
        ("LakeHuron arima(1,1,1) CSS", false),
        ("LakeHuron arima(1,1,1) CSS-ML", true),
        ("driven arima(2,0,1)+mean ML", true),
        ("driven arima(2,0,1)+mean CSS-ML", false),
    ];
    assert_eq!(elsewhere, want);
}

#[test]
fn the_ljung_box_test_is_that_of_r() {
    for fit in &reference() {
        let residuals: Vec<f64> = fit
            .residuals
            .iter()
            .map(|v| v.unwrap_or(f64::NAN))
            .collect();
        // R's Box.test keeps n where residuals are missing.
        if residuals.iter().any(|v| v.is_nan()) || residuals.len() < 50 {
            continue;
        }
        let test = ljung_box(&residuals, 1, fit.fitted).unwrap();
        let label = fit.label();
        assert_eq!((test.lags, test.df), (10, 10 - fit.fitted), "{label}");
        let relative = (test.statistic / fit.statistic - 1.0).abs();
        assert!(relative < 1e-6, "{label}: {test:?} {}", fit.statistic);
        assert!(
            (test.p_value - fit.p).abs() < 1e-6,
            "{label}: {test:?} {}",
            fit.p
        );
    }
}

#[test]
fn css_ml_of_a_series_with_gaps_is_ml_as_in_r_and_css_is_refused() {
    let fits = reference();
    let fit = fits.iter().find(|fit| fit.name == "holes").unwrap();
    let y = fit.values();
    let of = |method| Arima::new(fit.order()).method(method).fit(&y);
    let (a, b) = (of(Method::CssMl).unwrap(), of(Method::Ml).unwrap());
    assert_eq!(a.forecast(5, &[]).unwrap(), b.forecast(5, &[]).unwrap());
    assert!(of(Method::Css).unwrap_err().to_string().contains("missing"));
}

#[test]
fn a_full_search_finds_no_worse_a_model_than_the_stepwise_one() {
    let mut seen: Vec<(String, Vec<f64>)> = Vec::new();
    for fit in &reference() {
        // Long or seasonal, these would take a minute here.
        if fit.frequency == 1 && !fit.name.starts_with("driven") {
            seen.push((fit.name.clone(), fit.values()));
        }
    }
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    seen.dedup_by(|a, b| a.0 == b.0);
    assert_eq!(seen.len(), 5);
    for (name, y) in seen {
        let aicc = |full_search| {
            let options = FitOptions {
                full_search,
                ..FitOptions::default()
            };
            let fitted = ModelSpec::AutoArima.fit(&y, &options).unwrap();
            fitted.summary().aicc.unwrap()
        };
        let (full, stepwise) = (aicc(true), aicc(false));
        assert!(full <= stepwise + 0.01, "{name}: {full} {stepwise}");
    }
    let full = AutoArima::new(1).full();
    assert!(!full.stepwise);
}

#[test]
fn a_weighted_combination_is_the_weighted_mean_of_its_members() {
    let y: Vec<f64> = (0..40).map(|t| f64::from(t * 7 % 11 + t)).collect();
    let options = FitOptions::default();
    let levels = [Level(80.0), Level(95.0)];
    let of = |spec: ModelSpec| -> Forecast {
        spec.fit(&y, &options)
            .unwrap()
            .forecast(4, &levels)
            .unwrap()
    };
    let (naive, drift) = (of(ModelSpec::Naive), of(ModelSpec::Drift));
    let weighted = Combination::weighted(&[(ModelSpec::Naive, 3.0), (ModelSpec::Drift, 1.0)])
        .unwrap()
        .fit(&y, &options)
        .unwrap();
    let got = weighted.forecast(4, &levels).unwrap();
    for h in 0..4 {
        let near = |got: f64, a: f64, b: f64| {
            assert!(
                (got - (0.75 * a + 0.25 * b)).abs() < 1e-12 * got.abs(),
                "{got} {a} {b}"
            );
        };
        near(got.mean[h], naive.mean[h], drift.mean[h]);
        for (i, band) in got.intervals.iter().enumerate() {
            let (a, b) = (&naive.intervals[i], &drift.intervals[i]);
            near(band.lower[h], a.lower[h], b.lower[h]);
            near(band.upper[h], a.upper[h], b.upper[h]);
        }
    }
    for weights in [
        [-1.0, 2.0],
        [0.0, 0.0],
        [f64::NAN, 1.0],
        [f64::INFINITY, 1.0],
    ] {
        let members = [
            (ModelSpec::Naive, weights[0]),
            (ModelSpec::Drift, weights[1]),
        ];
        assert!(Combination::weighted(&members).is_err(), "{weights:?}");
    }
    assert!(Combination::weighted(&[]).is_err());
}

// R 4.2.2, forecast 8.20: auto.arima(driven, xreg = x) and auto.arima(cumsum(Nile) / 100 + x %*% c(5, 5),
// xreg = x), driven and x as in methods_reference.R.
#[test]
fn the_automatic_choice_with_regressors_is_as_good_as_r() {
    let fits = reference();
    let fit = fits
        .iter()
        .find(|fit| fit.name == "driven" && fit.xreg.len() == 2);
    let fit = fit.unwrap();
    let x = &fit.xreg;
    let driven = fit.values();
    let mut sum = 0.0;
    let summed: Vec<f64> = (0..driven.len())
        .map(|t| {
            sum += driven[t] - 2.0 * x[0][t] + x[1][t];
            sum + 5.0 * x[0][t] + 5.0 * x[1][t]
        })
        .collect();
    for (y, d, want) in [(&driven, 1, 359.915399), (&summed, 1, 362.563232)] {
        let chosen = AutoArima::new(1).fit_with(y, x).unwrap();
        assert_eq!(chosen.order().d, d, "{}", chosen.order());
        let aicc = chosen.aicc().unwrap();
        assert!(aicc <= want + 0.5, "{} {aicc} R {want}", chosen.order());
        // The fixed fit of the chosen order has these coefficients too.
        let fixed = Arima::new(chosen.order())
            .regressors(x.clone())
            .fit(y)
            .unwrap();
        for (a, b) in chosen.summary().params.iter().zip(&fixed.summary().params) {
            let near = (a.value - b.value).abs() < 0.05 * b.value.abs().max(1.0);
            assert!(a.name == b.name && near, "{a:?} {b:?}");
        }
        let future = vec![vec![0.5, 1.0]; 3];
        let forecast = chosen.forecast_with(3, &[Level(95.0)], &future).unwrap();
        assert!(forecast.mean.iter().all(|v| v.is_finite()));
    }
    let short = vec![vec![1.0; 7]];
    assert!(AutoArima::new(1).fit_with(&driven, &short).is_err());
}
