//! The one reader of price files: what `import`, `forecast`, `backtest` and the replay read, in any of
//! the formats, wrappings and layouts that docs/files.md lists.
//!
//! # Model
//! A file is read in layers, each of which knows only the one before it:
//!
//! 1. [`input`]: where the bytes are (a path, standard input, memory) and what wraps them (gzip, zip).
//!    They can be read as often as needed.
//! 2. [`table`]: typed columns, batch by batch. **This is the seam between the kinds of files**: a
//!    text file gives texts ([`text`]), a columnar file what its schema says. A new kind implements
//!    [`table::Table`] and is named in [`open_table`]; everything below is shared.
//! 3. `layout`: what the columns mean, inferred from their names and the looks of known tools' files; which
//!    column was taken for what, and instead of which.
//! 4. `survey`: a first reading of all rows decides, once for the file, what is not to be decided
//!    row by row: the format of times and numbers, the interval of the bars, the order of the rows, and
//!    whether two series are mixed. What the rows leave open is asked for ([`crate::SourceError::Config`]
//!    that names the option).
//! 5. A second reading makes ticks and bars.
//!
//! # For a kind of file
//! - Say what the schema says ([`table::ColumnKind`]): units, zones and dates are never guessed where
//!   the file states them. Nanoseconds become microseconds (rounded down) in the table.
//! - Names of two levels: [`table::ColumnInfo::symbol`], by [`table::two_levels`].
//! - An index that pandas wrote (`__index_level_0__`, `index`, an empty name) stays a column under that
//!   name: the layout takes it for the time when nothing else is.
//! - Read only the columns that [`table::Table::scan`] asks for.
//!
//! # What it does not do
//! Order books, quotes without trades, adjusted volumes, calendars. It asks nobody but the file: no
//! network, no clock besides the one that it is given.

#[cfg(feature = "columnar")]
pub mod columnar;
pub mod duplicate_keys;
mod file_name;
pub mod input;
pub mod json;
pub mod layout;
pub mod looks;
pub mod names;
pub mod number;
pub mod numbering;
mod price_levels;
mod reader;
pub mod rows;
pub mod series;
pub mod spacing;
pub mod survey;
pub mod table;
pub mod text;
pub mod time;

pub use reader::{PriceFile, Progress};

use market::{Interval, Symbol, TickRules, Timestamp};

use crate::{Result, SourceError};
#[cfg(feature = "columnar")]
use columnar::{ColumnarTable, Format};
use input::Input;
use json::JsonTable;
use table::Table;
use text::{TextOptions, TextTable};
use time::text::Order;

/// How to read a file. What is absent is inferred from the file.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// The symbol of a file that has no symbol column; absent: the file's name up to its first dot.
    /// Of a file that has one, only this symbol's rows are read; where it has none of them, its own symbols
    /// are kept.
    pub symbol: Option<Symbol>,
    /// The interval of bars (`--interval`).
    pub interval: Option<Interval>,
    /// The column of the time (`--time-column`), and that of the time of day, where they are two.
    pub time_column: Option<String>,
    /// The column of the close of bars, or the price of trades (`--close-column`). An adjusted close
    /// scales open, high and low by the same factor.
    pub close_column: Option<String>,
    /// The column of the volume of bars, or the size of trades (`--volume-column`).
    pub volume_column: Option<String>,
    /// The zone of times that are written without one (`--time-zone`): an IANA name or an offset.
    pub time_zone: Option<String>,
    /// The column of the symbol (`--symbol-column`).
    pub symbol_column: Option<String>,
    /// What stands first in dates such as 01/02/2026 (`--date-order`).
    pub date_order: Option<Order>,
    /// The decimal sign of numbers that are texts, `.` or `,` (`--decimal`).
    pub decimal: Option<u8>,
    /// How text files are split into cells.
    pub text: TextOptions,
    /// The rules for rows.
    pub rules: TickRules,
    /// The wall clock's time, for the rules.
    pub now: Timestamp,
    /// Rows of a batch.
    pub batch_rows: usize,
}

impl FileOptions {
    /// Everything from the file, batches of 10,000 rows.
    pub fn new(now: Timestamp) -> Self {
        Self {
            symbol: None,
            interval: None,
            time_column: None,
            close_column: None,
            volume_column: None,
            time_zone: None,
            symbol_column: None,
            date_order: None,
            decimal: None,
            text: TextOptions::default(),
            rules: TickRules::default(),
            now,
            batch_rows: 10_000,
        }
    }
}

/// Opens a file as a table: what it is, its first bytes say.
///
/// # Errors
/// [`SourceError::File`] when it cannot be read, [`SourceError::Config`] when it is of a kind that is
/// not read.
pub fn open_table(input: Input, options: &TextOptions) -> Result<Box<dyn Table>> {
    let head = input.head(64 << 10)?;
    let refused = |what: &str| {
        Err(SourceError::Config {
            key: input.name().to_owned(),
            expected: format!("expected a table of prices, got {what}"),
        })
    };
    #[cfg(feature = "columnar")]
    if let Some(format) = Format::of_head(&head) {
        return Ok(Box::new(ColumnarTable::open(input, format)?));
    }
    if JsonTable::is_json(&head) {
        return Ok(Box::new(JsonTable::open(input)?));
    }
    match head.as_slice() {
        [] => refused("an empty file"),
        #[cfg(not(feature = "columnar"))]
        [b'P', b'A', b'R', b'1', ..] | [b'A', b'R', b'R', b'O', b'W', b'1', ..] => {
            refused("Parquet or Arrow, which is not read here: save it as CSV")
        }
        [0x1f, 0x8b, ..] => refused("a file that is compressed twice"),
        [b'P', b'K', 3, 4, ..] => refused("an Excel workbook or an archive in an archive"),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => refused("an Excel workbook: save it as CSV"),
        [b'B', b'Z', b'h', ..] => refused("a bzip2 file: unpack it first"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => refused("an xz file: unpack it first"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => refused("a Zstandard file: unpack it first"),
        [b'F', b'E', b'A', b'1', ..] => refused("a Feather file of version 1: write version 2"),
        [b'O', b'R', b'C', ..] if !head.is_ascii() => refused("an ORC file: write Parquet"),
        [0x89, b'H', b'D', b'F', ..] => refused("an HDF5 file: write Parquet or CSV"),
        [b'S', b'Q', b'L', b'i', b't', b'e', b' ', b'f', ..] => {
            refused("an SQLite database: export its table as CSV")
        }
        [0x80, 2..=5, ..] => refused("a Python pickle: write Parquet or CSV"),
        _ => Ok(Box::new(TextTable::open(input, options)?)),
    }
}
