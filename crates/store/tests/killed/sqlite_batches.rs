//! What the writer over SQLite writes.

use market::{Tick, Timestamp};

pub const SYMBOLS: [&str; 3] = ["A", "B", "C"];
pub const BATCH: u64 = 60;

/// Batch `n`: always the same ticks; some of them are late, all of them whole numbers.
pub fn batch(n: u64) -> Vec<Tick> {
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
