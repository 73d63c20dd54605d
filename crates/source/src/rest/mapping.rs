//! From a provider's JSON to rows, by declaration.
//!
//! Model: a path leads to the rows; a [`Shape`] says how they lie there; [`Fields`] names the part
//! of a row that each of our fields is in. Rows whose fields lie directly in them are read in one
//! pass without a tree of values (the fast path); fields with a path into the row take the general
//! one. Both give the same result, and a property test says so.
//!
//! What it does not do: arithmetic on fields, conditions, joins.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use market::{Interval, RejectReason, TickRules, Timestamp};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use crate::decode::{
    Decoded, Fault, Field, RawRow, RowBuilder, Scalar, TimeUnit, letter, non_finite, reject,
};

/// How rows lie in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// An array of objects, a row each.
    #[default]
    Objects,
    /// An object of arrays of one length, a field each.
    Columns,
    /// An object whose keys are symbols and whose values are arrays of objects.
    BySymbol,
}

/// Where in a row each field is: a key, or keys joined by dots into nested objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fields {
    /// The symbol; absent: that of the request, or of the key in [`Shape::BySymbol`].
    pub symbol: Option<String>,
    /// The time.
    pub time: Option<String>,
    /// The sequence or trade id; absent: derived, see [`crate::decode`].
    pub seq: Option<String>,
    /// A trade's price.
    pub price: Option<String>,
    /// A trade's size or a bar's volume.
    pub size: Option<String>,
    /// A bar's open.
    pub open: Option<String>,
    /// A bar's high.
    pub high: Option<String>,
    /// A bar's low.
    pub low: Option<String>,
    /// A bar's close.
    pub close: Option<String>,
}

impl Fields {
    fn list(&self, unit: TimeUnit) -> Vec<(Field, &str)> {
        [
            (Field::Symbol, &self.symbol),
            (Field::Time(unit), &self.time),
            (Field::Seq, &self.seq),
            (Field::Price, &self.price),
            (Field::Size, &self.size),
            (Field::Open, &self.open),
            (Field::High, &self.high),
            (Field::Low, &self.low),
            (Field::Close, &self.close),
        ]
        .into_iter()
        .filter_map(|(field, path)| path.as_deref().map(|p| (field, p)))
        .collect()
    }
}

/// What an answer means.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// The path to the rows, keys joined by dots; empty: the answer itself.
    pub rows: String,
    /// How they lie there.
    pub shape: Shape,
    /// Where the fields are.
    pub fields: Fields,
    /// The unit of times that are numbers.
    pub time_unit: TimeUnit,
    /// The interval of rows that are bars.
    pub interval: Option<Interval>,
    /// The path to the cursor, token or address of the next page.
    pub next: Option<String>,
}

/// What an answer held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Its rows.
    pub decoded: Decoded,
    /// The cursor, token or address of the next page.
    pub next: Option<String>,
}

/// An answer as it came, and what is needed to judge its rows.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The body.
    pub body: &'a [u8],
    /// The symbol that was asked for.
    pub symbol: Option<&'a str>,
    /// For rejects.
    pub origin: &'a str,
    /// The wall clock.
    pub now: Timestamp,
    /// The rules for rows.
    pub rules: &'a TickRules,
}

impl Mapping {
    /// Reads an answer. A row that cannot be used becomes a reject. An answer without the rows (the
    /// key is missing or null, as providers do when there are none) has none.
    ///
    /// # Errors
    /// For a person: why the answer as a whole is not as mapped.
    pub fn read(&self, received: Received<'_>) -> Result<Answer, String> {
        self.read_by(received, true)
    }

    /// Whether its rows mean the same without it: they lie as they do in a message that is pushed.
    fn is_plain(&self) -> bool {
        let named = |(field, path): &(Field, &str)| Field::of_key(path) == *field;
        self.shape == Shape::Objects
            && self.interval.is_none()
            && self.fields.symbol.is_some()
            && self.fields.list(self.time_unit).iter().all(named)
    }

