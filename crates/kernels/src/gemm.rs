//! Matrix product in single precision for the small matrices of these networks.
//!
//! Model: C (m × n) = A·B, or C += A·B; A may be transposed, B and C have contiguous rows. The tile is
//! six rows by as many vectors as the registers hold: four with AVX-512 (32 registers), two elsewhere.
//! Columns go outermost, so that a panel of B stays in the first cache while the rows run; nothing is
//! packed, because at a few dozen rows packing costs more than it saves. Each element is summed in
//! the order of k, whatever the tile.
//! Does not: block for caches larger matrices would need, or use threads.

use fearless_simd::{Level, Simd, f32x4, f32x8, prelude::*};

/// The left factor.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// Element (i, p) is `data[i·stride + p]`.
    Rows(&'a [f32], usize),
    /// Element (i, p) is `data[p·stride + i]`: the transpose of a matrix with contiguous rows.
    Columns(&'a [f32], usize),
}

/// What becomes of C's old content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Into {
    /// It is overwritten.
    Fresh,
    /// The product is added to it.
    Sum,
}

/// Sizes of a product: C is m × n, the inner dimension is k.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

/// Shorthand for [`Size`].
#[inline(always)]
pub(crate) fn size(m: usize, n: usize, k: usize) -> Size {
    Size { m, n, k }
}

/// C = A·B or C += A·B; `ldb` and `ldc` are the distances of rows. One copy per instruction set, out of
/// line, which keeps code and compile time small.
#[inline(never)]
pub(crate) fn gemm<S: Simd>(
    s: S,
    size: Size,
    a: Left<'_>,
    (b, ldb): (&[f32], usize),
    (c, ldc): (&mut [f32], usize),
    into: Into,
) {
    s.vectorize(
        #[inline(always)]
        || {
            if wide(s.level()) {
                panels::<S, 4>(s, size, a, (b, ldb), (c, ldc), into);
            } else {
                panels::<S, 2>(s, size, a, (b, ldb), (c, ldc), into);
            }
        },
    );
}

/// Whether there are 32 vector registers. A constant once an instruction set is chosen.
#[inline(always)]
fn wide(level: Level) -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return matches!(level, Level::Avx512(_));
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    {
        let _ = level;
        cfg!(target_arch = "aarch64")
    }
}

#[inline(always)]
fn panels<S: Simd, const NV: usize>(
    s: S,
    Size { m, n, k }: Size,
    a: Left<'_>,
    (b, ldb): (&[f32], usize),
    (c, ldc): (&mut [f32], usize),
    into: Into,
) {
    let lanes = S::f32s::LEN;
    let mut j = 0;
    while j < n {
        let left = n - j;
        let (b, c) = (&b[j..], &mut c[j..]);
        if left >= NV * lanes {
            rows::<S, S::f32s, NV>(s, m, k, a, (b, ldb), (c, ldc), into);
            j += NV * lanes;
        } else if left >= lanes {
            rows::<S, S::f32s, 1>(s, m, k, a, (b, ldb), (c, ldc), into);
            j += lanes;
        } else if left >= 8 {
            rows::<S, f32x8<S>, 1>(s, m, k, a, (b, ldb), (c, ldc), into);
            j += 8;
        } else if left >= 4 {
            rows::<S, f32x4<S>, 1>(s, m, k, a, (b, ldb), (c, ldc), into);
            j += 4;
        } else {
            narrow(s, size(m, left, k), a, (b, ldb), (c, ldc), into);
            j = n;
        }
    }
}

#[inline(always)]
fn rows<S: Simd, V: SimdFloat<S, Element = f32>, const NV: usize>(
    s: S,
    m: usize,
    k: usize,
    a: Left<'_>,
    b: (&[f32], usize),
    (c, ldc): (&mut [f32], usize),
    into: Into,
) {
    let mut i = 0;
    while i + 6 <= m {
        tile::<S, V, 6, NV>(s, i, k, a, b, (&mut c[i * ldc..], ldc), into);
        i += 6;
    }
    if i < m {
        let rest = (&mut c[i * ldc..], ldc);
        match m - i {
            1 => tile::<S, V, 1, NV>(s, i, k, a, b, rest, into),
            2 => tile::<S, V, 2, NV>(s, i, k, a, b, rest, into),
            3 => tile::<S, V, 3, NV>(s, i, k, a, b, rest, into),
            4 => tile::<S, V, 4, NV>(s, i, k, a, b, rest, into),
            _ => tile::<S, V, 5, NV>(s, i, k, a, b, rest, into),
        }
    }
}

