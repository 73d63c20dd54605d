//! What `POST /api/ticks` answers.

use market::RejectReason;
use serde::{Deserialize, Serialize};

/// What became of the rows.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pushed {
    /// Rows that are in the store now and were not before.
    pub stored: usize,
    /// Rows that were there already.
    pub duplicates: usize,
    /// Rows that the bus has taken and the store did not have when the wait was over; the status is
    /// then 202. Never where this process stores.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub on_the_way: usize,
    /// Rows that cannot be used.
    pub rejected: usize,
    /// How many of those have no dead letter of their own, because there were too many: one letter stands
    /// for them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_kept: usize,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejects: Vec<RejectedRow>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands a reference over"
)]
const fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// A row that cannot be used.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RejectedRow {
    /// Which row of the body, from 0; none where it stands for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<usize>,
    /// Why.
    pub reason: RejectReason,
    /// What exactly, for a person: each field that is wrong, and what was expected there.
    pub detail: String,
}
