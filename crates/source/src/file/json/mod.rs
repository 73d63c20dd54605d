//! Tables of JSON: an array of objects or of arrays, or one of either on each line.
//!
//! Model: the names of objects are the columns, in the order in which they first come in the first
//! rows; the values of arrays are named by the place that known tools give them (freqtrade and ccxt,
//! Binance, Kraken, Coinbase), known by their number and looks. Values stay texts, as those of a text
//! file; `null` is missing. `NaN` and `Infinity`, which Python writes and JSON does not know, are read.
//!
//! What it does not do: rows within an object, such as a provider's answer (that is a mapping's work:
//! [`crate::rest`]) and the shapes `split`, `index` and `columns` of pandas; names that no row of the
//! first has.

mod places;
mod split;

use std::{borrow::Cow, collections::HashMap, fmt};

use market::Reject;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    input::Input,
    table::{Batch, BrokenLine, Column, ColumnInfo, Table, TakeBatch, TextColumn},
};
use crate::{Result, SourceError, decode::non_finite};
use split::{Next, Rows};

/// So many rows are looked at for names.
const LOOK_AT: usize = 1_000;
/// And at so many bytes of them.
const LOOK_AT_BYTES: usize = 4 << 20;
/// No row of prices has as many columns.
const MAX_COLUMNS: usize = 4_096;

/// A file of JSON, open.
pub struct JsonTable {
    input: Input,
    columns: Vec<ColumnInfo>,
    /// Where the values of objects go; `None` for rows that are arrays.
    names: Option<HashMap<String, usize>>,
    notes: Vec<String>,
}

impl JsonTable {
    /// Whether a file begins as JSON does.
    pub fn is_json(head: &[u8]) -> bool {
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let mut bytes = head.iter().filter(|b| !b.is_ascii_whitespace());
        match bytes.next() {
            Some(b'{') => matches!(bytes.next(), Some(b'"' | b'}')),
            Some(b'[') => bytes.next().is_some_and(|b| {
                matches!(b, b'[' | b'{' | b']' | b'"' | b'-') || b.is_ascii_digit()
            }),
            _ => false,
        }
    }

