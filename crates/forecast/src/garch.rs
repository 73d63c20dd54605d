//! GARCH(1,1): a random walk with drift whose steps come in calm and stormy spells.
//!
//! Model: y(t) − y(t − 1) = μ + e(t), e(t) = σ(t)·z(t), σ²(t) = ω + α·e²(t − 1) + β·σ²(t − 1), z
//! standard normal or Student-t scaled to variance 1 (Bollerslev 1986, J. Econometrics 31; 1987,
//! Rev. Econ. Stat. 69). On log prices the steps are returns. μ is the mean step; ω, α, β (and the
//! degrees of freedom ν) maximise the likelihood, with α + β < 1 and σ²(1) the sample variance.
//! Forecasts are those of the walk; their variance is the sum of the expected variances of the
//! steps. With Student-t errors the bounds use t quantiles whose degrees of freedom grow with the
//! horizon as the kurtosis of a sum of independent steps falls (exact at one step).
//! A price that mostly stands still takes few values of step; the density of a t with few degrees of
//! freedom grows without bound there, at a variance that says nothing. So Student-t is no candidate
//! where one step makes up more than a third of all, or where ν ends at its lower bound.
//! Does not: model the mean of the returns beyond μ.

use serde::{Deserialize, Serialize};

use crate::arima::criteria;
use crate::distribution::{normal_quantile, student_t_quantile};
use crate::error::{Error, Result};
use crate::model::{FittedModel, Model, Parameter, Summary};
use crate::nelder_mead::minimise;
use crate::output::{Forecast, Level, check_request};
use crate::series::{check_series, check_value, nullable, step_rounding};

/// Distribution of the standardised steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Errors {
    /// Standard normal.
    Normal,
    /// Student's t with estimated degrees of freedom above 2, scaled to variance 1.
    StudentT,
    /// Whichever of the two has the lower AICc.
    Best,
}

/// A GARCH(1,1) random walk with drift.
///
/// ```
/// use forecast::garch::{Errors, Garch};
/// use forecast::Model;
///
/// let y: Vec<f64> = (0..60).map(|t| f64::from(t * t % 17)).collect();
/// let fitted = Garch { errors: Errors::Normal }.fit(&y)?;
/// let variances = fitted.step_variances(5);
/// assert!(variances.iter().all(|variance| *variance > 0.0));
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garch {
    /// Distribution of the standardised steps.
    pub errors: Errors,
}

/// A fitted GARCH(1,1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedGarch {
    mu: f64,
    omega: f64,
    alpha: f64,
    beta: f64,
    /// Degrees of freedom; none for normal errors.
    nu: Option<f64>,
    last: f64,
    /// Steps since the last value was observed.
    age: usize,
    /// Variance of the next step.
    next_variance: f64,
    loglik: Option<f64>,
    criteria: [Option<f64>; 3],
    observations: usize,
    #[serde(with = "nullable")]
    residuals: Vec<f64>,
}

const NEEDED: usize = 20;

/// Drift and the three parameters of the variance.
const PARAMETERS: usize = 4;

/// Degrees of freedom below which a likelihood counts as degenerate: the search's own bound is 2.05.
const DEGENERATE_NU: f64 = 2.2;

/// Parameters of the variance in units of the sample variance.
#[derive(Debug, Clone, Copy)]
struct Shape {
    omega: f64,
    alpha: f64,
    beta: f64,
    nu: Option<f64>,
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

impl Shape {
    fn from_unbounded(x: &[f64]) -> Self {
        let persistence = 0.99995 * logistic(x[1]);
        let alpha = persistence * logistic(x[2]);
        Self {
            omega: libm::exp(x[0].clamp(-12.0, 6.0)) * (1.0 - persistence),
            alpha,
            beta: persistence - alpha,
            nu: x.get(3).map(|v| 2.05 + libm::exp(v.clamp(-5.0, 5.0))),
        }
    }

