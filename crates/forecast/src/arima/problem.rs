//! The objective of an ARIMA fit: the likelihood with regressors and variance concentrated out.
//!
//! Model: for given ARMA coefficients the standardised innovations of the series and of its
//! regressors are linked by ordinary least squares, so the regression coefficients (mean, drift,
//! exogenous) are exact at every evaluation and only the ARMA coefficients are searched. What is
//! left, −2·loglik/n = log(Σv²/F/n) + Σlog F/n + const, is itself a sum of squares of scaled
//! innovations: a non-linear least-squares problem. Everything is scaled to unit size first.
//! Does not: search (see [`crate::least_squares`]).

use super::innovations::{DIFFUSE, Determinant, Innovations, LogProduct};
use super::kalman::Filter;
use super::order::{ArimaOrder, Constant};
use super::polynomial::{Arma, difference, difference_polynomial};
use super::prior::{COUNTED, HELD, is_within, pull, squares_of_head};
use super::scale::{is_flat, root_mean_square};
use crate::cancel;
use crate::error::{Error, Result};
use crate::least_squares::dot;

/// Squared state dimension times length above which the full filter counts as heavy.
pub(crate) const HEAVY: usize = 150_000;

/// A series, its regressors and its orders, ready to be evaluated.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub order: ArimaOrder,
    pub names: Vec<String>,
    /// Series and regressors as given, leading missing values removed.
    raw: Vec<Vec<f64>>,
    /// What is filtered: differenced when complete, raw when values are missing; scaled.
    columns: Vec<Vec<f64>>,
    scales: Vec<f64>,
    /// Whether the values before the series have R's prior (see [`super::prior`]).
    prior: bool,
    /// Whether the first values count as residuals, as in R.
    counted: bool,
    /// Of each column of a complete series, what that prior says about its start.
    pulls: Vec<Vec<f64>>,
    /// Whether diffuse observations are in the regression, with the little weight that their
    /// variance leaves; they are not in the likelihood, so that its regression leaves them out.
    /// Next to a unit root it is they that determine the mean: without them one thousands of standard
    /// deviations away can be as likely as any.
    pub diffuse_in_regression: bool,
    /// Number of leading missing values removed.
    pub skipped: usize,
    complete: bool,
    /// Number of observations in the likelihood.
    pub used: usize,
    arma: Arma,
    delta: Vec<f64>,
    engine: Innovations,
    output: Vec<Vec<f64>>,
    /// Regression coefficients of the last evaluation, in the units of the series.
    pub beta: Vec<f64>,
}

/// One evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Evaluation {
    /// log(Σv²/F/n) + Σlog F/n, of the scaled series: what is minimised.
    pub value: f64,
    /// Σv²/F/n in the units of the series: the likelihood estimate of the innovation variance.
    pub variance: f64,
}

