//! What `/api/deadletters` and what lies below it answer.

use market::{DeadLetter, DroppedCount, ReasonCount};
use serde::{Deserialize, Serialize};

/// A page of letters and the counts of all.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetterPage {
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replayed {
    /// Letters whose rows are in the store now.
    pub replayed: u64,
    /// Letters that still cannot be used.
    pub still_bad: u64,
}

/// What discarding did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Discarded {
    /// Letters that are gone.
    pub discarded: u64,
}
