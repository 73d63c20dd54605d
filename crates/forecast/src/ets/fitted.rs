//! A form of exponential smoothing and what fitting it gives.
//!
//! Model: smoothing parameters and initial states maximise the Gaussian likelihood together; −2 log
//! L = n·log Σe² + 2·Σlog|ŷ| (the second sum only for multiplicative errors) is a sum of squares
//! after scaling (see [`super::objective`]). Forecast variances are the formulas of
//! Hyndman et al. (2008), chapter 6: exact for class 1 and 2; for multiplicative seasons (class 3)
//! only errors a whole number of seasons ago are taken to move level and season together. Missing
//! values at the end count as steps of the horizon, so they widen the forecast.
//! Does not: choose the form (see [`super::AutoEts`]).

use serde::{Deserialize, Serialize};

use super::form::{ErrorForm, EtsForm, SeasonForm, TrendForm};
use super::objective::Smoothable;
use super::recursion::{Smoothing, State};
use crate::arima::criteria;
use crate::error::{Error, Result};
use crate::least_squares::LeastSquares;
use crate::model::{FittedModel, Model, Parameter, Summary};
use crate::output::{Forecast, LARGE_SAMPLE, Level, check_request};
use crate::series::{check_value, nullable};

/// Exponential smoothing of one form.
///
/// ```
/// use forecast::ets::{ErrorForm, Ets, EtsForm, SeasonForm, TrendForm};
/// use forecast::{FittedModel, Model};
///
/// let form = EtsForm::new(ErrorForm::Additive, TrendForm::Additive, SeasonForm::None);
/// let y: Vec<f64> = (0..40).map(|t| 3.0 + 2.0 * f64::from(t)).collect();
/// let fitted = Ets { form, season: 1 }.fit(&y)?;
/// assert!((fitted.forecast(1, &[])?.mean[0] - 83.0).abs() < 1e-6);
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ets {
    /// The form.
    pub form: EtsForm,
    /// Steps in a season; ignored by forms without one.
    pub season: usize,
}

/// Fitted exponential smoothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedEts {
    form: EtsForm,
    smoothing: Smoothing,
    /// After the last value observed, in units of `scale`.
    state: State,
    /// Missing values since then: a forecast looks so many steps further.
    #[serde(default)]
    age: usize,
    scale: f64,
    sigma2: f64,
    /// Degrees of freedom behind `sigma2`; states that were saved without it had normal quantiles.
    #[serde(default = "large_sample")]
    freedom: usize,
    loglik: Option<f64>,
    aic: Option<f64>,
    aicc: Option<f64>,
    bic: Option<f64>,
    observations: usize,
    #[serde(with = "nullable")]
    residuals: Vec<f64>,
}

fn large_sample() -> usize {
    LARGE_SAMPLE
}

impl Smoothable {
    /// The fitted model at `x`.
    pub fn conclude(&self, form: EtsForm, value: f64, x: &[f64], lead: usize) -> Result<FittedEts> {
        let (smoothing, initial) = x.split_at(form.smoothing());
        let smoothing = Smoothing::from_unbounded(form, smoothing);
        let mut state = self.state(form, initial);
        let mut residuals = vec![f64::NAN; lead];
        let fault = || Error::numeric(form.to_string(), "the recursion broke down");
        let mut squares = 0.0;
        let age = self.y.iter().rev().take_while(|v| v.is_nan()).count();
        for &y in &self.y[..self.y.len() - age] {
            let step = state.step(form, &smoothing, y).ok_or_else(fault)?;
            if y.is_nan() {
                residuals.push(f64::NAN);
                continue;
            }
            squares += step.error * step.error;
            let unit = if form.error == ErrorForm::Additive {
                self.scale
            } else {
                1.0
            };
            residuals.push(step.error * unit);
        }
        residuals.resize(lead + self.y.len(), f64::NAN);
        let parameters = x.len() + 1;
        let freedom = self.present.saturating_sub(x.len()).max(1);
        let (loglik, [aic, aicc, bic]) = if value.is_finite() {
            let loglik = self.loglik(value);
            (Some(loglik), criteria(loglik, parameters, self.present))
        } else {
            (None, [None; 3])
        };
        Ok(FittedEts {
            form,
            smoothing,
            state,
            age,
            scale: self.scale,
            sigma2: squares / freedom as f64,
            freedom,
            loglik,
            aic,
            aicc,
            bic,
            observations: self.present,
            residuals,
        })
    }

