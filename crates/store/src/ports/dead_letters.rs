//! Dead letters: rows that could not be used. Two ports: the log that every store keeps, and what only a
//! database does with it.

use async_trait::async_trait;
pub use market::{DeadLetter, DeadLetterState, ReasonCount};
use market::{Reject, RejectReason, Timestamp};

use crate::{DroppedCount, RejectReport, Result};

/// Takes rejected rows in, and lists them.
#[async_trait]
pub trait DeadLetterLog: Send + Sync {
    /// Keeps rejected rows; of those that name the same [`Reject::message`] the first is kept, or the one
    /// that was there before the call. In their order: what exceeds the quota of its source, or of the
    /// store, is counted and not kept, see [`crate::quota`]. Takes time in proportion to the rows.
    ///
    /// # Errors
    /// Unavailable or internal: then some may be written. Those that name their message can be given
    /// again; of those among them that are not kept, some may then be counted twice.
    async fn reject(&self, rejects: Vec<Reject>, at: Timestamp) -> Result<RejectReport>;

    /// The open ones with an id above `after`, by id, at most `limit`; of one reason if given.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn open_dead_letters(
        &self,
        reason: Option<RejectReason>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>>;

    /// Counts by reason.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn dead_letter_counts(&self) -> Result<Vec<ReasonCount>>;

    /// Counts of those that were not kept, by source and reason, since their source was last discarded.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn dropped_dead_letters(&self) -> Result<Vec<DroppedCount>>;
}

/// Dead letters that can be dealt with: replayed, or discarded.
#[async_trait]
pub trait DeadLetterStore: DeadLetterLog {
    /// Marks letters as replayed.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn mark_replayed(&self, ids: Vec<i64>) -> Result<usize>;

    /// Removes letters, open and replayed ones, of a reason and a source if given, with what is counted
    /// as dropped of them: room for new ones. Returns how many letters those were.
    ///
    /// # Errors
    /// Unavailable or internal: then some are removed; call it again.
    async fn discard(&self, reason: Option<RejectReason>, source: Option<&str>) -> Result<u64>;
}
