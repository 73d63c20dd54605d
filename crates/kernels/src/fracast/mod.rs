//! Fracast-0, a network that others have trained: zero-shot quantiles of any series, 48 steps at once.
//!
//! Model: `fracast` 0.1.0 on PyPI (Apache-2.0, 85,001 parameters). Up to 2,048 values, brought to 0 to 1, with recency and the
//! phases of the periods that a periodogram finds significant, go through one convolution block (depthwise, causal,
//! then SwiGLU, each with a root-mean-square norm) ten times, its reach doubling (and its input scaled by the
//! reach). The head reads the mean and the last state, and a seasonal fill of the future that goes through a block of
//! its own. Missing values are NaN and allowed. Beyond 48 steps the medians are taken for values and it goes on.
//! Weights are the release's `model.safetensors`, by its names.
//! Does not: train; keep its quantiles from crossing.

mod layers;
mod seasons;

use fearless_simd::Simd;

use self::layers::{Block, Depthwise, Linear, Norm, SwiGlu};
use crate::cpu::{Cpu, on_cpu};
use crate::error::{Error, Result};
use crate::safetensors::Tensors;

/// Width of the model.
const WIDTH: usize = 64;
/// Passes of the context's block; the reach doubles with each.
const STAGES: usize = 10;
/// Passes of the future's block.
const FUTURE_STAGES: usize = 6;
/// Last states of the context that the future's block begins with.
const SEED: usize = 128;
/// Numbers that tell how long ago a step is.
const RECENCY: usize = 5;
/// Periods that are looked for.
const PERIODS: usize = 4;

/// The network with its weights.
#[derive(Clone, Debug)]
pub struct Fracast {
    input: Linear,
    phases: Linear,
    scale: Linear,
    block: Block,
    norm: Norm,
    summary: Linear,
    /// 48 × width.
    queries: Vec<f32>,
    decoder: SwiGlu,
    decoder_norm: Norm,
    smoothing: [(Depthwise, Norm); 2],
    future_input: Linear,
    future_block: Block,
    future_output: Linear,
    output: Linear,
}

impl Fracast {
    /// Values that it looks back.
    pub const CONTEXT: usize = 2_048;
    /// Steps that come at once.
    pub const HORIZON: usize = 48;
    /// Probabilities of its quantiles.
    pub const LEVELS: [f32; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
    /// Values that have to be there among the last 2,048.
    pub const LEAST: usize = 8;

    /// The network with the weights of a file.
    ///
    /// # Errors
    /// A tensor that is missing, or has another shape.
    pub fn from_tensors(tensors: &Tensors) -> Result<Self> {
        let linear = |name: &str, inputs, outputs| Linear::new(tensors, name, inputs, outputs);
        let norm = |name: &str| Norm::new(tensors, name);
        let smoothing = |layer: &str| -> Result<(Depthwise, Norm)> {
            let convolution = Depthwise::new(tensors, &format!("head.fc_blocks.{layer}"))?;
            Ok((convolution, norm(&format!("head.fc_blocks.{layer}.norm"))?))
        };
        let queries = tensors.checked("head.queries", &[Self::HORIZON, WIDTH])?;
        Ok(Self {
            input: linear("core.in_proj", 2 + RECENCY, WIDTH)?,
            phases: linear("core.periodic.proj", 2 * PERIODS, WIDTH)?,
            scale: linear("core.scale.to_gb", 8, 2 * WIDTH)?,
            block: Block::new(tensors, "core.block")?,
            norm: norm("core.norm")?,
            summary: linear("head.summary_proj", 2 * WIDTH + RECENCY, WIDTH)?,
            queries: queries.to_vec(),
            decoder: SwiGlu::new(tensors, "head.decoder_ffns.0")?,
            decoder_norm: norm("head.decoder_norms.0")?,
            smoothing: [smoothing("0")?, smoothing("1")?],
            future_input: linear("head.future_conv.in_proj", 1 + RECENCY, WIDTH)?,
            future_block: Block::new(tensors, "head.future_conv.block")?,
            future_output: linear("head.future_conv.out_proj", WIDTH, WIDTH)?,
            output: linear("head.out_proj", WIDTH, Self::LEVELS.len())?,
        })
    }

    /// The quantiles of the `horizon` steps after a series, `[step][level]`, in its units.
    ///
    /// # Errors
    /// [`Error::Config`] for fewer than [`Self::LEAST`] values that are finite among the last [`Self::CONTEXT`].
    pub fn quantiles(&self, cpu: Cpu, values: &[f64], horizon: usize) -> Result<Vec<f64>> {
        let levels = Self::LEVELS.len();
        let from = values.len().saturating_sub(Self::CONTEXT);
        let mut context: Vec<f32> = values[from..].iter().map(|value| *value as f32).collect();
        let mut all = Vec::with_capacity(horizon * levels);
        while all.len() < horizon * levels {
            let block = self.block(cpu, &context)?;
            context.extend(block.chunks_exact(levels).map(|q| q[levels / 2] as f32));
            context.drain(..context.len().saturating_sub(Self::CONTEXT));
            all.extend(block);
        }
        all.truncate(horizon * levels);
        Ok(all)
    }

    /// The next 48 steps of a context of 2,048 values at most.
    fn block(&self, cpu: Cpu, context: &[f32]) -> Result<Vec<f64>> {
        let finite = || context.iter().copied().filter(|value| value.is_finite());
        if finite().count() < Self::LEAST {
            let reason = format!(
                "{} values of the last {} are there, expected at least {}",
                finite().count(),
                Self::CONTEXT,
                Self::LEAST
            );
            return Err(Error::config("series", reason));
        }
        let lowest = finite().fold(f32::INFINITY, f32::min);
        let highest = finite().fold(f32::NEG_INFINITY, f32::max);
        let place = f64::from(lowest);
        let span = (f64::from(highest) - place).max(1e-5);
        let mut values = vec![0.0f32; Self::CONTEXT];
        let mut observed = vec![false; Self::CONTEXT];
        let start = Self::CONTEXT - context.len();
        for (i, value) in context.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            values[start + i] = ((f64::from(*value) - place) / span) as f32;
            observed[start + i] = true;
        }
        let raw = on_cpu!(cpu, s => self.forward(s, &values, &observed));
        Ok(raw.iter().map(|q| f64::from(*q) * span + place).collect())
    }

