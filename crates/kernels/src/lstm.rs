//! A long short-term memory over a window, with a linear quantile head on its last hidden state.
//!
//! Model: Hochreiter & Schmidhuber (1997) with forget gates (Gers, Schmidhuber & Cummins 2000), one layer,
//! gates in PyTorch's order i, f, g, o. Inputs, a one for the bias, and the last hidden state of a step
//! lie side by side, so that the four gates of a chunk are one matrix product; backward goes through time
//! over all steps (Werbos 1990).
//! The flat store: the recurrent matrix, (F + 1 + H) × 4H (rows: inputs, bias, hidden), then the head, H × O, and its bias, O.
//! Does not: stack layers, or drop out.

use fearless_simd::{Simd, prelude::*};

use crate::error::{Error, Result};
use crate::gemm::{Into, Left, gemm, size};
use crate::head::{Place, QuantileHead};
use crate::network::{Network, Order, Tensor, fill, transpose, two};
use crate::random::Random;
use crate::vector::{add_rows, fill_rows, sigmoid, tanh};

/// The network's configuration. Input windows are `[window][features]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Lstm {
    window: usize,
    features: usize,
    hidden: usize,
    head: QuantileHead,
}

impl Lstm {
    /// A network of `hidden` units over `window` steps of `features` numbers.
    ///
    /// # Errors
    /// [`Error::Config`] for a size out of range: window 1 to 4,096, features 1 to 64, hidden a multiple of
    /// 16 to 1,024.
    pub fn new(window: usize, features: usize, hidden: usize, head: QuantileHead) -> Result<Self> {
        if !(1..=4_096).contains(&window) {
            let reason = format!("expected 1 to 4096 steps, got {window}");
            return Err(Error::config("window", reason));
        }
        if !(1..=64).contains(&features) {
            let reason = format!("expected 1 to 64, got {features}");
            return Err(Error::config("features", reason));
        }
        if hidden == 0 || hidden > 1_024 || !hidden.is_multiple_of(16) {
            let reason = format!("expected a multiple of 16 up to 1024, got {hidden}");
            return Err(Error::config("hidden", reason));
        }
        Ok(Self {
            window,
            features,
            hidden,
            head,
        })
    }

    /// Numbers of a step.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Units.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// Width of a row of the recurrent matrix: inputs, bias, hidden state.
    fn width(&self) -> usize {
        self.features + 1 + self.hidden
    }

    fn recurrent(&self) -> usize {
        self.width() * 4 * self.hidden
    }
}

/// Buffers of a chunk of windows; of the steps only the present one where nothing is trained.
#[derive(Debug)]
pub struct Scratch {
    /// Whether every step is kept.
    training: bool,
    /// Rows (inputs, 1, hidden) of each step, and of the one after the last.
    rows: Vec<f32>,
    gates: Vec<f32>,
    cells: Vec<f32>,
    /// tanh of the cells.
    squashed: Vec<f32>,
    d_hidden: Vec<f32>,
    d_cell: Vec<f32>,
}

impl Scratch {
    /// Index of step `t`'s rows and cells: without training two take turns.
    fn state(&self, t: usize) -> usize {
        if self.training { t } else { t % 2 }
    }

    fn step(&self, t: usize) -> usize {
        if self.training { t } else { 0 }
    }
}

impl Network for Lstm {
    type Scratch = Scratch;

    fn tensors(&self) -> Vec<Tensor> {
        let (f, h, o) = (self.features, self.hidden, self.head.outputs());
        let bias = f * 4 * h;
        vec![
            Tensor::new("lstm.weight_ih_l0", &[4 * h, f], 0, Order::Transposed),
            Tensor::new("lstm.bias_ih_l0", &[4 * h], bias, Order::Same),
            Tensor::new("lstm.bias_hh_l0", &[4 * h], bias, Order::Added),
            Tensor::new(
                "lstm.weight_hh_l0",
                &[4 * h, h],
                bias + 4 * h,
                Order::Transposed,
            ),
            Tensor::new("head.weight", &[o, h], self.recurrent(), Order::Transposed),
            Tensor::new("head.bias", &[o], self.recurrent() + h * o, Order::Same),
        ]
    }

    fn parameters(&self) -> usize {
        self.recurrent() + (self.hidden + 1) * self.head.outputs()
    }

    fn inputs(&self) -> usize {
        self.window * self.features
    }

    fn sequences(&self) -> usize {
        1
    }

    fn head(&self) -> &QuantileHead {
        &self.head
    }

    fn chunk(&self) -> usize {
        if self.hidden < 128 { 16 } else { 32 }
    }

