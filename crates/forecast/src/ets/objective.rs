//! The likelihood of a form of exponential smoothing as a function of its parameters.
//!
//! Model: −2 log L = n·log Σe² + 2·Σlog|ŷ| (the second sum only for multiplicative errors) is a sum
//! of squares after scaling, so the search is Levenberg–Marquardt. Initial states are searched as
//! deviations from rough ones (a decomposition and a line), everything in units of the mean
//! absolute value.
//! Does not: choose the form or forecast.

use super::form::{ErrorForm, EtsForm, SeasonForm, TrendForm};
use super::recursion::{Smoothing, State};
use crate::arima::criteria;
use crate::decompose::{interpolate, stl};
use crate::error::Result;
use crate::least_squares::{COARSE, FINE, LeastSquares};
use crate::series::check_series;

/// A series with rough initial states, shared by the forms of an automatic choice.
#[derive(Debug, Clone)]
pub(crate) struct Smoothable {
    pub(super) y: Vec<f64>,
    pub(super) season: usize,
    pub(super) scale: f64,
    pub present: usize,
    pub positive: bool,
    pub constant: bool,
    /// Spread of the early values, the unit in which initial states are searched.
    pub(super) spread: f64,
    pub(super) additive: State,
    multiplicative: State,
}

impl Smoothable {
    pub fn new(y: &[f64], season: usize) -> Result<Self> {
        let present = check_series("ets", y, 2)?;
        let lead = y.iter().take_while(|v| v.is_nan()).count();
        let y = &y[lead..];
        let size: f64 = y.iter().filter(|v| !v.is_nan()).map(|v| v.abs()).sum();
        let scale = if size > 0.0 {
            size / present as f64
        } else {
            1.0
        };
        let y: Vec<f64> = y.iter().map(|v| v / scale).collect();
        let values = || y.iter().copied().filter(|v| !v.is_nan());
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(f64::NEG_INFINITY, f64::max);
        let filled = interpolate(&y, season);
        let spread = (high - low).max(1e-12);
        let mut data = Self {
            additive: State::default(),
            multiplicative: State::default(),
            season,
            scale,
            present,
            positive: low > 0.0,
            constant: high - low <= 1e-14 * high.abs().max(low.abs()),
            spread,
            y,
        };
        data.additive = data.rough(&filled, false);
        data.multiplicative = if data.positive {
            data.rough(&filled, true)
        } else {
            data.additive.clone()
        };
        Ok(data)
    }

    /// Rough initial states: the season from a decomposition, level and slope from a line through
    /// the early seasonally adjusted values.
    fn rough(&self, filled: &[f64], logs: bool) -> State {
        let m = self.season;
        let work: Vec<f64> = if logs {
            filled.iter().map(|v| libm::log(*v)).collect()
        } else {
            filled.to_vec()
        };
        let mut seasonal = vec![if logs { 1.0 } else { 0.0 }; m.max(1)];
        let mut adjusted = filled.to_vec();
        if let Some(parts) = stl(&work, m) {
            for (i, value) in seasonal.iter_mut().enumerate() {
                *value = if logs {
                    libm::exp(parts.seasonal[i])
                } else {
                    parts.seasonal[i]
                };
            }
            for (i, value) in adjusted.iter_mut().enumerate() {
                let part = parts.seasonal[i];
                *value = if logs {
                    *value / libm::exp(part)
                } else {
                    *value - part
                };
            }
        }
        let total: f64 = seasonal.iter().sum();
        let count = seasonal.len() as f64;
        for value in &mut seasonal {
            if logs {
                *value *= count / total;
            } else {
                *value -= total / count;
            }
        }
        let n = adjusted.len().min(10.max(2 * m));
        let (level, slope) = line(&adjusted[..n]);
        let level = if logs && level <= 0.0 {
            adjusted[0]
        } else {
            level
        };
        State {
            level,
            slope,
            seasonal,
            position: 0,
        }
    }

    /// The initial state for unbounded deviations `x` from the rough one.
    pub(super) fn state(&self, form: EtsForm, x: &[f64]) -> State {
        let rough = match form.season {
            SeasonForm::Multiplicative => &self.multiplicative,
            _ => &self.additive,
        };
        let mut state = State {
            position: 0,
            slope: 0.0,
            ..rough.clone()
        };
        let mut moves = x.iter();
        let mut next = || moves.next().copied().unwrap_or(0.0);
        state.level = rough.level + next() * self.spread;
        if form.trend != TrendForm::None {
            state.slope = rough.slope + 0.2 * next() * self.spread;
        }
        match form.season {
            SeasonForm::None => state.seasonal = Vec::new(),
            SeasonForm::Additive | SeasonForm::Multiplicative => {
                let last = state.seasonal.len() - 1;
                let unit = if form.season == SeasonForm::Additive {
                    self.spread
                } else {
                    1.0
                };
                let mut sum = 0.0;
                for value in &mut state.seasonal[..last] {
                    *value += next() * unit;
                    sum += *value;
                }
                let whole = if form.season == SeasonForm::Additive {
                    0.0
                } else {
                    (last + 1) as f64
                };
                state.seasonal[last] = whole - sum;
            }
        }
        state
    }

