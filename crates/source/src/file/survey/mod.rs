//! The first reading of a file: what is decided once, from all rows.
//!
//! Model: every row is read once for its time, its symbol and the looks of its numbers, and nothing is
//! kept but counts. Rows that stand in the order of time, symbol by symbol, are enough by themselves;
//! bars in any other order are sorted by their keys first ([`super::duplicate_keys`]). A duplicate key with
//! other values is an error that names the column which would tell the series apart, and so are trades whose
//! prices can only be those of two markets ([`super::price_levels`]).
//!
//! What it does not do: check prices. The second reading rejects rows that cannot be used.

mod conflict;
mod interval;
mod surveyor;

use std::ops::ControlFlow;

use market::Interval;

use self::{conflict::mixed_series, surveyor::Surveyor};
pub use self::{
    conflict::{Conflict, Looked, telling_column},
    interval::interval_named,
};
use super::{
    FileOptions,
    duplicate_keys::Keys,
    layout::{Layout, TimeColumns},
    number::Style,
    spacing::{Found, length},
    table::{Batch, Column, ColumnKind, Table},
    time::{Evidence, Format, TimeReader, zone_named},
};
use crate::{Result, SourceError};

/// Rows of a batch in this reading.
const BATCH_ROWS: usize = 8_192;

/// The order of the rows of each symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// The order of time.
    OldestFirst,
    /// The other way round.
    NewestFirst,
    /// Neither.
    Mixed,
}

/// What is decided of a file.
#[derive(Clone, Debug)]
pub struct Survey {
    /// How times are read.
    pub times: TimeReader,
    /// How numbers are read.
    pub style: Style,
    /// The interval of bars that do not say theirs.
    pub found: Option<Found>,
    /// The order of the rows.
    pub order: RowOrder,
    /// Rows whose time can be read.
    pub rows: u64,
    /// How many symbols there are.
    pub symbols: usize,
    /// Whether the symbol that was asked for is among those of the file.
    pub has_symbol: bool,
    /// What a person should know of what was decided.
    pub notes: Vec<String>,
}

