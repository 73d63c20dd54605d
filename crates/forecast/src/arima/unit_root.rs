//! How often to difference: the KPSS test and the strength of the season.
//!
//! Model: one seasonal difference when the seasonal strength of an STL decomposition exceeds 0.64
//! (Hyndman & Athanasopoulos, fpp3, section 9.9); then plain differences until the KPSS test for a
//! constant level (Kwiatkowski, Phillips, Schmidt & Shin 1992, J. Econometrics 54) no longer
//! rejects at 5 %, with ⌊3√n/13⌋ lags as R's forecast 8.20 `ndiffs`.
//! Does not: test for several seasons.

use crate::decompose::{interpolate, stl};

/// Critical value of the KPSS test for a level at 5 %.
const KPSS_5_PERCENT: f64 = 0.463;
/// Seasonal strength above which a seasonal difference is taken.
const STRONG: f64 = 0.64;

/// The KPSS statistic for stationarity around a level; missing values are left out. NaN when the
/// series does not vary.
///
/// ```
/// // Above 0.463 a constant level is rejected at 5 %.
/// let line: Vec<f64> = (0..50).map(f64::from).collect();
/// assert!(forecast::arima::kpss(&line) > 0.463);
/// ```
#[must_use]
pub fn kpss(y: &[f64]) -> f64 {
    let x: Vec<f64> = y.iter().copied().filter(|v| !v.is_nan()).collect();
    let n = x.len();
    let size = n as f64;
    let mean = x.iter().sum::<f64>() / size;
    let e: Vec<f64> = x.iter().map(|v| v - mean).collect();
    let lags = (3.0 * size.sqrt() / 13.0) as usize;
    let mut long_run: f64 = e.iter().map(|v| v * v).sum();
    for lag in 1..=lags.min(n.saturating_sub(1)) {
        let weight = 1.0 - lag as f64 / (lags as f64 + 1.0);
        let product: f64 = e.iter().zip(&e[lag..]).map(|(a, b)| a * b).sum();
        long_run += 2.0 * weight * product;
    }
    let mut sum = 0.0;
    let mut squares = 0.0;
    for v in &e {
        sum += v;
        squares += sum * sum;
    }
    squares / (size * long_run)
}

fn is_constant(y: &[f64]) -> bool {
    let mut present = y.iter().filter(|v| !v.is_nan());
    let Some(first) = present.next() else {
        return true;
    };
    let (mut low, mut high) = (*first, *first);
    for value in present {
        low = low.min(*value);
        high = high.max(*value);
    }
    high - low <= 1e-14 * high.abs().max(low.abs())
}

fn lagged(y: &[f64], lag: usize) -> Vec<f64> {
    y.iter()
        .zip(&y[lag.min(y.len())..])
        .map(|(a, b)| b - a)
        .collect()
}

/// Number of plain differences, at most `most`, that make `y` level-stationary.
///
/// ```
/// let line: Vec<f64> = (0..50).map(f64::from).collect();
/// assert_eq!(forecast::arima::differences(&line, 2), 1);
/// ```
#[must_use]
pub fn differences(y: &[f64], most: usize) -> usize {
    let mut x: Vec<f64> = y.iter().copied().filter(|v| !v.is_nan()).collect();
    let mut d = 0;
    while d < most && !is_constant(&x) && x.len() > 2 && kpss(&x) > KPSS_5_PERCENT {
        x = lagged(&x, 1);
        d += 1;
    }
    d
}

/// Number of seasonal differences, 0 or 1.
///
/// ```
/// let season: Vec<f64> = (0..48).map(|t| [0.0, 5.0, 2.0, 9.0][t % 4]).collect();
/// assert_eq!(forecast::arima::seasonal_differences(&season, 4), 1);
/// ```
#[must_use]
pub fn seasonal_differences(y: &[f64], season: usize) -> usize {
    if season < 2 || is_constant(y) {
        return 0;
    }
    let strength =
        stl(&interpolate(y, season), season).map_or(0.0, |parts| parts.seasonal_strength());
    usize::from(strength > STRONG)
}

/// The series without what a constant and the regressors explain of it, by least squares (modified
/// Gram–Schmidt); the series itself when there is none. Missing values stay missing.
pub(super) fn without(y: &[f64], regressors: &[Vec<f64>]) -> Vec<f64> {
    let mut left = y.to_vec();
    let mut axes: Vec<Vec<f64>> = Vec::new();
    let along = |a: &[f64], b: &[f64]| -> f64 {
        let present = y.iter().zip(a.iter().zip(b)).filter(|(y, _)| !y.is_nan());
        present.map(|(_, (a, b))| a * b).sum()
    };
    let ones = vec![1.0; y.len()];
    let constant = (!regressors.is_empty()).then_some(&ones);
    for column in constant.into_iter().chain(regressors) {
        let size = along(column, column);
        let mut axis = column.clone();
        for before in &axes {
            let share = along(&axis, before) / along(before, before);
            axis.iter_mut()
                .zip(before)
                .for_each(|(a, b)| *a -= share * b);
        }
        // What the others explain already would be divided by rounding errors.
        if along(&axis, &axis) > 1e-20 * size {
            let share = along(&left, &axis) / along(&axis, &axis);
            left.iter_mut()
                .zip(&axis)
                .for_each(|(y, a)| *y -= share * a);
            axes.push(axis);
        }
    }
    left
}
