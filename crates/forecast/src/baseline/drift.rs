//! The random walk with drift.
//!
//! Model: y(t) = y(t − 1) + b + e(t). The drift b is the mean first difference, and the forecast
//! variance sigma²·h·(1 + h/(T − 1)) carries the error of its estimate.
//! Does not: estimate anything else; `arima(0,1,0)+drift` is the same model by likelihood.

use serde::{Deserialize, Serialize};

use super::moments::Moments;
use crate::error::{Error, Result};
use crate::model::{FittedModel, Model, Parameter, Summary};
use crate::output::{Forecast, Level, check_request};
use crate::series::{check_series, check_value, nullable};

/// The random walk with drift.
///
/// ```
/// use forecast::baseline::Drift;
/// use forecast::{FittedModel, Model};
///
/// let fitted = Drift.fit(&[1.0, 2.0, 4.0, 7.0])?;
/// assert_eq!(fitted.forecast(2, &[])?.mean, [9.0, 11.0]);
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drift;

/// A fitted [`Drift`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedDrift {
    last: f64,
    /// Steps since the last value was observed.
    age: usize,
    /// Of the steps between neighbouring observations.
    steps: Moments,
    observations: usize,
    #[serde(with = "nullable")]
    residuals: Vec<f64>,
}

impl Model for Drift {
    type Fitted = FittedDrift;

    fn name(&self) -> String {
        "drift".to_owned()
    }

    fn fit(&self, y: &[f64]) -> Result<FittedDrift> {
        let observations = check_series("drift", y, 3)?;
        let mut residuals = vec![f64::NAN; y.len()];
        for t in 1..y.len() {
            residuals[t] = y[t] - y[t - 1];
        }
        let steps = Moments::of(residuals.iter().copied());
        if steps.count < 2 {
            return Err(Error::numeric(
                "drift",
                "fewer than two pairs of neighbouring observations",
            ));
        }
        residuals.iter_mut().for_each(|v| *v -= steps.mean);
        let age = y.iter().rev().take_while(|v| v.is_nan()).count();
        Ok(FittedDrift {
            last: y[y.len() - 1 - age],
            age,
            steps,
            observations,
            residuals,
        })
    }
}

impl FittedDrift {
    /// Standard error of the mean step.
    fn drift_se(&self) -> f64 {
        (self.steps.variance() / self.steps.count as f64).sqrt()
    }
}

impl FittedModel for FittedDrift {
    fn name(&self) -> String {
        "drift".to_owned()
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        check_request(horizon, levels)?;
        let (sigma2, se) = (self.steps.variance(), self.drift_se());
        let steps = || (1..=horizon).map(|h| (h + self.age) as f64);
        let mean = steps().map(|h| self.last + h * self.steps.mean).collect();
        let sd = steps()
            .map(|h| (h * sigma2 + h * h * se * se).sqrt())
            .collect();
        let freedom = self.steps.count.saturating_sub(1);
        Forecast::student(self.name(), mean, sd, levels, freedom)
    }

    /// The drift and its error take the step in, as a fit to the longer series does.
    fn update(&mut self, y: f64) -> Result<()> {
        check_value(self.observations, y)?;
        if y.is_nan() {
            self.age += 1;
        } else {
            if self.age == 0 {
                self.steps.observe(y - self.last);
            }
            self.last = y;
            self.age = 0;
            self.observations += 1;
        }
        Ok(())
    }

    fn summary(&self) -> Summary {
        Summary {
            model: self.name(),
            params: vec![Parameter {
                name: "drift".to_owned(),
                value: self.steps.mean,
                se: Some(self.drift_se()),
            }],
            observations: self.observations,
            sigma2: Some(self.steps.variance()),
            ljung_box: crate::diagnostics::ljung_box(&self.residuals, 1, 0),
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

    // R 4.2.2, forecast 8.20: rwf(c(3,5,4,8,9), drift=TRUE, h=3, level=80)
    #[test]
    fn drift_carries_the_error_of_its_estimate() {
        let fit = Drift.fit(&[3.0, 5.0, 4.0, 8.0, 9.0]).unwrap();
        let f = fit.forecast(3, &[Level(80.0)]).unwrap();
        assert_eq!(f.mean, [10.5, 12.0, 13.5]);
        let sigma2 = (0.25 + 6.25 + 6.25 + 0.25) / 3.0;
        for h in 1..=3usize {
            let x = h as f64;
            // Student's t with three degrees of freedom, where R takes the normal quantile.
            let want = 1.637744353696 * (sigma2 * x * (1.0 + x / 4.0)).sqrt();
            assert!((f.intervals[0].upper[h - 1] - f.mean[h - 1] - want).abs() < 1e-9);
        }
    }

    #[test]
    fn two_observations_are_too_few() {
        assert!(matches!(
            Drift.fit(&[1.0, 2.0]),
            Err(Error::TooShort { needed: 3, .. })
        ));
    }
}
