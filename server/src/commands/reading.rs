//! The options that say how a file of prices is read, the same for every command that reads one.

use clap::{Args, ValueEnum};
use market::{Symbol, Timestamp};
use source::file::{FileOptions, text::TextOptions, time::text::Order};

/// Which number of a date stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DateOrder {
    /// 31/12/2026
    DayMonth,
    /// 12/31/2026
    MonthDay,
}

/// Arguments.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "How the file is read")]
pub struct ReadingArgs {
    /// Symbol of files without a column for it [default: the file's name up to its first dot]; of a file
    /// that has it among its own symbols, the only one that is read
    #[arg(long, value_name = "SYMBOL")]
    pub symbol: Option<Symbol>,
    /// Column of the time; "Date,Time" names two
    #[arg(long, value_name = "NAME")]
    pub time_column: Option<String>,
    /// Zone of times that are written without one, such as America/New_York or +02:00 [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// What stands first in dates such as 01/02/2026 [default: told from the file]
    #[arg(long, value_enum, value_name = "ORDER")]
    pub date_order: Option<DateOrder>,
    /// Decimal sign of numbers, . or , [default: told from the file]
    #[arg(long, value_name = "SIGN", value_parser = decimal)]
    pub decimal: Option<u8>,
    /// What stands between the cells of a text file, such as ";" or "tab" [default: told from the file]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    pub delimiter: Option<u8>,
    /// The file has no header line: its columns are named by their place, from 1
    #[arg(long)]
    pub no_header: bool,
    /// Lines of a text file to pass over before its header
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip_rows: usize,
}

impl ReadingArgs {
    /// The options of the reader.
    pub fn options(&self, now: Timestamp) -> FileOptions {
        let mut options = FileOptions::new(now);
        options.symbol.clone_from(&self.symbol);
        options.time_column.clone_from(&self.time_column);
        options.time_zone.clone_from(&self.time_zone);
        options.date_order = self.date_order.map(|order| match order {
            DateOrder::DayMonth => Order::DayMonth,
            DateOrder::MonthDay => Order::MonthDay,
        });
        options.decimal = self.decimal;
        options.text = TextOptions {
            delimiter: self.delimiter,
            no_header: self.no_header,
            skip_rows: self.skip_rows,
            ..TextOptions::default()
        };
        options
    }
}

fn decimal(text: &str) -> Result<u8, String> {
    match text {
        "." | "dot" => Ok(b'.'),
        "," | "comma" => Ok(b','),
        _ => Err("expected . or ,".into()),
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "tab" | "\\t" => Ok(b'\t'),
        "space" => Ok(b' '),
        _ => match text.as_bytes() {
            [one] if one.is_ascii() && !matches!(one, b'"' | b'\n' | b'\r') => Ok(*one),
            _ => Err("expected one character, or tab or space".into()),
        },
    }
}
