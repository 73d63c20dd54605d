//! A fixed-order ARIMA model and what fitting it gives.
//!
//! Model: see the module documentation of [`super`]. Criteria count as R's forecast 8.20 does: the
//! number of parameters includes the innovation variance, the number of observations is what is
//! left after differencing and without missing values, and sigma² divides by that number less the
//! coefficients.
//! Does not: choose orders.

use serde::{Deserialize, Serialize};

use super::estimate::{Optimum, Search, as_r_or_better, standard_errors};
use super::kalman::Filter;
use super::order::{ArimaOrder, Constant};
use super::problem::Problem;
use crate::error::{Error, Result};
use crate::least_squares::FINE;
use crate::model::{FittedModel, Model, Parameter, Summary};
use crate::output::{Forecast, Level, check_request};
use crate::series::{check_series, check_value, nullable};

/// How the coefficients are estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Exact maximum likelihood from several starting points.
    #[default]
    Ml,
    /// Conditional sum of squares; no criteria, no missing values.
    Css,
    /// Exact maximum likelihood started at the conditional sum-of-squares optimum and at white noise
    /// only: faster, and on a likelihood with several tops it can end on a lower one. With missing
    /// values it is [`Method::Ml`], as in R.
    CssMl,
}

/// A seasonal ARIMA model of fixed orders.
///
/// ```
/// use forecast::arima::{Arima, ArimaOrder};
/// use forecast::{FittedModel, Level, Model};
///
/// let y: Vec<f64> = (0..60).map(|t| f64::from(t) + f64::from(t * 7 % 5)).collect();
/// let fitted = Arima::new(ArimaOrder::new(0, 1, 1)).fit(&y)?;
/// assert_eq!(fitted.forecast(12, &[Level(80.0)])?.mean.len(), 12);
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Arima {
    order: ArimaOrder,
    method: Method,
    regressors: Vec<Vec<f64>>,
}

impl Arima {
    /// A model of these orders, estimated by exact maximum likelihood.
    #[must_use]
    pub fn new(order: ArimaOrder) -> Self {
        Self {
            order,
            method: Method::Ml,
            regressors: Vec::new(),
        }
    }

    /// The same, estimated otherwise.
    #[must_use]
    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// The same with exogenous regressors: one column each, as long as the series, all finite.
    #[must_use]
    pub fn regressors(self, regressors: Vec<Vec<f64>>) -> Self {
        Self { regressors, ..self }
    }
}

impl Model for Arima {
    type Fitted = FittedArima;

    fn name(&self) -> String {
        self.order.to_string()
    }

    fn fit(&self, y: &[f64]) -> Result<FittedArima> {
        self.order.validate()?;
        check_series(&self.name(), y, 2)?;
        let mut problem = Problem::new(y, &self.regressors, self.order)?;
        if problem.is_degenerate() {
            return FittedArima::degenerate(&mut problem, self.method, self.regressors.len());
        }
        let mut search = Search::default();
        let white = vec![0.0; self.order.coefficients()];
        let method = match self.method {
            // As in R: the conditional sum has no place for a missing value.
            Method::CssMl if !problem.allows_conditional() => Method::Ml,
            method => method,
        };
        let found = match method {
            Method::Ml => as_r_or_better(&mut search, &mut problem),
            Method::Css if !problem.allows_conditional() => {
                let what = "conditional sum of squares on this series (missing or too few values)";
                return Err(Error::Unsupported {
                    what: what.to_owned(),
                });
            }
            Method::Css => search.conditional(&mut problem),
            Method::CssMl => {
                let start = search.conditional(&mut problem);
                [start.map(|found| found.x), Some(white)]
                    .into_iter()
                    .flatten()
                    .filter_map(|start| search.from(&mut problem, &start, FINE, false))
                    .min_by(|a, b| a.evaluation.value.total_cmp(&b.evaluation.value))
            }
        };
        let found =
            found.ok_or_else(|| Error::numeric(self.name(), "no finite likelihood was found"))?;
        FittedArima::conclude(&mut problem, &found, self.method, self.regressors.len())
    }
}

