//! Training: epochs of shuffled mini-batches, early stopping on a validation block, and a state that can be
//! written down after every epoch.
//!
//! Model: AdamW with warm-up and cosine decay on batches whose order hangs on the seed and the epoch alone.
//! After each epoch the loss on the validation windows decides whether these are the best parameters; too
//! many epochs without a better one end the training. A [`State`] is all that the next epoch depends on:
//! resumed from it, a training ends with the same bits as one that was never interrupted.
//! Does not: cut windows, or decide which are for validation (whoever does leaves out those whose targets
//! overlap; see crate `neural`). Does not read a clock.

use std::ops::ControlFlow;

use crate::cpu::Cpu;
use crate::error::{Error, Result};
use crate::gradient::{Gradients, loss};
use crate::network::Network;
use crate::optimise::{AdamW, Schedule, norm};
use crate::random::Random;
use crate::weights::initial;

/// Windows by index.
pub trait Windows: Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the input and the targets of window `index`.
    fn write(&self, index: usize, input: &mut [f32], targets: &mut [f32]);
}

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Epochs at most.
    pub epochs: usize,
    /// Windows per step.
    pub batch: usize,
    /// Steps per epoch at most; the rest of the windows wait for another epoch's order.
    pub steps_per_epoch: usize,
    /// Highest rate of learning.
    pub rate: f32,
    /// Weight decay.
    pub decay: f32,
    /// Part of all steps for the warm-up.
    pub warm_up: f32,
    /// Norm that the gradient is clipped to.
    pub clip: f32,
    /// Epochs without a better validation loss after which it ends.
    pub patience: usize,
    /// Seed of the first parameters and of the order of windows.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch: 64,
            steps_per_epoch: usize::MAX,
            rate: 1e-3,
            decay: AdamW::DECAY,
            warm_up: 0.05,
            clip: 1.0,
            patience: 5,
            seed: 1,
        }
    }
}

/// All that the next epoch depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Epochs done.
    pub epoch: usize,
    /// Parameters.
    pub parameters: Vec<f32>,
    /// Moments.
    pub optimiser: AdamW,
    /// Parameters with the best validation loss.
    pub best: Vec<f32>,
    /// That loss; of the untrained network at first.
    pub best_loss: f64,
    /// Epoch of it; 0 is the untrained network.
    pub best_epoch: usize,
    /// Training and validation loss of each epoch.
    pub history: Vec<(f64, f64)>,
}

/// Where a training stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Epochs at most.
    pub epochs: usize,
    /// Steps done in all.
    pub step: u64,
    /// Steps at most.
    pub steps: u64,
    /// Mean training loss of this epoch so far.
    pub training_loss: f64,
    /// Windows trained on in all.
    pub windows: u64,
    /// After an epoch: its validation loss and the state to write down.
    pub finished: Option<(f64, &'a State)>,
}

