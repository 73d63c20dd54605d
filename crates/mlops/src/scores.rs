//! How good the forecasts of the last while were.
//!
//! Model: a window of the last steps whose outcome is known. MASE (Hyndman & Koehler 2006): the error of each step over
//! the in-sample error of naive that its model was trained on. Skill: 1 − error/error of naive on the same steps.
//! CRPS from the median and the 80 and 95 % bounds, which is what the ledger keeps
//! ([`forecast::metrics::crps_quantiles`]). Coverage: the share of outcomes inside, bounds included.
//! What it does not do: say how sure a share is ([`forecast::calibration`] does).

use std::collections::VecDeque;

use forecast::metrics::crps_quantiles;
use serde::{Deserialize, Serialize};

/// A step of a forecast and what came, in the units of the series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredStep {
    /// What came.
    pub outcome: f64,
    /// The point forecast, taken as the median.
    pub point: f64,
    /// Naive's.
    pub naive: f64,
    /// Mean absolute error of naive in the training window: the scale of MASE.
    pub scale: f64,
    /// The 80 % bounds; NaN where the forecast has none.
    pub interval_80: [f64; 2],
    /// The 95 % bounds; NaN where the forecast has none.
    pub interval_95: [f64; 2],
}

/// Probabilities of the bounds and the median, ascending.
const PROBABILITIES: [f64; 5] = [0.025, 0.1, 0.5, 0.9, 0.975];

impl ScoredStep {
    /// The absolute error.
    #[must_use]
    pub fn error(&self) -> f64 {
        (self.outcome - self.point).abs()
    }

    /// Naive's.
    #[must_use]
    pub fn naive_error(&self) -> f64 {
        (self.outcome - self.naive).abs()
    }

    /// The continuous ranked probability score.
    #[must_use]
    pub fn crps(&self) -> f64 {
        let ([low_95, high_95], [low_80, high_80]) = (self.interval_95, self.interval_80);
        let quantiles = [low_95, low_80, self.point, high_80, high_95];
        crps_quantiles(self.outcome, &PROBABILITIES, &quantiles)
    }

    fn inside([low, high]: [f64; 2], outcome: f64) -> bool {
        outcome >= low && outcome <= high
    }
}

/// The scores of a window. None where there is nothing to score, or naive never errs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Steps in the window.
    pub steps: usize,
    /// Mean absolute scaled error; below 1 is better than naive was in training.
    pub mase: Option<f64>,
    /// 1 − error/error of naive; above 0 is better than naive.
    pub skill_against_naive: Option<f64>,
    /// Mean CRPS, in the units of the series.
    pub crps: Option<f64>,
    /// Share inside the 80 % interval.
    pub coverage_80: Option<f64>,
    /// Share inside the 95 % interval.
    pub coverage_95: Option<f64>,
}

/// The last steps that were scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollingScores {
    window: usize,
    steps: VecDeque<ScoredStep>,
}

impl RollingScores {
    /// Over so many steps, at least one.
    #[must_use]
    pub fn new(window: usize) -> Self {
        Self {
            window: window.max(1),
            steps: VecDeque::new(),
        }
    }

