//! Lag polynomials: products, stationarity, and the way to and from partial autocorrelations.
//!
//! Model: an autoregressive polynomial 1 − φ₁B − … is kept as its φ; a moving-average one
//! 1 + θ₁B + … as its θ. The partial autocorrelations of a stationary φ all lie in (−1, 1) and any
//! such values give a stationary φ (Jones 1980, Technometrics 22(3)); the same map with the sign
//! turned keeps θ invertible. tanh takes the whole line to (−1, 1).
//! Does not: find roots; a polynomial has all roots outside a circle exactly when its partial
//! autocorrelations, after scaling the variable, stay below 1.

use super::order::ArimaOrder;

/// The coefficients of an ARMA model with its seasonal factors multiplied out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Arma {
    /// φ at lags 1..=r, padded with zeros to r.
    pub phi: Vec<f64>,
    /// θ at lags 1..=r, padded with zeros to r.
    pub theta: Vec<f64>,
    /// Highest lag with an autoregressive coefficient.
    pub p: usize,
    /// Highest lag with a moving-average coefficient.
    pub q: usize,
}

impl Arma {
    /// Room for the expanded polynomials of `order`.
    pub fn new(order: &ArimaOrder) -> Self {
        let p = order.p + order.seasonal_p * order.season;
        let q = order.q + order.seasonal_q * order.season;
        let r = p.max(q + 1);
        Self {
            phi: vec![0.0; r],
            theta: vec![0.0; r],
            p,
            q,
        }
    }

    /// State dimension r = max(p, q + 1).
    pub fn dimension(&self) -> usize {
        self.phi.len()
    }

    /// Multiplies out the factors; `coefficients` are φ, θ, Φ, Θ one after the other.
    pub fn expand(&mut self, order: &ArimaOrder, coefficients: &[f64]) {
        let (ar, rest) = coefficients.split_at(order.p);
        let (ma, rest) = rest.split_at(order.q);
        let (seasonal_ar, rest) = rest.split_at(order.seasonal_p);
        let seasonal_ma = &rest[..order.seasonal_q];
        multiply(ar, seasonal_ar, order.season, -1.0, &mut self.phi);
        multiply(ma, seasonal_ma, order.season, 1.0, &mut self.theta);
    }
}

/// (1 + s·a₁B + …)(1 + s·b₁Bᵐ + …) = 1 + s·c₁B + …; writes c.
fn multiply(a: &[f64], b: &[f64], season: usize, sign: f64, c: &mut [f64]) {
    c.fill(0.0);
    c[..a.len()].copy_from_slice(a);
    for (j, &b) in b.iter().enumerate() {
        let lag = (j + 1) * season;
        c[lag - 1] += b;
        for (i, &a) in a.iter().enumerate() {
            c[lag + i] += sign * a * b;
        }
    }
}

/// The coefficients δ of (1 − B)^d (1 − B^m)^D = 1 − δ₁B − …, lags 1..=d + D·m.
pub(crate) fn difference_polynomial(order: &ArimaOrder) -> Vec<f64> {
    let mut full = vec![1.0];
    let factors =
        std::iter::repeat_n(1, order.d).chain(std::iter::repeat_n(order.season, order.seasonal_d));
    for lag in factors {
        let mut next = full.clone();
        next.resize(full.len() + lag, 0.0);
        for (i, value) in full.iter().enumerate() {
            next[i + lag] -= value;
        }
        full = next;
    }
    full[1..].iter().map(|v| -v).collect()
}

/// Applies the differences of `order` to `y`; NaN spreads to every difference it touches.
pub(crate) fn difference(y: &[f64], order: &ArimaOrder) -> Vec<f64> {
    let mut w = y.to_vec();
    let lags =
        std::iter::repeat_n(order.season, order.seasonal_d).chain(std::iter::repeat_n(1, order.d));
    for lag in lags {
        if w.len() <= lag {
            return Vec::new();
        }
        w = w.iter().zip(&w[lag..]).map(|(a, b)| b - a).collect();
    }
    w
}

