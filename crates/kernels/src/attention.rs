//! Scaled dot-product attention of several heads (Vaswani et al. 2017), forward and backward.
//!
//! Model: queries, keys and values of a row lie side by side, as the one projection leaves them; a head is
//! a block of columns. Sequences are short (some dozen patches), so the scores are formed whole.
//! Does not: project, mask, or drop out.

use fearless_simd::Simd;

use crate::gemm::{Into, Left, gemm, size};
use crate::vector::{exp, map};

/// Sizes of a chunk.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub sequences: usize,
    /// Rows of a sequence.
    pub length: usize,
    /// Columns of queries, of keys and of values, over all heads.
    pub width: usize,
    pub heads: usize,
}

/// Buffers for one head of one sequence.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Keys or values, transposed.
    turned: Vec<f32>,
    d_scores: Vec<f32>,
}

impl Scratch {
    pub(crate) fn new(length: usize, head: usize) -> Self {
        Self {
            turned: vec![0.0; head * length],
            d_scores: vec![0.0; length * length],
        }
    }
}

/// Rows (queries, keys, values) to `attended`; the weights are kept for the way back.
#[inline(always)]
pub(crate) fn forward<S: Simd>(
    s: S,
    shape: Shape,
    qkv: &[f32],
    weights: &mut [f32],
    attended: &mut [f32],
    scratch: &mut Scratch,
) {
    let Shape {
        sequences,
        length: n,
        width: d,
        heads,
    } = shape;
    let head = d / heads;
    let scale = 1.0 / (head as f32).sqrt();
    for sequence in 0..sequences {
        for h in 0..heads {
            let at = sequence * n * 3 * d + h * head;
            let (queries, keys, values) = (&qkv[at..], &qkv[at + d..], &qkv[at + 2 * d..]);
            turn(keys, 3 * d, n, scale, &mut scratch.turned);
            let w = &mut weights[(sequence * heads + h) * n * n..][..n * n];
            let left = Left::Rows(queries, 3 * d);
            gemm(
                s,
                size(n, n, head),
                left,
                (&scratch.turned, n),
                (w, n),
                Into::Fresh,
            );
            softmax(s, n, w);
            let to = &mut attended[sequence * n * d + h * head..];
            gemm(
                s,
                size(n, head, n),
                Left::Rows(w, n),
                (values, 3 * d),
                (to, d),
                Into::Fresh,
            );
        }
    }
}

/// Slopes of the rows (queries, keys, values) from those of `attended`.
#[inline(always)]
pub(crate) fn backward<S: Simd>(
    s: S,
    shape: Shape,
    qkv: &[f32],
    weights: &[f32],
    d_attended: &[f32],
    d_qkv: &mut [f32],
    scratch: &mut Scratch,
) {
    let Shape {
        sequences,
        length: n,
        width: d,
        heads,
    } = shape;
    let head = d / heads;
    let scale = 1.0 / (head as f32).sqrt();
    for sequence in 0..sequences {
        for h in 0..heads {
            let at = sequence * n * 3 * d + h * head;
            let (queries, keys, values) = (&qkv[at..], &qkv[at + d..], &qkv[at + 2 * d..]);
            let w = &weights[(sequence * heads + h) * n * n..][..n * n];
            let slope = &d_attended[sequence * n * d + h * head..];
            let to = (&mut d_qkv[at + 2 * d..], 3 * d);
            gemm(
                s,
                size(n, head, n),
                Left::Columns(w, n),
                (slope, d),
                to,
                Into::Fresh,
            );
            turn(values, 3 * d, n, 1.0, &mut scratch.turned);
            let scores = &mut scratch.d_scores[..];
            let left = Left::Rows(slope, d);
            gemm(
                s,
                size(n, n, head),
                left,
                (&scratch.turned, n),
                (scores, n),
                Into::Fresh,
            );
            for (w, slope) in w.chunks_exact(n).zip(scores.chunks_exact_mut(n)) {
                let along: f32 = w.iter().zip(slope.iter()).map(|(w, s)| w * s).sum();
                for (w, slope) in w.iter().zip(slope) {
                    *slope = w * (*slope - along) * scale;
                }
            }
            let to = (&mut d_qkv[at..], 3 * d);
            gemm(
                s,
                size(n, head, n),
                Left::Rows(scores, n),
                (keys, 3 * d),
                to,
                Into::Fresh,
            );
            let to = (&mut d_qkv[at + d..], 3 * d);
            gemm(
                s,
                size(n, head, n),
                Left::Columns(scores, n),
                (queries, 3 * d),
                to,
                Into::Fresh,
            );
        }
    }
}

/// The transpose of n rows `stride` apart, times `scale`.
#[inline(always)]
fn turn(from: &[f32], stride: usize, n: usize, scale: f32, to: &mut [f32]) {
    for (j, column) in to.chunks_exact_mut(n).enumerate() {
        for (i, to) in column.iter_mut().enumerate() {
            *to = from[i * stride + j] * scale;
        }
    }
}

/// Softmax of every row of n.
#[inline(always)]
fn softmax<S: Simd>(s: S, n: usize, scores: &mut [f32]) {
    for row in scores.chunks_exact_mut(n) {
        let highest = row.iter().copied().fold(f32::MIN, f32::max);
        row.iter_mut().for_each(|score| *score -= highest);
    }
    map(
        s,
        scores,
        #[inline(always)]
        |x| exp(s, x),
    );
    for row in scores.chunks_exact_mut(n) {
        let inverse = 1.0 / row.iter().sum::<f32>();
        row.iter_mut().for_each(|weight| *weight *= inverse);
    }
}