/// MR rows by NV vectors of C, in registers over the whole inner dimension.
#[inline(always)]
fn tile<S: Simd, V: SimdFloat<S, Element = f32>, const MR: usize, const NV: usize>(
    s: S,
    i: usize,
    k: usize,
    a: Left<'_>,
    (b, ldb): (&[f32], usize),
    (c, ldc): (&mut [f32], usize),
    into: Into,
) {
    let width = NV * V::LEN;
    let mut sums = [[V::splat(s, 0.0); NV]; MR];
    if into == Into::Sum {
        for (r, sums) in sums.iter_mut().enumerate() {
            let row = &c[r * ldc..][..width];
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = V::from_slice(s, &row[v * V::LEN..][..V::LEN]);
            }
        }
    }
    match a {
        Left::Rows(data, stride) => {
            // Slices of exactly k elements: the compiler then knows that p is inside.
            let mut lines = [&data[..0]; MR];
            for (r, line) in lines.iter_mut().enumerate() {
                *line = &data[(i + r) * stride..][..k];
            }
            for p in 0..k {
                let row = &b[p * ldb..][..width];
                let mut right = [V::splat(s, 0.0); NV];
                for (v, right) in right.iter_mut().enumerate() {
                    *right = V::from_slice(s, &row[v * V::LEN..][..V::LEN]);
                }
                for (line, sums) in lines.iter().zip(sums.iter_mut()) {
                    let left = V::splat(s, line[p]);
                    for (sum, right) in sums.iter_mut().zip(&right) {
                        *sum = left.mul_add(*right, *sum);
                    }
                }
            }
        }
        Left::Columns(data, stride) => {
            for p in 0..k {
                let row = &b[p * ldb..][..width];
                let column = &data[p * stride + i..][..MR];
                let mut right = [V::splat(s, 0.0); NV];
                for (v, right) in right.iter_mut().enumerate() {
                    *right = V::from_slice(s, &row[v * V::LEN..][..V::LEN]);
                }
                for (left, sums) in column.iter().zip(sums.iter_mut()) {
                    let left = V::splat(s, *left);
                    for (sum, right) in sums.iter_mut().zip(&right) {
                        *sum = left.mul_add(*right, *sum);
                    }
                }
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let row = &mut c[r * ldc..][..width];
        for (v, sum) in sums.iter().enumerate() {
            sum.store_slice(&mut row[v * V::LEN..][..V::LEN]);
        }
    }
}

/// The last one to three columns: through copies that are four wide, so that they are rounded by the
/// same multiply-add as every other column.
#[inline(always)]
fn narrow<S: Simd>(
    s: S,
    Size { m, n, k }: Size,
    a: Left<'_>,
    (b, ldb): (&[f32], usize),
    (c, ldc): (&mut [f32], usize),
    into: Into,
) {
    let mut right = vec![0.0f32; k * 4];
    for (p, to) in right.chunks_exact_mut(4).enumerate() {
        to[..n].copy_from_slice(&b[p * ldb..][..n]);
    }
    let mut sums = vec![0.0f32; m * 4];
    if into == Into::Sum {
        for (i, to) in sums.chunks_exact_mut(4).enumerate() {
            to[..n].copy_from_slice(&c[i * ldc..][..n]);
        }
    }
    rows::<S, f32x4<S>, 1>(s, m, k, a, (&right, 4), (&mut sums, 4), into);
    for (i, from) in sums.chunks_exact(4).enumerate() {
        c[i * ldc..][..n].copy_from_slice(&from[..n]);
    }
}
