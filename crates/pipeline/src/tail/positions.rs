//! Where a tick stands in the feed: a number made of its message's offset and its index in the
//! message, so that every process that follows the topic gives it the same.
//!
//! `position = offset << 18 | index + 1`: it grows along a partition, and 2^35 messages of a
//! partition stay below 2^53, the last whole number that every JSON reader keeps exact.
//!
//! A symbol's messages lie in one partition, its home: the one that the topic puts its key into, or the one
//! where it was seen first. A tick in another
//! partition (a foreign producer without keys) is put after the last one: it is shown once, but its
//! number is this process's own, and a reader that resumes elsewhere may get it again or miss it.
//!
//! Doubles are told by their keys, of which each symbol keeps the last ones: as many as the bound on
//! all of them together allows.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use bus::{Position, TopicLog};
use market::{Symbol, Tick, TickKey};
use store::StoredTick;

/// Bits of the index in the message.
const INDEX_BITS: u32 = 18;
/// Keys of all symbols together, about.
const KEYS: usize = 400_000;
/// Keys of one symbol at least and at most.
const KEYS_OF_ONE: (usize, usize) = (64, 4_096);

/// The position of a tick in the feed.
pub(super) fn position(offset: u64, index: usize) -> u64 {
    let most = (1_u64 << INDEX_BITS) - 1;
    (offset << INDEX_BITS) | (index as u64 + 1).min(most)
}

/// The position that everything before `offset` lies at or below, and everything from it on above.
pub(super) fn before(offset: u64) -> u64 {
    offset << INDEX_BITS
}

/// The offset of the message that the first tick after `position` can be in.
pub(super) fn offset_after(position: u64) -> u64 {
    position >> INDEX_BITS
}

/// The last keys of a symbol.
#[derive(Debug, Default)]
pub(super) struct Window {
    keys: HashSet<TickKey>,
    order: VecDeque<TickKey>,
}

impl Window {
    /// Takes a key in; false when it was there.
    pub(super) fn insert(&mut self, key: TickKey, most: usize) -> bool {
        if !self.keys.insert(key) {
            return false;
        }
        self.order.push_back(key);
        while self.order.len() > most.max(1) {
            if let Some(old) = self.order.pop_front() {
                self.keys.remove(&old);
            }
        }
        true
    }
}

/// What is remembered of a symbol.
#[derive(Debug)]
struct SymbolPosition {
    home: u32,
    /// Whether a tick has been seen, so that the home is known and not only reckoned.
    seen: bool,
    last: u64,
    newest: Option<TickKey>,
    window: Window,
}

/// Where each symbol stands, and how far each partition has been read.
#[derive(Debug, Default)]
pub(super) struct Positions {
    symbols: HashMap<Symbol, SymbolPosition>,
    /// The next offset of each partition.
    pub next: BTreeMap<u32, u64>,
}

impl Positions {
    fn keys_of_one(&self) -> usize {
        (KEYS / self.symbols.len().max(1)).clamp(KEYS_OF_ONE.0, KEYS_OF_ONE.1)
    }

    /// Gives a tick its position; `None` for a double.
    pub(super) fn take(&mut self, at: Position, index: usize, tick: &Tick) -> Option<StoredTick> {
        let most = self.keys_of_one();
        let computed = position(at.offset, index);
        if !self.symbols.contains_key(&tick.symbol) {
            let place = SymbolPosition {
                home: at.partition,
                seen: true,
                last: 0,
                newest: None,
                window: Window::default(),
            };
            self.symbols.insert(tick.symbol.clone(), place);
        }
        let place = self.symbols.get_mut(&tick.symbol)?;
        if !place.window.insert(tick.key(), most) {
            return None;
        }
        if !place.seen {
            place.seen = true;
            if computed > place.last {
                place.home = at.partition;
            }
        }
        let after = place.last + 1;
        place.last = if at.partition == place.home {
            computed.max(after)
        } else {
            after
        };
        place.newest = place.newest.max(Some(tick.key()));
        Some(StoredTick {
            position: place.last,
            tick: tick.clone(),
        })
    }

    /// Whether a tick of the symbol has been read in this process.
    pub(super) fn has_seen(&self, symbol: &Symbol) -> bool {
        self.symbols.get(symbol).is_some_and(|p| p.seen)
    }

    /// The greatest key read of a symbol.
    pub(super) fn newest(&self, symbol: &Symbol) -> Option<TickKey> {
        self.symbols.get(symbol).and_then(|p| p.newest)
    }

    /// The partition of a symbol: where it was seen, else where the topic puts its key.
    pub(super) fn home(&self, symbol: &Symbol, log: &dyn TopicLog) -> Option<u32> {
        match self.symbols.get(symbol) {
            Some(place) => Some(place.home),
            None => self.reckoned(symbol, log),
        }
    }

