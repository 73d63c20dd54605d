//! Jobs as documents, and as they are read.

use futures::TryStreamExt;
use market::Timestamp;
use mongodb::bson::{Document, doc};
use serde::{Deserialize, Serialize};

use super::{
    Inner, limit_of,
    training::{json, read, text},
};
use crate::{Job, JobKind, JobLine, JobQuery, JobState, Lease, NewJob, Result};

/// A job, in `stock_data_jobs`. Its `_id` is made of its key, if it has one: so a key is there once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct JobDocument {
    #[serde(rename = "_id")]
    pub id: String,
    pub number: i64,
    pub kind: JobKind,
    pub state: JobState,
    pub priority: i64,
    pub run_at_us: Timestamp,
    /// Since when it waits: a clock that goes back is seen by it.
    pub queued_at_us: Timestamp,
    pub attempt: i64,
    pub max_attempts: i64,
    pub lost_leases: i64,
    pub leased_at_us: Option<Timestamp>,
    pub lease_until_us: Option<Timestamp>,
    pub worker: Option<String>,
    pub cancel: bool,
    pub submitted_at_us: Timestamp,
    pub started_at_us: Option<Timestamp>,
    pub finished_at_us: Option<Timestamp>,
    pub submitted_by: String,
    pub key: Option<String>,
    /// How many lines its log has had.
    pub lines: i64,
    pub error: Option<String>,
    /// The token of what was published with its completion; 0 if nothing was. See the module `publish`.
    pub published: i64,
    /// Publications with a token up to this one can no longer be committed.
    pub void: i64,
    /// As JSON, like those below.
    pub progress: Option<String>,
    pub payload: String,
    pub result: Option<String>,
}

impl JobDocument {
    /// The `_id` of a job.
    pub(super) fn id(key: Option<&str>, number: i64) -> String {
        key.map_or_else(|| format!("n|{number}"), |key| format!("k|{key}"))
    }

    pub(super) fn new(new: NewJob, number: i64, now: Timestamp) -> Self {
        Self {
            id: Self::id(new.key.as_deref(), number),
            number,
            kind: new.kind,
            state: JobState::Queued,
            priority: new.priority.into(),
            run_at_us: new.run_at,
            queued_at_us: now,
            attempt: 0,
            max_attempts: new.max_attempts.into(),
            lost_leases: 0,
            leased_at_us: None,
            lease_until_us: None,
            worker: None,
            cancel: false,
            submitted_at_us: now,
            started_at_us: None,
            finished_at_us: None,
            submitted_by: new.submitted_by,
            key: new.key,
            lines: 0,
            error: None,
            published: 0,
            void: 0,
            progress: None,
            payload: new.payload.to_string(),
            result: None,
        }
    }

    pub(super) fn into_job(self) -> Result<Job> {
        let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Job {
            id: self.number,
            kind: self.kind,
            payload: json(&self.payload)?,
            key: self.key,
            priority: i32::try_from(self.priority).unwrap_or(i32::MAX),
            state: self.state,
            attempt: count(self.attempt),
            max_attempts: count(self.max_attempts),
            submitted_by: self.submitted_by,
            submitted_at: self.submitted_at_us,
            run_at: self.run_at_us,
            started_at: self.started_at_us,
            finished_at: self.finished_at_us,
            worker: self.worker,
            lease_until: self.lease_until_us,
            progress: self.progress.as_deref().map(json).transpose()?,
            result: self.result.as_deref().map(json).transpose()?,
            error: self.error,
            cancel_requested: self.cancel,
            lost_leases: count(self.lost_leases),
        })
    }
}

/// A line of a job's log, in `stock_data_job_lines`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LineDocument {
    #[serde(rename = "_id")]
    pub id: String,
    pub job: i64,
    pub number: i64,
    pub attempt: i64,
    pub at_us: Timestamp,
    pub text: String,
}

/// What finds the job of a lease that is held.
pub(super) fn held(lease: Lease) -> Document {
    doc! {
        "number": lease.job,
        "state": JobState::Running.as_str(),
        "attempt": i64::from(lease.attempt),
    }
}

impl Inner {
    pub(super) async fn job_document(&self, id: i64) -> Result<Option<JobDocument>> {
        let jobs = &self.training.jobs;
        let found = jobs.find_one(doc! { "number": id }).await?;
        found.map(read).transpose()
    }

    /// See [`crate::JobStore::job`].
    pub(super) async fn job(&self, id: i64) -> Result<Option<Job>> {
        let found = self.job_document(id).await?;
        found.map(JobDocument::into_job).transpose()
    }

    /// See [`crate::JobStore::jobs`].
    pub(super) async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>> {
        let Some(limit) = limit_of(query.limit) else {
            return Ok(Vec::new());
        };
        let mut filter = Document::new();
        if let Some(kind) = query.kind {
            filter.insert("kind", kind.as_str());
        }
        if let Some(state) = query.state {
            filter.insert("state", state.as_str());
        }
        if let Some(before) = query.before_id {
            filter.insert("number", doc! { "$lt": before });
        }
        let jobs = self.training.jobs.clone_with_type::<JobDocument>();
        let newest_first = doc! { "number": -1 };
        let found = jobs.find(filter).sort(newest_first).limit(limit).await?;
        let found: Vec<JobDocument> = found.try_collect().await?;
        found.into_iter().map(JobDocument::into_job).collect()
    }

    /// See [`crate::JobStore::job_log`].
    pub(super) async fn job_log(&self, id: i64, after: u64, limit: usize) -> Result<Vec<JobLine>> {
        let Some(limit) = limit_of(limit) else {
            return Ok(Vec::new());
        };
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let lines = self.training.job_lines.clone_with_type::<LineDocument>();
        let found: Vec<LineDocument> = lines
            .find(doc! { "job": id, "number": { "$gt": after } })
            .sort(doc! { "number": 1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?;
        let line = |line: LineDocument| JobLine {
            number: line.number.cast_unsigned(),
            attempt: u32::try_from(line.attempt).unwrap_or(u32::MAX),
            at: line.at_us,
            text: line.text,
        };
        Ok(found.into_iter().map(line).collect())
    }
}

/// Progress as it stands in a document.
pub(super) fn progress_text(progress: &crate::Progress) -> Result<String> {
    text(progress)
}