    /// A constant series: its level, without error.
    pub fn conclude_constant(&self, lead: usize) -> Result<FittedEts> {
        let form = EtsForm::new(ErrorForm::Additive, TrendForm::None, SeasonForm::None);
        let level = self.y.first().copied().unwrap_or(0.0);
        let x = [0.0, (level - self.additive.level) / self.spread];
        let mut fitted = self.conclude(form, f64::NAN, &x, lead)?;
        fitted.state.level = level;
        fitted.sigma2 = 0.0;
        Ok(fitted)
    }
}

impl Model for Ets {
    type Fitted = FittedEts;

    fn name(&self) -> String {
        self.form.to_string()
    }

    fn fit(&self, y: &[f64]) -> Result<FittedEts> {
        let season = if self.form.season == SeasonForm::None {
            1
        } else {
            self.season
        };
        if season == 0 || (self.form.season != SeasonForm::None && season < 2) {
            let reason = format!("a seasonal form needs at least 2 steps, got {season}");
            return Err(Error::argument("season", reason));
        }
        let data = Smoothable::new(y, season)?;
        let lead = y.iter().take_while(|v| v.is_nan()).count();
        if data.constant {
            return data.conclude_constant(lead);
        }
        if self.form.needs_positive() && !data.positive {
            let found = y.iter().enumerate().find(|(_, v)| **v <= 0.0);
            let (index, value) = found.map_or((0, 0.0), |(index, value)| (index, *value));
            return Err(Error::NotPositive { index, value });
        }
        let needed = self.form.smoothing() + self.form.states(season) + 3;
        if data.present < needed {
            return Err(Error::TooShort {
                model: self.name(),
                needed,
                got: data.present,
            });
        }
        let found = data.fit(self.form, &mut LeastSquares::default(), true);
        let (value, x) =
            found.ok_or_else(|| Error::numeric(self.name(), "no finite likelihood was found"))?;
        data.conclude(self.form, value, &x, lead)
    }
}

impl FittedEts {
    /// The form fitted.
    #[must_use]
    pub fn form(&self) -> EtsForm {
        self.form
    }

    /// True when residuals are relative to the prediction (multiplicative errors).
    #[must_use]
    pub fn is_relative(&self) -> bool {
        self.form.error == ErrorForm::Multiplicative
    }

    /// AICc of the fit; None for a series that does not vary.
    #[must_use]
    pub fn aicc(&self) -> Option<f64> {
        self.aicc
    }

