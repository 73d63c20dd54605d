//! The theta method: the standard one that won the M3 competition, and the optimised one.
//!
//! Model: the series, seasonally adjusted when the autocorrelation at the season says so, is split
//! into its straight line and a theta line; simple exponential smoothing forecasts the latter and
//! the two are added back in the weights that restore the series. In the state-space form of
//! Fiorucci, Pellegrini, Louzada, Petropoulos & Koehler (2016), Int. J. Forecasting 32(4): l(t) =
//! α·y(t) + (1 − α)·l(t − 1), one-step mean l + (1 − 1/θ)·{(1 − α)^t·A + (1 − (1 − α)^(t+1))/α·B}.
//! The standard method has θ = 2 and the line A + B·t of the whole series (Assimakopoulos &
//! Nikolopoulos 2000, Int. J. Forecasting 16(4); Hyndman & Billah 2003). The optimised one is
//! their DOTM: θ ≥ 1 is estimated and the line is that of the values up to t, updated as they come.
//! Does not: pool several theta lines.

mod fitted;
mod recursion;
mod season;

use serde::{Deserialize, Serialize};

pub use self::fitted::FittedTheta;
use self::recursion::{Lines, Memory};
use self::season::{is_seasonal, seasonal_indices};
use crate::baseline::Moments;
use crate::decompose::interpolate;
use crate::error::{Error, Result};
use crate::ets::line;
use crate::least_squares::{FINE, LeastSquares};
use crate::model::Model;
use crate::output::LARGE_SAMPLE;
use crate::series::check_series;

/// Which theta method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThetaKind {
    /// θ = 2.
    Standard,
    /// θ estimated together with the smoothing, the line updated as values come (DOTM).
    #[default]
    Optimised,
}

/// The theta method.
///
/// ```
/// use forecast::theta::Theta;
/// use forecast::{FittedModel, Model};
///
/// let line: Vec<f64> = (0..30).map(|t| 5.0 + 0.5 * f64::from(t)).collect();
/// let mut fitted = Theta::new(1).fit(&line)?;
/// fitted.update(20.0)?;
/// let forecast = fitted.forecast(3, &[])?;
/// assert!((forecast.mean[2] - 21.5).abs() < 0.05, "{:?}", forecast.mean);
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theta {
    /// Steps in a season; 1 for none.
    pub season: usize,
    /// Standard or optimised.
    pub kind: ThetaKind,
}

impl Theta {
    /// The optimised method.
    #[must_use]
    pub const fn new(season: usize) -> Self {
        Self {
            season,
            kind: ThetaKind::Optimised,
        }
    }

    /// The standard method (θ = 2).
    #[must_use]
    pub const fn standard(season: usize) -> Self {
        Self {
            season,
            kind: ThetaKind::Standard,
        }
    }
}

impl Model for Theta {
    type Fitted = FittedTheta;

    fn name(&self) -> String {
        "theta".to_owned()
    }

    fn fit(&self, y: &[f64]) -> Result<FittedTheta> {
        if self.season == 0 {
            return Err(Error::argument("season", "expected at least 1 step, got 0"));
        }
        let observations = check_series("theta", y, 4)?;
        let lead = y.iter().take_while(|v| v.is_nan()).count();
        let y = &y[lead..];
        let values = || y.iter().copied().filter(|v| !v.is_nan());
        let scale = values().map(f64::abs).sum::<f64>() / observations as f64;
        let scale = if scale > 0.0 { scale } else { 1.0 };
        let filled: Vec<f64> = interpolate(y, self.season)
            .iter()
            .map(|v| v / scale)
            .collect();
        let positive = filled.iter().all(|v| *v > 0.0);
        let mut seasonal = Vec::new();
        let mut multiplicative = false;
        if is_seasonal(&filled, self.season) {
            let usable = |indices: &Vec<f64>| indices.iter().all(|v| *v > 0.01);
            let factors = if positive {
                seasonal_indices(&filled, self.season, true)
            } else {
                None
            };
            if let Some(factors) = factors.filter(usable) {
                seasonal = factors;
                multiplicative = true;
            } else if let Some(terms) = seasonal_indices(&filled, self.season, false) {
                seasonal = terms;
            }
        }
        let mut fitted = FittedTheta {
            kind: self.kind,
            alpha: 0.0,
            theta: 2.0,
            memory: Memory::default(),
            age: y.iter().rev().take_while(|v| v.is_nan()).count(),
            seasonal,
            multiplicative,
            scale,
            sigma2: 0.0,
            observations,
            residuals: vec![f64::NAN; lead],
        };
        let adjust = |(t, v): (usize, &f64)| fitted.adjusted(t, *v);
        let adjusted: Vec<f64> = y.iter().map(|v| v / scale).collect();
        let adjusted: Vec<f64> = adjusted.iter().enumerate().map(adjust).collect();
        let whole: Vec<f64> = filled.iter().enumerate().map(adjust).collect();
        let (intercept, slope) = line(&whole);
        let low = whole.iter().copied().fold(f64::INFINITY, f64::min);
        let high = whole.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let spread = (high - low).max(1e-12);
        let lines = Lines {
            kind: self.kind,
            y: &adjusted,
            intercept,
            slope,
            spread,
        };
        let size = fitted.parameters();
        let mut search = LeastSquares::default();
        let mut best: Option<(f64, Vec<f64>)> = None;
        for alpha in [-0.3, 1.5] {
            let mut x = vec![0.0; size];
            x[0] = alpha;
            let found = search.minimise(&mut x, FINE, |x, errors| {
                lines.run(lines.parameters(x), errors);
                let sum: f64 = errors.iter().map(|e| e * e).sum();
                sum.is_finite().then(|| libm::log(sum.max(1e-300)))
            });
            if let Some(value) = found
                && best.as_ref().is_none_or(|(lowest, _)| value < *lowest)
            {
                best = Some((value, x));
            }
        }
        let (_, x) = best.ok_or_else(|| Error::numeric("theta", "the smoothing broke down"))?;
        let (alpha, theta, level) = lines.parameters(&x);
        let mut errors = Vec::new();
        fitted.memory = lines.run((alpha, theta, level), &mut errors);
        let mut squares = 0.0;
        for (t, error) in errors.iter().enumerate() {
            let missing = y[t].is_nan();
            fitted.residuals.push(if missing {
                f64::NAN
            } else {
                error * fitted.unit(t)
            });
            squares += error * error;
        }
        let errors = fitted.scored();
        fitted.sigma2 = if errors >= size + LARGE_SAMPLE {
            squares / (observations - size) as f64
        } else {
            // A few errors are fitted away: each parameter brings the variance of a step of the walk
            // with drift in the place of the error that it explained.
            let borrowed = size.min(errors);
            (squares + borrowed as f64 * step_variance(&adjusted)) / errors.max(1) as f64
        };
        fitted.alpha = alpha;
        fitted.theta = theta;
        Ok(fitted)
    }
}

/// The variance of the steps between neighbouring observations around their mean; 0 where there are
/// fewer than two.
fn step_variance(y: &[f64]) -> f64 {
    let steps = Moments::of(y.windows(2).map(|pair| pair[1] - pair[0]));
    if steps.count > 1 {
        steps.variance()
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests;
