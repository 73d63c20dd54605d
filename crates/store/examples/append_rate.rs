//! How fast the store takes ticks, how long an append lasts, and what it costs in memory.
//!
//! `cargo run --release -p store --example append_rate -- [ticks] [batch] [symbols] [ticks_per_second] [paced: 0 or 1]`
//!
//! Appends one batch after the other, as one consumer does: the ticks of all symbols interleaved,
//! market time advancing at the given rate; as fast as it can, or in step with the clock when paced.
//! Prints figures; asserts nothing.

use std::time::{Duration, Instant};

use market::{Symbol, Tick, Timestamp};
use store::{PriceReader, PriceWriter, SqliteOptions, SqliteStore};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(run())
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: usize| -> Result<usize, std::num::ParseIntError> {
        args.next().map_or(Ok(default), |text| text.parse())
    };
    let total = number(2_000_000)?;
    let batch = number(2_000)?;
    let symbols: Vec<Symbol> = (0..number(12)?)
        .map(|i| format!("SYM{i}").parse())
        .collect::<Result<_, _>>()?;
    let per_second = number(5_000)?;
    let paced = number(0)? > 0;

    let dir = tempfile::tempdir()?;
    let store = SqliteStore::open(SqliteOptions::new(dir.path())).await?;
    let tick = |i: usize| Tick {
        symbol: symbols[(i * 7) % symbols.len()].clone(),
        ts: Timestamp::from_micros(1_700_000_000_000_000 + (i * 1_000_000 / per_second) as i64),
        seq: i as u64,
        price: 100.0 + (i % 1_000) as f64 * 0.01,
        size: (i % 500) as f64 + 0.5,
    };
    let mut took = Vec::with_capacity(total / batch + 1);
    let mut bars = 0;
    let started = Instant::now();
    for first in (0..total).step_by(batch) {
        let ticks: Vec<Tick> = (first..total.min(first + batch)).map(tick).collect();
        if paced {
            let due = Duration::from_micros((first * 1_000_000 / per_second) as u64);
            tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
        }
        let at = Instant::now();
        bars += store.append(ticks).await?.bars.len();
        took.push(at.elapsed());
    }
    let elapsed = started.elapsed();
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!(
        "{total} ticks in batches of {batch} over {} symbols: {:.0} ticks/s",
        symbols.len(),
        total as f64 / elapsed.as_secs_f64()
    );
    println!(
        "append: p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}; {bars} bars written",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    let reads = Instant::now();
    let instruments = store.instruments().await?.len();
    println!("instruments() of {instruments}: {:?}", reads.elapsed());
    let reads = Instant::now();
    let after = store
        .ticks_after(&symbols[0], total as u64 / 2, 1_000)
        .await?
        .len();
    println!("ticks_after() of {after} ticks: {:?}", reads.elapsed());
    println!(
        "resident: {} MiB, peak {} MiB",
        memory("VmRSS"),
        memory("VmHWM")
    );
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir.path())? {
        bytes += entry?.metadata()?.len();
    }
    println!("on disk: {:.1} bytes per tick", bytes as f64 / total as f64);
    let closing = Instant::now();
    store.close().await?;
    println!("close: {:?}", closing.elapsed());
    Ok(())
}

/// A line of /proc/self/status, in MiB; 0 where there is none.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1_024)
}
