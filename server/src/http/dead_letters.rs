//! `GET /api/deadletters`, `POST /api/deadletters/replay` and `POST /api/deadletters/discard`: what
//! `tickcast deadletters --url` asks of a running server.

use axum::{
    Extension, Json,
    extract::{Query, State, rejection::QueryRejection},
};
use market::{ErrorKind, RejectReason, excerpt};
use serde::{Deserialize, Serialize};
use store::{DeadLetter, DroppedCount, ReasonCount};

use super::{
    AppState,
    guard::Grant,
    problem::{Problem, Result},
};

/// The most letters of one page.
const MAX_PAGE: usize = 1_000;

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

/// The parameters of a request, as they came.
type Parameters = std::result::Result<Query<Vec<(String, String)>>, QueryRejection>;

impl Selection {
    /// Reads the parameters one by one, so that a fault names the one it is in.
    fn read(parameters: Parameters) -> Result<Self> {
        let Query(parameters) = parameters.map_err(|e| {
            Problem::new(ErrorKind::Invalid, excerpt(&e.body_text())).field("query")
        })?;
        let mut selection = Self::default();
        for (name, text) in parameters {
            let expected = match name.as_str() {
                "reason" => {
                    selection.reason = RejectReason::ALL.into_iter().find(|r| r.as_str() == text);
                    selection.reason.is_none().then(|| {
                        let known = RejectReason::ALL.map(RejectReason::as_str).join(", ");
                        format!("expected one of {known}")
                    })
                }
                "after" => match text.parse() {
                    Ok(id) => {
                        selection.after = id;
                        None
                    }
                    Err(_) => Some("expected the id of a letter".to_owned()),
                },
                "limit" => {
                    selection.limit = text.parse().ok();
                    let none = selection.limit.is_none();
                    none.then(|| "expected a number from 0".to_owned())
                }
                "source" => {
                    selection.source = Some(text.clone());
                    None
                }
                _ => Some("no such parameter: expected reason, source, after or limit".to_owned()),
            };
            if let Some(expected) = expected {
                let (name, text) = (excerpt(&name), excerpt(&text));
                let detail = format!("{name} is {text:?}: {expected}");
                return Err(Problem::new(ErrorKind::Invalid, detail).field(name));
            }
        }
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
pub async fn list(State(state): State<AppState>, parameters: Parameters) -> Result<Json<Page>> {
    let selection = Selection::read(parameters)?;
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
    parameters: Parameters,
) -> Result<Json<Discarded>> {
    let selection = Selection::read(parameters)?;
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
    parameters: Parameters,
) -> Result<Json<Replayed>> {
    let selection = Selection::read(parameters)?;
    let backend = state.backend.on_behalf_of(Some(grant));
    let report = backend.replay(selection.reason).await?;
    Ok(Json(Replayed::from(&report)))
}
