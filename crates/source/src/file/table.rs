//! The seam between the kinds of files and what is made of them: a [`Table`] gives typed columns,
//! batch by batch, as often as it is asked.
//!
//! Model: a table knows its columns before its rows are read ([`Table::columns`]). [`Table::scan`]
//! reads it from the first row and hands on [`Batch`]es of the wanted columns; every scan gives the
//! same rows in the same order. A table says what its columns hold and never what they mean: names
//! are given meaning by [`super::layout`], texts become times and numbers in [`super::time`] and
//! [`super::number`].
//!
//! Missing values are one thing for every kind of column: an empty text, [`MISSING`], NaN.
//!
//! What it does not do: nested values (flatten them into columns, or leave them out as
//! [`ColumnKind::Other`]).

use std::{borrow::Cow, ops::ControlFlow};

use jiff::tz::TimeZone;

use crate::Result;

/// The missing integer, instant or day.
pub const MISSING: i64 = i64::MIN;

/// What a column holds, as the file says.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnKind {
    /// Texts: every column of a text file, whose numbers and times are texts too.
    Text,
    /// Integers without a unit. In a column that turns out to be the time they are known by their
    /// size, as those of a text file are.
    Int,
    /// Numbers, decimals among them.
    Float,
    /// Instants: microseconds since the epoch. `zone` is the one that they are written in, where the
    /// file names one: a daily bar belongs to the date in it.
    Instant {
        /// The zone that the file names.
        zone: Option<TimeZone>,
    },
    /// Times without a zone (a timestamp that is not adjusted to UTC): microseconds since
    /// 1970-01-01T00:00 of their own calendar.
    Civil,
    /// Dates, as the microseconds since 1970-01-01 of their midnight.
    Date,
    /// What no column of prices is; its values are never asked for.
    Other(&'static str),
}

/// A column, before its rows are read.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnInfo {
    /// Its name as the file writes it; of a name of two levels, the one that is no symbol.
    pub name: String,
    /// The symbol that it belongs to, in a table that has a group of columns for each symbol
    /// (yfinance: `("Close", "ACME")`).
    pub symbol: Option<String>,
    /// What it holds.
    pub kind: ColumnKind,
}

impl ColumnInfo {
    /// A column of texts.
    pub fn text(name: impl Into<String>) -> Self {
        Self::new(name, ColumnKind::Text)
    }

    /// A column that belongs to no symbol alone.
    pub fn new(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self {
            name: name.into(),
            symbol: None,
            kind,
        }
    }

    /// A column whose name is the text of a Python tuple, `('Close', 'ACME')`, as pandas writes names
    /// of two levels into files that have but one. Which of the two is the symbol, the layout decides.
    pub fn tuple(name: &str) -> Option<(String, String)> {
        let inner = name.trim().strip_prefix('(')?.strip_suffix(')')?;
        let (left, right) = inner.split_once(',')?;
        let bare = |part: &str| {
            let part = part.trim();
            let quote = part.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
            let bare = part.strip_prefix(quote)?.strip_suffix(quote)?;
            Some(bare.to_owned())
        };
        Some((bare(left)?, bare(right)?))
    }
}

/// Texts, one after the other in one buffer.
#[derive(Clone, Debug, Default)]
pub struct TextColumn {
    /// The bytes of all, without separators.
    pub bytes: Vec<u8>,
    /// Where each ends.
    pub ends: Vec<usize>,
}

impl TextColumn {
    /// Adds one.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    /// Forgets all, and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// One of them; empty is missing.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub fn get(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start..self.ends[row]]
    }
}

/// The values of a column in a batch.
#[derive(Clone, Debug)]
pub enum Column {
    /// Of [`ColumnKind::Text`].
    Text(TextColumn),
    /// Of [`ColumnKind::Text`], each value once: `keys[row]` is its place in `values`, or the number
    /// of values for a missing one.
    Dictionary {
        /// The different values.
        values: TextColumn,
        /// The place of each row's.
        keys: Vec<u32>,
    },
    /// Of [`ColumnKind::Int`], and the microseconds of [`ColumnKind::Instant`],
    /// [`ColumnKind::Civil`] and [`ColumnKind::Date`]; [`MISSING`] is missing.
    Int(Vec<i64>),
    /// Of [`ColumnKind::Float`]; NaN is missing.
    Float(Vec<f64>),
}

