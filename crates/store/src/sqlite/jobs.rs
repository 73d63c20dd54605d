//! Jobs: submitted, taken, renewed, finished, cancelled, pruned. Their reads are in the module `job_rows`.
//!
//! Every change here is a command of the writer, so two that take jobs never meet; what fences a worker is the
//! attempt, which every statement of a holder names.

use std::time::Duration;

use market::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    fault::damaged,
    job_rows::{self, state_code, state_from},
    publish,
    ticks::limit_of,
    writer::Writer,
};
use crate::{
    Finished, JOB_LINE_CHARS, JOB_LINES_KEPT, Job, JobKind, JobState, Lease, MOST_WAITING_JOBS,
    NewJob, Outcome, Progress, Published, Renewed, Result, StoreError, Submitted, check,
};

/// Jobs that one command removes at most.
pub(super) const PRUNED_AT_ONCE: usize = 1_000;

/// See [`crate::JobStore::submit`].
pub(super) fn submit(
    writer: &mut Writer,
    jobs: &[NewJob],
    now: Timestamp,
) -> Result<Vec<Submitted>> {
    let conn = &writer.conn;
    let mut of_key = conn.prepare_cached("SELECT id, kind, payload FROM jobs WHERE key = ?1")?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO jobs (kind, state, priority, run_at, queued_at, attempt, max_attempts,
             lost_leases, cancel, submitted_at, submitted_by, key, lines, payload)
         VALUES (?1, 0, ?2, ?3, ?4, 0, ?5, 0, 0, ?4, ?6, ?7, 0, ?8)",
    )?;
    let mut waiting: i64 = conn
        .prepare_cached("SELECT count(*) FROM jobs WHERE state = 0")?
        .query_row([], |row| row.get(0))?;
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        if let Some(key) = &job.key {
            let there = of_key.query_row([key], |row| {
                Ok((
                    row.get(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                ))
            });
            if let Some((id, kind, payload)) = there.optional()? {
                if kind != job.kind.as_str() || !check::same_json(&payload, &job.payload) {
                    return Err(check::other_job(key, id));
                }
                answers.push(Submitted::AlreadyThere(id));
                continue;
            }
        }
        if waiting >= limit_of(MOST_WAITING_JOBS) {
            return Err(check::queue_is_full());
        }
        insert.execute(params![
            job.kind.as_str(),
            job.priority,
            job.run_at.as_micros(),
            now.as_micros(),
            job.max_attempts,
            job.submitted_by,
            job.key,
            job.payload.to_string(),
        ])?;
        waiting += 1;
        answers.push(Submitted::New(conn.last_insert_rowid()));
    }
    Ok(answers)
}

/// Waits and leases that began after now begin anew: the clock has gone back.
fn mend_times(conn: &Connection, now: i64) -> Result<()> {
    conn.prepare_cached(
        "UPDATE jobs SET run_at = ?1 + (run_at - queued_at), queued_at = ?1
         WHERE state = 0 AND queued_at > ?1",
    )?
    .execute([now])?;
    conn.prepare_cached(
        "UPDATE jobs SET lease_until = ?1 + (lease_until - leased_at), leased_at = ?1
         WHERE state = 1 AND leased_at > ?1",
    )?
    .execute([now])?;
    Ok(())
}

/// What decides which job is next: the smallest is.
type Place = (i64, i64, i64);

/// The next one of a kind, queued and due, or running with a lease that has ended.
fn candidates(conn: &Connection, kind: JobKind, now: i64) -> Result<Vec<Place>> {
    let place = |row: &rusqlite::Row<'_>| Ok((-row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?));
    let queued = conn
        .prepare_cached(
            "SELECT priority, run_at, id FROM jobs
             WHERE state = 0 AND kind = ?1 AND run_at <= ?2
             ORDER BY priority DESC, run_at, id LIMIT 1",
        )?
        .query_row((kind.as_str(), now), place)
        .optional()?;
    let ended = conn
        .prepare_cached(
            "SELECT priority, run_at, id FROM jobs INDEXED BY running_jobs
             WHERE state = 1 AND lease_until <= ?2 AND kind = ?1
             ORDER BY priority DESC, run_at, id LIMIT 1",
        )?
        .query_row((kind.as_str(), now), place)
        .optional()?;
    Ok(queued.into_iter().chain(ended).collect())
}

