//! The search of R's `arima(method = "ML")`, step for step.
//!
//! Model: R searches ARMA and regression coefficients together by BFGS ([`crate::bfgs`]) from ARMA
//! coefficients of 0 and the least-squares regression; autoregressive blocks through tanh and
//! Levinson's recursion, moving averages free and turned invertible afterwards; several regressors
//! rotated to their principal axes, each scaled by ten standard errors. It ends where R ends, which
//! on flat ground is short of the optimum; [`super::estimate`] says when that point is kept.
//! Does not: repeat rounding errors of R's start covariance (Gardner 1980) next to a unit root.

use super::estimate::Optimum;
use super::order::ArimaOrder;
use super::polynomial::{difference, to_stationary};
use super::problem::Problem;
use super::roots::invertible;
use crate::bfgs::minimise;
use crate::least_squares::{cholesky, cholesky_solve, dot};

/// Where R's search ends; None where R stops with an error.
pub(crate) fn search(problem: &mut Problem) -> Option<Optimum> {
    let order = problem.order;
    let k = order.coefficients();
    let regression = Regression::new(problem)?;
    let mut point = vec![0.0; k];
    let scaled = regression.start.iter().zip(&regression.scales);
    point.extend(scaled.map(|(start, scale)| start / scale));
    let (mut coefficients, mut beta) = (Vec::new(), Vec::new());
    let mut value = minimise(&mut point, |point| {
        to_arma(&order, &point[..k], &mut coefficients);
        regression.turn(&point[k..], &mut beta);
        let found = problem.evaluate_at(&coefficients, &beta);
        found.map_or(f64::NAN, |found| problem.reference_value(found))
    })?;
    to_arma(&order, &point[..k], &mut coefficients);
    regression.turn(&point[k..], &mut beta);
    let seasonal = order.p + order.q + order.seasonal_p;
    let plain = invertible(&mut coefficients[order.p..order.p + order.q])?;
    let turned = invertible(&mut coefficients[seasonal..])? || plain;
    let found = problem.evaluate_at(&coefficients, &beta)?;
    if turned {
        value = problem.reference_value(found);
    }
    Some(Optimum {
        x: Vec::new(),
        evaluation: problem.evaluation_of(value, found.variance),
        coefficients,
        beta,
    })
}

/// Search parameters to coefficients: only the autoregressive blocks are transformed.
fn to_arma(order: &ArimaOrder, x: &[f64], coefficients: &mut Vec<f64>) {
    coefficients.clear();
    coefficients.extend_from_slice(x);
    let seasonal = order.p + order.q;
    to_stationary(&mut coefficients[..order.p]);
    to_stationary(&mut coefficients[seasonal..seasonal + order.seasonal_p]);
}

/// Regressors in R's coordinates.
struct Regression {
    /// Columns: principal axes; empty for one regressor.
    axes: Vec<Vec<f64>>,
    start: Vec<f64>,
    scales: Vec<f64>,
}

impl Regression {
    fn new(problem: &Problem) -> Option<Self> {
        let (y, columns) = problem.raw();
        let axes = if columns.len() > 1 {
            principal_axes(columns)
        } else {
            Vec::new()
        };
        let rotated: Vec<Vec<f64>> = axes
            .iter()
            .map(|axis| {
                (0..y.len())
                    .map(|t| columns.iter().zip(axis).map(|(x, a)| x[t] * a).sum())
                    .collect()
            })
            .collect();
        let used = if axes.is_empty() { columns } else { &rotated };
        if used.is_empty() {
            return Some(Self {
                axes,
                start: Vec::new(),
                scales: Vec::new(),
            });
        }
        let order = &problem.order;
        let differenced: Vec<Vec<f64>> = used.iter().map(|x| difference(x, order)).collect();
        let (start, errors) =
            ordinary(&difference(y, order), &differenced).or_else(|| ordinary(y, used))?;
        let scales: Vec<f64> = errors.iter().map(|error| 10.0 * error).collect();
        scales.iter().all(|v| *v > 0.0).then_some(Self {
            axes,
            start,
            scales,
        })
    }

    /// Search parameters to the coefficients of the regressors as given.
    fn turn(&self, point: &[f64], beta: &mut Vec<f64>) {
        beta.clear();
        let scaled = || point.iter().zip(&self.scales).map(|(x, scale)| x * scale);
        if self.axes.is_empty() {
            beta.extend(scaled());
            return;
        }
        beta.resize(point.len(), 0.0);
        for (value, axis) in scaled().zip(&self.axes) {
            for (beta, a) in beta.iter_mut().zip(axis) {
                *beta += value * a;
            }
        }
    }
}