    /// Opens a file and looks at its first rows.
    ///
    /// # Errors
    /// [`SourceError::File`] when it cannot be read, [`SourceError::Config`] when its rows are of no
    /// shape that is known.
    pub fn open(input: Input) -> Result<Self> {
        let unknown = |got: &str| SourceError::Config {
            key: input.name().to_owned(),
            expected: format!("expected JSON objects or arrays, one for each row, got {got}"),
        };
        let mut rows = Rows::new(input.open_plain()?);
        let mut first: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0;
        while first.len() < LOOK_AT
            && bytes < LOOK_AT_BYTES
            && let Next::Row(row) = rows.next_row().map_err(|e| input.failed(&e))?
        {
            bytes += row.len();
            // Python's NaN is no JSON: such a row is looked at with it in quotes.
            let quoted = if parse(row).is_err() {
                non_finite::quote(row)
            } else {
                None
            };
            first.push(quoted.unwrap_or_else(|| row.to_vec()));
        }
        drop(rows);
        let parsed: Vec<Values<'_>> = first.iter().filter_map(|row| parse(row).ok()).collect();
        let (columns, names, notes) = match parsed.first() {
            None if first.is_empty() => return Err(unknown("none")),
            None => return Err(unknown("what is no JSON")),
            Some(Values::Array(_)) => {
                let arrays: Vec<&[Cow<'_, str>]> = parsed
                    .iter()
                    .filter_map(|values| match values {
                        Values::Array(values) => Some(values.as_slice()),
                        Values::Object(_) => None,
                    })
                    .collect();
                let places = places::of_rows(&arrays).map_err(|got| unknown(&got))?;
                let names = places.names.iter().map(|n| ColumnInfo::text(*n));
                (names.collect(), None, vec![places.note()])
            }
            Some(Values::Object(_)) if is_object_of_columns(&parsed) => {
                return Err(unknown(
                    "an object that holds them all: write it as one object for each row (pandas: \
                     orient=\"records\")",
                ));
            }
            Some(Values::Object(_)) => {
                let (columns, names) = names_of(&parsed);
                (columns, Some(names), Vec::new())
            }
        };
        Ok(Self {
            input,
            columns,
            names,
            notes,
        })
    }

    /// Where the values of a row stand among its columns.
    fn place<'v, 'r>(
        &self,
        values: &'v Values<'r>,
        found: &mut [Option<&'v str>],
    ) -> std::result::Result<(), String> {
        found.fill(None);
        match (values, &self.names) {
            (Values::Object(pairs), Some(names)) => {
                for (name, value) in pairs {
                    if let Some(at) = names.get(&**name) {
                        found[*at] = Some(value);
                    }
                }
                Ok(())
            }
            (Values::Array(values), None) if values.len() == found.len() => {
                for (value, found) in values.iter().zip(found) {
                    *found = Some(value);
                }
                Ok(())
            }
            (Values::Array(values), None) => Err(format!(
                "the row has {} values: expected {}, as in the first",
                values.len(),
                found.len()
            )),
            (Values::Object(_), None) => Err("expected an array, got an object".into()),
            (Values::Array(_), Some(_)) => Err("expected an object, got an array".into()),
        }
    }

    /// Reads a row into the wanted columns.
    fn read(
        &self,
        row: &[u8],
        wanted: &[usize],
        texts: &mut [TextColumn],
    ) -> std::result::Result<(), String> {
        let quoted;
        let values = match parse(row) {
            Ok(values) => values,
            Err(e) => {
                quoted = non_finite::quote(row).ok_or_else(|| e.clone())?;
                parse(&quoted).map_err(|_| e)?
            }
        };
        let mut found = vec![None; self.columns.len()];
        self.place(&values, &mut found)?;
        for (at, texts) in wanted.iter().zip(texts) {
            texts.push(found[*at].unwrap_or_default().trim().as_bytes());
        }
        Ok(())
    }
}

impl Table for JsonTable {
    fn kind(&self) -> &'static str {
        "json"
    }

    fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn scan(&self, wanted: &[usize], batch_rows: usize, take: &mut TakeBatch<'_>) -> Result<()> {
        let failed = |e: std::io::Error| self.input.failed(&e);
        let mut rows = Rows::new(self.input.open_plain()?);
        let mut number = 0;
        let mut batch = Batch::default();
        let mut texts = vec![TextColumn::default(); wanted.len()];
        let mut more = true;
        while more {
            match rows.next_row().map_err(failed)? {
                Next::Row(row) => {
                    number += 1;
                    match self.read(row, wanted, &mut texts) {
                        Ok(()) => {
                            batch.lines.push(number);
                            batch.rows += 1;
                        }
                        Err(detail) => batch.broken.push(broken(number, detail, row)),
                    }
                }
                Next::Broken(rest, detail) => {
                    batch.broken.push(broken(number + 1, detail.into(), rest));
                    more = false;
                }
                Next::End => more = false,
            }
            if batch.rows + batch.broken.len() >= batch_rows.max(1) || !more {
                batch.columns = std::mem::take(&mut texts)
                    .into_iter()
                    .map(Column::Text)
                    .collect();
                batch.bytes_read = self.input.bytes_read();
                if take(&batch)?.is_break() {
                    return Ok(());
                }
                batch = Batch {
                    first_row: batch.first_row + batch.rows as u64,
                    ..Batch::default()
                };
                texts = vec![TextColumn::default(); wanted.len()];
            }
        }
        Ok(())
    }
}

fn broken(line: u64, detail: String, text: &[u8]) -> BrokenLine {
    BrokenLine {
        line,
        detail,
        text: text[..text.len().min(Reject::MAX_PAYLOAD)].to_vec(),
    }
}

/// The values of a row: texts without their quotes, everything else as it is written.
enum Values<'a> {
    Object(Vec<(Cow<'a, str>, Cow<'a, str>)>),
    Array(Vec<Cow<'a, str>>),
}

fn parse(row: &[u8]) -> std::result::Result<Values<'_>, String> {
    serde_json::from_slice(row).map_err(|e| format!("not a row: {e}"))
}

/// The names of objects, each with its place.
fn names_of(rows: &[Values<'_>]) -> (Vec<ColumnInfo>, HashMap<String, usize>) {
    let mut columns = Vec::new();
    let mut places = HashMap::new();
    for row in rows {
        let Values::Object(pairs) = row else { continue };
        for (name, _) in pairs {
            if columns.len() < MAX_COLUMNS && !places.contains_key(&**name) {
                places.insert(name.clone().into_owned(), columns.len());
                columns.push(ColumnInfo::text(name.clone()));
            }
        }
    }
    (columns, places)
}

/// Whether it is one object whose values are columns.
fn is_object_of_columns(rows: &[Values<'_>]) -> bool {
    match rows {
        [Values::Object(pairs)] => pairs.iter().any(|(_, v)| v.starts_with(['{', '['])),
        _ => false,
    }
}

impl<'de> Deserialize<'de> for Values<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Row;
        impl<'de> Visitor<'de> for Row {
            type Value = Values<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or an array")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Values<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(Text(name)) = map.next_key()? {
                    pairs.push((name, value(map.next_value()?)));
                }
                Ok(Values::Object(pairs))
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> std::result::Result<Values<'de>, A::Error> {
                let mut values = Vec::new();
                while let Some(raw) = seq.next_element()? {
                    values.push(value(raw));
                }
                Ok(Values::Array(values))
            }
        }
        deserializer.deserialize_any(Row)
    }
}

/// A text, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn value(raw: &RawValue) -> Cow<'_, str> {
    let text = raw.get();
    if text == "null" {
        return Cow::Borrowed("");
    }
    if !text.starts_with('"') {
        return Cow::Borrowed(text);
    }
    serde_json::from_str::<Text<'_>>(text).map_or(Cow::Borrowed(text), |Text(text)| text)
}

#[cfg(test)]
mod tests;
