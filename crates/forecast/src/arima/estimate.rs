//! From a problem to its optimum: starts, search, standard errors.
//!
//! Model: the search runs in unbounded parameters (see [`super::polynomial`]). A likelihood of an
//! ARMA model has several optima; the search starts from white noise, from the conditional
//! sum-of-squares optimum, from spread points, and, where the best point found has a root near 1,
//! from beyond the limit at which the first observations count as diffuse. The best wins. (A long
//! seasonal series with missing values gets fewer starts.)
//! Does not: choose orders (see [`super::auto`]).

use super::innovations::DIFFUSE;
use super::order::ArimaOrder;
use super::polynomial::{from_stationary, roots_outside, to_stationary};
use super::problem::{Evaluation, Problem};
use crate::least_squares::{BOX, COARSE, FINE, LeastSquares, Precision, cholesky, cholesky_solve};

/// An optimum: unbounded parameters, coefficients and the evaluation there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Optimum {
    pub x: Vec<f64>,
    pub coefficients: Vec<f64>,
    pub evaluation: Evaluation,
    pub beta: Vec<f64>,
}

/// The four blocks of the coefficient vector: length, and whether it is a moving average.
fn blocks(order: &ArimaOrder) -> [(usize, bool); 4] {
    [
        (order.p, false),
        (order.q, true),
        (order.seasonal_p, false),
        (order.seasonal_q, true),
    ]
}

/// Unbounded parameters to coefficients.
pub(crate) fn to_coefficients(order: &ArimaOrder, x: &[f64], coefficients: &mut Vec<f64>) {
    coefficients.clear();
    coefficients.extend_from_slice(x);
    let mut rest = coefficients.as_mut_slice();
    for (length, moving_average) in blocks(order) {
        let (block, after) = rest.split_at_mut(length);
        to_stationary(block);
        if moving_average {
            block.iter_mut().for_each(|v| *v = -*v);
        }
        rest = after;
    }
}

/// Coefficients to unbounded parameters; None outside the stationary and invertible region.
pub(crate) fn from_coefficients(order: &ArimaOrder, coefficients: &[f64]) -> Option<Vec<f64>> {
    let mut x = coefficients.to_vec();
    let mut rest = x.as_mut_slice();
    for (length, moving_average) in blocks(order) {
        let (block, after) = rest.split_at_mut(length);
        if moving_average {
            block.iter_mut().for_each(|v| *v = -*v);
        }
        if !from_stationary(block) {
            return None;
        }
        rest = after;
    }
    x.iter_mut().for_each(|v| *v = v.clamp(-BOX, BOX));
    x.iter().all(|v| v.is_finite()).then_some(x)
}

/// A search engine with its buffers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Search {
    least_squares: LeastSquares,
    coefficients: Vec<f64>,
}

impl Search {
    /// The optimum nearest to `start`.
    pub fn from(
        &mut self,
        problem: &mut Problem,
        start: &[f64],
        precision: Precision,
        conditional: bool,
    ) -> Option<Optimum> {
        let order = problem.order;
        let mut x = start.to_vec();
        let coefficients = &mut self.coefficients;
        let mut evaluate = |problem: &mut Problem, x: &[f64]| {
            to_coefficients(&order, x, coefficients);
            if conditional {
                problem.evaluate_conditional(coefficients)
            } else {
                problem.evaluate(coefficients)
            }
        };
        if !x.is_empty() {
            self.least_squares
                .minimise(&mut x, precision, |x, errors| {
                    let found = evaluate(problem, x)?;
                    problem.take_errors(errors);
                    Some(found.value)
                })?;
        }
        let evaluation = evaluate(problem, &x)?;
        let beta = problem.beta.clone();
        Some(Optimum {
            x,
            coefficients: self.coefficients.clone(),
            evaluation,
            beta,
        })
    }

    /// The best conditional sum of squares over all starts.
    pub fn conditional(&mut self, problem: &mut Problem) -> Option<Optimum> {
        let mut starts = vec![vec![0.0; problem.order.coefficients()]];
        starts.extend(spread(&problem.order));
        starts
            .iter()
            .filter_map(|start| self.from(problem, start, FINE, true))
            .min_by(|a, b| a.evaluation.value.total_cmp(&b.evaluation.value))
    }

