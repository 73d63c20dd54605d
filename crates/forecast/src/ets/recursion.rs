//! The smoothing recursion and its parameters.
//!
//! Model: one error-correction recursion serves additive and multiplicative errors, which differ
//! only in how the error is measured (Hyndman et al. 2008, chapter 2). Parameters live in the usual
//! region: 0 < α < 1, 0 < β < α, 0 < γ < 1 − α, 0.8 < φ < 0.98.
//! Does not: estimate.

use serde::{Deserialize, Serialize};

use super::form::{ErrorForm, EtsForm, SeasonForm, TrendForm};

/// Smoothing parameters; those that the form does not have are 0 (φ: 1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Smoothing {
    pub alpha: f64,
    pub beta: f64,
    pub gamma: f64,
    pub phi: f64,
}

/// Level, slope and season; `seasonal[position]` belongs to the next step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub level: f64,
    pub slope: f64,
    pub seasonal: Vec<f64>,
    pub position: usize,
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-1.5 * x))
}

impl Smoothing {
    /// From unbounded parameters, in the order α, β, φ, γ as far as the form has them.
    pub fn from_unbounded(form: EtsForm, x: &[f64]) -> Self {
        let mut rest = x.iter().copied();
        let mut next = || logistic(rest.next().unwrap_or(0.0));
        let alpha = 1e-4 + 0.9998 * next();
        let (mut beta, mut phi) = (0.0, 1.0);
        if form.trend != TrendForm::None {
            beta = 1e-4 + (alpha - 1e-4) * next();
        }
        if form.trend == TrendForm::Damped {
            phi = 0.8 + 0.18 * next();
        }
        let gamma = if form.season == SeasonForm::None {
            0.0
        } else {
            (1.0 - alpha) * next()
        };
        Self {
            alpha,
            beta,
            gamma,
            phi,
        }
    }
}

/// One step: what was predicted, and the error as the form measures it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub predicted: f64,
    pub error: f64,
}

impl State {
    /// Takes `y` (NaN: missing) and moves on. None when the form breaks down (a prediction of a
    /// multiplicative form that is not positive).
    pub fn step(&mut self, form: EtsForm, p: &Smoothing, y: f64) -> Option<Step> {
        let trend = self.level + p.phi * self.slope;
        let season = match form.season {
            SeasonForm::None => 0.0,
            _ => self.seasonal[self.position],
        };
        let predicted = match form.season {
            SeasonForm::None => trend,
            SeasonForm::Additive => trend + season,
            SeasonForm::Multiplicative => trend * season,
        };
        let error = match form.error {
            ErrorForm::Additive => y - predicted,
            ErrorForm::Multiplicative => (y - predicted) / predicted,
        };
        if form.needs_positive() && !(predicted > 1e-12 && trend > 1e-12) {
            return None;
        }
        if y.is_nan() {
            self.level = trend;
            self.slope *= p.phi;
        } else {
            let (level, seasonal) = match form.season {
                SeasonForm::None => (y, 0.0),
                SeasonForm::Additive => (y - season, y - trend),
                SeasonForm::Multiplicative => (y / season, y / trend),
            };
            let before = self.level;
            self.level = trend + p.alpha * (level - trend);
            if form.trend != TrendForm::None {
                let damped = p.phi * self.slope;
                self.slope = damped + p.beta / p.alpha * (self.level - before - damped);
            }
            if form.season != SeasonForm::None {
                self.seasonal[self.position] = season + p.gamma * (seasonal - season);
            }
        }
        if form.season != SeasonForm::None {
            self.position += 1;
            if self.position == self.seasonal.len() {
                self.position = 0;
            }
        }
        Some(Step { predicted, error })
    }

    /// Point forecasts of the trend and of the season (0 or 1 where there is none).
    pub fn path(&self, form: EtsForm, p: &Smoothing, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let mut trend = Vec::with_capacity(horizon);
        let mut season = Vec::with_capacity(horizon);
        let (mut damping, mut sum) = (1.0, 0.0);
        for step in 0..horizon {
            damping *= p.phi;
            sum += damping;
            trend.push(self.level + sum * self.slope);
            season.push(match form.season {
                SeasonForm::None => 0.0,
                _ => self.seasonal[(self.position + step) % self.seasonal.len()],
            });
        }
        (trend, season)
    }
}
