//! The first lines of a text file: its separator, what stands before the header, and the names of its
//! columns.

use market::Timestamp;

use super::TextOptions;
use crate::{
    Result, SourceError,
    file::{
        input::Input,
        looks, names,
        table::{ColumnInfo, two_levels},
    },
};

/// So much of a file is looked at.
pub(super) const BYTES: usize = 64 << 10;
/// So many lines are looked at.
const LINES: usize = 100;
/// A header stands within so many lines.
const HEADER_WITHIN: usize = 20;

/// What the first lines say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    /// The separator of cells.
    pub delimiter: u8,
    /// The columns, all of texts.
    pub columns: Vec<ColumnInfo>,
    /// Lines before the first row.
    pub lines_before: u64,
    /// The zone of times without one, of a look that is known.
    pub zone: Option<&'static str>,
    /// What a person should know of it.
    pub notes: Vec<String>,
}

/// A line that is not empty, with its number from 0.
struct Line<'a> {
    number: usize,
    text: &'a [u8],
}

impl Head {
    pub(super) fn of(start: &[u8], options: &TextOptions, input: &Input) -> Result<Self> {
        let mut lines: Vec<Line<'_>> = Vec::new();
        let cut = start.len() >= BYTES;
        let count = start.split(|b| *b == b'\n').count();
        for (number, text) in start.split(|b| *b == b'\n').enumerate() {
            // The last line of a long file's start is cut off.
            let whole = !cut || number + 1 < count;
            if number >= options.skip_rows
                && whole
                && !text.trim_ascii().is_empty()
                && lines.len() < LINES
            {
                lines.push(Line { number, text });
            }
        }
        if lines.is_empty() {
            return Err(SourceError::Config {
                key: input.name().to_owned(),
                expected: "expected a table of prices, got no line that is not empty".into(),
            });
        }
        let delimiter = options.delimiter.unwrap_or_else(|| delimiter_of(&lines));
        let cells: Vec<Vec<String>> = lines.iter().map(|l| cells(l.text, delimiter)).collect();
        let mut head = Self {
            delimiter,
            columns: Vec::new(),
            lines_before: 0,
            zone: None,
            notes: Vec::new(),
        };
        let first = if options.skip_rows > 0 {
            0
        } else {
            first_of_table(&cells)
        };
        if first > 0 {
            head.notes.push(match first {
                1 => "the line before the table is passed over".into(),
                n => format!("{n} lines before the table are passed over"),
            });
        }
        let header = head.name(&cells[first..], options);
        // The rows begin on the line after the last header line, empty ones included.
        head.lines_before = match first + header {
            0 => lines[0].number as u64,
            n => lines[n - 1].number as u64 + 1,
        };
        Ok(head)
    }

    /// Names the columns and returns how many header lines there are.
    fn name(&mut self, rows: &[Vec<String>], options: &TextOptions) -> usize {
        let no_header = options.no_header;
        let first = &rows[0];
        if !no_header && let Some((columns, lines)) = levels(rows) {
            self.columns = columns;
            self.notes
                .push(format!("the header has {lines} lines: prices and symbols"));
            return lines;
        }
        let named = options
            .header_has
            .as_deref()
            .is_some_and(|name| first.iter().any(|cell| cell == name));
        if !no_header && (named || is_header(first)) {
            self.columns = first.iter().map(ColumnInfo::text).collect();
            return 1;
        }
        let width = rows.iter().map(Vec::len).max().unwrap_or(1);
        let names = match looks::headerless(rows).filter(|_| !no_header) {
            Some(look) => {
                self.notes
                    .push(format!("there is no header line: read as {}", look.tool));
                self.zone = look.zone;
                look.names
            }
            None => {
                self.notes.push(
                    "there is no header line: columns are named by their place, from 1".into(),
                );
                (1..=width).map(|place| place.to_string()).collect()
            }
        };
        self.columns = names.into_iter().map(ColumnInfo::text).collect();
        0
    }
}

/// Whether a cell is a value and no name.
pub(super) fn is_value(cell: &str) -> bool {
    let Some(first) = cell
        .chars()
        .find(|c| !matches!(c, '$' | '€' | '£' | '+' | '-' | '"'))
    else {
        return false;
    };
    // "1" is a value, "1. open" (Alpha Vantage) a name.
    first.is_ascii_digit()
        && (cell.parse::<f64>().is_ok()
            || cell.parse::<Timestamp>().is_ok()
            || !cell.chars().any(char::is_alphabetic)
            || cell.contains(':'))
}

