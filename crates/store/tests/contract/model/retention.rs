//! Removal by age: what is old goes, the newest stays, and bars keep what their removed ticks told them.

use std::collections::{BTreeMap, BTreeSet};

use market::{Bar, Interval, Symbol, Tick, TickKey, Timestamp};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::{Reference, holds};
use crate::suite::{Database, START, StoreUnderTest, all_of, bar, symbol, tick};

/// One that has ticks, and one that has bars: where a bar came over ticks that are gone, nobody can tell
/// which of them it lacks.
const TICKS: &str = "A";
const BARS: &str = "B";
const PUT: [Interval; 2] = [Interval::M1, Interval::D1];
const DAY_US: i64 = 86_400_000_000;

type Series = (Symbol, Interval, Timestamp);

#[derive(Clone, Debug, Default)]
pub struct Left {
    /// In the order of storage.
    ticks: Vec<Tick>,
    bars: BTreeMap<Series, Bar>,
    /// Another process has stored some of it: then a bar may be several rows.
    reopened: bool,
}

#[derive(Clone, Debug)]
pub enum Call {
    Append(Vec<Tick>),
    Put(Vec<Bar>),
    RemoveTicks(Timestamp),
    RemoveBars(Interval, Timestamp),
    Reopen,
}

impl Left {
    fn newest(&self) -> Option<TickKey> {
        self.ticks.iter().map(Tick::key).max()
    }

    fn append(&mut self, tick: &Tick) {
        if self.ticks.iter().any(|known| known.key() == tick.key()) {
            return;
        }
        self.ticks.push(tick.clone());
        for interval in Interval::ALL {
            let key = (tick.symbol.clone(), interval, interval.start_of(tick.ts));
            match self.bars.get_mut(&key) {
                Some(bar) => bar.push(tick),
                None => {
                    self.bars.insert(key, Bar::from_tick(tick, interval));
                }
            }
        }
    }

    fn starts(&self, name: &str, interval: Interval) -> Vec<Timestamp> {
        let of = |key: &&Series| key.0.as_str() == name && key.1 == interval;
        self.bars.keys().filter(of).map(|key| key.2).collect()
    }
}

/// Ticks of three days, some in the same second.
fn some_ticks() -> impl Strategy<Value = Vec<Tick>> {
    let one = (0..3_i64, 0..6_i64, 0..3_u64, 1..40_u32, 1..20_u32);
    prop::collection::vec(one, 1..8).prop_map(|rows| {
        rows.into_iter()
            .map(|(day, second, seq, price, size)| {
                let ms = day * DAY_US / 1_000 + second * 500;
                let (price, size) = (f64::from(price) / 2.0, f64::from(size) / 4.0);
                tick(TICKS, ms, seq, price, size)
            })
            .collect()
    })
}

fn some_bars() -> impl Strategy<Value = Vec<Bar>> {
    let one = (0..2_usize, 0..4_u32, 4..40_u32);
    prop::collection::vec(one, 1..4).prop_map(|rows| {
        rows.into_iter()
            .map(|(interval, nth, close)| bar(BARS, PUT[interval], nth, f64::from(close) / 2.0))
            .collect()
    })
}

/// Starts of days, as removal by age asks for them.
fn a_cut() -> impl Strategy<Value = Timestamp> {
    (0..5_i64).prop_map(|day| Interval::D1.start_of(START).plus_micros(day * DAY_US))
}

pub struct ByAge;

impl ReferenceStateMachine for ByAge {
    type State = Left;
    type Transition = Call;

    fn init_state() -> BoxedStrategy<Left> {
        Just(Left::default()).boxed()
    }

    fn transitions(_: &Left) -> BoxedStrategy<Call> {
        let interval = prop::sample::select(Interval::ALL.to_vec());
        prop_oneof![
            6 => some_ticks().prop_map(Call::Append),
            2 => some_bars().prop_map(Call::Put),
            3 => a_cut().prop_map(Call::RemoveTicks),
            3 => (interval, a_cut()).prop_map(|(i, cut)| Call::RemoveBars(i, cut)),
            1 => Just(Call::Reopen),
        ]
        .boxed()
    }

