//! How good networks are on the validation block, which they were not trained on but were stopped by.
//!
//! Does not: judge on prices; a backtest or a gate does.

use forecast::distribution::normal_quantile;
use kernels::train::Windows as _;
use kernels::{Architecture, Cpu};

use crate::model::Measures;
use crate::windows::Block;

/// Loss and coverage on the validation block, and naive's loss there.
pub(crate) fn measures(
    architecture: &Architecture,
    cpu: Cpu,
    networks: &[Vec<f32>],
    validation: &Block<'_>,
) -> Measures {
    let head = architecture.head();
    let levels = head.levels();
    let (outputs, horizon) = (head.outputs(), head.horizon());
    let z: Vec<f32> = levels
        .iter()
        .map(|p| normal_quantile(f64::from(*p)) as f32)
        .collect();
    let naive: Vec<f32> = (0..horizon)
        .flat_map(|step| z.iter().map(move |z| z * ((step + 1) as f32).sqrt()))
        .collect();
    let place = |p: f32| levels.iter().position(|level| *level == p);
    let bands = [(0.1, 0.9), (0.025, 0.975)].map(|(low, high)| place(low).zip(place(high)));
    let (mut loss, mut loss_naive, mut inside) = (0.0, 0.0, [0usize; 2]);
    let mut input = vec![0.0f32; architecture.inputs()];
    let mut targets = vec![0.0f32; horizon];
    const BLOCK: usize = 256;
    for begin in (0..validation.len()).step_by(BLOCK) {
        let block = begin..(begin + BLOCK).min(validation.len());
        let mut inputs = Vec::with_capacity(block.len() * input.len());
        let mut all = Vec::with_capacity(block.len() * horizon);
        for index in block {
            validation.write(index, &mut input, &mut targets);
            inputs.extend_from_slice(&input);
            all.extend_from_slice(&targets);
        }
        let mut mean: Vec<f32> = Vec::new();
        for parameters in networks {
            let quantiles = architecture.quantiles(cpu, parameters, &inputs);
            mean.resize(quantiles.len(), 0.0);
            for (mean, q) in mean.iter_mut().zip(quantiles) {
                *mean += q / networks.len() as f32;
            }
        }
        for (q, targets) in mean.chunks_exact(outputs).zip(all.chunks_exact(horizon)) {
            loss += head.pinball(q, targets);
            loss_naive += head.pinball(&naive, targets);
            for (step, target) in q.chunks_exact(levels.len()).zip(targets) {
                for (inside, band) in inside.iter_mut().zip(bands) {
                    let holds =
                        |(low, high): (usize, usize)| step[low] <= *target && *target <= step[high];
                    *inside += usize::from(band.is_some_and(holds));
                }
            }
        }
    }
    let windows = validation.len();
    let part = |count: usize| count as f64 / (windows * horizon) as f64;
    Measures {
        training_windows: 0,
        validation_windows: windows,
        unusable_windows: 0,
        pinball: loss / (windows * outputs) as f64,
        pinball_naive: loss_naive / (windows * outputs) as f64,
        coverage_80: part(inside[0]),
        coverage_95: part(inside[1]),
    }
}
