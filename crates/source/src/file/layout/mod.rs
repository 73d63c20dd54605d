//! What the columns of a file mean: which is the time, which the close, which the volume.
//!
//! Model: each name has meanings with ranks ([`super::names`]). The column of the lowest rank is taken,
//! and the layout says which others it was preferred to; two of one rank are refused with the option
//! that decides. A file with open, high, low and close holds bars, any other trades. A file with a group
//! of columns for each symbol has a [`Group`] for each.
//!
//! What it does not do: look at more than the first rows. What those leave open is decided by the
//! survey.

mod prices;
mod time;

use market::Symbol;

use super::{
    names::{Meaning, meaning_of, plain},
    number::is_missing,
    table::{Batch, Column, ColumnInfo, ColumnKind},
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
pub struct ColumnChoice<'a> {
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

    /// Finds out what the columns mean. `sample` has the first rows of every column that can be read, by the
    /// index of the column.
    ///
    /// # Errors
    /// [`SourceError::Config`] that names what is missing, or the option that decides.
    pub fn of(
        columns: &[ColumnInfo],
        sample: &Sample<'_>,
        wishes: ColumnChoice<'_>,
    ) -> Result<Self> {
        let mut resolver = Resolver {
            columns,
            sample,
            taken: Vec::new(),
        };
        let symbol = resolver.symbol(wishes.symbol)?;
        let (time, time_unit) = resolver.time(wishes.time)?;
        let interval = resolver.candidates(Meaning::Interval, None).best();
        let groups = resolver.groups(wishes, symbol)?;
        let is_bars = groups.iter().any(|group| group.bar.is_some());
        let seq = if is_bars {
            None
        } else {
            resolver.candidates(Meaning::Seq, None).best()
        };
        if let Some(column) = seq {
            resolver.take("trade id", column, &[]);
        }
        Ok(Self {
            time,
            time_unit,
            symbol,
            interval: interval.filter(|_| is_bars),
            seq,
            groups,
            taken: resolver.taken,
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

struct Resolver<'a> {
    columns: &'a [ColumnInfo],
    sample: &'a Sample<'a>,
    taken: Vec<Taken>,
}

impl Resolver<'_> {
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
}

fn config(key: &str, expected: String) -> SourceError {
    SourceError::Config {
        key: key.into(),
        expected,
    }
}
