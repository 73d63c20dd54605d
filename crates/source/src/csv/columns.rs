//! What the columns of a file mean, told from their headers.

use std::borrow::Cow;

use csv::ByteRecord;
use market::RejectReason;

use crate::decode::{Fault, Field, RawRow, Scalar};

/// The meaning of each column.
#[derive(Clone, Debug)]
pub struct Columns {
    fields: Vec<Field>,
    /// Indices of a date column and of a time column that belong together.
    date_and_time: Option<(usize, usize)>,
}

impl Columns {
    /// From the header line.
    pub fn of_header(header: &ByteRecord) -> Self {
        let names: Vec<String> = header
            .iter()
            .map(|h| {
                String::from_utf8_lossy(h)
                    .trim_matches('\u{feff}')
                    .trim()
                    .to_owned()
            })
            .collect();
        let place = |name: &str| names.iter().position(|n| n.eq_ignore_ascii_case(name));
        Self {
            fields: names.iter().map(|n| Field::of_key(n)).collect(),
            date_and_time: place("date").zip(place("time")),
        }
    }

    /// Whether there is a column of this meaning.
    pub fn has(&self, field: Field) -> bool {
        self.fields
            .iter()
            .any(|f| std::mem::discriminant(f) == std::mem::discriminant(&field))
    }

    /// The fields of a line.
    pub fn row<'a>(&self, record: &'a ByteRecord) -> Result<RawRow<'a>, Fault> {
        if record.len() != self.fields.len() {
            return Err((
                RejectReason::Unparsable,
                format!(
                    "the line has {} columns: expected {}, as in the header",
                    record.len(),
                    self.fields.len()
                ),
            ));
        }
        let mut row = RawRow::default();
        for (field, cell) in self.fields.iter().zip(record) {
            if *field != Field::Unknown {
                row.set(*field, scalar(cell)?);
            }
        }
        if let Some((date, time)) = self.date_and_time
            && let (Scalar::Text(date), Scalar::Text(time)) =
                (scalar(&record[date])?, scalar(&record[time])?)
        {
            row.time = Scalar::Text(Cow::Owned(format!("{date} {time}")));
        }
        Ok(row)
    }
}

fn scalar(cell: &[u8]) -> Result<Scalar<'_>, Fault> {
    let text = std::str::from_utf8(cell)
        .map_err(|_| (RejectReason::Unparsable, "the line is not UTF-8".to_owned()))?
        .trim();
    Ok(if text.is_empty() {
        Scalar::Null
    } else {
        Scalar::Text(Cow::Borrowed(text))
    })
}
