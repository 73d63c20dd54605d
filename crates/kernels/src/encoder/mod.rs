//! A Transformer encoder over patches of a window, each channel by itself, with a linear quantile head.
//!
//! Model: PatchTST (Nie, Nguyen, Sinthong & Kalagnanam 2023, "A time series is worth 64 words"): the window
//! is cut into patches that do not overlap, embedded linearly with a learnt position, and goes through
//! encoder layers (Vaswani et al. 2017) with the norm before attention and feed-forward (Xiong et al.
//! 2020) and the exact GELU; the head reads all patches at once. Channels share all weights and do not
//! see each other. Instance normalisation: a window is taken less its last value and divided by its
//! standard deviation, and the forecast is put back (RevIN, Kim et al. 2022, as PatchTST's
//! `subtract_last`, without affine parameters).
//! The flat store: embedding, P × D, bias, positions, N × D; per layer the two norms and the matrices
//! (in × out) in the order of [`layout::Offsets`]; head, N·D × O, bias.
//! Does not: mask, drop out, or let patches overlap.

mod backward;
mod forward;
mod layout;
mod scratch;

use fearless_simd::Simd;

pub use self::scratch::Scratch;
use crate::error::{Error, Result};
use crate::head::{Place, QuantileHead};
use crate::network::{Network, Tensor, fill, transpose};
use crate::random::Random;

/// The sizes that a configuration chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderSize {
    /// Steps per patch; divides the window.
    pub patch: usize,
    /// Width of the model; a multiple of 16 that the heads divide.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward layer; a multiple of 16.
    pub feed_forward: usize,
    /// Encoder layers.
    pub layers: usize,
}

/// The network's configuration. Input windows are `[window][channels]`.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchEncoder {
    window: usize,
    channels: usize,
    size: EncoderSize,
    head: QuantileHead,
}

impl PatchEncoder {
    /// An encoder of this size over `window` steps, the same for each of `channels` channels.
    ///
    /// # Errors
    /// [`Error::Config`] for sizes that do not fit each other (see [`EncoderSize`]) or are out of range:
    /// window to 4,096, patches 2 to 64 a window, width and feed-forward to 1,024, layers 1 to 12,
    /// channels 1 to 64.
    pub fn new(
        window: usize,
        channels: usize,
        size: EncoderSize,
        head: QuantileHead,
    ) -> Result<Self> {
        let EncoderSize {
            patch,
            width,
            heads,
            feed_forward,
            layers,
        } = size;
        let patches = window.checked_div(patch).unwrap_or(0);
        if window > 4_096 || !(2..=64).contains(&patches) || patches * patch != window {
            let reason =
                format!("expected to divide the window of {window} 2 to 64 times, got {patch}");
            return Err(Error::config("patch", reason));
        }
        if !(1..=64).contains(&channels) {
            let reason = format!("expected 1 to 64, got {channels}");
            return Err(Error::config("channels", reason));
        }
        for (name, value) in [("width", width), ("feed_forward", feed_forward)] {
            if value == 0 || value > 1_024 || !value.is_multiple_of(16) {
                let reason = format!("expected a multiple of 16 up to 1024, got {value}");
                return Err(Error::config(name, reason));
            }
        }
        if heads == 0 || !width.is_multiple_of(heads) {
            let reason = format!("expected to divide the width of {width}, got {heads}");
            return Err(Error::config("heads", reason));
        }
        if !(1..=12).contains(&layers) {
            let reason = format!("expected 1 to 12, got {layers}");
            return Err(Error::config("layers", reason));
        }
        Ok(Self {
            window,
            channels,
            size,
            head,
        })
    }

    /// Its size.
    #[must_use]
    pub fn size(&self) -> EncoderSize {
        self.size
    }
}

impl Network for PatchEncoder {
    type Scratch = Scratch;

    fn tensors(&self) -> Vec<Tensor> {
        self.named_tensors()
    }

    fn parameters(&self) -> usize {
        let read = self.patches() * self.size.width;
        self.head_at() + (read + 1) * self.head.outputs()
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
        let (d, ff, n) = (self.size.width, self.size.feed_forward, self.patches());
        let root = |n: usize| 1.0 / (n as f32).sqrt();
        let bound = root(self.size.patch);
        fill(random, &mut parameters[..self.positions()], bound);
        fill(random, &mut parameters[self.positions()..][..n * d], 0.02);
        for layer in 0..self.size.layers {
            let at = self.offsets(layer);
            for norm in [at.norm1, at.norm2] {
                parameters[norm..][..d].fill(1.0);
                parameters[norm + d..][..d].fill(0.0);
            }
            // Xavier over the three matrices at once, as PyTorch's MultiheadAttention; biases at zero.
            let xavier = (6.0 / (4 * d) as f32).sqrt();
            fill(random, &mut parameters[at.qkv..][..3 * d * d], xavier);
            parameters[at.qkv_bias..][..3 * d].fill(0.0);
            fill(random, &mut parameters[at.out..][..d * d], root(d));
            parameters[at.out_bias..][..d].fill(0.0);
            fill(
                random,
                &mut parameters[at.linear1..][..(d + 1) * ff],
                root(d),
            );
            fill(
                random,
                &mut parameters[at.linear2..][..(ff + 1) * d],
                root(ff),
            );
        }
        let o = self.head.outputs();
        let (weight, bias) = parameters[self.head_at()..].split_at_mut(n * d * o);
        fill(random, weight, 0.1 * root(n * d));
        // The deviation of a random walk's window is about √(T/6) of its steps.
        let deviation = (6.0 / self.window as f32).sqrt();
        bias.copy_from_slice(&self.head.normal_biases(deviation));
    }

    fn scratch(&self, windows: usize, training: bool) -> Scratch {
        Scratch::new(self, windows, training)
    }

    fn transposed(&self) -> usize {
        self.matrices().iter().map(|(_, r, c)| r * c).sum()
    }

    fn transpose(&self, parameters: &[f32], to: &mut [f32]) {
        let mut at = 0;
        for (offset, rows, columns) in self.matrices() {
            let len = rows * columns;
            transpose(
                &parameters[offset..][..len],
                rows,
                columns,
                &mut to[at..][..len],
            );
            at += len;
        }
    }

    #[inline(always)]
    fn forward<S: Simd>(
        &self,
        s: S,
        p: &[f32],
        input: &[f32],
        windows: usize,
        scratch: &mut Scratch,
        raw: &mut [f32],
    ) {
        self.forward_pass(s, p, input, windows, scratch, raw);
    }

    fn place(&self, scratch: &Scratch, sequence: usize) -> Place {
        scratch.places[sequence]
    }

    #[inline(always)]
    fn backward<S: Simd>(
        &self,
        s: S,
        p: &[f32],
        transposed: &[f32],
        slope: &[f32],
        windows: usize,
        scratch: &mut Scratch,
        gradient: &mut [f32],
    ) {
        self.backward_pass(s, p, transposed, slope, windows, scratch, gradient);
    }
}