/// Reads a file for the first time.
///
/// # Errors
/// [`SourceError::Config`] that names the option which decides what the rows leave open, or the column
/// that tells two series apart; [`SourceError::File`].
pub fn survey(table: &dyn Table, layout: &Layout, options: &FileOptions) -> Result<Survey> {
    let zone = match options.time_zone.as_deref().or(table.zone()) {
        Some(name) => Some(zone_named(name)?),
        None => None,
    };
    let (kind, name) = time_column(table, layout);
    let decide = |evidence: &Evidence| evidence.decide(options.date_order, layout.time_unit, &name);
    let reader = |format: Format| TimeReader::new(kind.clone(), format, zone.clone());
    let first = first_evidence(table, layout)?;
    // What the first rows leave open may be decided by later ones.
    let provisional = match decide(&first) {
        Ok((format, _)) => format,
        Err(_) => {
            first
                .decide(
                    Some(super::time::text::Order::DayMonth),
                    layout.time_unit,
                    &name,
                )?
                .0
        }
    };
    let decimal = options.decimal.map(|decimal| Style { decimal });
    let mut surveyor = Surveyor::new(
        layout,
        reader(provisional.clone()),
        decimal.unwrap_or_default(),
    );
    surveyor.scan(table)?;
    let (format, order_note) = decide(&surveyor.evidence)?;
    let style = surveyor.style(table, options)?;
    if format != provisional || surveyor.levels.is_some() && surveyor.levels_in != style {
        surveyor = Surveyor::new(layout, reader(format.clone()), style);
        surveyor.scan(table)?;
    }
    let mut notes: Vec<String> = order_note.into_iter().collect();
    let has_bars = layout.has_bars();
    let mut order = surveyor.order();
    let by_key = has_bars || layout.seq.is_some() || surveyor.levels.is_some();
    if order == RowOrder::Mixed && by_key {
        let mut sorted = Surveyor::new(layout, reader(format.clone()), style);
        sorted.keys = Some(Keys::default());
        sorted.scan(table)?;
        sorted.take_sorted()?;
        surveyor.seen = sorted.seen;
        surveyor.conflicts = sorted.conflicts;
        surveyor.levels = sorted.levels;
    }
    if !surveyor.conflicts.is_empty() {
        let time = match layout.time {
            TimeColumns::One(at) | TimeColumns::Pair { date: at, .. } => at,
        };
        let values = layout.value_columns();
        let pairs = &surveyor.conflicts;
        if let Some(conflict) =
            telling_column(table, &values, &layout.columns(), time, style, pairs)?
        {
            return Err(mixed_series(&conflict, has_bars));
        }
    }
    if let Some(levels) = &surveyor.levels {
        let time = match layout.time {
            TimeColumns::One(at) | TimeColumns::Pair { date: at, .. } => at,
        };
        let price = layout.groups[0].close;
        let looked = Looked {
            table,
            time,
            price,
            used: &layout.columns(),
            style,
        };
        notes.extend(looked.two_markets(levels, "--symbol-column")?);
    }
    // A file of which no time can be read has no interval either: its rows are all rejected.
    let found =
        if has_bars && surveyor.rows > 0 && !surveyor.all_say_their_interval(table, layout)? {
            Some(surveyor.interval(options, &mut notes)?)
        } else {
            None
        };
    if let Some(found) = found.filter(|found| found.rows_per_bar() > 1)
        && order == RowOrder::Mixed
    {
        return Err(config(
            "--interval",
            format!(
                "bars of {} are to be made of rows that are {} apart, and the rows are in no order: sort \
                 them by time first",
                found.interval,
                length(found.spacing)
            ),
        ));
    }
    let without_zone = surveyor.evidence.needs_zone() || kind == ColumnKind::Civil;
    if without_zone && found.is_none_or(|f| f.interval != Interval::D1) {
        notes.push(match (&options.time_zone, table.zone()) {
            (Some(zone), _) => format!("times without a zone are those of {zone}"),
            (None, Some(zone)) => {
                format!("times without a zone are those of {zone}, as this tool writes")
            }
            (None, None) => {
                "times without a zone are taken as UTC (--time-zone names another)".into()
            }
        });
    }
    if surveyor
        .seen
        .iter()
        .all(|seen| seen.forward + seen.backward == 0)
    {
        order = RowOrder::OldestFirst;
    }
    if style.decimal == b',' {
        notes.push("numbers have a decimal comma".into());
    }
    match order {
        RowOrder::OldestFirst => {}
        RowOrder::NewestFirst => notes.push("the rows are newest first".into()),
        RowOrder::Mixed => notes.push("the rows are not in the order of time".into()),
    }
    Ok(Survey {
        times: reader(format),
        style,
        found,
        order,
        rows: surveyor.rows,
        symbols: surveyor.seen.len(),
        has_symbol: options
            .symbol
            .as_ref()
            .is_some_and(|symbol| surveyor.has_symbol(layout, symbol.as_str())),
        notes,
    })
}

/// The kind of the column of times, and what it is called.
fn time_column(table: &dyn Table, layout: &Layout) -> (ColumnKind, String) {
    let columns = table.columns();
    match layout.time {
        TimeColumns::One(at) => (columns[at].kind.clone(), format!("{:?}", columns[at].name)),
        TimeColumns::Pair { date, clock } => (
            columns[date].kind.clone(),
            format!("{:?} and {:?}", columns[date].name, columns[clock].name),
        ),
    }
}

fn first_evidence(table: &dyn Table, layout: &Layout) -> Result<Evidence> {
    let wanted = match layout.time {
        TimeColumns::One(at) => vec![at],
        TimeColumns::Pair { date, clock } => vec![date, clock],
    };
    let mut evidence = Evidence::default();
    let mut joined = Vec::new();
    table.scan(&wanted, BATCH_ROWS, &mut |batch| {
        see_times(
            batch,
            &batch.columns[0],
            batch.columns.get(1),
            &mut evidence,
            &mut joined,
        );
        Ok(ControlFlow::Break(()))
    })?;
    Ok(evidence)
}

fn see_times(
    batch: &Batch,
    time: &Column,
    clock: Option<&Column>,
    evidence: &mut Evidence,
    joined: &mut Vec<u8>,
) {
    for row in 0..batch.rows {
        match (time, clock) {
            (_, Some(clock)) => evidence.see_pair(&time.text(row), &clock.text(row), joined),
            (Column::Text(texts), None) => evidence.see(texts.get(row)),
            (Column::Int(values), None) => evidence.see_int(values[row]),
            (_, None) => evidence.see(&time.text(row)),
        }
    }
}

fn config(key: &str, expected: String) -> SourceError {
    SourceError::Config {
        key: key.into(),
        expected,
    }
}
