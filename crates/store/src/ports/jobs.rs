//! Durable jobs: submitted, taken under a lease, renewed, finished once, kept as a bounded history.
//!
//! Model: a job waits until its `run_at`, is taken by a worker for a time (the lease) and finished by it. The
//! lease is the pair of job and attempt, and every taking is a new attempt: a worker whose lease ran out, and
//! whose job another one took, can neither renew, log nor finish anything. What a job makes (a model version,
//! aliases, a verdict, messages to others) is written together with its completion, or not at all.
//!
//! Time is the caller's, always given as `now`; the store has no clock. A wait and a lease each count from the
//! time at which they began. Where `now` lies before that, the clock has gone back, and they begin anew at
//! `now`: no job waits for a time that a wrong clock named.
//!
//! Does not: run anything, or decide when to retry (the worker names the time).

use std::{fmt, str::FromStr, time::Duration};

use async_trait::async_trait;
use market::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::registry::{Publication, Published};
use crate::{Result, StoreError};

/// Waiting jobs at most; a submission beyond is refused as unavailable.
pub const MOST_WAITING_JOBS: usize = 10_000;
/// Lines of a job's log that are kept: the newest.
pub const JOB_LINES_KEPT: usize = 2_000;
/// Characters of a line of a job's log that are kept.
pub const JOB_LINE_CHARS: usize = 1_000;
/// Bytes of a payload or a result, as JSON.
pub const MOST_JOB_BYTES: usize = 1 << 20;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Fits candidates and lets the gate decide.
    Train,
    /// Evaluates models over rolling origins.
    Backtest,
    /// Scores forecasts on what came.
    Score,
    /// Removes what is old.
    Retention,
    /// Looks whether what is served has drifted.
    Watch,
}

impl JobKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Train,
        Self::Backtest,
        Self::Score,
        Self::Retention,
        Self::Watch,
    ];

    /// The snake_case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Backtest => "backtest",
            Self::Score => "score",
            Self::Retention => "retention",
            Self::Watch => "watch",
        }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobKind {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| StoreError::Invalid {
            detail: format!(
                "{text:?} is no kind of job: expected one of {}",
                Self::ALL.map(Self::as_str).join(", ")
            ),
        })
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its time and a worker.
    Queued,
    /// A worker has it.
    Running,
    /// Did what it should.
    Succeeded,
    /// Ended with an error, and has no attempt left.
    Failed,
    /// Somebody asked for its end.
    Cancelled,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The snake_case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing happens to the job any more.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl FromStr for JobState {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| StoreError::Invalid {
            detail: format!(
                "{text:?} is no state of a job: expected one of {}",
                Self::ALL.map(Self::as_str).join(", ")
            ),
        })
    }
}

/// A job to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewJob {
    /// What it does.
    pub kind: JobKind,
    /// With what; the worker's to read. At most [`MOST_JOB_BYTES`] as JSON.
    pub payload: Value,
    /// Idempotency key, 1 to 200 characters: a second job of the same key is not made.
    pub key: Option<String>,
    /// Greater ones are taken first.
    pub priority: i32,
    /// Not before then.
    #[serde(rename = "run_at_us")]
    pub run_at: Timestamp,
    /// How often it is tried, lost leases included; at least 1.
    pub max_attempts: u32,
    /// Who asked for it: a user, a schedule.
    pub submitted_by: String,
}

impl NewJob {
    /// A job to be done at once, with priority 0 and three attempts.
    pub fn new(
        kind: JobKind,
        payload: Value,
        now: Timestamp,
        submitted_by: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            payload,
            key: None,
            priority: 0,
            run_at: now,
            max_attempts: 3,
            submitted_by: submitted_by.into(),
        }
    }
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is in, under this id.
    New(i64),
    /// The job of its key was there; it stays as it is.
    AlreadyThere(i64),
}

impl Submitted {
    /// The job's id.
    pub const fn id(self) -> i64 {
        match self {
            Self::New(id) | Self::AlreadyThere(id) => id,
        }
    }
}