    /// The best optimum over all starts; `beyond` the unit-root limit too.
    pub fn thorough(
        &mut self,
        problem: &mut Problem,
        extra: &[Vec<f64>],
        beyond: bool,
    ) -> Option<Optimum> {
        let order = problem.order;
        let k = order.coefficients();
        let mut best: Option<Optimum> = None;
        let consider = |best: &mut Option<Optimum>, found: Option<Optimum>| {
            if let Some(found) = found {
                let better = best
                    .as_ref()
                    .is_none_or(|best| found.evaluation.value < best.evaluation.value);
                if better {
                    *best = Some(found);
                }
            }
        };
        let white = vec![0.0; k];
        if k == 0 {
            return self.from(problem, &white, FINE, false);
        }
        let mut starts = vec![white];
        starts.extend(extra.iter().cloned());
        if problem.allows_conditional()
            && let Some(found) = self.from(problem, &starts[0], COARSE, true)
        {
            starts.push(found.x.iter().map(|v| v.clamp(-2.0, 2.0)).collect());
        }
        if !problem.is_heavy() {
            starts.extend(spread(&order));
        }
        for start in &starts {
            let found = self.from(problem, start, COARSE, false);
            consider(&mut best, found);
        }
        if let Some(found) = &best {
            let refined = self.from(problem, &found.x.clone(), FINE, false);
            consider(&mut best, refined);
        }
        if beyond && let Some(found) = best.clone() {
            let sane = WORSE * sum_of_squares(problem, &found);
            for start in beyond_the_limit(problem, &found.coefficients) {
                let mut beyond = self.from(problem, &start, FINE, false);
                if beyond
                    .as_ref()
                    .is_some_and(|beyond| sum_of_squares(problem, beyond) > sane)
                {
                    problem.diffuse_in_regression = true;
                    beyond = self.from(problem, &start, FINE, false);
                    problem.diffuse_in_regression = false;
                }
                consider(&mut best, beyond);
            }
        }
        best
    }
}

/// A sum of squared errors, diffuse observations included, this many times another's is too large.
const WORSE: f64 = 10.0;

fn sum_of_squares(problem: &mut Problem, optimum: &Optimum) -> f64 {
    let found = problem.run_filter(&optimum.coefficients, &optimum.beta);
    found.map_or(f64::INFINITY, |(_, _, squares)| squares)
}

/// Log-likelihoods this close are one optimum.
const SAME_HEIGHT: f64 = 0.01;
/// Work of one evaluation above which R's search is left out.
const TOO_HEAVY: usize = 3_000_000;

/// The best optimum; where R's own search ends within [`SAME_HEIGHT`] of it, R's, so that both
/// programs print the same numbers.
pub(crate) fn as_r_or_better(search: &mut Search, problem: &mut Problem) -> Option<Optimum> {
    let best = search.thorough(problem, &[], true);
    if problem.weight() * problem.order.coefficients().max(1) > TOO_HEAVY {
        return best;
    }
    let theirs = super::r_optim::search(problem).filter(|found| found.evaluation.value.is_finite());
    let (Some(best), Some(theirs)) = (&best, &theirs) else {
        return best.or(theirs);
    };
    let ahead = problem.loglik(best.evaluation) - problem.loglik(theirs.evaluation);
    if ahead > SAME_HEIGHT {
        return Some(best.clone());
    }
    Some(theirs.clone())
}

/// Starts spread over the region: persistent with a cancelling average, its opposite, and mixed.
pub(crate) fn spread(order: &ArimaOrder) -> Vec<Vec<f64>> {
    let patterns: [[f64; 4]; 4] = [
        // First φ, first (sign-turned) θ, first Φ, first Θ, as partial autocorrelations' atanh.
        [1.2, 0.9, 1.2, 0.9],
        [-0.7, -0.7, 0.3, 0.6],
        [0.8, -0.4, 1.5, 0.3],
        [0.2, 1.2, 0.2, 1.2],
    ];
    let mut starts = Vec::new();
    for pattern in patterns {
        let mut start = Vec::with_capacity(order.coefficients());
        for ((length, _), first) in blocks(order).into_iter().zip(pattern) {
            for i in 0..length {
                start.push(if i == 0 { first } else { -0.3 / i as f64 });
            }
        }
        if !starts.contains(&start) {
            starts.push(start);
        }
    }
    starts
}

