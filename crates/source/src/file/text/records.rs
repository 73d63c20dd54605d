//! The records of a text: lines split at their separators.
//!
//! Model: a line without a quote is split where its separators stand, which is most of the work in most
//! files; one with quotes is a record of CSV, which may go over several lines, and is read by `csv-core`.
//! Memory is bounded by the longest record: what is longer than [`MAX_RECORD`] is cut at its first line's
//! end.

use std::{io::Read, ops::ControlFlow};

use csv_core::ReadRecordResult;
use memchr::{memchr, memchr_iter};

use crate::{Result, SourceError};

/// The longest record that is put together, in bytes.
pub(super) const MAX_RECORD: usize = 1 << 20;
const BUFFER_BYTES: usize = 512 << 10;

/// The cells of a record.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    text: &'a [u8],
    bounds: &'a [(usize, usize)],
}

impl<'a> Cells<'a> {
    /// A record of one cell.
    pub(super) const fn one(text: &'a [u8], bounds: &'a [(usize, usize)]) -> Self {
        Self { text, bounds }
    }

    pub(super) const fn count(&self) -> usize {
        self.bounds.len()
    }

    /// A cell, without the spaces around it.
    #[inline]
    pub(super) fn get(&self, at: usize) -> &'a [u8] {
        let (start, end) = self.bounds[at];
        trimmed(&self.text[start..end])
    }

    /// How much text it is.
    pub(super) const fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The cells with their separators between them, and no more than so many bytes of them.
    pub(super) fn joined(&self, delimiter: u8, most: usize) -> Vec<u8> {
        let mut text = Vec::new();
        for (at, cell) in self.iter().enumerate() {
            if at > 0 {
                text.push(delimiter);
            }
            text.extend_from_slice(&cell[..cell.len().min(most)]);
            if text.len() >= most {
                break;
            }
        }
        text
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.count()).map(|at| self.get(at))
    }
}

#[inline]
fn trimmed(cell: &[u8]) -> &[u8] {
    match cell {
        [] => cell,
        [first, .., last] if *first > b' ' && *last > b' ' => cell,
        [only] if *only > b' ' => cell,
        _ => cell.trim_ascii(),
    }
}

/// What is done with each record: its line, from 1, and its cells.
pub(super) type Each<'a> = dyn FnMut(u64, Cells<'_>) -> Result<ControlFlow<()>> + 'a;