    /// What the last layer says, `[48][9]`.
    #[inline(always)]
    fn forward<S: Simd>(&self, s: S, values: &[f32], observed: &[bool]) -> Vec<f32> {
        let periods = seasons::periods(values, observed);
        let states = self.encode(s, values, observed, &periods);
        let recency: Vec<f32> = (Self::CONTEXT..Self::CONTEXT + Self::HORIZON)
            .flat_map(recency)
            .collect();
        let mut mean = vec![0.0f32; WIDTH];
        for state in states.chunks_exact(WIDTH) {
            mean.iter_mut().zip(state).for_each(|(sum, x)| *sum += x);
        }
        mean.iter_mut().for_each(|x| *x /= Self::CONTEXT as f32);
        let last = &states[states.len() - WIDTH..];
        let summary: Vec<f32> = recency
            .chunks_exact(RECENCY)
            .flat_map(|recency| recency.iter().chain(&mean).chain(last).copied())
            .collect();
        let mut x = self.summary.forward(s, &summary);
        x.iter_mut().zip(&self.queries).for_each(|(x, q)| *x += q);
        let inner = self.decoder.forward(s, &x);
        self.decoder_norm.add(&mut x, &inner);
        for (layer, (convolution, norm)) in self.smoothing.iter().enumerate() {
            let smooth = convolution.forward(&x, 1 << layer);
            norm.add(&mut x, &smooth);
        }
        let fill = seasons::fill(values, observed, periods[0], Self::HORIZON);
        let future = self.future(s, &states, &fill, &recency);
        x.iter_mut().zip(future).for_each(|(x, state)| *x += state);
        self.output.forward(s, &x)
    }

    /// States of the context, `[2,048][width]`.
    #[inline(always)]
    fn encode<S: Simd>(
        &self,
        s: S,
        values: &[f32],
        observed: &[bool],
        periods: &[usize; PERIODS],
    ) -> Vec<f32> {
        let mut features = Vec::with_capacity(values.len() * (2 + RECENCY));
        let mut phases = Vec::with_capacity(values.len() * 2 * PERIODS);
        for (step, (value, observed)) in values.iter().zip(observed).enumerate() {
            features.extend([*value, f32::from(u8::from(*observed))]);
            features.extend(recency(step));
            phases.extend(seasons::phases(step, periods));
        }
        let mut x = self.input.forward(s, &features);
        let phases = self.phases.forward(s, &phases);
        x.iter_mut().zip(phases).for_each(|(x, phase)| *x += phase);
        for stage in 0..STAGES {
            let scale = self.scale.forward(s, &scale_features(stage));
            let (gain, shift) = scale.split_at(WIDTH);
            for row in x.chunks_exact_mut(WIDTH) {
                for ((x, gain), shift) in row.iter_mut().zip(gain).zip(shift) {
                    *x = *x * (1.0 + gain) + shift;
                }
            }
            self.block.forward(s, &mut x, 1 << stage);
        }
        self.norm.apply(&mut x);
        x
    }

    /// States of the future, `[48][width]`.
    #[inline(always)]
    fn future<S: Simd>(&self, s: S, states: &[f32], fill: &[f32], recency: &[f32]) -> Vec<f32> {
        let features: Vec<f32> = fill
            .iter()
            .zip(recency.chunks_exact(RECENCY))
            .flat_map(|(fill, recency)| std::iter::once(fill).chain(recency).copied())
            .collect();
        let mut z = states[states.len() - SEED * WIDTH..].to_vec();
        z.extend(self.future_input.forward(s, &features));
        for stage in 0..FUTURE_STAGES {
            self.future_block.forward(s, &mut z, 1 << stage);
        }
        self.future_output.forward(s, &z[SEED * WIDTH..])
    }
}

/// How long ago a step is, against the context's last: bounded, so that the future may be any.
fn recency(step: usize) -> [f32; RECENCY] {
    let length = Fracast::CONTEXT as f32;
    let delta = (step as f32 - (length - 1.0)) / length;
    let size = delta.abs();
    let sign = if delta == 0.0 { 0.0 } else { delta.signum() };
    [
        delta,
        sign * size.ln_1p() / std::f32::consts::LN_2,
        (-0.5 * size).exp(),
        (-2.0 * size).exp(),
        (-8.0 * size).exp(),
    ]
}

/// Sines and cosines of the logarithm of a stage's reach.
fn scale_features(stage: usize) -> [f32; 8] {
    let angle = |k: usize| stage as f32 / (1 << k) as f32 * std::f32::consts::PI;
    std::array::from_fn(|i| {
        if i < 4 {
            angle(i).sin()
        } else {
            angle(i - 4).cos()
        }
    })
}
