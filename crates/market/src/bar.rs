//! A bar, and the merge that builds it from ticks in any order.
//!
//! Bars of one (symbol, interval, start) form a commutative monoid under [`Bar::merge`]: open and
//! close belong to the least and the greatest tick key, high and low are extremes, volume and
//! trades add up. That is why a late tick corrects its bar, and why a batch can be folded into
//! partial bars first and merged into the stored ones after.
//!
//! Bars that come as bars ([`AggregationSource::External`]: imported, or of a provider of bars) say by
//! [`Bar::first`] and [`Bar::last`] which trades they cover: all of theirs, or those up to the moment at which
//! they were read, when they were still going on. Whoever has both such a bar and ticks of it combines them by
//! one rule, whatever came first:
//!
//! - What a bar covers is told by the bar alone: ticks with a key from `first` to `last` are in it already,
//!   and change nothing. An imported volume of 1,000,000 is never replaced by the five trades that were seen.
//! - Ticks outside of what it covers are not in it, and are merged into it: a daily bar that was imported at
//!   noon goes on with the trades of the afternoon.
//! - Of two bars that come as bars, the one that came later counts, as its source has said more since.
//!
//! The bar that is seen is so a function of the last bar that came and of the set of ticks: the order in which
//! ticks arrive, before or after the bar, does not matter ([`Bar::with_ticks`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Interval, RejectReason, Symbol, Tick, TickKey, Timestamp,
    tick::{check_price, check_size},
};

/// Who added the trades of a bar up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregationSource {
    /// Its source: it came as a bar, and no trade of it was seen.
    External,
    /// We did, from the trades; or we went on with one that came.
    Internal,
}

/// How the trades of one bar lie to what a bar covers that came as a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// All of them are in it.
    All,
    /// None of them is in it.
    None,
    /// Some of them may be, and some are not.
    Some,
}

/// Open, high, low, close and volume of one symbol over one interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Bar {
    /// What was traded.
    pub symbol: Symbol,
    /// The bar's length.
    pub interval: Interval,
    /// The bar's first instant.
    #[serde(rename = "start_us")]
    pub start: Timestamp,
    /// Price of the trade with the least key.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Price of the trade with the greatest key.
    pub close: f64,
    /// Units traded.
    pub volume: f64,
    /// Number of trades that were seen; 0 in a bar that came as a bar from its source. See [`Bar::source`].
    pub trades: u64,
    /// Key of the trade that `open` belongs to; in a bar that came as a bar the least key it covers.
    pub first: TickKey,
    /// Key of the trade that `close` belongs to; in a bar that came as a bar the greatest key it covers.
    pub last: TickKey,
}

impl Bar {
    /// The bar that one tick makes.
    pub fn from_tick(tick: &Tick, interval: Interval) -> Self {
        Self {
            symbol: tick.symbol.clone(),
            interval,
            start: interval.start_of(tick.ts),
            open: tick.price,
            high: tick.price,
            low: tick.price,
            close: tick.price,
            volume: tick.size,
            trades: 1,
            first: tick.key(),
            last: tick.key(),
        }
    }

    /// Who added its trades up.
    pub const fn source(&self) -> AggregationSource {
        if self.trades == 0 {
            AggregationSource::External
        } else {
            AggregationSource::Internal
        }
    }

    /// Whether it came as a bar, and no trade of it was seen.
    pub const fn is_external(&self) -> bool {
        matches!(self.source(), AggregationSource::External)
    }

    /// The keys of a bar that came as a bar and was read at `now`: those of the whole bar, or up to `now`
    /// while it goes on.
    pub fn keys_until(interval: Interval, start: Timestamp, now: Timestamp) -> (TickKey, TickKey) {
        let last = interval.end_of(start).plus_micros(-1).min(now).max(start);
        let key = |ts, seq| TickKey { ts, seq };
        (key(start, 0), key(last, i64::MAX as u64))
    }

    /// Whether a bar that came as a bar covers a trade of its time.
    pub fn covers(&self, key: TickKey) -> bool {
        self.first <= key && key <= self.last
    }

    /// How the trades of `ticks`, a bar made of ticks, lie to what this one covers, which came as a bar.
    pub fn coverage_of(&self, ticks: &Self) -> Coverage {
        if self.covers(ticks.first) && self.covers(ticks.last) {
            Coverage::All
        } else if ticks.last < self.first || ticks.first > self.last {
            Coverage::None
        } else {
            Coverage::Some
        }
    }

