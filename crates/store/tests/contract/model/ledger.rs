//! The forecast ledger: entries that never change, scored in order, and their scoreboard.

use std::collections::BTreeMap;

use market::{Band, ErrorKind, Fan, Interval, Timestamp};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use store::{LedgerQuery, Recorded, StepOutcome};

use super::{Reference, holds};
use crate::suite::{Database, START, StoreUnderTest, symbol};

const SYMBOLS: [&str; 2] = ["A", "B"];
/// A name may hold what separates keys elsewhere.
const MODELS: [&str; 3] = ["naive", "arima(1,1,1)", "a|b:1,2"];
const STEPS: usize = 3;

#[derive(Clone, Debug)]
struct Entry {
    fan: Fan,
    /// What came and what naive said, by step.
    outcomes: Vec<(f64, f64)>,
}

/// The entries in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
pub enum Call {
    Record(Vec<Fan>),
    /// Scores steps of the entry at a place: from that step on so many.
    Score {
        entry: usize,
        from: u32,
        count: u32,
        actual: f64,
        naive: f64,
    },
    Reopen,
}

fn is_same(a: &Fan, b: &Fan) -> bool {
    let key = |fan: &Fan| (fan.symbol.clone(), fan.interval, fan.origin);
    key(a) == key(b) && a.model == b.model
}

fn in_time(fan: &Fan) -> bool {
    fan.made_at <= fan.interval.end_of(fan.targets[0])
}

impl Ledger {
    /// What a record answers: for each fan, the place of its entry and whether it is new.
    fn record(&mut self, fans: &[Fan]) -> Vec<Option<(usize, bool)>> {
        let one = |fan: &Fan| {
            if let Some(at) = self.entries.iter().position(|e| is_same(&e.fan, fan)) {
                return Some((at, false));
            }
            in_time(fan).then(|| {
                self.entries.push(Entry {
                    fan: fan.clone(),
                    outcomes: Vec::new(),
                });
                (self.entries.len() - 1, true)
            })
        };
        fans.iter().map(one).collect()
    }

    /// How many outcomes are new; `None` when they leave a step out.
    fn score(&mut self, entry: usize, from: u32, count: u32, of: (f64, f64)) -> Option<usize> {
        let entry = self.entries.get_mut(entry)?;
        let (first, last) = (from as usize, (from + count - 1) as usize);
        let scored = entry.outcomes.len();
        let new = last.saturating_sub(scored);
        if new > 0 && (first > scored + 1 || last > STEPS) {
            return None;
        }
        entry.outcomes.extend(std::iter::repeat_n(of, new));
        Some(new)
    }
}

fn some_fans() -> impl Strategy<Value = Vec<Fan>> {
    let one = (0..2_usize, 0..3_usize, 0..5_i64, 0..4_i64, 1..40_u32);
    prop::collection::vec(one, 1..5).prop_map(|rows| {
        rows.into_iter()
            .map(|(name, model, nth, late, price)| {
                let origin = START.plus_micros(nth * 60_000_000);
                let mean = vec![f64::from(price) / 2.0; STEPS];
                let band = |level: f64, width: f64| Band {
                    level,
                    lower: mean.iter().map(|m| m - width).collect(),
                    upper: mean.iter().map(|m| m + width).collect(),
                };
                Fan {
                    symbol: symbol(SYMBOLS[name]),
                    interval: Interval::M1,
                    model: MODELS[model].to_owned(),
                    origin,
                    origin_close: f64::from(price),
                    // One of four is late; that of 2 is made at the very end of the first target.
                    made_at: origin.plus_micros((late * 60 + i64::from(late == 3)) * 1_000_000),
                    targets: (1..=STEPS as u32)
                        .map(|step| Interval::M1.step_after(origin, step))
                        .collect(),
                    bands: vec![band(80.0, 1.0), band(95.0, 4.0)],
                    mean,
                }
            })
            .collect()
    })
}

pub struct Forecasts;

impl ReferenceStateMachine for Forecasts {
    type State = Ledger;
    type Transition = Call;

    fn init_state() -> BoxedStrategy<Ledger> {
        Just(Ledger::default()).boxed()
    }

