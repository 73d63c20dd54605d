//! Duplicates that a provider sends at every poll, because it is asked for all rows since the latest one,
//! or gives the same days and hours whatever it is asked.
//!
//! Model: good rows of this round and of the one before it are remembered, and bad ones until many others
//! have come. What was taken before the start is remembered until the stream is past it. Only rows that are
//! the same in every field are duplicates: a bar that is still going on comes again with what has changed. A
//! bad bar is known by its symbol, time and reason: while it goes on its numbers change at every poll, and
//! one dead letter is enough.

use std::collections::{HashMap, HashSet};

use market::{Bar, Interval, Reject, Symbol, Tick, TickKey, Timestamp};

use crate::{Decoded, decode::hash_text};

/// Good rows that are remembered at most: about 16 MB.
const MOST: usize = 100_000;
/// Bad rows that are remembered at most, twice.
const MOST_BAD: usize = 20_000;

/// The good rows of a round.
#[derive(Debug, Default)]
struct Round {
    ticks: HashMap<(Symbol, TickKey), Tick>,
    bars: HashMap<(Symbol, Interval, Timestamp), Bar>,
}

impl Round {
    fn len(&self) -> usize {
        self.ticks.len() + self.bars.len()
    }

    fn has_tick(&self, tick: &Tick) -> bool {
        !self.ticks.is_empty() && self.ticks.get(&(tick.symbol.clone(), tick.key())) == Some(tick)
    }

    fn has_bar(&self, bar: &Bar) -> bool {
        let key = (bar.symbol.clone(), bar.interval, bar.start);
        self.bars
            .get(&key)
            .is_some_and(|known| known.same_prices(bar))
    }
}

/// What was taken of a stream and may come again.
#[derive(Debug, Default)]
pub struct Duplicates {
    /// Taken before the start.
    earlier: HashMap<(Symbol, TickKey), Tick>,
    last_round: Round,
    this_round: Round,
    bad: HashSet<u64>,
    bad_before: HashSet<u64>,
}

impl Duplicates {
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
        answer.ticks.retain(|tick| {
            let earlier = !self.earlier.is_empty()
                && self.earlier.get(&(tick.symbol.clone(), tick.key())) == Some(tick);
            !(earlier || self.last_round.has_tick(tick) || self.this_round.has_tick(tick))
        });
        answer
            .bars
            .retain(|bar| !(self.last_round.has_bar(bar) || self.this_round.has_bar(bar)));
        let mut here = HashSet::new();
        answer.rejects.retain(|reject| {
            let name = name_of(reject);
            !self.bad.contains(&name) && !self.bad_before.contains(&name) && here.insert(name)
        });
        answer
    }

    /// What the bad rows of an answer are known by.
    pub fn names(answer: &Decoded) -> Vec<u64> {
        answer.rejects.iter().map(name_of).collect()
    }

    /// Remembers bad rows.
    pub fn remember_bad(&mut self, names: Vec<u64>) {
        self.bad.extend(names);
        if self.bad.len() > MOST_BAD {
            self.bad_before = std::mem::take(&mut self.bad);
        }
    }

    /// Remembers the good rows of an answer, taken before or now.
    pub fn remember(&mut self, answer: &Decoded) {
        if self.this_round.len() + answer.rows() > MOST {
            // The latest ones are those that are most likely to come again.
            self.last_round = std::mem::take(&mut self.this_round);
        }
        let ticks = answer.ticks.iter();
        self.this_round
            .ticks
            .extend(ticks.map(|tick| ((tick.symbol.clone(), tick.key()), tick.clone())));
        let bars = answer.bars.iter();
        self.this_round
            .bars
            .extend(bars.map(|bar| ((bar.symbol.clone(), bar.interval, bar.start), bar.clone())));
    }

    /// All pages of a request have been read; the stream stands at `since`.
    pub fn end_round(&mut self, since: Option<Timestamp>) {
        // A round that brought nothing proves nothing about what the next one brings.
        if self.this_round.len() > 0 {
            self.last_round = std::mem::take(&mut self.this_round);
        }
        if self.earlier.values().all(|tick| Some(tick.ts) < since) {
            self.earlier = HashMap::new();
        }
    }
}

/// What a bad row is known by.
fn name_of(reject: &Reject) -> u64 {
    let payload: Option<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_str(&reject.payload).ok();
    let bar = payload.filter(|row| row.contains_key("interval"));
    let time = bar.as_ref().and_then(|row| {
        ["timestamp", "ts_s", "ts_ms", "ts_us", "ts_ns"]
            .iter()
            .find_map(|key| row.get(*key))
    });
    match (bar.as_ref(), time) {
        (Some(row), Some(time)) => {
            let symbol = row.get("symbol").unwrap_or(&serde_json::Value::Null);
            let interval = row.get("interval").unwrap_or(&serde_json::Value::Null);
            hash_text(&format!(
                "{symbol} {interval} {time} {}",
                reject.reason.as_str()
            ))
        }
        _ => hash_text(&reject.payload),
    }
}
