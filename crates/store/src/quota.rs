//! How many dead letters are kept, and of whom.
//!
//! Policy when full, the same for every side: **an open letter is never removed to make room.** When a
//! source has its quota, its oldest replayed letters make room for new ones; when it has none, what
//! comes is not kept but counted, by source and reason, and the count is stored. So a source that
//! floods takes nothing from the others, and the letters that it began with stay: they say what went
//! wrong. Room is made by replaying letters, or by [`crate::DeadLetterStore::discard`].
//!
//! The names of sources come from outside too (a message's header), so their number is bounded:
//! beyond [`MOST_SOURCES`] all new ones share the quota of [`OTHERS`].

use market::{Reject, RejectReason};
use serde::{Deserialize, Serialize};

/// Sources with a quota of their own at most.
pub const MOST_SOURCES: usize = 1_000;
/// The source that further ones are counted as.
pub const OTHERS: &str = "other sources";

/// How many dead letters are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetterQuota {
    /// Of each source, see [`Reject::source`].
    pub per_source: u64,
    /// Of all sources together.
    pub total: u64,
}

impl Default for DeadLetterQuota {
    /// 100,000 of a source, 1,000,000 in all.
    fn default() -> Self {
        Self {
            per_source: 100_000,
            total: 1_000_000,
        }
    }
}

/// How many letters of a source and reason were not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DroppedCount {
    /// The source.
    pub source: String,
    /// The reason.
    pub reason: RejectReason,
    /// How many.
    pub dropped: u64,
}

/// What became of rejected rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectReport {
    /// Letters that are new in the store.
    pub kept: u64,
    /// Those that were not kept, because their source, or the store, had its quota.
    pub dropped: Vec<DroppedCount>,
}

impl RejectReport {
    /// Counts a letter that is not kept.
    pub(crate) fn drop_one(&mut self, source: &str, reason: RejectReason) {
        self.drop_more(source, reason, 1);
    }

    fn drop_more(&mut self, source: &str, reason: RejectReason, more: u64) {
        let same = |d: &&mut DroppedCount| d.reason == reason && d.source == source;
        match self.dropped.iter_mut().rev().find(same) {
            Some(count) => count.dropped += more,
            None => self.dropped.push(DroppedCount {
                source: source.to_owned(),
                reason,
                dropped: more,
            }),
        }
    }

    /// Adds what became of further rows.
    pub fn add(&mut self, other: Self) {
        self.kept += other.kept;
        for count in other.dropped {
            self.drop_more(&count.source, count.reason, count.dropped);
        }
    }

    /// How many were not kept, of all sources.
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.iter().map(|d| d.dropped).sum()
    }
}

/// The source that a letter counts for, where `known` says which have letters and `sources` how many
/// those are.
pub(crate) fn source_of(reject: &Reject, sources: usize, known: impl Fn(&str) -> bool) -> String {
    let source = reject.source();
    if sources < MOST_SOURCES || known(source) {
        source.to_owned()
    } else {
        OTHERS.to_owned()
    }
}
