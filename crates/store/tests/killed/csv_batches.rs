//! What the writer of CSV files writes.

use market::{Tick, Timestamp};

const BATCH: u64 = 60;
const DAY_MS: i64 = 86_400_000;

/// Batch `n`: always the same ticks, of two symbols; each batch lies an hour after the one before.
pub fn batch(n: u64) -> Vec<Tick> {
    (n * BATCH..(n + 1) * BATCH)
        .map(|i| Tick {
            symbol: ["A", "B"][(i % 2) as usize].parse().unwrap(),
            ts: Timestamp::from_millis(1_700_000_000_000 + n as i64 * DAY_MS / 24 + i as i64),
            seq: i,
            price: 100.0 + (i * 7 % 50) as f64 / 8.0,
            size: (i % 5) as f64,
        })
        .collect()
}
