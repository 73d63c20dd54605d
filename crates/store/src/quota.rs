//! How many dead letters are kept, of how many bytes, and of whom.
//!
//! Policy when full, the same for every side: **an open letter is never removed to make room.** When a
//! source has its quota, in letters or in bytes, its oldest replayed letters make room for a new one, as many
//! as it needs; when it has none, what comes is not kept but counted, by source and reason, and the count is
//! stored; a smaller letter may still fit. So a source that
//! floods takes nothing from the others, and the letters that it began with stay: they say what went
//! wrong. Room is made by replaying letters, or by [`crate::DeadLetterStore::discard`].
//!
//! The names of sources come from outside too (a message's header), so their number is bounded:
//! beyond [`MOST_SOURCES`] all new ones share the quota of [`OTHERS`].

use market::{DroppedCount, Reject, RejectReason};

/// Sources with a quota of their own at most.
pub const MOST_SOURCES: usize = 1_000;
/// The source that further ones are counted as.
pub const OTHERS: &str = "other sources";

/// How many dead letters are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetterQuota {
    /// Of each source, see [`Reject::source`].
    pub per_source: u64,
    /// Bytes of the letters of each source, see [`size_of`].
    pub bytes_per_source: u64,
    /// Letters of all sources together.
    pub total: u64,
}

impl Default for DeadLetterQuota {
    /// 100,000 and 64 MiB of a source, 1,000,000 in all.
    fn default() -> Self {
        Self {
            per_source: 100_000,
            bytes_per_source: 64 * 1024 * 1024,
            total: 1_000_000,
        }
    }
}

/// What a letter counts for in bytes: its texts in UTF-8, without what a store adds to them.
pub fn size_of(reject: &Reject) -> u64 {
    let message = reject.message.as_deref().unwrap_or_default();
    (reject.payload.len() + reject.detail.len() + reject.origin.len() + message.len()) as u64
}

/// The letters of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) letters: u64,
    pub(crate) bytes: u64,
}

impl Held {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.letters += 1;
        self.bytes += bytes;
    }

    pub(crate) fn remove(&mut self, bytes: u64) {
        self.letters = self.letters.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl DeadLetterQuota {
    /// Whether one more letter of so many bytes fits beside what its source has.
    pub(crate) const fn has_room_beside(&self, held: Held, bytes: u64) -> bool {
        held.letters < self.per_source && held.bytes.saturating_add(bytes) <= self.bytes_per_source
    }

    /// Whether a letter of so many bytes fits at all.
    pub(crate) const fn may_hold(&self, bytes: u64) -> bool {
        self.per_source > 0 && self.total > 0 && bytes <= self.bytes_per_source
    }
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
