//! Sequences for rows whose provider numbers them with texts or not at all.

use std::collections::HashMap;

use market::{Symbol, Timestamp};

/// The stores keep the sequence as a signed 64-bit integer.
const MASK: u64 = i64::MAX as u64;

/// FNV-1a, 64 bits (Fowler, Noll, Vo: offset basis 0xcbf29ce484222325, prime 0x100000001b3): the
/// same on every machine and in every version, which the standard library's hasher does not promise.
fn fnv(bytes: impl IntoIterator<Item = u8>, mut hash: u64) -> u64 {
    for byte in bytes {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// The sequence of a trade whose id is a text: always the same, at most `i64::MAX`.
pub fn hash_text(id: &str) -> u64 {
    fnv(id.bytes(), BASIS) & MASK
}

/// So many different rows are counted at most: about 10 MB. When there are more, counting begins
/// anew: at the same row at every reading, so that the sequences stay the same.
const MAX_COUNTED: usize = 200_000;

/// Derives the sequences of one message.
#[derive(Debug, Default)]
pub struct Sequences {
    seen: HashMap<(Symbol, Timestamp, u64), u64>,
}

impl Sequences {
    /// The sequence of the next row with this content.
    pub fn next(&mut self, symbol: &Symbol, ts: Timestamp, price: f64, size: f64) -> u64 {
        let content = fnv(price.to_bits().to_le_bytes(), BASIS);
        let content = fnv(size.to_bits().to_le_bytes(), content);
        if self.seen.len() >= MAX_COUNTED {
            self.seen.clear();
        }
        let count = self
            .seen
            .entry((symbol.clone(), ts, content))
            .and_modify(|n| *n += 1)
            .or_insert(0);
        fnv(count.to_le_bytes(), content) & MASK
    }
}
