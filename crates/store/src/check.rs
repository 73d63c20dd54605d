//! What no store can hold, whatever it is made of: SQLite has no NaN and no integer above 2^63 - 1, and
//! a ledger whose numbers cannot be scored is of no use anywhere.

use std::time::Duration;

use market::{Bar, Fan, Tick, Timestamp};
use serde_json::Value;

use crate::{
    Job, JobState, MOST_JOB_BYTES, MOST_WAITING_JOBS, NewJob, Outcome, Result, StepOutcome,
    StoreError, publication,
};

/// The error for a call that cannot be right.
pub(crate) fn invalid(detail: impl Into<String>) -> StoreError {
    StoreError::Invalid {
        detail: detail.into(),
    }
}

/// Refuses ticks that cannot be stored.
pub(crate) fn ticks(ticks: &[Tick]) -> Result<()> {
    for tick in ticks {
        if !(tick.price.is_finite() && tick.size.is_finite()) || i64::try_from(tick.seq).is_err() {
            return Err(invalid(format!(
                "tick {} {} seq {} price {} size {} cannot be stored: expected finite numbers and a sequence below 2^63",
                tick.symbol, tick.ts, tick.seq, tick.price, tick.size
            )));
        }
    }
    Ok(())
}

/// Refuses bars that cannot be stored.
pub(crate) fn bars(bars: &[Bar]) -> Result<()> {
    for bar in bars {
        let numbers = [bar.open, bar.high, bar.low, bar.close, bar.volume];
        let sequences = [bar.first.seq, bar.last.seq];
        if numbers.iter().any(|n| !n.is_finite())
            || sequences.iter().any(|s| i64::try_from(*s).is_err())
        {
            return Err(invalid(format!(
                "bar {} {} {} cannot be stored: expected finite numbers and sequences below 2^63",
                bar.symbol, bar.interval, bar.start
            )));
        }
    }
    Ok(())
}

/// Refuses a fan whose lengths disagree or whose numbers cannot be scored.
pub(crate) fn fan(fan: &Fan) -> Result<()> {
    let steps = fan.targets.len();
    let refuse = |what: String| {
        Err(invalid(format!(
            "the forecast of {} {} by {} {what}",
            fan.symbol, fan.interval, fan.model
        )))
    };
    if steps == 0 {
        return refuse("has no steps".into());
    }
    if fan.mean.len() != steps {
        return refuse(format!("has {steps} targets and {} means", fan.mean.len()));
    }
    if !fan.targets.is_sorted_by(|a, b| a < b) {
        return refuse("has targets that do not follow each other in time".into());
    }
    let finite = |numbers: &[f64]| numbers.iter().all(|n| n.is_finite());
    if !fan.origin_close.is_finite() || !finite(&fan.mean) {
        return refuse("has a number that is not finite".into());
    }
    for band in &fan.bands {
        if band.lower.len() != steps || band.upper.len() != steps {
            return refuse(format!(
                "has {steps} steps and a band of {} % with {} lower and {} upper bounds",
                band.level,
                band.lower.len(),
                band.upper.len()
            ));
        }
        if !band.level.is_finite() || !finite(&band.lower) || !finite(&band.upper) {
            return refuse("has a bound that is not finite".into());
        }
    }
    Ok(())
}

/// Refuses outcomes that cannot be right whatever the ledger holds.
pub(crate) fn outcomes(outcomes: &[StepOutcome]) -> Result<()> {
    for outcome in outcomes {
        if outcome.step == 0 || !(outcome.actual.is_finite() && outcome.naive.is_finite()) {
            return Err(invalid(format!(
                "the outcome of step {} of forecast {} cannot be right: expected a step from 1 and finite numbers",
                outcome.step, outcome.forecast_id
            )));
        }
    }
    Ok(())
}

/// Refuses a time that a wait cannot be reckoned with.
fn time(what: &str, at: Timestamp) -> Result<()> {
    if (Timestamp::MIN..=Timestamp::MAX).contains(&at) {
        return Ok(());
    }
    Err(invalid(format!(
        "{what} {} us is out of range",
        at.as_micros()
    )))
}

/// Refuses a value that is longer than a job may carry; its JSON.
pub(crate) fn json(what: &str, value: &Value) -> Result<String> {
    let text = value.to_string();
    if text.len() > MOST_JOB_BYTES {
        return Err(invalid(format!(
            "{what} of {} bytes: expected at most {MOST_JOB_BYTES}",
            text.len()
        )));
    }
    Ok(text)
}

/// Whether a value is the one that was kept as this text.
pub(crate) fn same_json(kept: &str, value: &Value) -> bool {
    serde_json::from_str::<Value>(kept).is_ok_and(|kept| kept == *value)
}

/// Refuses jobs that cannot be done.
pub(crate) fn jobs(jobs: &[NewJob]) -> Result<()> {
    for job in jobs {
        json("a payload", &job.payload)?;
        job.key.as_deref().map_or(Ok(()), publication::key)?;
        time("run_at", job.run_at)?;
        if job.max_attempts == 0 {
            return Err(invalid("a job without attempts: expected at least 1"));
        }
    }
    Ok(())
}

/// Refuses an outcome that cannot be kept; the model name of its publication.
pub(crate) fn outcome(outcome: &Outcome) -> Result<Option<String>> {
    match outcome {
        Outcome::Succeeded {
            result,
            publication: made,
        } => {
            json("a result", result)?;
            made.as_deref().map_or(Ok(None), publication::check)
        }
        Outcome::Failed {
            retry_at: Some(at), ..
        } => time("retry_at", *at).map(|()| None),
        Outcome::Failed { .. } | Outcome::Cancelled => Ok(None),
    }
}

/// The end of a lease that begins now.
pub(crate) fn lease_end(now: Timestamp, lease_for: Duration) -> Timestamp {
    let most = Timestamp::MAX.micros_since(now).max(0);
    let micros = i64::try_from(lease_for.as_micros()).unwrap_or(i64::MAX);
    now.plus_micros(micros.min(most))
}

/// Where a job stands after an attempt of it has failed.
pub(crate) const fn state_after_failure(job: &Job, retry: bool) -> JobState {
    if job.cancel_requested {
        JobState::Cancelled
    } else if retry && job.attempt < job.max_attempts {
        JobState::Queued
    } else {
        JobState::Failed
    }
}

/// The line that stands in the log for a lost lease.
pub(crate) fn lost_lease(attempt: u32, worker: Option<&str>) -> String {
    let worker = worker.unwrap_or("its worker");
    format!("the lease of attempt {attempt} was lost: {worker} was not heard of in time")
}

/// Why a job failed that has lost its last lease.
pub(crate) fn no_attempt_left(lost: u32) -> String {
    let times = if lost == 1 { "time" } else { "times" };
    format!("lease lost {lost} {times}, and no attempt is left")
}

/// The error for a key under which there is something else.
pub(crate) fn other_job(key: &str, id: i64) -> StoreError {
    StoreError::Conflict {
        detail: format!(
            "the key {key:?} belongs to job {id}, which is another kind or has another payload"
        ),
    }
}

/// Why a message is given up that nobody delivered.
pub(crate) const NO_ROOM_IN_OUTBOX: &str = "too many messages waited behind it";

/// The error for a job that finds no room.
pub(crate) fn queue_is_full() -> StoreError {
    StoreError::Unavailable {
        detail: format!("{MOST_WAITING_JOBS} jobs are waiting already"),
    }
}
