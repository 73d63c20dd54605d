//! Rows of one key with different values, and the column that tells the series apart to which they belong.

use std::{collections::HashMap, ops::ControlFlow};

use super::{BATCH_ROWS, config};
use crate::{
    Result, SourceError,
    file::{
        names::{Meaning, meaning_of},
        number::Style,
        price_levels::{FAR, PriceLevels, Verdict},
        table::{ColumnKind, Table},
    },
};

/// A row for a person: what it is called, and its cells.
type Shown = (u64, Vec<String>);

/// The error of a file that has two series in one.
pub(super) fn mixed_series(conflict: &Conflict, has_bars: bool) -> SourceError {
    let what = if has_bars { "bar" } else { "trade" };
    let Conflict {
        when,
        rows: (a, b),
        column,
    } = conflict;
    let twice =
        format!("the {what} of {when} stands there twice with different values (rows {a} and {b})");
    config(
        "--symbol-column",
        match column {
            Some(name) => format!(
                "{twice}: the column {name:?} tells two series apart; name it, or keep the rows of one"
            ),
            None => format!(
                "{twice}, and no column tells two series apart: keep the rows of one, or the right rows"
            ),
        },
    )
}

/// Prices that levels were found in, to be looked at again.
pub struct Looked<'a> {
    /// Where they are.
    pub table: &'a dyn Table,
    /// The column of the times.
    pub time: usize,
    /// That of the prices.
    pub price: usize,
    /// Every column that means something.
    pub used: &'a [usize],
    /// How numbers are read.
    pub style: Style,
}

impl Looked<'_> {
    /// What the prices of trades say of whether they are of one market, for a person; nothing when they are.
    ///
    /// # Errors
    /// [`SourceError::Config`] with this option, when they are not; [`SourceError::File`].
    pub fn two_markets(&self, levels: &PriceLevels, option: &str) -> Result<Option<String>> {
        match levels.verdict() {
            None => Ok(None),
            Some(Verdict::Two { instants, pairs }) => match self.conflict(&pairs)? {
                Some(conflict) => Err(config(option, far_apart(&conflict, instants))),
                None => Ok(None),
            },
            Some(Verdict::Perhaps { returns, rows }) => {
                Ok(self.conflict(&[rows])?.map(|conflict| {
                    let (a, b) = conflict.rows;
                    format!(
                        "the price goes up or down by half and back {returns} times, first between rows {a}                          and {b}: if that is two markets, a column has to tell them apart"
                    )
                }))
            }
        }
    }

    fn conflict(&self, pairs: &[(u64, u64)]) -> Result<Option<Conflict>> {
        let Self {
            table,
            time,
            price,
            used,
            style,
        } = *self;
        telling_column(table, &[price], used, time, style, pairs)
    }
}

fn far_apart(conflict: &Conflict, instants: u64) -> String {
    let Conflict {
        when,
        rows: (a, b),
        column,
    } = conflict;
    let twice = format!(
        "at {instants} times, first at {when} (rows {a} and {b}), a trade is more than {FAR} times as high as          another of the same time"
    );
    match column {
        Some(name) => format!(
            "{twice}: the column {name:?} tells two series apart; name it, or keep the rows of one"
        ),
        None => format!(
            "{twice}, and no column tells two markets apart: keep the rows of one; if they are of one, a              column that numbers the trades (id) says so"
        ),
    }
}

/// Two rows of one key with different values.
pub struct Conflict {
    /// The key's time, as it is written.
    pub when: String,
    /// What the rows are called.
    pub rows: (u64, u64),
    /// The column that tells them apart.
    pub column: Option<String>,
}

/// Looks at pairs of rows of one key again: the first whose `values` differ as numbers, and the column, not
/// one of the `used`, that tells all such pairs apart. Nothing when none differ.
///
/// # Errors
/// [`SourceError::File`].
pub fn telling_column(
    table: &dyn Table,
    values: &[usize],
    used: &[usize],
    time: usize,
    style: Style,
    pairs: &[(u64, u64)],
) -> Result<Option<Conflict>> {
    let columns = table.columns();
    let readable: Vec<usize> = (0..columns.len())
        .filter(|at| !matches!(columns[*at].kind, ColumnKind::Other(_)))
        .collect();
    let wanted: std::collections::BTreeSet<u64> =
        pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
    let mut rows: HashMap<u64, Shown> = HashMap::new();
    table.scan(&readable, BATCH_ROWS, &mut |batch| {
        let end = batch.first_row + batch.rows as u64;
        for row in wanted.range(batch.first_row..end) {
            let at = (*row - batch.first_row) as usize;
            let cells = batch
                .columns
                .iter()
                .map(|column| String::from_utf8_lossy(&column.text(at)).into_owned());
            rows.insert(*row, (batch.place(at), cells.collect()));
        }
        Ok(if rows.len() == wanted.len() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    let mut real: Vec<(&Shown, &Shown)> = Vec::new();
    for (a, b) in pairs {
        let (Some(a), Some(b)) = (rows.get(a), rows.get(b)) else {
            continue;
        };
        let differ = readable.iter().enumerate().any(|(place, column)| {
            let number = |row: &Shown| style.read(row.1[place].as_bytes());
            values.contains(column) && a.1[place] != b.1[place] && number(a) != number(b)
        });
        if differ {
            real.push((a, b));
        }
    }
    let Some((a, b)) = real.first() else {
        return Ok(None);
    };
    // A column that differs in each pair, and holds words rather than numbers, tells them apart.
    let apart = |place: &usize| {
        real.iter().all(|(a, b)| {
            let (a, b) = (&a.1[*place], &b.1[*place]);
            a != b && !a.is_empty() && !b.is_empty()
        })
    };
    let words = |place: usize| {
        real.iter()
            .flat_map(|(a, b)| [&a.1[place], &b.1[place]])
            .all(|cell| style.read(cell.as_bytes()).is_none())
    };
    let mut telling: Vec<usize> = (0..readable.len())
        .filter(|place| !used.contains(&readable[*place]))
        .filter(apart)
        .collect();
    telling.sort_by_key(|place| {
        let name = &columns[readable[*place]].name;
        let is_symbol = matches!(meaning_of(name), Some((Meaning::Symbol, _)));
        (!is_symbol, !words(*place))
    });
    let when = readable
        .iter()
        .position(|at| *at == time)
        .map_or_else(String::new, |place| a.1[place].clone());
    let telling = telling.first().filter(|place| words(**place));
    Ok(Some(Conflict {
        when,
        rows: (a.0.min(b.0), a.0.max(b.0)),
        column: telling.map(|place| columns[readable[*place]].name.clone()),
    }))
}