/// A fitted ARIMA model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedArima {
    order: ArimaOrder,
    method: Method,
    params: Vec<Parameter>,
    /// Number of ARMA coefficients in `params`; the rest are regression coefficients.
    arma: usize,
    /// Number of exogenous regressors, the last of `params`.
    regressors: usize,
    sigma2: f64,
    loglik: Option<f64>,
    aic: Option<f64>,
    aicc: Option<f64>,
    bic: Option<f64>,
    used: usize,
    /// Observations seen so far, missing ones included: the time of the drift.
    time: usize,
    filter: Filter,
    #[serde(with = "nullable")]
    residuals: Vec<f64>,
}

/// Akaike's criterion, its small-sample form and the Bayesian one, where they exist.
pub(crate) fn criteria(loglik: f64, parameters: usize, n: usize) -> [Option<f64>; 3] {
    let (k, size) = (parameters as f64, n as f64);
    let aic = 2.0 * k - 2.0 * loglik;
    let aicc = (n > parameters + 1).then(|| aic + 2.0 * k * (k + 1.0) / (size - k - 1.0));
    [Some(aic), aicc, Some(aic + k * (libm::log(size) - 2.0))]
}

impl FittedArima {
    pub(crate) fn conclude(
        problem: &mut Problem,
        found: &Optimum,
        method: Method,
        regressors: usize,
    ) -> Result<Self> {
        let order = problem.order;
        let errors = if method == Method::Css {
            vec![None; found.coefficients.len() + found.beta.len()]
        } else {
            standard_errors(problem, found)
        };
        let fault = || Error::numeric(order.to_string(), "the filter broke down at the optimum");
        let (filter, residuals, squares) = problem
            .run_filter(&found.coefficients, &found.beta)
            .ok_or_else(fault)?;
        let letters = [
            ("ar", order.p),
            ("ma", order.q),
            ("sar", order.seasonal_p),
            ("sma", order.seasonal_q),
        ];
        let names = letters
            .iter()
            .flat_map(|(letter, count)| (1..=*count).map(move |i| format!("{letter}{i}")))
            .chain(problem.names.iter().cloned());
        let values = found.coefficients.iter().chain(&found.beta);
        let params: Vec<Parameter> = names
            .zip(values)
            .zip(errors)
            .map(|((name, value), se)| Parameter {
                name,
                value: *value,
                se,
            })
            .collect();
        let used = problem.used;
        let freedom = used.saturating_sub(params.len()).max(1);
        let squares = match method {
            // R divides the conditional sum of squares, which has fewer terms, by the same number.
            Method::Css => found.evaluation.variance * problem.conditional_count() as f64,
            Method::Ml | Method::CssMl => squares,
        };
        let loglik = problem.loglik(found.evaluation);
        let [aic, aicc, bic] = match method {
            Method::Css => [None; 3],
            Method::Ml | Method::CssMl => criteria(loglik, params.len() + 1, used),
        };
        Ok(Self {
            order,
            method,
            params,
            arma: found.coefficients.len(),
            regressors,
            sigma2: squares / freedom as f64,
            loglik: Some(loglik),
            aic,
            aicc,
            bic,
            used,
            time: residuals.len(),
            filter,
            residuals,
        })
    }

    /// A series that differencing and regression explain without error: no likelihood, all ARMA
    /// coefficients 0, intervals of no width.
    pub(crate) fn degenerate(
        problem: &mut Problem,
        method: Method,
        regressors: usize,
    ) -> Result<Self> {
        let order = problem.order;
        let zeros = vec![0.0; order.coefficients()];
        let fault = || Error::numeric(order.to_string(), "the series does not vary");
        let evaluation = problem.evaluate(&zeros);
        let mut beta = problem.beta.clone();
        beta.resize(problem.names.len(), 0.0);
        // log 0 stops the evaluation, but the regression is done by then.
        let evaluation = evaluation.unwrap_or(super::problem::Evaluation {
            value: 0.0,
            variance: 0.0,
        });
        let found = Optimum {
            x: zeros.clone(),
            coefficients: zeros,
            evaluation,
            beta,
        };
        let mut fitted =
            Self::conclude(problem, &found, Method::Css, regressors).map_err(|_| fault())?;
        fitted.method = method;
        fitted.sigma2 = 0.0;
        fitted.loglik = None;
        Ok(fitted)
    }