/// Least squares on the rows without missing values: coefficients and standard errors. None when
/// there are too few rows or the columns are dependent.
fn ordinary(y: &[f64], columns: &[Vec<f64>]) -> Option<(Vec<f64>, Vec<f64>)> {
    let k = columns.len();
    let rows: Vec<usize> = (0..y.len()).filter(|t| !y[*t].is_nan()).collect();
    if rows.len() <= k {
        return None;
    }
    let pick = |x: &[f64]| -> Vec<f64> { rows.iter().map(|t| x[*t]).collect() };
    let y = pick(y);
    let columns: Vec<Vec<f64>> = columns.iter().map(|x| pick(x)).collect();
    let sizes: Vec<f64> = columns.iter().map(|x| dot(x, x).sqrt()).collect();
    if sizes.iter().any(|v| v.is_nan() || *v <= 0.0) {
        return None;
    }
    let mut factor = vec![0.0; k * k];
    let mut solution = vec![0.0; k];
    for i in 0..k {
        for j in 0..k {
            factor[i * k + j] = dot(&columns[i], &columns[j]) / sizes[i] / sizes[j];
        }
        solution[i] = dot(&columns[i], &y) / sizes[i];
    }
    if !cholesky(&mut factor, k) || (0..k).any(|i| factor[i * k + i] < 1e-7) {
        return None;
    }
    cholesky_solve(&factor, &mut solution);
    let mut rest = y;
    for (column, (value, size)) in columns.iter().zip(solution.iter().zip(&sizes)) {
        for (rest, x) in rest.iter_mut().zip(column) {
            *rest -= value / size * x;
        }
    }
    let variance = dot(&rest, &rest) / (rows.len() - k) as f64;
    let errors = (0..k)
        .map(|i| {
            let mut unit = vec![0.0; k];
            unit[i] = 1.0;
            cholesky_solve(&factor, &mut unit);
            (unit[i] * variance).sqrt() / sizes[i]
        })
        .collect();
    let start = solution.iter().zip(&sizes).map(|(v, s)| v / s).collect();
    Some((start, errors))
}

/// Eigenvectors of X′X, largest eigenvalue first, by Jacobi's rotations.
fn principal_axes(columns: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let k = columns.len();
    let mut a: Vec<Vec<f64>> = columns
        .iter()
        .map(|x| columns.iter().map(|y| dot(x, y)).collect())
        .collect();
    let mut axes: Vec<Vec<f64>> = (0..k)
        .map(|i| (0..k).map(|j| f64::from(u8::from(i == j))).collect())
        .collect();
    for _ in 0..60 {
        for p in 0..k {
            for q in p + 1..k {
                if a[p][q] == 0.0 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                let turn = |x: f64, y: f64| (c * x - s * y, s * x + c * y);
                for row in &mut a {
                    (row[p], row[q]) = turn(row[p], row[q]);
                }
                for i in 0..k {
                    (a[p][i], a[q][i]) = turn(a[p][i], a[q][i]);
                    (axes[p][i], axes[q][i]) = turn(axes[p][i], axes[q][i]);
                }
                a[p][q] = 0.0;
                a[q][p] = 0.0;
            }
        }
    }
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|i, j| a[*j][*j].total_cmp(&a[*i][*i]));
    order.into_iter().map(|i| axes[i].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axes_of_a_constant_and_a_line_are_orthogonal_and_ordered() {
        let line: Vec<f64> = (1..=10).map(f64::from).collect();
        let columns = [vec![1.0; 10], line];
        let axes = principal_axes(&columns);
        assert!(dot(&axes[0], &axes[1]).abs() < 1e-12);
        // R: svd(cbind(1, 1:10))$v is (-0.1415, -0.9899; -0.9899, 0.1415) up to signs.
        assert!((axes[0][1].abs() - 0.989_936).abs() < 1e-4, "{axes:?}");
    }

    #[test]
    fn the_start_is_ordinary_least_squares_with_its_standard_errors() {
        // R: summary(lm(c(1, 3, 2, 5) ~ 1))$coefficients.
        let (start, errors) = ordinary(&[1.0, 3.0, f64::NAN, 2.0, 5.0], &[vec![1.0; 5]]).unwrap();
        assert!((start[0] - 2.75).abs() < 1e-12 && (errors[0] - 0.853_912_6).abs() < 1e-6);
    }
}
