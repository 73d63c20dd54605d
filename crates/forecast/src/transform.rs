//! The log transform, and the way back: to the median or to the mean.
//!
//! Model: a model fitted to log y forecasts a normal distribution there; exp of its mean is the
//! *median* in the units of the series, and the mean is exp(mu + sd²/2). Quantiles, and so the
//! bounds of intervals, transform as they are.
//! Does not: estimate a Box–Cox parameter.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fit::Fitted;
use crate::model::{FittedModel, Summary};
use crate::output::{Forecast, Level};
use crate::series::check_value;

/// Which point of a log-normal forecast distribution is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Point {
    /// The median: as likely above as below; best under absolute error.
    #[default]
    Median,
    /// The mean: unbiased; best under squared error.
    Mean,
}

/// The logarithm of a series, missing values kept.
///
/// # Errors
/// [`Error::NotPositive`] or [`Error::NotFinite`] with the position of the first offending value.
///
/// ```
/// assert_eq!(forecast::log_series(&[1.0])?, [0.0]);
/// assert!(forecast::log_series(&[1.0, -2.0]).is_err());
/// # Ok::<(), forecast::Error>(())
/// ```
pub fn log_series(y: &[f64]) -> Result<Vec<f64>> {
    y.iter()
        .enumerate()
        .map(|(index, &value)| log_value(index, value))
        .collect()
}

fn log_value(index: usize, value: f64) -> Result<f64> {
    check_value(index, value)?;
    if value <= 0.0 {
        return Err(Error::NotPositive { index, value });
    }
    Ok(if value.is_nan() {
        value
    } else {
        libm::log(value)
    })
}

/// Brings a forecast of log y back to y.
///
/// # Errors
/// [`Error::Numeric`] when the result overflows.
///
/// ```
/// use forecast::{Forecast, Point, exp_forecast};
///
/// let log = Forecast::normal("walk".into(), vec![0.0], vec![0.2], &[])?;
/// assert_eq!(exp_forecast(log.clone(), Point::Median)?.mean, [1.0]);
/// assert!(exp_forecast(log, Point::Mean)?.mean[0] > 1.0);
/// # Ok::<(), forecast::Error>(())
/// ```
pub fn exp_forecast(mut forecast: Forecast, point: Point) -> Result<Forecast> {
    let sd = forecast.sd.take();
    for (i, value) in forecast.mean.iter_mut().enumerate() {
        let half_variance = match (&sd, point) {
            (Some(sd), Point::Mean) => 0.5 * sd[i] * sd[i],
            _ => 0.0,
        };
        *value = libm::exp(*value + half_variance);
    }
    forecast.sd = sd.map(|sd| {
        sd.iter()
            .zip(&forecast.mean)
            .map(|(s, value)| {
                let mean = match point {
                    Point::Mean => *value,
                    Point::Median => value * libm::exp(0.5 * s * s),
                };
                mean * libm::expm1(s * s).sqrt()
            })
            .collect()
    });
    for band in &mut forecast.intervals {
        for bound in band.lower.iter_mut().chain(&mut band.upper) {
            *bound = libm::exp(*bound);
        }
    }
    forecast.checked()
}

/// Mean and standard deviation on the log scale of a forecast that [`exp_forecast`] brought back:
/// `point` of the distribution, and its standard deviation, in the units of the series.
pub(crate) fn log_moments(value: f64, sd: f64, point: Point) -> (f64, f64) {
    let ratio = (sd / value) * (sd / value);
    match point {
        // sd² = mean²·(exp(s²) − 1).
        Point::Mean => {
            let variance = libm::log1p(ratio);
            (libm::log(value) - 0.5 * variance, variance.sqrt())
        }
        // The same with mean² = median²·exp(s²), solved for exp(s²) − 1.
        Point::Median => {
            let excess = 2.0 * ratio / (1.0 + (1.0 + 4.0 * ratio).sqrt());
            (libm::log(value), libm::log1p(excess).sqrt())
        }
    }
}

/// A model fitted to the logarithm of a series. Residuals and summary are on the log scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedLog {
    inner: Box<Fitted>,
    point: Point,
    observations: usize,
}

impl FittedLog {
    pub(crate) fn new(inner: Fitted, point: Point) -> Self {
        let observations = inner.residuals().len();
        Self {
            inner: Box::new(inner),
            point,
            observations,
        }
    }
}

impl FittedModel for FittedLog {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        exp_forecast(self.inner.forecast(horizon, levels)?, self.point)
    }

    fn update(&mut self, y: f64) -> Result<()> {
        self.inner.update(log_value(self.observations, y)?)?;
        self.observations += 1;
        Ok(())
    }

    fn summary(&self) -> Summary {
        self.inner.summary()
    }

    fn residuals(&self) -> &[f64] {
        self.inner.residuals()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_a_log_normal_lies_above_its_median() {
        let normal =
            Forecast::normal("x".to_owned(), vec![2.0], vec![0.5], &[Level(80.0)]).unwrap();
        let median = exp_forecast(normal.clone(), Point::Median).unwrap();
        let mean = exp_forecast(normal, Point::Mean).unwrap();
        assert!((median.mean[0] - libm::exp(2.0)).abs() < 1e-12);
        assert!((mean.mean[0] - libm::exp(2.125)).abs() < 1e-12);
        assert_eq!(median.intervals, mean.intervals);
        let (a, b) = (median.sd.unwrap()[0], mean.sd.unwrap()[0]);
        assert!((a - b).abs() < 1e-12 * a);
    }

    #[test]
    fn a_price_of_zero_is_refused_with_its_position() {
        let error = log_series(&[1.0, f64::NAN, 0.0]).unwrap_err();
        assert_eq!(
            error,
            Error::NotPositive {
                index: 2,
                value: 0.0
            }
        );
    }
}
