//! The quasi-Newton search of R's `optim`, step for step.
//!
//! Model: Nash (1990), Compact Numerical Methods for Computers, algorithm 21, as R 4.2.2 has it
//! (`vmmin` with central differences of 10⁻³ and a relative tolerance of √ε). It stops early on
//! flat ground; the point of it here is to stop where R stops.
//! Does not: know bounds, or look for a global optimum.

use crate::cancel;

const STEP_REDUCTION: f64 = 0.2;
const ACCEPTABLE: f64 = 1e-4;
const RELATIVE_TEST: f64 = 10.0;
/// √ε.
const TOLERANCE: f64 = 1.490_116_119_384_765_6e-8;
const DIFFERENCE: f64 = 1e-3;
const MOST_ITERATIONS: usize = 100;

/// Minimises `cost` from `b` (in place) and gives the value there; None where R stops with an
/// error: `cost` is not finite at the start, or next to a point that is looked at.
pub(crate) fn minimise(b: &mut [f64], mut cost: impl FnMut(&[f64]) -> f64) -> Option<f64> {
    let mut cost = |x: &[f64]| {
        if cancel::requested() {
            return f64::NAN;
        }
        cost(x)
    };
    let n = b.len();
    let mut lowest = cost(b);
    if !lowest.is_finite() {
        return None;
    }
    if n == 0 {
        return Some(lowest);
    }
    let mut slope = vec![0.0; n];
    gradient(b, &mut slope, &mut cost)?;
    let (mut iterations, mut gradients, mut last) = (1, 1, 1);
    // Lower triangle of the inverse Hessian's approximation.
    let mut inverse = vec![0.0; n * n];
    let times = |inverse: &[f64], vector: &[f64], i: usize| -> f64 {
        (0..n).fold(0.0, |sum, j| {
            let (row, column) = (i.max(j), i.min(j));
            sum + inverse[row * n + column] * vector[j]
        })
    };
    loop {
        if last == gradients {
            inverse.fill(0.0);
            (0..n).for_each(|i| inverse[i * n + i] = 1.0);
        }
        let from = b.to_vec();
        let mut change = slope.clone();
        let mut direction: Vec<f64> = (0..n).map(|i| -times(&inverse, &slope, i)).collect();
        let projection: f64 = direction.iter().zip(&slope).map(|(t, g)| t * g).sum();
        let mut unmoved;
        if projection < 0.0 {
            let mut length = 1.0;
            let mut value = lowest;
            loop {
                unmoved = 0;
                for i in 0..n {
                    b[i] = from[i] + length * direction[i];
                    unmoved += usize::from(RELATIVE_TEST + from[i] == RELATIVE_TEST + b[i]);
                }
                if unmoved == n {
                    break;
                }
                value = cost(b);
                if value.is_finite() && value <= lowest + projection * length * ACCEPTABLE {
                    break;
                }
                length *= STEP_REDUCTION;
            }
            let enough = (value - lowest).abs() > TOLERANCE * (lowest.abs() + TOLERANCE);
            if !enough {
                unmoved = n;
                lowest = value;
            }
            if unmoved < n {
                lowest = value;
                gradient(b, &mut slope, &mut cost)?;
                gradients += 1;
                iterations += 1;
                let mut first = 0.0;
                for i in 0..n {
                    direction[i] *= length;
                    change[i] = slope[i] - change[i];
                    first += direction[i] * change[i];
                }
                if first > 0.0 {
                    let moved: Vec<f64> = (0..n).map(|i| times(&inverse, &change, i)).collect();
                    let second: f64 = moved.iter().zip(&change).map(|(s, c)| s * c).sum();
                    let second = 1.0 + second / first;
                    for i in 0..n {
                        for j in 0..=i {
                            inverse[i * n + j] += (second * direction[i] * direction[j]
                                - direction[i] * moved[j]
                                - moved[i] * direction[j])
                                / first;
                        }
                    }
                } else {
                    last = gradients;
                }
            } else if last < gradients {
                unmoved = 0;
                last = gradients;
            }
        } else {
            unmoved = if last == gradients { n } else { 0 };
            last = gradients;
        }
        if iterations >= MOST_ITERATIONS {
            break;
        }
        if gradients - last > 2 * n {
            last = gradients;
        }
        if unmoved == n && last == gradients {
            break;
        }
    }
    lowest.is_finite().then_some(lowest)
}

fn gradient(b: &mut [f64], slope: &mut [f64], cost: &mut impl FnMut(&[f64]) -> f64) -> Option<()> {
    for i in 0..b.len() {
        let here = b[i];
        b[i] = here + DIFFERENCE;
        let above = cost(b);
        b[i] = here - DIFFERENCE;
        let below = cost(b);
        b[i] = here;
        slope[i] = (above - below) / (2.0 * DIFFERENCE);
        if !slope[i].is_finite() {
            return None;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valley_of_rosenbrock_ends_where_r_ends() {
        // R: optim(c(-1.2, 1), fr, method = "BFGS")$par with numerical derivatives.
        let mut x = [-1.2, 1.0];
        let found = minimise(&mut x, |x| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            100.0 * b * b + a * a
        });
        assert!((found.unwrap() - ROSENBROCK_VALUE).abs() < 1e-12);
        assert!((x[0] - ROSENBROCK[0]).abs() < 1e-8 && (x[1] - ROSENBROCK[1]).abs() < 1e-8);
    }

    const ROSENBROCK: [f64; 2] = [0.999804433231, 0.999608380623];
    const ROSENBROCK_VALUE: f64 = 3.827382756108e-08;

    #[test]
    fn a_cost_without_a_value_stops_the_search() {
        assert_eq!(minimise(&mut [1.0], |_| f64::NAN), None);
    }
}