    /// A late tick whose bar is removed makes a bar of what is there of it: which is for each side to say.
    fn preconditions(state: &Left, call: &Call) -> bool {
        let Call::Append(ticks) = call else {
            return true;
        };
        let has_bars = |tick: &Tick| {
            Interval::ALL.into_iter().all(|interval| {
                let starts = state.starts(TICKS, interval);
                let start = interval.start_of(tick.ts);
                starts.contains(&start) || starts.last().is_none_or(|last| *last < start)
            })
        };
        ticks.iter().all(has_bars)
    }

    fn apply(mut state: Left, call: &Call) -> Left {
        match call {
            Call::Append(ticks) => ticks.iter().for_each(|tick| state.append(tick)),
            Call::Put(bars) => state.bars.extend(
                bars.iter()
                    .map(|bar| ((bar.symbol.clone(), bar.interval, bar.start), bar.clone())),
            ),
            Call::RemoveTicks(before) => {
                let newest = state.newest();
                state
                    .ticks
                    .retain(|tick| tick.ts >= *before || Some(tick.key()) == newest);
            }
            Call::RemoveBars(interval, before) => {
                for name in [TICKS, BARS] {
                    let starts = state.starts(name, *interval);
                    let Some(newest) = starts.last() else {
                        continue;
                    };
                    state.bars.retain(|key, _| {
                        let of = key.0.as_str() == name && key.1 == *interval;
                        !of || key.2 >= *before || key.2 == *newest
                    });
                }
            }
            Call::Reopen => state.reopened = true,
        }
        state
    }
}

impl Reference for ByAge {
    fn reopens(call: &Call) -> bool {
        matches!(call, Call::Reopen)
    }

    async fn call(store: &dyn Database, before: &Left, after: &Left, call: &Call) {
        match call {
            Call::Append(ticks) => {
                let appended = store.append(ticks.clone()).await.unwrap();
                let new = &after.ticks[before.ticks.len()..];
                let stored: Vec<Tick> = appended.stored.into_iter().map(|s| s.tick).collect();
                assert_eq!(stored, new);
                assert_eq!(appended.duplicates, ticks.len() - new.len());
            }
            Call::Put(bars) => {
                assert_eq!(store.put_bars(bars.clone()).await.unwrap(), bars.len());
            }
            Call::RemoveTicks(at) => {
                let removed = store.remove_ticks(*at).await.unwrap().rows;
                assert_eq!(removed, (before.ticks.len() - after.ticks.len()) as u64);
            }
            Call::RemoveBars(interval, at) => {
                let removed = store.remove_bars(*interval, *at).await.unwrap().rows;
                let bars = (before.bars.len() - after.bars.len()) as u64;
                let of_several = before.reopened && bars > 0 && removed >= bars;
                assert!(
                    removed == bars || of_several,
                    "{removed} rows of {bars} bars"
                );
            }
            Call::Reopen => {}
        }
    }

    async fn compare(store: &dyn Database, state: &Left) {
        let symbol = symbol(TICKS);
        let stored = store.ticks_after(&symbol, 0, usize::MAX).await.unwrap();
        let ticks: Vec<Tick> = stored.iter().map(|s| s.tick.clone()).collect();
        assert_eq!(ticks, state.ticks);
        assert!(stored.is_sorted_by(|a, b| a.position < b.position));
        let latest = store.latest_tick(&symbol).await.unwrap();
        assert_eq!(latest.map(|latest| latest.tick.key()), state.newest());
        let names = BTreeSet::from([TICKS, BARS]);
        for name in names {
            let queries = Interval::ALL.map(|interval| all_of(name, interval));
            let found = store.bars_of(&queries).await.unwrap().concat();
            let expected: Vec<Bar> = state
                .bars
                .iter()
                .filter(|(key, _)| key.0.as_str() == name)
                .map(|(_, bar)| bar.clone())
                .collect();
            assert_eq!(found, expected);
        }
    }
}

pub async fn what_is_left_is_what_the_model_leaves(side: &dyn StoreUnderTest) {
    holds::<ByAge>(side).await;
}
