//! A message decoded batch by batch, with a bound on what is kept of bad rows.
//!
//! Model: whoever stores rows takes some, stores them, and takes the next: a message then costs its own
//! bytes and one batch, however many rows it has. Every rejected row is counted, but they are kept up to a
//! number and a size; the last one stands for the others and says how many there are of each reason.
//!
//! Bars that do not say their interval come last: it is inferred from all of them.
//!
//! What it does not do: undo batches that were taken; storing a row twice does no harm.

use std::collections::BTreeMap;

use market::{Reject, RejectReason, TickRules, Timestamp};

use super::{
    Decoded,
    build::{BuiltRow, Fault, RowBuilder},
    intervals::interval_of,
    reject, reject_built,
    row::{self, RawRow},
    split,
};

/// Rejects that are kept of one message, besides the one that stands for the others.
pub const MAX_REJECTS: usize = 1_000;

/// Bytes of payload that are kept of the rejects of one message.
pub const MAX_REJECT_BYTES: usize = 4 * 1024 * 1024;

/// A message that is being decoded.
///
/// ```
/// use market::{TickRules, Timestamp};
/// use source::Decoding;
///
/// let row = "{\"symbol\": \"ACME\", \"ts_us\": 1764000000000000, \"price\": 10.5}\n";
/// let message = row.repeat(5);
/// let (now, rules) = (Timestamp::from_secs(1_764_000_060), TickRules::default());
/// let mut decoding = Decoding::new(message.as_bytes(), "docs", now, &rules);
/// let mut sizes = Vec::new();
/// while let Some(batch) = decoding.next_batch(2) {
///     sizes.push(batch.ticks.len());
/// }
/// assert_eq!(sizes, [2, 2, 1]);
/// ```
pub struct Decoding<'a> {
    rows: split::Rows<'a>,
    /// Bars that do not say their interval, until all rows were seen; then the next of them, and why it
    /// cannot be told.
    open: Vec<(usize, &'a [u8])>,
    /// Rows seen.
    seen: usize,
    next_open: Option<usize>,
    why: Option<String>,
    builder: RowBuilder<'a>,
    message: &'a [u8],
    origin: &'a str,
    most_rejects: usize,
    kept: usize,
    kept_bytes: usize,
    left_out: BTreeMap<RejectReason, usize>,
    ended: bool,
}

impl std::fmt::Debug for Decoding<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoding")
            .field("bytes", &self.message.len())
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl<'a> Decoding<'a> {
    /// Of a message as [`super::ticks_from_json`] takes it.
    pub fn new(message: &'a [u8], origin: &'a str, now: Timestamp, rules: &'a TickRules) -> Self {
        Self {
            rows: split::rows(message),
            open: Vec::new(),
            seen: 0,
            next_open: None,
            why: None,
            builder: RowBuilder::new(rules, now),
            message,
            origin,
            most_rejects: MAX_REJECTS,
            kept: 0,
            kept_bytes: 0,
            left_out: BTreeMap::new(),
            ended: false,
        }
    }

    /// Keeps another number of rejects.
    #[must_use]
    pub const fn with_most_rejects(mut self, most: usize) -> Self {
        self.most_rejects = most;
        self
    }

    /// The next rows: at most `most` good ones, and the bad ones between them. `None` after the last.
    pub fn next_batch(&mut self, most: usize) -> Option<Decoded> {
        if self.ended {
            return None;
        }
        let mut decoded = Decoded::default();
        // The canonical row has about 80 bytes.
        decoded.ticks.reserve(most.min(self.message.len() / 96));
        let mut good = 0;
        while good < most {
            let piece = self.rows.next();
            let mut at = self.seen;
            self.seen += usize::from(piece.is_some());
            let (bytes, built) = match piece {
                Some(split::Piece::Row(bytes)) => match row::parse(bytes) {
                    Ok(raw) if raw.is_bar() && !raw.interval.is_some() => {
                        self.open.push((at, bytes));
                        continue;
                    }
                    Ok(raw) => (bytes, self.build(&raw, bytes)),
                    Err(fault) => (bytes, Err(fault)),
                },
                Some(split::Piece::Broken { bytes, detail }) => {
                    (bytes, Err((RejectReason::Unparsable, detail)))
                }
                None => match self.next_open() {
                    Some((row, bytes, built)) => {
                        at = row;
                        (bytes, built)
                    }
                    None => {
                        self.ended = true;
                        self.sum_up(&mut decoded);
                        break;
                    }
                },
            };
            match built {
                Ok(row) => {
                    decoded.push(row);
                    good += 1;
                }
                Err(fault) => self.reject(&mut decoded, at, bytes, fault),
            }
        }
        Some(decoded)
    }

    /// The next of the bars that do not say their interval, and what became of it.
    fn next_open(&mut self) -> Option<(usize, &'a [u8], Result<BuiltRow, Fault>)> {
        let at = match self.next_open {
            Some(at) => at,
            None if self.open.is_empty() => return None,
            None => {
                let bars: Vec<&[u8]> = self.open.iter().map(|(_, bytes)| *bytes).collect();
                match interval_of(&bars) {
                    Ok(interval) => self.builder.set_interval(Some(interval)),
                    Err(why) => self.why = Some(why),
                }
                0
            }
        };
        self.next_open = Some(at + 1);
        let (row, bytes) = *self.open.get(at)?;
        let built = row::parse(bytes).and_then(|raw| self.build(&raw, bytes));
        let built = built.map_err(|(reason, detail)| match &self.why {
            Some(why) if detail.starts_with("interval is missing") => {
                (reason, format!("{detail}; {why}"))
            }
            _ => (reason, detail),
        });
        Some((row, bytes, built))
    }

    /// What a row becomes; of one that would not be kept, the first fault is enough.
    fn build(&mut self, raw: &RawRow<'_>, bytes: &[u8]) -> Result<BuiltRow, Fault> {
        if self.has_room(bytes) {
            self.builder.build(raw)
        } else {
            self.builder.build_whole(raw)
        }
    }

    /// Whether a row is kept if it cannot be used.
    fn has_room(&self, bytes: &[u8]) -> bool {
        self.kept < self.most_rejects && self.kept_bytes + kept_of(bytes) <= MAX_REJECT_BYTES
    }

    fn reject(&mut self, decoded: &mut Decoded, at: usize, bytes: &[u8], fault: Fault) {
        if !self.has_room(bytes) {
            *self.left_out.entry(fault.0).or_insert(0) += 1;
            return;
        }
        self.kept += 1;
        self.kept_bytes += kept_of(bytes);
        decoded.rejects.push(match fault.0 {
            RejectReason::Unparsable => reject(fault, self.origin, bytes),
            _ => reject_built(fault, self.origin, bytes),
        });
        decoded.rejected_rows.push(at);
    }

    /// The reject that stands for those left out. It has the reason that most of them have, and no payload:
    /// there is nothing in it to decode again.
    fn sum_up(&mut self, decoded: &mut Decoded) {
        let Some((reason, _)) = self.left_out.iter().max_by_key(|(_, count)| **count) else {
            return;
        };
        let left_out: usize = self.left_out.values().sum();
        let of_each: Vec<String> = self
            .left_out
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        let detail = format!(
            "{left_out} more rows of this message could not be used and are not kept: {}",
            of_each.join(", ")
        );
        decoded.left_out = left_out;
        decoded
            .rejects
            .push(Reject::new(*reason, detail, self.origin, ""));
    }
}

/// Bytes of a row's payload that are kept.
fn kept_of(bytes: &[u8]) -> usize {
    bytes.len().min(Reject::MAX_PAYLOAD)
}
