//! Jobs over HTTP: submit with an idempotency key, look, read the log, ask for the end.
//!
//! Model: a job is in the store when its submission is answered. Whoever submits looks at it until it is
//! finished; nothing hangs on the connection.
//!
//! What it does not do: run anything. That is a worker's, in this process or another (`tickcast work`).

use axum::{
    Extension, Json,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
};
use bytes::Bytes;
use market::{ErrorKind, Timestamp, excerpt};
use mlops::jobs::{
    BacktestPayload, Payload as _, PayloadError, RetentionPayload, ScorePayload, TrainPayload,
    WatchPayload,
};
use pipeline::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Job, JobKind, JobLine, JobQuery, JobState, NewJob, Submitted};
use utoipa::ToSchema;

use super::{
    AppState,
    guard::Grant,
    json_body,
    problem::{Problem, Result},
    query::{Parameters, Raw},
};

/// A job that is to be done.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = JobSubmission)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// What it does.
    pub kind: JobKind,
    /// With what: the fields that docs/mlops.md lists for the kind.
    pub payload: Value,
    /// Greater ones are taken first.
    #[serde(default)]
    pub priority: i32,
    /// Not before then; at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at_us: Option<Timestamp>,
    /// How often it is tried, from 1 to 20; three times when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
}

impl Submission {
    /// The job, checked as far as it can be without running it.
    ///
    /// # Errors
    /// The field of the payload that cannot be.
    pub fn job(
        &self,
        key: Option<String>,
        now: Timestamp,
        by: &str,
    ) -> std::result::Result<NewJob, PayloadError> {
        let payload = &self.payload;
        let mut job = match self.kind {
            JobKind::Train => TrainPayload::read(payload)?.job(now, by)?,
            JobKind::Backtest => BacktestPayload::read(payload)?.job(now, by)?,
            JobKind::Score => ScorePayload::read(payload)?.job(now, by)?,
            JobKind::Retention => RetentionPayload::read(payload)?.job(now, by)?,
            JobKind::Watch => WatchPayload::read(payload)?.job(now, by)?,
        };
        job.key = key;
        job.priority = self.priority;
        job.run_at = self.run_at_us.unwrap_or(job.run_at);
        job.max_attempts = self.max_attempts.unwrap_or(job.max_attempts);
        Ok(job)
    }
}

/// `POST /api/jobs`: 201 with a new job, 200 with that of the same `Idempotency-Key`.
#[utoipa::path(
    post,
    path = "/api/jobs",
    summary = "Submit a job",
    tag = "jobs",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "A submission that is sent again with the same key is the same job", min_length = 1, max_length = 200, pattern = "^[!-~]+$"),
    ),
    request_body(content = Submission),
    responses((status = 201, description = "A new job", body = Job), (status = 200, description = "The job of the same idempotency key", body = Job), Problem),
)]
pub async fn submit(
    State(state): State<AppState>,
    Extension(grant): Extension<Grant>,
    headers: HeaderMap,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Job>)> {
    let submission: Submission = json_body::read(&headers, body, expected)?;
    if submission
        .max_attempts
        .is_some_and(|n| !(1..=20).contains(&n))
    {
        let detail = "max_attempts: expected a number from 1 to 20";
        return Err(Problem::new(ErrorKind::Invalid, detail).field("max_attempts"));
    }
    let now = SystemClock.now();
    let job = submission
        .job(key(&headers)?, now, &grant.who.to_string())
        .map_err(|e| {
            let field = format!("payload.{}", e.field);
            Problem::new(ErrorKind::Invalid, excerpt(&e.to_string())).field(excerpt(&field))
        })?;
    let submitted = state.database.jobs.submit(vec![job], now).await?;
    if let Some(training) = &state.training {
        training.wake();
    }
    let (status, id) = match submitted.first() {
        Some(Submitted::New(id)) => (StatusCode::CREATED, *id),
        Some(Submitted::AlreadyThere(id)) => (StatusCode::OK, *id),
        None => return Err(Problem::new(ErrorKind::Internal, "the job has no number")),
    };
    Ok((status, Json(find(&state, id).await?)))
}

