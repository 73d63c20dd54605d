//! Kill -9 of a process that writes: what was acknowledged is there once, and the bars are right.
//!
//! The test starts its own binary again as the writer, lets it acknowledge batches on its standard
//! output, kills it at a moment that a seed decides, and looks at what is on disk. The next writer
//! sends its last batches again, as a consumer does that has not committed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use market::{Interval, Symbol, Tick, Timestamp, bars_from_ticks};
use store::{BarQuery, PriceReader, PriceWriter, SqliteOptions, SqliteStore};

const DIRECTORY: &str = "TICKCAST_KILL_TEST_DIRECTORY";
const FIRST_BATCH: &str = "TICKCAST_KILL_TEST_FIRST_BATCH";
const CHILD: &str = "the_process_that_is_killed_writes_batches";
const ROUNDS: u64 = 5;
const SYMBOLS: [&str; 3] = ["A", "B", "C"];
/// Writers in the child; batch n belongs to writer n mod this.
const WRITERS: u64 = 2;
const BATCH: u64 = 60;

/// Batch `n`: always the same ticks; some of them are late, all of them whole numbers.
fn batch(n: u64) -> Vec<Tick> {
    (n * BATCH..(n + 1) * BATCH)
        .map(|i| Tick {
            symbol: SYMBOLS[(i % 3) as usize].parse().unwrap(),
            ts: Timestamp::from_millis(
                1_700_000_000_000 + i as i64 * 9 - if i % 11 == 0 { 5_000 } else { 0 },
            ),
            seq: i,
            price: 100.0 + (i * 7 % 50) as f64,
            size: (i % 5) as f64,
        })
        .collect()
}

/// The child. Without its environment, as in an ordinary run, there is nothing to do.
#[test]
fn the_process_that_is_killed_writes_batches() {
    let (Ok(dir), Ok(first)) = (std::env::var(DIRECTORY), std::env::var(FIRST_BATCH)) else {
        return;
    };
    let first: u64 = first.parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(SqliteOptions::new(dir)).await.unwrap();
        let writers = (0..WRITERS).map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in (first..).filter(|n| n % WRITERS == writer) {
                    store.append(batch(n)).await.unwrap();
                    println!("acknowledged {n}");
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

/// Runs a writer from batch `first` until it has acknowledged `enough` batches and `more` has
/// passed, kills it, and returns all that it acknowledged.
fn write_and_kill(dir: &Path, first: u64, enough: usize, more: Duration) -> BTreeSet<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture"])
        .env(DIRECTORY, dir)
        .env(FIRST_BATCH, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = BTreeSet::new();
    let take = |line: std::io::Result<String>, acknowledged: &mut BTreeSet<u64>| {
        // A killed writer may leave half a line: no acknowledgement.
        let line = line.unwrap();
        if let Some((_, n)) = line.split_once("acknowledged ") {
            acknowledged.insert(n.parse().unwrap());
        }
    };
    while acknowledged.len() < enough {
        let line = lines.next().expect("the writer ended by itself");
        take(line, &mut acknowledged);
    }
    thread::sleep(more);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut rest: Vec<_> = lines.collect();
    // The last line may be cut off within its number.
    rest.pop();
    for line in rest {
        take(line, &mut acknowledged);
    }
    acknowledged
}

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
    let mut seed = 0x5EED_u64;
    let mut random = |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let first = acknowledged
            .last()
            .map_or(0, |last: &u64| last.saturating_sub(5));
        let (enough, more) = (5 + random(60), Duration::from_micros(random(30_000)));
        acknowledged.extend(write_and_kill(dir.path(), first, enough as usize, more));
        runtime.block_on(check(dir.path(), &acknowledged, round));
    }
    assert!(acknowledged.len() > 5 * 5);
}