    /// [`Self::read`], with the fast path only where `fast` allows it.
    pub(crate) fn read_by(&self, received: Received<'_>, fast: bool) -> Result<Answer, String> {
        let text = std::str::from_utf8(received.body).map_err(|e| e.to_string())?;
        match serde_json::from_str::<&RawValue>(text) {
            Ok(root) => self.read_root(root, received, fast),
            // Python's json writes NaN, which JSON does not know.
            Err(error) => {
                let quoted = non_finite::quote(received.body).ok_or_else(|| error.to_string())?;
                let root: &RawValue = serde_json::from_slice(&quoted).map_err(|e| e.to_string())?;
                self.read_root(root, received, fast)
            }
        }
    }

    fn read_root(
        &self,
        root: &RawValue,
        received: Received<'_>,
        fast: bool,
    ) -> Result<Answer, String> {
        let next = match &self.next {
            None => None,
            Some(path) => match walk(root, path)?.map(|v| scalar(v.get())) {
                Some(Scalar::Text(text)) if !text.is_empty() => Some(text.into_owned()),
                Some(Scalar::Int(n)) => Some(n.to_string()),
                Some(Scalar::UInt(n)) => Some(n.to_string()),
                _ => None,
            },
        };
        let mut reader = Reader {
            builder: RowBuilder::new(received.rules, received.now).with_interval(self.interval),
            fields: self.fields.list(self.time_unit),
            origin: received.origin,
            interval: self.interval,
            plain: self.is_plain() && received.symbol.is_none(),
            decoded: Decoded::default(),
            fast,
        };
        if let Some(rows) = walk(root, &self.rows)?.filter(|r| r.get() != "null") {
            match self.shape {
                Shape::Objects => reader.objects(rows, received.symbol)?,
                Shape::Columns => reader.columns(rows, received.symbol)?,
                Shape::BySymbol => {
                    let by_symbol: BTreeMap<Cow<'_, str>, &RawValue> =
                        serde_json::from_str(rows.get())
                            .map_err(|e| format!("{}: expected an object: {e}", self.rows))?;
                    for (symbol, rows) in by_symbol {
                        if rows.get() != "null" {
                            reader.objects(rows, Some(&symbol))?;
                        }
                    }
                }
            }
        }
        Ok(Answer {
            decoded: reader.decoded,
            next,
        })
    }
}

