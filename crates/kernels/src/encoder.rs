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
//! (in × out) in the order of [`Offsets`]; head, N·D × O, bias.
//! Does not: mask, drop out, or let patches overlap.

use fearless_simd::{Simd, prelude::*};

use crate::attention;
use crate::error::{Error, Result};
use crate::gemm::{Into, Left, gemm, size};
use crate::head::{Place, QuantileHead};
use crate::network::{Network, Order, Tensor, fill, transpose};
use crate::norm;
use crate::random::Random;
use crate::vector::{add_rows, erf, fill_rows};

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

/// Where a layer's parameters begin.
#[derive(Clone, Copy)]
struct Offsets {
    norm1: usize,
    qkv: usize,
    qkv_bias: usize,
    out: usize,
    out_bias: usize,
    norm2: usize,
    linear1: usize,
    bias1: usize,
    linear2: usize,
    bias2: usize,
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

    fn patches(&self) -> usize {
        self.window / self.size.patch
    }

    fn layer_len(&self) -> usize {
        let (d, ff) = (self.size.width, self.size.feed_forward);
        4 * d + (d + 1) * 3 * d + (d + 1) * d + (d + 1) * ff + (ff + 1) * d
    }

    fn positions(&self) -> usize {
        (self.size.patch + 1) * self.size.width
    }

    fn first_layer(&self) -> usize {
        self.positions() + self.patches() * self.size.width
    }

    fn head_at(&self) -> usize {
        self.first_layer() + self.size.layers * self.layer_len()
    }

    fn offsets(&self, layer: usize) -> Offsets {
        let (d, ff) = (self.size.width, self.size.feed_forward);
        let mut at = self.first_layer() + layer * self.layer_len();
        let mut next = |len: usize| {
            let here = at;
            at += len;
            here
        };
        Offsets {
            norm1: next(2 * d),
            qkv: next(3 * d * d),
            qkv_bias: next(3 * d),
            out: next(d * d),
            out_bias: next(d),
            norm2: next(2 * d),
            linear1: next(d * ff),
            bias1: next(ff),
            linear2: next(ff * d),
            bias2: next(d),
        }
    }

    /// The matrices that the backward pass wants transposed: offset, rows, columns.
    fn matrices(&self) -> Vec<(usize, usize, usize)> {
        let (d, ff) = (self.size.width, self.size.feed_forward);
        let mut all = Vec::new();
        for layer in 0..self.size.layers {
            let at = self.offsets(layer);
            all.push((at.qkv, d, 3 * d));
            all.push((at.out, d, d));
            all.push((at.linear1, d, ff));
            all.push((at.linear2, ff, d));
        }
        all.push((self.head_at(), self.patches() * d, self.head.outputs()));
        all
    }
}

/// What a layer keeps for the way back.
#[derive(Debug)]
struct Layer {
    /// Its input, normalised, before and after the affine map; deviations.
    unit1: Vec<f32>,
    deviation1: Vec<f32>,
    normed1: Vec<f32>,
    qkv: Vec<f32>,
    weights: Vec<f32>,
    attended: Vec<f32>,
    /// After attention.
    middle: Vec<f32>,
    unit2: Vec<f32>,
    deviation2: Vec<f32>,
    normed2: Vec<f32>,
    /// Before and after the GELU.
    before: Vec<f32>,
    after: Vec<f32>,
}

/// Buffers of a chunk of windows; of the layers only one set where nothing is trained.
#[derive(Debug)]
pub struct Scratch {
    training: bool,
    patches: Vec<f32>,
    places: Vec<Place>,
    /// The stream between the layers; the last is what the head reads.
    stream: Vec<Vec<f32>>,
    layers: Vec<Layer>,
    attention: attention::Scratch,
    d_stream: Vec<f32>,
    d_normed: Vec<f32>,
    d_qkv: Vec<f32>,
    d_hidden: Vec<f32>,
}

impl Network for PatchEncoder {
    type Scratch = Scratch;

