//! Series for a forecast: the values of one column, oldest first, of one series or of each in a long or
//! a wide table.
//!
//! Model: the same tables, names, times and numbers as everywhere in [`super`], but any column of numbers
//! will do and a time is not needed. Rows are sorted by their times where each has one; else they stand in
//! the order of the file. A missing value is NaN.
//!
//! Several series are never joined: a table that has them is refused until one is chosen or all are asked
//! for, and so is one in which a time comes again with another value.
//!
//! What it does not do: check prices, find intervals.

use std::{collections::HashMap, ops::ControlFlow};

use market::{Symbol, Timestamp};

use super::{
    FileOptions,
    input::Input,
    names::{Meaning, meaning_of, plain},
    number::{NumberEvidence, Style, is_missing},
    open_table,
    survey::{Conflict, telling_column},
    table::{Column, ColumnKind, MISSING, Table},
    time::{Evidence, TimeReader, zone_named},
};
use crate::{Result, SourceError, decode::TimeUnit};

const BATCH_ROWS: usize = 8_192;

/// Names of columns that tell series apart in long tables which are not of prices.
const ID_NAMES: [&str; 7] = [
    "id", "uniqueid", "series", "seriesid", "item", "itemid", "key",
];

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

/// The columns that are read.
struct Columns {
    time: Option<(usize, Option<usize>)>,
    id: Option<usize>,
    /// The values, and the series that they belong to where the columns tell them apart.
    values: Vec<(usize, Option<String>)>,
    /// Whether the rows are trades, of which several may have one time.
    may_repeat: bool,
}

/// A series as it is read.
#[derive(Default)]
struct Growing {
    values: Vec<f64>,
    times: Vec<Option<Timestamp>>,
    rows: Vec<u64>,
}

