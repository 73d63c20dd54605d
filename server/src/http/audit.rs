//! `GET /api/audit`: the latest acts that cannot be undone, oldest first; `?limit=` of them.

use axum::{Json, extract::State};
use market::ErrorKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AppState,
    problem::{Problem, Result},
    query::{Parameters, Raw},
};
use crate::access::audit::Entry;

/// The most entries of one answer.
pub const MAX_ENTRIES: usize = 10_000;

/// The answer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditPage)]
pub struct Page {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// Lines among them that could not be read.
    pub unreadable: usize,
}

/// The handler.
#[utoipa::path(
    get,
    path = "/api/audit",
    summary = "Acts that cannot be undone",
    tag = "operations",
    params(
        ("limit" = Option<u32>, Query, description = "At most so many; 100 when absent", minimum = 1, maximum = 10000),
    ),
    responses((status = 200, description = "The latest acts that cannot be undone, oldest first", body = Page), Problem),
)]
pub async fn list(State(state): State<AppState>, raw: Raw) -> Result<Json<Page>> {
    let mut parameters = Parameters::of(raw)?;
    let limit = parameters.limit_up_to(MAX_ENTRIES)?;
    parameters.end()?;
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
