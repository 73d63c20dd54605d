//! The bars that `/live` remembers of a symbol, and sets of intervals.
//!
//! What it does not do: decide when a bar is sent; the topic does.

use std::time::Instant;

use market::{Bar, Interval};

/// A set of intervals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Intervals(u8);

impl Intervals {
    pub(crate) fn of(intervals: &[Interval]) -> Self {
        Self(intervals.iter().fold(0, |set, i| set | 1 << *i as u8))
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn has(self, interval: Interval) -> bool {
        self.0 & (1 << interval as u8) != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Interval> {
        Interval::ALL.into_iter().filter(move |i| self.has(*i))
    }
}

/// A bar and what readers have been sent of it.
#[derive(Debug)]
pub(super) struct BarSlot {
    pub bar: Bar,
    /// Readers know that it is closed.
    pub closed_sent: bool,
    /// It has changed since it was sent.
    pub dirty: bool,
    pub sent_at: Option<Instant>,
}

/// Puts a bar in its place by start.
pub(super) fn put(slots: &mut Vec<BarSlot>, bar: Bar) {
    match slots.binary_search_by_key(&bar.start, |slot| slot.bar.start) {
        Ok(at) => {
            slots[at].bar = bar;
            slots[at].dirty = true;
        }
        Err(at) => slots.insert(
            at,
            BarSlot {
                bar,
                closed_sent: false,
                dirty: true,
                sent_at: None,
            },
        ),
    }
}