    /// −log-likelihood per observation, up to no constant, of steps with unit sample variance.
    fn cost(&self, steps: &[f64]) -> f64 {
        let mut variance = 1.0;
        let mut sum = 0.0;
        let mut count = 0.0;
        let mut product = crate::arima::innovations::LogProduct::new();
        let mut tails = crate::arima::innovations::LogProduct::new();
        for &e in steps {
            if e.is_nan() {
                variance = self.omega + (self.alpha + self.beta) * variance;
                continue;
            }
            count += 1.0;
            let square = e * e;
            product.push(variance);
            match self.nu {
                None => sum += square / variance,
                Some(nu) => tails.push(1.0 + square / (variance * (nu - 2.0))),
            }
            variance = self.omega + self.alpha * square + self.beta * variance;
            if !(variance > 1e-12 && variance < 1e12) {
                return f64::INFINITY;
            }
        }
        sum += self.nu.map_or(0.0, |nu| (nu + 1.0) * tails.log());
        let constant = match self.nu {
            None => libm::log(2.0 * std::f64::consts::PI),
            Some(nu) => {
                2.0 * (libm::lgamma(0.5 * nu) - libm::lgamma(0.5 * (nu + 1.0)))
                    + libm::log(std::f64::consts::PI * (nu - 2.0))
            }
        };
        0.5 * (constant + (product.log() + sum) / count)
    }
}

impl Model for Garch {
    type Fitted = FittedGarch;

    fn name(&self) -> String {
        "garch".to_owned()
    }

    fn fit(&self, y: &[f64]) -> Result<FittedGarch> {
        let observations = check_series("garch", y, NEEDED)?;
        let mut residuals = vec![f64::NAN; y.len()];
        for t in 1..y.len() {
            residuals[t] = y[t] - y[t - 1];
        }
        let present = || residuals.iter().copied().filter(|v| !v.is_nan());
        let count = present().count();
        if count < NEEDED - 1 {
            let reason = format!("needs {} pairs of neighbouring observations", NEEDED - 1);
            return Err(Error::numeric("garch", reason));
        }
        let n = count as f64;
        let mu = present().sum::<f64>() / n;
        residuals.iter_mut().for_each(|v| *v -= mu);
        let variance = residuals
            .iter()
            .filter(|v| !v.is_nan())
            .map(|v| v * v)
            .sum::<f64>()
            / n;
        let age = y.iter().rev().take_while(|v| v.is_nan()).count();
        let mut fitted = FittedGarch {
            mu,
            omega: variance,
            alpha: 0.0,
            beta: 0.0,
            nu: None,
            last: y[y.len() - 1 - age],
            age,
            next_variance: variance,
            loglik: None,
            criteria: [None; 3],
            observations,
            residuals,
        };
        let size = y
            .iter()
            .filter(|v| !v.is_nan())
            .fold(0.0, |a: f64, v| a.max(v.abs()));
        if variance.sqrt() <= 1e-14 * size {
            return Ok(fitted);
        }
        let unit = variance.sqrt();
        let steps: Vec<f64> = fitted.residuals[1..].iter().map(|v| v / unit).collect();
        let kinds: &[bool] = match self.errors {
            Errors::Normal => &[false],
            Errors::StudentT => &[true],
            Errors::Best if share_of_ties(&steps, step_rounding(y) / unit) > 1.0 / 3.0 => &[false],
            Errors::Best => &[false, true],
        };
        let mut best: Option<(f64, Shape, f64, [Option<f64>; 3])> = None;
        for &student in kinds {
            let Some((cost, shape)) = search(&steps, student) else {
                continue;
            };
            if self.errors == Errors::Best && shape.nu.is_some_and(|nu| nu < DEGENERATE_NU) {
                continue;
            }
            let loglik = -n * (cost + libm::log(unit));
            let found = criteria(loglik, PARAMETERS + usize::from(student), count);
            let value = found[1].or(found[0]).unwrap_or(f64::INFINITY);
            if best.as_ref().is_none_or(|(lowest, ..)| value < *lowest) {
                best = Some((value, shape, loglik, found));
            }
        }
        let (_, shape, loglik, found) =
            best.ok_or_else(|| Error::numeric("garch", "no finite likelihood was found"))?;
        fitted.omega = shape.omega * variance;
        fitted.alpha = shape.alpha;
        fitted.beta = shape.beta;
        fitted.nu = shape.nu;
        fitted.loglik = Some(loglik);
        fitted.criteria = found;
        for t in 1..fitted.residuals.len() {
            let e = fitted.residuals[t];
            fitted.next_variance = fitted.following(fitted.next_variance, e);
        }
        Ok(fitted)
    }
}

/// Share of the most frequent value among the steps that are not missing; those are the same that lie no
/// more than `rounding` apart.
fn share_of_ties(steps: &[f64], rounding: f64) -> f64 {
    let mut sorted: Vec<f64> = steps.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let most = sorted
        .chunk_by(|a, b| b - a <= rounding)
        .map(<[f64]>::len)
        .max()
        .unwrap_or(0);
    most as f64 / sorted.len().max(1) as f64
}

/// The best of several starts.
fn search(steps: &[f64], student: bool) -> Option<(f64, Shape)> {
    let mut best: Option<(f64, Vec<f64>)> = None;
    for [level, persistence, share] in [[0.0, 3.0, -2.0], [0.0, 1.0, -1.0], [-0.5, 4.5, -3.0]] {
        let mut x = vec![level, persistence, share];
        if student {
            x.push(1.5);
        }
        let value = minimise(&mut x, 0.7, 400, 1e-9, |x| {
            Shape::from_unbounded(x).cost(steps)
        });
        if value.is_finite() && best.as_ref().is_none_or(|(lowest, _)| value < *lowest) {
            best = Some((value, x));
        }
    }
    best.map(|(value, x)| (value, Shape::from_unbounded(&x)))
}

impl FittedGarch {
    /// Variance of the step after one of variance `variance` that turned out as `e` (NaN:
    /// unknown).
    fn following(&self, variance: f64, e: f64) -> f64 {
        let square = if e.is_nan() { variance } else { e * e };
        self.omega + self.alpha * square + self.beta * variance
    }

