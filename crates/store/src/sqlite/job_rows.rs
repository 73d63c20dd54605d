//! Jobs as they are read.

use market::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Serialize, de::DeserializeOwned};

use super::{fault::damaged, ticks::limit_of};
use crate::{Job, JobKind, JobLine, JobQuery, JobState, Result, StoreError};

const COLUMNS: &str =
    "id, kind, payload, key, priority, state, attempt, max_attempts, submitted_by,
     submitted_at, run_at, started_at, finished_at, worker, lease_until, progress, result, error,
     cancel, lost_leases";

/// A state as it stands in the file.
pub(super) const fn state_code(state: JobState) -> i64 {
    match state {
        JobState::Queued => 0,
        JobState::Running => 1,
        JobState::Succeeded => 2,
        JobState::Failed => 3,
        JobState::Cancelled => 4,
    }
}

/// And back.
pub(super) fn state_from(code: i64) -> Result<JobState> {
    let found = JobState::ALL.into_iter().find(|s| state_code(*s) == code);
    found.ok_or_else(|| damaged(&format!("job in state {code}")))
}

/// A value from its JSON.
pub(super) fn json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| damaged(&format!("{what}: {error}")))
}

/// A value as JSON.
pub(super) fn text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Internal {
        detail: format!("a value has no JSON: {error}"),
    })
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row
        .get::<_, Option<i64>>(column)?
        .map(Timestamp::from_micros))
}

fn read(row: &Row<'_>) -> Result<Job> {
    let kind: String = row.get(1)?;
    let optional = |column| row.get::<_, Option<String>>(column);
    Ok(Job {
        id: row.get(0)?,
        kind: kind
            .parse()
            .map_err(|_| damaged(&format!("job of kind {kind:?}")))?,
        payload: json("a job's payload", &row.get::<_, String>(2)?)?,
        key: row.get(3)?,
        priority: row.get(4)?,
        state: state_from(row.get(5)?)?,
        attempt: row.get(6)?,
        max_attempts: row.get(7)?,
        submitted_by: row.get(8)?,
        submitted_at: Timestamp::from_micros(row.get(9)?),
        run_at: Timestamp::from_micros(row.get(10)?),
        started_at: time(row, 11)?,
        finished_at: time(row, 12)?,
        worker: row.get(13)?,
        lease_until: time(row, 14)?,
        progress: optional(15)?
            .map(|text| json("a job's progress", &text))
            .transpose()?,
        result: optional(16)?
            .map(|text| json("a job's result", &text))
            .transpose()?,
        error: row.get(17)?,
        cancel_requested: row.get(18)?,
        lost_leases: row.get(19)?,
    })
}

/// See [`crate::JobStore::job`].
pub(super) fn job(conn: &Connection, id: i64) -> Result<Option<Job>> {
    let mut find = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"))?;
    let found = find.query_row([id], |row| Ok(read(row))).optional()?;
    found.transpose()
}

/// See [`crate::JobStore::jobs`].
pub(super) fn jobs(conn: &Connection, query: &JobQuery) -> Result<Vec<Job>> {
    let mut only = vec!["id < ?1"];
    // As much as a question asks, so that each is served by an index of its own.
    only.push(query.kind.map_or("?2 IS NULL", |_| "kind = ?2"));
    only.push(query.state.map_or("?3 IS NULL", |_| "state = ?3"));
    let mut find = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM jobs WHERE {} ORDER BY id DESC LIMIT ?4",
        only.join(" AND ")
    ))?;
    let mut rows = find.query((
        query.before_id.unwrap_or(i64::MAX),
        query.kind.map(JobKind::as_str),
        query.state.map(state_code),
        limit_of(query.limit),
    ))?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(read(row)?);
    }
    Ok(jobs)
}

/// See [`crate::JobStore::job_log`].
pub(super) fn lines(conn: &Connection, id: i64, after: u64, limit: usize) -> Result<Vec<JobLine>> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut find = conn.prepare_cached(
        "SELECT number, attempt, at, text FROM job_lines
         WHERE job_id = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
    )?;
    let lines = find.query_map((id, after, limit_of(limit)), |row| {
        Ok(JobLine {
            number: row.get::<_, i64>(0)?.cast_unsigned(),
            attempt: row.get(1)?,
            at: Timestamp::from_micros(row.get(2)?),
            text: row.get(3)?,
        })
    })?;
    Ok(lines.collect::<rusqlite::Result<_>>()?)
}