    /// A bar that came as a bar, and went on with ticks of its time, each given once: those that it covers
    /// change nothing.
    #[must_use]
    pub fn with_ticks<'a>(&self, ticks: impl IntoIterator<Item = &'a Tick>) -> Self {
        let mut whole = self.clone();
        for tick in ticks {
            if !self.covers(tick.key()) {
                whole.push(tick);
            }
        }
        whole
    }

    /// The first instant after the bar.
    pub const fn end(&self) -> Timestamp {
        self.interval.end_of(self.start)
    }

    /// Takes one more tick in. The tick must belong to the bar and not be in it yet.
    pub fn push(&mut self, tick: &Tick) {
        let key = tick.key();
        if key < self.first {
            self.first = key;
            self.open = tick.price;
        }
        if key > self.last {
            self.last = key;
            self.close = tick.price;
        }
        self.high = self.high.max(tick.price);
        self.low = self.low.min(tick.price);
        self.volume += tick.size;
        self.trades += 1;
    }

    /// Takes the trades of `other` in: a bar of the same symbol, interval and start made of other
    /// ticks.
    pub fn merge(&mut self, other: &Self) {
        if other.first < self.first {
            self.first = other.first;
            self.open = other.open;
        }
        if other.last > self.last {
            self.last = other.last;
            self.close = other.close;
        }
        self.high = self.high.max(other.high);
        self.low = self.low.min(other.low);
        self.volume += other.volume;
        self.trades += other.trades;
    }

    /// Whether it says the same of the same bar, whichever time it covers.
    pub fn same_prices(&self, other: &Self) -> bool {
        let key = |bar: &Self| (bar.interval, bar.start, bar.trades);
        let numbers = |bar: &Self| [bar.open, bar.high, bar.low, bar.close, bar.volume];
        key(self) == key(other) && self.symbol == other.symbol && numbers(self) == numbers(other)
    }

    /// Whether its numbers can be those of a bar.
    ///
    /// # Errors
    /// The reason and, for a person, what was expected.
    pub fn check(&self) -> Result<(), (RejectReason, String)> {
        check_price("open", self.open)?;
        check_price("high", self.high)?;
        check_price("low", self.low)?;
        check_price("close", self.close)?;
        check_size("volume", self.volume)?;
        if self.high < self.low {
            return Err((
                RejectReason::BadBar,
                format!("high {} lies below low {}", self.high, self.low),
            ));
        }
        for (field, value) in [("open", self.open), ("close", self.close)] {
            if value > self.high || value < self.low {
                return Err((
                    RejectReason::BadBar,
                    format!(
                        "{field} {value} lies outside low {} to high {}",
                        self.low, self.high
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Folds ticks of any symbols, in any order, into partial bars of each interval, sorted by symbol,
/// interval and start. Each tick must be given once.
pub fn bars_from_ticks<'a>(
    ticks: impl IntoIterator<Item = &'a Tick>,
    intervals: &[Interval],
) -> Vec<Bar> {
    let mut bars: BTreeMap<(Symbol, Interval, Timestamp), Bar> = BTreeMap::new();
    // Ticks come in runs of one symbol and second: the bars of the last tick are mostly the bars of
    // this one, and are kept out of the map until the run ends.
    let mut run: Vec<Bar> = Vec::new();
    let mut flush = |run: &mut Vec<Bar>| {
        for bar in run.drain(..) {
            match bars.entry((bar.symbol.clone(), bar.interval, bar.start)) {
                std::collections::btree_map::Entry::Vacant(slot) => {
                    slot.insert(bar);
                }
                std::collections::btree_map::Entry::Occupied(mut slot) => {
                    slot.get_mut().merge(&bar)
                }
            }
        }
    };
    for tick in ticks {
        let same = run.first().is_some_and(|b| {
            b.symbol == tick.symbol && run.iter().all(|b| tick.ts >= b.start && tick.ts < b.end())
        });
        if same {
            for bar in &mut run {
                bar.push(tick);
            }
        } else {
            flush(&mut run);
            run.extend(intervals.iter().map(|i| Bar::from_tick(tick, *i)));
        }
    }
    flush(&mut run);
    bars.into_values().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tick(symbol: u8, ts: i64, seq: u64, price: u32, size: u32) -> Tick {
        Tick {
            symbol: format!("S{symbol}").parse().unwrap(),
            ts: Timestamp::from_millis(ts),
            seq,
            price: f64::from(price),
            size: f64::from(size),
        }
    }

    fn ticks() -> impl Strategy<Value = Vec<Tick>> {
        prop::collection::vec((0u8..3, 0i64..200_000, 1u32..1_000, 0u32..100), 1..200).prop_map(
            |v| {
                v.into_iter()
                    .enumerate()
                    .map(|(i, (s, ts, price, size))| tick(s, ts, i as u64, price, size))
                    .collect()
            },
        )
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            (ticks, shuffled) in ticks().prop_flat_map(|t| (Just(t.clone()), Just(t).prop_shuffle()))
        ) {
            prop_assert_eq!(
                bars_from_ticks(&ticks, &Interval::ALL),
                bars_from_ticks(&shuffled, &Interval::ALL)
            );
        }

        #[test]
        fn merging_the_bars_of_two_halves_is_the_bars_of_the_whole(ticks in ticks(), cut in 0usize..200) {
            let (a, b) = ticks.split_at(cut.min(ticks.len()));
            let mut merged: BTreeMap<_, Bar> = BTreeMap::new();
            for bar in bars_from_ticks(a, &Interval::ALL).into_iter().chain(bars_from_ticks(b, &Interval::ALL)) {
                merged
                    .entry((bar.symbol.clone(), bar.interval, bar.start))
                    .and_modify(|m| m.merge(&bar))
                    .or_insert(bar);
            }
            let merged: Vec<Bar> = merged.into_values().collect();
            prop_assert_eq!(merged, bars_from_ticks(&ticks, &Interval::ALL));
        }

        #[test]
        fn a_bar_of_good_ticks_is_a_good_bar(ticks in ticks()) {
            for bar in bars_from_ticks(&ticks, &Interval::ALL) {
                prop_assert!(bar.check().is_ok());
            }
        }
    }

    fn external(interval: Interval, start: Timestamp, now: Timestamp) -> Bar {
        let (first, last) = Bar::keys_until(interval, start, now);
        Bar {
            symbol: "S0".parse().unwrap(),
            interval,
            start,
            open: 500.0,
            high: 510.0,
            low: 490.0,
            close: 505.0,
            volume: 1_000_000.0,
            trades: 0,
            first,
            last,
        }
    }

    proptest! {
        /// In whatever order the ticks come, in whatever batches, and wherever among them the bar comes.
        #[test]
        fn a_bar_that_comes_and_ticks_give_one_bar_in_any_order(
            (ticks, shuffled) in prop::collection::vec((0i64..60_000, 1u32..1_000, 0u32..100), 0..60)
                .prop_map(|v| v.into_iter().enumerate()
                    .map(|(i, (ts, price, size))| tick(0, ts, i as u64, price, size))
                    .collect::<Vec<Tick>>())
                .prop_flat_map(|t| (Just(t.clone()), Just(t).prop_shuffle())),
            now in 0i64..70_000,
            cut in 0usize..60,
        ) {
            let start = Timestamp::from_millis(0);
            let came = external(Interval::M1, start, Timestamp::from_millis(now));
            let whole = came.with_ticks(&ticks);
            // Folds of two batches, each merged where no tick of it is covered, else tick by tick.
            let (a, b) = shuffled.split_at(cut.min(shuffled.len()));
            let mut other = came.clone();
            for part in [b, a] {
                for bar in bars_from_ticks(part, &[Interval::M1]) {
                    match came.coverage_of(&bar) {
                        Coverage::All => {}
                        Coverage::None => other.merge(&bar),
                        Coverage::Some => {
                            let mut rest = bars_from_ticks(
                                part.iter().filter(|t| !came.covers(t.key())),
                                &[Interval::M1],
                            );
                            if let Some(rest) = rest.pop() {
                                other.merge(&rest);
                            }
                        }
                    }
                }
            }
            prop_assert_eq!(&whole, &other);
            prop_assert!(whole.volume >= 1_000_000.0);
            prop_assert!(whole.check().is_ok());
        }
    }

    #[test]
    fn a_whole_bar_is_not_changed_by_a_trade_and_one_that_was_going_on_goes_on() {
        let start = Timestamp::from_millis(0);
        let late = [tick(0, 50_000, 1, 600, 5)];
        let whole = external(Interval::M1, start, Timestamp::from_secs(3_600));
        assert_eq!(whole.with_ticks(&late), whole);
        let open = external(Interval::M1, start, Timestamp::from_secs(30));
        let went_on = open.with_ticks(&late);
        assert_eq!(
            (went_on.open, went_on.high, went_on.low, went_on.close),
            (500.0, 600.0, 490.0, 600.0)
        );
        assert_eq!((went_on.volume, went_on.trades), (1_000_005.0, 1));
        assert_eq!(went_on.source(), AggregationSource::Internal);
    }

    #[test]
    fn a_late_tick_corrects_open_and_low_but_not_close() {
        let mut bar = Bar::from_tick(&tick(0, 500, 5, 100, 1), Interval::S1);
        bar.push(&tick(0, 900, 9, 110, 1));
        bar.push(&tick(0, 100, 1, 90, 2));
        assert_eq!(
            (bar.open, bar.high, bar.low, bar.close),
            (90.0, 110.0, 90.0, 110.0)
        );
        assert_eq!((bar.volume, bar.trades), (4.0, 3));
    }

    #[test]
    fn the_volume_of_the_largest_trades_stays_a_number() {
        let huge = Tick {
            size: crate::MAX_NUMBER,
            ..tick(0, 0, 0, 100, 1)
        };
        let mut bar = Bar::from_tick(&huge, Interval::D1);
        for doubled in 0..63 {
            let other = bar.clone();
            bar.merge(&other);
            assert!(bar.volume.is_finite(), "2^{doubled} trades");
        }
        bar.volume = f64::INFINITY;
        assert_eq!(bar.check().unwrap_err().0, RejectReason::BadSize);
    }

    #[test]
    fn a_bar_with_its_high_below_its_low_is_refused() {
        let mut bar = Bar::from_tick(&tick(0, 0, 0, 100, 1), Interval::S1);
        bar.high = 99.0;
        bar.open = 99.0;
        bar.close = 99.0;
        assert_eq!(bar.check().unwrap_err().0, RejectReason::BadBar);
    }
}