    fn reckoned(&self, symbol: &Symbol, log: &dyn TopicLog) -> Option<u32> {
        log.partition_of(symbol.as_str(), u32::try_from(self.next.len()).ok()?)
    }

    /// Puts a symbol of which nothing has been read where its partition has been read to, and
    /// returns the position. Nothing changes for a symbol that is known.
    pub(super) fn settle(&mut self, symbol: &Symbol, log: &dyn TopicLog) -> u64 {
        if let Some(place) = self.symbols.get(symbol) {
            return if place.seen { 0 } else { place.last };
        }
        let Some(home) = self.reckoned(symbol, log) else {
            return 0;
        };
        let last = before(self.next.get(&home).copied().unwrap_or(0));
        let place = SymbolPosition {
            home,
            seen: false,
            last,
            newest: None,
            window: Window::default(),
        };
        self.symbols.insert(symbol.clone(), place);
        last
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use bus::{Bounds, BusError, Consumer};
    use market::Timestamp;

    use super::*;

    /// A topic that puts every key into its partition 3.
    struct Third;

    #[async_trait]
    impl TopicLog for Third {
        async fn bounds(&self, _: &str) -> bus::Result<Vec<Bounds>> {
            Ok(Vec::new())
        }

        fn partition_of(&self, _: &str, partitions: u32) -> Option<u32> {
            (partitions > 3).then_some(3)
        }

        async fn read_from(&self, _: &str, _: &[Position]) -> bus::Result<Box<dyn Consumer>> {
            Err(BusError::Closed)
        }
    }

    fn tick(symbol: &str, us: i64) -> Tick {
        Tick {
            symbol: symbol.parse().unwrap(),
            ts: Timestamp::from_micros(us),
            seq: 0,
            price: 1.0,
            size: 1.0,
        }
    }

    fn at(partition: u32, offset: u64) -> Position {
        Position { partition, offset }
    }

    fn twelve() -> Positions {
        Positions {
            next: (0..12).map(|p| (p, 100)).collect(),
            ..Positions::default()
        }
    }

    #[test]
    fn positions_grow_along_a_partition_and_say_where_to_read_on() {
        assert!(position(7, 0) > before(7) && position(7, 9) > position(7, 8));
        assert!(position(7, 1 << 20) < before(8));
        assert_eq!(offset_after(position(7, 3)), 7);
        assert_eq!(offset_after(before(8)), 8);
    }

    #[test]
    fn two_processes_that_began_at_different_times_number_alike() {
        let (mut early, mut late) = (twelve(), twelve());
        early.take(at(3, 90), 0, &tick("ABC", 1));
        for (offset, us) in [(100, 2), (101, 3)] {
            let a = early.take(at(3, offset), 0, &tick("ABC", us));
            let b = late.take(at(3, offset), 0, &tick("ABC", us));
            assert_eq!(a, b);
        }
    }

    #[test]
    fn a_double_is_dropped_and_takes_no_position() {
        let mut positions = twelve();
        assert!(positions.take(at(0, 1), 0, &tick("ABC", 1)).is_some());
        assert!(positions.take(at(0, 2), 0, &tick("ABC", 1)).is_none());
        assert_eq!(
            positions
                .take(at(0, 3), 0, &tick("ABC", 2))
                .map(|t| t.position),
            Some(position(3, 0))
        );
    }

    #[test]
    fn ticks_of_a_symbol_in_other_partitions_come_after_the_last_one() {
        let mut positions = twelve();
        let mut last = 0;
        for (partition, offset) in [(3, 50), (5, 2), (3, 51), (9, 99), (3, 52)] {
            let us = i64::from(partition) * 1_000 + i64::try_from(offset).unwrap();
            let stored = positions
                .take(at(partition, offset), 0, &tick("ABC", us))
                .unwrap();
            assert!(stored.position > last);
            last = stored.position;
        }
        assert_eq!(last, position(52, 0));
    }

    #[test]
    fn a_symbol_that_was_settled_goes_on_above_its_place() {
        let mut positions = twelve();
        let symbol: Symbol = "ABC".parse().unwrap();
        let settled = positions.settle(&symbol, &Third);
        assert_eq!(settled, before(100));
        let home = positions.home(&symbol, &Third).unwrap();
        let next = positions.take(at(home, 100), 0, &tick("ABC", 1)).unwrap();
        assert_eq!(next.position, position(100, 0));
        assert_eq!(
            positions.settle(&symbol, &Third),
            0,
            "what has been read says more"
        );
    }
}