/// How far a running job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Progress {
    /// Steps that are done.
    pub done: u64,
    /// Steps in all; 0 where nobody knows.
    pub total: u64,
    /// What is being done.
    pub message: String,
}

/// A job as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    /// The store's id, in the order of submission.
    pub id: i64,
    /// What it does.
    pub kind: JobKind,
    /// With what.
    pub payload: Value,
    /// Idempotency key.
    pub key: Option<String>,
    /// Greater ones are taken first.
    pub priority: i32,
    /// Where it stands.
    pub state: JobState,
    /// How often it was taken; 0 before the first time.
    pub attempt: u32,
    /// How often it is tried.
    pub max_attempts: u32,
    /// Who asked for it.
    pub submitted_by: String,
    /// When.
    #[serde(rename = "submitted_at_us")]
    pub submitted_at: Timestamp,
    /// Not before then.
    #[serde(rename = "run_at_us")]
    pub run_at: Timestamp,
    /// When it was last taken.
    #[serde(rename = "started_at_us")]
    pub started_at: Option<Timestamp>,
    /// When it came to its end.
    #[serde(rename = "finished_at_us")]
    pub finished_at: Option<Timestamp>,
    /// Who last took it.
    pub worker: Option<String>,
    /// Until when its worker has it; absent while it does not run.
    #[serde(rename = "lease_until_us")]
    pub lease_until: Option<Timestamp>,
    /// How far it is, as its worker last said.
    pub progress: Option<Progress>,
    /// What it ended with.
    pub result: Option<Value>,
    /// Why its last attempt failed.
    pub error: Option<String>,
    /// Whether somebody asked for its end.
    pub cancel_requested: bool,
    /// Attempts whose worker was not heard of in time.
    pub lost_leases: u32,
}

impl Job {
    /// The lease of the present attempt.
    pub const fn lease(&self) -> Lease {
        Lease {
            job: self.id,
            attempt: self.attempt,
        }
    }
}

/// The right to work on a job: one attempt of it. The fencing token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// The job.
    pub job: i64,
    /// Which attempt, from 1.
    pub attempt: u32,
}

/// Whether a lease goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// It does.
    Held {
        /// Whether somebody asked for the job's end: finish it with [`Outcome::Cancelled`].
        cancel: bool,
    },
    /// It does not: another attempt has the job, or it is finished. Stop, nothing of this one counts.
    Lost,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It did what it should.
    Succeeded {
        /// What it ended with; at most [`MOST_JOB_BYTES`] as JSON.
        result: Value,
        /// What it made, written together with the completion. Boxed, as most jobs make nothing.
        publication: Option<Box<Publication>>,
    },
    /// It failed.
    Failed {
        /// Why, in words.
        error: String,
        /// When to try again, if attempts are left; `None` where trying again cannot help. A job whose end
        /// somebody asked for is not tried again, it is cancelled.
        retry_at: Option<Timestamp>,
    },
    /// It was ended because somebody asked for it.
    Cancelled,
}

/// Whether an attempt could be finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It is.
    Done {
        /// Where the job stands now: queued, where it is tried again.
        state: JobState,
        /// What was published with it.
        published: Published,
    },
    /// The lease was lost, and nothing was written. Said too to who finishes the same attempt a second time:
    /// [`JobStore::job`] tells whether the first time was his own.
    Lost,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobQuery {
    /// Of one kind.
    pub kind: Option<JobKind>,
    /// In one state.
    pub state: Option<JobState>,
    /// With ids below this one: the next page.
    pub before_id: Option<i64>,
    /// How many at most.
    pub limit: usize,
}

/// A line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobLine {
    /// Its number within the job, from 1. A gap: older lines made room.
    pub number: u64,
    /// The attempt that wrote it.
    pub attempt: u32,
    /// When.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
    /// The line, at most [`JOB_LINE_CHARS`] characters.
    pub text: String,
}

