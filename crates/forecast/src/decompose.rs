//! Seasonal-trend decomposition by loess (STL).
//!
//! Model: Cleveland, Cleveland, McRae & Terpenning (1990), J. Official Statistics 6(1), with the
//! settings that R's forecast 8.20 uses in `mstl` for one season: seasonal window 11 of degree 0,
//! trend and low-pass of degree 1, two passes, no robustness iterations, values between jumps of a
//! tenth of the window interpolated.
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
#[must_use]
pub fn stl(y: &[f64], season: usize) -> Option<Decomposition> {
    let n = y.len();
    if season < 2 || n <= 2 * season {
        return None;
    }
    let odd = |value: usize| value | 1;
    let width = 1.5 * season as f64 / (1.0 - 1.5 / SEASONAL_WINDOW as f64);
    let trend_window = odd(width.ceil() as usize);
    let low_window = odd(season);
    let mut trend = vec![0.0; n];
    let mut seasonal = vec![0.0; n];
    for _ in 0..2 {
        let detrended: Vec<f64> = y.iter().zip(&trend).map(|(y, t)| y - t).collect();
        let cycle = smooth_cycles(&detrended, season);
        let averaged = moving_average(&cycle, season);
        let averaged = moving_average(&averaged, season);
        let averaged = moving_average(&averaged, 3);
        let low = loess(&averaged, low_window, 1, low_window.div_ceil(10));
        for i in 0..n {
            seasonal[i] = cycle[season + i] - low[i];
        }
        let deseasoned: Vec<f64> = y.iter().zip(&seasonal).map(|(y, s)| y - s).collect();
        trend = loess(&deseasoned, trend_window, 1, trend_window.div_ceil(10));
    }
    let remainder = (0..n).map(|i| y[i] - trend[i] - seasonal[i]).collect();
    Some(Decomposition {
        seasonal,
        trend,
        remainder,
    })
}

/// Smooths each season's subseries and extends it by one value at both ends: length n + 2·season.
fn smooth_cycles(x: &[f64], season: usize) -> Vec<f64> {
    let mut cycle = vec![0.0; x.len() + 2 * season];
    for phase in 0..season {
        let part: Vec<f64> = x.iter().skip(phase).step_by(season).copied().collect();
        let k = part.len();
        let middle = loess(&part, SEASONAL_WINDOW, 0, SEASONAL_WINDOW.div_ceil(10));
        let right = SEASONAL_WINDOW.min(k);
        let before = local(&part, SEASONAL_WINDOW, 0, 0.0, 1, right).unwrap_or(middle[0]);
        let left = k.saturating_sub(SEASONAL_WINDOW) + 1;
        let after =
            local(&part, SEASONAL_WINDOW, 0, (k + 1) as f64, left, k).unwrap_or(middle[k - 1]);
        let values = std::iter::once(before)
            .chain(middle)
            .chain(std::iter::once(after));
        for (i, value) in values.enumerate() {
            cycle[phase + i * season] = value;
        }
    }
    cycle
}

fn moving_average(x: &[f64], length: usize) -> Vec<f64> {
    let mut sum: f64 = x[..length].iter().sum();
    let mut out = vec![sum / length as f64];
    for i in length..x.len() {
        sum += x[i] - x[i - length];
        out.push(sum / length as f64);
    }
    out
}

/// Local regression at `at` on points `left..=right` (from 1); None when no point has weight.
fn local(y: &[f64], window: usize, degree: u8, at: f64, left: usize, right: usize) -> Option<f64> {
    let n = y.len();
    let mut h = (at - left as f64).max(right as f64 - at);
    if window > n {
        h += ((window - n) / 2) as f64;
    }
    let mut weights = Vec::with_capacity(right + 1 - left);
    let mut total = 0.0;
    for j in left..=right {
        let r = (j as f64 - at).abs();
        let weight = if r > 0.999 * h {
            0.0
        } else if r > 0.001 * h {
            let u = r / h;
            let v = 1.0 - u * u * u;
            v * v * v
        } else {
            1.0
        };
        total += weight;
        weights.push(weight);
    }
    if total <= 0.0 {
        return None;
    }
    weights.iter_mut().for_each(|w| *w /= total);
    if h > 0.0 && degree > 0 {
        let points = || (left..=right).map(|j| j as f64);
        let centre: f64 = weights.iter().zip(points()).map(|(w, j)| w * j).sum();
        let spread: f64 = weights
            .iter()
            .zip(points())
            .map(|(w, j)| w * (j - centre) * (j - centre))
            .sum();
        if spread.sqrt() > 0.001 * (n as f64 - 1.0) {
            let slope = (at - centre) / spread;
            for (weight, j) in weights.iter_mut().zip(points()) {
                *weight *= slope * (j - centre) + 1.0;
            }
        }
    }
    Some(
        weights
            .iter()
            .zip(&y[left - 1..right])
            .map(|(w, y)| w * y)
            .sum(),
    )
}

/// Loess of a whole series, computed at every `jump`th point and interpolated between.
fn loess(y: &[f64], window: usize, degree: u8, jump: usize) -> Vec<f64> {
    let n = y.len();
    if n < 2 {
        return y.to_vec();
    }
    let jump = jump.min(n - 1);
    let half = window.div_ceil(2);
    // Neighbourhood of point i (from 1).
    let around = |i: usize| {
        if window >= n {
            (1, n)
        } else if i < half {
            (1, window)
        } else if i > n - half {
            (n - window + 1, n)
        } else {
            (i + 1 - half, i + window - half)
        }
    };
    let mut out = vec![0.0; n];
    let mut known = Vec::new();
    let mut i = 1;
    while i <= n {
        known.push(i);
        i += jump;
    }
    if known.last() != Some(&n) {
        known.push(n);
    }
    for &i in &known {
        let (left, right) = around(i);
        out[i - 1] = local(y, window, degree, i as f64, left, right).unwrap_or(y[i - 1]);
    }
    for pair in known.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let slope = (out[b - 1] - out[a - 1]) / (b - a) as f64;
        for j in a + 1..b {
            out[j - 1] = out[a - 1] + slope * (j - a) as f64;
        }
    }
    out
}

/// Fills missing values: on a straight line between neighbours one season apart where both are
/// there, else between the nearest; ends repeat the nearest. Empty when nothing is observed.
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