impl Problem {
    /// Prepares a fit of `y` on the constant of `order` and on `regressors` (each as long as `y`).
    pub fn new(y: &[f64], regressors: &[Vec<f64>], order: ArimaOrder) -> Result<Self> {
        let skipped = y.iter().take_while(|v| v.is_nan()).count();
        let n = y.len() - skipped;
        let mut names = Vec::new();
        let mut raw = vec![y[skipped..].to_vec()];
        let undifferenced = order.d + order.seasonal_d == 0;
        if order.constant != Constant::None && undifferenced {
            names.push("intercept".to_owned());
            raw.push(vec![1.0; n]);
        }
        if order.constant == Constant::Drift {
            names.push("drift".to_owned());
            raw.push((1..=n).map(|t| (t + skipped) as f64).collect());
        }
        for (index, column) in regressors.iter().enumerate() {
            if column.len() != y.len() || column.iter().any(|v| !v.is_finite()) {
                let reason = format!("column {index} needs {} finite values", y.len());
                return Err(Error::argument("regressors", reason));
            }
            names.push(format!("xreg{}", index + 1));
            raw.push(column[skipped..].to_vec());
        }
        let present = raw[0].iter().filter(|v| !v.is_nan()).count();
        let lost = order.lost();
        let needed = lost + order.coefficients() + names.len() + 1;
        if present < needed.max(2) {
            return Err(Error::TooShort {
                model: order.to_string(),
                needed: needed.max(2),
                got: present,
            });
        }
        let complete = present == n;
        let delta = difference_polynomial(&order);
        let (mut prior, mut counted) = (lost > 0, true);
        let mut pulls = Vec::new();
        let mut columns = Vec::with_capacity(raw.len());
        let mut scales = Vec::with_capacity(raw.len());
        for column in &raw {
            let differenced = difference(column, &order);
            let mut scale = root_mean_square(&differenced);
            if columns.is_empty() && scale > 0.0 {
                prior &= is_within(HELD, &column[..lost], scale);
                counted = is_within(COUNTED, &column[..lost], scale);
            } else if columns.is_empty() {
                // No difference to compare with: all 0, or none without a missing value.
                prior &= differenced.iter().all(|v| v.is_nan()) && !is_flat(column);
            }
            if scale.is_nan() || scale <= 0.0 {
                scale = root_mean_square(column);
            }
            if scale.is_nan() || scale <= 0.0 {
                scale = 1.0;
            }
            if complete && prior {
                let mut pull = pull(&column[..lost], &delta);
                pull.iter_mut().for_each(|v| *v /= scale);
                pulls.push(pull);
            }
            let mut scaled = if complete {
                differenced
            } else {
                column.clone()
            };
            // A constant offset is annihilated by differencing; taking it out keeps the digits.
            let offset = if complete || undifferenced || prior {
                0.0
            } else {
                column[0]
            };
            scaled.iter_mut().for_each(|v| *v = (*v - offset) / scale);
            columns.push(scaled);
            scales.push(scale);
        }
        let output = columns.clone();
        Ok(Self {
            order,
            names,
            raw,
            columns,
            scales,
            prior,
            counted: counted && prior,
            pulls,
            diffuse_in_regression: false,
            skipped,
            complete,
            used: present - lost,
            arma: Arma::new(&order),
            delta,
            engine: Innovations::default(),
            output,
            beta: Vec::new(),
        })
    }

    /// The same data with other ARMA orders: differences and constant must agree.
    pub fn reorder(&mut self, order: ArimaOrder) {
        self.order = order;
        self.arma = Arma::new(&order);
    }

    /// True when nothing is left to explain after differencing and regression.
    pub fn is_degenerate(&mut self) -> bool {
        let size = self.raw[0]
            .iter()
            .filter(|v| !v.is_nan())
            .fold(0.0, |a: f64, v| a.max(v.abs()));
        let white = ArimaOrder {
            p: 0,
            q: 0,
            seasonal_p: 0,
            seasonal_q: 0,
            ..self.order
        };
        let order = std::mem::replace(&mut self.order, white);
        self.arma = Arma::new(&white);
        let found = self.evaluate(&[]);
        self.reorder(order);
        match found {
            Some(found) => found.variance.sqrt() <= 1e-14 * size,
            // Not even white noise has a likelihood: the errors are exactly 0.
            None => true,
        }
    }

    /// Innovation variance and objective at these ARMA coefficients (φ, θ, Φ, Θ); the scaled
    /// innovations are in [`Self::take_errors`] after it. None outside the stationary region.
    pub fn evaluate(&mut self, coefficients: &[f64]) -> Option<Evaluation> {
        let determinant = self.filter(coefficients)?;
        self.conclude(determinant)
    }

    /// Leaves the standardised innovations of every column in `output`.
    fn filter(&mut self, coefficients: &[f64]) -> Option<Determinant> {
        if cancel::requested() {
            return None;
        }
        self.arma.expand(&self.order, coefficients);
        if self.complete {
            self.engine
                .run(&self.arma, &self.columns, &self.pulls, &mut self.output)
        } else {
            self.filter_missing()
        }
    }

    /// As [`Self::evaluate`] by conditional sum of squares: the first p + P·m differences are given
    /// and the innovations before them are 0.
    pub fn evaluate_conditional(&mut self, coefficients: &[f64]) -> Option<Evaluation> {
        self.arma.expand(&self.order, coefficients);
        let (p, q) = (self.arma.p, self.arma.q);
        let n = self.columns[0].len();
        for (x, e) in self.columns.iter().zip(&mut self.output) {
            e.clear();
            e.resize(n, 0.0);
            for t in p..n {
                let mut value = x[t];
                for i in 0..p {
                    value -= self.arma.phi[i] * x[t - 1 - i];
                }
                for j in 0..q.min(t - p) {
                    value -= self.arma.theta[j] * e[t - 1 - j];
                }
                e[t] = value;
            }
        }
        self.conclude(Determinant {
            log: 0.0,
            count: n - p,
            diffuse: Vec::new(),
        })
    }

