//! Rows that could not be used, as they are kept and counted.

use serde::{Deserialize, Serialize};

use crate::{Reject, RejectReason, Timestamp};

/// What has become of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterState {
    /// Waits for somebody to look at it.
    Open,
    /// Was replayed and went through.
    Replayed,
}

/// A row that could not be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetter {
    /// The table's id.
    pub id: i64,
    /// When it was rejected.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
    /// What and why.
    pub reject: Reject,
    /// What has become of it.
    pub state: DeadLetterState,
}

/// How many dead letters there are of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReasonCount {
    /// The reason.
    pub reason: RejectReason,
    /// How many wait.
    pub open: u64,
    /// How many were replayed.
    pub replayed: u64,
}

/// How many letters of a source and reason were not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DroppedCount {
    /// The source.
    pub source: String,
    /// The reason.
    pub reason: RejectReason,
    /// How many.
    pub dropped: u64,
}
