//! Nelder–Mead, for objectives that are not sums of squares.
//!
//! Model: Nelder & Mead (1965), Computer J. 7(4), with the dimension-dependent coefficients of Gao &
//! Han (2012), Comput. Optim. Appl. 51, restarted once from its optimum. Deterministic.
//! Does not: use derivatives or bounds; callers transform their parameters.

use crate::cancel;

/// Minimises `cost` from `x` (in place) and gives the lowest value. `step` is the size of the first
/// simplex; the search stops after `most` evaluations or when the values differ by less than
/// `tolerance`.
pub(crate) fn minimise(
    x: &mut [f64],
    step: f64,
    most: usize,
    tolerance: f64,
    mut cost: impl FnMut(&[f64]) -> f64,
) -> f64 {
    let mut lowest = f64::INFINITY;
    for round in 0..2 {
        let size = if round == 0 { step } else { 0.2 * step };
        lowest = simplex(x, size, most, tolerance, &mut cost);
    }
    lowest
}

fn simplex(
    x: &mut [f64],
    step: f64,
    most: usize,
    tolerance: f64,
    cost: &mut impl FnMut(&[f64]) -> f64,
) -> f64 {
    let k = x.len();
    let size = k.max(2) as f64;
    let (expand, contract, shrink) = (1.0 + 2.0 / size, 0.75 - 0.5 / size, 1.0 - 1.0 / size);
    let mut cost = |point: &[f64]| {
        let value = cost(point);
        if value.is_nan() { f64::INFINITY } else { value }
    };
    let mut points: Vec<(f64, Vec<f64>)> = Vec::with_capacity(k + 1);
    points.push((cost(x), x.to_vec()));
    for i in 0..k {
        let mut point = x.to_vec();
        point[i] += step;
        points.push((cost(&point), point));
    }
    let mut evaluations = k + 1;
    while evaluations < most && !cancel::requested() {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        if points[k].0 - points[0].0 < tolerance {
            break;
        }
        let centre: Vec<f64> = (0..k)
            .map(|i| points[..k].iter().map(|p| p.1[i]).sum::<f64>() / k as f64)
            .collect();
        let along = |t: f64, worst: &[f64]| -> Vec<f64> {
            centre
                .iter()
                .zip(worst)
                .map(|(c, w)| c + t * (w - c))
                .collect()
        };
        let mirrored = along(-1.0, &points[k].1);
        let value = cost(&mirrored);
        evaluations += 1;
        if value < points[0].0 {
            let further = along(-expand, &points[k].1);
            let better = cost(&further);
            evaluations += 1;
            points[k] = if better < value {
                (better, further)
            } else {
                (value, mirrored)
            };
        } else if value < points[k - 1].0 {
            points[k] = (value, mirrored);
        } else {
            let t = if value < points[k].0 {
                -contract
            } else {
                contract
            };
            let inside = along(t, &points[k].1);
            let better = cost(&inside);
            evaluations += 1;
            if better < value.min(points[k].0) {
                points[k] = (better, inside);
            } else {
                let best = points[0].1.clone();
                for point in &mut points[1..] {
                    for (value, best) in point.1.iter_mut().zip(&best) {
                        *value = best + shrink * (*value - best);
                    }
                    point.0 = cost(&point.1);
                }
                evaluations += k;
            }
        }
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    x.copy_from_slice(&points[0].1);
    points[0].0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valley_of_rosenbrock_is_followed_to_its_end() {
        let mut x = [-1.2, 1.0];
        let found = minimise(&mut x, 0.5, 2000, 1e-14, |x| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            a * a + 100.0 * b * b
        });
        assert!(found < 1e-8 && (x[0] - 1.0).abs() < 1e-3);
    }
}
