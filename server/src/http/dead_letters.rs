//! `GET /api/deadletters` and `POST /api/deadletters/replay`: what `tickcast deadletters --url` asks
//! of a running server.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use market::{ErrorKind, RejectReason};
use serde::{Deserialize, Serialize};
use store::{DeadLetter, ReasonCount};

use super::{
    AppState,
    problem::{Problem, Result},
};

/// The most letters of one page.
const MAX_PAGE: usize = 1_000;

/// Which letters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Only of this reason.
    pub reason: Option<RejectReason>,
    /// Ids above this one.
    #[serde(default)]
    pub after: i64,
    /// At most so many; 100 when absent.
    pub limit: Option<usize>,
}

/// A page of letters and the counts of all.
#[derive(Debug, Serialize, Deserialize)]
pub struct Page {
    /// By reason.
    pub counts: Vec<ReasonCount>,
    /// The open ones, by id.
    pub letters: Vec<DeadLetter>,
}

/// What a replay did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// Letters whose rows are in the store now.
    pub replayed: u64,
    /// Letters that still cannot be used.
    pub still_bad: u64,
}

impl From<&pipeline::ReplayReport> for Replayed {
    fn from(report: &pipeline::ReplayReport) -> Self {
        Self {
            replayed: report.replayed,
            still_bad: report.still.values().sum(),
        }
    }
}

/// Lists.
pub async fn list(
    State(state): State<AppState>,
    selection: std::result::Result<Query<Selection>, QueryRejection>,
) -> Result<Json<Page>> {
    let Query(selection) =
        selection.map_err(|e| Problem::new(ErrorKind::Invalid, e.body_text()).field("query"))?;
    let limit = selection.limit.unwrap_or(100).clamp(1, MAX_PAGE);
    let counts = state.store.dead_letter_counts().await?;
    let letters = state
        .store
        .open_dead_letters(selection.reason, selection.after, limit)
        .await?;
    Ok(Json(Page { counts, letters }))
}

/// Replays all of a reason, or all.
pub async fn replay(
    State(state): State<AppState>,
    selection: std::result::Result<Query<Selection>, QueryRejection>,
) -> Result<Json<Replayed>> {
    let Query(selection) =
        selection.map_err(|e| Problem::new(ErrorKind::Invalid, e.body_text()).field("query"))?;
    let report = state.pipeline.replay_dead_letters(selection.reason).await?;
    Ok(Json(Replayed::from(&report)))
}
