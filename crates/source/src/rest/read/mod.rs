//! Reading an answer by its [`Mapping`].
//!
//! Model: rows whose fields lie directly in them are read in one pass without a tree of values (the fast
//! path); fields with a path into the row take the general one. Both give the same result, and a property
//! test says so. Rows are read one after the other: what is kept of an answer are its ticks and bars, and so
//! many of the rows that cannot be used ([`MAX_REJECTS`]); time grows with the answer's length.

mod visit;

use std::borrow::Cow;

use jiff::tz::TimeZone;
use market::{Interval, RejectReason};
use serde::de::DeserializeSeed as _;
use serde_json::{Value, value::RawValue};

use self::visit::{EachRow, Flat};
use super::{
    conditions,
    mapping::{Answer, Mapping, Received, Shape, Unusable},
    path::{self, EACH},
};
use crate::decode::{
    Decoded, Fault, Field, RawRow, RowBuilder, Scalar, TimeUnit, non_finite, reject, rejected_row,
};

/// Rows of one answer that are kept as they came when they cannot be used. Of more, the number is kept: a
/// wrong mapping makes every row one of them.
const MAX_REJECTS: usize = 1_000;

/// See [`Mapping::read`].
pub fn answer(mapping: &Mapping, received: Received<'_>, fast: bool) -> Result<Answer, Unusable> {
    let text = std::str::from_utf8(received.body).map_err(|e| e.to_string())?;
    match serde_json::from_str::<&RawValue>(text) {
        Ok(root) => of_root(mapping, root, received, fast),
        // Python's json writes NaN, which JSON does not know.
        Err(error) => {
            let quoted = non_finite::quote(received.body).ok_or_else(|| error.to_string())?;
            let root: &RawValue = serde_json::from_slice(&quoted).map_err(|e| e.to_string())?;
            of_root(mapping, root, received, fast)
        }
    }
}

fn of_root(
    mapping: &Mapping,
    root: &RawValue,
    received: Received<'_>,
    fast: bool,
) -> Result<Answer, Unusable> {
    let holds = |conditions: &Option<conditions::Conditions>| conditions.as_ref()?.words(root);
    if holds(&mapping.empty).is_some() {
        return Ok(Answer::default());
    }
    if let Some(words) = holds(&mapping.error) {
        return Err(Unusable::Reported(words));
    }
    let rows = path::find_all(root, &mapping.rows);
    let groups = match &rows {
        Ok(Some(groups)) => groups.as_slice(),
        _ => &[],
    };
    let has_rows = groups.iter().any(|(_, rows)| rows.get() != "null");
    let mut reader = Reader {
        builder: RowBuilder::new(received.rules, received.now).with_interval(mapping.interval),
        fields: Place::all(mapping),
        origin: received.origin,
        interval: mapping.interval,
        zone: zone(mapping)?,
        plain: mapping.is_plain() && received.symbol.is_none(),
        decoded: Decoded::default(),
        unkept: 0,
        fast,
    };
    let read = match &rows {
        Err(problem) => Err(problem.clone()),
        Ok(_) => reader.groups(mapping, groups, received.symbol),
    };
    // No good row was found, or something else than rows: it may be an error that nobody declared.
    let no_good_row = reader.decoded.ticks.is_empty() && reader.decoded.bars.is_empty();
    let missing = !has_rows || read.is_err() || mapping.shape == Shape::Object;
    if no_good_row && let Some(words) = conditions::undeclared(root, missing) {
        return Err(Unusable::Reported(words));
    }
    read?;
    let next = match &mapping.next {
        None => None,
        Some(path) => match path::find(root, path)?.map(|v| scalar(v.get())) {
            Some(Scalar::Text(text)) if !text.is_empty() => Some(text.into_owned()),
            Some(Scalar::Int(n)) => Some(n.to_string()),
            Some(Scalar::UInt(n)) => Some(n.to_string()),
            _ => None,
        },
    };
    Ok(Answer {
        decoded: reader.done(),
        next,
    })
}

fn zone(mapping: &Mapping) -> Result<Option<TimeZone>, Unusable> {
    match &mapping.time_zone {
        // A daily bar's date is the one that is written.
        Some(name) if mapping.interval != Some(Interval::D1) => {
            let zone = TimeZone::get(name).map_err(|e| Unusable::NotAsMapped(e.to_string()))?;
            Ok(Some(zone))
        }
        _ => Ok(None),
    }
}

/// Where a field is in a row.
struct Place<'a> {
    field: Field,
    path: &'a str,
    /// The place in an array, when the path is no more than that.
    at: Option<usize>,
}

