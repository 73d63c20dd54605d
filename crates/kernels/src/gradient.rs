//! Loss and gradient of a batch.
//!
//! Model: the batch is cut into chunks of the network's fixed size. Each chunk has buffers and a gradient of
//! its own, whatever thread works on it, and the gradients are added in the order of the chunks: the same
//! bits with one thread and with many.
//! Does not: step an optimiser.

use fearless_simd::Simd as _;

use crate::cpu::{Cpu, on_cpu};
use crate::network::Network;

/// Buffers for the batches of a training.
pub struct Gradients<N: Network> {
    network: N,
    cpu: Cpu,
    chunks: Vec<Chunk<N>>,
    transposed: Vec<f32>,
}

struct Chunk<N: Network> {
    scratch: N::Scratch,
    raw: Vec<f32>,
    gradient: Vec<f32>,
    loss: f64,
}

impl<N: Network> Gradients<N> {
    /// Buffers for batches of up to `batch` windows.
    #[must_use]
    pub fn new(network: &N, cpu: Cpu, batch: usize) -> Self {
        let chunk = network.chunk();
        let outputs = network.sequences() * network.head().outputs();
        let chunks = (0..batch.div_ceil(chunk).max(1))
            .map(|_| Chunk {
                scratch: network.scratch(chunk, true),
                raw: vec![0.0; chunk * outputs],
                gradient: vec![0.0; network.parameters()],
                loss: 0.0,
            })
            .collect();
        Self {
            network: network.clone(),
            cpu,
            chunks,
            transposed: vec![0.0; network.transposed()],
        }
    }

    /// The mean loss of the batch; its gradient is then in [`Self::gradient`]. `input` is
    /// `[window][inputs]`, `targets` `[window][sequence][step]`.
    ///
    /// # Panics
    /// When lengths do not fit the network, or the batch is empty or larger than there are buffers for.
    pub fn compute(&mut self, parameters: &[f32], input: &[f32], targets: &[f32]) -> f64 {
        let network = &self.network;
        let head = network.head();
        let windows = input.len() / network.inputs();
        let per_window = network.sequences() * head.horizon();
        let chunk = network.chunk();
        assert_eq!(parameters.len(), network.parameters(), "parameters");
        assert_eq!(input.len(), windows * network.inputs(), "whole windows");
        assert_eq!(targets.len(), windows * per_window, "targets");
        let used = windows.div_ceil(chunk);
        assert!(used > 0 && used <= self.chunks.len(), "size of the batch");
        network.transpose(parameters, &mut self.transposed);
        let weight = 1.0 / (windows * network.sequences() * head.outputs()) as f32;
        let (cpu, transposed) = (self.cpu, &self.transposed);
        let work = |i: usize, chunk_: &mut Chunk<N>| {
            let from = i * chunk;
            let n = chunk.min(windows - from);
            let input = &input[from * network.inputs()..][..n * network.inputs()];
            let targets = &targets[from * per_window..][..n * per_window];
            chunk_.work(
                network,
                cpu,
                (parameters, transposed),
                input,
                targets,
                weight,
            );
        };
        #[cfg(feature = "parallel")]
        {
            use rayon::prelude::*;
            self.chunks[..used]
                .par_iter_mut()
                .enumerate()
                .for_each(|(i, chunk)| work(i, chunk));
        }
        #[cfg(not(feature = "parallel"))]
        for (i, chunk) in self.chunks[..used].iter_mut().enumerate() {
            work(i, chunk);
        }
        let (first, rest) = self.chunks[..used].split_at_mut(1);
        for other in rest.iter() {
            for (sum, part) in first[0].gradient.iter_mut().zip(&other.gradient) {
                *sum += part;
            }
        }
        let loss: f64 = self.chunks[..used].iter().map(|chunk| chunk.loss).sum();
        loss * f64::from(weight)
    }

    /// The gradient of the last batch.
    #[must_use]
    pub fn gradient(&self) -> &[f32] {
        &self.chunks[0].gradient
    }
}

impl<N: Network> Chunk<N> {
    fn work(
        &mut self,
        network: &N,
        cpu: Cpu,
        (parameters, transposed): (&[f32], &[f32]),
        input: &[f32],
        targets: &[f32],
        weight: f32,
    ) {
        let Self {
            scratch,
            raw,
            gradient,
            loss,
        } = self;
        let windows = input.len() / network.inputs();
        gradient.fill(0.0);
        *loss = 0.0;
        on_cpu!(cpu, s => {
            network.forward(s, parameters, input, windows, scratch, raw);
            let head = network.head();
            let each = raw.chunks_exact_mut(head.outputs());
            for (i, (raw, targets)) in each.zip(targets.chunks_exact(head.horizon())).enumerate() {
                *loss += head.loss(raw, targets, network.place(scratch, i), weight);
            }
            network.backward(s, parameters, transposed, raw, windows, scratch, gradient);
        });
    }
}

/// The mean loss of windows, without a gradient.
///
/// # Panics
/// As [`Gradients::compute`].
#[must_use]
pub fn loss<N: Network>(
    network: &N,
    cpu: Cpu,
    parameters: &[f32],
    input: &[f32],
    targets: &[f32],
) -> f64 {
    let head = network.head();
    let quantiles = crate::run::quantiles(network, cpu, parameters, input);
    let mut sum = 0.0;
    let sequences = quantiles.chunks_exact(head.outputs());
    for (q, targets) in sequences.zip(targets.chunks_exact(head.horizon())) {
        sum += head.pinball(q, targets);
    }
    sum / quantiles.len() as f64
}
