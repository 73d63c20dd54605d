//! Training a model: from series to weights, with progress, checkpoints and cancellation.
//!
//! Model: the networks of an ensemble are trained one after the other on the same split, each from its own
//! seed. The result is that of the best epoch by the loss on the validation block; the untrained network,
//! which is naive with the quantiles of a random walk, counts as epoch 0, so that a network that learns
//! nothing says nothing. A checkpoint is written after every epoch where a path is given.
//! Does not: read a clock: seconds come from the caller.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use forecast::distribution::normal_quantile;
use kernels::train::{Progress, State, Windows};
use kernels::{Architecture, Cpu};
use sha2::{Digest as _, Sha256};

use crate::artefact::hex;
use crate::checkpoint::Checkpoint;
use crate::config::{Config, Transform};
use crate::error::{Error, Result};
use crate::features::{MissingCovariate, lacks};
use crate::model::{DataRange, Measures, Model, Provenance};
use crate::series::Series;
use crate::windows::{Block, Split};

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Epochs at most.
    pub epochs: usize,
    /// Epochs without a better validation loss after which it ends.
    pub patience: usize,
    /// Windows per step.
    pub batch: usize,
    /// Highest rate of learning; none takes the kind's.
    pub rate: Option<f32>,
    /// Newest part of the origins that is kept for validation.
    pub validation: f64,
    /// Seed of the first network.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            epochs: 20,
            patience: 5,
            batch: 64,
            rate: None,
            validation: 0.2,
            seed: 1,
        }
    }
}

/// Where a training stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Network of the ensemble, from 1.
    pub network: usize,
    /// Networks.
    pub networks: usize,
    /// Epoch, from 1.
    pub epoch: usize,
    /// Epochs at most.
    pub epochs: usize,
    /// Steps done of this network.
    pub step: u64,
    /// Steps at most of each network.
    pub steps: u64,
    /// Mean training loss of this epoch so far.
    pub training_loss: f64,
    /// Validation loss, after an epoch.
    pub validation_loss: Option<f64>,
    /// Best validation loss so far; after an epoch.
    pub best_loss: Option<f64>,
    /// Windows trained on per second.
    pub windows_per_second: f64,
    /// Seconds left if all epochs are done; early stopping may end it before.
    pub eta_seconds: f64,
}

/// What a training calls and heeds.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Called after every step and every epoch.
    pub progress: Option<&'a dyn Fn(&Event)>,
    /// Stops the training when set.
    pub cancel: Option<&'a AtomicBool>,
    /// A monotonic clock in seconds.
    pub clock: &'a dyn Fn() -> f64,
    /// File of the checkpoint.
    pub checkpoint: Option<&'a Path>,
}