impl Column {
    /// A row's text, for a person or for a symbol; empty when missing.
    pub fn text(&self, row: usize) -> Cow<'_, [u8]> {
        match self {
            Self::Text(texts) => Cow::Borrowed(texts.get(row)),
            Self::Dictionary { values, keys } => match keys[row] as usize {
                key if key < values.ends.len() => Cow::Borrowed(values.get(key)),
                _ => Cow::Borrowed(&[]),
            },
            Self::Int(values) => match values[row] {
                MISSING => Cow::Borrowed(&[]),
                value => Cow::Owned(value.to_string().into_bytes()),
            },
            Self::Float(values) if values[row].is_nan() => Cow::Borrowed(&[]),
            Self::Float(values) => Cow::Owned(values[row].to_string().into_bytes()),
        }
    }
}

/// A line that is no row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenLine {
    /// Its number in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub detail: String,
    /// What stands there.
    pub text: Vec<u8>,
}

/// Rows of a table, column by column.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The number of the first row, from 0, counted over the whole table.
    pub first_row: u64,
    /// How many rows there are.
    pub rows: usize,
    /// The wanted columns, in the order in which they were asked for.
    pub columns: Vec<Column>,
    /// The line of each row, from 1; empty where rows have no lines and are named by their number.
    pub lines: Vec<u64>,
    /// Lines that are no rows, in order.
    pub broken: Vec<BrokenLine>,
    /// Bytes of the file read so far, compressed as it is.
    pub bytes_read: u64,
}

impl Batch {
    /// What a person calls a row: its line, or its number from 1.
    pub fn place(&self, row: usize) -> u64 {
        self.lines
            .get(row)
            .copied()
            .unwrap_or(self.first_row + row as u64 + 1)
    }
}

/// Takes batches; breaks when it has seen enough.
pub type TakeBatch<'a> = dyn FnMut(&Batch) -> Result<ControlFlow<()>> + 'a;

/// A file of one kind, open. Blocking: for a thread that may block.
pub trait Table: Send {
    /// The kind, as rejects and sources name it: `csv`, `parquet`, `arrow`, `json`.
    fn kind(&self) -> &'static str;

    /// Its columns.
    fn columns(&self) -> &[ColumnInfo];

    /// What a person should know of how it is read, each a sentence without a full stop: `2 lines
    /// before the header are passed over`.
    fn notes(&self) -> &[String];

    /// How many rows it has, where the file says so.
    fn rows(&self) -> Option<u64> {
        None
    }

    /// The zone of times that are written without one, where the tool that wrote the file is known to
    /// write so: a name or an offset.
    fn zone(&self) -> Option<&'static str> {
        None
    }

    /// What stands between the cells of a text file.
    fn separator(&self) -> Option<u8> {
        None
    }

    /// Reads it from the first row and hands on batches of about `batch_rows` rows of the columns
    /// `wanted` (indices into [`Self::columns`]), until `take` breaks. A batch is valid during the call
    /// only, so that its room is used again.
    ///
    /// # Errors
    /// [`crate::SourceError::File`], or what `take` says.
    fn scan(&self, wanted: &[usize], batch_rows: usize, take: &mut TakeBatch<'_>) -> Result<()>;
}

/// Names of the prices, as libraries that give a column per symbol write them.
const LEVEL_NAMES: [&str; 11] = [
    "open",
    "high",
    "low",
    "close",
    "adj close",
    "volume",
    "dividends",
    "stock splits",
    "capital gains",
    "price",
    "repaired?",
];

/// Columns whose names have two levels, one of prices and one of symbols, in either order: with the
/// symbols put beside the names. A column of which one level is empty (`('Date', '')`) belongs to no
/// symbol. Nothing where neither level is one of prices.
pub fn two_levels(names: &[(String, String)]) -> Option<Vec<(String, Option<String>)>> {
    let is_price = |name: &str| LEVEL_NAMES.contains(&name.trim().to_ascii_lowercase().as_str());
    let both = || names.iter().filter(|(a, b)| !a.is_empty() && !b.is_empty());
    let first = both().next().is_some() && both().all(|(a, _)| is_price(a));
    let second = both().next().is_some() && both().all(|(_, b)| is_price(b));
    if !first && !second {
        return None;
    }
    let named = names.iter().map(|(a, b)| match (a.as_str(), b.as_str()) {
        (only, "") | ("", only) => (only.to_owned(), None),
        (price, symbol) if first => (price.to_owned(), Some(symbol.to_owned())),
        (symbol, price) => (price.to_owned(), Some(symbol.to_owned())),
    });
    Some(named.collect())
}