    /// Whether every evaluation is a full Kalman filter with a large state over a long series.
    pub fn is_heavy(&self) -> bool {
        self.weight() > HEAVY
    }

    /// Whether conditional sum of squares can be used.
    pub fn allows_conditional(&self) -> bool {
        self.complete && self.columns[0].len() > self.arma.p + self.order.coefficients()
    }

    /// Number of terms of the conditional sum of squares.
    pub fn conditional_count(&self) -> usize {
        self.columns[0].len().saturating_sub(self.arma.p)
    }

    /// Swaps the scaled innovations of the last evaluation into `errors`.
    pub fn take_errors(&mut self, errors: &mut Vec<f64>) {
        std::mem::swap(&mut self.output[0], errors);
        self.output[0].resize(self.columns[0].len(), 0.0);
    }

    /// Variance of the first observation in innovation variances, at these ARMA coefficients.
    pub fn start_variance(&mut self, coefficients: &[f64]) -> Option<f64> {
        self.arma.expand(&self.order, coefficients);
        let mut stationary = super::stationary::Stationary::default();
        stationary
            .first_column(&self.arma)
            .then(|| stationary.column[0])
    }

    /// The full state-space filter, for series with missing values.
    fn filter_missing(&mut self) -> Option<Determinant> {
        let lost = self.delta.len();
        let known = !self.prior && self.columns[0][..lost].iter().all(|v| !v.is_nan());
        let start = if known { lost } else { 0 };
        let mut filters = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            filters.push(Filter::new(&self.arma, &self.delta, &column[..start])?);
        }
        self.output.iter_mut().for_each(|column| column.fill(0.0));
        let mut log = LogProduct::new();
        let mut count = 0;
        let mut diffuse = Vec::new();
        for t in start..self.columns[0].len() {
            if cancel::requested() {
                return None;
            }
            let missing = self.columns[0][t].is_nan();
            for (c, filter) in filters.iter_mut().enumerate() {
                let y = if missing {
                    f64::NAN
                } else {
                    self.columns[c][t]
                };
                let Some(found) = filter.step(y) else {
                    continue;
                };
                self.output[c][t] = found.error / found.variance.sqrt();
                if c > 0 {
                    continue;
                }
                if found.variance < DIFFUSE {
                    log.push(found.variance);
                    count += 1;
                } else {
                    diffuse.push(t);
                }
            }
        }
        Some(Determinant {
            log: log.log(),
            count,
            diffuse,
        })
    }

    /// Least squares of the series' innovations on those of the regressors (modified
    /// Gram–Schmidt), then the scaling that makes the objective a sum of squares.
    fn conclude(&mut self, determinant: Determinant) -> Option<Evaluation> {
        if determinant.count == 0 {
            return None;
        }
        if !self.diffuse_in_regression {
            for column in &mut self.output {
                determinant.diffuse.iter().for_each(|t| column[*t] = 0.0);
            }
        }
        let (series, regressors) = self.output.split_at_mut(1);
        let y = &mut series[0];
        let k = regressors.len();
        let mut upper = vec![0.0; k * k];
        self.beta.clear();
        for j in 0..k {
            let (before, rest) = regressors.split_at_mut(j);
            let column = &mut rest[0];
            let size = dot(column, column);
            for (i, basis) in before.iter().enumerate() {
                let norm = dot(basis, basis);
                let share = if norm > 0.0 {
                    dot(basis, column) / norm
                } else {
                    0.0
                };
                upper[i * k + j] = share;
                for (value, base) in column.iter_mut().zip(basis) {
                    *value -= share * base;
                }
            }
            let norm = dot(column, column);
            let share = if norm > 1e-20 * size {
                dot(column, y) / norm
            } else {
                column.fill(0.0);
                0.0
            };
            for (value, base) in y.iter_mut().zip(column.iter()) {
                *value -= share * base;
            }
            self.beta.push(share);
        }
        for t in &determinant.diffuse {
            y[*t] = 0.0;
        }
        for j in (0..k).rev() {
            for i in 0..j {
                self.beta[i] -= upper[i * k + j] * self.beta[j];
            }
        }
        for (j, beta) in self.beta.iter_mut().enumerate() {
            *beta *= self.scales[0] / self.scales[j + 1];
        }
        let n = determinant.count as f64;
        let variance = dot(y, y) / n;
        let mean_log = determinant.log / n;
        let factor = (libm::exp(mean_log) / n).sqrt();
        y.iter_mut().for_each(|v| *v *= factor);
        let value = libm::log(variance) + mean_log;
        let variance = variance * self.scales[0] * self.scales[0];
        value.is_finite().then_some(Evaluation { value, variance })
    }

    /// Log-likelihood of an evaluation, of the series in its own units.
    pub fn loglik(&self, evaluation: Evaluation) -> f64 {
        let n = self.used as f64;
        let per_observation = evaluation.value
            + 2.0 * libm::log(self.scales[0])
            + 1.0
            + libm::log(2.0 * std::f64::consts::PI);
        -0.5 * n * per_observation
    }

    /// Runs the full filter over the series less its regression, in the units of the series.
    /// Gives the filter after the last observation, and for each observation the standardised
    /// residual v/√F (NaN when missing, diffuse or used up by differencing), leading missing ones
    /// included; and the sum of squares of those that R counts, which are all that it has.
    pub fn run_filter(
        &mut self,
        coefficients: &[f64],
        beta: &[f64],
    ) -> Option<(Filter, Vec<f64>, f64)> {
        self.arma.expand(&self.order, coefficients);
        let rest = |t: usize| {
            let fitted: f64 = beta
                .iter()
                .zip(&self.raw[1..])
                .map(|(b, column)| b * column[t])
                .sum();
            self.raw[0][t] - fitted
        };
        let n = self.raw[0].len();
        let lost = self.delta.len();
        let head: Vec<f64> = (0..lost).map(rest).collect();
        let known = head.iter().all(|v| !v.is_nan());
        let start = if known { lost } else { 0 };
        let mut filter = Filter::new(&self.arma, &self.delta, &head[..start])?;
        let mut squares = 0.0;
        if known && self.prior {
            filter.lean(&self.arma, &pull(&head, &self.delta))?;
            if self.counted {
                squares += squares_of_head(&head, &self.delta);
            }
        }
        let mut residuals = vec![f64::NAN; self.skipped + n];
        for t in start..n {
            if cancel::requested() {
                return None;
            }
            let Some(found) = filter.step(rest(t)) else {
                continue;
            };
            let residual = found.error / found.variance.sqrt();
            if found.variance < DIFFUSE {
                residuals[self.skipped + t] = residual;
            }
            if found.variance < DIFFUSE || self.counted || lost == 0 {
                squares += residual * residual;
            }
        }
        filter.forget_buffers();
        Some((filter, residuals, squares))
    }

    /// Evaluates at given ARMA *and* regression coefficients.
    pub fn evaluate_at(&mut self, coefficients: &[f64], beta: &[f64]) -> Option<Evaluation> {
        let determinant = self.filter(coefficients)?;
        if determinant.count == 0 {
            return None;
        }
        let (series, regressors) = self.output.split_at_mut(1);
        for (j, column) in regressors.iter().enumerate() {
            let scaled = beta[j] * self.scales[j + 1] / self.scales[0];
            for (y, x) in series[0].iter_mut().zip(column) {
                *y -= scaled * x;
            }
        }
        for t in &determinant.diffuse {
            series[0][*t] = 0.0;
        }
        let n = determinant.count as f64;
        let variance = dot(&series[0], &series[0]) / n;
        let value = libm::log(variance) + determinant.log / n;
        let variance = variance * self.scales[0] * self.scales[0];
        Some(Evaluation { value, variance })
    }

    /// What R's `arima` minimises: half the mean of −2·loglik, up to a constant.
    pub fn reference_value(&self, evaluation: Evaluation) -> f64 {
        0.5 * evaluation.value + libm::log(self.scales[0])
    }

    /// The evaluation that R's objective `value` stands for.
    pub fn evaluation_of(&self, value: f64, variance: f64) -> Evaluation {
        let value = 2.0 * (value - libm::log(self.scales[0]));
        Evaluation { value, variance }
    }

    /// Squared state dimension times length: the work of one evaluation by the full filter; 0 where
    /// the fast one serves.
    pub fn weight(&self) -> usize {
        let state = self.arma.dimension() + self.delta.len();
        if self.complete {
            0
        } else {
            state * state * self.raw[0].len()
        }
    }

    /// Regressors as given, the constants of the order first, and the series before them.
    pub fn raw(&self) -> (&[f64], &[Vec<f64>]) {
        (&self.raw[0], &self.raw[1..])
    }
}
