//! What others are told of a round: a run for MLflow, an event for webhooks.
//!
//! Model: messages are made before the job's end and kept with it; who delivers them is told nothing more. A version's
//! number is not known yet then, so that it is named by the job that made it.

use serde_json::{Value, json};
use store::{Artefact, NewMessage, Topic};

use super::attempt::Task;
use crate::{mlflow::RoundRun, training::Round};

/// The experiment of all rounds.
const EXPERIMENT: &str = "tickcast";

/// The messages about a round, `numbers` being all of it as JSON. Those that cannot be made are told in the job's log.
pub(super) fn messages(
    task: &Task,
    round: &Round,
    files: &[Artefact],
    numbers: &Value,
    note: &str,
) -> Vec<NewMessage> {
    // Another store's rounds may go to the same MLflow: the time tells its jobs apart.
    let job = format!("{}-{}", task.job.id, task.job.submitted_at.as_micros());
    let finished_at = task.inner.now();
    let mut messages = Vec::new();
    for topic in &task.inner.config.tell {
        match topic {
            Topic::Webhook => messages.push(NewMessage {
                topic: Topic::Webhook,
                key: job.clone(),
                payload: json!({ "event": "training.round", "job": task.job.id, "round": numbers }),
            }),
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