    /// Expected variance of each of the next `horizon` steps: the term structure of volatility.
    #[must_use]
    pub fn step_variances(&self, horizon: usize) -> Vec<f64> {
        let mut variance = self.next_variance;
        (0..horizon)
            .map(|_| {
                let now = variance;
                variance = self.omega + (self.alpha + self.beta) * variance;
                now
            })
            .collect()
    }

    /// Degrees of freedom of the Student-t errors; None for normal ones.
    #[must_use]
    pub fn degrees_of_freedom(&self) -> Option<f64> {
        self.nu
    }

    /// Quantile of a sum of `steps` standardised steps, scaled to variance 1.
    fn quantile(&self, probability: f64, steps: usize) -> f64 {
        match self.nu {
            None => normal_quantile(probability),
            Some(nu) => {
                // Excess kurtosis 6/(ν − 4) falls as 1/steps, so ν − 4 grows in proportion.
                let df = nu + (steps - 1) as f64 * (nu - 4.0).max(1.0);
                if df > 1e6 {
                    return normal_quantile(probability);
                }
                student_t_quantile(probability, df) * ((df - 2.0) / df).sqrt()
            }
        }
    }
}

impl FittedModel for FittedGarch {
    fn name(&self) -> String {
        match self.nu {
            None => "garch".to_owned(),
            Some(_) => "garch(t)".to_owned(),
        }
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        check_request(horizon, levels)?;
        let mut total: f64 = 0.0;
        let known: Vec<f64> = self
            .step_variances(horizon + self.age)
            .iter()
            .map(|v| {
                total += v;
                total.sqrt()
            })
            .collect();
        let sd = known[self.age..].to_vec();
        let mean: Vec<f64> = (1..=horizon)
            .map(|h| self.last + (h + self.age) as f64 * self.mu)
            .collect();
        let freedom = self.observations.saturating_sub(PARAMETERS);
        let mut forecast = Forecast::student(self.name(), mean, sd, levels, freedom)?;
        if self.nu.is_some()
            && let Some(sd) = &forecast.sd
        {
            for band in &mut forecast.intervals {
                let p = band.level.upper_probability();
                let mut widest: f64 = 0.0;
                for (h, sd) in sd.iter().enumerate() {
                    // The fan of a walk does not narrow.
                    widest = widest.max(self.quantile(p, h + self.age + 1) * sd);
                    band.lower[h] = forecast.mean[h] - widest;
                    band.upper[h] = forecast.mean[h] + widest;
                }
            }
        }
        forecast.checked()
    }

