//! What is kept of a row that cannot be used.

use std::borrow::Cow;

use market::{Interval, Reject, RejectReason};

use super::{
    RowReader,
    cells::{GroupCells, RowCells, seq_of, text_scalar, time_text, value},
};
use crate::{
    decode::{Fault, RawRow, Scalar, TimeUnit, reject, rejected_row},
    file::{table::Column, time::Moment},
};

impl RowReader<'_> {
    /// What is kept of a row that cannot be used: a message that means the same without the file.
    pub(super) fn reject(
        &self,
        fault: Fault,
        at: usize,
        group: &GroupCells<'_>,
        of_row: &RowCells<'_>,
        moment: Option<Moment>,
        place: u64,
    ) -> Reject {
        let row = of_row.row;
        let scalar = |column: Option<&Column>| match column {
            None => Scalar::Missing,
            Some(column) => match value(self.style, "", column, row, RejectReason::BadField) {
                Ok(Some(value)) => Scalar::Float(value),
                Ok(None) => Scalar::Null,
                Err(_) => text_scalar(&column.text(row)),
            },
        };
        let day = self.interval_of(of_row).ok() == Some(Interval::D1) && group.bar.is_some();
        let mut raw = RawRow {
            symbol: match (
                &self.of_file,
                &self.layout.groups[at].symbol,
                of_row.symbols,
            ) {
                (Some(symbol), ..) => text_scalar(symbol.as_str().as_bytes()),
                (None, Some(name), _) => text_scalar(name.as_bytes()),
                (None, None, Some(column)) => text_scalar(&column.text(row)),
                (None, None, None) => Scalar::Missing,
            },
            time: match moment {
                Some(moment) if day => Scalar::Int(moment.date()),
                Some(moment) => Scalar::Int(moment.instant),
                None => text_scalar(time_text(of_row).as_bytes()),
            },
            time_unit: if moment.is_some() {
                TimeUnit::Micros
            } else {
                TimeUnit::Auto
            },
            size: scalar(group.volume),
            seq: match of_row.seqs {
                Some(column) => match seq_of(column, row) {
                    Ok(Some(seq)) => Scalar::Int(seq as i64),
                    _ => text_scalar(&column.text(row)),
                },
                None => Scalar::Missing,
            },
            adjusted: scalar(group.adjusted),
            ..RawRow::default()
        };
        match group.bar {
            Some([open, high, low]) => {
                raw.open = scalar(Some(open));
                raw.high = scalar(Some(high));
                raw.low = scalar(Some(low));
                raw.close = scalar(Some(group.close));
                raw.interval = match self.interval_of(of_row) {
                    Ok(interval) => Scalar::Text(Cow::Borrowed(interval.as_str())),
                    Err(_) => of_row
                        .intervals
                        .map_or(Scalar::Missing, |column| text_scalar(&column.text(row))),
                };
            }
            None => raw.price = scalar(Some(group.close)),
        }
        let payload = rejected_row::to_json(raw, group.adjusted.is_some(), None);
        reject(
            fault,
            &format!("{}:{place}", self.origin),
            payload.as_bytes(),
        )
    }
}
