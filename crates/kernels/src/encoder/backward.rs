//! The backward pass.

use fearless_simd::{Simd, prelude::*};

use super::{PatchEncoder, Scratch};
use crate::{
    attention,
    gemm::{Into, Left, gemm, size},
    norm,
    vector::{add_rows, erf},
};

impl PatchEncoder {
    #[expect(clippy::too_many_arguments, reason = "those of the trait")]
    #[inline(always)]
    pub(super) fn backward_pass<S: Simd>(
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
