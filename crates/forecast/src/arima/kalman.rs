//! The state-space form of an ARIMA model, one observation at a time.
//!
//! Model: the state holds Harvey's ARMA state (dimension r) and the last d + D·m values of the
//! series, so that differencing happens inside the filter and any value may be missing (Harvey &
//! Pierse 1984, JASA 79(385)). Variances are in units of the innovation variance. The first
//! values of the series are known exactly when they are all there; otherwise they start with a
//! variance of 10⁶, as in R's `arima`. Once the covariance stops changing only the state vector
//! moves: one observation costs O(state).
//! Does not: estimate anything.

use serde::{Deserialize, Serialize};

use super::polynomial::Arma;
use super::prior::{KAPPA, start_state};
use super::stationary::Stationary;

/// Largest change of the covariance in its steady state.
const STEADY: f64 = 1e-11;

/// A filter over one series, holding the prediction of the next state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Filter {
    phi: Vec<f64>,
    theta: Vec<f64>,
    /// Coefficients δ of the differences that are not 0, with their position.
    delta: Vec<(usize, f64)>,
    lags: usize,
    state: Vec<f64>,
    /// Predicted covariance, by rows.
    covariance: Vec<f64>,
    /// Gain P·Z′/F of the steady state.
    gain: Vec<f64>,
    steady: bool,
    #[serde(skip)]
    scratch: Vec<f64>,
    /// The covariance predicted one step ago, which says when the steady state is reached: part of the state.
    moved: Vec<f64>,
}

/// What one observation said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Innovation {
    /// Observation less its prediction.
    pub error: f64,
    /// Variance of that error, in innovation variances.
    pub variance: f64,
}

