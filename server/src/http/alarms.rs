//! `GET /api/alarms`: champions that have drifted, and trainings that have not come.
//!
//! What it does not do: look. Alarms are the results of jobs of the kind `watch`.

use axum::{Json, extract::State};
use mlops::worker::{DriftAlarm, Look};
use serde::Serialize;
use store::{JobKind, JobQuery, JobState};

use super::{
    AppState,
    problem::{Problem, Result},
    query::{Parameters, Raw},
};
use crate::wiring::OverdueTraining;

/// Looks that are gone through at most.
const MOST_LOOKS: usize = 1_000;

/// What is to be looked at.
#[derive(Debug, Serialize)]
pub struct Alarms {
    /// The newest first.
    drift: Vec<DriftAlarm>,
    /// Of this process' schedule.
    overdue: Vec<OverdueTraining>,
    /// The last look that succeeded, with its readings.
    last_look: Option<Look>,
}

/// `GET /api/alarms?limit=`.
#[utoipa::path(
    get,
    path = "/api/alarms",
    summary = "Champions that have drifted, and trainings that have not come",
    tag = "jobs",
    params(
        ("limit" = Option<u32>, Query, description = "At most so many; 100 when absent", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "The newest first, with the last look", body = serde_json::Value), Problem),
)]
pub async fn list(State(state): State<AppState>, raw: Raw) -> Result<Json<Alarms>> {
    let mut parameters = Parameters::of(raw)?;
    let limit = parameters.limit()?;
    parameters.end()?;
    let query = JobQuery {
        kind: Some(JobKind::Watch),
        state: Some(JobState::Succeeded),
        limit: MOST_LOOKS,
        ..JobQuery::default()
    };
    let jobs = state.database.jobs.jobs(&query).await?.into_iter();
    let mut looks = jobs
        .filter_map(|job| serde_json::from_value::<Look>(job.result?).ok())
        .peekable();
    let last_look = looks.peek().cloned();
    let drift = looks.flat_map(|look| look.alarms).take(limit).collect();
    let training = state.training.as_ref();
    Ok(Json(Alarms {
        drift,
        overdue: training.map_or_else(Vec::new, |training| training.overdue().all()),
        last_look,
    }))
}
