//! What the columns of a file mean: which is the time, which the close, which the volume.
//!
//! Model: each name has meanings with ranks ([`super::names`]). The column of the lowest rank is taken,
//! and the layout says which others it was preferred to; two of one rank are refused with the option
//! that decides. A file with open, high, low and close holds bars, any other trades. A file with a group
//! of columns for each symbol has a [`Group`] for each.
//!
//! What it does not do: look at more than the first rows. What those leave open is decided by the
//! survey.

use std::collections::HashSet;

use market::Symbol;

use super::{
    names::{AMOUNT_RANK, Meaning, VOLUME_OF_RANK, meaning_of, plain},
    number::is_missing,
    table::{Batch, Column, ColumnInfo, ColumnKind},
    time::text::{self, Order},
};
use crate::{Result, SourceError, decode::TimeUnit};

/// Where the time of a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeColumns {
    /// In one column.
    One(usize),
    /// The date and the time of day in two.
    Pair {
        /// The date.
        date: usize,
        /// The time of day.
        clock: usize,
    },
}

/// The columns of a symbol's prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The symbol that they belong to; `None` where a column or the file's name says it.
    pub symbol: Option<String>,
    /// Open, high and low; `None` for trades.
    pub bar: Option<[usize; 3]>,
    /// The close, or the trade's price.
    pub close: usize,
    /// The close adjusted for splits and dividends, where it was asked for.
    pub adjusted: Option<usize>,
    /// The volume, or the trade's size.
    pub volume: Option<usize>,
}

/// A column that was taken for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// For what: `time`, `close`, `volume`.
    pub meaning: &'static str,
    /// The column's name.
    pub column: String,
    /// Columns that could have been it.
    pub instead_of: Vec<String>,
}

/// What the columns of a file mean; indices are those of [`super::table::Table::columns`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The time.
    pub time: TimeColumns,
    /// The unit of times that are numbers, where their name says it.
    pub time_unit: TimeUnit,
    /// The symbol.
    pub symbol: Option<usize>,
    /// The bar's length.
    pub interval: Option<usize>,
    /// The trade's id.
    pub seq: Option<usize>,
    /// The prices, by symbol where the columns are.
    pub groups: Vec<Group>,
    /// What was taken.
    pub taken: Vec<Taken>,
}

/// Columns that are asked for by name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes<'a> {
    /// The time; two names with a comma or a plus sign between them are a date and a time of day.
    pub time: Option<&'a str>,
    /// The symbol.
    pub symbol: Option<&'a str>,
    /// The close, or the price.
    pub close: Option<&'a str>,
    /// The volume, or the size.
    pub volume: Option<&'a str>,
}

impl Layout {
    /// Whether the rows are bars.
    pub fn has_bars(&self) -> bool {
        self.groups.iter().any(|group| group.bar.is_some())
    }

    /// The columns that are read for values.
    pub fn value_columns(&self) -> Vec<usize> {
        let mut columns = Vec::new();
        for group in &self.groups {
            columns.extend(group.bar.into_iter().flatten());
            columns.push(group.close);
            columns.extend(group.adjusted);
            columns.extend(group.volume);
        }
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Every column that is read.
    pub fn columns(&self) -> Vec<usize> {
        let mut columns = self.value_columns();
        match self.time {
            TimeColumns::One(time) => columns.push(time),
            TimeColumns::Pair { date, clock } => columns.extend([date, clock]),
        }
        columns.extend([self.symbol, self.interval, self.seq].into_iter().flatten());
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Tells what the columns mean. `sample` has the first rows of every column that can be read, by the
    /// index of the column.
    ///
    /// # Errors
    /// [`SourceError::Config`] that names what is missing, or the option that decides.
    pub fn of(columns: &[ColumnInfo], sample: &Sample<'_>, wishes: Wishes<'_>) -> Result<Self> {
        let mut teller = Teller {
            columns,
            sample,
            taken: Vec::new(),
        };
        let symbol = teller.symbol(wishes.symbol)?;
        let (time, time_unit) = teller.time(wishes.time)?;
        let interval = teller.candidates(Meaning::Interval, None).best();
        let groups = teller.groups(wishes, symbol)?;
        let is_bars = groups.iter().any(|group| group.bar.is_some());
        let seq = if is_bars {
            None
        } else {
            teller.candidates(Meaning::Seq, None).best()
        };
        if let Some(column) = seq {
            teller.take("trade id", column, &[]);
        }
        Ok(Self {
            time,
            time_unit,
            symbol,
            interval: interval.filter(|_| is_bars),
            seq,
            groups,
            taken: teller.taken,
        })
    }
}

/// The first rows of a file.
pub struct Sample<'a> {
    /// The rows.
    pub batch: &'a Batch,
    /// The column of the table that each column of the batch is.
    pub wanted: &'a [usize],
}

impl Sample<'_> {
    fn column(&self, column: usize) -> Option<&Column> {
        let at = self.wanted.iter().position(|w| *w == column)?;
        self.batch.columns.get(at)
    }

