//! Reads series from CSV for `forecast` and `backtest`: a file or standard input, plain or gzipped,
//! one series or a long table of many.
//!
//! Rows are taken in file order, oldest first. An empty cell, `NA`, `NaN` and `null` are missing; so is
//! an empty line between two values of a table of one column, where it is a row with an empty cell.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use market::Timestamp;

use crate::error::{CommandError, Result};

/// A named series; NaN is a missing value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its id in a table of many; empty in a table of one.
    pub id: String,
    /// The values, oldest first.
    pub values: Vec<f64>,
    /// Their times, where the table has a column of them and each can be read.
    pub times: Option<Vec<Timestamp>>,
}

/// Names of a column of times, whatever their case.
const TIME_COLUMNS: [&str; 5] = ["date", "ds", "time", "timestamp", "datetime"];

/// Opens a file, or standard input for `-`; gzip is told by its first two bytes.
pub fn open(input: &Path) -> Result<Box<dyn Read>> {
    let at = |source| CommandError::File {
        path: input.to_owned(),
        source,
    };
    let raw: Box<dyn Read> = if input == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let file = std::fs::File::open(input).map_err(at)?;
        Box::new(file)
    };
    let mut reader = BufReader::new(raw);
    let head = std::io::BufRead::fill_buf(&mut reader).map_err(at)?;
    if head.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(flate2::read::MultiGzDecoder::new(reader)));
    }
    Ok(Box::new(reader))
}

/// Reads the series of `column`, split by the column `id` if given, in order of first appearance.
///
/// Without `column` it is the one called close, y, value or price (in that order, whatever the
/// case), or the only one that is neither the id nor a date. A plain list of numbers needs no header.
///
/// # Errors
/// Not CSV, no such column, a cell that is neither a number nor missing (with its line), no rows.
pub fn read(input: impl Read, column: Option<&str>, id: Option<&str>) -> Result<Vec<Series>> {
    let mut input = BufReader::new(input);
    let mut head = String::new();
    let mut line = 0;
    while head.trim().is_empty() {
        head.clear();
        line += 1;
        if read_line(&mut input, &mut head)? == 0 {
            break;
        }
    }
    if !head.contains(',') && id.is_none() {
        return read_column(head, line, input, column).map(|series| vec![series]);
    }
    // So that lines keep their numbers.
    let head = "\n".repeat(line - 1) + &head;
    read_table(head.as_bytes().chain(input), column, id)
}

fn read_line(input: &mut impl BufRead, line: &mut String) -> Result<usize> {
    let fault = |e| CommandError::input(format!("a line cannot be read: {e}"));
    input.read_line(line).map_err(fault)
}

/// The only column of a table, line by line: a reader of CSV would pass over empty lines, and take
/// a missing first value for a name.
fn read_column(
    head: String,
    mut line: usize,
    mut input: impl BufRead,
    column: Option<&str>,
) -> Result<Series> {
    let bare = |text: &str| {
        let text = text.trim_start_matches('\u{feff}').trim();
        let quoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        quoted.unwrap_or(text).trim().to_owned()
    };
    let name = bare(&head);
    let mut series = Series::default();
    match (column, parse(&name)) {
        (Some(column), _) if !name.eq_ignore_ascii_case(column) => {
            return Err(CommandError::input(format!(
                "there is no column {column:?}: there are {name}"
            )));
        }
        (None, Some(first)) => series.values.push(first),
        (None, None) if TIME_COLUMNS.contains(&name.to_ascii_lowercase().as_str()) => {
            return Err(CommandError::input(format!(
                "which column? name it with --column: there are {name}"
            )));
        }
        _ => {}
    }
    let mut text = String::new();
    // Empty lines count once a value follows: those at the end of a file are no rows.
    let mut empty = 0;
    while read_line(&mut input, &mut text)? > 0 {
        line += 1;
        let cell = bare(&text);
        if text.trim().is_empty() {
            empty += 1;
        } else {
            let value = parse(&cell).ok_or_else(|| {
                CommandError::input(format!("line {line}: {cell:?} in {name:?} is not a number"))
            })?;
            series
                .values
                .extend(std::iter::repeat_n(f64::NAN, std::mem::take(&mut empty)));
            series.values.push(value);
        }
        text.clear();
    }
    if series.values.is_empty() {
        return Err(CommandError::input("there is no row after the header line"));
    }
    Ok(series)
}

