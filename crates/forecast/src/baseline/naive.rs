//! Naive and seasonal naive: tomorrow is as today, this season as the last.
//!
//! Model: y(t) = y(t − m) + e(t), e normal with variance estimated by the mean squared seasonal
//! difference, one degree of freedom each; m = 1 is the random walk. The variance k·sigma² of a forecast counts the whole
//! seasons k since the value it repeats was observed, so missing values at the end widen it.
//! Does not: estimate a drift (see [`super::Drift`]).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{FittedModel, Model, Parameter, Summary};
use crate::output::{Forecast, Level, check_request};
use crate::series::{check_series, check_value, nullable};

/// The random walk: every forecast is the last observation.
///
/// ```
/// use forecast::baseline::Naive;
/// use forecast::{FittedModel, Model};
///
/// let mut fitted = Naive.fit(&[1.0, 3.0, 2.0])?;
/// fitted.update(5.0)?;
/// assert_eq!(fitted.forecast(2, &[])?.mean, [5.0, 5.0]);
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Naive;

/// The seasonal random walk: every forecast is the last observation of the same season.
///
/// ```
/// use forecast::baseline::SeasonalNaive;
/// use forecast::{FittedModel, Model};
///
/// let fitted = SeasonalNaive { season: 2 }.fit(&[1.0, 10.0, 2.0, 20.0])?;
/// assert_eq!(fitted.forecast(3, &[])?.mean, [2.0, 20.0, 2.0]);
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeasonalNaive {
    /// Steps in a season; 1 gives [`Naive`].
    pub season: usize,
}

/// A fitted [`Naive`] or [`SeasonalNaive`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedNaive {
    name: String,
    /// Last observed value of each season, oldest season first.
    #[serde(with = "nullable")]
    last: Vec<f64>,
    /// Whole seasons since that value was observed.
    age: Vec<usize>,
    /// Sum of the squared seasonal differences, and how many there are.
    squares: f64,
    pairs: usize,
    observations: usize,
    #[serde(with = "nullable")]
    residuals: Vec<f64>,
}

impl Model for Naive {
    type Fitted = FittedNaive;

    fn name(&self) -> String {
        "naive".to_owned()
    }

    fn fit(&self, y: &[f64]) -> Result<FittedNaive> {
        fit_lag_walk(self.name(), y, 1)
    }
}

impl Model for SeasonalNaive {
    type Fitted = FittedNaive;

    fn name(&self) -> String {
        "snaive".to_owned()
    }

    fn fit(&self, y: &[f64]) -> Result<FittedNaive> {
        if self.season == 0 {
            return Err(Error::argument("season", "expected at least 1 step, got 0"));
        }
        fit_lag_walk(self.name(), y, self.season)
    }
}

fn fit_lag_walk(name: String, y: &[f64], season: usize) -> Result<FittedNaive> {
    let needed = season.saturating_add(1);
    let observations = check_series(&name, y, needed)?;
    let mut residuals = vec![f64::NAN; y.len()];
    let (mut sum, mut pairs) = (0.0, 0usize);
    for t in season..y.len() {
        let error = y[t] - y[t - season];
        residuals[t] = error;
        if !error.is_nan() {
            sum += error * error;
            pairs += 1;
        }
    }
    if pairs == 0 {
        let reason = format!("no two observations lie {season} steps apart");
        return Err(Error::numeric(name, reason));
    }
    let mut last = vec![f64::NAN; season];
    let mut age = vec![0; season];
    for slot in 0..season {
        // Slot 0 is the season that comes next.
        let mut index = y.len() - season + slot;
        while y[index].is_nan() && index >= season {
            index -= season;
            age[slot] += 1;
        }
        last[slot] = y[index];
    }
    Ok(FittedNaive {
        name,
        last,
        age,
        squares: sum,
        pairs,
        observations,
        residuals,
    })
}

impl FittedNaive {
    fn sigma2(&self) -> f64 {
        self.squares / self.pairs as f64
    }
}