/// Reads the series of a file.
///
/// # Errors
/// [`SourceError::File`], and [`SourceError::Config`]: no such column, several that could be meant, a cell
/// that is neither a number nor missing (with its line), several series that nobody chose from, no rows.
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
    for (id, growing) in chosen {
        sorted.push(sort(id, growing, &columns, &mut conflicts, &mut notes));
    }
    if !conflicts.is_empty() {
        let values: Vec<usize> = columns.values.iter().map(|(at, _)| *at).collect();
        let time = columns.time.map_or(0, |(time, _)| time);
        if let Some(conflict) = telling_column(&*table, &values, &wanted, time, style, &conflicts)?
        {
            return Err(mixed(&conflict));
        }
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

/// Which columns to read.
fn columns_of(table: &dyn Table, options: &SeriesOptions) -> Result<Columns> {
    let columns = table.columns();
    let named = |option: &str, name: &str| {
        let all = || columns.iter().enumerate();
        all()
            .find(|(_, c)| c.name == name)
            .or_else(|| all().find(|(_, c)| c.name.eq_ignore_ascii_case(name)))
            .or_else(|| all().find(|(_, c)| plain(&c.name) == plain(name)))
            .map(|(at, _)| at)
            .ok_or_else(|| {
                config(
                    option,
                    format!("there is no column {name:?}: there are {}", listed(table)),
                )
            })
    };
    let is = |at: usize, wanted: fn(Meaning) -> bool| matches!(meaning_of(&columns[at].name), Some((meaning, _)) if wanted(meaning));
    let best = |wanted: fn(Meaning) -> bool, of: Option<&str>| {
        (0..columns.len())
            .filter(|at| columns[*at].symbol.as_deref() == of)
            .filter_map(|at| match meaning_of(&columns[at].name) {
                Some((meaning, rank)) if wanted(meaning) => Some((rank, at)),
                _ => None,
            })
            .min()
            .map(|(_, at)| at)
    };
    let wide: Vec<&str> = {
        let mut symbols: Vec<&str> = columns.iter().filter_map(|c| c.symbol.as_deref()).collect();
        symbols.dedup();
        let mut seen = std::collections::HashSet::new();
        symbols.retain(|symbol| seen.insert(*symbol));
        symbols
    };
    let id = match (&options.id, wide.is_empty()) {
        (Some(name), true) => Some(named("--id", name)?),
        (Some(_), false) => None,
        (None, _) => best(|m| m == Meaning::Symbol, None).or_else(|| {
            (0..columns.len()).find(|at| ID_NAMES.contains(&plain(&columns[*at].name).as_str()))
        }),
    };
    let time = match &options.reading.time_column {
        Some(name) => match (named("--time-column", name), name.split_once([',', '+'])) {
            (Err(_), Some((date, clock))) => Some((
                named("--time-column", date.trim())?,
                Some(named("--time-column", clock.trim())?),
            )),
            (one, _) => Some((one?, None)),
        },
        None => {
            let time = best(|m| matches!(m, Meaning::Time(_)), None);
            let date = best(|m| m == Meaning::Date, None);
            let clock = best(|m| m == Meaning::Clock, None);
            match (time, date, clock) {
                (None, Some(date), Some(clock)) => Some((date, Some(clock))),
                (Some(one), ..) | (None, Some(one), None) | (None, None, Some(one)) => {
                    Some((one, None))
                }
                (None, None, None) => typed_or_index(table),
            }
        }
    }
    .filter(|(at, _)| Some(*at) != id);
    let is_time = |at: usize| time.is_some_and(|(time, clock)| at == time || Some(at) == clock);
    let value_of = |of: Option<&str>| -> Result<usize> {
        if let Some(name) = &options.column {
            if of.is_none() {
                return named("--column", name);
            }
            return (0..columns.len())
                .find(|at| {
                    columns[*at].symbol.as_deref() == of && plain(&columns[*at].name) == plain(name)
                })
                .ok_or_else(|| {
                    config(
                        "--column",
                        format!("there is no column {name:?}: there are {}", listed(table)),
                    )
                });
        }
        let exact = |name: &str| {
            (0..columns.len()).find(|at| {
                columns[*at].symbol.as_deref() == of && plain(&columns[*at].name) == name
            })
        };
        let known = best(|m| m == Meaning::Close, of)
            .or_else(|| exact("y"))
            .or_else(|| exact("value"))
            .or_else(|| best(|m| m == Meaning::Price, of));
        if let Some(at) = known {
            return Ok(at);
        }
        let mut others = (0..columns.len()).filter(|at| {
            columns[*at].symbol.as_deref() == of
                && Some(*at) != id
                && !is_time(*at)
                && !matches!(columns[*at].kind, ColumnKind::Other(_))
                && !is(*at, |m| {
                    matches!(m, Meaning::Time(_) | Meaning::Date | Meaning::Clock)
                })
        });
        match (others.next(), others.next()) {
            (Some(at), None) => Ok(at),
            _ => Err(config(
                "--column",
                format!("which column? there are {}", listed(table)),
            )),
        }
    };
    let values = if wide.is_empty() {
        vec![(value_of(None)?, None)]
    } else {
        let wanted = options.reading.symbol.as_ref().map(Symbol::as_str);
        let mut values = Vec::new();
        for symbol in wide {
            if wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(symbol)) {
                values.push((value_of(Some(symbol))?, Some(symbol.to_owned())));
            }
        }
        values
    };
    let has = |wanted: fn(Meaning) -> bool| (0..columns.len()).any(|at| is(at, wanted));
    let has_bars =
        has(|m| m == Meaning::Open) && has(|m| m == Meaning::High) && has(|m| m == Meaning::Low);
    let is_trade = has(|m| m == Meaning::Price) || has(|m| m == Meaning::Seq);
    Ok(Columns {
        time,
        id,
        values,
        may_repeat: !has_bars && is_trade,
    })
}

