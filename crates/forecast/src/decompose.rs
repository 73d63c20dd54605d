//! Seasonal-trend decomposition by loess (STL).
//!
//! Model: Cleveland, Cleveland, McRae & Terpenning (1990), J. Official Statistics 6(1), as the crate stlrs
//! ports it, with the settings that R's forecast 8.20 uses in `mstl` for one season: seasonal window 11 of
//! degree 0, trend and low-pass of degree 1, two passes, no robustness iterations, values between jumps of
//! a tenth of the window interpolated. tests/decomposition_reference.rs holds it to R's values.
//! Does not: take several seasons; missing values are interpolated linearly by the caller's choice
//! (see [`interpolate`]).

/// The parts of a series; they sum to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decomposition {
    /// The seasonal component.
    pub seasonal: Vec<f64>,
    /// The trend.
    pub trend: Vec<f64>,
    /// What is left.
    pub remainder: Vec<f64>,
}

impl Decomposition {
    /// Strength of the season, 0 to 1 (Wang, Smith & Hyndman 2006): 1 − Var(R)/Var(S + R).
    #[must_use]
    pub fn seasonal_strength(&self) -> f64 {
        let both: Vec<f64> = self
            .seasonal
            .iter()
            .zip(&self.remainder)
            .map(|(s, r)| s + r)
            .collect();
        let whole = variance(&both);
        if whole > 0.0 {
            (1.0 - variance(&self.remainder) / whole).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }
}

fn variance(x: &[f64]) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (x.len() as f64 - 1.0)
}

const SEASONAL_WINDOW: usize = 11;

/// Decomposes `y` (no missing values); None unless there are more than two whole seasons of at
/// least two steps.
///
/// ```
/// let y: Vec<f64> = (0..48).map(|t| 0.1 * t as f64 + [0.0, 5.0, 2.0, 9.0][t % 4]).collect();
/// let parts = forecast::decompose::stl(&y, 4).unwrap();
/// assert!(parts.seasonal_strength() > 0.99);
/// ```
#[must_use]
pub fn stl(y: &[f64], season: usize) -> Option<Decomposition> {
    let n = y.len();
    if season < 2 || n <= 2 * season {
        return None;
    }
    // As R computes it, in double precision; the crate would in single.
    let width = 1.5 * season as f64 / (1.0 - 1.5 / SEASONAL_WINDOW as f64);
    let parts = stlrs::params()
        .seasonal_length(SEASONAL_WINDOW)
        .trend_length(width.ceil() as usize)
        .fit(y, season)
        .ok()?;
    let (seasonal, trend, remainder, _) = parts.into_parts();
    Some(Decomposition {
        seasonal,
        trend,
        remainder,
    })
}

/// Fills missing values: on a straight line between neighbours one season apart where both are
/// there, else between the nearest; ends repeat the nearest. Empty when nothing is observed.
///
/// ```
/// assert_eq!(forecast::decompose::interpolate(&[1.0, f64::NAN, 3.0], 1), [1.0, 2.0, 3.0]);
/// ```
#[must_use]
pub fn interpolate(y: &[f64], season: usize) -> Vec<f64> {
    if y.iter().all(|v| v.is_nan()) {
        return Vec::new();
    }
    let season = season.max(1);
    let n = y.len();
    let mut out = y.to_vec();
    let line = |i: usize, step: usize| -> Option<f64> {
        let before = (1..=i / step)
            .map(|k| i - k * step)
            .find(|&j| !y[j].is_nan());
        let after = (1..=(n - 1 - i) / step)
            .map(|k| i + k * step)
            .find(|&j| !y[j].is_nan());
        match (before, after) {
            (Some(a), Some(b)) => {
                let share = (i - a) as f64 / (b - a) as f64;
                Some(y[a] + share * (y[b] - y[a]))
            }
            (Some(a), None) => Some(y[a]),
            (None, Some(b)) => Some(y[b]),
            (None, None) => None,
        }
    };
    for i in 0..n {
        if y[i].is_nan() {
            out[i] = line(i, season).or_else(|| line(i, 1)).unwrap_or(0.0);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_lie_on_the_line_between_seasons() {
        let y = [1.0, 10.0, f64::NAN, 20.0, 3.0, f64::NAN];
        assert_eq!(interpolate(&y, 2), [1.0, 10.0, 2.0, 20.0, 3.0, 20.0]);
        assert!(interpolate(&[f64::NAN], 1).is_empty());
    }
}
