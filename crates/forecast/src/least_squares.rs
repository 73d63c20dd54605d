//! Levenberg–Marquardt for concentrated likelihoods.
//!
//! Model: minimises Σe(x)² where e is known only as a function; derivatives are forward
//! differences. Because the objective *is* the sum of squares, a step is kept only when the
//! likelihood really rises. Damping follows Nielsen (1999, IMM-REP-1999-05). The search space is
//! unbounded parameters, kept within a box where tanh is still below 1.
//! Does not: look for a global optimum; callers start it from several points.

use crate::cancel;

/// The box of the search: tanh(9) = 1 − 3·10⁻⁸.
pub(crate) const BOX: f64 = 9.0;

const LONGEST_STEP: f64 = 3.0;
const DIFFERENCE: f64 = 3e-7;

/// Buffers of the search.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeastSquares {
    jacobian: Vec<Vec<f64>>,
    errors: Vec<f64>,
}

/// Precision of a final fit.
pub(crate) const FINE: Precision = Precision {
    iterations: 60,
    reduction: 1e-11,
};
/// Precision of a fit that only ranks models.
pub(crate) const COARSE: Precision = Precision {
    iterations: 25,
    reduction: 1e-7,
};

/// When a search stops.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Precision {
    /// Most iterations.
    pub iterations: usize,
    /// Smallest relative reduction of the sum of squares that is worth a further step.
    pub reduction: f64,
}

impl LeastSquares {
    /// Improves `x` in place and gives log Σe² there; None when `evaluate` gives none at the start.
    /// `evaluate` returns log Σe² and shows e through the second closure argument.
    pub fn minimise(
        &mut self,
        x: &mut [f64],
        precision: Precision,
        mut evaluate: impl FnMut(&[f64], &mut Vec<f64>) -> Option<f64>,
    ) -> Option<f64> {
        let mut evaluate = |x: &[f64], errors: &mut Vec<f64>| {
            if cancel::requested() {
                return None;
            }
            evaluate(x, errors)
        };
        let k = x.len();
        let mut errors = std::mem::take(&mut self.errors);
        let mut value = evaluate(x, &mut errors)?;
        self.jacobian.resize(k.max(self.jacobian.len()), Vec::new());
        let mut damping = 1e-3;
        let mut growth = 2.0;
        let mut trial = x.to_vec();
        let mut trial_errors = Vec::new();
        let (mut normal, mut gradient) = (vec![0.0; k * k], vec![0.0; k]);
        'search: for _ in 0..precision.iterations {
            if cancel::requested() {
                break;
            }
            for j in 0..k {
                trial.copy_from_slice(x);
                // Inwards, so that the box is not left.
                let h = DIFFERENCE * x[j].abs().max(1.0) * if x[j] > 0.0 { -1.0 } else { 1.0 };
                trial[j] += h;
                let h = trial[j] - x[j];
                let column = &mut self.jacobian[j];
                if evaluate(&trial, column).is_none() {
                    column.clear();
                    column.resize(errors.len(), 0.0);
                    continue;
                }
                for (slope, base) in column.iter_mut().zip(&errors) {
                    *slope = (*slope - base) / h;
                }
            }
            for i in 0..k {
                for j in 0..=i {
                    let product = dot(&self.jacobian[i], &self.jacobian[j]);
                    normal[i * k + j] = product;
                    normal[j * k + i] = product;
                }
                gradient[i] = dot(&self.jacobian[i], &errors);
            }
            // A parameter at the wall that wants to leave stays where it is.
            for i in 0..k {
                let outward = -gradient[i] * x[i];
                if x[i].abs() >= BOX && outward > 0.0 {
                    gradient[i] = 0.0;
                    for j in 0..k {
                        normal[i * k + j] = 0.0;
                        normal[j * k + i] = 0.0;
                    }
                    normal[i * k + i] = 1.0;
                }
            }
            let size = dot(&errors, &errors);
            loop {
                let Some(step) = solve(&normal, &gradient, damping, size, k) else {
                    damping *= 10.0;
                    if damping > 1e12 {
                        break 'search;
                    }
                    continue;
                };
                for j in 0..k {
                    let step = step[j].clamp(-LONGEST_STEP, LONGEST_STEP);
                    trial[j] = (x[j] - step).clamp(-BOX, BOX);
                }
                let predicted = predicted_reduction(&normal, &gradient, x, &trial) / size;
                if predicted >= 0.0 && predicted < precision.reduction {
                    break 'search;
                }
                let found = evaluate(&trial, &mut trial_errors)
                    .filter(|found| *found < value && predicted > 0.0);
                if let Some(found) = found {
                    let gained = -libm::expm1(found - value);
                    let ratio = (gained / predicted).min(2.0);
                    let shape = 2.0 * ratio - 1.0;
                    damping *= (1.0 - shape * shape * shape).clamp(1.0 / 3.0, 2.0);
                    growth = 2.0;
                    x.copy_from_slice(&trial);
                    value = found;
                    std::mem::swap(&mut errors, &mut trial_errors);
                    break;
                }
                damping *= growth;
                growth *= 2.0;
                if damping > 1e12 {
                    break 'search;
                }
            }
        }
        self.errors = errors;
        Some(value)
    }
}

