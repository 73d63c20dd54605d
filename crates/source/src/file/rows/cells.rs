//! The cells that a row is read from: columns by their index in the file, and what one cell says.

use std::borrow::Cow;

use market::RejectReason;

use crate::{
    decode::{Fault, Scalar, hash_text},
    file::{
        layout::Group,
        number::{Style, is_missing},
        table::{Batch, Column, MISSING},
    },
};

/// The columns of a batch.
pub(super) struct Cells<'b> {
    pub(super) batch: &'b Batch,
    pub(super) wanted: &'b [usize],
}

impl<'b> Cells<'b> {
    pub(super) fn column(&self, column: usize) -> &'b Column {
        let at = self.wanted.binary_search(&column).unwrap_or(0);
        &self.batch.columns[at]
    }
}

/// A group's columns in a batch.
pub(super) struct GroupCells<'b> {
    pub(super) bar: Option<[&'b Column; 3]>,
    pub(super) close: &'b Column,
    pub(super) adjusted: Option<&'b Column>,
    pub(super) volume: Option<&'b Column>,
}

/// What a row says about one symbol.
pub(super) struct RowCells<'b> {
    pub(super) row: usize,
    pub(super) time: &'b Column,
    pub(super) clock: Option<&'b Column>,
    pub(super) symbols: Option<&'b Column>,
    pub(super) intervals: Option<&'b Column>,
    pub(super) seqs: Option<&'b Column>,
}

impl GroupCells<'_> {
    pub(super) fn is_empty(&self, row: usize) -> bool {
        let missing = |column: &Column| match column {
            Column::Text(texts) => is_missing(texts.get(row)),
            Column::Int(values) => values[row] == MISSING,
            Column::Float(values) => values[row].is_nan(),
            Column::Dictionary { .. } => is_missing(&column.text(row)),
        };
        missing(self.close) && self.bar.is_none_or(|bar| bar.into_iter().all(missing))
    }
}

pub(super) fn group_cells<'b>(group: &Group, cells: &Cells<'b>) -> GroupCells<'b> {
    GroupCells {
        bar: group.bar.map(|bar| bar.map(|at| cells.column(at))),
        close: cells.column(group.close),
        adjusted: group.adjusted.map(|at| cells.column(at)),
        volume: group.volume.map(|at| cells.column(at)),
    }
}

/// A cell's number; `None` when it is missing.
#[inline]
pub(super) fn value(
    style: Style,
    name: &str,
    column: &Column,
    row: usize,
    reason: RejectReason,
) -> Result<Option<f64>, Fault> {
    let number = match column {
        Column::Text(texts) => {
            let cell = texts.get(row);
            match style.read(cell) {
                Some(number) => number,
                None if is_missing(cell) => return Ok(None),
                None => {
                    let shown: String = String::from_utf8_lossy(cell).chars().take(64).collect();
                    return Err((
                        RejectReason::BadField,
                        format!("{name} is {shown:?}: expected a number"),
                    ));
                }
            }
        }
        Column::Int(values) => match values[row] {
            MISSING => return Ok(None),
            value => value as f64,
        },
        Column::Float(values) if values[row].is_nan() => return Ok(None),
        Column::Float(values) => values[row],
        Column::Dictionary { .. } => match style.read(&column.text(row)) {
            Some(number) => number,
            None => return Ok(None),
        },
    };
    if number.is_finite() {
        Ok(Some(number))
    } else {
        Err((
            reason,
            format!("{name} is {number}: expected a finite number"),
        ))
    }
}

/// A trade's id: a number from zero up, or a text that is hashed; `None` when it is missing.
pub(super) fn seq_of(column: &Column, row: usize) -> Result<Option<u64>, Fault> {
    if let Column::Int(values) = column {
        return match values[row] {
            MISSING => Ok(None),
            value => u64::try_from(value).map(Some).map_err(|_| {
                (
                    RejectReason::BadField,
                    format!("seq is {value}: expected a number from zero up"),
                )
            }),
        };
    }
    let text = column.text(row);
    if text.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&text);
    Ok(Some(match text.parse::<i64>() {
        Ok(n) if n >= 0 => n.unsigned_abs(),
        _ => hash_text(&text),
    }))
}

pub(super) fn time_text(of_row: &RowCells<'_>) -> String {
    let date = of_row.time.text(of_row.row);
    let mut text = String::from_utf8_lossy(&date).into_owned();
    if let Some(clock) = of_row.clock {
        text.push(' ');
        text.push_str(&String::from_utf8_lossy(&clock.text(of_row.row)));
    }
    text.trim().chars().take(64).collect()
}

pub(super) fn text_scalar(text: &[u8]) -> Scalar<'static> {
    if text.is_empty() {
        return Scalar::Null;
    }
    Scalar::Text(Cow::Owned(String::from_utf8_lossy(text).into_owned()))
}
