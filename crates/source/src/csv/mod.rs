//! Prices out of CSV files: [`CsvImport`] reads one as fast as it can, [`CsvReplay`] plays one as if
//! it happened now.
//!
//! Columns are found by their headers, in any case: the spellings of [`crate::decode`], among them
//! Ticker, Symbol, Date, Time, Timestamp, Open, High, Low, Close, Adj Close, Volume, Price, Size,
//! Seq. A Date and a Time column together make the time. A file with Open, High and Low holds bars,
//! any other trades. The separator (comma, semicolon, tab) is told from the header line, and gzip
//! from the first bytes.
//!
//! What it does not do: files without headers, quotes of other kinds than `"`, local time zones
//! (times without an offset are UTC).

mod columns;
mod import;
mod ordered;
mod replay;
mod sort;

pub(crate) use import::file_error;
pub use import::{CsvImport, CsvOptions, Progress};
pub use replay::{CsvReplay, ReplayOptions, ReplayTimes, Speed};

#[cfg(test)]
mod tests;