    fn initialise(&self, random: &mut Random, parameters: &mut [f32]) {
        let bound = 1.0 / (self.hidden as f32).sqrt();
        let (recurrent, head) = parameters.split_at_mut(self.recurrent());
        fill(random, recurrent, bound);
        let (weight, bias) = head.split_at_mut(self.hidden * self.head.outputs());
        fill(random, weight, 0.1 * bound);
        bias.copy_from_slice(&self.head.normal_biases(1.0));
    }

    fn scratch(&self, windows: usize, training: bool) -> Scratch {
        let steps = if training { self.window } else { 1 };
        let zeros = |n: usize| vec![0.0f32; n * windows];
        let back = if training { self.hidden } else { 0 };
        Scratch {
            training,
            rows: zeros((steps + 1) * self.width()),
            gates: zeros(steps * 4 * self.hidden),
            cells: zeros((steps + 1) * self.hidden),
            squashed: zeros(steps * self.hidden),
            d_hidden: zeros(back),
            d_cell: zeros(back),
        }
    }

    fn transposed(&self) -> usize {
        4 * self.hidden * self.hidden + self.hidden * self.head.outputs()
    }

    fn transpose(&self, parameters: &[f32], to: &mut [f32]) {
        let h = self.hidden;
        let (hidden, head) = to.split_at_mut(4 * h * h);
        let from = &parameters[(self.features + 1) * 4 * h..];
        transpose(&from[..4 * h * h], h, 4 * h, hidden);
        let o = self.head.outputs();
        transpose(&parameters[self.recurrent()..][..h * o], h, o, head);
    }

    #[inline(always)]
    fn forward<S: Simd>(
        &self,
        s: S,
        parameters: &[f32],
        input: &[f32],
        windows: usize,
        scratch: &mut Scratch,
        raw: &mut [f32],
    ) {
        let (n, f, h, k) = (windows, self.features, self.hidden, self.width());
        scratch.rows[..n * k].fill(0.0);
        scratch.cells[..n * h].fill(0.0);
        for t in 0..self.window {
            let (now, next) = (scratch.state(t), scratch.state(t + 1));
            let step = scratch.step(t);
            let rows = &mut scratch.rows[now * n * k..][..n * k];
            for (b, row) in rows.chunks_exact_mut(k).enumerate() {
                row[..f].copy_from_slice(&input[(b * self.window + t) * f..][..f]);
                row[f] = 1.0;
            }
            let gates = &mut scratch.gates[step * n * 4 * h..][..n * 4 * h];
            let left = Left::Rows(rows, k);
            let sizes = size(n, 4 * h, k);
            gemm(
                s,
                sizes,
                left,
                (parameters, 4 * h),
                (gates, 4 * h),
                Into::Fresh,
            );
            let (before, after) = two(&mut scratch.cells, n * h, now, next);
            let squashed = &mut scratch.squashed[step * n * h..][..n * h];
            let hidden = &mut scratch.rows[next * n * k..][..n * k];
            for b in 0..n {
                cell(
                    s,
                    &mut gates[b * 4 * h..][..4 * h],
                    &before[b * h..][..h],
                    &mut after[b * h..][..h],
                    &mut squashed[b * h..][..h],
                    &mut hidden[b * k + f + 1..][..h],
                );
            }
        }
        let o = self.head.outputs();
        let (weight, bias) = parameters[self.recurrent()..].split_at(h * o);
        let raw = &mut raw[..n * o];
        fill_rows(raw, &bias[..o]);
        let last = scratch.state(self.window) * n * k + f + 1;
        let left = Left::Rows(&scratch.rows[last..], k);
        gemm(s, size(n, o, h), left, (weight, o), (raw, o), Into::Sum);
    }

    fn place(&self, _: &Scratch, _: usize) -> Place {
        Place::default()
    }

