//! The forward pass.

use fearless_simd::{Simd, prelude::*};

use super::{PatchEncoder, Scratch};
use crate::{
    attention,
    gemm::{Into, Left, gemm, size},
    head::Place,
    norm,
    vector::{erf, fill_rows},
};

impl PatchEncoder {
    #[inline(always)]
    pub(super) fn forward_pass<S: Simd>(
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
