//! Forecasts of any number of windows by one call.
//!
//! Model: windows are worked on in chunks, on all cores with the feature `parallel`; each chunk's result
//! depends on it alone, so the number of threads changes nothing.
//! Does not: scale inputs or outputs.

use fearless_simd::Simd as _;

use crate::cpu::{Cpu, on_cpu};
use crate::network::Network;

/// The quantiles of every window: `[window][sequence][step][level]`.
///
/// # Panics
/// When the parameters or the input have another length than the network says.
#[must_use]
pub fn quantiles<N: Network>(network: &N, cpu: Cpu, parameters: &[f32], input: &[f32]) -> Vec<f32> {
    assert_eq!(parameters.len(), network.parameters(), "parameters");
    assert_eq!(input.len() % network.inputs(), 0, "whole windows");
    let windows = input.len() / network.inputs();
    let outputs = network.sequences() * network.head().outputs();
    let mut all = vec![0.0f32; windows * outputs];
    let chunk = network.chunk().min(windows.max(1));
    let work = |scratch: &mut N::Scratch, input: &[f32], raw: &mut [f32]| {
        let n = input.len() / network.inputs();
        forward(network, cpu, parameters, input, n, scratch, raw);
    };
    let inputs = network.inputs() * chunk;
    #[cfg(feature = "parallel")]
    if windows > chunk {
        use rayon::prelude::*;
        all.par_chunks_mut(chunk * outputs)
            .zip(input.par_chunks(inputs))
            .for_each_init(
                || network.scratch(chunk, false),
                |scratch, (raw, input)| work(scratch, input, raw),
            );
        return all;
    }
    let mut scratch = network.scratch(chunk, false);
    for (raw, input) in all.chunks_mut(chunk * outputs).zip(input.chunks(inputs)) {
        work(&mut scratch, input, raw);
    }
    all
}

/// A chunk of windows forward, to its quantiles.
fn forward<N: Network>(
    network: &N,
    cpu: Cpu,
    parameters: &[f32],
    input: &[f32],
    windows: usize,
    scratch: &mut N::Scratch,
    raw: &mut [f32],
) {
    on_cpu!(cpu, s => network.forward(s, parameters, input, windows, scratch, raw));
    let head = network.head();
    for (i, raw) in raw.chunks_exact_mut(head.outputs()).enumerate() {
        head.quantiles(raw, network.place(scratch, i));
    }
}