    fn transitions(_: &Ledger) -> BoxedStrategy<Call> {
        let score = (0..6_usize, 1..5_u32, 1..4_u32, 1..40_u32, 1..40_u32);
        prop_oneof![
            3 => some_fans().prop_map(Call::Record),
            5 => score.prop_map(|(entry, from, count, actual, naive)| Call::Score {
                entry,
                from,
                count,
                actual: f64::from(actual) / 2.0,
                naive: f64::from(naive) / 2.0,
            }),
            1 => Just(Call::Reopen),
        ]
        .boxed()
    }

    fn apply(mut state: Ledger, call: &Call) -> Ledger {
        match call {
            Call::Record(fans) => {
                state.record(fans);
            }
            Call::Score {
                entry,
                from,
                count,
                actual,
                naive,
            } => {
                state.score(*entry, *from, *count, (*actual, *naive));
            }
            Call::Reopen => {}
        }
        state
    }
}

fn of_symbol(name: &str) -> LedgerQuery {
    LedgerQuery {
        symbol: symbol(name),
        interval: Interval::M1,
        model: None,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        limit: usize::MAX,
    }
}

/// The id of the entry at a place; an id that there is none of, where there is none.
async fn id_at(store: &dyn Database, state: &Ledger, at: usize) -> i64 {
    let Some(entry) = state.entries.get(at) else {
        return i64::from(i32::MAX);
    };
    let rows = store.ledger(&of_symbol(entry.fan.symbol.as_str())).await;
    let rows = rows.unwrap();
    let row = rows.iter().find(|row| is_same(&row.fan, &entry.fan));
    row.unwrap().id
}

impl Reference for Forecasts {
    fn reopens(call: &Call) -> bool {
        matches!(call, Call::Reopen)
    }

    async fn call(store: &dyn Database, before: &Ledger, after: &Ledger, call: &Call) {
        match call {
            Call::Record(fans) => {
                let answers = store.record(fans.clone()).await.unwrap();
                let expected = before.clone().record(fans);
                assert_eq!(answers.len(), expected.len());
                for (answer, expected) in answers.into_iter().zip(expected) {
                    let expected = match expected {
                        Some((at, true)) => Recorded::New(id_at(store, after, at).await),
                        Some((at, false)) => Recorded::AlreadyThere(id_at(store, after, at).await),
                        None => Recorded::TooLate,
                    };
                    assert_eq!(answer, expected);
                }
            }
            Call::Score {
                entry,
                from,
                count,
                actual,
                naive,
            } => {
                let id = id_at(store, before, *entry).await;
                // The last step first: they are scored in order whatever their order in the call.
                let outcomes = (*from..from + count).rev().map(|step| StepOutcome {
                    forecast_id: id,
                    step,
                    actual: *actual,
                    naive: *naive,
                });
                let scored = store.score(outcomes.collect()).await;
                let expected = before
                    .clone()
                    .score(*entry, *from, *count, (*actual, *naive));
                match (scored, expected) {
                    (Ok(new), expected) => assert_eq!(Some(new), expected),
                    (Err(error), None) => {
                        let there = *entry < before.entries.len();
                        let kind = if there {
                            ErrorKind::Invalid
                        } else {
                            ErrorKind::NotFound
                        };
                        assert_eq!(error.kind(), kind, "{error}");
                    }
                    (Err(error), Some(new)) => panic!("{error}, and not {new} new outcomes"),
                }
            }
            Call::Reopen => {}
        }
    }