    /// Takes a step; the oldest leaves a full window. A step whose outcome or forecast is missing is not taken.
    pub fn push(&mut self, step: ScoredStep) {
        if !(step.outcome.is_finite() && step.point.is_finite() && step.naive.is_finite()) {
            return;
        }
        if self.steps.len() == self.window {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
    }

    /// The scores as they stand.
    #[must_use]
    pub fn scores(&self) -> Scores {
        let mean = |of: &dyn Fn(&ScoredStep) -> f64| {
            let (sum, n) = self
                .steps
                .iter()
                .map(of)
                .filter(|v| v.is_finite())
                .fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
            (n > 0).then(|| sum / n as f64)
        };
        // A forecast without the level has no share in it.
        let share = |bounds: [f64; 2], outcome: f64| {
            if bounds.iter().any(|bound| bound.is_nan()) {
                return f64::NAN;
            }
            f64::from(u8::from(ScoredStep::inside(bounds, outcome)))
        };
        let (error, naive) = (mean(&ScoredStep::error), mean(&ScoredStep::naive_error));
        Scores {
            steps: self.steps.len(),
            // A constant training window has no scale: the step says nothing.
            mase: mean(&|step| step.error() / step.scale),
            skill_against_naive: error
                .zip(naive)
                .map(|(error, naive)| 1.0 - error / naive)
                .filter(|skill| skill.is_finite()),
            crps: mean(&ScoredStep::crps),
            coverage_80: mean(&|step| share(step.interval_80, step.outcome)),
            coverage_95: mean(&|step| share(step.interval_95, step.outcome)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(outcome: f64) -> ScoredStep {
        ScoredStep {
            outcome,
            point: 10.0,
            naive: 9.0,
            scale: 2.0,
            interval_80: [8.0, 12.0],
            interval_95: [6.0, 14.0],
        }
    }

    fn near(got: Option<f64>, want: f64) {
        assert!(
            got.is_some_and(|got| (got - want).abs() < 1e-12),
            "{got:?} {want}"
        );
    }

    /// Outcomes 11, 13 and 15: errors 1, 3, 5; naive's 2, 4, 6; the first is inside both intervals, the second
    /// inside 95 % alone, the third in none.
    #[test]
    fn a_window_is_as_computed_by_hand() {
        let mut rolling = RollingScores::new(3);
        for outcome in [11.0, 13.0, 15.0] {
            rolling.push(step(outcome));
        }
        let scores = rolling.scores();
        assert_eq!(scores.steps, 3);
        near(scores.mase, (1.0 + 3.0 + 5.0) / 3.0 / 2.0);
        near(scores.skill_against_naive, 1.0 - 9.0 / 12.0);
        near(scores.coverage_80, 1.0 / 3.0);
        near(scores.coverage_95, 2.0 / 3.0);
    }

    /// Twice the pinball loss integrated by the trapezoid rule, for the outcome 11: losses at 0.025, 0.1, 0.5, 0.9 and
    /// 0.975 are 0.125, 0.3, 0.5, 0.1 and 0.075; at 0 and 1 they are 0.
    #[test]
    fn crps_is_as_computed_by_hand() {
        let inner =
            0.075 * (0.125 + 0.3) + 0.4 * (0.3 + 0.5) + 0.4 * (0.5 + 0.1) + 0.075 * (0.1 + 0.075);
        let ends = 0.025 * 0.125 + 0.025 * 0.075;
        assert!((step(11.0).crps() - (inner + ends)).abs() < 1e-12);
    }

    #[test]
    fn the_oldest_step_leaves_and_a_missing_outcome_does_not_enter() {
        let mut rolling = RollingScores::new(2);
        for outcome in [15.0, 11.0, f64::NAN, 13.0] {
            rolling.push(step(outcome));
        }
        assert_eq!(rolling.scores().steps, 2);
        near(rolling.scores().mase, 1.0);
        let json = serde_json::to_string(&rolling).unwrap();
        assert_eq!(
            serde_json::from_str::<RollingScores>(&json).unwrap(),
            rolling
        );
    }

    #[test]
    fn a_forecast_without_a_level_counts_neither_as_a_hit_nor_as_a_miss() {
        let mut rolling = RollingScores::new(3);
        rolling.push(step(11.0));
        rolling.push(ScoredStep {
            interval_95: [f64::NAN; 2],
            ..step(15.0)
        });
        near(rolling.scores().coverage_80, 0.5);
        near(rolling.scores().coverage_95, 1.0);
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(RollingScores::new(5).scores(), Scores::default());
        let mut rolling = RollingScores::new(5);
        rolling.push(ScoredStep {
            scale: 0.0,
            naive: 11.0,
            ..step(11.0)
        });
        assert_eq!(rolling.scores().mase, None);
        assert_eq!(rolling.scores().skill_against_naive, None);
    }
}