impl<'a> Place<'a> {
    fn all(mapping: &'a Mapping) -> Vec<Self> {
        let mut places = mapping.fields.list(mapping.time_unit);
        // It comes with the group of rows, not with the row.
        places.retain(|(field, path)| !(*field == Field::Symbol && *path == EACH));
        places
            .into_iter()
            .map(|(field, path)| Place {
                field,
                path,
                at: path::place(path),
            })
            .collect()
    }

    /// Whether it is the row's own key.
    const fn is_key(&self) -> bool {
        self.path.is_empty()
    }
}

struct Reader<'a> {
    builder: RowBuilder<'a>,
    fields: Vec<Place<'a>>,
    origin: &'a str,
    interval: Option<Interval>,
    zone: Option<TimeZone>,
    /// See [`Mapping::is_plain`].
    plain: bool,
    decoded: Decoded,
    /// Rows that cannot be used, beyond those that are kept.
    unkept: u64,
    fast: bool,
}

impl Reader<'_> {
    fn done(mut self) -> Decoded {
        if self.unkept > 0
            && let Some(last) = self.decoded.rejects.last().cloned()
        {
            let detail = format!(
                "{} further rows of this answer cannot be used either; the last one kept: {}",
                self.unkept, last.detail
            );
            let more = reject((last.reason, detail), self.origin, b"");
            self.decoded.rejects.push(more);
        }
        self.decoded
    }

    fn groups(
        &mut self,
        mapping: &Mapping,
        groups: &[(Option<Cow<'_, str>>, &RawValue)],
        asked: Option<&str>,
    ) -> Result<(), String> {
        let keyed = mapping.fields.symbol.as_deref() == Some(EACH);
        // With a star, what does not look like rows is something else.
        let any = mapping.rows.split('.').any(|key| key == EACH);
        for (key, rows) in groups {
            let symbol = if keyed { key.as_deref() } else { asked };
            if rows.get() == "null" || any && !looks_like(mapping.shape, rows) {
                continue;
            }
            match mapping.shape {
                Shape::Objects => self.rows(rows, symbol)?,
                Shape::Object => self.row(rows, None, symbol),
                Shape::Columns => self.columns(rows, symbol)?,
                Shape::BySymbol => {
                    let by_symbol = path::entries(rows)
                        .map_err(|e| format!("{}: expected an object: {e}", mapping.rows))?;
                    for (symbol, rows) in by_symbol {
                        match (symbol, rows.get().as_bytes().first()) {
                            (None, _) => {
                                return Err(format!("{}: expected an object", mapping.rows));
                            }
                            (_, Some(b'n')) => {}
                            (Some(symbol), Some(b'{')) if !self.has_key() => {
                                self.row(rows, None, Some(&symbol));
                            }
                            (Some(symbol), _) => self.rows(rows, Some(&symbol))?,
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn has_key(&self) -> bool {
        self.fields.iter().any(Place::is_key)
    }

    /// An array of rows, or an object of them.
    fn rows(&mut self, rows: &RawValue, symbol: Option<&str>) -> Result<(), String> {
        let by_key = self.has_key() && rows.get().starts_with('{');
        let each = EachRow {
            reader: self,
            symbol,
            by_key,
        };
        let mut json = serde_json::Deserializer::from_str(rows.get());
        each.deserialize(&mut json)
            .map_err(|e| format!("expected an array of rows: {e}"))
    }

    fn row(&mut self, raw: &RawValue, key: Option<&str>, symbol: Option<&str>) {
        let text = raw.get();
        let direct = |place: &Place<'_>| place.is_key() || !place.path.contains('.');
        let row = if self.fast && self.fields.iter().all(direct) {
            self.flat(text)
        } else {
            self.general(text)
        };
        let row = row.map(|mut row| {
            for place in self.fields.iter().filter(|place| place.is_key()) {
                let key = key.map_or(Scalar::Missing, |key| {
                    Scalar::Text(Cow::Owned(key.to_owned()))
                });
                row.put(place.field, key);
            }
            with_symbol(row, symbol)
        });
        self.take(row, text);
    }

    /// Whether rows that cannot be used are counted alone.
    fn is_full(&self) -> bool {
        self.decoded.rejects.len() >= MAX_REJECTS
    }

    fn take(&mut self, row: Result<RawRow<'_>, Fault>, text: &str) {
        let (fault, row) = match row {
            Err(fault) => (fault, None),
            Ok(row) => {
                let row = self.in_zone(row);
                // Of a row that is not kept, nobody reads what else is wrong.
                let built = if self.is_full() {
                    self.builder.build_whole(&row)
                } else {
                    self.builder.build(&row)
                };
                match built {
                    Ok(built) => return self.decoded.push(built),
                    Err(fault) => (fault, Some(row)),
                }
            }
        };
        if self.is_full() {
            self.unkept += 1;
            return;
        }
        let payload = match row.filter(|_| !self.plain) {
            Some(row) => Cow::Owned(rejected_row::to_json_with_raw(row, self.interval, text)),
            None => Cow::Borrowed(text),
        };
        let reject = reject(fault, self.origin, payload.as_bytes());
        self.decoded.rejects.push(reject);
    }

    /// Gives a time that does not say its zone the mapping's.
    fn in_zone<'r>(&self, mut row: RawRow<'r>) -> RawRow<'r> {
        if let (Some(zone), Scalar::Text(text)) = (&self.zone, &row.time)
            && let Some(local) = without_zone(text.trim())
            && let Ok(at) = zone.to_timestamp(local)
        {
            row.time = Scalar::Int(at.as_microsecond());
            row.time_unit = TimeUnit::Micros;
        }
        row
    }

    /// One pass, no tree.
    fn flat<'r>(&self, text: &'r str) -> Result<RawRow<'r>, Fault> {
        let mut json = serde_json::Deserializer::from_str(text);
        Flat(&self.fields).deserialize(&mut json).map_err(not_a_row)
    }

    fn general(&self, text: &str) -> Result<RawRow<'static>, Fault> {
        let value: Value = serde_json::from_str(text).map_err(not_a_row)?;
        if !(value.is_object() || value.is_array()) {
            return Err((RejectReason::Unparsable, NOT_A_ROW.into()));
        }
        let mut row = RawRow::default();
        for place in self.fields.iter().filter(|place| !place.is_key()) {
            let found = path::look_up(&value, place.path);
            row.put(place.field, found.map_or(Scalar::Missing, of_value));
        }
        Ok(row)
    }

    fn columns(&mut self, rows: &RawValue, symbol: Option<&str>) -> Result<(), String> {
        let mut columns: Vec<(Field, &str, Vec<&RawValue>)> = Vec::new();
        for place in &self.fields {
            // Providers leave the arrays out when there are no rows.
            if let Some(column) = path::find(rows, place.path)?.filter(|c| c.get() != "null") {
                let cells = serde_json::from_str(column.get())
                    .map_err(|e| format!("{}: expected an array: {e}", place.path))?;
                columns.push((place.field, place.path, cells));
            }
        }
        let lengths = columns.iter().map(|(_, _, cells)| cells.len());
        for i in 0..lengths.max().unwrap_or(0) {
            let mut row = RawRow::default();
            let mut text = String::from("{");
            for (field, path, cells) in &columns {
                if let Some(cell) = cells.get(i) {
                    row.put(*field, scalar(cell.get()));
                    if text.len() > 1 {
                        text.push(',');
                    }
                    text.push_str(&Value::from(*path).to_string());
                    text.push(':');
                    text.push_str(cell.get());
                }
            }
            text.push('}');
            self.take(Ok(with_symbol(row, symbol)), &text);
        }
        Ok(())
    }
}

/// Whether a value may be rows of a shape.
fn looks_like(shape: Shape, rows: &RawValue) -> bool {
    match rows.get().as_bytes().first() {
        Some(b'[') => shape != Shape::BySymbol,
        Some(b'{') => true,
        _ => false,
    }
}

/// A date and time that says no zone.
fn without_zone(text: &str) -> Option<jiff::civil::DateTime> {
    let time = text.get(10..).unwrap_or_default();
    if time.contains(['Z', 'z', '+', '-']) {
        return None;
    }
    text.parse().ok()
}

fn with_symbol<'a>(mut row: RawRow<'a>, symbol: Option<&'a str>) -> RawRow<'a> {
    if matches!(row.symbol, Scalar::Missing)
        && let Some(symbol) = symbol
    {
        row.symbol = Scalar::Text(Cow::Borrowed(symbol));
    }
    row
}

const NOT_A_ROW: &str = "not a row: expected an object or an array";

fn not_a_row(error: serde_json::Error) -> Fault {
    let detail = if error.is_data() {
        NOT_A_ROW.into()
    } else {
        format!("not a row: {error}")
    };
    (RejectReason::Unparsable, detail)
}

fn scalar(text: &str) -> Scalar<'_> {
    serde_json::from_str(text).unwrap_or(Scalar::Other("not a value"))
}

fn of_value(value: &Value) -> Scalar<'static> {
    match value {
        Value::Null => Scalar::Null,
        Value::Bool(_) => Scalar::Other("a boolean"),
        Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(n), _, _) => Scalar::Int(n),
            (None, Some(n), _) => Scalar::UInt(n),
            (None, None, Some(x)) => Scalar::Float(x),
            (None, None, None) => Scalar::Other("not a number"),
        },
        Value::String(text) => Scalar::Text(Cow::Owned(text.clone())),
        Value::Array(_) => Scalar::Other("an array"),
        Value::Object(_) => Scalar::Other("an object"),
    }
}
