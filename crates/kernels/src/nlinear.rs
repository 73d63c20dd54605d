//! NLinear: one linear layer on the window less its last value, the honest cheap rival.
//!
//! Model: Zeng, Chen, Zhang & Xu (2023), "Are Transformers effective for time series forecasting?": take
//! the last value off, a linear map from the window to the forecast, put it back; the same map for every
//! channel.
//! The flat store: weight, T × O, then bias, O.
//! Does not: see other channels.

use fearless_simd::Simd;

use crate::error::{Error, Result};
use crate::gemm::{Into, Left, gemm, size};
use crate::head::{Place, QuantileHead};
use crate::network::{Network, Order, Tensor, fill};
use crate::random::Random;
use crate::vector::{add_rows, fill_rows};

/// The network's configuration. Input windows are `[window][channels]`.
#[derive(Clone, Debug, PartialEq)]
pub struct NLinear {
    window: usize,
    channels: usize,
    head: QuantileHead,
}

impl NLinear {
    /// A map over `window` steps, the same for each of `channels` channels.
    ///
    /// # Errors
    /// [`Error::Config`] for a window outside 2 to 4,096, or channels outside 1 to 64.
    pub fn new(window: usize, channels: usize, head: QuantileHead) -> Result<Self> {
        if !(2..=4_096).contains(&window) {
            let reason = format!("expected 2 to 4096 steps, got {window}");
            return Err(Error::config("window", reason));
        }
        if !(1..=64).contains(&channels) {
            let reason = format!("expected 1 to 64, got {channels}");
            return Err(Error::config("channels", reason));
        }
        Ok(Self {
            window,
            channels,
            head,
        })
    }
}

/// Buffers of a chunk of windows.
#[derive(Debug)]
pub struct Scratch {
    /// Sequences less their last value.
    centred: Vec<f32>,
    last: Vec<f32>,
}

impl Network for NLinear {
    type Scratch = Scratch;

    fn tensors(&self) -> Vec<Tensor> {
        let (t, o) = (self.window, self.head.outputs());
        vec![
            Tensor::new("linear.weight", &[o, t], 0, Order::Transposed),
            Tensor::new("linear.bias", &[o], t * o, Order::Same),
        ]
    }

    fn parameters(&self) -> usize {
        (self.window + 1) * self.head.outputs()
    }

    fn inputs(&self) -> usize {
        self.window * self.channels
    }

    fn sequences(&self) -> usize {
        self.channels
    }

    fn head(&self) -> &QuantileHead {
        &self.head
    }

    fn chunk(&self) -> usize {
        16
    }

    fn initialise(&self, random: &mut Random, parameters: &mut [f32]) {
        let (weight, bias) = parameters.split_at_mut(self.window * self.head.outputs());
        fill(random, weight, 0.1 / (self.window as f32).sqrt());
        bias.copy_from_slice(&self.head.normal_biases(1.0));
    }

    fn scratch(&self, windows: usize, _: bool) -> Scratch {
        let sequences = windows * self.channels;
        Scratch {
            centred: vec![0.0; sequences * self.window],
            last: vec![0.0; sequences],
        }
    }

    fn transposed(&self) -> usize {
        0
    }

    fn transpose(&self, _: &[f32], _: &mut [f32]) {}

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
        let (t, c, o) = (self.window, self.channels, self.head.outputs());
        for b in 0..windows {
            let window = &input[b * t * c..][..t * c];
            for channel in 0..c {
                let last = window[(t - 1) * c + channel];
                scratch.last[b * c + channel] = last;
                let to = &mut scratch.centred[(b * c + channel) * t..][..t];
                for (i, to) in to.iter_mut().enumerate() {
                    *to = window[i * c + channel] - last;
                }
            }
        }
        let n = windows * c;
        let (weight, bias) = parameters.split_at(t * o);
        let raw = &mut raw[..n * o];
        fill_rows(raw, &bias[..o]);
        let left = Left::Rows(&scratch.centred, t);
        gemm(s, size(n, o, t), left, (weight, o), (raw, o), Into::Sum);
    }

    fn place(&self, scratch: &Scratch, sequence: usize) -> Place {
        Place {
            centre: scratch.last[sequence],
            scale: 1.0,
        }
    }

    #[inline(always)]
    fn backward<S: Simd>(
        &self,
        s: S,
        _: &[f32],
        _: &[f32],
        slope: &[f32],
        windows: usize,
        scratch: &mut Scratch,
        gradient: &mut [f32],
    ) {
        let (t, n, o) = (self.window, windows * self.channels, self.head.outputs());
        let slope = &slope[..n * o];
        let (weight, bias) = gradient.split_at_mut(t * o);
        let left = Left::Columns(&scratch.centred, t);
        gemm(s, size(t, o, n), left, (slope, o), (weight, o), Into::Sum);
        add_rows(s, slope, &mut bias[..o]);
    }
}
