//! `GET /api/deadletters`, `POST /api/deadletters/replay` and `POST /api/deadletters/discard`: what
//! `tickcast deadletters --url` asks of a running server.

use axum::{Extension, Json, extract::State};
use market::RejectReason;
use protocol::{DeadLetterPage, Discarded, Replayed};

use super::{
    AppState,
    guard::Grant,
    problem::{Problem, Result},
    query::{Parameters, Raw},
};

/// Which letters: `?reason=bad_price&after=50&limit=100`.
#[derive(Debug, Default, PartialEq)]
pub struct Selection {
    /// Only of this reason.
    pub reason: Option<RejectReason>,
    /// Ids above this one.
    pub after: i64,
    /// At most so many.
    pub limit: usize,
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
            limit: parameters.limit()?,
        };
        parameters.end()?;
        Ok(selection)
    }
}

/// Lists.
#[utoipa::path(
    get,
    path = "/api/deadletters",
    summary = "Rows that could not be used",
    tag = "dead letters",
    params(
        ("reason" = Option<RejectReason>, Query, description = "Only of this reason"),
        ("after" = Option<i64>, Query, description = "Ids above this one"),
        ("limit" = Option<u32>, Query, description = "At most so many; 100 when absent", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Open dead letters by id, and the counts of all", body = DeadLetterPage), Problem),
)]
pub async fn list(State(state): State<AppState>, raw: Raw) -> Result<Json<DeadLetterPage>> {
    let selection = Selection::read(raw)?;
    let counts = state.dead_letters.dead_letter_counts().await?;
    let dropped = state.dead_letters.dropped_dead_letters().await?;
    let letters = state
        .dead_letters
        .open_dead_letters(selection.reason, selection.after, selection.limit)
        .await?;
    Ok(Json(DeadLetterPage {
        counts,
        dropped,
        letters,
    }))
}

/// Discards those of a reason and a source, or all.
#[utoipa::path(
    post,
    path = "/api/deadletters/discard",
    summary = "Discard dead letters",
    tag = "dead letters",
    params(
        ("reason" = Option<RejectReason>, Query, description = "Only of this reason"),
        ("source" = Option<String>, Query, description = "Only of this source"),
    ),
    responses((status = 200, description = "How many are gone", body = Discarded), Problem),
)]
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
#[utoipa::path(
    post,
    path = "/api/deadletters/replay",
    summary = "Try dead letters again",
    tag = "dead letters",
    params(
        ("reason" = Option<RejectReason>, Query, description = "Only of this reason"),
    ),
    responses((status = 200, description = "What the replay did", body = Replayed), Problem),
)]
pub async fn replay(
    State(state): State<AppState>,
    Extension(grant): Extension<Grant>,
    raw: Raw,
) -> Result<Json<Replayed>> {
    let selection = Selection::read(raw)?;
    let backend = state.backend.on_behalf_of(Some(grant));
    let report = backend.replay(selection.reason).await?;
    Ok(Json(replayed(&report)))
}

/// A replay, for whoever asked for it.
pub fn replayed(report: &pipeline::ReplayReport) -> Replayed {
    Replayed {
        replayed: report.replayed,
        still_bad: report.still.values().sum(),
    }
}
