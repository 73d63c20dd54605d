//! Time of one window and of a thousand, on the kernels and on every backend of burn in this build, the same weights.
//!
//!     RAYON_NUM_THREADS=1 cargo run --release -p burn-models --features flex --example inference
//!
//! Medians of 9; the sides take turns, so that a busy machine is busy for all of them.

#![allow(clippy::unwrap_used, reason = "a measurement that fails says so")]

use std::time::Instant;

use burn_models::{Backend, open};
use kernels::safetensors::Tensors;
use kernels::{Cpu, Random};
use neural::{Config, Kind, Size};

/// A name, and what runs a network on windows.
type Side<'a> = (String, Box<dyn Fn(&[f32]) + 'a>);

/// Runs each side for a while, in turns, and gives its median in seconds for one run.
fn medians(sides: &[Side<'_>], input: &[f32], runs: usize) -> Vec<f64> {
    let mut times = vec![Vec::new(); sides.len()];
    for _ in 0..9 {
        for ((_, run), times) in sides.iter().zip(&mut times) {
            run(input);
            let began = Instant::now();
            (0..runs).for_each(|_| run(input));
            times.push(began.elapsed().as_secs_f64() / runs as f64);
        }
    }
    let middle = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    times.iter_mut().map(middle).collect()
}

fn main() {
    let cpu = Cpu::detect();
    println!("kernels on {cpu}; base size, horizon 5");
    for kind in Kind::ALL {
        let architecture = Config::new(kind, Size::Base, 5).architecture().unwrap();
        let weights = architecture.initial(1);
        let named = Tensors {
            metadata: Vec::new(),
            tensors: architecture.to_tensors(&weights),
        };
        let mut sides: Vec<Side<'_>> = Vec::new();
        let kernels = |input: &[f32]| {
            std::hint::black_box(architecture.quantiles(cpu, &weights, input));
        };
        sides.push(("kernels".into(), Box::new(kernels)));
        for backend in Backend::ALL.into_iter().filter(|b| b.is_built_in()) {
            match open(backend) {
                Ok(device) => {
                    let network = device.load(&architecture, &named).unwrap();
                    let run = move |input: &[f32]| {
                        std::hint::black_box(network.quantiles(input).unwrap());
                    };
                    sides.push((device.name(), Box::new(run)));
                }
                Err(e) => println!("{e}"),
            }
        }
        let mut random = Random::new(2);
        let inputs = 1_000 * architecture.inputs();
        let input: Vec<f32> = (0..inputs).map(|_| random.uniform(-2.0, 2.0)).collect();
        let one = medians(&sides, &input[..architecture.inputs()], 100);
        let thousand = medians(&sides, &input, 2);
        for (i, (name, _)) in sides.iter().enumerate() {
            println!(
                "{kind}: {name}: one window {:.3} ms ({:.2} of the kernels' time), 1,000 windows {:.1} ms, \
                 {:.0} windows/s ({:.2})",
                one[i] * 1e3,
                one[i] / one[0],
                thousand[i] * 1e3,
                1e3 / thousand[i],
                thousand[i] / thousand[0],
            );
        }
    }
}