    fn tensors(&self) -> Vec<Tensor> {
        let (d, ff, n) = (self.size.width, self.size.feed_forward, self.patches());
        let (p, o) = (self.size.patch, self.head.outputs());
        let mut all = vec![
            Tensor::new("embed.weight", &[d, p], 0, Order::Transposed),
            Tensor::new("embed.bias", &[d], p * d, Order::Same),
            Tensor::new("position", &[n, d], self.positions(), Order::Same),
        ];
        for layer in 0..self.size.layers {
            let at = self.offsets(layer);
            let mut add = |name: &str, shape: &[usize], offset: usize, order: Order| {
                let name = format!("encoder.layers.{layer}.{name}");
                all.push(Tensor::new(name, shape, offset, order));
            };
            let (same, turned) = (Order::Same, Order::Transposed);
            add("norm1.weight", &[d], at.norm1, same);
            add("norm1.bias", &[d], at.norm1 + d, same);
            add("self_attn.in_proj_weight", &[3 * d, d], at.qkv, turned);
            add("self_attn.in_proj_bias", &[3 * d], at.qkv_bias, same);
            add("self_attn.out_proj.weight", &[d, d], at.out, turned);
            add("self_attn.out_proj.bias", &[d], at.out_bias, same);
            add("norm2.weight", &[d], at.norm2, same);
            add("norm2.bias", &[d], at.norm2 + d, same);
            add("linear1.weight", &[ff, d], at.linear1, turned);
            add("linear1.bias", &[ff], at.bias1, same);
            add("linear2.weight", &[d, ff], at.linear2, turned);
            add("linear2.bias", &[d], at.bias2, same);
        }
        let head = self.head_at();
        all.push(Tensor::new(
            "head.weight",
            &[o, n * d],
            head,
            Order::Transposed,
        ));
        all.push(Tensor::new(
            "head.bias",
            &[o],
            head + n * d * o,
            Order::Same,
        ));
        all
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
        let (d, ff, n) = (self.size.width, self.size.feed_forward, self.patches());
        let sequences = windows * self.channels;
        let rows = sequences * n;
        let zeros = |n: usize| vec![0.0f32; n];
        let back = |n: usize| zeros(if training { n } else { 0 });
        let layer = || Layer {
            unit1: zeros(rows * d),
            deviation1: zeros(rows),
            normed1: zeros(rows * d),
            qkv: zeros(rows * 3 * d),
            weights: zeros(sequences * self.size.heads * n * n),
            attended: zeros(rows * d),
            middle: zeros(rows * d),
            unit2: zeros(rows * d),
            deviation2: zeros(rows),
            normed2: zeros(rows * d),
            before: zeros(rows * ff),
            after: zeros(rows * ff),
        };
        let kept = if training { self.size.layers } else { 1 };
        Scratch {
            training,
            patches: zeros(sequences * self.window),
            places: vec![Place::default(); sequences],
            stream: (0..=self.size.layers).map(|_| zeros(rows * d)).collect(),
            layers: (0..kept).map(|_| layer()).collect(),
            attention: attention::Scratch::new(n, d / self.size.heads),
            d_stream: back(rows * d),
            d_normed: back(rows * d),
            d_qkv: back(rows * 3 * d),
            d_hidden: back(rows * ff),
        }
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
        let (d, ff, n) = (self.size.width, self.size.feed_forward, self.patches());
        let sequences = windows * self.channels;
        let rows = sequences * n;
        self.normalise(input, windows, scratch);
        let first = &mut scratch.stream[0][..rows * d];
        let (bias, position) = (&p[self.size.patch * d..][..d], &p[self.positions()..]);
        for (i, row) in first.chunks_exact_mut(d).enumerate() {
            let position = &position[(i % n) * d..][..d];
            for ((to, b), at) in row.iter_mut().zip(bias).zip(position) {
                *to = b + at;
            }
        }
        let left = Left::Rows(&scratch.patches, self.size.patch);
        let sizes = size(rows, d, self.size.patch);
        gemm(s, sizes, left, (p, d), (first, d), Into::Sum);
        for layer in 0..self.size.layers {
            let at = self.offsets(layer);
            let kept = if scratch.training { layer } else { 0 };
            let w = &mut scratch.layers[kept];
            let (from, to) = scratch.stream.split_at_mut(layer + 1);
            let (from, to) = (&from[layer][..rows * d], &mut to[0][..rows * d]);
            let norm = &p[at.norm1..][..2 * d];
            norm::forward(
                s,
                from,
                norm,
                &mut w.unit1,
                &mut w.deviation1,
                &mut w.normed1,
            );
            let qkv = &mut w.qkv[..rows * 3 * d];
            linear(
                s,
                rows,
                d,
                &w.normed1,
                &p[at.qkv..],
                &p[at.qkv_bias..][..3 * d],
                qkv,
            );
            let shape = attention::Shape {
                sequences,
                length: n,
                width: d,
                heads: self.size.heads,
            };
            let a = &mut scratch.attention;
            attention::forward(s, shape, qkv, &mut w.weights, &mut w.attended, a);
            let middle = &mut w.middle[..rows * d];
            residual(from, &p[at.out_bias..][..d], middle);
            let left = Left::Rows(&w.attended, d);
            gemm(
                s,
                size(rows, d, d),
                left,
                (&p[at.out..], d),
                (middle, d),
                Into::Sum,
            );
            let norm = &p[at.norm2..][..2 * d];
            norm::forward(
                s,
                middle,
                norm,
                &mut w.unit2,
                &mut w.deviation2,
                &mut w.normed2,
            );
            let before = &mut w.before[..rows * ff];
            linear(
                s,
                rows,
                d,
                &w.normed2,
                &p[at.linear1..],
                &p[at.bias1..][..ff],
                before,
            );
            gelu(s, before, &mut w.after);
            residual(middle, &p[at.bias2..][..d], to);
            let left = Left::Rows(&w.after, ff);
            gemm(
                s,
                size(rows, d, ff),
                left,
                (&p[at.linear2..], d),
                (to, d),
                Into::Sum,
            );
        }
        let o = self.head.outputs();
        let (weight, bias) = p[self.head_at()..].split_at(n * d * o);
        let raw = &mut raw[..sequences * o];
        linear(
            s,
            sequences,
            n * d,
            &scratch.stream[self.size.layers],
            weight,
            &bias[..o],
            raw,
        );
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
        let (d, ff, n) = (self.size.width, self.size.feed_forward, self.patches());
        let (sequences, o) = (windows * self.channels, self.head.outputs());
        let rows = sequences * n;
        let slope = &slope[..sequences * o];
        let mut turned = transposed.len();
        let mut back = |len: usize| {
            turned -= len;
            &transposed[turned..][..len]
        };
        let (body, head) = gradient.split_at_mut(self.head_at());
        let (d_weight, d_bias) = head.split_at_mut(n * d * o);
        let last = &scratch.stream[self.size.layers];
        let left = Left::Columns(last, n * d);
        gemm(
            s,
            size(n * d, o, sequences),
            left,
            (slope, o),
            (d_weight, o),
            Into::Sum,
        );
        add_rows(s, slope, &mut d_bias[..o]);
        let head_t = back(n * d * o);
        let d_stream = &mut scratch.d_stream[..rows * d];
        let left = Left::Rows(slope, o);
        let sizes = size(sequences, n * d, o);
        gemm(
            s,
            sizes,
            left,
            (head_t, n * d),
            (d_stream, n * d),
            Into::Fresh,
        );
        for layer in (0..self.size.layers).rev() {
            let at = self.offsets(layer);
            let w = &mut scratch.layers[layer];
            // The feed-forward half.
            add_rows(s, d_stream, &mut body[at.bias2..][..d]);
            let left = Left::Columns(&w.after, ff);
            gemm(
                s,
                size(ff, d, rows),
                left,
                (d_stream, d),
                (&mut body[at.linear2..], d),
                Into::Sum,
            );
            let d_hidden = &mut scratch.d_hidden[..rows * ff];
            let left = Left::Rows(d_stream, d);
            gemm(
                s,
                size(rows, ff, d),
                left,
                (back(ff * d), ff),
                (d_hidden, ff),
                Into::Fresh,
            );
            gelu_back(s, &w.before, d_hidden);
            add_rows(s, d_hidden, &mut body[at.bias1..][..ff]);
            let left = Left::Columns(&w.normed2, d);
            gemm(
                s,
                size(d, ff, rows),
                left,
                (d_hidden, ff),
                (&mut body[at.linear1..], ff),
                Into::Sum,
            );
            let d_normed = &mut scratch.d_normed[..rows * d];
            let left = Left::Rows(d_hidden, ff);
            gemm(
                s,
                size(rows, d, ff),
                left,
                (back(d * ff), d),
                (d_normed, d),
                Into::Fresh,
            );
            let norm = (&p[at.norm2..][..2 * d], &mut body[at.norm2..][..2 * d]);
            norm::backward(s, d_normed, norm, &w.unit2, &w.deviation2, d_stream);
            // The attention half.
            add_rows(s, d_stream, &mut body[at.out_bias..][..d]);
            let left = Left::Columns(&w.attended, d);
            gemm(
                s,
                size(d, d, rows),
                left,
                (d_stream, d),
                (&mut body[at.out..], d),
                Into::Sum,
            );
            let left = Left::Rows(d_stream, d);
            gemm(
                s,
                size(rows, d, d),
                left,
                (back(d * d), d),
                (d_normed, d),
                Into::Fresh,
            );
            let shape = attention::Shape {
                sequences,
                length: n,
                width: d,
                heads: self.size.heads,
            };
            let d_qkv = &mut scratch.d_qkv[..rows * 3 * d];
            let a = &mut scratch.attention;
            attention::backward(s, shape, &w.qkv, &w.weights, d_normed, d_qkv, a);
            add_rows(s, d_qkv, &mut body[at.qkv_bias..][..3 * d]);
            let left = Left::Columns(&w.normed1, d);
            let sizes = size(d, 3 * d, rows);
            gemm(
                s,
                sizes,
                left,
                (d_qkv, 3 * d),
                (&mut body[at.qkv..], 3 * d),
                Into::Sum,
            );
            let left = Left::Rows(d_qkv, 3 * d);
            gemm(
                s,
                size(rows, d, 3 * d),
                left,
                (back(3 * d * d), d),
                (d_normed, d),
                Into::Fresh,
            );
            let norm = (&p[at.norm1..][..2 * d], &mut body[at.norm1..][..2 * d]);
            norm::backward(s, d_normed, norm, &w.unit1, &w.deviation1, d_stream);
        }
        let left = Left::Columns(&scratch.patches, self.size.patch);
        let sizes = size(self.size.patch, d, rows);
        gemm(s, sizes, left, (d_stream, d), (body, d), Into::Sum);
        add_rows(s, d_stream, &mut body[self.size.patch * d..][..d]);
        let positions = &mut body[self.positions()..][..n * d];
        for sequence in d_stream.chunks_exact(n * d) {
            for (to, from) in positions.iter_mut().zip(sequence) {
                *to += from;
            }
        }
    }
}

