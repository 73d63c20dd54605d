//! Rates of the networks, for bench/neural: `throughput train NETWORK BATCH SECONDS` prints windows trained on
//! per second, `throughput infer NETWORK WINDOWS SECONDS` the seconds of one call.
//!
//! NETWORK is lstm-64, lstm-128, lstm-256, encoder or nlinear: window 64, 4 features or channels, 10 steps, 9
//! levels. A training step is forward, pinball loss, backward, clipping and AdamW on data that differ from
//! step to step. RAYON_NUM_THREADS sets the threads.

use std::hint::black_box;
use std::time::Instant;

use kernels::{
    Architecture, Cpu, EncoderSize, Growth, Lstm, NLinear, PatchEncoder, QuantileHead, Random,
    train::{Options, Windows},
};

const WINDOW: usize = 64;
const FEATURES: usize = 4;

fn network(name: &str) -> Result<Architecture, Box<dyn std::error::Error>> {
    let levels: Vec<f32> = (1..10).map(|q| q as f32 / 10.0).collect();
    let head = QuantileHead::new(10, &levels, Growth::Even)?;
    Ok(match name.split_once('-').unwrap_or((name, "")) {
        ("lstm", hidden) => Architecture::Lstm(Lstm::new(WINDOW, FEATURES, hidden.parse()?, head)?),
        ("encoder", _) => {
            let size = EncoderSize {
                patch: 8,
                width: 64,
                heads: 4,
                feed_forward: 128,
                layers: 2,
            };
            Architecture::PatchEncoder(PatchEncoder::new(WINDOW, FEATURES, size, head)?)
        }
        ("nlinear", _) => Architecture::NLinear(NLinear::new(WINDOW, FEATURES, head)?),
        _ => return Err(format!("no network {name}").into()),
    })
}

/// Windows of noise, as many as are asked for.
struct Noise {
    input: Vec<f32>,
    targets: Vec<f32>,
    inputs: usize,
    horizon: usize,
    len: usize,
}

impl Windows for Noise {
    fn len(&self) -> usize {
        self.len
    }

    fn write(&self, index: usize, input: &mut [f32], targets: &mut [f32]) {
        let at = (index * 31) % (self.input.len() - self.inputs);
        input.copy_from_slice(&self.input[at..][..self.inputs]);
        let at = (index * 17) % (self.targets.len() - self.horizon);
        for sequence in targets.chunks_mut(self.horizon) {
            sequence.copy_from_slice(&self.targets[at..][..self.horizon]);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, name, count, seconds] = &arguments[..] else {
        return Err("usage: throughput train|infer NETWORK BATCH|WINDOWS SECONDS".into());
    };
    let network = network(name)?;
    let (count, seconds): (usize, f64) = (count.parse()?, seconds.parse()?);
    let cpu = Cpu::detect();
    let mut random = Random::new(1);
    let mut noise = |n: usize| -> Vec<f32> { (0..n).map(|_| random.uniform(-1.0, 1.0)).collect() };
    if what == "infer" {
        let parameters = network.initial(1);
        let input = noise(count * network.inputs());
        black_box(network.quantiles(cpu, &parameters, &input));
        let started = Instant::now();
        let mut calls = 0u32;
        while started.elapsed().as_secs_f64() < seconds {
            black_box(network.quantiles(cpu, &parameters, black_box(&input)));
            calls += 1;
        }
        println!("{}", started.elapsed().as_secs_f64() / f64::from(calls));
        return Ok(());
    }
    let mut windows = Noise {
        input: noise(100_000),
        targets: noise(10_000),
        inputs: network.inputs(),
        horizon: network.head().horizon(),
        len: 1,
    };
    let validation = Noise {
        input: windows.input.clone(),
        targets: windows.targets.clone(),
        ..windows
    };
    windows.len = 1 << 22;
    let options = Options {
        batch: count,
        epochs: 1,
        ..Options::default()
    };
    let mut warm = None;
    let mut rate = 0.0;
    // Stops itself after the seconds: the error is that it was cancelled.
    let _ = network.train(cpu, &windows, &validation, &options, None, &mut |at| {
        let (began, from) = *warm.get_or_insert_with(|| (Instant::now(), at.windows));
        let spent = began.elapsed().as_secs_f64();
        if spent < seconds {
            return std::ops::ControlFlow::Continue(());
        }
        rate = (at.windows - from) as f64 / spent;
        std::ops::ControlFlow::Break(())
    });
    println!("{rate}");
    Ok(())
}
