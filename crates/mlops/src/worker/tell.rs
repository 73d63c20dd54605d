//! What others are told of a round and of an alias that is moved by hand: runs and aliases for MLflow, events for webhooks.
//!
//! Model: messages are made before the job's end and kept with it; who delivers them is told nothing more. A version's
//! number is not known yet then, so that it is named by the job that made it.

use std::collections::BTreeMap;

use market::Timestamp;
use serde_json::{Value, json};
use store::{AliasMove, AliasTarget, Artefact, Job, JobState, NewMessage, Topic};
use tracing::warn;

use super::attempt::Task;
use crate::{
    jobs::{Payload as _, TrainPayload},
    mlflow::{self, AliasMoved, Record, RoundRun, RunStatus, Update},
    training::Round,
    webhook::event,
};

/// The experiment of all rounds.
const EXPERIMENT: &str = "tickcast";

/// What a round is called in the messages to a webhook.
const ROUND: &str = "training_round";

/// The messages about a round, `numbers` being all of it as JSON. Those that cannot be made are told in the job's log.
pub(super) fn messages(
    task: &Task,
    round: &Round,
    files: &[Artefact],
    numbers: &Value,
    note: &str,
) -> Vec<NewMessage> {
    let job = run_of(&task.job);
    let finished_at = task.inner.now();
    let mut messages = Vec::new();
    for topic in &task.inner.config.tell {
        match topic {
            Topic::Webhook => {
                let data = json!({ "job": task.job.id, "round": numbers });
                messages.push(event(job.clone(), ROUND, "created", finished_at, &data));
            }
            Topic::Mlflow => {
                let run = RoundRun {
                    experiment: EXPERIMENT,
                    job: &job,
                    started_at: task.job.started_at.unwrap_or(finished_at),
                    finished_at,
                    round,
                    files,
                    note,
                };
                match run.messages() {
                    Ok(of_run) => messages.extend(of_run),
                    Err(e) => task.report.line(format!("not told to MLflow: {e}")),
                }
            }
        }
    }
    messages
}

/// What the run of a job is called. Another store's rounds may go to the same MLflow: the time tells its jobs apart.
fn run_of(job: &Job) -> String {
    format!("{}-{}", job.id, job.submitted_at.as_micros())
}

/// The messages about an alias that is moved by hand, to be published with the move; `made_by` is the job that made the
/// version that it shall point at. MLflow finds a version by that job: where it is no longer known, only the webhook is
/// told.
///
/// # Errors
/// What cannot be told to MLflow whatever the server says.
pub fn messages_of_move(
    topics: &[Topic],
    moved: &AliasMove,
    made_by: Option<&Job>,
    now: Timestamp,
) -> mlflow::Result<Vec<NewMessage>> {
    let AliasMove {
        name, alias, to, ..
    } = moved;
    let key = format!("{name}@{alias}:{}", now.as_micros());
    let version = match to {
        AliasTarget::Version(version) => Some(*version),
        AliasTarget::New | AliasTarget::Nobody => None,
    };
    let mut messages = Vec::new();
    for topic in topics {
        match topic {
            Topic::Webhook => {
                let action = if version.is_some() {
                    "created"
                } else {
                    "deleted"
                };
                let data = json!({
                    "name": name, "alias": alias,
                    // A text, as MLflow has it.
                    "version": version.map(|version| version.to_string()),
                    "by": moved.by, "why": moved.why,
                });
                messages.push(event(
                    key.clone(),
                    "model_version_alias",
                    action,
                    now,
                    &data,
                ));
            }
            Topic::Mlflow => {
                let to = match (version, made_by) {
                    (None, _) => None,
                    (Some(_), Some(job)) => Some(run_of(job)),
                    (Some(version), None) => {
                        warn!(%name, %alias, version, "MLflow is not told: the job that made the version is not in the history any more");
                        continue;
                    }
                };
                let moved = AliasMoved {
                    model: name.clone(),
                    alias: alias.clone(),
                    to,
                };
                messages.push(Update::from(moved).message(key.clone())?);
            }
        }
    }
    Ok(messages)
}

/// Tells of a training that came to no round: it failed for good, or was cancelled. That is kept after the job's end is
/// written, since another attempt would make the run another one; a process that dies in between tells nobody.
pub(super) async fn ended(task: &Task, state: JobState, why: &str) {
    let status = match state {
        JobState::Failed => RunStatus::Failed,
        JobState::Cancelled => RunStatus::Killed,
        _ => return,
    };
    let Ok(payload) = TrainPayload::read(&task.job.payload) else {
        return;
    };
    let now = task.inner.now();
    let (name, run) = (payload.name(), run_of(&task.job));
    let texts = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    let mut messages = Vec::new();
    for topic in &task.inner.config.tell {
        match topic {
            Topic::Webhook => {
                let data = json!({
                    "job": task.job.id, "name": name, "symbol": payload.symbol,
                    "state": state.as_str(), "why": why,
                });
                messages.push(event(run.clone(), ROUND, "failed", now, &data));
            }
            Topic::Mlflow => {
                let record = Record {
                    experiment: EXPERIMENT.to_owned(),
                    run_name: format!("{name} {}", state.as_str()),
                    job: run.clone(),
                    status,
                    started_at: task.job.started_at.unwrap_or(now),
                    finished_at: now,
                    params: texts(&[
                        ("model", &name),
                        ("symbol", payload.symbol.as_str()),
                        ("interval", payload.interval.as_str()),
                    ]),
                    metrics: Vec::new(),
                    tags: texts(&[
                        ("symbol", payload.symbol.as_str()),
                        ("mlflow.note.content", why),
                    ]),
                    artefacts: Vec::new(),
                    registered: None,
                };
                match Update::from(record).message(run.clone()) {
                    Ok(message) => messages.push(message),
                    Err(e) => warn!(job = task.job.id, "not told to MLflow: {e}"),
                }
            }
        }
    }
    if messages.is_empty() {
        return;
    }
    if let Err(e) = task.inner.ports.outbox.enqueue(messages, now).await {
        warn!(job = task.job.id, error = %e, "nobody is told of the job's end");
    }
}
