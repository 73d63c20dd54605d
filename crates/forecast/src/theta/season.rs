//! The season that is taken out beforehand.

use crate::diagnostics::autocorrelations;

/// Classical seasonal indices by a centred moving average; None when there are too few values.
pub(super) fn seasonal_indices(y: &[f64], season: usize, multiplicative: bool) -> Option<Vec<f64>> {
    let n = y.len();
    if season < 2 || n < 2 * season {
        return None;
    }
    let half = season / 2;
    let mut sums = vec![0.0; season];
    let mut counts = vec![0usize; season];
    for t in half..n - half {
        let window = &y[t - half..=t + half];
        let whole: f64 = window.iter().sum();
        let centre = if season.is_multiple_of(2) {
            whole - 0.5 * (window[0] + window[season])
        } else {
            whole
        } / season as f64;
        sums[t % season] += if multiplicative {
            y[t] / centre
        } else {
            y[t] - centre
        };
        counts[t % season] += 1;
    }
    if counts.contains(&0) {
        return None;
    }
    let mut indices: Vec<f64> = sums
        .iter()
        .zip(&counts)
        .map(|(s, c)| s / *c as f64)
        .collect();
    let mean = indices.iter().sum::<f64>() / season as f64;
    for value in &mut indices {
        if multiplicative {
            *value /= mean;
        } else {
            *value -= mean;
        }
    }
    Some(indices)
}

/// The test of the M3 entry: is the autocorrelation at the season significant at 10 %?
pub(super) fn is_seasonal(y: &[f64], season: usize) -> bool {
    if season < 2 || y.len() <= 2 * season {
        return false;
    }
    let acf = autocorrelations(y, season);
    let Some((last, before)) = acf.split_last() else {
        return false;
    };
    let sum: f64 = before.iter().map(|r| r * r).sum();
    last.abs() > 1.645 * ((1.0 + 2.0 * sum) / y.len() as f64).sqrt()
}