/// Follows a path of keys; `None` when it leads nowhere.
fn walk<'a>(root: &'a RawValue, path: &str) -> Result<Option<&'a RawValue>, String> {
    let mut at = root;
    for key in path.split('.').filter(|k| !k.is_empty()) {
        struct Find<'k>(&'k str);
        impl<'de> DeserializeSeed<'de> for Find<'_> {
            type Value = Option<&'de RawValue>;
            fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
                d.deserialize_map(self)
            }
        }
        impl<'de> Visitor<'de> for Find<'_> {
            type Value = Option<&'de RawValue>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object with the key {}", self.0)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = None;
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if key == self.0 {
                        found = Some(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(found)
            }
        }
        let mut json = serde_json::Deserializer::from_str(at.get());
        match Find(key)
            .deserialize(&mut json)
            .map_err(|e| e.to_string())?
        {
            Some(value) => at = value,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

struct Reader<'a> {
    builder: RowBuilder<'a>,
    fields: Vec<(Field, &'a str)>,
    origin: &'a str,
    interval: Option<Interval>,
    /// See [`Mapping::is_plain`].
    plain: bool,
    decoded: Decoded,
    fast: bool,
}

impl Reader<'_> {
    fn take(&mut self, row: Result<RawRow<'_>, Fault>, text: &str) {
        let (fault, payload) = match row {
            Ok(row) => match self.builder.build(&row) {
                Ok(built) => return self.decoded.push(built),
                Err(fault) if self.plain => (fault, Cow::Borrowed(text)),
                Err(fault) => (
                    fault,
                    Cow::Owned(letter::of_mapped(row, self.interval, text)),
                ),
            },
            Err(fault) => (fault, Cow::Borrowed(text)),
        };
        let reject = reject(fault, self.origin, payload.as_bytes());
        self.decoded.rejects.push(reject);
    }

    fn objects(&mut self, rows: &RawValue, symbol: Option<&str>) -> Result<(), String> {
        let rows: Vec<&RawValue> = serde_json::from_str(rows.get())
            .map_err(|e| format!("expected an array of rows: {e}"))?;
        let flat = self.fast && self.fields.iter().all(|(_, path)| !path.contains('.'));
        for raw in rows {
            let row = if flat {
                self.flat(raw.get())
            } else {
                self.general(raw.get())
            };
            let row = row.map(|row| with_symbol(row, symbol));
            self.take(row, raw.get());
        }
        Ok(())
    }

    /// One pass, no tree.
    fn flat<'r>(&self, text: &'r str) -> Result<RawRow<'r>, Fault> {
        struct Row<'f>(&'f [(Field, &'f str)]);
        impl<'de> DeserializeSeed<'de> for Row<'_> {
            type Value = RawRow<'de>;
            fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
                d.deserialize_map(self)
            }
        }
        impl<'de> Visitor<'de> for Row<'_> {
            type Value = RawRow<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut row = RawRow::default();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    let mut fields = self.0.iter().filter(|(_, name)| *name == key);
                    let Some((first, _)) = fields.next() else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    let value: Scalar<'de> = map.next_value()?;
                    // One key may serve two fields.
                    for (field, _) in fields {
                        row.put(*field, value.clone());
                    }
                    row.put(*first, value);
                }
                Ok(row)
            }
        }
        let mut json = serde_json::Deserializer::from_str(text);
        Row(&self.fields).deserialize(&mut json).map_err(not_a_row)
    }

    fn general(&self, text: &str) -> Result<RawRow<'static>, Fault> {
        let value: Value = serde_json::from_str(text).map_err(not_a_row)?;
        if !value.is_object() {
            return Err((
                RejectReason::Unparsable,
                "not a row: expected an object".into(),
            ));
        }
        let mut row = RawRow::default();
        for (field, path) in &self.fields {
            let found = path.split('.').try_fold(&value, |at, key| at.get(key));
            row.put(*field, found.map_or(Scalar::Missing, of_value));
        }
        Ok(row)
    }

    fn columns(&mut self, rows: &RawValue, symbol: Option<&str>) -> Result<(), String> {
        let mut columns: Vec<(Field, &str, Vec<&RawValue>)> = Vec::new();
        for (field, path) in self.fields.clone() {
            // Providers leave the arrays out when there are no rows.
            if let Some(column) = walk(rows, path)?.filter(|c| c.get() != "null") {
                let cells = serde_json::from_str(column.get())
                    .map_err(|e| format!("{path}: expected an array: {e}"))?;
                columns.push((field, path, cells));
            }
        }
        let count = columns
            .iter()
            .map(|(_, _, cells)| cells.len())
            .max()
            .unwrap_or(0);
        for i in 0..count {
            let mut row = RawRow::default();
            let mut text = String::from("{");
            for (field, path, cells) in &columns {
                if let Some(cell) = cells.get(i) {
                    row.put(*field, scalar(cell.get()));
                    let comma = if text.len() > 1 { "," } else { "" };
                    text.push_str(&format!("{comma}\"{path}\":{}", cell.get()));
                }
            }
            text.push('}');
            self.take(Ok(with_symbol(row, symbol)), &text);
        }
        Ok(())
    }
}

fn with_symbol<'r>(mut row: RawRow<'r>, symbol: Option<&'r str>) -> RawRow<'r> {
    if matches!(row.symbol, Scalar::Missing)
        && let Some(symbol) = symbol
    {
        row.symbol = Scalar::Text(Cow::Borrowed(symbol));
    }
    row
}

fn not_a_row(error: serde_json::Error) -> Fault {
    let detail = if error.is_data() {
        "not a row: expected an object".into()
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
