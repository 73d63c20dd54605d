//! Rows to ticks and bars: the one place where a row from outside is understood, whether it came by
//! push, over Kafka, from a provider or out of a CSV file.
//!
//! Model: a message is split into rows ([`split`]), a row is read into named fields of unknown
//! meaning ([`RawRow`]), and a [`RowBuilder`] makes a [`Tick`] or a [`Bar`] of them or says why it
//! cannot. A bad row never harms its neighbours.
//!
//! A row with open, high and low is a bar; any other is a trade. Spellings taken, in any case and
//! with spaces, `-` and `_` ignored:
//!
//! | field | spellings |
//! | --- | --- |
//! | symbol | symbol, ticker, sym, instrument, stock |
//! | time | timestamp, time, datetime, date, ts, t; `ts_us`, `ts_ms`, `ts_ns`, `ts_s` say the unit |
//! | sequence | seq, sequence, sequence_number, id, trade_id (numbers, or texts that are hashed) |
//! | price | price, last, last_price, trade_price; close when it is no bar |
//! | size | size, qty, quantity, volume, vol; amount when it is no bar and has no other |
//! | bar | open, high, low, close, volume, `adj close`, interval |
//!
//! Sequences: a row without one gets one derived from its price, its size and how many equal rows
//! (same symbol, time, price and size) stand before it in the same message: reading the message
//! again gives the same sequence, so a replay is harmless. The price of that: among trades of one
//! instant the order is then arbitrary, and equal trades of one instant in different messages count
//! as one.
//!
//! Intervals: a bar without one gets that which the spacing of the message's bars says, symbol by symbol
//! ([`crate::file`] says how); a bar of a date alone is one of `1d`. Where neither says it, the bar is refused.
//! A daily bar belongs to the date that is written, whatever offset stands behind it.
//!
//! What it does not do: compression, schemas other than JSON and named columns.

mod batches;
mod build;
mod intervals;
pub(crate) mod non_finite;
pub(crate) mod rejected_row;
mod row;
mod sequence;
mod split;

use market::{Bar, Reject, Tick, TickRules, Timestamp, excerpt};

pub use batches::{Decoding, MAX_REJECT_BYTES, MAX_REJECTS};
pub use build::{BuiltRow, Fault, RowBuilder, TimeUnit};
pub(crate) use build::{adjust, bar_of};
pub use row::{Field, RawRow, Scalar};
pub use sequence::hash_text;

/// What became of the rows of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// The good trades, in the order of the message.
    pub ticks: Vec<Tick>,
    /// The good bars, in the order of the message.
    pub bars: Vec<Bar>,
    /// The rows that cannot be used, in the order of the message; where some are left out, the last one
    /// stands for them.
    pub rejects: Vec<Reject>,
    /// Which row of the message each of them is, from 0; none of the one that stands for others.
    pub rejected_rows: Vec<usize>,
    /// How many that cannot be used are left out: of a message only [`MAX_REJECTS`] are kept.
    pub left_out: usize,
}

impl Decoded {
    /// How many rows the message had, good and bad.
    pub fn rows(&self) -> usize {
        self.ticks.len() + self.bars.len() + self.rejected()
    }

    /// How many rows cannot be used, those left out too.
    pub fn rejected(&self) -> usize {
        let summary = usize::from(self.left_out > 0);
        self.rejects.len() - summary + self.left_out
    }

    pub(crate) fn push(&mut self, row: BuiltRow) {
        match row {
            BuiltRow::Tick(tick) => self.ticks.push(tick),
            BuiltRow::Bar(bar) => self.bars.push(bar),
        }
    }
}

/// Decodes a JSON array of rows, rows one after the other (NDJSON), or one bare row, and checks each
/// against `rules` at the wall-clock time `now`. The keys of a row are listed in the module's
/// documentation.
///
/// Of a message that is cut off the complete rows go through and the rest becomes one reject, as
/// does anything that is not JSON. Rejects carry `origin`. An empty message has no rows.
///
/// Of more than [`MAX_REJECTS`] rejects, or [`MAX_REJECT_BYTES`], the last stands for those left out.
///
/// ```
/// use market::{TickRules, Timestamp};
/// use source::ticks_from_json;
///
/// let message = br#"[{"symbol": "ACME", "ts_us": 1764000000000000, "price": 10.5}, {"symbol": "ACME"}]"#;
/// let now = Timestamp::from_secs(1_764_000_060);
/// let decoded = ticks_from_json(message, "docs", now, &TickRules::default());
/// assert_eq!((decoded.ticks.len(), decoded.rejects.len()), (1, 1));
/// ```
pub fn ticks_from_json(message: &[u8], origin: &str, now: Timestamp, rules: &TickRules) -> Decoded {
    let mut decoding = Decoding::new(message, origin, now, rules);
    decoding.next_batch(usize::MAX).unwrap_or_default()
}

/// A reject of `bytes`; no more of them is copied than a reject keeps.
pub(crate) fn reject((reason, detail): Fault, origin: &str, bytes: &[u8]) -> Reject {
    reject_built((reason, excerpt(&detail).into_owned()), origin, bytes)
}

/// The same of a fault of a [`RowBuilder`], which quotes a part of each field only.
fn reject_built((reason, detail): Fault, origin: &str, bytes: &[u8]) -> Reject {
    let kept = &bytes[..bytes.len().min(Reject::MAX_PAYLOAD)];
    Reject::new(reason, detail, origin, String::from_utf8_lossy(kept))
}

#[cfg(test)]
mod tests;
