//! The networks of a round: trained once on the closes of all its symbols, before what judges them.
//!
//! Model: a network learns from what lies before the first held-out origin of the round, of every symbol, and from
//! nothing else: whatever the gate looks at comes behind it. The end is rounded down to 32 bars, so that symbols with a
//! gap share it. That moment is the same all year, so that the network is,
//! too: jobs of the same round and the rounds of the same year find it where the first has left it, by the hash of all
//! that it follows from. A training that was killed goes on from its last whole epoch, in whichever process has the
//! job next and the folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Instant, SystemTime},
};

use forecast::{ForecastModel as _, ModelProvider, ModelRef};
use kernels::Cpu;
use market::{Interval, Timestamp};
use neural::{
    Config, ErrorKind, Model, NetworkSpec, Series, TrainedModel, TrainedNetworks, artefact,
    training::{self, Control, Event, Options},
};
use serde_json::{Value, json};

use super::{
    attempt::{Failure, Task},
    series,
};
use crate::{
    jobs::TrainPayload,
    training::{Recipe, Task as RoundTask, Trainer},
};

/// Closes of a symbol that a network is trained on at most, the latest.
const MOST_CLOSES: usize = 5_000;

/// The end of what is learnt from is a multiple of so many bars' length.
const GRID_BARS: i64 = 32;

/// Networks and checkpoints that are kept at most.
const MOST_KEPT: usize = 64;

/// What is to be trained for a round.
pub(super) struct On<'a> {
    pub payload: &'a TrainPayload,
    pub recipe: &'a Recipe,
    pub champion: Option<&'a ModelRef>,
}

/// The networks of a round, ready to be judged.
#[derive(Default)]
pub(super) struct Networks {
    all: Vec<(ModelRef, TrainedModel)>,
    told: Vec<Value>,
}

impl Networks {
    /// Knows them by the names that the round uses.
    pub(super) fn provider(self) -> Arc<dyn ModelProvider> {
        Arc::new(TrainedNetworks(self.all))
    }

    /// What the job tells of them; nothing where there are none.
    pub(super) fn told(&self) -> Option<Value> {
        (!self.told.is_empty()).then(|| Value::Array(self.told.clone()))
    }
}

/// The closes of a symbol.
struct Closes {
    id: String,
    values: Vec<f64>,
    times_ms: Vec<i64>,
}

/// A network to train.
struct Wanted {
    spec: NetworkSpec,
    config: Config,
    options: Options,
}

/// A network, and whether it was trained just now.
struct Had {
    model: Model,
    trained: bool,
}

impl On<'_> {
    /// Trains what the candidates and the champion name, one after the other.
    pub(super) async fn trained(
        &self,
        task: &Task,
        round: &RoundTask,
        as_of: Timestamp,
    ) -> Result<Networks, Failure> {
        let mut networks = Networks::default();
        let wanted = self.wanted()?;
        if wanted.is_empty() {
            return Ok(networks);
        }
        let trainer = Trainer {
            recipe: self.recipe,
            providers: &task.inner.providers,
            calendars: &task.inner.calendars,
            code_version: &task.inner.config.code_version,
        };
        let until = shared(trainer.held_out_from(round, as_of)?, self.payload.interval);
        let closes = Arc::new(self.closes(task, until).await?);
        let _alone = task.inner.training.lock().await;
        for (reference, wanted) in wanted {
            let name = wanted.spec.to_string();
            let known = networks.all.iter().find(|(_, known)| known.name() == name);
            if let Some((_, known)) = known {
                let known = known.clone();
                networks.all.push((reference, known));
                continue;
            }
            task.report.step(&format!("trains {name}"));
            let (closes, of) = (Arc::clone(&closes), name.clone());
            let had = task
                .compute(move |task| train(task, &of, &wanted, &closes))
                .await??;
            let told = told(&name, &had, until);
            task.report.line(told.0);
            networks.told.push(told.1);
            let model = TrainedModel::new(Arc::new(had.model), name);
            networks.all.push((reference, model));
        }
        Ok(networks)
    }

    /// The networks among the candidates, and the champion if it is one.
    fn wanted(&self) -> Result<Vec<(ModelRef, Wanted)>, Failure> {
        let recipe = self.recipe;
        let references = recipe.candidates.iter().chain(self.champion);
        let meant = references.filter(|one| NetworkSpec::is_meant(one.as_str()));
        let wanted = |reference: &ModelRef| {
            let refused = |why: String| Failure::Refused(format!("candidates: {reference}: {why}"));
            let of_network = |e: neural::Error| refused(e.to_string());
            let spec: NetworkSpec = reference.as_str().parse().map_err(of_network)?;
            // What calibrates intervals looks as many steps ahead.
            let horizon = recipe.layout.horizon.max(recipe.calibration.horizon);
            let config = spec
                .config(horizon, recipe.options.log)
                .map_err(of_network)?;
            let (reads, least) = (config.history(), recipe.layout.least_window);
            if reads > least {
                return Err(refused(format!(
                    "it reads {reads} closes, and the first fit sees {least} (least_window)"
                )));
            }
            let options = spec.options(recipe.seed);
            let wanted = Wanted {
                spec,
                config,
                options,
            };
            Ok((reference.clone(), wanted))
        };
        meant.map(wanted).collect()
    }

    /// The closes of all symbols that had ended when the first held-out bar began.
    async fn closes(&self, task: &Task, until: Timestamp) -> Result<Vec<Closes>, Failure> {
        let payload = self.payload;
        let own = [payload.symbol.clone()];
        let symbols = payload.together.as_deref().unwrap_or(&own);
        task.report
            .step("reads the closes that networks learn from");
        let mut all = Vec::new();
        for symbol in symbols {
            let read = series::closes(task, symbol, payload.interval, until, MOST_CLOSES).await;
            let (starts, values) = match read {
                Ok(read) => read,
                Err(Failure::Refused(why)) => {
                    task.report.line(format!("not learnt from: {why}"));
                    continue;
                }
                Err(other) => return Err(other),
            };
            all.push(Closes {
                id: symbol.to_string(),
                values,
                times_ms: starts.iter().map(|start| start.as_millis()).collect(),
            });
        }
        Ok(all)
    }
}

