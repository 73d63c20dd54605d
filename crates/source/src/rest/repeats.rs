//! Rows that a provider sends at every poll, because it is asked for all since the latest one it has
//! sent.
//!
//! Model: of good rows those of the latest time are remembered, of bad ones, whose time may not be
//! known, those of the round before. What was taken before the start is remembered until the stream
//! is past it. Only rows that are the same in every field are left out: a bar
//! that is still going on comes again with what has changed.

use std::collections::{HashMap, HashSet};

use market::{Bar, Interval, Reject, Symbol, Tick, TickKey, Timestamp};

use crate::Decoded;

/// What was taken of a stream and may come again.
#[derive(Debug, Default)]
pub struct Repeats {
    /// Taken before the start.
    earlier: HashMap<(Symbol, TickKey), Tick>,
    at: Option<Timestamp>,
    ticks: HashMap<(Symbol, TickKey), Tick>,
    bars: HashMap<(Symbol, Interval), Bar>,
    bad: HashSet<String>,
    bad_of_this_round: HashSet<String>,
}

impl Repeats {
    /// Of a stream of which these rows were taken before the start.
    pub fn after<'a>(taken: impl Iterator<Item = &'a Tick>) -> Self {
        Self {
            earlier: taken
                .map(|tick| ((tick.symbol.clone(), tick.key()), tick.clone()))
                .collect(),
            ..Self::default()
        }
    }

    /// The rows of an answer that have not been taken before.
    pub fn leave_out(&self, mut answer: Decoded) -> Decoded {
        if !(self.ticks.is_empty() && self.earlier.is_empty()) {
            answer.ticks.retain(|tick| {
                let key = (tick.symbol.clone(), tick.key());
                self.ticks.get(&key) != Some(tick) && self.earlier.get(&key) != Some(tick)
            });
        }
        answer
            .bars
            .retain(|bar| self.bars.get(&(bar.symbol.clone(), bar.interval)) != Some(bar));
        answer
            .rejects
            .retain(|reject| !self.bad.contains(&reject.payload));
        answer
    }

    /// Remembers what an answer held, taken before or now.
    pub fn remember(&mut self, answer: &Decoded) {
        let latest = latest(answer);
        if latest > self.at {
            self.at = latest;
            self.ticks.clear();
            self.bars.clear();
        }
        for tick in answer.ticks.iter().filter(|t| Some(t.ts) == self.at) {
            let key = (tick.symbol.clone(), tick.key());
            self.ticks.insert(key, tick.clone());
        }
        for bar in answer.bars.iter().filter(|b| Some(b.start) == self.at) {
            let key = (bar.symbol.clone(), bar.interval);
            self.bars.insert(key, bar.clone());
        }
        let bad = |reject: &Reject| reject.payload.clone();
        self.bad_of_this_round
            .extend(answer.rejects.iter().map(bad));
    }

    /// All pages of a request have been read; the stream stands at `since`.
    pub fn end_round(&mut self, since: Option<Timestamp>) {
        self.bad = std::mem::take(&mut self.bad_of_this_round);
        if self.earlier.values().all(|tick| Some(tick.ts) < since) {
            self.earlier = HashMap::new();
        }
    }
}

/// The time of the latest good row.
pub fn latest(answer: &Decoded) -> Option<Timestamp> {
    let ticks = answer.ticks.iter().map(|t| t.ts);
    ticks.chain(answer.bars.iter().map(|b| b.start)).max()
}