/// Trains a model on series.
///
/// # Errors
/// A configuration or options out of range, series without a window to train or to validate on, values
/// that a logarithm cannot take, a training that diverged or was cancelled, a checkpoint that cannot be
/// written.
pub fn train(
    config: &Config,
    series: &[Series<'_>],
    options: &Options,
    cpu: Cpu,
    control: Control<'_>,
) -> Result<Model> {
    let mut config = config.clone();
    let missing = leave_out(&mut config, series);
    let architecture = config.architecture()?;
    check_values(&config, series)?;
    let split = Split::new(&config, series, options.validation)?;
    let scaler = split.scaler();
    let training = split.block(&config, &scaler, &split.training);
    let validation = split.block(&config, &scaler, &split.validation);
    let data = data_range(series);
    let checkpoint = control
        .checkpoint
        .map(|path| Checkpoint::new(path, fingerprint(&config, options, &data, cpu)));
    let mut found = checkpoint
        .as_ref()
        .map(Checkpoint::load)
        .unwrap_or_default();
    let mut done: Vec<State> = std::mem::take(&mut found.done);
    done.truncate(config.ensemble);
    for member in done.len()..config.ensemble {
        let from = found.current.take();
        let each = kernels::train::Options {
            epochs: options.epochs,
            batch: options.batch,
            rate: options.rate.unwrap_or(config.rate()),
            patience: options.patience,
            seed: options.seed.wrapping_add(member as u64),
            ..kernels::train::Options::default()
        };
        let mut watch = Watch {
            control,
            begun: (control.clock)(),
            from: None,
            member,
            members: config.ensemble,
            failed: None,
        };
        let trained = architecture.train(cpu, &training, &validation, &each, from, &mut |at| {
            watch.on(at, checkpoint.as_ref(), &done)
        });
        if let Some(error) = watch.failed {
            return Err(error);
        }
        done.push(trained?);
        if let Some(checkpoint) = &checkpoint {
            checkpoint.save(&done, None)?;
        }
    }
    let networks: Vec<Vec<f32>> = done.iter().map(|state| state.best.clone()).collect();
    let provenance = Provenance {
        data,
        missing_covariates: missing,
        seed: options.seed,
        instruction_set: cpu.name().into(),
        code_version: env!("CARGO_PKG_VERSION").into(),
        epochs: done
            .iter()
            .map(|state| (state.epoch, state.best_epoch))
            .collect(),
        measures: Measures {
            training_windows: split.training.len(),
            validation_windows: split.validation.len(),
            unusable_windows: split.unusable,
            ..measures(&architecture, cpu, &networks, &validation)
        },
    };
    if let Some(checkpoint) = &checkpoint {
        checkpoint.remove();
    }
    Ok(Model {
        config,
        scaler,
        provenance,
        architecture,
        networks,
        cpu,
    })
}

/// Takes covariates out that a series lacks, and says so.
fn leave_out(config: &mut Config, series: &[Series<'_>]) -> Vec<MissingCovariate> {
    let mut missing = Vec::new();
    config.covariates.retain(|covariate| {
        for one in series {
            if let Some(reason) = lacks(one, *covariate) {
                let reason = match one.id {
                    "" => reason,
                    id => format!("series {id:?}: {reason}"),
                };
                missing.push(MissingCovariate {
                    covariate: *covariate,
                    reason,
                });
                return false;
            }
        }
        true
    });
    missing
}

fn check_values(config: &Config, series: &[Series<'_>]) -> Result<()> {
    if config.transform != Transform::Log {
        return Ok(());
    }
    for one in series {
        let low = |value: &&f64| **value <= 0.0;
        if let Some(value) = one.values.iter().find(low) {
            let reason = format!(
                "series {:?} holds {value}: logarithms need positive values, train without them",
                one.id
            );
            return Err(Error::argument("transform", reason));
        }
    }
    Ok(())
}

struct Watch<'a> {
    control: Control<'a>,
    begun: f64,
    /// Steps and windows that were done before this run.
    from: Option<(u64, u64)>,
    member: usize,
    members: usize,
    failed: Option<Error>,
}

impl Watch<'_> {
    fn on(
        &mut self,
        at: &Progress<'_>,
        checkpoint: Option<&Checkpoint>,
        done: &[State],
    ) -> ControlFlow<()> {
        let (steps0, windows0) = *self
            .from
            .get_or_insert((at.step.saturating_sub(1), at.windows.saturating_sub(1)));
        let seconds = ((self.control.clock)() - self.begun).max(1e-9);
        let stepped = (at.step - steps0).max(1);
        let left =
            at.steps.saturating_sub(at.step) + at.steps * (self.members - self.member - 1) as u64;
        if let Some(progress) = self.control.progress {
            progress(&Event {
                network: self.member + 1,
                networks: self.members,
                epoch: at.epoch,
                epochs: at.epochs,
                step: at.step,
                steps: at.steps,
                training_loss: at.training_loss,
                validation_loss: at.finished.map(|(loss, _)| loss),
                best_loss: at.finished.map(|(_, state)| state.best_loss),
                windows_per_second: (at.windows - windows0) as f64 / seconds,
                eta_seconds: seconds / stepped as f64 * left as f64,
            });
        }
        if let (Some((_, state)), Some(checkpoint)) = (at.finished, checkpoint)
            && let Err(error) = checkpoint.save(done, Some(state))
        {
            self.failed = Some(error);
            return ControlFlow::Break(());
        }
        let cancelled = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        if self.control.cancel.is_some_and(cancelled) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// Loss and coverage on the validation block, and naive's loss there.
fn measures(
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

fn data_range(series: &[Series<'_>]) -> DataRange {
    let mut hash = Sha256::new();
    let times = || series.iter().filter_map(|one| one.times_ms);
    for one in series {
        hash.update((one.id.len() as u64).to_le_bytes());
        hash.update(one.id.as_bytes());
        hash.update((one.values.len() as u64).to_le_bytes());
        for value in one.values {
            hash.update(value.to_bits().to_le_bytes());
        }
        for time in one.times_ms.unwrap_or(&[]) {
            hash.update(time.to_le_bytes());
        }
        for volume in one.volumes.unwrap_or(&[]) {
            hash.update(volume.to_bits().to_le_bytes());
        }
    }
    DataRange {
        series: series.len(),
        values: series.iter().map(|one| one.values.len()).sum(),
        from_ms: times().filter_map(|times| times.first().copied()).min(),
        to_ms: times().filter_map(|times| times.last().copied()).max(),
        sha256: hex(&hash.finalize()),
    }
}

/// What a checkpoint belongs to.
fn fingerprint(config: &Config, options: &Options, data: &DataRange, cpu: Cpu) -> String {
    let text = format!(
        "{config:?} {options:?} {} {} {}",
        data.sha256,
        cpu.name(),
        env!("CARGO_PKG_VERSION")
    );
    hex(&Sha256::digest(text))
}