/// `GET /api/jobs?kind=&state=&before=&limit=`: the newest first.
#[utoipa::path(
    get,
    path = "/api/jobs",
    summary = "List jobs",
    tag = "jobs",
    params(
        ("kind" = Option<JobKind>, Query, description = "Only of this kind"),
        ("state" = Option<JobState>, Query, description = "Only in this state"),
        ("before" = Option<i64>, Query, description = "Ids below this one"),
        ("limit" = Option<u32>, Query, description = "At most so many; 100 when absent", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "The newest first", body = Vec<Job>), Problem),
)]
pub async fn list(State(state): State<AppState>, raw: Raw) -> Result<Json<Vec<Job>>> {
    let mut parameters = Parameters::of(raw)?;
    let kinds = JobKind::ALL.map(JobKind::as_str).join(", ");
    let states = JobState::ALL.map(JobState::as_str).join(", ");
    let query = JobQuery {
        kind: parameters.read("kind", &format!("one of {kinds}"))?,
        state: parameters.read("state", &format!("one of {states}"))?,
        before_id: parameters.read("before", "the number of a job")?,
        limit: parameters.limit()?,
    };
    parameters.end()?;
    Ok(Json(state.database.jobs.jobs(&query).await?))
}

/// `GET /api/jobs/{id}`.
#[utoipa::path(
    get,
    path = "/api/jobs/{id}",
    summary = "Show a job",
    tag = "jobs",
    params(("id" = i64, Path, description = "The number of a job")),
    responses((status = 200, description = "The job as it stands", body = Job), Problem),
)]
pub async fn show(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<Job>> {
    Ok(Json(find(&state, number(&id)?).await?))
}

/// `GET /api/jobs/{id}/log?after=&limit=`: lines in their order.
#[utoipa::path(
    get,
    path = "/api/jobs/{id}/log",
    summary = "The log of a job",
    tag = "jobs",
    params(
        ("id" = i64, Path, description = "The number of a job"),
        ("after" = Option<u64>, Query, description = "Lines above this number"),
        ("limit" = Option<u32>, Query, description = "At most so many; 100 when absent", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Lines in their order", body = Vec<JobLine>), Problem),
)]
pub async fn log(
    State(state): State<AppState>,
    Path(id): Path<String>,
    raw: Raw,
) -> Result<Json<Vec<JobLine>>> {
    let mut parameters = Parameters::of(raw)?;
    let after = parameters
        .read("after", "the number of a line")?
        .unwrap_or(0);
    let limit = parameters.limit()?;
    parameters.end()?;
    let job = find(&state, number(&id)?).await?;
    Ok(Json(
        state.database.jobs.job_log(job.id, after, limit).await?,
    ))
}

/// `POST /api/jobs/{id}/cancel`: asks for its end; a running one ends when its worker hears of it.
#[utoipa::path(
    post,
    path = "/api/jobs/{id}/cancel",
    summary = "Cancel a job",
    tag = "jobs",
    params(("id" = i64, Path, description = "The number of a job")),
    responses((status = 200, description = "The job; a running one ends when its worker hears of it", body = Job), Problem),
)]
pub async fn cancel(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<Job>> {
    let job = find(&state, number(&id)?).await?;
    state
        .database
        .jobs
        .cancel(job.id, SystemClock.now())
        .await?;
    Ok(Json(find(&state, job.id).await?))
}

/// What belongs into a field.
fn expected(field: &str) -> Option<&'static str> {
    Some(match field {
        "kind" => "one of train, backtest, score, retention, watch",
        "payload" => "an object with the fields of the kind",
        "priority" => "a whole number",
        "run_at_us" => "microseconds since 1970 UTC",
        "max_attempts" => "a number from 1 to 20",
        _ => return None,
    })
}

/// The key by which a submission that is sent again is the same one.
fn key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .map(str::trim)
        .filter(|key| (1..=200).contains(&key.len()));
    key.map(|key| Some(key.to_owned())).ok_or_else(|| {
        let detail = "Idempotency-Key: expected 1 to 200 visible characters of ASCII";
        Problem::new(ErrorKind::Invalid, detail).field("idempotency-key")
    })
}

fn number(id: &str) -> Result<i64> {
    id.parse().map_err(|_| {
        let detail = format!("{:?} is no number of a job", excerpt(id));
        Problem::new(ErrorKind::Invalid, detail).field("id")
    })
}

async fn find(state: &AppState, id: i64) -> Result<Job> {
    let found = state.database.jobs.job(id).await?;
    found.ok_or_else(|| {
        Problem::new(ErrorKind::NotFound, format!("there is no job {id}")).field("id")
    })
}