    /// The cells of a column that say something.
    fn cells(&self, column: usize) -> Vec<String> {
        let Some(values) = self.column(column) else {
            return Vec::new();
        };
        (0..self.batch.rows)
            .map(|row| String::from_utf8_lossy(&values.text(row)).trim().to_owned())
            .filter(|cell| !is_missing(cell.as_bytes()))
            .collect()
    }
}

/// Columns that could be one thing, the surest first.
struct Candidates(Vec<(usize, u8)>);

impl Candidates {
    fn best(&self) -> Option<usize> {
        self.0.first().map(|(column, _)| *column)
    }

    /// The columns that are as sure as the best.
    fn equals(&self) -> Vec<usize> {
        let best = self.0.first().map(|(_, rank)| *rank);
        self.0
            .iter()
            .filter(|(_, rank)| Some(*rank) == best)
            .map(|(column, _)| *column)
            .collect()
    }
}

struct Teller<'a> {
    columns: &'a [ColumnInfo],
    sample: &'a Sample<'a>,
    taken: Vec<Taken>,
}

impl Teller<'_> {
    fn name(&self, column: usize) -> String {
        self.columns[column].name.clone()
    }

    fn take(&mut self, meaning: &'static str, column: usize, others: &[usize]) {
        let taken = Taken {
            meaning,
            column: self.name(column),
            instead_of: others.iter().map(|other| self.name(*other)).collect(),
        };
        if !self.taken.contains(&taken) {
            self.taken.push(taken);
        }
    }

    fn listed(&self) -> String {
        let mut names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
        names.dedup();
        let more = names.len().saturating_sub(40);
        names.truncate(40);
        let mut listed = names.join(", ");
        if more > 0 {
            listed.push_str(&format!(" and {more} more"));
        }
        listed
    }

    /// The columns of a meaning, of a symbol or of none.
    fn candidates(&self, meaning: Meaning, symbol: Option<&str>) -> Candidates {
        let same =
            |found: Meaning| std::mem::discriminant(&found) == std::mem::discriminant(&meaning);
        let mut found: Vec<(usize, u8)> = self
            .columns
            .iter()
            .enumerate()
            .filter(|(_, c)| c.symbol.as_deref() == symbol)
            .filter(|(_, c)| !matches!(c.kind, ColumnKind::Other(_)))
            .filter_map(|(at, c)| match meaning_of(&c.name) {
                Some((found, rank)) if same(found) => Some((at, rank)),
                _ => None,
            })
            .collect();
        found.sort_by_key(|(_, rank)| *rank);
        Candidates(found)
    }

    /// The column of a name that was asked for.
    fn named(&self, option: &str, name: &str) -> Result<usize> {
        let names = || self.columns.iter().enumerate();
        names()
            .find(|(_, c)| c.name == name)
            .or_else(|| names().find(|(_, c)| c.name.eq_ignore_ascii_case(name)))
            .or_else(|| names().find(|(_, c)| plain(&c.name) == plain(name)))
            .map(|(at, _)| at)
            .ok_or_else(|| {
                config(
                    option,
                    format!("there is no column {name:?}: there are {}", self.listed()),
                )
            })
    }

    fn symbol(&mut self, wish: Option<&str>) -> Result<Option<usize>> {
        if let Some(name) = wish {
            let column = self.named("--symbol-column", name)?;
            self.take("symbol", column, &[]);
            return Ok(Some(column));
        }
        let candidates = self.candidates(Meaning::Symbol, None);
        for (column, rank) in &candidates.0 {
            let cells = self.sample.cells(*column);
            // Names of companies are no symbols.
            let fits = *rank < 3 || cells.iter().all(|cell| cell.parse::<Symbol>().is_ok());
            if !cells.is_empty() && fits {
                self.take("symbol", *column, &[]);
                return Ok(Some(*column));
            }
        }
        Ok(None)
    }

    fn time(&mut self, wish: Option<&str>) -> Result<(TimeColumns, TimeUnit)> {
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

    fn equal(&self, option: &str, what: &str, columns: &[usize]) -> SourceError {
        let names: Vec<String> = columns
            .iter()
            .map(|column| format!("{:?}", self.columns[*column].name))
            .collect();
        config(
            option,
            format!("{} could each be the {what}: name one", names.join(" and ")),
        )
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

    fn groups(&mut self, wishes: Wishes<'_>, symbol: Option<usize>) -> Result<Vec<Group>> {
        let mut symbols: Vec<String> = Vec::new();
        for column in self.columns {
            if let Some(symbol) = &column.symbol
                && !symbols.contains(symbol)
            {
                symbols.push(symbol.clone());
            }
        }
        if symbols.is_empty() {
            return Ok(vec![self.group(None, wishes, symbol)?]);
        }
        let mut groups = Vec::new();
        for symbol in &symbols {
            groups.push(self.group(Some(symbol), wishes, None)?);
        }
        Ok(groups)
    }

    /// The column that was asked for, of a symbol where the columns are.
    fn wished(&self, option: &str, name: &str, symbol: Option<&str>) -> Result<usize> {
        if symbol.is_none() {
            return self.named(option, name);
        }
        (0..self.columns.len())
            .find(|at| {
                let column = &self.columns[*at];
                column.symbol.as_deref() == symbol && plain(&column.name) == plain(name)
            })
            .ok_or_else(|| {
                config(
                    option,
                    format!("there is no column {name:?}: there are {}", self.listed()),
                )
            })
    }

    fn group(
        &mut self,
        of: Option<&str>,
        wishes: Wishes<'_>,
        symbol: Option<usize>,
    ) -> Result<Group> {
        let open = self.candidates(Meaning::Open, of).best();
        let high = self.candidates(Meaning::High, of).best();
        let low = self.candidates(Meaning::Low, of).best();
        let bar = match (open, high, low) {
            (Some(open), Some(high), Some(low)) => Some([open, high, low]),
            _ => None,
        };
        let mut closes = self.candidates(Meaning::Close, of);
        let prices = self.candidates(Meaning::Price, of);
        // The price of a bar is its close; that of a trade is surer than a close.
        let (mut first, second) = if bar.is_some() {
            (closes.0.split_off(0), prices)
        } else {
            (prices.0, closes)
        };
        first.extend(second.0.iter().map(|(column, rank)| (*column, rank + 10)));
        let priced = Candidates(first);
        let wished = wishes
            .close
            .map(|name| self.wished("--close-column", name, of))
            .transpose()?;
        let is_adjusted = |at: usize| {
            matches!(
                meaning_of(&self.columns[at].name),
                Some((Meaning::Adjusted, _))
            )
        };
        let what = if bar.is_some() { "close" } else { "price" };
        let (close, adjusted) = match (wished, priced.best()) {
            (Some(adjusted), Some(close)) if bar.is_some() && is_adjusted(adjusted) => {
                (close, Some(adjusted))
            }
            (Some(close), _) => (close, None),
            (None, Some(close)) => {
                if let [a, b, ..] = priced.equals()[..] {
                    return Err(self.equal("--close-column", what, &[a, b]));
                }
                (close, None)
            }
            (None, None) => return Err(self.no_price()),
        };
        let others: Vec<usize> = priced
            .0
            .iter()
            .map(|(column, _)| *column)
            .filter(|column| *column != close)
            .collect();
        self.take(what, close, &others);
        if let Some(adjusted) = adjusted {
            self.take("adjusted close", adjusted, &[]);
        }
        if let Some([open, high, low]) = bar {
            for (what, column) in [("open", open), ("high", high), ("low", low)] {
                self.take(what, column, &[]);
            }
        }
        let volume = self.volume(of, wishes, symbol, bar.is_some())?;
        Ok(Group {
            symbol: of.map(ToOwned::to_owned),
            bar,
            close,
            adjusted,
            volume,
        })
    }

    fn no_price(&self) -> SourceError {
        let quotes = self.columns.iter().any(|c| {
            matches!(
                plain(&c.name).as_str(),
                "bid" | "ask" | "bidprice" | "askprice"
            )
        });
        let why = if quotes {
            "expected a column with a price, got quotes (bid and ask): name the one to read"
        } else {
            "expected a column with a price (close, or price)"
        };
        config(
            "--close-column",
            format!("{why}; there are {}", self.listed()),
        )
    }

    fn volume(
        &mut self,
        of: Option<&str>,
        wishes: Wishes<'_>,
        symbol: Option<usize>,
        is_bars: bool,
    ) -> Result<Option<usize>> {
        let what = if is_bars { "volume" } else { "size" };
        if let Some(name) = wishes.volume {
            let column = self.wished("--volume-column", name, of)?;
            self.take(what, column, &[]);
            return Ok(Some(column));
        }
        let mut candidates = self.candidates(Meaning::Volume, of);
        let all: Vec<usize> = candidates.0.iter().map(|(column, _)| *column).collect();
        if is_bars {
            candidates.0.retain(|(_, rank)| *rank != AMOUNT_RANK);
        }
        // Of a pair BTC/USDT the volume is that in BTC; that in USDT is money that changed hands.
        let pair = symbol
            .and_then(|symbol| self.sample.cells(symbol).first().map(|cell| plain(cell)))
            .map(|pair| pair.replace(['/', ':'], ""));
        if let Some(pair) = pair.as_deref() {
            let columns = self.columns;
            candidates.0.retain_mut(|(column, rank)| {
                if *rank != VOLUME_OF_RANK {
                    return true;
                }
                let unit = plain(&columns[*column].name)["volume".len()..].to_owned();
                if pair.starts_with(&unit) {
                    *rank = 3;
                }
                !pair.ends_with(&unit) || pair.starts_with(&unit)
            });
            candidates.0.sort_by_key(|(_, rank)| *rank);
        }
        if let [a, b, ..] = candidates.equals()[..] {
            return Err(self.equal("--volume-column", what, &[a, b]));
        }
        let Some(column) = candidates.best() else {
            return Ok(None);
        };
        let others: Vec<usize> = all.into_iter().filter(|other| *other != column).collect();
        self.take(what, column, &others);
        Ok(Some(column))
    }
}

fn config(key: &str, expected: String) -> SourceError {
    SourceError::Config {
        key: key.into(),
        expected,
    }
}