impl FittedModel for FittedNaive {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        check_request(horizon, levels)?;
        let season = self.last.len();
        let mut mean = Vec::with_capacity(horizon);
        let mut sd = Vec::with_capacity(horizon);
        for step in 0..horizon {
            let value = self.last[step % season];
            if value.is_nan() {
                let reason = format!("season {} of {season} was never observed", step + 1);
                return Err(Error::numeric(self.name(), reason));
            }
            let seasons = step / season + 1 + self.age[step % season];
            mean.push(value);
            sd.push((self.sigma2() * seasons as f64).sqrt());
        }
        Forecast::student(self.name(), mean, sd, levels, self.pairs)
    }

    /// The variance takes the step in, as a fit to the longer series does.
    fn update(&mut self, y: f64) -> Result<()> {
        check_value(self.observations, y)?;
        if y.is_nan() {
            self.age[0] += 1;
        } else {
            let error = y - self.last[0];
            if self.age[0] == 0 && !error.is_nan() {
                self.squares += error * error;
                self.pairs += 1;
            }
            self.last[0] = y;
            self.age[0] = 0;
            self.observations += 1;
        }
        self.last.rotate_left(1);
        self.age.rotate_left(1);
        Ok(())
    }

    fn summary(&self) -> Summary {
        Summary {
            model: self.name(),
            params: vec![Parameter::new("season", self.last.len() as f64)],
            observations: self.observations,
            sigma2: Some(self.sigma2()),
            ljung_box: crate::diagnostics::ljung_box(&self.residuals, self.last.len(), 0),
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

    // R 4.2.2, forecast 8.20: naive(c(3,5,4,8), h=2), snaive(ts(c(1,2,3,5,4,7), frequency=2), h=3)
    #[test]
    fn naive_repeats_the_last_value_and_widens_with_the_root_of_h() {
        let fit = Naive.fit(&[3.0, 5.0, 4.0, 8.0]).unwrap();
        let f = fit.forecast(2, &[Level(95.0)]).unwrap();
        assert_eq!(f.mean, [8.0, 8.0]);
        let sigma = (21.0f64 / 3.0).sqrt();
        // Student's t with three degrees of freedom, where R takes the normal quantile.
        assert_eq!(f.sd.as_ref().unwrap()[0], sigma);
        let half = 3.182446305284263 * sigma;
        assert!((f.intervals[0].upper[0] - 8.0 - half).abs() < 1e-9);
        assert!((f.intervals[0].upper[1] - 8.0 - half * 2f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn seasonal_naive_repeats_the_last_season() {
        let y = [1.0, 2.0, 3.0, 5.0, 4.0, 7.0];
        let fit = SeasonalNaive { season: 2 }.fit(&y).unwrap();
        let f = fit.forecast(3, &[]).unwrap();
        assert_eq!(f.mean, [4.0, 7.0, 4.0]);
        let sd = f.sd.unwrap();
        assert!((sd[2] / sd[0] - 2f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_missing_last_value_widens_the_forecast_as_a_step_more() {
        let mut fit = Naive.fit(&[3.0, 5.0, 4.0, 8.0]).unwrap();
        let second = fit.forecast(2, &[]).unwrap().sd.unwrap()[1];
        fit.update(f64::NAN).unwrap();
        assert_eq!(fit.forecast(1, &[]).unwrap().sd.unwrap()[0], second);
    }

    #[test]
    fn an_update_gives_the_forecast_of_the_longer_series() {
        let y = [1.0, 2.0, 3.0, 5.0, 4.0, 7.0, 9.0];
        let mut fit = SeasonalNaive { season: 3 }.fit(&y[..5]).unwrap();
        fit.update(y[5]).unwrap();
        fit.update(y[6]).unwrap();
        let longer = SeasonalNaive { season: 3 }.fit(&y).unwrap();
        assert_eq!(
            fit.forecast(5, &[]).unwrap(),
            longer.forecast(5, &[]).unwrap()
        );
    }
}
