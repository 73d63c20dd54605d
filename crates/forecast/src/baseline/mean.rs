//! The mean of the series as its forecast.
//!
//! Model: y(t) = c + e(t). Bounds use Student's t with T − 1 degrees of freedom and the standard
//! deviation s·√(1 + 1/T), the same at every horizon.
//! Does not: bootstrap.

use serde::{Deserialize, Serialize};

use super::moments::Moments;
use crate::distribution::student_t_quantile;
use crate::error::Result;
use crate::model::{FittedModel, Model, Parameter, Summary};
use crate::output::{Forecast, Level, check_request};
use crate::series::{check_series, check_value, nullable};

/// The mean model.
///
/// ```
/// use forecast::baseline::Mean;
/// use forecast::{FittedModel, Model};
///
/// let fitted = Mean.fit(&[1.0, f64::NAN, 3.0])?;
/// assert_eq!(fitted.forecast(2, &[])?.mean, [2.0, 2.0]);
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mean;

/// A fitted [`Mean`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedMean {
    moments: Moments,
    #[serde(with = "nullable")]
    residuals: Vec<f64>,
}

impl Model for Mean {
    type Fitted = FittedMean;

    fn name(&self) -> String {
        "mean".to_owned()
    }

    fn fit(&self, y: &[f64]) -> Result<FittedMean> {
        check_series("mean", y, 2)?;
        let moments = Moments::of(y.iter().copied());
        let residuals = y.iter().map(|v| v - moments.mean).collect();
        Ok(FittedMean { moments, residuals })
    }
}

impl FittedModel for FittedMean {
    fn name(&self) -> String {
        "mean".to_owned()
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        check_request(horizon, levels)?;
        let n = self.moments.count as f64;
        let sd = (self.moments.variance() * (1.0 + 1.0 / n)).sqrt();
        Forecast::symmetric(
            self.name(),
            vec![self.moments.mean; horizon],
            vec![sd; horizon],
            levels,
            |p| student_t_quantile(p, n - 1.0),
        )
    }

    /// Mean and variance take the observation in, as a fit to the longer series does.
    fn update(&mut self, y: f64) -> Result<()> {
        check_value(self.moments.count, y)?;
        self.moments.observe(y);
        Ok(())
    }

    fn summary(&self) -> Summary {
        let se = (self.moments.variance() / self.moments.count as f64).sqrt();
        Summary {
            model: self.name(),
            params: vec![Parameter {
                name: "mean".to_owned(),
                value: self.moments.mean,
                se: Some(se),
            }],
            observations: self.moments.count,
            sigma2: Some(self.moments.variance()),
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

    // R 4.2.2, forecast 8.20: meanf(c(1,2,3,4), h=1, level=95): 2.5, -2.09 to 7.09
    #[test]
    fn mean_uses_student_quantiles() {
        let fit = Mean.fit(&[1.0, f64::NAN, 2.0, 3.0, 4.0]).unwrap();
        let f = fit.forecast(1, &[Level(95.0)]).unwrap();
        assert_eq!(f.mean, [2.5]);
        let want = 3.182446305284263 * (5.0f64 / 3.0 * 1.25).sqrt();
        assert!((f.intervals[0].upper[0] - 2.5 - want).abs() < 1e-9);
    }
}
