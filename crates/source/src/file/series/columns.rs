//! Which columns the values, their times and their ids stand in.

use market::Symbol;

use super::{SeriesOptions, config, listed};
use crate::{
    Result,
    file::{
        names::{Meaning, meaning_of, plain},
        table::{ColumnKind, Table},
    },
};

/// Names of columns that tell series apart in long tables which are not of prices.
const ID_NAMES: [&str; 7] = [
    "id", "uniqueid", "series", "seriesid", "item", "itemid", "key",
];

/// The columns that are read.
pub(super) struct Columns {
    pub(super) time: Option<(usize, Option<usize>)>,
    pub(super) id: Option<usize>,
    /// The values, and the series that they belong to where the columns tell them apart.
    pub(super) values: Vec<(usize, Option<String>)>,
    /// Whether the rows are trades, of which several may have one time.
    pub(super) may_repeat: bool,
    /// Whether the values are prices of such trades, and no column says whose they are.
    pub(super) bare_prices: bool,
}

/// Which columns to read.
pub(super) fn columns_of(table: &dyn Table, options: &SeriesOptions) -> Result<Columns> {
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
    let may_repeat = !has_bars && is_trade;
    let bare_prices = may_repeat
        && !has(|m| m == Meaning::Seq)
        && id.is_none()
        && values.len() == 1
        && is(values[0].0, |m| m == Meaning::Price);
    Ok(Columns {
        time,
        id,
        values,
        may_repeat,
        bare_prices,
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
