//! Kill -9 of a process that writes: what was acknowledged is there once, the bars are right, and a job is done once
//! with all that it publishes.
//!
//! The writer is `killed/writer.rs`. It acknowledges batches on its standard output and is killed at a moment
//! that a seed decides; then the test looks at what is on disk.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "killed/sqlite_batches.rs"]
mod batches;
#[path = "killed/job_check.rs"]
mod job_check;
#[path = "killed/job_content.rs"]
mod job_content;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use batches::{BATCH, SYMBOLS, batch};
use market::{Interval, Symbol, Tick, Timestamp, bars_from_ticks};
use store::{BarQuery, PriceReader, SqliteOptions, SqliteStore};
use testing::kill;

const ROUNDS: u64 = 5;

async fn check(dir: &Path, acknowledged: &BTreeSet<u64>, round: u64) {
    let store = SqliteStore::open(SqliteOptions::new(dir)).await.unwrap();
    let mut by_seq: BTreeMap<u64, Tick> = BTreeMap::new();
    let mut positions = BTreeSet::new();
    for name in SYMBOLS {
        let symbol: Symbol = name.parse().unwrap();
        for stored in store.ticks_after(&symbol, 0, usize::MAX).await.unwrap() {
            assert!(positions.insert(stored.position), "a position came twice");
            let seq = stored.tick.seq;
            assert!(
                by_seq.insert(seq, stored.tick).is_none(),
                "{seq} is there twice"
            );
        }
    }
    // Batches are there as a whole or not at all; those acknowledged are there.
    let there: BTreeSet<u64> = by_seq.keys().map(|seq| seq / BATCH).collect();
    for n in &there {
        for tick in batch(*n) {
            assert_eq!(
                by_seq.get(&tick.seq),
                Some(&tick),
                "batch {n} in round {round}"
            );
        }
    }
    let missing: Vec<_> = acknowledged.difference(&there).collect();
    assert!(missing.is_empty(), "round {round} lost {missing:?}");
    // And the bars hold each of them once.
    let all: Vec<Tick> = by_seq.into_values().collect();
    let expected = bars_from_ticks(&all, &Interval::ALL);
    let mut stored = Vec::new();
    for name in SYMBOLS {
        for interval in Interval::ALL {
            let query = BarQuery {
                symbol: name.parse().unwrap(),
                interval,
                from: Timestamp::MIN,
                until: Timestamp::MAX,
                limit: usize::MAX,
            };
            stored.extend(store.bars(&query).await.unwrap());
        }
    }
    assert_eq!(stored, expected, "round {round}");
    store.close().await.unwrap();
}

#[test]
fn every_acknowledged_tick_is_there_once_after_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let acknowledged = kill::rounds(
        ROUNDS,
        0x5EED,
        |first| {
            let mut writer = Command::new(env!("CARGO_BIN_EXE_killed-writer"));
            writer.arg("sqlite").arg(dir.path()).arg(first.to_string());
            writer
        },
        |round, acknowledged| runtime.block_on(check(dir.path(), acknowledged, round)),
    );
    assert!(acknowledged.len() > 5 * 5);
}

#[test]
fn every_job_is_done_once_with_all_that_it_publishes_after_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let acknowledged = kill::rounds(
        ROUNDS,
        0x10B5,
        |first| {
            let mut writer = Command::new(env!("CARGO_BIN_EXE_killed-writer"));
            writer.arg("jobs").arg(dir.path()).arg(first.to_string());
            writer
        },
        |round, acknowledged| {
            runtime.block_on(async {
                let store = SqliteStore::open(SqliteOptions::new(dir.path())).await;
                let store = store.unwrap();
                job_check::check(&store, acknowledged, round).await;
                store.close().await.unwrap();
            });
        },
    );
    assert!(acknowledged.len() > 5 * 5);
}
