//! A reference model per port, and sequences of calls in which every side must answer as the model does.
//!
//! Model: [`Reference`] says what a state is, which calls come next, what they change, and how a store is
//! compared with it. [`holds`] makes up sequences and, of one that fails, finds a short one that still fails.
//!
//! `TICKCAST_MODEL_CASES` sets how many sequences are tried of each model; without it a few, so that the tests
//! stay quick.

pub mod dead_letters;
pub mod jobs;
pub mod ledger;
pub mod prices;
pub mod retention;

use std::sync::{Arc, atomic::Ordering};

use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use store::DeadLetterQuota;

use crate::suite::{Database, PLENTY, StoreUnderTest};

/// Calls of a sequence at most.
const CALLS: usize = 14;

/// What a store is compared with.
pub trait Reference: ReferenceStateMachine {
    /// The dead letters that the stores keep.
    const QUOTA: DeadLetterQuota = PLENTY;

    /// Whether the call closes the store and opens it again.
    fn reopens(call: &Self::Transition) -> bool;

    /// Makes the call. `before` and `after` are the model's states; what the call answers must be what
    /// follows from them.
    async fn call(
        store: &dyn Database,
        before: &Self::State,
        after: &Self::State,
        call: &Self::Transition,
    );

    /// Compares everything that can be read.
    async fn compare(store: &dyn Database, state: &Self::State);
}

fn cases(side: &dyn StoreUnderTest) -> u32 {
    match std::env::var("TICKCAST_MODEL_CASES") {
        Ok(cases) => cases.parse().unwrap(),
        Err(_) => side.model_cases(),
    }
}

async fn run<R: Reference>(
    side: &dyn StoreUnderTest,
    mut state: R::State,
    calls: Vec<R::Transition>,
    mut made: impl FnMut(),
) {
    let mut place = side.place(R::QUOTA).await;
    let mut store: Arc<dyn Database> = place.open().await;
    for call in calls {
        made();
        let after = R::apply(state.clone(), &call);
        if R::reopens(&call) {
            drop(store);
            store = place.open().await;
        } else {
            R::call(&*store, &state, &after, &call).await;
        }
        R::compare(&*store, &after).await;
        state = after;
    }
}

/// Whether a side answers as the model does.
pub async fn holds<R: Reference>(side: &dyn StoreUnderTest) {
    let config = Config {
        cases: cases(side),
        failure_persistence: None,
        ..Config::default()
    };
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(
                &R::sequential_strategy(1..=CALLS),
                |(state, calls, seen)| {
                    // While a failure is made shorter, the strategy asks how many calls were made.
                    let made = || {
                        if let Some(seen) = &seen {
                            seen.fetch_add(1, Ordering::SeqCst);
                        }
                    };
                    handle.block_on(run::<R>(side, state, calls, made));
                    Ok(())
                },
            )
            .unwrap();
    });
}
