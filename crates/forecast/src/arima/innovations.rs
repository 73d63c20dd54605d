//! The exact innovations of a stationary ARMA process without missing values, in O(n·r).
//!
//! Model: the Kalman filter in Chandrasekhar form (Morf, Sidhu & Kailath 1974, IEEE Trans. Autom.
//! Control 19(4); Pearlman 1980, Biometrika 67(1)). The state covariance changes by a matrix of
//! rank one at every step, so its square never appears: only its first column (the gain) and the
//! vector of that change are carried. Once the change vanishes the filter is the plain ARMA
//! recursion with innovation variance 1. Several columns (the series and its regressors) run
//! through the same gains.
//! Does not: take missing values (see [`super::kalman`]) or differences (taken before).

use super::polynomial::Arma;
use super::prior::start_state;
use super::stationary::Stationary;

/// As in R's `arima`: an observation predicted with this variance (in innovation variances) or
/// more says nothing of the parameters and is left out of the likelihood.
pub(crate) const DIFFUSE: f64 = 1e4;

/// The change of the gain below which the filter is in its steady state.
const STEADY: f64 = 1e-13;

/// What the filter found besides the innovations.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Determinant {
    /// Sum of the logarithms of the innovation variances.
    pub log: f64,
    /// Number of innovations that count.
    pub count: usize,
    /// Times of the others, the diffuse ones; their innovations are in the output all the same.
    pub diffuse: Vec<usize>,
}

/// Buffers of the filter, kept between calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Innovations {
    stationary: Stationary,
    gain: Vec<f64>,
    change: Vec<f64>,
    states: Vec<f64>,
    ar_lags: Vec<(usize, f64)>,
    ma_lags: Vec<(usize, f64)>,
}

/// A product of many factors whose logarithm is taken rarely.
#[derive(Debug)]
pub(crate) struct LogProduct {
    log: f64,
    product: f64,
}

impl LogProduct {
    pub fn new() -> Self {
        Self {
            log: 0.0,
            product: 1.0,
        }
    }

    pub fn push(&mut self, factor: f64) {
        self.product *= factor;
        if !(1e-200..1e200).contains(&self.product) {
            self.log += libm::log(self.product);
            self.product = 1.0;
        }
    }

    pub fn log(&self) -> f64 {
        self.log + libm::log(self.product)
    }
}

impl Innovations {
    /// Writes the standardised innovations v/√F of every column of `input` to `output` (0 where
    /// they do not count). `pulls` holds for every column what the values before it say about its
    /// start (see [`super::prior`]). None when the process is not stationary or numbers break down.
    pub fn run(
        &mut self,
        arma: &Arma,
        input: &[Vec<f64>],
        pulls: &[Vec<f64>],
        output: &mut [Vec<f64>],
    ) -> Option<Determinant> {
        let r = arma.dimension();
        let n = input[0].len();
        if !self.stationary.first_column(arma) {
            return None;
        }
        let column = &self.stationary.column;
        let mut f = column[0];
        self.gain.clear();
        self.gain
            .extend((0..r).map(|i| arma.phi[i] * f + column.get(i + 1).copied().unwrap_or(0.0)));
        self.change.clear();
        self.change.extend_from_slice(&self.gain);
        let mut weight = -1.0 / f;
        let columns = input.len();
        self.states.clear();
        self.states.resize(columns * r, 0.0);
        for (state, pull) in self.states.chunks_exact_mut(r).zip(pulls) {
            start_state(pull, &arma.phi, column, state);
        }
        let (phi, gain, change) = (&arma.phi[..r], &mut self.gain[..r], &mut self.change[..r]);
        let mut determinant = LogProduct::new();
        let mut count = 0;
        let mut diffuse = Vec::new();
        let mut t = 0;
        while t < n {
            if !(f > 0.0 && f < 1e100) {
                return None;
            }
            let root = 1.0 / f.sqrt();
            if f < DIFFUSE {
                determinant.push(f);
                count += 1;
            } else {
                diffuse.push(t);
            }
            let inverse = 1.0 / f;
            for (c, state) in self.states.chunks_exact_mut(r).enumerate() {
                let first = state[0];
                let v = input[c][t] - first;
                output[c][t] = v * root;
                let scaled = v * inverse;
                for i in 0..r - 1 {
                    state[i] = state[i + 1] + phi[i] * first + gain[i] * scaled;
                }
                state[r - 1] = phi[r - 1] * first + gain[r - 1] * scaled;
            }
            t += 1;
            // The next covariance: F, gain and the direction of change.
            let lead = change[0];
            let step = weight * lead;
            let next = f + step * lead;
            let ratio = lead / next;
            let mut largest: f64 = 0.0;
            for i in 0..r {
                let above = if i + 1 < r { change[i + 1] } else { 0.0 };
                let moved = phi[i] * lead + above;
                gain[i] += step * moved;
                change[i] = moved - gain[i] * ratio;
                largest = largest.max(change[i].abs());
            }
            weight += step * step * inverse;
            f = next;
            if -weight * largest * largest < STEADY {
                break;
            }
        }
        if t < n {
            count += n - t;
            self.steady(arma, input, output, t, f);
        }
        let log = determinant.log() + (n - t) as f64 * libm::log(f);
        log.is_finite().then_some(Determinant {
            log,
            count,
            diffuse,
        })
    }

