//! What a forecast is: a mean path, a spread, and intervals at the levels asked for.
//!
//! Model: plain serde-able data in the units of the series (after any back-transform). Index 0 of
//! every vector is one step ahead.
//! Does not: know which model made it, beyond its name.

use serde::{Deserialize, Serialize};

use crate::distribution::{normal_quantile, student_t_quantile};
use crate::error::{Error, Result};

/// The longest horizon that a forecast may have, in steps.
pub const MAX_HORIZON_STEPS: usize = 100_000;

/// Degrees of freedom from which a variance counts as known and quantiles are the normal ones, as R
/// takes them at any number: Student's t is less than 5 % wider there.
pub(crate) const LARGE_SAMPLE: usize = 30;

/// The nominal coverage of a prediction interval in percent, for instance 80 or 95.
///
/// ```
/// use forecast::Level;
///
/// assert_eq!(Level::DEFAULT, [Level(80.0), Level(95.0)]);
/// assert!(Level::new(100.0).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level(pub f64);

impl Level {
    /// The levels that the platform shows where nothing else was asked for: 80 and 95.
    pub const DEFAULT: [Level; 2] = [Level(80.0), Level(95.0)];

    /// Checks that the level lies strictly between 0 and 100.
    ///
    /// # Errors
    /// [`Error::Argument`] when it does not.
    pub fn new(percent: f64) -> Result<Self> {
        if percent > 0.0 && percent < 100.0 {
            Ok(Self(percent))
        } else {
            Err(Error::argument(
                "level",
                format!("expected a percentage between 0 and 100, got {percent}"),
            ))
        }
    }

    /// The levels given in percent, checked, rising and without repeats.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn ascending(percents: &[f64]) -> Result<Vec<Self>> {
        let mut percents = percents.to_vec();
        percents.sort_by(f64::total_cmp);
        percents.dedup();
        percents.into_iter().map(Self::new).collect()
    }

    /// The probability below the interval's upper bound: 0.975 for level 95.
    #[must_use]
    pub fn upper_probability(self) -> f64 {
        0.5 + self.0 / 200.0
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A band around the forecast at one level; one bound of each kind per step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Nominal coverage in percent.
    pub level: Level,
    /// Lower bounds, in the units of the series.
    pub lower: Vec<f64>,
    /// Upper bounds, in the units of the series.
    pub upper: Vec<f64>,
}

/// A forecast of the next steps of a series.
///
/// ```
/// use forecast::{Forecast, Level};
///
/// let (mean, sd) = (vec![10.0, 10.5], vec![1.0, 1.4]);
/// let forecast = Forecast::normal("mine".into(), mean, sd, &[Level(95.0)])?;
/// let interval = forecast.interval(Level(95.0)).unwrap();
/// assert!((interval.upper[0] - 11.96).abs() < 1e-3);
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Point forecasts, one per step. On log data this is the median or the mean of the price,
    /// whichever [`crate::FitOptions::point`] asked for.
    pub mean: Vec<f64>,
    /// Standard deviation of the forecast distribution, where the model has one.
    pub sd: Option<Vec<f64>>,
    /// One band per level asked for, in the order asked.
    pub intervals: Vec<Interval>,
    /// Name of the fitted model, for instance `arima(1,1,1)+drift`.
    pub model: String,
}

impl Forecast {
    /// A forecast whose distribution at every step is normal with the given mean and standard
    /// deviation.
    ///
    /// # Errors
    /// [`Error::Numeric`] when a number in it is not finite.
    pub fn normal(model: String, mean: Vec<f64>, sd: Vec<f64>, levels: &[Level]) -> Result<Self> {
        Self::symmetric(model, mean, sd, levels, normal_quantile)
    }

    /// As [`Self::normal`], of a variance that was estimated with `freedom` degrees of freedom: below
    /// [`LARGE_SAMPLE`] the quantiles are Student's t (one degree at least), since normal ones hold
    /// 86 % in the place of 95 % when three errors stand behind the variance.
    ///
    /// # Errors
    /// [`Error::Numeric`] when a number in it is not finite.
    pub(crate) fn student(
        model: String,
        mean: Vec<f64>,
        sd: Vec<f64>,
        levels: &[Level],
        freedom: usize,
    ) -> Result<Self> {
        if freedom >= LARGE_SAMPLE {
            return Self::normal(model, mean, sd, levels);
        }
        let freedom = freedom.max(1) as f64;
        Self::symmetric(model, mean, sd, levels, |p| student_t_quantile(p, freedom))
    }

    /// A forecast whose bounds are `mean ± quantile(p)·sd`.
    ///
    /// # Errors
    /// [`Error::Numeric`] when a number in it is not finite.
    pub(crate) fn symmetric(
        model: String,
        mean: Vec<f64>,
        sd: Vec<f64>,
        levels: &[Level],
        quantile: impl Fn(f64) -> f64,
    ) -> Result<Self> {
        let intervals = levels
            .iter()
            .map(|&level| {
                let z = quantile(level.upper_probability());
                Interval {
                    level,
                    lower: mean.iter().zip(&sd).map(|(m, s)| m - z * s).collect(),
                    upper: mean.iter().zip(&sd).map(|(m, s)| m + z * s).collect(),
                }
            })
            .collect();
        Self {
            mean,
            sd: Some(sd),
            intervals,
            model,
        }
        .checked()
    }

    /// Number of steps.
    #[must_use]
    pub fn horizon_steps(&self) -> usize {
        self.mean.len()
    }

    /// The band at `level`, if it was asked for.
    #[must_use]
    pub fn interval(&self, level: Level) -> Option<&Interval> {
        self.intervals.iter().find(|band| band.level == level)
    }

    /// Passes the forecast on only when every number in it is finite.
    ///
    /// # Errors
    /// [`Error::Numeric`] otherwise.
    pub fn checked(self) -> Result<Self> {
        let finite = self.mean.iter().all(|v| v.is_finite())
            && self.sd.iter().flatten().all(|v| v.is_finite())
            && self
                .intervals
                .iter()
                .all(|band| band.lower.iter().chain(&band.upper).all(|v| v.is_finite()));
        if finite {
            Ok(self)
        } else {
            Err(Error::numeric(self.model, "the forecast is not finite"))
        }
    }
}

/// Checks the arguments of a forecast: horizon in 1..=[`MAX_HORIZON_STEPS`], levels in (0, 100).
pub(crate) fn check_request(horizon: usize, levels: &[Level]) -> Result<()> {
    if horizon == 0 || horizon > MAX_HORIZON_STEPS {
        return Err(Error::argument(
            "horizon",
            format!("expected 1 to {MAX_HORIZON_STEPS} steps, got {horizon}"),
        ));
    }
    for level in levels {
        Level::new(level.0)?;
    }
    Ok(())
}
