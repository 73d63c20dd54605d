//! Looking at residuals: autocorrelations and the Ljung–Box test.
//!
//! Model: residuals are a slice with NaN where there is none; products with a missing member are
//! left out. Reference: Ljung & Box (1978), Biometrika 65(2).
//! Does not: draw anything.

use serde::{Deserialize, Serialize};

use crate::distribution::chi_squared_tail;

/// The Ljung–Box test that residuals are not autocorrelated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LjungBox {
    /// Number of autocorrelations tested.
    pub lags: usize,
    /// Degrees of freedom: lags less the number of estimated ARMA coefficients.
    pub df: usize,
    /// The statistic Q*.
    pub statistic: f64,
    /// Probability of a larger statistic when there is no autocorrelation.
    pub p_value: f64,
}

/// Autocorrelations of `x` at lags 1..=`lags`, NaN left out; empty when `x` does not vary.
///
/// ```
/// let alternating = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0];
/// assert!(forecast::diagnostics::autocorrelations(&alternating, 1)[0] < -0.8);
/// ```
#[must_use]
pub fn autocorrelations(x: &[f64], lags: usize) -> Vec<f64> {
    let (sum, n) = x
        .iter()
        .filter(|v| !v.is_nan())
        .fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
    if n < 2 {
        return Vec::new();
    }
    let mean = sum / n as f64;
    let product = |lag: usize| -> f64 {
        x.iter()
            .zip(&x[lag.min(x.len())..])
            .filter(|(a, b)| !a.is_nan() && !b.is_nan())
            .map(|(a, b)| (a - mean) * (b - mean))
            .sum()
    };
    let variance = product(0);
    if variance.is_nan() || variance <= 0.0 {
        return Vec::new();
    }
    (1..=lags).map(|lag| product(lag) / variance).collect()
}

/// Ljung–Box test over the lags R's `checkresiduals` takes: 10, or twice the season, at most a
/// fifth of the residuals and at least three more than the fitted coefficients.
///
/// `fitted` is the number of ARMA coefficients estimated. None when there are too few residuals or
/// they do not vary.
///
/// ```
/// let alternating: Vec<f64> = (0..40).map(|t| if t % 2 == 0 { 1.0 } else { -1.0 }).collect();
/// let test = forecast::diagnostics::ljung_box(&alternating, 1, 0).unwrap();
/// assert!(test.p_value < 0.01);
/// ```
#[must_use]
pub fn ljung_box(residuals: &[f64], season: usize, fitted: usize) -> Option<LjungBox> {
    let n = residuals.iter().filter(|v| !v.is_nan()).count();
    let wanted = if season > 1 { 2 * season } else { 10 };
    let lags = wanted.min(n / 5).max(fitted + 3);
    if n <= lags + 1 {
        return None;
    }
    let acf = autocorrelations(residuals, lags);
    if acf.is_empty() {
        return None;
    }
    let n = n as f64;
    let sum: f64 = acf
        .iter()
        .enumerate()
        .map(|(i, r)| r * r / (n - (i + 1) as f64))
        .sum();
    let statistic = n * (n + 2.0) * sum;
    let df = lags - fitted;
    Some(LjungBox {
        lags,
        df,
        statistic,
        p_value: chi_squared_tail(statistic, df as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alternating_series_is_autocorrelated() {
        let x: Vec<f64> = (0..50)
            .map(|i| if i % 2 == 0 { 1.0 } else { -1.0 })
            .collect();
        assert!((autocorrelations(&x, 1)[0] + 49.0 / 50.0).abs() < 1e-12);
        assert!(ljung_box(&x, 1, 0).unwrap().p_value < 1e-6);
    }

    #[test]
    fn constant_residuals_have_no_test() {
        assert_eq!(ljung_box(&[1.0; 50], 1, 0), None);
        assert_eq!(ljung_box(&[], 1, 0), None);
    }
}
