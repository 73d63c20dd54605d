//! What is kept of a rejected row: a message that means the same by itself, or it could not be replayed
//! after a fix. A CSV line means nothing without its header, a provider's row nothing without the
//! mapping and the address that was asked.

use std::borrow::Cow;

use market::Interval;
use serde_json::{Map, Value, json};

use super::{RawRow, Scalar, TimeUnit};

/// The row under names that [`super::ticks_from_json`] reads. With `adjusted` the prices are those of a
/// bar adjusted to its adjusted close; `interval` is that of a bar which does not say its own.
pub fn to_json(mut row: RawRow<'_>, adjusted: bool, interval: Option<Interval>) -> String {
    if adjusted && let (Some(close), Some(adjusted)) = (row.close.number(), row.adjusted.number()) {
        for price in [&mut row.open, &mut row.high, &mut row.low] {
            if let Some(plain) = price.number() {
                *price = Scalar::Float(plain * (adjusted / close));
            }
        }
        row.close = Scalar::Float(adjusted);
    } else if adjusted {
        // Without it the row would go through with prices that were not asked for.
        row.close = row.adjusted.clone();
    }
    if let (Some(interval), false) = (interval, row.interval.is_some()) {
        row.interval = Scalar::Text(Cow::Borrowed(interval.as_str()));
    }
    let time = match row.time_unit {
        TimeUnit::Auto => "timestamp",
        TimeUnit::Seconds => "ts_s",
        TimeUnit::Millis => "ts_ms",
        TimeUnit::Micros => "ts_us",
        TimeUnit::Nanos => "ts_ns",
    };
    let fields = [
        ("symbol", &row.symbol),
        (time, &row.time),
        ("seq", &row.seq),
        ("price", &row.price),
        ("size", &row.size),
        ("amount", &row.amount),
        ("open", &row.open),
        ("high", &row.high),
        ("low", &row.low),
        ("close", &row.close),
        ("interval", &row.interval),
    ];
    let object: Map<String, Value> = fields
        .into_iter()
        .filter(|(_, value)| value.is_some())
        .map(|(name, value)| (name.to_owned(), of_scalar(value)))
        .collect();
    Value::Object(object).to_string()
}

/// The same with the provider's own row beside it, in `raw`: a mapping that leads nowhere leaves the
/// named fields empty.
#[cfg(feature = "feeds")]
pub fn to_json_with_raw(row: RawRow<'_>, interval: Option<Interval>, raw: &str) -> String {
    let mut json = to_json(row, false, interval);
    if json.len() + raw.len() + 8 > market::Reject::MAX_PAYLOAD {
        // Cut off, it could not be read at all.
        return json;
    }
    json.pop();
    let comma = if json.len() > 1 { "," } else { "" };
    json.push_str(&format!("{comma}\"raw\":{raw}}}"));
    json
}

fn of_scalar(value: &Scalar<'_>) -> Value {
    match value {
        Scalar::Int(n) => json!(n),
        Scalar::UInt(n) => json!(n),
        Scalar::Float(x) => json!(x),
        Scalar::Text(text) => json!(text),
        Scalar::Missing | Scalar::Null => Value::Null,
        Scalar::Other(what) => json!(what),
    }
}
