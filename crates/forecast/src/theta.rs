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

use serde::{Deserialize, Serialize};

use crate::baseline::Moments;
use crate::decompose::interpolate;
use crate::diagnostics::autocorrelations;
use crate::error::{Error, Result};
use crate::ets::line;
use crate::least_squares::{FINE, LeastSquares};
use crate::model::{FittedModel, Model, Parameter, Summary};
use crate::output::{Forecast, LARGE_SAMPLE, Level, check_request};
use crate::series::{check_series, check_value, nullable};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theta {
    /// Steps in a season; 1 for none.
    pub season: usize,
    /// Standard or optimised.
    pub kind: ThetaKind,
}

/// A fitted theta method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedTheta {
    kind: ThetaKind,
    alpha: f64,
    theta: f64,
    memory: Memory,
    /// Missing values since the last one observed: they count as steps of the horizon.
    #[serde(default)]
    age: usize,
    /// Seasonal factors or terms, position 0 belonging to the first observation.
    seasonal: Vec<f64>,
    multiplicative: bool,
    scale: f64,
    sigma2: f64,
    observations: usize,
    #[serde(with = "nullable")]
    residuals: Vec<f64>,
}

/// What the method remembers of the adjusted, scaled series.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Memory {
    level: f64,
    intercept: f64,
    slope: f64,
    mean: f64,
    /// Observations seen, missing ones included.
    time: usize,
    /// (1 − α)^time.
    power: f64,
}

impl Memory {
    /// One-step mean.
    fn predict(&self, alpha: f64, theta: f64) -> f64 {
        let rest = (1.0 - self.power * (1.0 - alpha)) / alpha;
        self.level + (1.0 - 1.0 / theta) * (self.power * self.intercept + rest * self.slope)
    }

    /// Takes a value; `dynamic` updates the line too (Fiorucci et al. 2016, section 2.3).
    fn observe(&mut self, alpha: f64, y: f64, dynamic: bool) {
        self.level += alpha * (y - self.level);
        self.power *= 1.0 - alpha;
        self.time += 1;
        if dynamic {
            let t = self.time as f64;
            if self.time > 1 {
                self.slope = ((t - 2.0) * self.slope + 6.0 * (y - self.mean) / t) / (t + 1.0);
            }
            self.mean += (y - self.mean) / t;
            self.intercept = self.mean - 0.5 * (t + 1.0) * self.slope;
        }
    }
}

