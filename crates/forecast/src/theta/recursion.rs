//! The recursion over the adjusted, scaled series.

use serde::{Deserialize, Serialize};

use super::ThetaKind;

/// What the method remembers of the adjusted, scaled series.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) level: f64,
    pub(super) intercept: f64,
    pub(super) slope: f64,
    pub(super) mean: f64,
    /// Observations seen, missing ones included.
    pub(super) time: usize,
    /// (1 − α)^time.
    pub(super) power: f64,
}

impl Memory {
    /// One-step mean.
    pub(super) fn predict(&self, alpha: f64, theta: f64) -> f64 {
        let rest = (1.0 - self.power * (1.0 - alpha)) / alpha;
        self.level + (1.0 - 1.0 / theta) * (self.power * self.intercept + rest * self.slope)
    }

    /// Takes a value; `dynamic` updates the line too (Fiorucci et al. 2016, section 2.3).
    pub(super) fn observe(&mut self, alpha: f64, y: f64, dynamic: bool) {
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

/// Adjusted series and its line, for the search.
pub(super) struct Lines<'a> {
    pub(super) kind: ThetaKind,
    pub(super) y: &'a [f64],
    pub(super) intercept: f64,
    pub(super) slope: f64,
    pub(super) spread: f64,
}

impl Lines<'_> {
    /// α, θ and first level from unbounded parameters.
    pub(super) fn parameters(&self, x: &[f64]) -> (f64, f64, f64) {
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
    pub(super) fn run(
        &self,
        (alpha, theta, level): (f64, f64, f64),
        errors: &mut Vec<f64>,
    ) -> Memory {
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