impl PatchEncoder {
    /// Instance normalisation of every sequence of the input, into patches.
    fn normalise(&self, input: &[f32], windows: usize, scratch: &mut Scratch) {
        let (t, c) = (self.window, self.channels);
        for b in 0..windows {
            let window = &input[b * t * c..][..t * c];
            for channel in 0..c {
                let at = |i: usize| window[i * c + channel];
                let mean = (0..t).map(at).sum::<f32>() / t as f32;
                let square = (0..t).map(|i| (at(i) - mean) * (at(i) - mean)).sum::<f32>();
                let place = Place {
                    centre: at(t - 1),
                    scale: (square / t as f32).sqrt() + 1e-5,
                };
                let to = &mut scratch.patches[(b * c + channel) * t..][..t];
                for (i, to) in to.iter_mut().enumerate() {
                    *to = (at(i) - place.centre) / place.scale;
                }
                scratch.places[b * c + channel] = place;
            }
        }
    }
}

/// `y = x·w + bias` on rows of length k.
#[inline(always)]
fn linear<S: Simd>(s: S, rows: usize, k: usize, x: &[f32], w: &[f32], bias: &[f32], y: &mut [f32]) {
    let n = bias.len();
    fill_rows(y, bias);
    gemm(
        s,
        size(rows, n, k),
        Left::Rows(x, k),
        (w, n),
        (y, n),
        Into::Sum,
    );
}