/// A column that the file says is one of times, or an index that is one by its looks.
fn typed_or_index(table: &dyn Table) -> Option<(usize, Option<usize>)> {
    let typed = table.columns().iter().position(|c| {
        matches!(
            c.kind,
            ColumnKind::Instant { .. } | ColumnKind::Civil | ColumnKind::Date
        )
    });
    let index = || {
        table.columns().iter().position(|c| {
            let name = plain(&c.name);
            name.is_empty() || name.starts_with("indexlevel") || name.starts_with("unnamed:")
        })
    };
    typed.or_else(index).map(|at| (at, None))
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

/// The series that were asked for; several that nobody chose from are refused.
fn choose(
    table: &dyn Table,
    columns: &Columns,
    series: Vec<(String, Growing)>,
    options: &SeriesOptions,
) -> Result<Vec<(String, Growing)>> {
    if options.id.is_some() && options.reading.symbol.is_none() {
        return Ok(series);
    }
    let names = |series: &[(String, Growing)]| {
        let shown: Vec<&str> = series.iter().take(5).map(|(id, _)| id.as_str()).collect();
        let more = if series.len() > 5 { ", …" } else { "" };
        format!("{}{more}", shown.join(", "))
    };
    if let Some(symbol) = &options.reading.symbol
        && (columns.id.is_some() || columns.values.iter().any(|(_, of)| of.is_some()))
    {
        let there = names(&series);
        let mut chosen: Vec<(String, Growing)> = series
            .into_iter()
            .filter(|(id, _)| id.trim().eq_ignore_ascii_case(symbol.as_str()))
            .collect();
        if chosen.is_empty() {
            return Err(config(
                "--symbol",
                format!("there are no rows of {symbol}: there are {there}"),
            ));
        }
        if options.id.is_none() {
            chosen.iter_mut().for_each(|(id, _)| id.clear());
        }
        return Ok(chosen);
    }
    // A number of its own for each row tells no series apart.
    if series.len() > 1 && columns.id.is_some() && series.iter().all(|(_, s)| s.values.len() == 1) {
        let mut all = Growing::default();
        for (_, one) in series {
            all.values.extend(one.values);
            all.times.extend(one.times);
            all.rows.extend(one.rows);
        }
        return Ok(vec![(String::new(), all)]);
    }
    if series.len() == 1 {
        let mut only = series;
        only.iter_mut().for_each(|(id, _)| id.clear());
        return Ok(only);
    }
    let column = columns
        .id
        .map_or("Ticker", |at| table.columns()[at].name.as_str());
    Err(config(
        "--id",
        format!(
            "the column {column:?} tells {} series apart ({}): --id {column} takes each of them, --symbol \
             one",
            series.len(),
            names(&series)
        ),
    ))
}

/// Sorts a series by its times, where each row has one.
fn sort(
    id: String,
    growing: Growing,
    columns: &Columns,
    conflicts: &mut Vec<(u64, u64)>,
    notes: &mut Vec<String>,
) -> Series {
    let Growing {
        values,
        times,
        rows,
    } = growing;
    let known: Option<Vec<Timestamp>> = if columns.time.is_some() {
        times.iter().copied().collect()
    } else {
        None
    };
    let Some(times) = known else {
        if columns.time.is_some() {
            notes.push(
                "some times cannot be read: the rows are taken in the order of the file".into(),
            );
        }
        return Series {
            id,
            values,
            times: None,
        };
    };
    let mut order: Vec<usize> = (0..values.len()).collect();
    if !times.is_sorted() {
        let falls = times.windows(2).all(|w| w[0] >= w[1]);
        if falls {
            // Rows of one time stand the other way round as well.
            order.reverse();
            notes.push("the rows are newest first: they are taken in the order of time".into());
        } else {
            notes.push("the rows are not in the order of time: they are sorted by it".into());
        }
        order.sort_by_key(|at| times[*at]);
    }
    if !columns.may_repeat {
        let repeats = order.windows(2).filter(|pair| {
            let (a, b) = (pair[0], pair[1]);
            times[a] == times[b] && values[a].to_bits() != values[b].to_bits()
        });
        for pair in repeats.take(32usize.saturating_sub(conflicts.len())) {
            let (a, b) = (rows[pair[0]], rows[pair[1]]);
            conflicts.push((a.min(b), a.max(b)));
        }
    }
    Series {
        id,
        values: order.iter().map(|at| values[*at]).collect(),
        times: Some(order.iter().map(|at| times[*at]).collect()),
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