/// A table of several columns, or of one that is told apart by id.
fn read_table(input: impl Read, column: Option<&str>, id: Option<&str>) -> Result<Vec<Series>> {
    let mut csv = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(input);
    let headers = csv
        .headers()
        .map_err(|e| CommandError::input(format!("the header line cannot be read: {e}")))?
        .clone();
    let find = |name: &str| {
        headers
            .iter()
            .position(|h| h == name)
            .or_else(|| headers.iter().position(|h| h.eq_ignore_ascii_case(name)))
    };
    let names = || headers.iter().collect::<Vec<_>>().join(", ");
    let named = |name: &str| {
        find(name).ok_or_else(|| {
            CommandError::input(format!(
                "there is no column {name:?}: there are {}",
                names()
            ))
        })
    };
    let id_at = id.map(named).transpose()?;
    let value_at = match column {
        Some(name) => named(name)?,
        None => match ["close", "y", "value", "price"]
            .iter()
            .find_map(|n| find(n))
        {
            Some(at) => at,
            None => {
                let mut others = (0..headers.len()).filter(|at| {
                    let name = headers[*at].to_ascii_lowercase();
                    Some(*at) != id_at && !TIME_COLUMNS.contains(&name.as_str())
                });
                match (others.next(), others.next()) {
                    (Some(at), None) => at,
                    _ => {
                        return Err(CommandError::input(format!(
                            "which column? name it with --column: there are {}",
                            names()
                        )));
                    }
                }
            }
        },
    };
    let time_at = TIME_COLUMNS
        .iter()
        .find_map(|n| find(n))
        .filter(|at| Some(*at) != id_at);
    let mut series: Vec<Series> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for record in csv.records() {
        let record = record.map_err(|e| CommandError::input(e.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let key = id_at.map_or("", |at| record.get(at).unwrap_or(""));
        let cell = record.get(value_at).unwrap_or("");
        let value = parse(cell).ok_or_else(|| {
            let column = &headers[value_at];
            CommandError::input(format!(
                "line {line}: {cell:?} in {column:?} is not a number"
            ))
        })?;
        let at = match index.get(key) {
            Some(at) => *at,
            None => {
                index.insert(key.to_owned(), series.len());
                series.push(Series {
                    id: key.to_owned(),
                    times: time_at.map(|_| Vec::new()),
                    ..Series::default()
                });
                series.len() - 1
            }
        };
        let one = &mut series[at];
        one.values.push(value);
        let time = time_at.and_then(|at| record.get(at)?.parse::<Timestamp>().ok());
        match (&mut one.times, time) {
            (Some(times), Some(time)) => times.push(time),
            // One time that cannot be read, and none of them can be trusted.
            (times, _) => *times = None,
        }
    }
    if series.is_empty() {
        return Err(CommandError::input("there is no row after the header line"));
    }
    Ok(series)
}

fn parse(cell: &str) -> Option<f64> {
    if ["", "na", "nan", "null", "none"]
        .iter()
        .any(|m| cell.eq_ignore_ascii_case(m))
    {
        return Some(f64::NAN);
    }
    cell.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(csv: &str, column: Option<&str>, id: Option<&str>) -> Result<Vec<Series>> {
        read(csv.as_bytes(), column, id)
    }

    #[test]
    fn a_long_table_is_split_by_id_in_order_of_first_appearance() {
        let series = text("id,y\nb,1\na,2\nb,3\n", None, Some("id")).unwrap();
        assert_eq!(series.len(), 2);
        assert_eq!(
            (series[0].id.as_str(), series[0].values.as_slice()),
            ("b", [1.0, 3.0].as_slice())
        );
    }

    #[test]
    fn a_plain_list_of_numbers_needs_no_header() {
        let series = text("1.5\n2\nNA\n", None, None).unwrap();
        assert_eq!(series[0].values[..2], [1.5, 2.0]);
        assert_eq!(series[0].values.len(), 3);
    }

    #[test]
    fn an_empty_line_of_one_column_is_a_missing_value_and_the_last_ones_are_none() {
        let bits = |csv: &str| -> Vec<u64> {
            let series = text(csv, None, None).unwrap();
            series[0].values.iter().map(|v| v.to_bits()).collect()
        };
        let table = bits("t,y\n1,1\n2,2\n3,\n4,4\n5,5\n6,7\n");
        assert_eq!(bits("y\n1\n2\n\n4\n5\n7\n"), table);
        assert_eq!(bits("y\r\n1\r\n2\r\n\r\n4\r\n5\r\n7\r\n\r\n\r\n"), table);
        assert_eq!(bits("\u{feff}\"y\"\n1\n2\n\n4\n5\n7"), table);
    }

    #[test]
    fn a_missing_first_value_is_no_header() {
        for head in ["NA", "nan", "null"] {
            let series = text(&format!("{head}\n1\n2\n"), None, None).unwrap();
            assert_eq!(series[0].values.len(), 3, "{head}");
            assert!(series[0].values[0].is_nan());
        }
        let series = text("NA\n1\n2\n", Some("NA"), None).unwrap();
        assert_eq!(series[0].values, [1.0, 2.0]);
    }

    #[test]
    fn empty_cells_and_na_are_missing_values() {
        let series = text("date,price\n1,2\n2,\n3,NA\n", None, None).unwrap();
        assert_eq!(series[0].values[0], 2.0);
        assert!(series[0].values[1].is_nan() && series[0].values[2].is_nan());
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_line_and_the_columns_there_are() {
        assert!(
            text("y\n1\nx\n", None, None)
                .unwrap_err()
                .to_string()
                .contains("line 3: \"x\"")
        );
        assert!(
            text("a,b\n1,2\n", None, None)
                .unwrap_err()
                .to_string()
                .contains("there are a, b")
        );
        assert!(
            text("a\n1\n", Some("z"), None)
                .unwrap_err()
                .to_string()
                .contains("\"z\"")
        );
        assert!(text("a\n", None, None).is_err());
    }
}