/// `y = x + bias`, row by row: where a residual product is then added.
#[inline(always)]
fn residual(x: &[f32], bias: &[f32], y: &mut [f32]) {
    let d = bias.len();
    for (from, to) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
        for ((to, x), b) in to.iter_mut().zip(from).zip(bias) {
            *to = x + b;
        }
    }
}

/// `y = x·Φ(x)`.
#[inline(always)]
fn gelu<S: Simd>(s: S, x: &[f32], y: &mut [f32]) {
    let (one, half) = (S::f32s::splat(s, 1.0), S::f32s::splat(s, 0.5));
    let root = S::f32s::splat(s, std::f32::consts::FRAC_1_SQRT_2);
    let lanes = S::f32s::LEN;
    for (from, to) in x.chunks_exact(lanes).zip(y.chunks_exact_mut(lanes)) {
        let x = S::f32s::from_slice(s, from);
        let (e, _) = erf(s, x * root);
        (x * half * (e + one)).store_slice(to);
    }
}

/// Multiplies the slopes by the GELU's: Φ(x) + x·φ(x).
#[inline(always)]
fn gelu_back<S: Simd>(s: S, x: &[f32], slopes: &mut [f32]) {
    let (one, half) = (S::f32s::splat(s, 1.0), S::f32s::splat(s, 0.5));
    let root = S::f32s::splat(s, std::f32::consts::FRAC_1_SQRT_2);
    let density = S::f32s::splat(s, 0.398_942_3);
    let lanes = S::f32s::LEN;
    for (from, to) in x.chunks_exact(lanes).zip(slopes.chunks_exact_mut(lanes)) {
        let x = S::f32s::from_slice(s, from);
        let (e, bell) = erf(s, x * root);
        let slope = (x * density).mul_add(bell, (e + one) * half);
        (S::f32s::from_slice(s, to) * slope).store_slice(to);
    }
}
