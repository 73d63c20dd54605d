//! Ticks and bars: each tick once, in the order of storage, and bars that follow from the last bar that
//! came and the set of ticks.

use std::collections::{BTreeMap, BTreeSet};

use market::{Bar, ErrorKind, Interval, Symbol, Tick, TickKey, Timestamp, bars_from_ticks};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use store::{Instrument, InstrumentQuote, StoredTick, SymbolQuery};

use super::{Reference, holds};
use crate::suite::{Database, StoreUnderTest, all_of, bar, symbol, tick};

const SYMBOLS: [&str; 3] = ["A", "B", "C/D"];
/// Those that bars are put of.
const PUT: [Interval; 2] = [Interval::M1, Interval::D1];

type Series = (Symbol, Interval, Timestamp);

#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// In the order of storage.
    ticks: Vec<Tick>,
    keys: BTreeSet<(Symbol, TickKey)>,
    /// The last bar that came as a bar.
    came: BTreeMap<Series, Bar>,
}

impl Stored {
    fn add(&mut self, tick: &Tick) -> bool {
        let new = self.keys.insert((tick.symbol.clone(), tick.key()));
        if new {
            self.ticks.push(tick.clone());
        }
        new
    }

    fn of<'a>(&'a self, symbol: &'a Symbol) -> impl Iterator<Item = &'a Tick> {
        self.ticks.iter().filter(move |tick| tick.symbol == *symbol)
    }

    /// What is seen, by [`market::Bar`]'s rule.
    fn bars(&self) -> BTreeMap<Series, Bar> {
        let mut bars: BTreeMap<Series, Bar> = bars_from_ticks(&self.ticks, &Interval::ALL)
            .into_iter()
            .map(|bar| ((bar.symbol.clone(), bar.interval, bar.start), bar))
            .collect();
        for (key, came) in &self.came {
            let inside = |tick: &&Tick| key.1.start_of(tick.ts) == key.2;
            let whole = came.with_ticks(self.of(&key.0).filter(inside));
            bars.insert(key.clone(), whole);
        }
        bars
    }
}

#[derive(Clone, Debug)]
pub enum Call {
    Append(Vec<Tick>),
    /// As [`Call::Append`], with a price that is none beside them.
    AppendBad(Vec<Tick>),
    Put(Vec<Bar>),
    Reopen,
}

/// Prices and sizes are halves and quarters: their sums are the same in any order.
fn some_ticks() -> impl Strategy<Value = Vec<Tick>> {
    let one = (0..3_usize, 0..400_i64, 0..2_u64, 1..40_u32, 1..20_u32);
    prop::collection::vec(one, 1..12).prop_map(|rows| {
        rows.into_iter()
            .map(|(name, at, seq, price, size)| {
                // Two minutes of two days.
                let ms = at % 200 * 700 + at / 200 * 86_400_000;
                let (price, size) = (f64::from(price) / 2.0, f64::from(size) / 4.0);
                tick(SYMBOLS[name], ms, seq, price, size)
            })
            .collect()
    })
}

/// Whole bars, and some that were read while they went on.
fn some_bars() -> impl Strategy<Value = Vec<Bar>> {
    let one = (
        0..3_usize,
        0..2_usize,
        0..3_u32,
        4..40_u32,
        any::<bool>(),
        0..60_i64,
    );
    prop::collection::vec(one, 1..4).prop_map(|rows| {
        rows.into_iter()
            .map(|(name, interval, nth, close, whole, second)| {
                let mut bar = bar(SYMBOLS[name], PUT[interval], nth, f64::from(close) / 2.0);
                if !whole {
                    let now = bar.start.plus_micros(second * 1_000_000);
                    (bar.first, bar.last) = Bar::keys_until(bar.interval, bar.start, now);
                }
                bar
            })
            .collect()
    })
}

pub struct Prices;

impl ReferenceStateMachine for Prices {
    type State = Stored;
    type Transition = Call;

    fn init_state() -> BoxedStrategy<Stored> {
        Just(Stored::default()).boxed()
    }

    fn transitions(_: &Stored) -> BoxedStrategy<Call> {
        prop_oneof![
            6 => some_ticks().prop_map(Call::Append),
            1 => some_ticks().prop_map(Call::AppendBad),
            4 => some_bars().prop_map(Call::Put),
            1 => Just(Call::Reopen),
        ]
        .boxed()
    }

    fn apply(mut state: Stored, call: &Call) -> Stored {
        match call {
            Call::Append(ticks) => ticks.iter().for_each(|tick| {
                state.add(tick);
            }),
            Call::Put(bars) => state.came.extend(
                bars.iter()
                    .map(|bar| ((bar.symbol.clone(), bar.interval, bar.start), bar.clone())),
            ),
            Call::AppendBad(_) | Call::Reopen => {}
        }
        state
    }
}

impl Reference for Prices {
    fn reopens(call: &Call) -> bool {
        matches!(call, Call::Reopen)
    }