/// Starts with autoregressive roots moved so close to 1 that the first observations count as
/// diffuse; empty when no root is near.
fn beyond_the_limit(problem: &mut Problem, coefficients: &[f64]) -> Vec<Vec<f64>> {
    let order = problem.order;
    let seasonal = order.p + order.q;
    let plain = &coefficients[..order.p];
    let mut starts = Vec::new();
    if order.p > 1 {
        if order.d == 0 && !roots_outside(plain, 1.05) {
            // Two roots near 1.
            for (first, second) in [(5.3, -6.5), (4.1, -6.7)] {
                let mut start = vec![0.0; order.coefficients()];
                (start[0], start[1]) = (first, second);
                starts.push(start);
            }
        }
        // All roots on the circle: so they are when the last partial autocorrelation is ±1.
        if let Some(start) = from_coefficients(&order, coefficients) {
            for last in [-6.5, 6.5] {
                let mut start = start.clone();
                start[order.p - 1] = last;
                starts.push(start);
            }
        }
    }
    let near = |phi: &[f64]| !phi.is_empty() && !roots_outside(phi, 1.3);
    let blocks = [0..order.p, seasonal..seasonal + order.seasonal_p];
    let persistent: Vec<_> = blocks
        .into_iter()
        .filter(|block| near(&coefficients[block.clone()]))
        .collect();
    // In a season every first observation of a step may or may not be diffuse: more jumps.
    let most = if order.seasonal_p > 0 { 5 } else { 2 };
    let gaps = [1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 4.5e-5, 2e-5, 1e-5, 3e-6, 1e-6];
    let mut moves: Vec<Vec<(usize, f64)>> = Vec::new();
    for block in 0..persistent.len() {
        moves.extend(gaps.map(|gap| vec![(block, gap)]));
    }
    if persistent.len() == 2 {
        for first in [1e-3, 1e-4, 1e-5] {
            moves.extend([3e-3, 1e-3, 3e-4, 1e-4, 1e-5].map(|gap| vec![(0, first), (1, gap)]));
        }
    }
    let mut found = [0, 0];
    for set in moves {
        let (block, _) = set[0];
        if set.len() == 1 && found[block] == most {
            continue;
        }
        let mut moved = coefficients.to_vec();
        for (block, gap) in &set {
            approach(&mut moved[persistent[*block].clone()], *gap);
        }
        if problem
            .start_variance(&moved)
            .is_some_and(|variance| variance > DIFFUSE)
        {
            starts.extend(from_coefficients(&order, &moved));
            found[block] += 1;
        }
    }
    starts
}

/// Scales φ so that its smallest root is `gap` outside the unit circle.
fn approach(phi: &mut [f64], gap: f64) {
    // Radius of the smallest root.
    let (mut inside, mut outside) = (1.0, 1.3);
    for _ in 0..40 {
        let middle = 0.5 * (inside + outside);
        if roots_outside(phi, middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    let mut power = 1.0;
    for value in phi {
        power *= inside * (1.0 - gap);
        *value *= power;
    }
}

/// Standard errors of ARMA and regression coefficients from the numerical Hessian of the
/// log-likelihood; None for those that it does not give.
pub(crate) fn standard_errors(problem: &mut Problem, optimum: &Optimum) -> Vec<Option<f64>> {
    let k = optimum.coefficients.len();
    let total = k + optimum.beta.len();
    let mut steps: Vec<f64> = vec![1e-3; k];
    for beta in &optimum.beta {
        // A step that changes the likelihood about as much as the others do.
        steps.push(1e-3 * beta.abs().max(1e-3 * optimum.evaluation.variance.sqrt()));
    }
    let at = |problem: &mut Problem, moves: &[(usize, f64)]| {
        let mut point: Vec<f64> = optimum.coefficients.clone();
        point.extend_from_slice(&optimum.beta);
        for (i, sign) in moves {
            point[*i] += sign * steps[*i];
        }
        let found = problem.evaluate_at(&point[..k], &point[k..])?;
        Some(0.5 * problem.used as f64 * found.value)
    };
    let hessian = |problem: &mut Problem| -> Option<Vec<f64>> {
        let centre = at(problem, &[])?;
        let mut hessian = vec![0.0; total * total];
        for i in 0..total {
            let sides = at(problem, &[(i, 1.0)])? + at(problem, &[(i, -1.0)])?;
            hessian[i * total + i] = (sides - 2.0 * centre) / (steps[i] * steps[i]);
            for j in 0..i {
                let same =
                    at(problem, &[(i, 1.0), (j, 1.0)])? + at(problem, &[(i, -1.0), (j, -1.0)])?;
                let cross =
                    at(problem, &[(i, 1.0), (j, -1.0)])? + at(problem, &[(i, -1.0), (j, 1.0)])?;
                let value = (same - cross) / (4.0 * steps[i] * steps[j]);
                hessian[i * total + j] = value;
                hessian[j * total + i] = value;
            }
        }
        Some(hessian)
    };
    let none = vec![None; total];
    let Some(mut factor) = hessian(problem) else {
        return none;
    };
    // Unit diagonal first: the coefficients differ wildly in scale.
    let roots: Vec<f64> = (0..total).map(|i| factor[i * total + i].sqrt()).collect();
    if roots.iter().any(|v| v.is_nan() || *v <= 0.0) {
        return none;
    }
    for i in 0..total {
        for j in 0..total {
            factor[i * total + j] /= roots[i] * roots[j];
        }
    }
    if !cholesky(&mut factor, total) {
        return none;
    }
    (0..total)
        .map(|i| {
            let mut unit = vec![0.0; total];
            unit[i] = 1.0;
            cholesky_solve(&factor, &mut unit);
            let error = unit[i].sqrt() / roots[i];
            error.is_finite().then_some(error)
        })
        .collect()
}