/// Hands on every record of `from`, of which `lines_before` lines were passed over.
pub(super) fn read(
    from: &mut dyn Read,
    delimiter: u8,
    lines_before: u64,
    failed: &dyn Fn(std::io::Error) -> SourceError,
    each: &mut Each<'_>,
) -> Result<()> {
    let mut buffer = vec![0_u8; BUFFER_BYTES];
    let (mut start, mut end, mut at_end) = (0, 0, false);
    let mut line = lines_before;
    let mut bounds: Vec<(usize, usize)> = Vec::new();
    let mut quoted = Quoted::new(delimiter);
    loop {
        // The next quote, from `start` on: before it every line is a plain one.
        let mut quote = memchr(b'"', &buffer[start..end]).map_or(end, |at| start + at);
        loop {
            let newline = memchr(b'\n', &buffer[start..end]).map(|at| start + at);
            let (stop, next) = match newline {
                Some(at) => (at, at + 1),
                None if at_end && start < end => (end, end),
                None => break,
            };
            let mut next = next;
            let mut taken = ControlFlow::Continue(());
            if quote < stop {
                match quoted.record(&buffer[start..end], at_end) {
                    Some(read) => {
                        next = start + read;
                        if !quoted.is_empty() {
                            taken = each(line + 1, quoted.cells())?;
                        }
                    }
                    None if end - start <= MAX_RECORD && !at_end => break,
                    // It never ends: its first line stands for itself.
                    None => {
                        split(&buffer[start..stop], delimiter, &mut bounds);
                        taken = each(line + 1, Cells::one(&buffer[start..stop], &bounds))?;
                    }
                }
                quote = memchr(b'"', &buffer[next..end]).map_or(end, |at| next + at);
            } else {
                let text = &buffer[start..stop];
                if !text.trim_ascii().is_empty() {
                    split(text, delimiter, &mut bounds);
                    taken = each(line + 1, Cells::one(text, &bounds))?;
                }
            }
            line += if next == stop + 1 || next == stop {
                u64::from(next > stop)
            } else {
                memchr_iter(b'\n', &buffer[start..next]).count() as u64
            };
            start = next;
            if taken.is_break() {
                return Ok(());
            }
        }
        if at_end && start >= end {
            return Ok(());
        }
        buffer.copy_within(start..end, 0);
        end -= start;
        start = 0;
        if end == buffer.len() {
            if end > 16 * MAX_RECORD {
                return Err(failed(std::io::Error::other(format!(
                    "line {} is longer than 16 MB",
                    line + 1
                ))));
            }
            buffer.resize(end * 2, 0);
        }
        match from.read(&mut buffer[end..]) {
            Ok(0) => at_end = true,
            Ok(n) => end += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
}

/// Finds the cells of a line without quotes.
#[inline]
pub(super) fn split(line: &[u8], delimiter: u8, bounds: &mut Vec<(usize, usize)>) {
    bounds.clear();
    let mut from = 0;
    for at in memchr_iter(delimiter, line) {
        bounds.push((from, at));
        from = at + 1;
    }
    bounds.push((from, line.len()));
}

/// Reads records with quotes.
struct Quoted {
    reader: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    bounds: Vec<(usize, usize)>,
    length: usize,
}

impl Quoted {
    fn new(delimiter: u8) -> Self {
        Self {
            reader: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            text: vec![0; 4_096],
            ends: vec![0; 64],
            bounds: Vec::new(),
            length: 0,
        }
    }

    /// Reads the record that `input` begins with, and returns how much of it that is; `None` when it does not
    /// end there.
    fn record(&mut self, input: &[u8], at_end: bool) -> Option<usize> {
        self.reader.reset();
        let (mut read, mut written, mut cells) = (0, 0, 0);
        loop {
            let rest = &input[read..];
            if rest.is_empty() && !at_end {
                return None;
            }
            let (result, n_in, n_out, n_ends) =
                self.reader
                    .read_record(rest, &mut self.text[written..], &mut self.ends[cells..]);
            read += n_in;
            written += n_out;
            cells += n_ends;
            match result {
                ReadRecordResult::InputEmpty if !at_end => return None,
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.text.len() > 2 * MAX_RECORD => return None,
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() > MAX_RECORD => return None,
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => {
                    cells = 0;
                    break;
                }
            }
        }
        self.length = written;
        self.bounds.clear();
        let mut from = 0;
        for end in &self.ends[..cells] {
            self.bounds.push((from, *end));
            from = *end;
        }
        Some(read)
    }

    const fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    fn cells(&self) -> Cells<'_> {
        Cells {
            text: &self.text[..self.length],
            bounds: &self.bounds,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives so many bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn records(text: &str, step: usize) -> Vec<(u64, Vec<String>)> {
        let mut all = Vec::new();
        let mut each = |line: u64, cells: Cells<'_>| {
            let cells = cells
                .iter()
                .map(|c| String::from_utf8_lossy(c).into_owned());
            all.push((line, cells.collect()));
            Ok(ControlFlow::Continue(()))
        };
        let failed = |e: std::io::Error| SourceError::File {
            path: String::new(),
            detail: e.to_string(),
            missing: false,
        };
        read(
            &mut Slow(text.as_bytes(), step),
            b',',
            0,
            &failed,
            &mut each,
        )
        .unwrap();
        all
    }

    /// As a library of CSV reads it.
    fn by_library(text: &str) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        reader
            .byte_records()
            .map(|record| {
                let record = record.unwrap();
                let cells = record
                    .iter()
                    .map(|c| String::from_utf8_lossy(c.trim_ascii()).into_owned());
                cells.collect()
            })
            .collect()
    }

    #[test]
    fn records_have_the_numbers_of_their_lines_over_quotes_and_empty_lines() {
        let text = "a,b\r\n\r\n1,2\r\n\"x\ny\",3\r\n\n4,\"5\"\"6\"\n7,8";
        for step in [1, 3, 1_000] {
            let found = records(text, step);
            let lines: Vec<u64> = found.iter().map(|(line, _)| *line).collect();
            assert_eq!(lines, [1, 3, 4, 7, 8], "{found:?}");
            assert_eq!(found[2].1, ["x\ny", "3"]);
            assert_eq!(found[3].1, ["4", "5\"6"]);
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_no_more_than_its_line_in_a_long_file() {
        let mut text = "1,2\n\"3,4\n".to_owned();
        for _ in 0..400_000 {
            text.push_str("5,6\n");
        }
        let found = records(&text, 1 << 16);
        assert_eq!(found.len(), 400_002);
        assert_eq!(found[400_001].0, 400_002);
    }

    proptest! {
        #[test]
        fn what_a_library_of_csv_reads_is_read(
            text in "[a-c0-9,\" \n]{0,60}",
            step in 1_usize..20,
        ) {
            // Lines of spaces alone are no records here.
            let blank = |cells: &Vec<String>| cells.iter().all(String::is_empty) && cells.len() == 1;
            let ours: Vec<Vec<String>> =
                records(&text, step).into_iter().map(|(_, cells)| cells).filter(|c| !blank(c)).collect();
            let theirs: Vec<Vec<String>> =
                by_library(&text).into_iter().filter(|c| !blank(c)).collect();
            prop_assert_eq!(ours, theirs);
        }
    }
}
