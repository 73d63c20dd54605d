//! What fitting gives.

use serde::{Deserialize, Serialize};

use super::{ThetaKind, recursion::Memory};
use crate::error::Result;
use crate::model::{FittedModel, Parameter, Summary};
use crate::output::{Forecast, Level, check_request};
use crate::series::{check_value, nullable};

/// A fitted theta method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedTheta {
    pub(super) kind: ThetaKind,
    pub(super) alpha: f64,
    pub(super) theta: f64,
    pub(super) memory: Memory,
    /// Missing values since the last one observed: they count as steps of the horizon.
    #[serde(default)]
    pub(super) age: usize,
    /// Seasonal factors or terms, position 0 belonging to the first observation.
    pub(super) seasonal: Vec<f64>,
    pub(super) multiplicative: bool,
    pub(super) scale: f64,
    pub(super) sigma2: f64,
    pub(super) observations: usize,
    #[serde(with = "nullable")]
    pub(super) residuals: Vec<f64>,
}

impl FittedTheta {
    /// Errors that the variance was made of: two points make the line of the optimised method.
    pub(super) fn scored(&self) -> usize {
        match self.kind {
            ThetaKind::Standard => self.observations,
            ThetaKind::Optimised => self.observations.saturating_sub(2),
        }
    }

    /// Parameters that the search found: smoothing, first level, and θ where it is free.
    pub(super) fn parameters(&self) -> usize {
        match self.kind {
            ThetaKind::Standard => 2,
            ThetaKind::Optimised => 3,
        }
    }

    /// A scaled value at `time` (from 0) without its season.
    pub(super) fn adjusted(&self, time: usize, value: f64) -> f64 {
        match self.seasonal.len() {
            0 => value,
            m if self.multiplicative => value / self.seasonal[time % m],
            m => value - self.seasonal[time % m],
        }
    }

    /// Units of the series per adjusted unit at `time`.
    pub(super) fn unit(&self, time: usize) -> f64 {
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
