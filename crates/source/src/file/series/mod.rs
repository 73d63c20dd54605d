//! Series for a forecast: the values of one column, oldest first, of one series or of each in a long or
//! a wide table.
//!
//! Model: the same tables, names, times and numbers as everywhere in [`super`], but any column of numbers
//! will do and a time is not needed. Rows are sorted by their times where each has one; else they stand in
//! the order of the file. A missing value is NaN.
//!
//! Several series are never joined: a table that has them is refused until one is chosen or all are asked
//! for, and so is one in which a time comes again with another value, or in which trades of one time can only
//! be of two markets.
//!
//! What it does not do: check prices, find intervals.

mod columns;
mod growing;

use std::{collections::HashMap, ops::ControlFlow};

use market::Timestamp;

use self::{
    columns::{Columns, columns_of},
    growing::{Growing, choose, sort},
};
use super::{
    FileOptions,
    input::Input,
    names::{Meaning, meaning_of},
    number::{NumberEvidence, Style, is_missing},
    open_table,
    price_levels::PriceLevels,
    survey::{Conflict, Looked, telling_column},
    table::{Column, MISSING, Table},
    time::{Evidence, TimeReader, zone_named},
};
use crate::{Result, SourceError, decode::TimeUnit};

const BATCH_ROWS: usize = 8_192;

/// Which series to read.
#[derive(Clone, Debug)]
pub struct SeriesOptions {
    /// The column of the values.
    pub column: Option<String>,
    /// The column that tells series apart: all of them are read. Of a table that has a group of columns
    /// for each symbol, any name does.
    pub id: Option<String>,
    /// How the file is read; of its options those of columns of prices do not count, and `symbol` chooses
    /// one series.
    pub reading: FileOptions,
}

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

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesFile {
    /// The series, in the order in which they first appear.
    pub series: Vec<Series>,
    /// What a person should know of how they were read, each a sentence without a full stop.
    pub notes: Vec<String>,
}