/// Unbounded parameters to a stationary φ, in place: tanh, then Levinson's recursion.
pub(crate) fn to_stationary(x: &mut [f64]) {
    let mut previous = [0.0; super::order::MAX_ORDER];
    for value in x.iter_mut() {
        *value = libm::tanh(*value);
    }
    for k in 1..x.len() {
        let reflection = x[k];
        previous[..k].copy_from_slice(&x[..k]);
        for i in 0..k {
            x[i] -= reflection * previous[k - 1 - i];
        }
    }
}

/// The inverse of [`to_stationary`], in place; false when φ is not stationary.
pub(crate) fn from_stationary(phi: &mut [f64]) -> bool {
    if !step_down(phi) {
        return false;
    }
    for value in phi.iter_mut() {
        *value = libm::atanh(*value);
    }
    true
}

/// φ to partial autocorrelations in place; false (and the content useless) when φ is not
/// stationary.
pub(crate) fn step_down(phi: &mut [f64]) -> bool {
    for k in (1..=phi.len()).rev() {
        let reflection = phi[k - 1];
        let rest = 1.0 - reflection * reflection;
        if rest.is_nan() || rest <= 0.0 {
            return false;
        }
        // Pairs (i, k − 2 − i) are updated together.
        let head = &mut phi[..k - 1];
        let n = head.len();
        for i in 0..n.div_ceil(2) {
            let j = n - 1 - i;
            let (a, b) = (head[i], head[j]);
            head[i] = (a + reflection * b) / rest;
            head[j] = (b + reflection * a) / rest;
        }
    }
    true
}

/// True when every root of 1 − φ₁z − … lies outside the circle of this radius.
pub(crate) fn roots_outside(phi: &[f64], radius: f64) -> bool {
    let mut power = 1.0;
    let mut scaled: Vec<f64> = phi
        .iter()
        .map(|value| {
            power *= radius;
            value * power
        })
        .collect();
    step_down(&mut scaled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seasonal_factors_multiply_out() {
        let order = ArimaOrder::new(1, 0, 1).seasonal(1, 0, 1, 4);
        let mut arma = Arma::new(&order);
        arma.expand(&order, &[0.5, 0.3, 0.2, 0.1]);
        assert_eq!(arma.phi, [0.5, 0.0, 0.0, 0.2, -0.1, 0.0]);
        assert_eq!(arma.theta, [0.3, 0.0, 0.0, 0.1, 0.03, 0.0]);
    }

    #[test]
    fn partial_autocorrelations_go_there_and_back() {
        let mut x = [0.3, -0.8, 1.2, 0.05];
        let before = x;
        to_stationary(&mut x);
        assert!(roots_outside(&x, 1.0));
        assert!(from_stationary(&mut x));
        for (a, b) in x.iter().zip(before) {
            assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn the_circle_of_roots_is_found_without_roots() {
        // 1 − 0.5z has its root at 2.
        assert!(roots_outside(&[0.5], 1.99) && !roots_outside(&[0.5], 2.01));
        assert!(!roots_outside(&[1.5, -0.4, 0.3], 1.0));
    }

    #[test]
    fn differences_follow_their_polynomial() {
        let order = ArimaOrder::new(0, 1, 0).seasonal(0, 1, 0, 3);
        let y: Vec<f64> = (0..9).map(|t| f64::from(t * t % 7)).collect();
        let w = difference(&y, &order);
        let delta = difference_polynomial(&order);
        assert_eq!(delta, [1.0, 0.0, 1.0, -1.0]);
        for (i, w) in w.iter().enumerate() {
            let t = i + 4;
            let lags: f64 = delta
                .iter()
                .enumerate()
                .map(|(j, d)| d * y[t - 1 - j])
                .sum();
            assert_eq!(*w, y[t] - lags);
        }
    }
}