impl Filter {
    /// A filter at the start of a series: `head` holds its first d + D·m values when they are
    /// known, oldest first, or is empty. None when the process is not stationary.
    pub fn new(arma: &Arma, delta: &[f64], head: &[f64]) -> Option<Self> {
        let (r, lags) = (arma.dimension(), delta.len());
        let dim = r + lags;
        let mut stationary = Stationary::default();
        if !stationary.first_column(arma) {
            return None;
        }
        let block = stationary.covariance(arma);
        let mut covariance = vec![0.0; dim * dim];
        for i in 0..r {
            covariance[i * dim..i * dim + r].copy_from_slice(&block[i * r..(i + 1) * r]);
        }
        let mut state = vec![0.0; dim];
        if head.len() == lags {
            for (slot, value) in state[r..].iter_mut().zip(head.iter().rev()) {
                *slot = *value;
            }
        } else {
            for i in r..dim {
                covariance[i * dim + i] = KAPPA;
            }
        }
        let delta = delta
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, v)| *v != 0.0)
            .collect();
        Some(Self {
            phi: arma.phi.clone(),
            theta: arma.theta.clone(),
            delta,
            lags,
            state,
            covariance,
            gain: vec![0.0; dim],
            steady: false,
            scratch: Vec::new(),
            moved: Vec::new(),
        })
    }

    /// Moves the start of the ARMA state to where `pull` wants it (see [`super::prior`]).
    pub fn lean(&mut self, arma: &Arma, pull: &[f64]) -> Option<()> {
        let mut stationary = Stationary::default();
        if !stationary.first_column(arma) {
            return None;
        }
        let r = self.phi.len();
        start_state(pull, &self.phi, &stationary.column, &mut self.state[..r]);
        Some(())
    }

    /// Drops the buffers, so that filters with the same state are equal.
    pub fn forget_buffers(&mut self) {
        self.scratch = Vec::new();
        self.moved = Vec::new();
    }

    fn dimension(&self) -> usize {
        self.phi.len() + self.lags
    }

    /// Z·vector.
    fn observe(&self, vector: &[f64]) -> f64 {
        let r = self.phi.len();
        self.delta
            .iter()
            .fold(vector[0], |sum, (j, d)| sum + d * vector[r + j])
    }

    /// T·vector, in place.
    fn advance(&self, vector: &mut [f64]) {
        let r = self.phi.len();
        let first = vector[0];
        let newest = self.observe(vector);
        for i in 0..r - 1 {
            vector[i] = vector[i + 1] + self.phi[i] * first;
        }
        vector[r - 1] = self.phi[r - 1] * first;
        if self.lags > 0 {
            vector.copy_within(r..r + self.lags - 1, r + 1);
            vector[r] = newest;
        }
    }

    /// Prediction of the next observation.
    pub fn prediction(&self) -> f64 {
        self.observe(&self.state)
    }

    /// Variance of the next observation, in innovation variances.
    pub fn variance(&self) -> f64 {
        let dim = self.dimension();
        let r = self.phi.len();
        let row = |i: usize| self.observe(&self.covariance[i * dim..(i + 1) * dim]);
        self.delta
            .iter()
            .fold(row(0), |sum, (j, d)| sum + d * row(r + j))
    }

    /// Takes one observation, NaN when it is missing, and predicts the next state.
    pub fn step(&mut self, y: f64) -> Option<Innovation> {
        let dim = self.dimension();
        if y.is_nan() {
            self.steady = false;
            self.predict();
            return None;
        }
        let error = y - self.prediction();
        if self.steady {
            let variance = self.variance();
            for (state, gain) in self.state.iter_mut().zip(&self.gain) {
                *state += gain * error;
            }
            let mut state = std::mem::take(&mut self.state);
            self.advance(&mut state);
            self.state = state;
            return Some(Innovation { error, variance });
        }
        for i in 0..dim {
            self.gain[i] = self.observe(&self.covariance[i * dim..(i + 1) * dim]);
        }
        let variance = self.observe(&self.gain);
        if !(variance > 0.0 && variance.is_finite()) {
            // Nothing to learn from a value that is known already.
            self.predict();
            return Some(Innovation {
                error,
                variance: f64::INFINITY,
            });
        }
        let inverse = 1.0 / variance;
        for i in 0..dim {
            let scaled = self.gain[i] * inverse;
            self.state[i] += scaled * error;
            let row = &mut self.covariance[i * dim..(i + 1) * dim];
            for (value, gain) in row.iter_mut().zip(&self.gain) {
                *value -= scaled * gain;
            }
        }
        for gain in &mut self.gain {
            *gain *= inverse;
        }
        // P·Z′ changed from step to step by less than the tolerance: the steady state.
        self.steady = self.predict() < STEADY;
        Some(Innovation { error, variance })
    }

    /// state ← T·state, P ← T·P·T′ + R·R′; gives the largest change of P before filtering that can
    /// be seen from the ARMA block.
    fn predict(&mut self) -> f64 {
        let dim = self.dimension();
        let r = self.phi.len();
        let mut state = std::mem::take(&mut self.state);
        self.advance(&mut state);
        self.state = state;
        // Rows first (into scratch), then columns.
        let mut moved = std::mem::take(&mut self.scratch);
        moved.clear();
        moved.resize(dim * dim, 0.0);
        let p = &self.covariance;
        for i in 0..r {
            let phi = self.phi[i];
            let target = &mut moved[i * dim..(i + 1) * dim];
            if i + 1 < r {
                target.copy_from_slice(&p[(i + 1) * dim..(i + 2) * dim]);
            }
            if phi != 0.0 {
                for (value, first) in target.iter_mut().zip(&p[..dim]) {
                    *value += phi * first;
                }
            }
        }
        if self.lags > 0 {
            let target = &mut moved[r * dim..(r + 1) * dim];
            target.copy_from_slice(&p[..dim]);
            for (j, d) in &self.delta {
                for (value, lag) in target.iter_mut().zip(&p[(r + j) * dim..(r + j + 1) * dim]) {
                    *value += d * lag;
                }
            }
            moved[(r + 1) * dim..].copy_from_slice(&p[r * dim..(dim - 1) * dim]);
        }
        for row in moved.chunks_exact_mut(dim) {
            self.advance(row);
        }
        let load = |i: usize| if i == 0 { 1.0 } else { self.theta[i - 1] };
        for i in 0..r {
            for j in 0..r {
                moved[i * dim + j] += load(i) * load(j);
            }
        }
        // Compared with the covariance predicted one step ago, kept in `moved` of that step.
        let mut change = f64::INFINITY;
        if self.moved.len() == moved.len() {
            change = moved
                .iter()
                .zip(&self.moved)
                .fold(0.0, |largest: f64, (a, b)| largest.max((a - b).abs()));
        }
        self.moved.clear();
        self.moved.extend_from_slice(&moved);
        self.scratch = std::mem::replace(&mut self.covariance, moved);
        change
    }

    /// Predictions and their variances (in innovation variances) for the next `horizon` steps.
    pub fn forecast(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let mut ahead = self.clone();
        let mut mean = Vec::with_capacity(horizon);
        let mut variance = Vec::with_capacity(horizon);
        for _ in 0..horizon {
            mean.push(ahead.prediction());
            variance.push(ahead.variance().max(0.0));
            ahead.predict();
        }
        (mean, variance)
    }
}
