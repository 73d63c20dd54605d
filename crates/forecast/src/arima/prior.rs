//! What R's finite prior on the values before the series does to a complete series.
//!
//! Model: R's `arima` gives the d + D·m values before the first one independent normal priors with
//! mean 0 and a variance of κ = 10⁶ innovation variances, and leaves the first d + D·m observations
//! out of the likelihood. With w the differenced series, u its first d + D·m values when everything
//! before the series is 0, and M the matrix that takes the unknown values to the differences,
//! u = w + M·L. So those observations say a little about w: E[w | u] = Γ(Γ + κMM′)⁻¹u = Γz, where
//! z = (κMM′)⁻¹u up to terms of order Γ/κ. The filter of the differenced series then starts with a
//! state whose mean is Σ Cov(state, wⱼ)zⱼ instead of 0. Its covariance changes by parts in κ only.
//! Where the first values lie very many of the prior's standard deviations from 0 (see [`HELD`])
//! they contradict it; then it is taken to be infinitely wide, which is the usual likelihood of the
//! differences.
//! Does not: serve series with missing values (there the filter holds the prior itself).

/// Prior variance of the values before the series, in innovation variances.
pub(crate) const KAPPA: f64 = 1e6;

/// Whether first values of this size lie within `most` of the prior's standard deviations, for
/// differences of this size.
pub(crate) fn is_within(most: f64, head: &[f64], scale: f64) -> bool {
    let limit = most * KAPPA.sqrt() * scale;
    head.iter().all(|v| v.is_nan() || v.abs() <= limit)
}

/// Standard deviations of the prior up to which the likelihood holds it. Even then it moves a start
/// by one innovation only.
pub(crate) const HELD: f64 = 1000.0;
/// Standard deviations of the prior up to which the innovation variance counts, as R does, the first
/// values as residuals: further out it would say nothing of the innovations.
pub(crate) const COUNTED: f64 = 10.0;

/// u of the model: differences of the first values when all values before them are 0.
fn differences_from_nothing(head: &[f64], delta: &[f64]) -> Vec<f64> {
    (0..head.len())
        .map(|t| (0..t).fold(head[t], |u, i| u - delta[i] * head[t - 1 - i]))
        .collect()
}

/// Solves M·x = u; M has δ(t + k + 1) in row t, column k (from 0).
fn solve(u: &[f64], delta: &[f64]) -> Vec<f64> {
    let lags = delta.len();
    let last = delta[lags - 1];
    let mut x: Vec<f64> = Vec::with_capacity(lags);
    for t in (0..lags).rev() {
        let known = x.iter().zip(&delta[t..]);
        let rest = known.fold(u[t], |rest, (x, d)| rest - d * x);
        x.push(rest / last);
    }
    x
}

/// z of the model for a series whose first values are `head`, as many as `delta` has lags.
pub(crate) fn pull(head: &[f64], delta: &[f64]) -> Vec<f64> {
    if delta.is_empty() {
        return Vec::new();
    }
    let u = differences_from_nothing(head, delta);
    // M is symmetric.
    let mut z = solve(&solve(&u, delta), delta);
    z.iter_mut().for_each(|v| *v /= KAPPA);
    z
}

/// Sum of squares of R's standardised residuals of the first values: u′z.
pub(crate) fn squares_of_head(head: &[f64], delta: &[f64]) -> f64 {
    let u = differences_from_nothing(head, delta);
    u.iter().zip(pull(head, delta)).map(|(u, z)| u * z).sum()
}

/// Mean of the state after the first values, into `state`: `column` holds Cov(state(i), w).
pub(crate) fn start_state(z: &[f64], phi: &[f64], column: &[f64], state: &mut [f64]) {
    let r = state.len();
    state.fill(0.0);
    for z in z {
        let first = state[0] + column[0] * z;
        for i in 0..r - 1 {
            state[i] = state[i + 1] + column[i + 1] * z + phi[i] * first;
        }
        state[r - 1] = phi[r - 1] * first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_one_difference_the_pull_is_the_level_over_the_prior() {
        assert_eq!(pull(&[5.0], &[1.0]), [5.0 / KAPPA]);
        assert!((squares_of_head(&[2000.0], &[1.0]) - 4.0).abs() < 1e-12);
    }

    #[test]
    fn the_matrix_of_two_differences_is_solved() {
        // (1 − B)²: δ = (2, −1), M = [[2, −1], [−1, 0]].
        let x = solve(&[3.0, -1.0], &[2.0, -1.0]);
        assert_eq!([2.0 * x[0] - x[1], -x[0]], [3.0, -1.0]);
    }

    #[test]
    fn a_level_far_beyond_the_prior_contradicts_it() {
        assert!(is_within(COUNTED, &[9_000.0], 1.0) && !is_within(COUNTED, &[11_000.0], 1.0));
    }
}