    /// Errors scaled so that their squares sum to exp(value); value is −2·logL/n up to constants.
    fn evaluate(&self, form: EtsForm, x: &[f64], errors: &mut Vec<f64>) -> Option<f64> {
        let (smoothing, initial) = x.split_at(form.smoothing());
        let smoothing = Smoothing::from_unbounded(form, smoothing);
        let mut state = self.state(form, initial);
        if form.season == SeasonForm::Multiplicative && state.seasonal.iter().any(|v| *v <= 1e-6) {
            return None;
        }
        errors.clear();
        let mut squares = 0.0;
        let mut product = crate::arima::innovations::LogProduct::new();
        for &y in &self.y {
            let step = state.step(form, &smoothing, y)?;
            if y.is_nan() {
                errors.push(0.0);
                continue;
            }
            errors.push(step.error);
            squares += step.error * step.error;
            if form.error == ErrorForm::Multiplicative {
                product.push(step.predicted);
            }
        }
        let n = self.present as f64;
        let mean_log = product.log() / n;
        let value = libm::log(squares.max(1e-300)) + 2.0 * mean_log;
        let factor = libm::exp(mean_log);
        if form.error == ErrorForm::Multiplicative {
            errors.iter_mut().for_each(|v| *v *= factor);
        }
        value.is_finite().then_some(value)
    }

    /// Fits one form; `thorough` searches to full precision and from more starts.
    pub fn fit(
        &self,
        form: EtsForm,
        search: &mut LeastSquares,
        thorough: bool,
    ) -> Option<(f64, Vec<f64>)> {
        let k = form.smoothing() + form.states(self.season);
        if self.present <= k + 2 {
            return None;
        }
        // Start values of α and β as the logistic's argument.
        const STARTS: [[f64; 2]; 5] = [
            [-0.7, -1.3],
            [-1.2, 0.5],
            [0.6, -1.3],
            [2.0, -2.5],
            [2.0, 0.5],
        ];
        let first = if thorough { &STARTS[..] } else { &STARTS[..1] };
        let mut best: Option<(f64, Vec<f64>)> = None;
        for [alpha, beta] in first {
            let mut x = vec![0.0; k];
            x[0] = *alpha;
            let mut next = 1;
            if form.trend != TrendForm::None {
                x[next] = *beta;
                next += 1;
            }
            if form.trend == TrendForm::Damped {
                x[next] = 1.0;
                next += 1;
            }
            if form.season != SeasonForm::None {
                x[next] = -1.3;
            }
            let precision = if thorough { FINE } else { COARSE };
            let found = search.minimise(&mut x, precision, |x, errors| {
                self.evaluate(form, x, errors)
            });
            if let Some(value) = found
                && best.as_ref().is_none_or(|(lowest, _)| value < *lowest)
            {
                best = Some((value, x));
            }
        }
        best
    }

    /// False when a form that needs positive values forecasts others within the next two seasons,
    /// or ten steps.
    pub fn stays_positive(&self, form: EtsForm, x: &[f64]) -> bool {
        if !form.needs_positive() {
            return true;
        }
        let (smoothing, initial) = x.split_at(form.smoothing());
        let smoothing = Smoothing::from_unbounded(form, smoothing);
        let mut state = self.state(form, initial);
        if self
            .y
            .iter()
            .any(|&y| state.step(form, &smoothing, y).is_none())
        {
            return false;
        }
        let (trend, season) = state.path(form, &smoothing, (2 * self.season).max(10));
        trend
            .iter()
            .zip(&season)
            .all(|(trend, season)| match form.season {
                SeasonForm::Multiplicative => *trend > 0.0 && *season > 0.0,
                _ => trend + season > 0.0,
            })
    }

    /// Log-likelihood of a value of the objective, in the units of the series.
    pub(super) fn loglik(&self, value: f64) -> f64 {
        let n = self.present as f64;
        let two_pi = 2.0 * std::f64::consts::PI;
        let unit = 2.0 * libm::log(self.scale);
        -0.5 * n * (value + unit - libm::log(n) + 1.0 + libm::log(two_pi))
    }

    /// AICc of a value of the objective.
    pub fn aicc(&self, form: EtsForm, value: f64) -> Option<f64> {
        let parameters = form.smoothing() + form.states(self.season) + 1;
        criteria(self.loglik(value), parameters, self.present)[1]
    }
}

/// Intercept (at time 0) and slope of the least-squares line through values at times 1, 2, ….
pub(crate) fn line(y: &[f64]) -> (f64, f64) {
    let n = y.len() as f64;
    let mean_t = 0.5 * (n + 1.0);
    let mean_y = y.iter().sum::<f64>() / n;
    let (mut product, mut square) = (0.0, 0.0);
    for (i, value) in y.iter().enumerate() {
        let t = (i + 1) as f64 - mean_t;
        product += t * (value - mean_y);
        square += t * t;
    }
    let slope = if square > 0.0 { product / square } else { 0.0 };
    (mean_y - slope * mean_t, slope)
}