/// Classical seasonal indices by a centred moving average; None when there are too few values.
fn seasonal_indices(y: &[f64], season: usize, multiplicative: bool) -> Option<Vec<f64>> {
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
fn is_seasonal(y: &[f64], season: usize) -> bool {
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

/// Adjusted series and its line, for the search.
struct Lines<'a> {
    kind: ThetaKind,
    y: &'a [f64],
    intercept: f64,
    slope: f64,
    spread: f64,
}

impl Lines<'_> {
    /// α, θ and first level from unbounded parameters.
    fn parameters(&self, x: &[f64]) -> (f64, f64, f64) {
        let alpha = 0.1 + 0.899 / (1.0 + libm::exp(-1.5 * x[0]));
        let theta = match self.kind {
            ThetaKind::Standard => 2.0,
            ThetaKind::Optimised => 1.0 + libm::exp(x[2]),
        };
        // Every prediction adds a share of the line to the level. The search reaches only some
        // spreads far, so it starts where level and line together make the first value: a level
        // that starts there by itself is wrong by half the series, however small its steps are.
        let line = match self.kind {
            ThetaKind::Standard => self.intercept + self.slope,
            ThetaKind::Optimised => self.y[0],
        };
        let start = self.y[0] - (1.0 - 1.0 / theta) * line;
        (alpha, theta, start + 0.5 * x[1] * self.spread)
    }

    /// One-step errors; returns what is remembered after the last value.
    fn run(&self, (alpha, theta, level): (f64, f64, f64), errors: &mut Vec<f64>) -> Memory {
        errors.clear();
        let dynamic = self.kind == ThetaKind::Optimised;
        let mut memory = Memory {
            level,
            power: 1.0,
            ..Memory::default()
        };
        if !dynamic {
            memory.intercept = self.intercept;
            memory.slope = self.slope;
        }
        for (t, &y) in self.y.iter().enumerate() {
            let predicted = memory.predict(alpha, theta);
            // The expectation takes the place of a missing observation; two points make a line.
            let scored = !(y.is_nan() || dynamic && t < 2);
            errors.push(if scored { y - predicted } else { 0.0 });
            memory.observe(alpha, if y.is_nan() { predicted } else { y }, dynamic);
        }
        memory
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

impl FittedTheta {
    /// Errors that the variance was made of: two points make the line of the optimised method.
    fn scored(&self) -> usize {
        match self.kind {
            ThetaKind::Standard => self.observations,
            ThetaKind::Optimised => self.observations.saturating_sub(2),
        }
    }

    /// Parameters that the search found: smoothing, first level, and θ where it is free.
    fn parameters(&self) -> usize {
        match self.kind {
            ThetaKind::Standard => 2,
            ThetaKind::Optimised => 3,
        }
    }

    /// A scaled value at `time` (from 0) without its season.
    fn adjusted(&self, time: usize, value: f64) -> f64 {
        match self.seasonal.len() {
            0 => value,
            m if self.multiplicative => value / self.seasonal[time % m],
            m => value - self.seasonal[time % m],
        }
    }

    /// Units of the series per adjusted unit at `time`.
    fn unit(&self, time: usize) -> f64 {
        match self.seasonal.len() {
            m if m > 0 && self.multiplicative => self.scale * self.seasonal[time % m],
            _ => self.scale,
        }
    }
}

impl FittedModel for FittedTheta {
    fn name(&self) -> String {
        match self.kind {
            ThetaKind::Standard => "theta(2)".to_owned(),
            ThetaKind::Optimised => "theta".to_owned(),
        }
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        check_request(horizon, levels)?;
        let mut mean = Vec::with_capacity(horizon);
        let mut sd = Vec::with_capacity(horizon);
        let dynamic = self.kind == ThetaKind::Optimised;
        let mut memory = self.memory;
        for ahead in 1..=horizon {
            let time = memory.time;
            let base = memory.predict(self.alpha, self.theta);
            memory.observe(self.alpha, base, dynamic);
            let value = match self.seasonal.len() {
                0 => base,
                m if self.multiplicative => base * self.seasonal[time % m],
                m => base + self.seasonal[time % m],
            };
            mean.push(value * self.scale);
            let growth = 1.0 + (ahead - 1 + self.age) as f64 * self.alpha * self.alpha;
            sd.push((self.sigma2 * growth).sqrt() * self.unit(time));
        }
        let freedom = self.scored().saturating_sub(self.parameters()).max(2);
        Forecast::student(self.name(), mean, sd, levels, freedom)
    }

    fn update(&mut self, y: f64) -> Result<()> {
        check_value(self.observations, y)?;
        let value = if y.is_nan() {
            self.age += 1;
            self.memory.predict(self.alpha, self.theta)
        } else {
            self.age = 0;
            self.observations += 1;
            self.adjusted(self.memory.time, y / self.scale)
        };
        self.memory
            .observe(self.alpha, value, self.kind == ThetaKind::Optimised);
        Ok(())
    }

    fn summary(&self) -> Summary {
        Summary {
            model: self.name(),
            params: vec![
                Parameter::new("alpha", self.alpha),
                Parameter::new("theta", self.theta),
                Parameter::new("slope", self.memory.slope * self.scale),
            ],
            observations: self.observations,
            sigma2: Some(self.sigma2 * self.scale * self.scale),
            ljung_box: crate::diagnostics::ljung_box(&self.residuals, self.seasonal.len(), 1),
            ..Summary::default()
        }
    }

    fn residuals(&self) -> &[f64] {
        &self.residuals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the method forecasts after `y` with the parameters that `fitted` found in its first values: the
    /// level as a weighted sum and the line by least squares, instead of by their recursions. Equation 12 of
    /// Fiorucci et al. (2016).
    fn refitted(fitted: &FittedTheta, first: usize, y: &[f64]) -> f64 {
        let (alpha, kept) = (fitted.alpha, 1.0 - fitted.alpha);
        let mut adjusted: Vec<f64> = (0..first)
            .map(|t| fitted.adjusted(t, y[t] / fitted.scale))
            .collect();
        let mut next = 0.0;
        for t in first..=y.len() {
            let later = adjusted[first..].iter().rev();
            let weighted = later
                .enumerate()
                .map(|(k, v)| alpha * kept.powi(k as i32) * v);
            let level = kept.powi((t - first) as i32) * fitted.memory.level + weighted.sum::<f64>();
            let (intercept, slope) = match fitted.kind {
                ThetaKind::Standard => (fitted.memory.intercept, fitted.memory.slope),
                ThetaKind::Optimised => line(&adjusted),
            };
            let faded = kept.powi(t as i32);
            next = level
                + (1.0 - 1.0 / fitted.theta)
                    * (faded * intercept + (1.0 - faded * kept) / alpha * slope);
            // The expectation takes the place of a missing value.
            match y.get(t) {
                Some(v) if v.is_nan() => adjusted.push(next),
                Some(v) => adjusted.push(fitted.adjusted(t, v / fitted.scale)),
                None => {}
            }
        }
        let t = y.len();
        match fitted.seasonal.len() {
            0 => next * fitted.scale,
            m if fitted.multiplicative => next * fitted.seasonal[t % m] * fitted.scale,
            m => (next + fitted.seasonal[t % m]) * fitted.scale,
        }
    }

    #[test]
    fn updates_give_what_a_refit_with_the_same_parameters_does() {
        let line_and_noise = |t: u32| 10.0 + 0.5 * f64::from(t) + f64::from(t * 7 % 5);
        let season = |t: u32| f64::from([3, -4, 0, 1][t as usize % 4]);
        let cases: [(usize, Vec<f64>); 3] = [
            (1, (0..60).map(line_and_noise).collect()),
            // Factors of a season, and terms where values are negative.
            (
                4,
                (0..60)
                    .map(|t| line_and_noise(t) * (1.0 + 0.1 * season(t)))
                    .collect(),
            ),
            (
                4,
                (0..60)
                    .map(|t| line_and_noise(t) - 25.0 + 4.0 * season(t))
                    .collect(),
            ),
        ];
        for (season, mut y) in cases {
            y[47] = f64::NAN;
            for theta in [Theta::new(season), Theta::standard(season)] {
                let fit = theta.fit(&y[..40]).unwrap();
                assert_eq!(fit.seasonal.len(), if season > 1 { season } else { 0 });
                let mut updated = fit.clone();
                for end in 40..=60 {
                    let got = updated.forecast(1, &[]).unwrap().mean[0];
                    let want = refitted(&fit, 40, &y[..end]);
                    assert!((got - want).abs() < 1e-9, "{theta:?} {end}: {got} {want}");
                    if let Some(value) = y.get(end) {
                        updated.update(*value).unwrap();
                    }
                }
            }
        }
    }

    #[test]
    fn a_line_is_continued_by_the_optimised_and_half_so_by_the_standard_method() {
        let y: Vec<f64> = (0..40).map(|t| 10.0 + 2.0 * f64::from(t)).collect();
        let optimised = Theta::new(1)
            .fit(&y)
            .unwrap()
            .forecast(3, &[])
            .unwrap()
            .mean;
        let standard = Theta::standard(1)
            .fit(&y)
            .unwrap()
            .forecast(3, &[])
            .unwrap()
            .mean;
        for h in 0..3 {
            assert!(
                (optimised[h] - (90.0 + 2.0 * h as f64)).abs() < 0.1,
                "{optimised:?}"
            );
            assert!(
                (standard[h] - (89.0 + h as f64)).abs() < 0.1,
                "{standard:?}"
            );
        }
    }

    #[test]
    fn seasonal_indices_find_the_season() {
        let y: Vec<f64> = (0..40)
            .map(|t| (20.0 + f64::from(t)) * [0.5, 1.0, 1.5, 1.0][t as usize % 4])
            .collect();
        let found = seasonal_indices(&y, 4, true).unwrap();
        assert!((found[0] - 0.5).abs() < 0.02 && (found[2] - 1.5).abs() < 0.02);
    }
}
