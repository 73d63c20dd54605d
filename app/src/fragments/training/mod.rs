//! The Training page: when trainings happen, what waits and runs, what came of those before; and one job.

mod curves;
mod history;
mod one;
mod queue;
mod schedule;

use leptos::prelude::*;
use mlops::{jobs::TrainPayload, schedule::Upcoming, training::Action};
use serde::Deserialize as _;
use serde_json::Value;
use store::{Job, JobKind, JobLine, JobState};

pub use curves::{Curve, curves};
pub use one::job;

use super::parts::{self, html, outcome};
use crate::{
    erase::Erase,
    ssr::{desk::LoopFacts, written::Done},
};

/// The next fires, or why there are none.
pub type Fires = Result<Upcoming, String>;

/// Everything about the loop.
pub struct Training {
    /// How it is configured.
    pub facts: LoopFacts,
    /// The next fires of its schedule.
    pub schedule: Option<Fires>,
    /// A schedule that was tried, and its fires.
    pub tried: Option<(String, Fires)>,
    /// The zone that was asked for.
    pub zone: Option<String>,
    /// Jobs that run.
    pub running: Vec<Job>,
    /// Jobs that wait.
    pub queued: Vec<Job>,
    /// Of either so many are listed.
    pub most: usize,
    /// Those that are finished.
    pub history: History,
}

/// A page of finished jobs.
pub struct History {
    /// The jobs, the newest first.
    pub jobs: Vec<Job>,
    /// Where the next page begins.
    pub before: Option<i64>,
    /// Whether this is not the first page.
    pub paged: bool,
    /// Only of this kind.
    pub kind: Option<JobKind>,
    /// Only with this end.
    pub state: Option<JobState>,
}

/// A job with its log.
pub struct OneJob {
    /// How the loop is configured.
    pub facts: LoopFacts,
    /// The job.
    pub job: Job,
    /// Lines of its log, the latest of them where there are many.
    pub lines: Vec<JobLine>,
    /// How many are kept.
    pub all_lines: usize,
    /// The losses by epoch that all of them tell of.
    pub curves: Vec<Curve>,
}

/// The parts of the page. What is typed in stands in parts of its own.
pub fn training(training: &Training, done: &Done) -> Vec<String> {
    let head = view! {
        <h1>"Training"</h1>
        <p class="lead">
            "A training of a series walks the models through the past, lets the gate judge them, and publishes what \
            it said. A refusal is a result: the champion stays, or naive is served."
        </p>
        {outcome(done)}
    };
    vec![
        html(head),
        html(schedule::panel(training)),
        html(schedule::trial(training)),
        html(queue::submit(training)),
        html(queue::panel(training)),
        html(history::panel(&training.history)),
    ]
}

/// What a job is about: `AAPL 1d`, or what else its kind has.
fn about(job: &Job) -> String {
    let text = |key: &str| job.payload.get(key).and_then(Value::as_str);
    let symbols = job.payload.get("symbols").and_then(Value::as_array);
    let symbols = symbols.map(|all| {
        let names: Vec<&str> = all.iter().filter_map(Value::as_str).take(3).collect();
        let more = if all.len() > 3 { " …" } else { "" };
        names.join(", ") + more
    });
    let what = text("symbol").map(ToOwned::to_owned).or(symbols);
    match (what, text("interval")) {
        (Some(what), Some(interval)) => format!("{what} {interval}"),
        (Some(what), None) => what,
        (None, _) => String::new(),
    }
}

/// The name of the model that a training is of.
fn model_name(job: &Job) -> Option<String> {
    let payload: TrainPayload = serde_json::from_value(job.payload.clone()).ok()?;
    (job.kind == JobKind::Train).then(|| payload.name())
}

/// Why attempts were lost; nothing where none was.
fn lost(job: &Job, facts: Option<&LoopFacts>) -> Option<String> {
    let times = match job.lost_leases {
        0 => return None,
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    let silence = facts.map_or_else(String::new, |facts| {
        format!(" for {} s", facts.lease.as_secs())
    });
    let then = match job.state {
        JobState::Failed => "no attempt was left",
        JobState::Cancelled => "its end had been asked for",
        _ => "another attempt took it, and nothing of the lost one counts",
    };
    Some(format!(
        "Lost {times}: its worker was not heard of{silence} (it was killed, cut off or too slow); {then}."
    ))
}

/// What became of a finished job, in a few words.
fn end(job: &Job) -> String {
    let result = |key: &str| job.result.as_ref()?.get(key);
    match job.state {
        JobState::Failed => format!(
            "failed: {}",
            job.error.as_deref().unwrap_or("nobody knows why")
        ),
        JobState::Cancelled => "cancelled".to_owned(),
        _ => match result("action").and_then(|action| Action::deserialize(action).ok()) {
            Some(action) => parts::action(action, result("served").and_then(Value::as_str)),
            None => job.state.as_str().to_owned(),
        },
    }
}

/// A word for where a job stands, with its colour.
fn state(state: JobState) -> AnyView {
    view! { <span class=format!("job-state job-{state}", state = state.as_str())>{state.as_str()}</span> }.erased()
}

#[cfg(test)]
mod tests {
    use market::Timestamp;
    use serde_json::json;

    use super::*;

    fn finished(state: JobState, result: Value) -> Job {
        Job {
            id: 7,
            kind: JobKind::Train,
            payload: json!({"version": 1, "symbol": "BTC/USD", "interval": "1d", "seed": 0}),
            key: None,
            priority: 0,
            state,
            attempt: 2,
            max_attempts: 3,
            submitted_by: "ann".into(),
            submitted_at: Timestamp::from_secs(1),
            run_at: Timestamp::from_secs(1),
            started_at: None,
            finished_at: Some(Timestamp::from_secs(9)),
            worker: Some("host:1".into()),
            lease_until: None,
            progress: None,
            result: Some(result),
            error: Some("not trained: 3 bars are missing".into()),
            cancel_requested: false,
            lost_leases: 1,
        }
    }

    #[test]
    fn an_end_is_told_in_a_few_words_and_a_refusal_is_one() {
        let told = |action: &str, served: Value| {
            end(&finished(
                JobState::Succeeded,
                json!({"action": action, "served": served}),
            ))
        };
        assert_eq!(told("promote", json!("theta")), "promoted theta");
        assert_eq!(told("keep", Value::Null), "refused: naive is served");
        assert_eq!(told("keep", json!("theta")), "kept theta");
        let failed = end(&finished(JobState::Failed, Value::Null));
        assert_eq!(failed, "failed: not trained: 3 bars are missing");
    }

    #[test]
    fn a_lost_lease_is_told_with_its_reason() {
        let job = finished(JobState::Succeeded, Value::Null);
        let told = lost(&job, None).unwrap();
        assert!(
            told.starts_with("Lost once: its worker was not heard of"),
            "{told}"
        );
        assert_eq!(model_name(&job).unwrap(), "close-1d.BTC/USD");
        assert_eq!(about(&job), "BTC/USD 1d");
        let kept = Job {
            lost_leases: 0,
            ..job
        };
        assert_eq!(lost(&kept, None), None);
    }
}