/// The end of what is learnt from, at or before the first held-out bar: a symbol that lacks a bar or two has its first
/// one a day or two before the others', and would have a network of its own.
fn shared(held_out_from: Timestamp, interval: Interval) -> Timestamp {
    let grid = interval.micros() * GRID_BARS;
    Timestamp::from_micros(held_out_from.as_micros().div_euclid(grid) * grid)
}

/// Trains a network, or takes it from where it was left.
fn train(task: &Task, name: &str, wanted: &Wanted, closes: &[Closes]) -> Result<Had, Failure> {
    let all: Vec<Series<'_>> = closes
        .iter()
        .map(|one| Series {
            id: &one.id,
            values: &one.values,
            times_ms: Some(&one.times_ms),
            volumes: None,
        })
        .collect();
    let cpu = Cpu::detect();
    let identity = training::identity(&wanted.config, &all, &wanted.options, cpu);
    let folder = task.inner.config.networks.as_deref();
    let place = folder.map(|folder| folder.join(&identity));
    if let Some(place) = place.as_deref().filter(|place| place.exists()) {
        match artefact::load(place) {
            Ok(model) => {
                return Ok(Had {
                    model,
                    trained: false,
                });
            }
            Err(e) => {
                task.report.line(format!("{name} is trained again: {e}"));
                fs::remove_dir_all(place).map_err(|e| away(place, &e))?;
            }
        }
    }
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(|e| away(folder, &e))?;
    }
    let checkpoint = place
        .as_ref()
        .map(|place| place.with_extension("checkpoint"));
    let began = Instant::now();
    let stopped = AtomicBool::new(false);
    let progress = |event: &Event| {
        if task.token.is_cancelled() {
            stopped.store(true, Ordering::Relaxed);
        }
        show(task, name, event);
    };
    let control = Control {
        progress: Some(&progress),
        cancel: Some(&stopped),
        clock: &|| began.elapsed().as_secs_f64(),
        checkpoint: checkpoint.as_deref(),
    };
    let trained = training::train(&wanted.config, &all, &wanted.options, cpu, control);
    let model = trained.map_err(|e| match e.kind() {
        ErrorKind::Cancelled => Failure::Stopped,
        ErrorKind::Unavailable => Failure::Transient(e.to_string()),
        _ => Failure::Refused(format!("{name}: {e}")),
    })?;
    if let Some((place, folder)) = place.as_deref().zip(folder) {
        artefact::save(&model, place).map_err(|e| Failure::Transient(e.to_string()))?;
        forget_old(folder);
    }
    Ok(Had {
        model,
        trained: true,
    })
}

fn away(path: &Path, e: &std::io::Error) -> Failure {
    Failure::Transient(format!("{}: {e}", path.display()))
}

/// Removes what was written longest ago, beyond what is kept. What is removed and wanted again is trained again.
fn forget_old(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut all: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    all.sort_unstable();
    let beyond = all.len().saturating_sub(MOST_KEPT);
    for (_, path) in all.drain(..beyond) {
        // Another process may be faster.
        let _ = match path.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
    }
}

/// Where a training stands, as the job's progress; after each epoch a line of the job's log.
fn show(task: &Task, name: &str, event: &Event) {
    let mut of = String::new();
    if let Some((trial, trials)) = event.trial {
        of += &format!("trial {trial} of {trials}, ");
    } else if event.networks > 1 {
        of += &format!("network {} of {}, ", event.network, event.networks);
    }
    let Event {
        epoch,
        epochs,
        step,
        steps,
        training_loss: loss,
        ..
    } = event;
    let left = format!("at most {:.0} s left", event.eta_seconds);
    let whole = steps * event.networks as u64;
    let done = steps * (event.network as u64 - 1) + step;
    let message = format!("trains {name}: {of}epoch {epoch} of {epochs}, loss {loss:.4}, {left}");
    task.report.at(message, done, whole);
    let (Some(validation), Some(best)) = (event.validation_loss, event.best_loss) else {
        return;
    };
    task.report.line(format!(
        "{name}: {of}epoch {epoch} of {epochs}, step {step} of {steps}: loss {loss:.5}, validation {validation:.5} \
         (best {best:.5}), {:.0} windows/s, {left}",
        event.windows_per_second
    ));
}

/// What a network is, as a line and as what the job ends with.
fn told(name: &str, had: &Had, until: Timestamp) -> (String, Value) {
    let of = had.model.provenance();
    let measures = &of.measures;
    let how = if had.trained {
        "trained"
    } else {
        "taken from an earlier job"
    };
    let gain = 100.0 * (1.0 - measures.pinball / measures.pinball_naive);
    let line = format!(
        "{name}: {how}, {} weights, {} windows of {} symbols that ended by {until}; pinball loss on {} windows {:.5}, that of a \
         random walk {:.5} ({gain:+.2} %)",
        had.model.parameters(),
        measures.training_windows,
        of.data.series,
        measures.validation_windows,
        measures.pinball,
        measures.pinball_naive,
    );
    let value = json!({
        "model": name,
        "trained": had.trained,
        "weights": had.model.parameters(),
        "data": of.data,
        "seed": of.seed,
        "epochs": of.epochs,
        "losses": of.losses,
        "search": of.search,
        "measures": measures,
    });
    (line, value)
}
