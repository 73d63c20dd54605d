//! Duplicate keys: two rows of one symbol and moment, in a file of any size and order.
//!
//! Model: an external sort. Keys are gathered into runs, each sorted and written to a temporary file
//! without a name, and the runs are merged. The keys then stand in the order of symbol and time, as the
//! rows would had the file been sorted: neighbours of one key are duplicates, and the distances between the
//! others are those that the interval is found from.
//!
//! What it does not do: compare the values themselves; it compares hashes of 64 bits of them.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{BufReader, BufWriter, Read, Seek, Write},
};

use super::input::file_error;
use crate::Result;

/// A row's key and what its values hash to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The number of the symbol.
    pub track: u32,
    /// Microseconds since the epoch.
    pub instant: i64,
    /// Microseconds on the calendar and clock written.
    pub civil: i64,
    /// The trade's id; 0 for bars.
    pub seq: u64,
    /// The number of the row.
    pub row: u64,
    /// The hash of its values.
    pub values: u64,
}

const KEY_BYTES: usize = 44;
/// Keys that are sorted in memory: 24 MB.
const RUN_KEYS: usize = 1 << 19;

impl Key {
    fn to_bytes(self) -> [u8; KEY_BYTES] {
        let mut bytes = [0; KEY_BYTES];
        bytes[..4].copy_from_slice(&self.track.to_le_bytes());
        let words = [
            self.instant as u64,
            self.civil as u64,
            self.seq,
            self.row,
            self.values,
        ];
        for (chunk, word) in bytes[4..].chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        let mut words = [0_u64; 5];
        for (word, chunk) in words.iter_mut().zip(bytes[4..].chunks_exact(8)) {
            let mut eight = [0; 8];
            eight.copy_from_slice(chunk);
            *word = u64::from_le_bytes(eight);
        }
        Self {
            track: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            instant: words[0] as i64,
            civil: words[1] as i64,
            seq: words[2],
            row: words[3],
            values: words[4],
        }
    }
}

/// Takes keys in any order and gives them back sorted.
#[derive(Default)]
pub struct Keys {
    run: Vec<Key>,
    files: Vec<File>,
}

impl Keys {
    /// Takes a key.
    ///
    /// # Errors
    /// [`crate::SourceError::File`] when a temporary file cannot be written.
    pub fn push(&mut self, key: Key) -> Result<()> {
        self.run.push(key);
        if self.run.len() >= RUN_KEYS {
            self.spill().map_err(|e| failed(&e))?;
        }
        Ok(())
    }

    fn spill(&mut self) -> std::io::Result<()> {
        self.run.sort_unstable();
        let mut out = BufWriter::with_capacity(1 << 16, tempfile::tempfile()?);
        for key in self.run.drain(..) {
            out.write_all(&key.to_bytes())?;
        }
        let mut file = out.into_inner()?;
        file.rewind()?;
        self.files.push(file);
        Ok(())
    }

    /// Hands on all keys in order.
    ///
    /// # Errors
    /// [`crate::SourceError::File`] when a temporary file cannot be read, or what `each` says.
    pub fn in_order(mut self, mut each: impl FnMut(Key) -> Result<()>) -> Result<()> {
        self.run.sort_unstable();
        let mut runs: Vec<BufReader<File>> = self
            .files
            .drain(..)
            .map(|file| BufReader::with_capacity(1 << 16, file))
            .collect();
        let mut last = self.run.into_iter();
        let count = runs.len();
        let mut next = |run: usize| -> Result<Option<Key>> {
            if run == count {
                return Ok(last.next());
            }
            let mut bytes = [0; KEY_BYTES];
            match runs[run].read_exact(&mut bytes) {
                Ok(()) => Ok(Some(Key::from_bytes(bytes))),
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
                Err(e) => Err(failed(&e)),
            }
        };
        let mut heads = BinaryHeap::new();
        for run in 0..=count {
            if let Some(key) = next(run)? {
                heads.push(Reverse((key, run)));
            }
        }
        while let Some(Reverse((key, run))) = heads.pop() {
            each(key)?;
            if let Some(key) = next(run)? {
                heads.push(Reverse((key, run)));
            }
        }
        Ok(())
    }
}

fn failed(error: &std::io::Error) -> crate::SourceError {
    file_error(&std::env::temp_dir(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_keys_than_fit_in_memory_come_back_in_order() {
        let mut keys = Keys::default();
        let count = RUN_KEYS as u64 * 2 + 12_345;
        for row in 0..count {
            let mixed = row.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            keys.push(Key {
                track: (mixed >> 62) as u32,
                instant: (mixed >> 8) as i64 % 1_000_000 - 500_000,
                civil: -7,
                seq: 0,
                row,
                values: mixed,
            })
            .unwrap();
        }
        assert_eq!(keys.files.len(), 2);
        let (mut seen, mut rows, mut last) = (0, 0_u64, None);
        keys.in_order(|key| {
            assert!(last < Some(key));
            assert_eq!(
                (key.civil, key.values),
                (-7, key.row.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            );
            last = Some(key);
            seen += 1;
            rows += key.row;
            Ok(())
        })
        .unwrap();
        assert_eq!((seen, rows), (count, count * (count - 1) / 2));
    }
}
