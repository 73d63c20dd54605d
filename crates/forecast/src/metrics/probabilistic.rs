//! Measures of forecast distributions and intervals.
//!
//! Model: proper scores, so that nobody gains by reporting other than what they believe, beside
//! coverage and width, which must be read together. References: Gneiting & Raftery (2007), JASA
//! 102(477), equations 21 (CRPS of a normal), 24 (pinball) and 43 (interval score).
//! Does not: estimate distributions.

use crate::distribution::{normal_cdf, normal_pdf};
use std::f64::consts::PI;

fn average(terms: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = terms
        .filter(|v| !v.is_nan())
        .fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
    sum / n as f64
}

/// Mean pinball (quantile) loss of forecasts of the `probability` quantile.
///
/// ```
/// assert_eq!(forecast::metrics::pinball(&[5.0], &[3.0], 0.9), 1.8);
/// ```
#[must_use]
pub fn pinball(actual: &[f64], quantile: &[f64], probability: f64) -> f64 {
    average(
        actual
            .iter()
            .zip(quantile)
            .map(|(a, q)| pinball_one(*a, *q, probability)),
    )
}

fn pinball_one(actual: f64, quantile: f64, probability: f64) -> f64 {
    let error = actual - quantile;
    if error >= 0.0 {
        probability * error
    } else {
        (probability - 1.0) * error
    }
}

/// Mean continuous ranked probability score of normal forecasts, in the units of the series.
/// Where the standard deviation is 0 it is the absolute error.
///
/// ```
/// // Without a spread it is the absolute error.
/// assert_eq!(forecast::metrics::crps_normal(&[3.0], &[1.0], &[0.0]), 2.0);
/// ```
#[must_use]
pub fn crps_normal(actual: &[f64], mean: &[f64], sd: &[f64]) -> f64 {
    average(actual.iter().zip(mean).zip(sd).map(|((a, m), s)| {
        if *s <= 0.0 {
            return (a - m).abs();
        }
        let z = (a - m) / s;
        s * (z * (2.0 * normal_cdf(z) - 1.0) + 2.0 * normal_pdf(z) - 1.0 / PI.sqrt())
    }))
}

/// CRPS of one observation from quantile forecasts: twice the pinball loss integrated over the
/// probabilities by the trapezoid rule, the ends held constant. `probabilities` ascend in (0, 1),
/// one per value of `quantiles`.
///
/// ```
/// let score = forecast::metrics::crps_quantiles(0.0, &[0.1, 0.5, 0.9], &[-1.0, 0.0, 1.0]);
/// assert!(score > 0.0 && score < 0.5);
/// ```
#[must_use]
pub fn crps_quantiles(actual: f64, probabilities: &[f64], quantiles: &[f64]) -> f64 {
    let n = probabilities.len().min(quantiles.len());
    if n == 0 || actual.is_nan() {
        return f64::NAN;
    }
    let loss: Vec<f64> = (0..n)
        .map(|i| pinball_one(actual, quantiles[i], probabilities[i]))
        .collect();
    // Outside the outermost probabilities the quantile is taken as the outermost one; the pinball
    // loss is linear in the probability there, so its integral is exact.
    let at_zero = (quantiles[0] - actual).max(0.0);
    let at_one = (actual - quantiles[n - 1]).max(0.0);
    let mut integral = 0.5 * probabilities[0] * (loss[0] + at_zero)
        + 0.5 * (1.0 - probabilities[n - 1]) * (loss[n - 1] + at_one);
    for i in 1..n {
        integral += 0.5 * (probabilities[i] - probabilities[i - 1]) * (loss[i] + loss[i - 1]);
    }
    2.0 * integral
}

/// Share of actual values inside their interval, 0 to 1.
///
/// ```
/// assert_eq!(forecast::metrics::coverage(&[1.0, 5.0], &[0.0, 0.0], &[2.0, 2.0]), 0.5);
/// ```
#[must_use]
pub fn coverage(actual: &[f64], lower: &[f64], upper: &[f64]) -> f64 {
    average(actual.iter().zip(lower).zip(upper).map(|((a, l), u)| {
        if a.is_nan() {
            f64::NAN
        } else {
            f64::from(u8::from(a >= l && a <= u))
        }
    }))
}

/// Mean width of the intervals, in the units of the series.
///
/// ```
/// assert_eq!(forecast::metrics::width(&[0.0, 0.0], &[2.0, 4.0]), 3.0);
/// ```
#[must_use]
pub fn width(lower: &[f64], upper: &[f64]) -> f64 {
    average(lower.iter().zip(upper).map(|(l, u)| u - l))
}

/// Mean interval (Winkler) score at `level` percent: the width, plus 2/α times the miss.
///
/// ```
/// // Inside, the score is the width; a miss costs 2/α times its size.
/// use forecast::metrics::interval_score;
/// assert_eq!(interval_score(&[1.0], &[0.0], &[2.0], 80.0), 2.0);
/// assert!((interval_score(&[3.0], &[0.0], &[2.0], 80.0) - 12.0).abs() < 1e-9);
/// ```
#[must_use]
pub fn interval_score(actual: &[f64], lower: &[f64], upper: &[f64], level: f64) -> f64 {
    let alpha = 1.0 - level / 100.0;
    average(actual.iter().zip(lower).zip(upper).map(|((a, l), u)| {
        if a.is_nan() {
            return f64::NAN;
        }
        u - l + 2.0 / alpha * ((l - a).max(0.0) + (a - u).max(0.0))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::normal_quantile;

    #[test]
    fn crps_of_a_standard_normal_at_its_mean() {
        let want = 2.0 * normal_pdf(0.0) - 1.0 / PI.sqrt();
        assert!((crps_normal(&[0.0], &[0.0], &[1.0]) - want).abs() < 1e-15);
        assert_eq!(crps_normal(&[3.0], &[1.0], &[0.0]), 2.0);
    }

    #[test]
    fn crps_from_many_quantiles_approaches_the_normal_one() {
        let p: Vec<f64> = (1..1000).map(|i| f64::from(i) / 1000.0).collect();
        let q: Vec<f64> = p.iter().map(|&p| normal_quantile(p)).collect();
        for y in [-2.5, 0.0, 0.7] {
            let want = crps_normal(&[y], &[0.0], &[1.0]);
            assert!((crps_quantiles(y, &p, &q) - want).abs() < 1e-3);
        }
    }

    #[test]
    fn coverage_counts_the_bounds_as_inside() {
        let covered = coverage(&[1.0, 2.0, 3.0, f64::NAN], &[1.0; 4], &[2.0; 4]);
        assert!((covered - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!(width(&[1.0, 1.0], &[2.0, 4.0]), 2.0);
        assert!((interval_score(&[3.0], &[1.0], &[2.0], 80.0) - 11.0).abs() < 1e-12);
    }

    #[test]
    fn pinball_of_the_median_is_half_the_absolute_error() {
        assert_eq!(pinball(&[1.0, 5.0], &[3.0, 3.0], 0.5), 1.0);
    }
}
