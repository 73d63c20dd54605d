//! Where a stationary ARMA process starts: its autocovariances and the state covariance.
//!
//! Model: Harvey's state (Harvey 1989, section 3.3) of dimension r, innovations of variance 1. The
//! autocovariances of the autoregressive part come from Levinson's recursion run backwards, O(p²)
//! and accurate close to the unit circle; those of the process follow by two convolutions with θ.
//! Only the first column of the state covariance is needed by the fast likelihood; the rest
//! follows from the fixed point P = TPT′ + RR′ read from the last row upwards.
//! Does not: solve a linear system.

use super::polynomial::Arma;

/// Buffers for the computation, kept between calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stationary {
    /// φ of every order 1..=p, one after the other.
    levels: Vec<f64>,
    reflections: Vec<f64>,
    ar: Vec<f64>,
    half: Vec<f64>,
    gamma: Vec<f64>,
    psi: Vec<f64>,
    /// First column of the state covariance: Cov(state(i), y).
    pub column: Vec<f64>,
}

impl Stationary {
    /// Computes [`Self::column`]; false when the process is not stationary.
    pub fn first_column(&mut self, arma: &Arma) -> bool {
        let (p, q, r) = (arma.p, arma.q, arma.dimension());
        if !self.ar_autocovariances(&arma.phi[..p], p + q) {
            return false;
        }
        // theta(0) = 1.
        let nonzero = |j: usize| if j == 0 { 1.0 } else { arma.theta[j - 1] };
        self.half.clear();
        self.half.resize(p + q + 1, 0.0);
        self.gamma.clear();
        self.gamma.resize(p + 1, 0.0);
        for j in 0..=q {
            let theta = nonzero(j);
            if theta != 0.0 {
                for (m, half) in self.half.iter_mut().enumerate() {
                    *half += theta * self.ar[m.abs_diff(j)];
                }
            }
        }
        for j in 0..=q {
            let theta = nonzero(j);
            if theta != 0.0 {
                for (k, gamma) in self.gamma.iter_mut().enumerate() {
                    *gamma += theta * self.half[k + j];
                }
            }
        }
        self.psi.clear();
        for k in 0..=q {
            let mut psi = nonzero(k);
            for i in 1..=k.min(p) {
                psi += arma.phi[i - 1] * self.psi[k - i];
            }
            self.psi.push(psi);
        }
        self.column.clear();
        self.column.resize(r, 0.0);
        self.column[0] = self.gamma[0];
        for j in 2..=p {
            let phi = arma.phi[j - 1];
            if phi != 0.0 {
                for i in 2..=j {
                    self.column[i - 1] += phi * self.gamma[j - i + 1];
                }
            }
        }
        for j in 1..=q {
            let theta = arma.theta[j - 1];
            if theta != 0.0 {
                // θ_j sits in state row j + 1.
                for i in 2..=j + 1 {
                    self.column[i - 1] += theta * self.psi[j + 1 - i];
                }
            }
        }
        self.column[0].is_finite()
    }

    /// Autocovariances 0..=`lags` of the autoregressive process with coefficients `phi`.
    fn ar_autocovariances(&mut self, phi: &[f64], lags: usize) -> bool {
        let p = phi.len();
        self.levels.clear();
        self.levels.resize(p * (p + 1) / 2, 0.0);
        self.reflections.clear();
        self.reflections.resize(p, 0.0);
        let offset = |k: usize| k * (k - 1) / 2;
        if p > 0 {
            self.levels[offset(p)..].copy_from_slice(phi);
        }
        let mut variance = 1.0;
        for k in (1..=p).rev() {
            let (low, high) = self.levels.split_at_mut(offset(k));
            let reflection = high[k - 1];
            let rest = 1.0 - reflection * reflection;
            if rest.is_nan() || rest <= 0.0 {
                return false;
            }
            variance /= rest;
            self.reflections[k - 1] = reflection;
            if k > 1 {
                let below = &mut low[offset(k - 1)..];
                let scale = 1.0 / rest;
                for i in 0..k - 1 {
                    below[i] = (high[i] + reflection * high[k - 2 - i]) * scale;
                }
            }
        }
        self.ar.clear();
        self.ar.push(variance);
        let mut prediction = variance;
        for lag in 1..=lags {
            let order = lag.min(p);
            let mut value = 0.0;
            if lag <= p {
                let reflection = self.reflections[lag - 1];
                value = reflection * prediction;
                prediction *= 1.0 - reflection * reflection;
                if lag > 1 {
                    let level = &self.levels[offset(lag - 1)..offset(lag)];
                    for (i, phi) in level.iter().enumerate() {
                        value += phi * self.ar[lag - 1 - i];
                    }
                }
            } else {
                for i in 1..=order {
                    value += phi[i - 1] * self.ar[lag - i];
                }
            }
            self.ar.push(value);
        }
        true
    }

    /// The whole state covariance, r × r by rows, from [`Self::column`].
    pub fn covariance(&self, arma: &Arma) -> Vec<f64> {
        let r = arma.dimension();
        let load = |i: usize| if i == 0 { 1.0 } else { arma.theta[i - 1] };
        let mut full = vec![0.0; r * r];
        for i in (0..r).rev() {
            for j in (i..r).rev() {
                let mut value = load(i) * load(j) + arma.phi[i] * arma.phi[j] * self.column[0];
                if j + 1 < r {
                    value += arma.phi[i] * self.column[j + 1] + full[(i + 1) * r + j + 1];
                }
                if i + 1 < r {
                    value += arma.phi[j] * self.column[i + 1];
                }
                full[i * r + j] = value;
                full[j * r + i] = value;
            }
        }
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arima::ArimaOrder;

    fn arma(order: ArimaOrder, coefficients: &[f64]) -> Arma {
        let mut arma = Arma::new(&order);
        arma.expand(&order, coefficients);
        arma
    }

    #[test]
    fn the_variance_of_an_arma_1_1_is_the_textbook_one() {
        let arma = arma(ArimaOrder::new(1, 0, 1), &[0.7, 0.4]);
        let mut stationary = Stationary::default();
        assert!(stationary.first_column(&arma));
        let want = (1.0 + 2.0 * 0.7 * 0.4 + 0.16) / (1.0 - 0.49);
        assert!((stationary.column[0] - want).abs() < 1e-12);
    }

    #[test]
    fn the_covariance_is_the_fixed_point_of_the_state_equation() {
        let order = ArimaOrder::new(2, 0, 1).seasonal(1, 0, 2, 3);
        let arma = arma(order, &[0.5, -0.3, 0.4, 0.6, -0.5, 0.2]);
        let r = arma.dimension();
        let mut stationary = Stationary::default();
        assert!(stationary.first_column(&arma));
        let p = stationary.covariance(&arma);
        for i in 0..r {
            assert!((p[i * r] - stationary.column[i]).abs() < 1e-10);
        }
        let transition = |i: usize, j: usize| {
            let companion = if j == 0 { arma.phi[i] } else { 0.0 };
            companion + if j == i + 1 { 1.0 } else { 0.0 }
        };
        let load = |i: usize| if i == 0 { 1.0 } else { arma.theta[i - 1] };
        for i in 0..r {
            for j in 0..r {
                let mut value = load(i) * load(j);
                for a in 0..r {
                    for b in 0..r {
                        value += transition(i, a) * p[a * r + b] * transition(j, b);
                    }
                }
                assert!((value - p[i * r + j]).abs() < 1e-10, "{i} {j}");
            }
        }
    }
}