    /// The orders fitted.
    #[must_use]
    pub fn order(&self) -> ArimaOrder {
        self.order
    }

    /// Estimates in the order φ, θ, Φ, Θ, intercept, drift, regressors.
    #[must_use]
    pub fn params(&self) -> &[Parameter] {
        &self.params
    }

    /// AICc of the fit; None when there are too few observations for it or the method has none.
    #[must_use]
    pub fn aicc(&self) -> Option<f64> {
        self.aicc
    }

    /// Contribution of the constant and the regressors at `time` (from 1).
    fn regression(&self, time: usize, regressors: &[f64]) -> f64 {
        let mut exogenous = regressors.iter();
        self.params[self.arma..]
            .iter()
            .map(|param| match param.name.as_str() {
                "intercept" => param.value,
                "drift" => param.value * time as f64,
                _ => param.value * exogenous.next().copied().unwrap_or(0.0),
            })
            .sum()
    }

    /// As [`FittedModel::forecast`], given the regressors' future: one row per step, one value per
    /// regressor.
    ///
    /// # Errors
    /// As there, and when the rows do not match the horizon or the number of regressors.
    pub fn forecast_with(
        &self,
        horizon: usize,
        levels: &[Level],
        regressors: &[Vec<f64>],
    ) -> Result<Forecast> {
        check_request(horizon, levels)?;
        let rows = if self.regressors == 0 { 0 } else { horizon };
        if regressors.len() != rows || regressors.iter().any(|row| row.len() != self.regressors) {
            let reason = format!("expected {rows} rows of {} values", self.regressors);
            return Err(Error::argument("regressors", reason));
        }
        let (mut mean, variance) = self.filter.forecast(horizon);
        for (step, value) in mean.iter_mut().enumerate() {
            let row = regressors.get(step).map_or(&[][..], Vec::as_slice);
            *value += self.regression(self.time + step + 1, row);
        }
        let sd = variance.iter().map(|v| (v * self.sigma2).sqrt()).collect();
        let freedom = self.used.saturating_sub(self.params.len());
        Forecast::student(self.name(), mean, sd, levels, freedom)
    }

    /// As [`FittedModel::update`], given the regressors at the time of the observation.
    ///
    /// # Errors
    /// A value that is not finite, or a wrong number of regressors.
    pub fn update_with(&mut self, y: f64, regressors: &[f64]) -> Result<()> {
        check_value(self.time, y)?;
        if regressors.len() != self.regressors {
            let reason = format!(
                "expected {} values, got {}",
                self.regressors,
                regressors.len()
            );
            return Err(Error::argument("regressors", reason));
        }
        self.time += 1;
        let rest = y - self.regression(self.time, regressors);
        self.filter.step(rest);
        Ok(())
    }
}

impl FittedModel for FittedArima {
    fn name(&self) -> String {
        self.order.to_string()
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        if self.regressors > 0 {
            let what = "a forecast without the regressors' future".to_owned();
            return Err(Error::Unsupported { what });
        }
        self.forecast_with(horizon, levels, &[])
    }

    fn update(&mut self, y: f64) -> Result<()> {
        if self.regressors > 0 {
            let what = "an update without the regressors' values".to_owned();
            return Err(Error::Unsupported { what });
        }
        self.update_with(y, &[])
    }

    fn summary(&self) -> Summary {
        Summary {
            model: self.name(),
            params: self.params.clone(),
            observations: self.used,
            sigma2: Some(self.sigma2),
            loglik: self.loglik,
            aic: self.aic,
            aicc: self.aicc,
            bic: self.bic,
            ljung_box: crate::diagnostics::ljung_box(&self.residuals, self.order.season, self.arma),
        }
    }

    fn residuals(&self) -> &[f64] {
        &self.residuals
    }
}

impl FittedArima {
    /// Whether the model has a constant term.
    #[must_use]
    pub fn constant(&self) -> Constant {
        self.order.constant
    }
}