    /// The rest of every column from time `start` with the gain as it is.
    fn steady(
        &mut self,
        arma: &Arma,
        input: &[Vec<f64>],
        output: &mut [Vec<f64>],
        start: usize,
        f: f64,
    ) {
        let r = arma.dimension();
        let root = 1.0 / f.sqrt();
        // state' = shift(state) + phi·y + (gain/F − phi)·v
        for i in 0..r {
            self.gain[i] = self.gain[i] / f - arma.phi[i];
        }
        for (c, state) in self.states.chunks_exact(r).enumerate() {
            let (x, e) = (&input[c][start..], &mut output[c][start..]);
            match r {
                1 => steady_small::<1>(&arma.phi, &self.gain, state, x, e, root),
                2 => steady_small::<2>(&arma.phi, &self.gain, state, x, e, root),
                3 => steady_small::<3>(&arma.phi, &self.gain, state, x, e, root),
                4 => steady_small::<4>(&arma.phi, &self.gain, state, x, e, root),
                5 => steady_small::<5>(&arma.phi, &self.gain, state, x, e, root),
                6 => steady_small::<6>(&arma.phi, &self.gain, state, x, e, root),
                _ => {
                    let lags = |values: &[f64], lags: &mut Vec<(usize, f64)>| {
                        lags.clear();
                        let found = values.iter().copied().enumerate();
                        lags.extend(found.filter(|(_, v)| v.abs() > 1e-14));
                    };
                    lags(&arma.phi, &mut self.ar_lags);
                    lags(&self.gain, &mut self.ma_lags);
                    steady_sparse(&self.ar_lags, &self.ma_lags, state, x, e, root);
                }
            }
        }
    }
}

/// The steady filter with the state in registers.
fn steady_small<const R: usize>(
    phi: &[f64],
    gain: &[f64],
    state: &[f64],
    x: &[f64],
    e: &mut [f64],
    root: f64,
) {
    let mut a = [0.0; R];
    let mut b = [0.0; R];
    let mut s = [0.0; R];
    a.copy_from_slice(&phi[..R]);
    b.copy_from_slice(&gain[..R]);
    s.copy_from_slice(&state[..R]);
    for (x, e) in x.iter().zip(e) {
        let v = x - s[0];
        *e = v * root;
        for i in 0..R - 1 {
            s[i] = (s[i + 1] + a[i] * x) + b[i] * v;
        }
        s[R - 1] = a[R - 1] * x + b[R - 1] * v;
    }
}

/// The steady filter of a long, mostly empty state: predictions are scattered ahead.
fn steady_sparse(
    ar: &[(usize, f64)],
    ma: &[(usize, f64)],
    state: &[f64],
    x: &[f64],
    e: &mut [f64],
    root: f64,
) {
    let r = state.len();
    // A ring of predictions, with room to be a power of two.
    let size = (r + 1).next_power_of_two();
    let mask = size - 1;
    let mut ring = vec![0.0; size];
    ring[..r].copy_from_slice(state);
    for (t, (x, e)) in x.iter().zip(e).enumerate() {
        let v = x - ring[t & mask];
        ring[t & mask] = 0.0;
        *e = v * root;
        for &(i, value) in ar {
            ring[(t + 1 + i) & mask] += value * x;
        }
        for &(i, value) in ma {
            ring[(t + 1 + i) & mask] += value * v;
        }
    }
}
