//! The layers of Fracast-0, on rows `[step][channel]`.

use fearless_simd::Simd;

use super::WIDTH;
use crate::error::Result;
use crate::gemm::{Into, Left, gemm, size};
use crate::network::transpose;
use crate::safetensors::Tensors;
use crate::vector::{fill_rows, map, sigmoid};

/// Reach of a convolution, in steps of its dilation.
const TAPS: usize = 3;
/// Hidden channels of a SwiGLU.
const HIDDEN: usize = 96;

/// A linear layer; the matrix lies in × out.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    pub(super) fn new(
        tensors: &Tensors,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self> {
        let theirs = tensors.checked(&format!("{name}.weight"), &[outputs, inputs])?;
        let mut weight = vec![0.0; theirs.len()];
        transpose(theirs, outputs, inputs, &mut weight);
        let bias = tensors.checked(&format!("{name}.bias"), &[outputs])?;
        Ok(Self {
            weight,
            bias: bias.to_vec(),
        })
    }

    #[inline(always)]
    pub(super) fn forward<S: Simd>(&self, s: S, x: &[f32]) -> Vec<f32> {
        let outputs = self.bias.len();
        let inputs = self.weight.len() / outputs;
        let rows = x.len() / inputs;
        let mut y = vec![0.0; rows * outputs];
        fill_rows(&mut y, &self.bias);
        gemm(
            s,
            size(rows, outputs, inputs),
            Left::Rows(x, inputs),
            (&self.weight, outputs),
            (&mut y, outputs),
            Into::Sum,
        );
        y
    }
}

/// A norm by the root of the mean square (Zhang & Sennrich 2019).
#[derive(Clone, Debug)]
pub(super) struct Norm {
    gain: Vec<f32>,
}

impl Norm {
    pub(super) fn new(tensors: &Tensors, name: &str) -> Result<Self> {
        let gain = tensors.checked(&format!("{name}.weight"), &[WIDTH])?;
        Ok(Self {
            gain: gain.to_vec(),
        })
    }

    /// In place.
    #[inline(always)]
    pub(super) fn apply(&self, x: &mut [f32]) {
        for row in x.chunks_exact_mut(WIDTH) {
            let square: f32 = row.iter().map(|x| x * x).sum();
            let inverse = 1.0 / (square / WIDTH as f32 + f32::EPSILON).sqrt();
            for (x, gain) in row.iter_mut().zip(&self.gain) {
                *x = *x * inverse * gain;
            }
        }
    }

    /// The norm of a sum.
    #[inline(always)]
    pub(super) fn add(&self, x: &mut [f32], y: &[f32]) {
        x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
        self.apply(x);
    }
}

/// A convolution of each channel by itself over what lies before.
#[derive(Clone, Debug)]
pub(super) struct Depthwise {
    /// Tap by tap, the oldest first.
    taps: [Vec<f32>; TAPS],
    bias: Vec<f32>,
}

impl Depthwise {
    pub(super) fn new(tensors: &Tensors, name: &str) -> Result<Self> {
        let theirs = tensors.checked(&format!("{name}.dw_weight"), &[WIDTH, 1, TAPS])?;
        let tap = |j: usize| theirs.iter().skip(j).step_by(TAPS).copied().collect();
        Ok(Self {
            taps: std::array::from_fn(tap),
            bias: tensors
                .checked(&format!("{name}.dw_bias"), &[WIDTH])?
                .to_vec(),
        })
    }

    #[inline(always)]
    pub(super) fn forward(&self, x: &[f32], dilation: usize) -> Vec<f32> {
        let mut y = vec![0.0; x.len()];
        fill_rows(&mut y, &self.bias);
        for (j, tap) in self.taps.iter().enumerate() {
            let behind = (TAPS - 1 - j) * dilation;
            let later = y.chunks_exact_mut(WIDTH).skip(behind);
            for (y, x) in later.zip(x.chunks_exact(WIDTH)) {
                for ((y, x), tap) in y.iter_mut().zip(x).zip(tap) {
                    *y += tap * x;
                }
            }
        }
        y
    }
}

/// `down(silu(gate)·value)`, gate and value being halves of `up(x)` (Shazeer 2020).
#[derive(Clone, Debug)]
pub(super) struct SwiGlu {
    up: Linear,
    down: Linear,
}

impl SwiGlu {
    pub(super) fn new(tensors: &Tensors, name: &str) -> Result<Self> {
        Ok(Self {
            up: Linear::new(tensors, &format!("{name}.up"), WIDTH, 2 * HIDDEN)?,
            down: Linear::new(tensors, &format!("{name}.down"), HIDDEN, WIDTH)?,
        })
    }

    #[inline(always)]
    pub(super) fn forward<S: Simd>(&self, s: S, x: &[f32]) -> Vec<f32> {
        let mut up = self.up.forward(s, x);
        let mut inner = Vec::with_capacity(up.len() / 2);
        for row in up.chunks_exact_mut(2 * HIDDEN) {
            let (gate, value) = row.split_at_mut(HIDDEN);
            map(
                s,
                gate,
                #[inline(always)]
                |x| x * sigmoid(s, x),
            );
            inner.extend(gate.iter().zip(&*value).map(|(gate, value)| gate * value));
        }
        self.down.forward(s, &inner)
    }
}

/// A convolution and a SwiGLU, each added and normed.
#[derive(Clone, Debug)]
pub(super) struct Block {
    convolution: Depthwise,
    pointwise: Linear,
    norm1: Norm,
    inner: SwiGlu,
    norm2: Norm,
}

impl Block {
    pub(super) fn new(tensors: &Tensors, name: &str) -> Result<Self> {
        Ok(Self {
            convolution: Depthwise::new(tensors, name)?,
            pointwise: Linear::new(tensors, &format!("{name}.pw"), WIDTH, WIDTH)?,
            norm1: Norm::new(tensors, &format!("{name}.norm1"))?,
            inner: SwiGlu::new(tensors, &format!("{name}.ffn"))?,
            norm2: Norm::new(tensors, &format!("{name}.norm2"))?,
        })
    }

    /// In place, at a dilation.
    #[inline(always)]
    pub(super) fn forward<S: Simd>(&self, s: S, x: &mut [f32], dilation: usize) {
        let filtered = self.convolution.forward(x, dilation);
        let filtered = self.pointwise.forward(s, &filtered);
        self.norm1.add(x, &filtered);
        let inner = self.inner.forward(s, x);
        self.norm2.add(x, &inner);
    }
}
