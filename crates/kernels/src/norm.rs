//! Layer normalisation (Ba, Kiros & Hinton 2016), forward and backward.
//!
//! Model: each row is taken less its mean and divided by its standard deviation (with 1e-5 under the
//! root, as PyTorch), then scaled and moved by learnt vectors that lie one behind the other.
//! Does not: work on widths that are no multiple of 16.

use fearless_simd::{Simd, prelude::*};

/// Rows `x` to `y`; `unit` and `deviation` (its reciprocal) are kept for the way back.
#[inline(always)]
pub(crate) fn forward<S: Simd>(
    s: S,
    x: &[f32],
    affine: &[f32],
    unit: &mut [f32],
    deviation: &mut [f32],
    y: &mut [f32],
) {
    let (gain, bias) = affine.split_at(affine.len() / 2);
    let (d, lanes) = (gain.len(), S::f32s::LEN);
    for (i, x) in x.chunks_exact(d).enumerate() {
        let mut sum = S::f32s::splat(s, 0.0);
        for x in x.chunks_exact(lanes) {
            sum += S::f32s::from_slice(s, x);
        }
        let mean = S::f32s::splat(s, sum.reduce_sum() / d as f32);
        let mut square = S::f32s::splat(s, 0.0);
        for x in x.chunks_exact(lanes) {
            let e = S::f32s::from_slice(s, x) - mean;
            square = e.mul_add(e, square);
        }
        let inverse = 1.0 / (square.reduce_sum() / d as f32 + 1e-5).sqrt();
        deviation[i] = inverse;
        let inverse = S::f32s::splat(s, inverse);
        let (unit, y) = (&mut unit[i * d..][..d], &mut y[i * d..][..d]);
        let mut j = 0;
        while j + lanes <= d {
            let at = j..j + lanes;
            let u = (S::f32s::from_slice(s, &x[at.clone()]) - mean) * inverse;
            u.store_slice(&mut unit[at.clone()]);
            let gain = S::f32s::from_slice(s, &gain[at.clone()]);
            let bias = S::f32s::from_slice(s, &bias[at.clone()]);
            u.mul_add(gain, bias).store_slice(&mut y[at]);
            j += lanes;
        }
    }
}

/// Adds to `d_x` what slopes `d_y` of the output mean for the input, and to the second slice of `affine`
/// the slopes of the first.
#[inline(always)]
pub(crate) fn backward<S: Simd>(
    s: S,
    d_y: &[f32],
    affine: (&[f32], &mut [f32]),
    unit: &[f32],
    deviation: &[f32],
    d_x: &mut [f32],
) {
    let d = affine.0.len() / 2;
    let gain = &affine.0[..d];
    let (d_gain, d_bias) = affine.1.split_at_mut(d);
    let lanes = S::f32s::LEN;
    for (i, d_y) in d_y.chunks_exact(d).enumerate() {
        let unit = &unit[i * d..][..d];
        let mut sum = S::f32s::splat(s, 0.0);
        let mut along = S::f32s::splat(s, 0.0);
        let mut j = 0;
        while j + lanes <= d {
            let at = j..j + lanes;
            let slope = S::f32s::from_slice(s, &d_y[at.clone()]);
            let u = S::f32s::from_slice(s, &unit[at.clone()]);
            let through = slope * S::f32s::from_slice(s, &gain[at.clone()]);
            sum += through;
            along = through.mul_add(u, along);
            let g = S::f32s::from_slice(s, &d_gain[at.clone()]);
            slope.mul_add(u, g).store_slice(&mut d_gain[at.clone()]);
            let b = S::f32s::from_slice(s, &d_bias[at.clone()]);
            (b + slope).store_slice(&mut d_bias[at]);
            j += lanes;
        }
        let sum = S::f32s::splat(s, sum.reduce_sum() / d as f32);
        let along = S::f32s::splat(s, along.reduce_sum() / d as f32);
        let inverse = S::f32s::splat(s, deviation[i]);
        let d_x = &mut d_x[i * d..][..d];
        j = 0;
        while j + lanes <= d {
            let at = j..j + lanes;
            let slope = S::f32s::from_slice(s, &d_y[at.clone()]);
            let through = slope * S::f32s::from_slice(s, &gain[at.clone()]);
            let u = S::f32s::from_slice(s, &unit[at.clone()]);
            let part = (through - sum - u * along) * inverse;
            (S::f32s::from_slice(s, &d_x[at.clone()]) + part).store_slice(&mut d_x[at]);
            j += lanes;
        }
    }
}