    async fn compare(store: &dyn Database, state: &Ledger) {
        for name in SYMBOLS {
            let mut of: Vec<&Entry> = state
                .entries
                .iter()
                .filter(|entry| entry.fan.symbol.as_str() == name)
                .collect();
            // What is due half an hour and three minutes after the start: some, and all.
            for minutes in [3, 30] {
                let now = START.plus_micros(minutes * 60_000_000);
                let symbol = symbol(name);
                let due = store.due(&symbol, Interval::M1, now, usize::MAX).await;
                let due: Vec<(Fan, u32)> = due
                    .unwrap()
                    .into_iter()
                    .map(|open| (open.fan, open.scored_steps))
                    .collect();
                let is_due = |entry: &&&Entry| {
                    let next = entry.fan.targets.get(entry.outcomes.len());
                    next.is_some_and(|target| Interval::M1.end_of(*target) <= now)
                };
                let mut expected: Vec<(Fan, u32)> = of
                    .iter()
                    .filter(is_due)
                    .map(|entry| (entry.fan.clone(), entry.outcomes.len() as u32))
                    .collect();
                // Oldest origin first, then as they were written.
                expected.sort_by_key(|(fan, _)| fan.origin);
                assert_eq!(due, expected);
            }
            of.sort_by(|a, b| (a.fan.origin, &a.fan.model).cmp(&(b.fan.origin, &b.fan.model)));
            let rows = store.ledger(&of_symbol(name)).await.unwrap();
            let rows: Vec<(Fan, Vec<f64>)> =
                rows.into_iter().map(|row| (row.fan, row.actuals)).collect();
            let expected: Vec<(Fan, Vec<f64>)> = of
                .iter()
                .map(|entry| {
                    let actuals = entry.outcomes.iter().map(|(actual, _)| *actual);
                    (entry.fan.clone(), actuals.collect())
                })
                .collect();
            assert_eq!(rows, expected);
            let latest = LedgerQuery {
                model: Some(MODELS[1].to_owned()),
                limit: 2,
                ..of_symbol(name)
            };
            let rows = store.ledger(&latest).await.unwrap();
            let of_model: Vec<&(Fan, Vec<f64>)> = expected
                .iter()
                .filter(|(fan, _)| fan.model == MODELS[1])
                .collect();
            let last = &of_model[of_model.len().saturating_sub(2)..];
            let rows: Vec<(Fan, Vec<f64>)> =
                rows.into_iter().map(|row| (row.fan, row.actuals)).collect();
            assert_eq!(rows.iter().collect::<Vec<_>>(), last);
        }
        compare_scores(store, state).await;
    }
}

/// Of a model and step: outcomes, sums of errors, of their squares and of naive's, and how many lay
/// inside each band.
type Sums = (u64, f64, f64, f64, [u64; 2]);

async fn compare_scores(store: &dyn Database, state: &Ledger) {
    let mut expected: BTreeMap<(String, String, u32), Sums> = BTreeMap::new();
    for entry in &state.entries {
        for (at, (actual, naive)) in entry.outcomes.iter().enumerate() {
            let key = (
                entry.fan.symbol.to_string(),
                entry.fan.model.clone(),
                at as u32 + 1,
            );
            let sums = expected.entry(key).or_default();
            let error = (actual - entry.fan.mean[at]).abs();
            sums.0 += 1;
            sums.1 += error;
            sums.2 += error * error;
            sums.3 += (actual - naive).abs();
            for (inside, width) in sums.4.iter_mut().zip([1.0, 4.0]) {
                *inside += u64::from(error <= width);
            }
        }
    }
    let board = store.scoreboard(None, None).await.unwrap();
    let found: Vec<(String, String, u32)> = board
        .iter()
        .map(|row| (row.symbol.to_string(), row.model.clone(), row.step))
        .collect();
    assert_eq!(found, expected.keys().cloned().collect::<Vec<_>>());
    for (row, (count, error, square, naive, inside)) in board.iter().zip(expected.values()) {
        assert_eq!(row.count, *count);
        let of = *count as f64;
        let [in_80, in_95] = inside.map(|inside| inside as f64 / of);
        assert_eq!(row.coverage, [(80.0, in_80), (95.0, in_95)]);
        let means = [error / of, (square / of).sqrt(), naive / of];
        for (found, expected) in [row.mae, row.rmse, row.naive_mae].iter().zip(means) {
            // Numbers are halves: sums are exact, a root is not.
            assert!((found - expected).abs() <= 1e-12 * expected, "{row:?}");
        }
    }
}

pub async fn the_ledger_is_that_of_the_model(side: &dyn StoreUnderTest) {
    holds::<Forecasts>(side).await;
}