/// See [`crate::JobStore::take`].
pub(super) fn take(
    writer: &mut Writer,
    kinds: &[JobKind],
    worker: &str,
    now: Timestamp,
    lease_for: Duration,
) -> Result<Option<Job>> {
    let conn = &writer.conn;
    mend_times(conn, now.as_micros())?;
    loop {
        let mut best: Option<Place> = None;
        for kind in kinds {
            let next = candidates(conn, *kind, now.as_micros())?;
            best = best.into_iter().chain(next).min();
        }
        let Some((_, _, id)) = best else {
            return Ok(None);
        };
        if lose_lease(conn, id, now)? {
            continue;
        }
        conn.prepare_cached(
            "UPDATE jobs SET state = 1, attempt = attempt + 1, worker = ?2, started_at = ?3,
                 leased_at = ?3, lease_until = ?4, progress = NULL
             WHERE id = ?1",
        )?
        .execute(params![
            id,
            worker,
            now.as_micros(),
            check::lease_end(now, lease_for).as_micros()
        ])?;
        return job_rows::job(conn, id);
    }
}

/// Takes a running job from the worker that was not heard of; whether that was the job's end.
fn lose_lease(conn: &Connection, id: i64, now: Timestamp) -> Result<bool> {
    let Some(job) = job_rows::job(conn, id)? else {
        return Err(damaged(&format!("job {id} is in an index alone")));
    };
    if job.state != JobState::Running {
        return Ok(false);
    }
    let lost = job.lost_leases + 1;
    conn.prepare_cached("UPDATE jobs SET lost_leases = ?2 WHERE id = ?1")?
        .execute((id, lost))?;
    let line = check::lost_lease(job.attempt, job.worker.as_deref());
    add_lines(conn, job.lease(), &[line], now)?;
    let end = if job.cancel_requested {
        Some((JobState::Cancelled, job.error.clone()))
    } else if job.attempt >= job.max_attempts {
        Some((JobState::Failed, Some(check::no_attempt_left(lost))))
    } else {
        None
    };
    if let Some((state, error)) = &end {
        end_job(conn, id, *state, error.as_deref(), None, now)?;
    }
    Ok(end.is_some())
}

fn end_job(
    conn: &Connection,
    id: i64,
    state: JobState,
    error: Option<&str>,
    result: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    conn.prepare_cached(
        "UPDATE jobs SET state = ?2, error = ?3, result = ?4, finished_at = ?5,
             leased_at = NULL, lease_until = NULL
         WHERE id = ?1",
    )?
    .execute((id, state_code(state), error, result, now.as_micros()))?;
    Ok(())
}

/// The job of a lease, if it is held.
fn held(conn: &Connection, lease: Lease) -> Result<Option<Job>> {
    let job = job_rows::job(conn, lease.job)?;
    Ok(job.filter(|job| job.state == JobState::Running && job.attempt == lease.attempt))
}

