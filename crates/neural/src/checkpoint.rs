//! The state of a training on disk, so that one that was killed goes on.
//!
//! Model: one file of the safetensors format, written to a temporary name, synced and renamed after every
//! epoch. It carries the fingerprint of what is trained on what, with which options, on which instruction
//! set; the state of another training is not taken. A damaged file is no state: the training begins anew.
//! Numbers that are not tensors are kept as bits, so that nothing is rounded.
//! Does not: keep more than the newest.

use std::fs;
use std::path::{Path, PathBuf};

use kernels::optimise::AdamW;
use kernels::safetensors::{NamedTensor, Tensors};
use kernels::train::State;

use crate::artefact::{beside, sync_directory, write_synced};
use crate::error::{Error, Result};

/// The states of an ensemble's training: networks that are done, and the one at work.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    path: PathBuf,
    fingerprint: String,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// States of networks that are done.
    pub done: Vec<State>,
    /// State of the next.
    pub current: Option<State>,
}

impl Checkpoint {
    pub(crate) fn new(path: &Path, fingerprint: String) -> Self {
        Self {
            path: path.into(),
            fingerprint,
        }
    }

    /// The states of this training, if there are any.
    pub(crate) fn load(&self) -> Found {
        self.read().unwrap_or_default()
    }

    fn read(&self) -> Option<Found> {
        let tensors = Tensors::from_bytes(&fs::read(&self.path).ok()?).ok()?;
        if tensors.meta("fingerprint")? != self.fingerprint {
            return None;
        }
        let count: usize = tensors.meta("done")?.parse().ok()?;
        let done = (0..count).map(|member| state(&tensors, &format!("{member}.")));
        Some(Found {
            done: done.collect::<Option<_>>()?,
            current: state(&tensors, "current."),
        })
    }

    /// Writes the states down.
    pub(crate) fn save(&self, done: &[State], current: Option<&State>) -> Result<()> {
        let mut tensors = Tensors {
            metadata: vec![
                ("fingerprint".into(), self.fingerprint.clone()),
                ("done".into(), done.len().to_string()),
            ],
            tensors: Vec::new(),
        };
        for (member, state) in done.iter().enumerate() {
            put(&mut tensors, &format!("{member}."), state);
        }
        if let Some(state) = current {
            put(&mut tensors, "current.", state);
        }
        let temporary = beside(&self.path, "new");
        write_synced(&temporary, &tensors.to_bytes())?;
        fs::rename(&temporary, &self.path).map_err(|source| Error::File {
            path: self.path.clone(),
            source,
        })?;
        sync_directory(self.path.parent().unwrap_or(Path::new(".")))
    }

    /// Removes the file: the training has ended.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn put(tensors: &mut Tensors, prefix: &str, state: &State) {
    let mut tensor = |name: &str, data: &[f32]| {
        tensors.tensors.push(NamedTensor {
            name: format!("{prefix}{name}"),
            shape: vec![data.len()],
            data: data.to_vec(),
        });
    };
    tensor("parameters", &state.parameters);
    tensor("best", &state.best);
    tensor("first", &state.optimiser.first);
    tensor("second", &state.optimiser.second);
    let mut meta = |name: &str, value: String| {
        tensors.metadata.push((format!("{prefix}{name}"), value));
    };
    meta("epoch", state.epoch.to_string());
    meta("best_epoch", state.best_epoch.to_string());
    meta("best_loss", state.best_loss.to_bits().to_string());
    meta("steps", state.optimiser.steps.to_string());
    meta("decay", state.optimiser.decay.to_bits().to_string());
    let history: Vec<String> = state
        .history
        .iter()
        .map(|(a, b)| format!("{} {}", a.to_bits(), b.to_bits()))
        .collect();
    meta("history", history.join(","));
}

fn state(tensors: &Tensors, prefix: &str) -> Option<State> {
    let tensor = |name: &str| Some(tensors.get(&format!("{prefix}{name}")).ok()?.data.clone());
    let meta = |name: &str| tensors.meta(&format!("{prefix}{name}"));
    let bits = |text: &str| Some(f64::from_bits(text.parse().ok()?));
    let history = meta("history")?
        .split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (a, b) = pair.split_once(' ')?;
            Some((bits(a)?, bits(b)?))
        });
    Some(State {
        epoch: meta("epoch")?.parse().ok()?,
        parameters: tensor("parameters")?,
        optimiser: AdamW {
            first: tensor("first")?,
            second: tensor("second")?,
            steps: meta("steps")?.parse().ok()?,
            decay: f32::from_bits(meta("decay")?.parse().ok()?),
        },
        best: tensor("best")?,
        best_loss: bits(meta("best_loss")?)?,
        best_epoch: meta("best_epoch")?.parse().ok()?,
        history: history.collect::<Option<_>>()?,
    })
}