/// A line of names: none of its cells is a value, and one at least says something.
fn is_header(cells: &[String]) -> bool {
    let missing = |cell: &str| {
        ["na", "nan", "null", "none"]
            .iter()
            .any(|m| cell.eq_ignore_ascii_case(m))
    };
    if let [only] = cells {
        // A list of numbers may begin with a missing one.
        return !missing(only) && !is_value(only);
    }
    let known = names::known(cells);
    cells.iter().any(|c| !c.is_empty()) && (known >= 2 || !cells.iter().any(|c| is_value(c)))
}

/// pandas' two levels of names: a line of prices, a line of symbols (in either order), and mostly a
/// third with the index's name alone.
fn levels(rows: &[Vec<String>]) -> Option<(Vec<ColumnInfo>, usize)> {
    let [upper, lower, ..] = rows else {
        return None;
    };
    if upper.len() != lower.len() || upper.len() < 2 {
        return None;
    }
    let pairs: Vec<(String, String)> = upper
        .iter()
        .zip(lower)
        .skip(1)
        .map(|(a, b)| (a.clone(), b.clone()))
        .collect();
    if pairs.iter().any(|(a, b)| is_value(a) || is_value(b)) {
        return None;
    }
    let named = two_levels(&pairs)?;
    let index = rows
        .get(2)
        .filter(|row| !row[0].is_empty() && row.iter().skip(1).all(String::is_empty));
    let time = match index {
        Some(row) if !is_value(&row[0]) => row[0].clone(),
        _ => "Date".to_owned(),
    };
    let mut columns = vec![ColumnInfo::text(time)];
    columns.extend(named.into_iter().map(|(name, symbol)| ColumnInfo {
        symbol,
        ..ColumnInfo::text(name)
    }));
    let lines = if index.is_some_and(|row| !is_value(&row[0])) {
        3
    } else {
        2
    };
    Some((columns, lines))
}

/// The number of the first line that belongs to the table: what stands before is a banner.
fn first_of_table(cells: &[Vec<String>]) -> usize {
    let within = cells.len().min(HEADER_WITHIN);
    if let Some(at) = cells[..within]
        .iter()
        .position(|row| names::known(row) >= 2)
    {
        // The first of two header lines may stand before it.
        return if at > 0 && levels(&cells[at - 1..]).is_some() {
            at - 1
        } else {
            at
        };
    }
    let width = usual(cells.iter().map(Vec::len));
    cells[..within]
        .iter()
        .position(|row| row.len() == width)
        .unwrap_or(0)
}

/// The most frequent number; of equally frequent ones the largest.
fn usual(numbers: impl Iterator<Item = usize>) -> usize {
    let mut counts = std::collections::BTreeMap::<usize, usize>::new();
    for n in numbers {
        *counts.entry(n).or_default() += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(n, count)| (*count, *n))
        .map_or(1, |(n, _)| n)
}

/// The separator that splits most lines into the same number of cells. Where several do, a comma is
/// taken for a decimal sign or a part of a text.
fn delimiter_of(lines: &[Line<'_>]) -> u8 {
    for delimiter in [b'\t', b';', b'|', b','] {
        let widths: Vec<usize> = lines.iter().map(|l| width(l.text, delimiter)).collect();
        let usual = usual(widths.iter().copied());
        let same = widths.iter().filter(|w| **w == usual).count();
        if usual > 1 && same * 5 >= lines.len() * 4 {
            return delimiter;
        }
    }
    b','
}

/// How many cells a line has; quoted ones count once.
fn width(line: &[u8], delimiter: u8) -> usize {
    let mut quoted = false;
    let mut width = 1;
    for byte in line {
        match byte {
            b'"' => quoted = !quoted,
            byte if *byte == delimiter && !quoted => width += 1,
            _ => {}
        }
    }
    width
}

fn cells(line: &[u8], delimiter: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(line);
    let mut record = csv::ByteRecord::new();
    // A slice in memory: reading it cannot fail.
    let _ = reader.read_byte_record(&mut record);
    record
        .iter()
        .map(|cell| String::from_utf8_lossy(cell).trim().to_owned())
        .collect()
}
