//! Sequences for trades that have none (see [`super`]).

use market::Tick;

use super::RowReader;
use crate::file::survey::RowOrder;

/// Of a sequence that is made of a number and a hash, the bits of the hash.
const HASH_BITS: u32 = 40;
/// The same where the number is that of the row.
const HASH_BITS_OF_ROWS: u32 = 24;
/// The most trades of one instant that are numbered.
const MAX_NUMBER: u64 = (1 << (63 - HASH_BITS)) - 1;

impl RowReader<'_> {
    pub(super) fn sequence(&mut self, tick: &Tick, of_symbol: u32, row: u64) -> u64 {
        let hash = (tick.price.to_bits() ^ tick.size.to_bits().rotate_left(32))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if self.order == RowOrder::Mixed {
            let row = row & ((1 << (63 - HASH_BITS_OF_ROWS)) - 1);
            return row << HASH_BITS_OF_ROWS | hash >> (64 - HASH_BITS_OF_ROWS);
        }
        let count = self
            .count(of_symbol as usize, tick.ts.as_micros())
            .min(MAX_NUMBER);
        let number = if self.order == RowOrder::NewestFirst {
            MAX_NUMBER - count
        } else {
            count
        };
        number << HASH_BITS | hash >> (64 - HASH_BITS)
    }

    /// How many trades of the symbol and instant stand before this one.
    fn count(&mut self, of_symbol: usize, instant: i64) -> u64 {
        if self.counted.len() <= of_symbol {
            self.counted.resize(of_symbol + 1, (i64::MIN, 0));
        }
        let counted = &mut self.counted[of_symbol];
        *counted = if counted.0 == instant {
            (instant, counted.1 + 1)
        } else {
            (instant, 0)
        };
        counted.1
    }
}