    #[inline(always)]
    fn backward<S: Simd>(
        &self,
        s: S,
        _: &[f32],
        transposed: &[f32],
        slope: &[f32],
        windows: usize,
        scratch: &mut Scratch,
        gradient: &mut [f32],
    ) {
        let (n, f, h, k) = (windows, self.features, self.hidden, self.width());
        let o = self.head.outputs();
        let (hidden_t, head_t) = transposed.split_at(4 * h * h);
        let (d_recurrent, d_head) = gradient.split_at_mut(self.recurrent());
        let (d_weight, d_bias) = d_head.split_at_mut(h * o);
        let slope = &slope[..n * o];
        let last = &scratch.rows[self.window * n * k + f + 1..];
        let left = Left::Columns(last, k);
        gemm(s, size(h, o, n), left, (slope, o), (d_weight, o), Into::Sum);
        add_rows(s, slope, &mut d_bias[..o]);
        let d_hidden = &mut scratch.d_hidden[..n * h];
        let left = Left::Rows(slope, o);
        gemm(
            s,
            size(n, h, o),
            left,
            (head_t, h),
            (d_hidden, h),
            Into::Fresh,
        );
        scratch.d_cell[..n * h].fill(0.0);
        for t in (0..self.window).rev() {
            let gates = &mut scratch.gates[t * n * 4 * h..][..n * 4 * h];
            for b in 0..n {
                cell_back(
                    s,
                    &mut gates[b * 4 * h..][..4 * h],
                    &scratch.cells[(t * n + b) * h..][..h],
                    &scratch.squashed[(t * n + b) * h..][..h],
                    &scratch.d_hidden[b * h..][..h],
                    &mut scratch.d_cell[b * h..][..h],
                );
            }
            // While the gates' slopes are hot.
            let left = Left::Columns(&scratch.rows[t * n * k..], k);
            let sizes = size(k, 4 * h, n);
            gemm(
                s,
                sizes,
                left,
                (gates, 4 * h),
                (d_recurrent, 4 * h),
                Into::Sum,
            );
            if t > 0 {
                let d_hidden = &mut scratch.d_hidden[..n * h];
                let left = Left::Rows(gates, 4 * h);
                gemm(
                    s,
                    size(n, h, 4 * h),
                    left,
                    (hidden_t, h),
                    (d_hidden, h),
                    Into::Fresh,
                );
            }
        }
    }
}

/// One window's cell: gates (before their squashing; after it on return) to cell and hidden state.
#[inline(always)]
fn cell<S: Simd>(
    s: S,
    gates: &mut [f32],
    before: &[f32],
    after: &mut [f32],
    squashed: &mut [f32],
    hidden: &mut [f32],
) {
    let (h, lanes) = (before.len(), S::f32s::LEN);
    let (i, rest) = gates.split_at_mut(h);
    let (f, rest) = rest.split_at_mut(h);
    let (g, o) = rest.split_at_mut(h);
    let mut j = 0;
    while j + lanes <= h {
        let at = j..j + lanes;
        let input = sigmoid(s, S::f32s::from_slice(s, &i[at.clone()]));
        let forget = sigmoid(s, S::f32s::from_slice(s, &f[at.clone()]));
        let candidate = tanh(s, S::f32s::from_slice(s, &g[at.clone()]));
        let output = sigmoid(s, S::f32s::from_slice(s, &o[at.clone()]));
        let old = S::f32s::from_slice(s, &before[at.clone()]);
        let new = forget.mul_add(old, input * candidate);
        let flat = tanh(s, new);
        input.store_slice(&mut i[at.clone()]);
        forget.store_slice(&mut f[at.clone()]);
        candidate.store_slice(&mut g[at.clone()]);
        output.store_slice(&mut o[at.clone()]);
        new.store_slice(&mut after[at.clone()]);
        flat.store_slice(&mut squashed[at.clone()]);
        (output * flat).store_slice(&mut hidden[at]);
        j += lanes;
    }
}

/// The cell backwards: gates to the slopes of their arguments, `d_cell` to the step before.
#[inline(always)]
fn cell_back<S: Simd>(
    s: S,
    gates: &mut [f32],
    before: &[f32],
    squashed: &[f32],
    d_hidden: &[f32],
    d_cell: &mut [f32],
) {
    let (h, lanes) = (before.len(), S::f32s::LEN);
    let one = S::f32s::splat(s, 1.0);
    let (i, rest) = gates.split_at_mut(h);
    let (f, rest) = rest.split_at_mut(h);
    let (g, o) = rest.split_at_mut(h);
    let mut j = 0;
    while j + lanes <= h {
        let at = j..j + lanes;
        let input = S::f32s::from_slice(s, &i[at.clone()]);
        let forget = S::f32s::from_slice(s, &f[at.clone()]);
        let candidate = S::f32s::from_slice(s, &g[at.clone()]);
        let output = S::f32s::from_slice(s, &o[at.clone()]);
        let flat = S::f32s::from_slice(s, &squashed[at.clone()]);
        let dh = S::f32s::from_slice(s, &d_hidden[at.clone()]);
        let old = S::f32s::from_slice(s, &before[at.clone()]);
        let dc = S::f32s::from_slice(s, &d_cell[at.clone()]);
        let dc = (dh * output).mul_add(one - flat * flat, dc);
        (dc * candidate * input * (one - input)).store_slice(&mut i[at.clone()]);
        (dc * old * forget * (one - forget)).store_slice(&mut f[at.clone()]);
        (dc * input * (one - candidate * candidate)).store_slice(&mut g[at.clone()]);
        (dh * flat * output * (one - output)).store_slice(&mut o[at.clone()]);
        (dc * forget).store_slice(&mut d_cell[at]);
        j += lanes;
    }
}
