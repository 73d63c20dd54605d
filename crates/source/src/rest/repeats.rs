//! Rows that a provider sends at every poll, because it is asked for all since the latest one it has
//! sent.
//!
//! Model: of good rows those of the latest time are remembered, of bad ones, whose time may not be
//! known, those of the round before. Only rows that are the same in every field are left out: a bar
//! that is still going on comes again with what has changed.

use std::collections::{HashMap, HashSet};

use market::{Bar, Interval, Reject, Symbol, Tick, TickKey, Timestamp};

use crate::Decoded;

/// What was taken of a stream and may come again.
#[derive(Debug, Default)]
pub struct Repeats {
    at: Option<Timestamp>,
    ticks: HashMap<(Symbol, TickKey), Tick>,
    bars: HashMap<(Symbol, Interval), Bar>,
    bad: HashSet<String>,
    bad_of_this_round: HashSet<String>,
}

impl Repeats {
    /// The rows of an answer that have not been taken before.
    pub fn leave_out(&self, mut answer: Decoded) -> Decoded {
        answer
            .ticks
            .retain(|tick| self.ticks.get(&(tick.symbol.clone(), tick.key())) != Some(tick));
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

    /// All pages of a request have been read.
    pub fn end_round(&mut self) {
        self.bad = std::mem::take(&mut self.bad_of_this_round);
    }
}

/// The time of the latest good row.
pub fn latest(answer: &Decoded) -> Option<Timestamp> {
    let ticks = answer.ticks.iter().map(|t| t.ts);
    ticks.chain(answer.bars.iter().map(|b| b.start)).max()
}