    async fn call(store: &dyn Database, before: &Stored, after: &Stored, call: &Call) {
        match call {
            Call::Append(ticks) => {
                let appended = store.append(ticks.clone()).await.unwrap();
                let new = &after.ticks[before.ticks.len()..];
                let stored: Vec<Tick> = appended.stored.iter().map(|s| s.tick.clone()).collect();
                assert_eq!(stored, new);
                assert_eq!(appended.duplicates, ticks.len() - new.len());
                assert!(appended.stored.is_sorted_by(|a, b| a.position < b.position));
                // What is told of a bar is the bar as it stands, and those that changed are told.
                let (was, is) = (before.bars(), after.bars());
                let told: BTreeMap<Series, Bar> = appended
                    .bars
                    .iter()
                    .map(|bar| ((bar.symbol.clone(), bar.interval, bar.start), bar.clone()))
                    .collect();
                assert_eq!(told.len(), appended.bars.len());
                for (key, bar) in &told {
                    assert_eq!(Some(bar), is.get(key), "told");
                }
                for (key, bar) in &is {
                    if was.get(key) != Some(bar) {
                        assert_eq!(told.get(key), Some(bar), "changed");
                    }
                }
            }
            Call::AppendBad(ticks) => {
                let mut ticks = ticks.clone();
                let mut bad = ticks[0].clone();
                bad.price = f64::NAN;
                ticks.push(bad);
                let refused = store.append(ticks).await.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Invalid);
            }
            Call::Put(bars) => {
                assert_eq!(store.put_bars(bars.clone()).await.unwrap(), bars.len());
            }
            Call::Reopen => {}
        }
    }

    async fn compare(store: &dyn Database, state: &Stored) {
        let bars = state.bars();
        let mut quotes = Vec::new();
        for name in SYMBOLS {
            let symbol = symbol(name);
            let of: Vec<&Tick> = state.of(&symbol).collect();
            let stored = store.ticks_after(&symbol, 0, usize::MAX).await.unwrap();
            assert_eq!(stored.iter().map(|s| &s.tick).collect::<Vec<_>>(), of);
            assert!(stored.is_sorted_by(|a, b| a.position < b.position));
            let (min, max) = (Timestamp::MIN, Timestamp::MAX);
            let by_key = store.ticks(&symbol, min, max, usize::MAX).await.unwrap();
            let mut sorted: Vec<Tick> = of.iter().map(|tick| (*tick).clone()).collect();
            sorted.sort_by_key(Tick::key);
            assert_eq!(by_key, sorted);
            let latest = store.latest_tick(&symbol).await.unwrap();
            let expected = sorted.last().zip(stored.last());
            let expected = expected.map(|(tick, last)| StoredTick {
                position: last.position,
                tick: tick.clone(),
            });
            assert_eq!(latest, expected);
            let queries = Interval::ALL.map(|interval| all_of(name, interval));
            let found = store.bars_of(&queries).await.unwrap();
            let of_symbol: Vec<Bar> = bars
                .values()
                .filter(|bar| bar.symbol == symbol)
                .cloned()
                .collect();
            assert_eq!(found.concat(), of_symbol);
            quotes.extend(quote(&of_symbol, sorted.last()));
        }
        let asked = SYMBOLS.map(symbol);
        assert_eq!(store.quotes(&asked).await.unwrap(), quotes);
        let every: Vec<Instrument> = quotes.iter().map(|q| q.instrument.clone()).collect();
        assert_eq!(store.instruments().await.unwrap(), every);
        let all = SymbolQuery {
            limit: 9,
            ..SymbolQuery::default()
        };
        let page = store.symbols(&all);
        let mut listed = quotes;
        listed.sort_by_key(|q| q.instrument.bars_only);
        assert_eq!(page.await.unwrap().quotes, listed);
    }
}

/// A symbol by its bars, sorted by interval and start, and its latest tick.
fn quote(bars: &[Bar], latest: Option<&Tick>) -> Option<InstrumentQuote> {
    let intervals: BTreeSet<Interval> = bars.iter().map(|bar| bar.interval).collect();
    let shortest = intervals.first()?;
    let last_bar = bars.iter().rfind(|bar| bar.interval == *shortest)?;
    let last = latest.map_or(last_bar.start, |tick| tick.ts);
    let day = Interval::D1.start_of(last);
    let mut days = bars.iter().filter(|bar| bar.interval == Interval::D1);
    Some(InstrumentQuote {
        instrument: Instrument {
            symbol: last_bar.symbol.clone(),
            last_price: last_bar.close,
            last,
            intervals: intervals.iter().copied().collect(),
            bars_only: latest.is_none(),
        },
        previous_close: days.rfind(|bar| bar.start < day).map(|bar| bar.close),
    })
}

pub async fn prices_are_those_of_the_model(side: &dyn StoreUnderTest) {
    holds::<Prices>(side).await;
}
