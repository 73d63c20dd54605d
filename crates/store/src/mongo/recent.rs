//! What a process remembers of the bars that it writes parts of, between appends.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use market::{Bar, Timestamp};

use super::{
    Writer,
    bars::{Key, Series, merge_into},
};

/// How long a write that failed here may still reach the server.
const UNSURE_FOR: Duration = Duration::from_secs(300);
/// Bars of one symbol and interval whose part is remembered.
const REMEMBERED: usize = 3;

/// What a bar is made of.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub own: Option<Bar>,
    pub others: Option<Bar>,
    /// What came as a bar.
    pub came: Option<Bar>,
}

impl State {
    /// What the ticks amount to.
    pub(super) fn whole(self) -> Option<Bar> {
        let mut whole = self.own;
        if let Some(others) = self.others {
            merge_into(&mut whole, others);
        }
        whole
    }
}

/// A bar of which this process has written, or is writing, a part.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub start: Timestamp,
    /// `None` while that is not known.
    pub state: Option<State>,
    pub looked: Instant,
}

/// The latest bars of a symbol and interval that this process has written parts of, by start. Of
/// what is later it has written nothing; of what is earlier it does not know, and folds it anew.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    known: Vec<Known>,
    /// The newest bar that was there before this process wrote any: of those up to it others may have
    /// written parts.
    there_until: Option<Timestamp>,
}

impl Recent {
    pub(super) fn newest(&self) -> Option<&Known> {
        self.known.last()
    }

    pub(super) fn of(&self, start: Timestamp) -> Option<&Known> {
        self.known.iter().find(|known| known.start == start)
    }

    /// Whether there may be something of a bar that is later than all that this process has written.
    pub(super) fn may_be_there(&self, start: Timestamp) -> bool {
        self.there_until.is_some_and(|until| start <= until)
    }

    fn learn(&mut self, known: Known) {
        match self.known.binary_search_by_key(&known.start, |k| k.start) {
            Ok(at) => self.known[at] = known,
            // Too old to be remembered, when as many are as may be.
            Err(0) if self.known.len() >= REMEMBERED => {}
            Err(at) => {
                self.known.insert(at, known);
                if self.known.len() > REMEMBERED {
                    self.known.remove(0);
                }
            }
        }
    }
}

impl Writer {
    pub(super) fn learn(&mut self, (symbol, interval, _): Key, known: Known) {
        self.recent
            .entry((symbol, interval))
            .or_default()
            .learn(known);
    }

    /// Takes note of a bar that is there, whoever wrote it.
    pub(super) fn there(&mut self, series: Series, start: Timestamp) {
        let until = &mut self.recent.entry(series).or_default().there_until;
        *until = (*until).max(Some(start));
    }

    /// The bars among these that an append which failed may still be changing.
    pub(super) fn unsure_of(&self, keys: &BTreeSet<Key>) -> BTreeSet<Key> {
        let unsure = |key: &&Key| {
            let since = self.unsure.get(*key);
            since.is_some_and(|since| since.elapsed() < UNSURE_FOR)
        };
        keys.iter().filter(unsure).cloned().collect()
    }

    /// To be called before ticks of these bars are stored: until it is known how that went (it may
    /// fail, or be cut off), it is not known what our parts are made of.
    pub(super) fn doubt(&mut self, keys: &BTreeSet<Key>) {
        let looked = Instant::now();
        self.unsure.retain(|_, since| since.elapsed() < UNSURE_FOR);
        for key in keys {
            let (start, state) = (key.2, None);
            self.learn(
                key.clone(),
                Known {
                    start,
                    state,
                    looked,
                },
            );
            self.unsure.entry(key.clone()).or_insert(looked);
        }
    }

    /// The append has gone well; those that an earlier one left `unsure` stay so.
    pub(super) fn trust(&mut self, keys: &BTreeSet<Key>, unsure: &BTreeSet<Key>) {
        for key in keys.difference(unsure) {
            self.unsure.remove(key);
        }
    }
}
