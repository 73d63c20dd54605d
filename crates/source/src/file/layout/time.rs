//! Which column is the time: by its name, by the looks of its cells, or as a date and a time of day in two.

use std::collections::HashSet;

use super::{Resolver, TimeColumns, config};
use crate::{
    Result,
    decode::TimeUnit,
    file::{
        names::{Meaning, meaning_of, plain},
        table::{ColumnInfo, ColumnKind},
        time::text::{self, Order},
    },
};

impl Resolver<'_> {
    pub(super) fn time(&mut self, wish: Option<&str>) -> Result<(TimeColumns, TimeUnit)> {
        let unit_of = |column: &ColumnInfo| match meaning_of(&column.name) {
            Some((Meaning::Time(unit), _)) => unit,
            _ => TimeUnit::Auto,
        };
        if let Some(name) = wish {
            let one = self.named("--time-column", name);
            let pair = name.split_once([',', '+']);
            let (Err(_), Some((date, clock))) = (&one, pair) else {
                let column = one?;
                self.take("time", column, &[]);
                return Ok((TimeColumns::One(column), unit_of(&self.columns[column])));
            };
            let date = self.named("--time-column", date.trim())?;
            let clock = self.named("--time-column", clock.trim())?;
            self.take("date", date, &[]);
            self.take("time of day", clock, &[]);
            return Ok((TimeColumns::Pair { date, clock }, TimeUnit::Auto));
        }
        let times = self.candidates(Meaning::Time(TimeUnit::Auto), None);
        let dates = self.candidates(Meaning::Date, None);
        let clocks = self.candidates(Meaning::Clock, None);
        let others: Vec<usize> = [&times, &dates, &clocks]
            .iter()
            .flat_map(|c| c.0.iter().map(|(column, _)| *column))
            .collect();
        let without = |column: usize| -> Vec<usize> {
            others.iter().copied().filter(|o| *o != column).collect()
        };
        // A column of dates that never repeat is that of daily bars: the date is written there.
        let date = dates.best();
        let days = date.filter(|date| self.has_a_date_for_each_row(*date));
        if let (Some(time), None) = (times.best(), days.filter(|_| clocks.best().is_none())) {
            if let [a, b, ..] = times.equals()[..] {
                return Err(self.equal("--time-column", "time", &[a, b]));
            }
            self.take("time", time, &without(time));
            return Ok((TimeColumns::One(time), unit_of(&self.columns[time])));
        }
        if let [a, b, ..] = dates.equals()[..] {
            return Err(self.equal("--time-column", "date", &[a, b]));
        }
        match (date, clocks.best()) {
            (Some(date), Some(clock)) if self.is_clock(clock) => {
                self.take("date", date, &[]);
                self.take("time of day", clock, &[]);
                Ok((TimeColumns::Pair { date, clock }, TimeUnit::Auto))
            }
            // baostock writes the whole time beside the date.
            (Some(_), Some(clock)) if self.has_times(clock) => {
                self.take("time", clock, &without(clock));
                Ok((TimeColumns::One(clock), TimeUnit::Auto))
            }
            (Some(column), _) | (None, Some(column)) => {
                self.take("time", column, &without(column));
                Ok((TimeColumns::One(column), TimeUnit::Auto))
            }
            (None, None) => self.unnamed_time(),
        }
    }

    /// An index without a telling name, or the only column whose kind or cells are times.
    fn unnamed_time(&mut self) -> Result<(TimeColumns, TimeUnit)> {
        let typed: Vec<usize> = (0..self.columns.len())
            .filter(|at| {
                matches!(
                    self.columns[*at].kind,
                    ColumnKind::Instant { .. } | ColumnKind::Civil | ColumnKind::Date
                )
            })
            .collect();
        let is_index = |at: &usize| {
            let name = plain(&self.columns[*at].name);
            name.is_empty()
                || name == "index"
                || name.starts_with("indexlevel")
                || name.starts_with("unnamed:")
                || name.starts_with("level")
        };
        let index = (0..self.columns.len())
            .filter(is_index)
            .find(|at| typed.contains(at) || self.has_times(*at));
        let column = match (index, typed.as_slice()) {
            (Some(column), _) => column,
            (None, [only]) => *only,
            _ => {
                return Err(config(
                    "--time-column",
                    format!(
                        "expected a column with a time (date, time or timestamp), got {}",
                        self.listed()
                    ),
                ));
            }
        };
        self.take("time", column, &[]);
        Ok((TimeColumns::One(column), TimeUnit::Auto))
    }

    /// Whether the cells are times of day.
    fn is_clock(&self, column: usize) -> bool {
        let cells = self.sample.cells(column);
        !cells.is_empty()
            && cells.iter().all(|cell| {
                let short = cell.len() < 3 && cell.bytes().all(|b| b.is_ascii_digit());
                let padded = format!("{cell:0>4}");
                text::clock(if short { &padded } else { cell }).is_some()
                    && !(cell.len() > 9 && cell.bytes().all(|b| b.is_ascii_digit()))
            })
    }

    /// Whether the cells are whole times, and not just numbers.
    fn has_times(&self, column: usize) -> bool {
        let cells = self.sample.cells(column);
        !cells.is_empty()
            && cells.iter().all(|cell| match cell.parse::<i64>() {
                Ok(value) => text::of_digits(value, cell.len()).is_some() || value >= 100_000_000,
                Err(_) => {
                    text::read(cell, Order::DayMonth).is_some()
                        || text::read(cell, Order::MonthDay).is_some()
                }
            })
    }

    /// Whether the cells are dates without a time of day, none of them twice for one symbol.
    fn has_a_date_for_each_row(&self, column: usize) -> bool {
        let Some(values) = self.sample.column(column) else {
            return false;
        };
        let symbol = self.candidates(Meaning::Symbol, None).best();
        let symbols = symbol.and_then(|symbol| self.sample.column(symbol));
        let mut seen = HashSet::new();
        let all = (0..self.sample.batch.rows).all(|row| {
            let cell = values.text(row);
            let is_date = match self.columns[column].kind {
                ColumnKind::Date => true,
                ColumnKind::Text => std::str::from_utf8(&cell).is_ok_and(|cell| {
                    cell.len() <= 12
                        && !cell.contains(':')
                        && (text::read(cell, Order::DayMonth).is_some()
                            || text::read(cell, Order::MonthDay).is_some())
                }),
                _ => false,
            };
            let of = symbols.map(|symbols| symbols.text(row));
            is_date && seen.insert((cell, of))
        });
        all && self.sample.batch.rows > 1
    }
}
