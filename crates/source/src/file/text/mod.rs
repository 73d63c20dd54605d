//! Text files as tables: cells between separators, with or without header lines.
//!
//! Model: [`head`] looks at the first 64 KB and finds the separator, what stands before the header
//! (banners), the header lines (none, one, or pandas' two levels) and the names of the columns. The
//! rows are read with quotes of the kind `"`, from bytes that are UTF-8 or carry a byte order mark of
//! UTF-16. Every column holds texts, trimmed.
//!
//! A row with fewer cells than there are columns, or with more that are not empty, is a broken line.
//! Empty lines are passed over; in a table of one column they are rows with an empty cell when a row
//! follows.
//!
//! What it does not do: other encodings without a byte order mark (bytes that are not UTF-8 stay as
//! they are, and no number or time can be read of them), separators of several characters, comments.

mod head;
mod records;

use std::{
    io::{BufRead, BufReader, Read},
    ops::ControlFlow,
};

use encoding_rs_io::DecodeReaderBytesBuilder;
use market::Reject;

use super::{
    input::Input,
    table::{Batch, BrokenLine, Column, ColumnInfo, Table, TakeBatch, TextColumn},
};
use crate::Result;
use head::Head;
use records::{Cells, Each};

/// A batch has no more text than this, and the last record.
const BATCH_BYTES: usize = 4 << 20;

/// How a text file is split into cells. What is absent is inferred from its first lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// The separator of cells (`--delimiter`).
    pub delimiter: Option<u8>,
    /// There is no header line: columns are named by their place, from 1 (`--no-header`).
    pub no_header: bool,
    /// Lines before the header, or before the first row, to pass over (`--skip-rows`).
    pub skip_rows: usize,
    /// A name that is asked for: a first line that has it is a header, whatever it looks like.
    pub header_has: Option<String>,
}

/// A text file, open.
pub struct TextTable {
    input: Input,
    head: Head,
}

impl TextTable {
    /// Opens a file and looks at its first lines.
    ///
    /// # Errors
    /// [`crate::SourceError::File`] when it cannot be read or is no text;
    /// [`crate::SourceError::Config`] when nothing is left after the lines to pass over.
    pub fn open(input: Input, options: &TextOptions) -> Result<Self> {
        let mut first = Vec::new();
        decoded(input.open_plain()?)
            .take(head::BYTES as u64)
            .read_to_end(&mut first)
            .map_err(|e| input.failed(&e))?;
        if first.contains(&0) {
            return Err(input.unreadable("it is neither text nor a file of a kind that is read"));
        }
        let head = Head::of(&first, options, &input)?;
        Ok(Self { input, head })
    }

    /// Each row of a table of one column: a reader of CSV would pass over empty lines.
    fn lines(&self, from: impl Read, each: &mut Each<'_>) -> Result<()> {
        let mut from = BufReader::with_capacity(256 << 10, from);
        let mut text = Vec::new();
        let mut line = self.head.lines_before;
        // Empty lines count once a value follows: those at the end of a file are no rows.
        let mut empty = 0;
        loop {
            text.clear();
            let read = from
                .by_ref()
                .take(records::MAX_RECORD as u64)
                .read_until(b'\n', &mut text);
            if read.map_err(|e| self.input.failed(&e))? == 0 {
                return Ok(());
            }
            line += 1;
            let cell = text.trim_ascii();
            if cell.is_empty() {
                empty += 1;
                continue;
            }
            let quoted = cell.strip_prefix(b"\"").and_then(|c| c.strip_suffix(b"\""));
            let cell = quoted.unwrap_or(cell);
            for passed in (1..=std::mem::take(&mut empty)).rev() {
                if each(line - passed, Cells::one(b"", &[(0, 0)]))?.is_break() {
                    return Ok(());
                }
            }
            if each(line, Cells::one(cell, &[(0, cell.len())]))?.is_break() {
                return Ok(());
            }
        }
    }
}

impl Table for TextTable {
    fn kind(&self) -> &'static str {
        "csv"
    }

    fn columns(&self) -> &[ColumnInfo] {
        &self.head.columns
    }

    fn notes(&self) -> &[String] {
        &self.head.notes
    }

    fn zone(&self) -> Option<&'static str> {
        self.head.zone
    }

    fn separator(&self) -> Option<u8> {
        Some(self.head.delimiter)
    }

    fn scan(&self, wanted: &[usize], batch_rows: usize, take: &mut TakeBatch<'_>) -> Result<()> {
        let mut from = BufReader::with_capacity(256 << 10, decoded(self.input.open_plain()?));
        let mut passed = Vec::new();
        for _ in 0..self.head.lines_before {
            passed.clear();
            from.by_ref()
                .take(records::MAX_RECORD as u64)
                .read_until(b'\n', &mut passed)
                .map_err(|e| self.input.failed(&e))?;
        }
        let count = self.head.columns.len();
        let batch_rows = batch_rows.max(1);
        let mut texts: Vec<TextColumn> = wanted.iter().map(|_| TextColumn::default()).collect();
        let mut batch = Batch::default();
        let mut hand_on = |batch: &mut Batch, texts: &mut Vec<TextColumn>| {
            batch.columns = texts.drain(..).map(Column::Text).collect();
            batch.bytes_read = self.input.bytes_read();
            let taken = take(batch);
            texts.extend(batch.columns.drain(..).map(|column| match column {
                Column::Text(mut texts) => {
                    texts.clear();
                    texts
                }
                _ => TextColumn::default(),
            }));
            batch.first_row += batch.rows as u64;
            batch.rows = 0;
            batch.lines.clear();
            batch.broken.clear();
            taken
        };
        let mut bytes = 0;
        let mut each = |line: u64, record: Cells<'_>| {
            bytes += record.bytes();
            // A separator at the end of a line makes an empty cell more.
            let fits = record.count() == count
                || (record.count() > count && record.iter().skip(count).all(<[u8]>::is_empty));
            if fits {
                for (texts, column) in texts.iter_mut().zip(wanted) {
                    texts.push(record.get(*column));
                }
                batch.lines.push(line);
                batch.rows += 1;
            } else {
                batch.broken.push(BrokenLine {
                    line,
                    detail: format!(
                        "the line has {} columns: expected {count}, as in the header",
                        record.count()
                    ),
                    text: record.joined(self.head.delimiter, Reject::MAX_PAYLOAD),
                });
            }
            if batch.rows + batch.broken.len() >= batch_rows || bytes >= BATCH_BYTES {
                bytes = 0;
                return hand_on(&mut batch, &mut texts);
            }
            Ok(ControlFlow::Continue(()))
        };
        if count == 1 {
            self.lines(from, &mut each)?;
        } else {
            let failed = |e: std::io::Error| self.input.failed(&e);
            let lines_before = self.head.lines_before;
            records::read(
                &mut from,
                self.head.delimiter,
                lines_before,
                &failed,
                &mut each,
            )?;
        }
        if batch.rows + batch.broken.len() > 0 {
            // The last one: nothing follows that could be broken off.
            let _ = hand_on(&mut batch, &mut texts)?;
        }
        Ok(())
    }
}

/// The text as UTF-8, without its byte order mark.
fn decoded(raw: Box<dyn Read + Send>) -> impl Read {
    DecodeReaderBytesBuilder::new()
        .bom_override(true)
        .strip_bom(true)
        .utf8_passthru(true)
        .build(raw)
}