/// Keeps jobs.
///
/// ```no_run
/// use std::time::Duration;
/// use market::Timestamp;
/// use store::{JobKind, JobStore, NewJob, Outcome};
///
/// # async fn work(jobs: &dyn JobStore, now: Timestamp) -> store::Result<()> {
/// let job = NewJob::new(JobKind::Train, serde_json::json!({ "symbol": "AAPL" }), now, "ann");
/// jobs.submit(vec![job], now).await?;
/// let minute = Duration::from_secs(60);
/// if let Some(job) = jobs.take(&[JobKind::Train], "worker-1", now, minute).await? {
///     let result = serde_json::json!({ "trained": 1 });
///     let done = Outcome::Succeeded { result, publication: None };
///     jobs.finish(job.lease(), done, now).await?;
/// }
/// # Ok(()) }
/// ```
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Takes jobs in, all or none. Of a key that is there already, in the store or before in the list, no
    /// second job is made. A key is remembered as long as its job.
    ///
    /// # Errors
    /// Conflict: the key is there with another kind or payload. Invalid: no attempts, a key or payload that
    /// is too long. Unavailable: [`MOST_WAITING_JOBS`] wait already, or the store is away.
    async fn submit(&self, jobs: Vec<NewJob>, now: Timestamp) -> Result<Vec<Submitted>>;

    /// Gives a worker the next job of these kinds that is due: the highest priority first, then the oldest
    /// `run_at`, then the lowest id. Due are queued jobs whose `run_at` has come, and running ones whose lease
    /// has ended: those are a lost lease. One of them that has no attempt left fails instead, with "lease lost
    /// N times", and one whose end was asked for is cancelled.
    ///
    /// # Errors
    /// Unavailable or internal. Then a job may have been taken; it comes again when the lease has ended.
    async fn take(
        &self,
        kinds: &[JobKind],
        worker: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Job>>;

    /// Says that the worker is alive: the lease then lasts for `lease_for` from now on, and the progress is
    /// kept if there is one. A lease that ran out and that nobody took goes on.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn renew(
        &self,
        lease: Lease,
        progress: Option<Progress>,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Renewed>;

    /// Adds lines to a job's log; whether the lease was held, else nothing is kept. The oldest make room
    /// beyond [`JOB_LINES_KEPT`].
    ///
    /// # Errors
    /// Unavailable or internal: then some lines may be there.
    async fn log(&self, lease: Lease, lines: Vec<String>, now: Timestamp) -> Result<bool>;

    /// Ends an attempt. The job's new state, and everything of the publication, are there together or not at
    /// all, and are seen together.
    ///
    /// # Errors
    /// As [`super::ModelRegistry::publish`]. Where the outcome or its publication cannot be (invalid, not found,
    /// conflict) nothing was written and the lease is held as before. Where the store failed (unavailable) it may
    /// be finished as a whole: [`Self::job`] tells.
    async fn finish(&self, lease: Lease, outcome: Outcome, now: Timestamp) -> Result<Finished>;

    /// Asks for a job's end: a queued one is cancelled at once, a running one when its worker hears of it
    /// ([`Renewed::Held`]) or its lease ends. A finished one stays as it is. Returns the state after it.
    ///
    /// # Errors
    /// NotFound, unavailable or internal.
    async fn cancel(&self, id: i64, now: Timestamp) -> Result<JobState>;

    /// A job.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn job(&self, id: i64) -> Result<Option<Job>>;

    /// Jobs, the newest first.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>>;

    /// The lines of a job's log with numbers above `after`, in their order, at most `limit`.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn job_log(&self, id: i64, after: u64, limit: usize) -> Result<Vec<JobLine>>;

    /// Removes the finished jobs of a kind but the newest `keep` (by id), with their logs and keys; what they
    /// published stays. Returns how many.
    ///
    /// # Errors
    /// Unavailable or internal: then some are removed; call it again.
    async fn prune(&self, kind: JobKind, keep: usize) -> Result<u64>;
}
