//! The closes that a round learns from.

use market::{Interval, Symbol, Timestamp};
use sha2::{Digest as _, Sha256};

use super::error::TrainingError;

/// Closes of closed bars, oldest first, with the starts of their bars.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    symbol: Symbol,
    interval: Interval,
    starts: Vec<Timestamp>,
    closes: Vec<f64>,
}

impl Series {
    /// Closes with the start of the bar of each.
    ///
    /// # Errors
    /// Not as many of one as of the other.
    pub fn new(
        symbol: Symbol,
        interval: Interval,
        starts: Vec<Timestamp>,
        closes: Vec<f64>,
    ) -> Result<Self, TrainingError> {
        if starts.len() != closes.len() {
            let reason = format!("{} starts and {} closes", starts.len(), closes.len());
            return Err(TrainingError::recipe("closes", reason));
        }
        Ok(Self {
            symbol,
            interval,
            starts,
            closes,
        })
    }

    /// Whose closes.
    #[must_use]
    pub const fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// The length of the bars.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// The starts of the bars.
    #[must_use]
    pub fn starts(&self) -> &[Timestamp] {
        &self.starts
    }

    /// The closes.
    #[must_use]
    pub fn closes(&self) -> &[f64] {
        &self.closes
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.closes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.closes.is_empty()
    }

    /// What was known at a time: the bars that had ended by then.
    #[must_use]
    pub fn known_at(&self, as_of: Timestamp) -> Self {
        let ended = |start: &Timestamp| self.interval.end_of(*start) <= as_of;
        // Starts that are out of order are for the checks to find: a bar after one that goes on goes, too.
        let known = self.starts.iter().take_while(|start| ended(start)).count();
        Self {
            symbol: self.symbol.clone(),
            interval: self.interval,
            starts: self.starts[..known].to_vec(),
            closes: self.closes[..known].to_vec(),
        }
    }

    /// SHA-256 of the starts (microseconds) and the closes (their bits), all little-endian, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for (start, close) in self.starts.iter().zip(&self.closes) {
            hash.update(start.as_micros().to_le_bytes());
            hash.update(close.to_bits().to_le_bytes());
        }
        hex(&hash.finalize())
    }
}

/// SHA-256 of bytes in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bars_that_had_ended_were_known() {
        let day = |n: i64| Timestamp::from_secs(86_400 * n);
        let (starts, closes) = (vec![day(1), day(2), day(3)], vec![1.0, 2.0, 3.0]);
        let series = Series::new("ACME".parse().unwrap(), Interval::D1, starts, closes).unwrap();
        assert_eq!(series.known_at(day(3)).closes(), [1.0, 2.0]);
        assert_eq!(
            series.known_at(day(3).plus_micros(-1)).starts(),
            &[day(1)][..]
        );
        assert_ne!(series.known_at(day(3)).sha256(), series.sha256());
    }

    // printf 'abc' | sha256sum
    #[test]
    fn hashes_are_written_as_sha256sum_does() {
        let want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), want);
    }
}
