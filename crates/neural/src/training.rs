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

use kernels::Cpu;
use kernels::train::{Progress, State};
use sha2::{Digest as _, Sha256};

use crate::artefact::hex;
use crate::checkpoint::Checkpoint;
use crate::config::{Config, Transform};
use crate::error::{Error, Result};
use crate::features::{MissingCovariate, lacks};
use crate::measures::measures;
use crate::model::{DataRange, Measures, Model, Provenance};
use crate::search::{Plan, SearchRecord, Trial, halve, trials};
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
    /// Steps of an epoch at most; other windows wait for another epoch's order.
    pub steps_per_epoch: usize,
    /// Searches for size, rate and batch.
    pub search: Option<Search>,
    /// Seed of the first network.
    pub seed: u64,
}

/// How to search; see [`crate::SearchRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Epochs in all, those of the winner's first network among them.
    pub budget: usize,
    /// Whether all sizes are tried, or that of the configuration alone.
    pub any_size: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            epochs: 40,
            patience: 15,
            batch: 64,
            rate: None,
            validation: 0.2,
            steps_per_epoch: usize::MAX,
            search: None,
            seed: 1,
        }
    }
}

/// Where a training stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// The trial of a search, from 1, and how many there are; none for what is not a trial.
    pub trial: Option<(usize, usize)>,
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
    config.architecture()?;
    check_values(&config, series)?;
    let split = Split::new(&config, series, options.validation)?;
    let scaler = split.scaler();
    let data = data_range(series);
    let mut options = *options;
    let blocks = config.clone();
    let bench = Bench {
        data: &data,
        training: split.block(&blocks, &scaler, &split.training),
        validation: split.block(&blocks, &scaler, &split.validation),
        cpu,
        control,
    };
    let mut first = None;
    let mut trials = Vec::new();
    let search = match options.search {
        Some(search) => {
            let (record, state) = bench.search(&config, &options, search, &mut trials)?;
            let found = record.trials[record.winner].trial;
            config.size = found.size;
            options.rate = Some(found.rate);
            options.batch = found.batch;
            first = Some(state);
            Some(record)
        }
        None => None,
    };
    let architecture = config.architecture()?;
    let checkpoint = control
        .checkpoint
        .map(|path| Checkpoint::new(path, fingerprint(&config, &options, &data, cpu)));
    let mut found = checkpoint
        .as_ref()
        .map(Checkpoint::load)
        .unwrap_or_default();
    let mut done: Vec<State> = std::mem::take(&mut found.done);
    done.truncate(config.ensemble);
    for member in done.len()..config.ensemble {
        let from = found.current.take().or_else(|| first.take());
        let each = kernel_options(&config, &options, member);
        let mut watch = Watch::new(control, member, config.ensemble);
        let trained = architecture.train(
            cpu,
            &bench.training,
            &bench.validation,
            &each,
            from,
            &mut |at| watch.on(at, checkpoint.as_ref(), &done),
        );
        if let Some(error) = watch.failed {
            return Err(error);
        }
        done.push(trained?);
        first = None;
        if let Some(checkpoint) = &checkpoint {
            checkpoint.save(&done, None)?;
        }
    }
    let validation = &bench.validation;
    let networks: Vec<Vec<f32>> = done.iter().map(|state| state.best.clone()).collect();
    let provenance = Provenance {
        data: data.clone(),
        missing_covariates: missing,
        seed: options.seed,
        instruction_set: cpu.name().into(),
        code_version: env!("CARGO_PKG_VERSION").into(),
        epochs: done
            .iter()
            .map(|state| (state.epoch, state.best_epoch))
            .collect(),
        losses: done.iter().map(|state| state.history.clone()).collect(),
        search,
        measures: Measures {
            training_windows: split.training.len(),
            validation_windows: split.validation.len(),
            unusable_windows: split.unusable,
            ..measures(&architecture, cpu, &networks, validation)
        },
    };
    trials
        .iter()
        .chain(&checkpoint)
        .for_each(Checkpoint::remove);
    Ok(Model {
        config,
        scaler,
        provenance,
        architecture,
        networks,
        cpu,
        loaded: Vec::new(),
    })
}

