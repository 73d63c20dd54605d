//! `GET /api/deadletters`, `POST /api/deadletters/replay` and `POST /api/deadletters/discard`: what
//! `tickcast deadletters --url` asks of a running server.

use axum::{Extension, Json, extract::State};
use market::RejectReason;
use serde::{Deserialize, Serialize};
use store::{DeadLetter, DroppedCount, ReasonCount};

use super::{
    AppState,
    guard::Grant,
    problem::Result,
    query::{MAX_PAGE, Parameters, Raw},
};

/// Which letters: `?reason=bad_price&after=50&limit=100`.
#[derive(Debug, Default, PartialEq)]
pub struct Selection {
    /// Only of this reason.
    pub reason: Option<RejectReason>,
    /// Ids above this one.
    pub after: i64,
    /// At most so many; 100 when absent.
    pub limit: Option<usize>,
    /// Only of this source, to discard them.
    pub source: Option<String>,
}

impl Selection {
    fn read(raw: Raw) -> Result<Self> {
        let mut parameters = Parameters::of(raw)?;
        let known = RejectReason::ALL.map(RejectReason::as_str).join(", ");
        let reason = |text: &str| RejectReason::ALL.into_iter().find(|r| r.as_str() == text);
        let selection = Self {
            reason: parameters.read_with("reason", &format!("one of {known}"), reason)?,
            source: parameters.read("source", "a source")?,
            after: parameters.read("after", "the id of a letter")?.unwrap_or(0),
            limit: parameters.read("limit", "a number from 0")?,
        };
        parameters.end()?;
        Ok(selection)
    }
}

/// A page of letters and the counts of all.
#[derive(Debug, Serialize, Deserialize)]
pub struct Page {
    /// By reason.
    pub counts: Vec<ReasonCount>,
    /// Those that were not kept, because their source had its quota; a server that knows none is an
    /// older one.
    #[serde(default)]
    pub dropped: Vec<DroppedCount>,
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
pub async fn list(State(state): State<AppState>, raw: Raw) -> Result<Json<Page>> {
    let selection = Selection::read(raw)?;
    let limit = selection.limit.unwrap_or(100).clamp(1, MAX_PAGE);
    let counts = state.dead_letters.dead_letter_counts().await?;
    let dropped = state.dead_letters.dropped_dead_letters().await?;
    let letters = state
        .dead_letters
        .open_dead_letters(selection.reason, selection.after, limit)
        .await?;
    Ok(Json(Page {
        counts,
        dropped,
        letters,
    }))
}

/// What discarding did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discarded {
    /// Letters that are gone.
    pub discarded: u64,
}

/// Discards those of a reason and a source, or all.
pub async fn discard(
    State(state): State<AppState>,
    Extension(grant): Extension<Grant>,
    raw: Raw,
) -> Result<Json<Discarded>> {
    let selection = Selection::read(raw)?;
    let backend = state.backend.on_behalf_of(Some(grant));
    let discarded = backend
        .discard(selection.reason, selection.source.as_deref())
        .await?;
    Ok(Json(Discarded { discarded }))
}

/// Replays all of a reason, or all.
pub async fn replay(
    State(state): State<AppState>,
    Extension(grant): Extension<Grant>,
    raw: Raw,
) -> Result<Json<Replayed>> {
    let selection = Selection::read(raw)?;
    let backend = state.backend.on_behalf_of(Some(grant));
    let report = backend.replay(selection.reason).await?;
    Ok(Json(Replayed::from(&report)))
}