/// Reads the series of a file.
///
/// # Errors
/// [`SourceError::File`], and [`SourceError::Config`]: no such column, several that could be meant, a cell
/// that is neither a number nor missing (with its line), several series that nobody chose from, no rows.
///
/// ```
/// use market::Timestamp;
/// use source::file::{FileOptions, input::Input, series::{SeriesOptions, read}};
///
/// let input = Input::of_bytes("sales.csv", b"date,units\n2026-06-01,5\n2026-06-02,\n2026-06-03,8\n")?;
/// let reading = FileOptions::new(Timestamp::from_secs(1_790_000_000));
/// let file = read(input, &SeriesOptions { column: None, id: None, reading })?;
/// assert_eq!(file.series[0].values.len(), 3);
/// assert!(file.series[0].values[1].is_nan());
/// # Ok::<(), source::SourceError>(())
/// ```
pub fn read(input: Input, options: &SeriesOptions) -> Result<SeriesFile> {
    let mut notes = input.notes().to_vec();
    let mut text = options.reading.text.clone();
    text.header_has.clone_from(&options.column);
    let table = open_table(input, &text)?;
    notes.extend(
        table
            .notes()
            .iter()
            // A plain list of numbers needs no header, and nobody needs to hear of it.
            .filter(|_| table.columns().len() > 1)
            .cloned(),
    );
    let columns = columns_of(&*table, options)?;
    let mut wanted: Vec<usize> = columns.values.iter().map(|(at, _)| *at).collect();
    wanted.extend(columns.id);
    if let Some((time, clock)) = columns.time {
        wanted.push(time);
        wanted.extend(clock);
    }
    wanted.sort_unstable();
    wanted.dedup();
    let place = |column: usize| wanted.binary_search(&column).unwrap_or(0);

    let (mut times, style) = decide(&*table, &columns, &wanted, options, &mut notes)?;
    let mut series: Vec<(String, Growing)> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    table.scan(&wanted, BATCH_ROWS, &mut |batch| {
        if let Some(broken) = batch.broken.first() {
            return Err(config(
                &format!("line {}", broken.line),
                broken.detail.clone(),
            ));
        }
        let ids = columns.id.map(|at| &batch.columns[place(at)]);
        for row in 0..batch.rows {
            let time = match (&mut times, columns.time) {
                (Some(times), Some((time, None))) => times.read(&batch.columns[place(time)], row),
                (Some(times), Some((time, Some(clock)))) => times.read_pair(
                    &batch.columns[place(time)],
                    &batch.columns[place(clock)],
                    row,
                ),
                _ => None,
            };
            let time = time.map(|moment| Timestamp::from_micros(moment.instant));
            for (column, of) in &columns.values {
                let cells = &batch.columns[place(*column)];
                let value = value(cells, row, style).ok_or_else(|| {
                    let cell = cells.text(row);
                    config(
                        &format!("line {}", batch.place(row)),
                        format!(
                            "{:?} in {:?} is not a number",
                            String::from_utf8_lossy(&cell),
                            table.columns()[*column].name
                        ),
                    )
                })?;
                let key = match (of, ids) {
                    (Some(of), _) => of.clone(),
                    (None, Some(ids)) => String::from_utf8_lossy(&ids.text(row)).into_owned(),
                    (None, None) => String::new(),
                };
                let at = *index.entry(key).or_insert_with_key(|key| {
                    series.push((key.clone(), Growing::default()));
                    series.len() - 1
                });
                // In a wide table one that was not traded that day has no row.
                if of.is_some() && value.is_nan() {
                    continue;
                }
                let one = &mut series[at].1;
                one.values.push(value);
                one.times.push(time);
                one.rows.push(batch.first_row + row as u64);
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if series.is_empty() {
        return Err(config(
            "the file",
            "there is no row after the header line".into(),
        ));
    }
    let chosen = choose(&*table, &columns, series, options)?;
    let mut sorted = Vec::new();
    let mut conflicts = Vec::new();
    let mut levels = PriceLevels::default();
    for (id, growing) in chosen {
        let one = sort(
            id,
            growing,
            &columns,
            &mut conflicts,
            &mut levels,
            &mut notes,
        );
        sorted.push(one);
    }
    if !conflicts.is_empty() {
        let values: Vec<usize> = columns.values.iter().map(|(at, _)| *at).collect();
        let time = columns.time.map_or(0, |(time, _)| time);
        if let Some(conflict) = telling_column(&*table, &values, &wanted, time, style, &conflicts)?
        {
            return Err(mixed(&conflict));
        }
    }
    if let Some((time, _)) = columns.time {
        let looked = Looked {
            table: &*table,
            time,
            price: columns.values[0].0,
            used: &wanted,
            style,
        };
        notes.extend(looked.two_markets(&levels, "--id")?);
    }
    notes.dedup();
    Ok(SeriesFile {
        series: sorted,
        notes,
    })
}

fn mixed(conflict: &Conflict) -> SourceError {
    let Conflict {
        when,
        rows: (a, b),
        column,
    } = conflict;
    let twice = format!("{when} stands there twice with different values (rows {a} and {b})");
    config(
        "--id",
        match column {
            Some(column) => format!(
                "{twice}: the column {column:?} tells several series apart; --id {column} forecasts each"
            ),
            None => format!("{twice}, and no column tells several series apart"),
        },
    )
}

/// The formats of the times and the numbers, from all rows.
fn decide(
    table: &dyn Table,
    columns: &Columns,
    wanted: &[usize],
    options: &SeriesOptions,
    notes: &mut Vec<String>,
) -> Result<(Option<TimeReader>, Style)> {
    let place = |column: usize| wanted.binary_search(&column).unwrap_or(0);
    let mut evidence = Evidence::default();
    let mut numbers = NumberEvidence::default();
    let mut joined = Vec::new();
    table.scan(wanted, BATCH_ROWS, &mut |batch| {
        for (column, _) in &columns.values {
            if let Column::Text(texts) = &batch.columns[place(*column)] {
                numbers.see(texts);
            }
        }
        if let Some((time, clock)) = columns.time {
            let time = &batch.columns[place(time)];
            for row in 0..batch.rows {
                match (clock, time) {
                    (Some(clock), _) => {
                        let clock = batch.columns[place(clock)].text(row);
                        evidence.see_pair(&time.text(row), &clock, &mut joined);
                    }
                    (None, Column::Int(values)) => evidence.see_int(values[row]),
                    (None, _) => evidence.see(&time.text(row)),
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let style = match options.reading.decimal {
        Some(decimal) => Style { decimal },
        None => numbers
            .decide(table.separator() == Some(b','))
            .map_err(|why| config("--decimal", format!("{why}: expected . or ,")))?,
    };
    let Some((time, _)) = columns.time else {
        return Ok((None, style));
    };
    let zone = match options.reading.time_zone.as_deref().or(table.zone()) {
        Some(name) => Some(zone_named(name)?),
        None => None,
    };
    let info = &table.columns()[time];
    let unit = match meaning_of(&info.name) {
        Some((Meaning::Time(unit), _)) => unit,
        _ => TimeUnit::Auto,
    };
    let (format, note) = evidence.decide(
        options.reading.date_order,
        unit,
        &format!("{:?}", info.name),
    )?;
    notes.extend(note);
    Ok((
        Some(TimeReader::new(info.kind.clone(), format, zone)),
        style,
    ))
}

/// A cell's number, NaN when it is missing; `None` when it is neither.
fn value(cells: &Column, row: usize, style: Style) -> Option<f64> {
    match cells {
        Column::Text(texts) => {
            let cell = texts.get(row);
            if is_missing(cell) {
                return Some(f64::NAN);
            }
            style.read(cell)
        }
        Column::Int(values) => Some(match values[row] {
            MISSING => f64::NAN,
            value => value as f64,
        }),
        Column::Float(values) => Some(values[row]),
        Column::Dictionary { .. } => {
            let cell = cells.text(row);
            if is_missing(&cell) {
                return Some(f64::NAN);
            }
            style.read(&cell)
        }
    }
}

fn listed(table: &dyn Table) -> String {
    let names: Vec<&str> = table.columns().iter().map(|c| c.name.as_str()).collect();
    names.join(", ")
}

fn config(key: &str, expected: String) -> SourceError {
    SourceError::Config {
        key: key.into(),
        expected,
    }
}
