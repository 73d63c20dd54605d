//! `GET /api/audit`: the latest acts that cannot be undone, oldest first; `?limit=` of them.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use market::ErrorKind;
use serde::{Deserialize, Serialize};

use super::{
    AppState,
    problem::{Problem, Result},
};
use crate::access::audit::Entry;

/// The most entries of one answer.
const MAX_ENTRIES: usize = 10_000;

/// How many.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    limit: Option<usize>,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Page {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// Lines among them that could not be read.
    pub unreadable: usize,
}

/// The handler.
pub async fn list(
    State(state): State<AppState>,
    wanted: std::result::Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Page>> {
    let Query(wanted) =
        wanted.map_err(|e| Problem::new(ErrorKind::Invalid, e.body_text()).field("limit"))?;
    let limit = wanted.limit.unwrap_or(100).min(MAX_ENTRIES);
    let log = state.gate.audit.clone();
    let read = tokio::task::spawn_blocking(move || log.latest(limit)).await;
    let (entries, unreadable) = read
        .unwrap_or_else(|e| Err(std::io::Error::other(e)))
        .map_err(|e| Problem::new(ErrorKind::Unavailable, format!("the audit log: {e}")))?;
    Ok(Json(Page {
        entries,
        unreadable,
    }))
}