/// Trains until the epochs are done or nothing gets better; returns the last state, whose `best` is the
/// result. `on` is called after every step and every epoch, and stops the training by
/// [`ControlFlow::Break`].
///
/// # Errors
/// [`Error::NoWindows`], [`Error::Config`] for options out of range or a state of another network,
/// [`Error::Diverged`], and [`Error::Cancelled`] where `on` stopped it.
pub fn train<N: Network>(
    network: &N,
    cpu: Cpu,
    training: &dyn Windows,
    validation: &dyn Windows,
    options: &Options,
    from: Option<State>,
    on: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<State> {
    options.check()?;
    for (windows, what) in [(training, "training"), (validation, "validation")] {
        if windows.is_empty() {
            return Err(Error::NoWindows { what });
        }
    }
    let mut state = match from {
        Some(state) if state.fits(network) => state,
        Some(_) => {
            let reason = "it belongs to another network";
            return Err(Error::config("state", reason));
        }
        None => State::fresh(network, options, |p| {
            validation_loss(network, cpu, p, validation)
        }),
    };
    let steps_per_epoch = training
        .len()
        .div_ceil(options.batch)
        .min(options.steps_per_epoch);
    let total = (steps_per_epoch * options.epochs) as u64;
    let schedule = Schedule {
        peak: options.rate,
        warm_up: ((total as f32 * options.warm_up) as u64).max(1),
        total,
    };
    let mut gradients = Gradients::new(network, cpu, options.batch);
    let targets_len = network.sequences() * network.head().horizon();
    let mut input = vec![0.0f32; options.batch * network.inputs()];
    let mut targets = vec![0.0f32; options.batch * targets_len];
    let mut windows = (state.epoch * steps_per_epoch * options.batch) as u64;
    while state.epoch < options.epochs && state.stale() < options.patience {
        let mut order: Vec<usize> = (0..training.len()).collect();
        let epoch_seed = (state.epoch as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Random::new(options.seed ^ epoch_seed).shuffle(&mut order);
        let mut sum = 0.0;
        let mut trained = 0usize;
        for batch in order.chunks(options.batch).take(steps_per_epoch) {
            for (i, index) in batch.iter().enumerate() {
                training.write(
                    *index,
                    &mut input[i * network.inputs()..][..network.inputs()],
                    &mut targets[i * targets_len..][..targets_len],
                );
            }
            let n = batch.len();
            let (x, y) = (&input[..n * network.inputs()], &targets[..n * targets_len]);
            let loss = gradients.compute(&state.parameters, x, y);
            let norm = norm(gradients.gradient());
            if !loss.is_finite() || !norm.is_finite() {
                let epoch = state.epoch + 1;
                return Err(Error::Diverged { epoch });
            }
            let factor = (f64::from(options.clip) / norm.max(1e-12)).min(1.0) as f32;
            let rate = schedule.rate(state.optimiser.steps);
            let State {
                parameters,
                optimiser,
                ..
            } = &mut state;
            optimiser.step(parameters, gradients.gradient(), factor, rate);
            sum += loss * n as f64;
            trained += n;
            windows += n as u64;
            let progress = Progress {
                epoch: state.epoch + 1,
                epochs: options.epochs,
                step: state.optimiser.steps,
                steps: total,
                training_loss: sum / trained as f64,
                windows,
                finished: None,
            };
            if on(&progress).is_break() {
                return Err(Error::Cancelled);
            }
        }
        let validation_loss = validation_loss(network, cpu, &state.parameters, validation);
        if !validation_loss.is_finite() {
            let epoch = state.epoch + 1;
            return Err(Error::Diverged { epoch });
        }
        state.epoch += 1;
        state.history.push((sum / trained as f64, validation_loss));
        if validation_loss < state.best_loss {
            state.best_loss = validation_loss;
            state.best_epoch = state.epoch;
            state.best.copy_from_slice(&state.parameters);
        }
        let progress = Progress {
            epoch: state.epoch,
            epochs: options.epochs,
            step: state.optimiser.steps,
            steps: total,
            training_loss: sum / trained as f64,
            windows,
            finished: Some((validation_loss, &state)),
        };
        if on(&progress).is_break() {
            return Err(Error::Cancelled);
        }
    }
    Ok(state)
}

/// The mean loss over all windows, in blocks of fixed size.
#[must_use]
pub fn validation_loss<N: Network>(
    network: &N,
    cpu: Cpu,
    parameters: &[f32],
    windows: &dyn Windows,
) -> f64 {
    const BLOCK: usize = 512;
    let (inputs, targets_len) = (
        network.inputs(),
        network.sequences() * network.head().horizon(),
    );
    let mut sum = 0.0;
    let mut begin = 0;
    let mut input = vec![0.0f32; BLOCK * inputs];
    let mut targets = vec![0.0f32; BLOCK * targets_len];
    while begin < windows.len() {
        let n = BLOCK.min(windows.len() - begin);
        for i in 0..n {
            windows.write(
                begin + i,
                &mut input[i * inputs..][..inputs],
                &mut targets[i * targets_len..][..targets_len],
            );
        }
        let (x, y) = (&input[..n * inputs], &targets[..n * targets_len]);
        sum += loss(network, cpu, parameters, x, y) * n as f64;
        begin += n;
    }
    sum / windows.len() as f64
}

impl Options {
    fn check(&self) -> Result<()> {
        let positive = |name: &'static str, value: f32| {
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                Err(Error::config(
                    name,
                    format!("expected a positive number, got {value}"),
                ))
            }
        };
        let counts = [
            ("epochs", self.epochs),
            ("batch", self.batch),
            ("steps_per_epoch", self.steps_per_epoch),
            ("patience", self.patience),
        ];
        for (name, value) in counts {
            if value == 0 {
                return Err(Error::config(name, "expected at least 1, got 0"));
            }
        }
        if self.batch > 4_096 || self.epochs > 100_000 {
            return Err(Error::config(
                "batch",
                "expected at most 4096 windows and 100000 epochs",
            ));
        }
        positive("rate", self.rate)?;
        positive("clip", self.clip)?;
        if !(0.0..=1.0).contains(&self.warm_up) || !(0.0..=1.0).contains(&self.decay) {
            return Err(Error::config(
                "warm_up",
                "warm-up and decay lie between 0 and 1",
            ));
        }
        Ok(())
    }
}

impl State {
    fn fresh<N: Network>(network: &N, options: &Options, validate: impl Fn(&[f32]) -> f64) -> Self {
        let parameters = initial(network, options.seed);
        Self {
            epoch: 0,
            optimiser: AdamW::new(parameters.len(), options.decay),
            best: parameters.clone(),
            best_loss: validate(&parameters),
            best_epoch: 0,
            history: Vec::new(),
            parameters,
        }
    }

    /// Epochs since the best.
    #[must_use]
    pub fn stale(&self) -> usize {
        self.epoch - self.best_epoch.min(self.epoch)
    }

    fn fits<N: Network>(&self, network: &N) -> bool {
        let lengths = [
            &self.parameters,
            &self.best,
            &self.optimiser.first,
            &self.optimiser.second,
        ];
        lengths.iter().all(|v| v.len() == network.parameters())
    }
}