    fn update(&mut self, y: f64) -> Result<()> {
        check_value(self.observations, y)?;
        if y.is_nan() {
            self.age += 1;
            return Ok(());
        }
        if self.age == 0 {
            let e = y - self.last - self.mu;
            self.next_variance = self.following(self.next_variance, e);
        } else {
            for _ in 0..=self.age {
                self.next_variance = self.following(self.next_variance, f64::NAN);
            }
        }
        self.last = y;
        self.age = 0;
        self.observations += 1;
        Ok(())
    }

    fn summary(&self) -> Summary {
        let mut params = vec![
            Parameter::new("mu", self.mu),
            Parameter::new("omega", self.omega),
            Parameter::new("alpha1", self.alpha),
            Parameter::new("beta1", self.beta),
        ];
        params.extend(self.nu.map(|nu| Parameter::new("shape", nu)));
        let [aic, aicc, bic] = self.criteria;
        Summary {
            model: self.name(),
            params,
            observations: self.observations,
            sigma2: Some(self.next_variance),
            loglik: self.loglik,
            aic,
            aicc,
            bic,
            ljung_box: crate::diagnostics::ljung_box(&self.residuals, 1, 0),
        }
    }

    fn residuals(&self) -> &[f64] {
        &self.residuals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A GARCH path from a fixed generator; steps are sums of uniform numbers.
    fn path(n: usize, alpha: f64, beta: f64) -> Vec<f64> {
        let mut noise = testing::Lcg::new(9, 99);
        let (mut y, mut variance, mut last) = (vec![0.0], 1.0, 0.0);
        for _ in 1..n {
            variance = 1.0 - alpha - beta + alpha * last * last + beta * variance;
            last = f64::sqrt(variance) * noise.normal();
            y.push(y[y.len() - 1] + last);
        }
        y
    }

    #[test]
    fn the_parameters_of_a_long_path_are_found() {
        let fitted = Garch {
            errors: Errors::Normal,
        }
        .fit(&path(8000, 0.1, 0.8))
        .unwrap();
        assert!((fitted.alpha - 0.1).abs() < 0.03, "{}", fitted.alpha);
        assert!((fitted.beta - 0.8).abs() < 0.06, "{}", fitted.beta);
    }

    #[test]
    fn an_update_gives_the_variance_of_the_longer_series() {
        let y = path(300, 0.2, 0.7);
        let mut fitted = Garch {
            errors: Errors::StudentT,
        }
        .fit(&y[..299])
        .unwrap();
        let e = y[299] - y[298] - fitted.mu;
        let want = fitted.omega + fitted.alpha * e * e + fitted.beta * fitted.next_variance;
        fitted.update(y[299]).unwrap();
        assert_eq!(fitted.next_variance, want);
    }

    #[test]
    fn a_series_without_steps_has_no_width() {
        let fitted = Garch {
            errors: Errors::Best,
        }
        .fit(&[3.0; 40])
        .unwrap();
        let f = fitted.forecast(3, &[Level(95.0)]).unwrap();
        assert_eq!(f.intervals[0].upper, [3.0; 3]);
    }
}