    /// Forecast variances relative to the squared scale.
    fn variances(&self, trend: &[f64], season: &[f64]) -> Vec<f64> {
        let (p, m) = (&self.smoothing, self.state.seasonal.len().max(1));
        let additive_season = self.form.season == SeasonForm::Additive;
        let mut damping = 1.0;
        let mut slope_share = 0.0;
        // Share of an error that is still felt j steps later.
        let shares: Vec<f64> = (1..=trend.len())
            .map(|j| {
                damping *= p.phi;
                slope_share += damping;
                let seasonal = if additive_season && j % m == 0 {
                    p.gamma
                } else {
                    0.0
                };
                p.alpha + p.beta * slope_share + seasonal
            })
            .collect();
        let s2 = self.sigma2;
        if self.form.error == ErrorForm::Additive {
            let mut sum = 1.0;
            return shares
                .iter()
                .map(|share| {
                    let variance = s2 * sum;
                    sum += share * share;
                    variance
                })
                .collect();
        }
        let multiplies = self.form.season == SeasonForm::Multiplicative;
        let level = |h: usize| {
            if multiplies {
                trend[h]
            } else {
                trend[h] + season[h]
            }
        };
        // E[level²] and by how much it exceeds the squared mean: the difference of the two would be
        // lost in rounding where the level is far above the errors.
        let mut theta: Vec<f64> = Vec::with_capacity(trend.len());
        let mut excess: Vec<f64> = Vec::with_capacity(trend.len());
        for h in 0..trend.len() {
            let mut sum = 0.0;
            for j in 1..=h {
                sum += s2 * shares[j - 1] * shares[j - 1] * theta[h - j];
            }
            excess.push(sum);
            theta.push(level(h) * level(h) + sum);
        }
        // How much the season adds, less 1.
        let mut growth = 0.0;
        (0..trend.len())
            .map(|h| {
                if h > 0 && h % m == 0 {
                    // The error m·k steps before moved both the level and this season.
                    let (c, g) = (shares[h - 1], p.gamma);
                    let both = s2 * (g * g + 4.0 * c * g) + 3.0 * (c * g * s2) * (c * g * s2);
                    let more = both / (1.0 + c * c * s2);
                    growth += more + growth * more;
                }
                if multiplies {
                    let whole = s2 + growth + s2 * growth;
                    (level(h) * level(h) * whole + excess[h] * (1.0 + whole))
                        * season[h]
                        * season[h]
                } else {
                    s2 * theta[h] + excess[h]
                }
            })
            .collect()
    }
}

impl FittedModel for FittedEts {
    fn name(&self) -> String {
        self.form.to_string()
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        check_request(horizon, levels)?;
        let steps = horizon + self.age;
        let (trend, season) = self.state.path(self.form, &self.smoothing, steps);
        let mean = trend
            .iter()
            .zip(&season)
            .skip(self.age)
            .map(|(t, s)| match self.form.season {
                SeasonForm::Multiplicative => t * s * self.scale,
                _ => (t + s) * self.scale,
            })
            .collect();
        let sd = self
            .variances(&trend, &season)
            .iter()
            .skip(self.age)
            .map(|v| v.max(0.0).sqrt() * self.scale)
            .collect();
        Forecast::student(self.name(), mean, sd, levels, self.freedom)
    }

    fn update(&mut self, y: f64) -> Result<()> {
        check_value(self.observations, y)?;
        if y.is_nan() {
            self.age += 1;
            return Ok(());
        }
        let mut state = self.state.clone();
        for value in std::iter::repeat_n(f64::NAN, self.age).chain([y / self.scale]) {
            let fault = || Error::numeric(self.form.to_string(), "the level is not positive");
            state
                .step(self.form, &self.smoothing, value)
                .ok_or_else(fault)?;
        }
        if self.form.needs_positive() && y <= 0.0 {
            return Err(Error::NotPositive {
                index: self.observations,
                value: y,
            });
        }
        self.state = state;
        self.age = 0;
        self.observations += 1;
        Ok(())
    }

    fn summary(&self) -> Summary {
        let mut params = vec![Parameter::new("alpha", self.smoothing.alpha)];
        if self.form.trend != TrendForm::None {
            params.push(Parameter::new("beta", self.smoothing.beta));
        }
        if self.form.season != SeasonForm::None {
            params.push(Parameter::new("gamma", self.smoothing.gamma));
        }
        if self.form.trend == TrendForm::Damped {
            params.push(Parameter::new("phi", self.smoothing.phi));
        }
        let unit = match self.form.error {
            ErrorForm::Additive => self.scale * self.scale,
            ErrorForm::Multiplicative => 1.0,
        };
        Summary {
            model: self.name(),
            params,
            observations: self.observations,
            sigma2: Some(self.sigma2 * unit),
            loglik: self.loglik,
            aic: self.aic,
            aicc: self.aicc,
            bic: self.bic,
            ljung_box: crate::diagnostics::ljung_box(
                &self.residuals,
                self.state.seasonal.len(),
                self.form.smoothing(),
            ),
        }
    }

    fn residuals(&self) -> &[f64] {
        &self.residuals
    }
}

#[cfg(test)]
mod tests;