/// The hash of everything that a training follows from: of two with the same one the weights are the same.
#[must_use]
pub fn identity(config: &Config, series: &[Series<'_>], options: &Options, cpu: Cpu) -> String {
    fingerprint(config, options, &data_range(series), cpu)
}

fn kernel_options(config: &Config, options: &Options, member: usize) -> kernels::train::Options {
    kernels::train::Options {
        epochs: options.epochs,
        batch: options.batch,
        steps_per_epoch: options.steps_per_epoch,
        rate: options.rate.unwrap_or(config.rate()),
        patience: options.patience,
        seed: options.seed.wrapping_add(member as u64),
        ..kernels::train::Options::default()
    }
}

/// What every network of a training is trained and judged on.
struct Bench<'a> {
    data: &'a DataRange,
    training: Block<'a>,
    validation: Block<'a>,
    cpu: Cpu,
    control: Control<'a>,
}

impl Bench<'_> {
    /// Finds the best trial; its state is that of a whole training. The states of all lie beside the checkpoint as
    /// long as the training goes on, so that one that is resumed repeats nothing; their files are added to `files`.
    fn search(
        &self,
        config: &Config,
        options: &Options,
        search: Search,
        files: &mut Vec<Checkpoint>,
    ) -> Result<(SearchRecord, State)> {
        let rate = options.rate.unwrap_or(config.rate());
        let size = (!search.any_size).then_some(config.size);
        let all = trials(config.kind, size, rate, options.seed);
        let plan = Plan::new(all.len(), options.epochs, search.budget)?;
        let of = |number: usize| {
            let Trial { size, rate, batch } = all[number];
            let config = Config {
                size,
                ..config.clone()
            };
            let options = Options {
                rate: Some(rate),
                batch,
                ..*options
            };
            (config, options)
        };
        let begun = plan.rungs.first().map_or(0, |(left, _)| *left);
        if let Some(path) = self.control.checkpoint {
            for number in 0..begun {
                let (config, options) = of(number);
                let mut name = path.file_name().unwrap_or_default().to_owned();
                name.push(format!(".trial-{number}"));
                let fingerprint = fingerprint(&config, &options, self.data, self.cpu);
                files.push(Checkpoint::new(&path.with_file_name(name), fingerprint));
            }
        }
        let mut states: Vec<Option<State>> = vec![None; begun];
        let mut advance = |number: usize, until: usize| {
            let (config, options) = of(number);
            let file = files.get(number);
            let from = states[number]
                .take()
                .or_else(|| file.and_then(|file| file.load().current));
            let ended = |state: &State| state.epoch >= until || state.stale() >= options.patience;
            let state = match from {
                Some(state) if ended(&state) => state,
                from => {
                    match self.advance(&config, &options, from, until, (number, begun), file)? {
                        Some(state) => state,
                        // It diverged.
                        None => return Ok((f64::NAN, until)),
                    }
                }
            };
            let told = (state.best_loss, state.epoch);
            states[number] = Some(state);
            Ok(told)
        };
        let record = halve(&plan, search.budget, &all, &mut advance)?;
        let state = states[record.winner].take();
        let state = state.ok_or_else(|| Error::argument("search", "every trial broke down"))?;
        Ok((record, state))
    }

    /// Trains a trial until it has seen so many epochs; none where it diverges.
    fn advance(
        &self,
        config: &Config,
        options: &Options,
        from: Option<State>,
        until: usize,
        (number, trials): (usize, usize),
        file: Option<&Checkpoint>,
    ) -> Result<Option<State>> {
        let architecture = config.architecture()?;
        let each = kernel_options(config, options, 0);
        let mut watch = Watch::new(self.control, 0, 1);
        watch.trial = Some((number + 1, trials));
        let mut kept = None;
        let (training, validation) = (&self.training, &self.validation);
        let trained = architecture.train(self.cpu, training, validation, &each, from, &mut |at| {
            let flow = watch.on(at, file, &[]);
            if let (ControlFlow::Continue(()), Some((_, state))) = (flow, at.finished)
                && state.epoch >= until
            {
                kept = Some(state.clone());
                return ControlFlow::Break(());
            }
            flow
        });
        match (trained, kept, watch.failed) {
            (_, _, Some(error)) => Err(error),
            (Ok(state), ..) | (Err(_), Some(state), None) => Ok(Some(state)),
            (Err(kernels::Error::Diverged { .. }), ..) => Ok(None),
            (Err(error), ..) => Err(error.into()),
        }
    }
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
    trial: Option<(usize, usize)>,
    begun: f64,
    /// Steps and windows that were done before this run.
    from: Option<(u64, u64)>,
    member: usize,
    members: usize,
    failed: Option<Error>,
}

impl<'a> Watch<'a> {
    fn new(control: Control<'a>, member: usize, members: usize) -> Self {
        Self {
            control,
            trial: None,
            begun: (control.clock)(),
            from: None,
            member,
            members,
            failed: None,
        }
    }

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
                trial: self.trial,
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
