//! The stages from source to readers under faults that a seed decides, in simulated time.
//!
//! Model: one world for each seed. Its clock is tokio's, paused: it jumps to the next moment at which
//! something is due, so hours pass in milliseconds. The bus is the real in-process one and outlives the
//! process of the pipeline, which is killed again and again; the store is the real SQLite side in a folder
//! of its own. In front of both stand layers that refuse, lose answers, are slow, give records again, as
//! the seed says (`store`, `bus`); the source repeats itself and fails, rows come late or are no rows, and
//! the wall clock steps back (`world`, `source`). At last the faults end and everything that was sent must
//! be there.
//!
//! Each call of the store is made in one step on the world's only thread, which waits for it outside of
//! simulated time. So a seed decides the order of things, but for what tokio's `select!` leaves open when
//! two branches are ready at the same moment.
//!
//! A world that fails names its seed: `SIMULATION_SEED=7 cargo test -p pipeline --test simulation` runs
//! that one, `SIMULATION_SEEDS=10000` so many.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bus;
mod process;
mod reader;
mod source;
mod store;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use world::World;

/// Worlds by default.
const SEEDS: u64 = 500;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn run(seed: u64) -> world::Story {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(process::live_through(World::new(seed)))
}

#[test]
fn whatever_fails_nothing_is_lost_nothing_comes_twice_and_readers_see_each_tick_once() {
    let (first, seeds) = match setting("SIMULATION_SEED") {
        Some(seed) => (seed, 1),
        None => (0, setting("SIMULATION_SEEDS").unwrap_or(SEEDS)),
    };
    let next = AtomicU64::new(first);
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let (mut failed, mut total) = (Vec::new(), world::Story::default());
    thread::scope(|scope| {
        let work = || {
            let (mut failed, mut total) = (Vec::new(), world::Story::default());
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + seeds {
                    return (failed, total);
                }
                match catch_unwind(AssertUnwindSafe(|| run(seed))) {
                    Ok(story) => total.add(&story),
                    Err(why) => {
                        let text = why.downcast_ref::<String>().cloned();
                        let text = text.or_else(|| why.downcast_ref::<&str>().map(|t| (*t).into()));
                        failed.push((seed, text.unwrap_or_default()));
                    }
                }
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (of_worker, told) = worker.join().unwrap();
            failed.extend(of_worker);
            total.add(&told);
        }
    });
    failed.sort();
    let told: Vec<String> = failed
        .iter()
        .map(|(seed, why)| format!("SIMULATION_SEED={seed}: {why}"))
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {seeds} failed:\n{}",
        failed.len(),
        told.join("\n")
    );
    println!("{seeds} worlds: {total:?}");
    if setting("SIMULATION_SEED").is_none() && seeds >= 100 {
        // A simulation in which nothing happens shows nothing.
        for (what, count) in total.counts() {
            assert!(count >= seeds, "only {count} {what} in {seeds} worlds");
        }
    }
}