/// See [`crate::JobStore::renew`].
pub(super) fn renew(
    writer: &mut Writer,
    lease: Lease,
    progress: Option<&Progress>,
    now: Timestamp,
    lease_for: Duration,
) -> Result<Renewed> {
    let conn = &writer.conn;
    let cancel: Option<bool> = conn
        .prepare_cached(
            "UPDATE jobs SET leased_at = ?3, lease_until = ?4, progress = ifnull(?5, progress)
             WHERE id = ?1 AND state = 1 AND attempt = ?2 RETURNING cancel",
        )?
        .query_row(
            params![
                lease.job,
                lease.attempt,
                now.as_micros(),
                check::lease_end(now, lease_for).as_micros(),
                progress.map(job_rows::text).transpose()?,
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(cancel.map_or(Renewed::Lost, |cancel| Renewed::Held { cancel }))
}

/// See [`crate::JobStore::log`].
pub(super) fn log(
    writer: &mut Writer,
    lease: Lease,
    lines: &[String],
    now: Timestamp,
) -> Result<bool> {
    let conn = &writer.conn;
    let is_held = conn
        .prepare_cached("SELECT 1 FROM jobs WHERE id = ?1 AND state = 1 AND attempt = ?2")?
        .exists((lease.job, lease.attempt))?;
    if is_held {
        add_lines(conn, lease, lines, now)?;
    }
    Ok(is_held)
}

fn add_lines(conn: &Connection, lease: Lease, lines: &[String], now: Timestamp) -> Result<()> {
    let last: i64 = conn
        .prepare_cached("UPDATE jobs SET lines = lines + ?2 WHERE id = ?1 RETURNING lines")?
        .query_row((lease.job, limit_of(lines.len())), |row| row.get(0))?;
    let first = last - limit_of(lines.len()) + 1;
    let oldest = last - limit_of(JOB_LINES_KEPT) + 1;
    let mut insert = conn.prepare_cached(
        "INSERT INTO job_lines (job_id, number, attempt, at, text) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (number, line) in (first..).zip(lines).filter(|(number, _)| *number >= oldest) {
        let text: String = line.chars().take(JOB_LINE_CHARS).collect();
        insert.execute((lease.job, number, lease.attempt, now.as_micros(), text))?;
    }
    conn.prepare_cached("DELETE FROM job_lines WHERE job_id = ?1 AND number < ?2")?
        .execute((lease.job, oldest))?;
    Ok(())
}

/// See [`crate::JobStore::finish`]. The outcome is one that [`check::outcome`] has seen.
pub(super) fn finish(
    writer: &mut Writer,
    lease: Lease,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<Finished> {
    let conn = &writer.conn;
    let Some(job) = held(conn, lease)? else {
        return Ok(Finished::Lost);
    };
    let mut published = Published::default();
    let state = match outcome {
        Outcome::Succeeded {
            result,
            publication,
        } => {
            if let Some(publication) = publication {
                published = publish::write(conn, publication, Some(job.id), now)?;
            }
            let result = result.to_string();
            end_job(conn, job.id, JobState::Succeeded, None, Some(&result), now)?;
            JobState::Succeeded
        }
        Outcome::Failed { error, retry_at } => {
            let state = check::state_after_failure(&job, retry_at.is_some());
            end_job(conn, job.id, state, Some(error), None, now)?;
            if let (JobState::Queued, Some(retry_at)) = (state, retry_at) {
                conn.prepare_cached(
                    "UPDATE jobs SET run_at = ?2, queued_at = ?3, finished_at = NULL WHERE id = ?1",
                )?
                .execute((job.id, retry_at.as_micros(), now.as_micros()))?;
            }
            state
        }
        Outcome::Cancelled => {
            let error = job.error.as_deref();
            end_job(conn, job.id, JobState::Cancelled, error, None, now)?;
            JobState::Cancelled
        }
    };
    Ok(Finished::Done { state, published })
}

/// See [`crate::JobStore::cancel`].
pub(super) fn cancel(writer: &mut Writer, id: i64, now: Timestamp) -> Result<JobState> {
    let conn = &writer.conn;
    let state: Option<i64> = conn
        .prepare_cached("SELECT state FROM jobs WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let state = state.ok_or_else(|| StoreError::NotFound {
        what: format!("job {id}"),
    })?;
    match state_from(state)? {
        JobState::Queued => {
            conn.prepare_cached(
                "UPDATE jobs SET state = 4, cancel = 1, finished_at = ?2 WHERE id = ?1",
            )?
            .execute((id, now.as_micros()))?;
            Ok(JobState::Cancelled)
        }
        JobState::Running => {
            conn.prepare_cached("UPDATE jobs SET cancel = 1 WHERE id = ?1")?
                .execute([id])?;
            Ok(JobState::Running)
        }
        finished => Ok(finished),
    }
}

/// Removes at most [`PRUNED_AT_ONCE`] jobs; see [`crate::JobStore::prune`].
pub(super) fn prune(writer: &mut Writer, kind: JobKind, keep: usize) -> Result<usize> {
    let conn = &writer.conn;
    // The newest that goes; those that do not are passed over once a call, by the index alone.
    let newest: Option<i64> = conn
        .prepare_cached(
            "SELECT id FROM jobs WHERE kind = ?1 AND state >= 2 ORDER BY id DESC LIMIT 1 OFFSET ?2",
        )?
        .query_row((kind.as_str(), limit_of(keep)), |row| row.get(0))
        .optional()?;
    let Some(newest) = newest else {
        return Ok(0);
    };
    let removed = conn
        .prepare_cached(
            "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs
                 WHERE kind = ?1 AND state >= 2 AND id <= ?2 ORDER BY id LIMIT ?3)
             RETURNING id",
        )?
        .query_map((kind.as_str(), newest, limit_of(PRUNED_AT_ONCE)), |row| {
            row.get(0)
        })?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut lines = conn.prepare_cached("DELETE FROM job_lines WHERE job_id = ?1")?;
    for id in &removed {
        lines.execute([id])?;
    }
    Ok(removed.len())
}
