//! Elementary functions on vectors: exp, the logistic function, tanh, erf.
//!
//! Model: exp by Cephes' polynomial after reduction by ln 2 in two parts (relative error about 1e-7);
//! sigmoid and tanh from it; erf by Abramowitz & Stegun 7.1.26 (absolute error at most 1.5e-7).
//! Does not: treat NaN (it stays NaN or becomes a bound; inputs are checked before they get here).

use fearless_simd::{Simd, prelude::*};

/// eˣ, with x held to ±87, where single precision ends.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    // Adding 1.5·2²³ leaves round(x·log₂ e) in the low bits; shifted into the exponent it is 2ⁿ.
    let magic = S::f32s::splat(s, 12_582_912.0);
    let x = x.max(S::f32s::splat(s, -87.0)).min(S::f32s::splat(s, 87.0));
    let shifted = x.mul_add(S::f32s::splat(s, std::f32::consts::LOG2_E), magic);
    let n = shifted - magic;
    let power = S::f32s::from_bits((shifted.to_bits() << 23) + 0x3f80_0000);
    let r = n.mul_add(S::f32s::splat(s, -0.693_359_4), x);
    let r = n.mul_add(S::f32s::splat(s, 2.121_944_4e-4), r);
    let mut p = S::f32s::splat(s, 1.987_569_1e-4);
    for coefficient in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = p.mul_add(r, S::f32s::splat(s, coefficient));
    }
    let y = p.mul_add(r * r, r) + S::f32s::splat(s, 1.0);
    y * power
}

/// The logistic function 1/(1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let one = S::f32s::splat(s, 1.0);
    one / (one + exp(s, -x))
}

/// tanh x, absolute error about 1e-7.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let one = S::f32s::splat(s, 1.0);
    one - (one + one) / (one + exp(s, x + x))
}

/// erf x and e^(-x²).
#[inline(always)]
pub(crate) fn erf<S: Simd>(s: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let one = S::f32s::splat(s, 1.0);
    let size = x.abs();
    let t = one / size.mul_add(S::f32s::splat(s, 0.327_591_1), one);
    let mut p = S::f32s::splat(s, 1.061_405_4);
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        p = p.mul_add(t, S::f32s::splat(s, coefficient));
    }
    let e = exp(s, -(x * x));
    ((one - p * t * e).copysign(x), e)
}

/// Calls `f` on every full vector of `xs`, and on the rest padded with zeros.
#[inline(always)]
pub(crate) fn map<S: Simd>(s: S, xs: &mut [f32], f: impl Fn(S::f32s) -> S::f32s) {
    let lanes = S::f32s::LEN;
    let mut chunks = xs.chunks_exact_mut(lanes);
    for chunk in &mut chunks {
        f(S::f32s::from_slice(s, chunk)).store_slice(chunk);
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        let mut padded = [0.0f32; 16];
        padded[..rest.len()].copy_from_slice(rest);
        let y = f(S::f32s::from_slice(s, &padded[..lanes]));
        y.store_slice(&mut padded[..lanes]);
        rest.copy_from_slice(&padded[..rest.len()]);
    }
}

/// `sums[j] += rows[i·n + j]` over all rows: the gradient of a bias.
#[inline(always)]
pub(crate) fn add_rows<S: Simd>(s: S, rows: &[f32], sums: &mut [f32]) {
    let lanes = S::f32s::LEN;
    let n = sums.len();
    for row in rows.chunks_exact(n) {
        let mut left = row.chunks_exact(lanes);
        let mut right = sums.chunks_exact_mut(lanes);
        for (x, sum) in (&mut left).zip(&mut right) {
            (S::f32s::from_slice(s, sum) + S::f32s::from_slice(s, x)).store_slice(sum);
        }
        for (x, sum) in left.remainder().iter().zip(right.into_remainder()) {
            *sum += x;
        }
    }
}

/// Copies `row` into every row of `rows`.
pub(crate) fn fill_rows(rows: &mut [f32], row: &[f32]) {
    for to in rows.chunks_exact_mut(row.len()) {
        to.copy_from_slice(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Cpu, on_cpu};

    /// Values of `f` at the points, on one instruction set.
    macro_rules! on {
        ($cpu:expr, $points:expr, $f:expr) => {{
            let mut xs: Vec<f32> = $points.clone();
            on_cpu!($cpu, s => map(s, &mut xs, |x| $f(s, x)));
            xs
        }};
    }

    #[test]
    fn the_functions_agree_with_double_precision_on_every_instruction_set() {
        let points: Vec<f32> = (-2000..=2000).map(|i| i as f32 * 0.01).collect();
        for cpu in Cpu::available() {
            let got = on!(cpu, points, exp);
            for (x, y) in points.iter().zip(&got) {
                let right = f64::from(*x).exp();
                assert!(
                    (f64::from(*y) - right).abs() <= 3e-7 * right,
                    "{cpu} exp {x}: {y} {right}"
                );
            }
            for (x, y) in points.iter().zip(&on!(cpu, points, tanh)) {
                let right = f64::from(*x).tanh();
                assert!(
                    (f64::from(*y) - right).abs() <= 4e-7,
                    "{cpu} tanh {x}: {y} {right}"
                );
            }
            for (x, y) in points.iter().zip(&on!(cpu, points, sigmoid)) {
                let right = 1.0 / (1.0 + (-f64::from(*x)).exp());
                assert!(
                    (f64::from(*y) - right).abs() <= 4e-7,
                    "{cpu} sigmoid {x}: {y}"
                );
            }
        }
    }

    #[test]
    fn erf_agrees_with_tabulated_values() {
        let table = [
            (0.0, 0.0),
            (0.1, 0.112_462_916),
            (0.5, 0.520_499_878),
            (1.0, 0.842_700_793),
            (2.0, 0.995_322_265),
            (-1.5, -0.966_105_146),
        ];
        let points: Vec<f32> = table.iter().map(|(x, _)| *x as f32).collect();
        for cpu in Cpu::available() {
            let got = on!(cpu, points, |s, x| erf(s, x).0);
            for ((x, right), y) in table.iter().zip(&got) {
                assert!((f64::from(*y) - right).abs() <= 3e-7, "{cpu} erf {x}: {y}");
            }
        }
    }

    #[test]
    fn infinities_do_not_leave_the_range() {
        for cpu in Cpu::available() {
            let points = vec![f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30];
            assert!(on!(cpu, points, exp).iter().all(|y| y.is_finite()));
            assert_eq!(on!(cpu, points, tanh), [1.0, -1.0, 1.0, -1.0]);
        }
    }
}