/// Inner product in a fixed order of summation, four sums at a time.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (left, right) = (a.chunks_exact(4), b.chunks_exact(4));
    let tail: f64 = left
        .remainder()
        .iter()
        .zip(right.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in left.zip(right) {
        for i in 0..4 {
            sums[i] += x[i] * y[i];
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + tail
}

/// Reduction of Σe² that the linear model promises for the move from `x` to `trial`.
fn predicted_reduction(normal: &[f64], gradient: &[f64], x: &[f64], trial: &[f64]) -> f64 {
    let k = x.len();
    let mut reduction = 0.0;
    for i in 0..k {
        let move_i = trial[i] - x[i];
        reduction -= 2.0 * gradient[i] * move_i;
        for j in 0..k {
            reduction -= move_i * normal[i * k + j] * (trial[j] - x[j]);
        }
    }
    reduction
}

/// Solves (A + damping·diag(A))·step = g by Cholesky; None when it is not positive definite.
fn solve(normal: &[f64], gradient: &[f64], damping: f64, size: f64, k: usize) -> Option<Vec<f64>> {
    let mut factor = normal.to_vec();
    for i in 0..k {
        factor[i * k + i] += damping * (normal[i * k + i] + 1e-9 * size);
    }
    if !cholesky(&mut factor, k) {
        return None;
    }
    let mut step = gradient.to_vec();
    cholesky_solve(&factor, &mut step);
    step.iter().all(|v| v.is_finite()).then_some(step)
}

/// Factor A = L·L′ in the lower triangle, in place; false when A is not positive definite.
pub(crate) fn cholesky(a: &mut [f64], k: usize) -> bool {
    for i in 0..k {
        for j in 0..=i {
            let mut sum = a[i * k + j];
            for m in 0..j {
                sum -= a[i * k + m] * a[j * k + m];
            }
            if i == j {
                if sum.is_nan() || sum <= 0.0 {
                    return false;
                }
                a[i * k + i] = sum.sqrt();
            } else {
                a[i * k + j] = sum / a[j * k + j];
            }
        }
    }
    true
}

/// Solves L·L′·x = b in place.
pub(crate) fn cholesky_solve(factor: &[f64], b: &mut [f64]) {
    let k = b.len();
    for i in 0..k {
        for j in 0..i {
            b[i] -= factor[i * k + j] * b[j];
        }
        b[i] /= factor[i * k + i];
    }
    for i in (0..k).rev() {
        for j in i + 1..k {
            b[i] -= factor[j * k + i] * b[j];
        }
        b[i] /= factor[i * k + i];
    }
}
