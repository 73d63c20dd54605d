//! A row's fields, before they mean anything.

use std::{borrow::Cow, fmt};

use market::RejectReason;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    build::{Fault, TimeUnit},
    non_finite,
};

/// A field's value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Scalar<'a> {
    /// The field is not there.
    #[default]
    Missing,
    /// JSON null, or an empty cell.
    Null,
    /// An integer.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// What no field may be: a boolean, an object, an array.
    Other(&'static str),
}

impl Scalar<'_> {
    /// Whether there is a value.
    pub const fn is_some(&self) -> bool {
        !matches!(self, Self::Missing | Self::Null)
    }

    /// As a number; a text is read as one. `None` when it is none.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::UInt(n) => Some(*n as f64),
            Self::Float(x) => Some(*x),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Missing | Self::Null | Self::Other(_) => None,
        }
    }
}

impl fmt::Display for Scalar<'_> {
    /// For a person, in a reject's detail; long texts are cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Null => f.write_str("null"),
            Self::Int(n) => write!(f, "{n}"),
            Self::UInt(n) => write!(f, "{n}"),
            Self::Float(x) => write!(f, "{x}"),
            Self::Text(text) => write!(f, "{:?}", text.chars().take(64).collect::<String>()),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// The fields of a row, by meaning; see the module's table of spellings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawRow<'a> {
    /// The symbol.
    pub symbol: Scalar<'a>,
    /// The time.
    pub time: Scalar<'a>,
    /// The unit of a time that is a number.
    pub time_unit: TimeUnit,
    /// The sequence or the trade's id.
    pub seq: Scalar<'a>,
    /// The trade's price.
    pub price: Scalar<'a>,
    /// The trade's size, or the bar's volume.
    pub size: Scalar<'a>,
    /// The trade's size where nothing better says it; of bars the money that changed hands, which is no
    /// volume.
    pub amount: Scalar<'a>,
    /// The bar's open.
    pub open: Scalar<'a>,
    /// The bar's high.
    pub high: Scalar<'a>,
    /// The bar's low.
    pub low: Scalar<'a>,
    /// The bar's close; the price of a row that is no bar and has none.
    pub close: Scalar<'a>,
    /// The bar's close, adjusted for splits and dividends.
    pub adjusted: Scalar<'a>,
    /// The bar's length.
    pub interval: Scalar<'a>,
    /// The schema's version.
    pub version: Scalar<'a>,
}

/// What a key of a row names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The symbol.
    Symbol,
    /// The time, and its unit when it is a number.
    Time(TimeUnit),
    /// The sequence or the trade's id.
    Seq,
    /// The trade's price.
    Price,
    /// The trade's size, or the bar's volume.
    Size,
    /// The trade's size where nothing better says it.
    Amount,
    /// The bar's open.
    Open,
    /// The bar's high.
    High,
    /// The bar's low.
    Low,
    /// The bar's close.
    Close,
    /// The bar's close, adjusted for splits and dividends.
    Adjusted,
    /// The bar's length.
    Interval,
    /// The schema's version.
    Version,
    /// Nothing that is known here.
    Unknown,
}

impl Field {
    /// What a key means, whatever its case, spaces, hyphens and underscores.
    pub fn of_key(key: &str) -> Self {
        // The spellings that machines write need no copy.
        match Self::of_plain(key) {
            Self::Unknown => {}
            field => return field,
        }
        if key.len() > 32 {
            return Self::Unknown;
        }
        let plain: String = key
            .chars()
            .filter(|c| !matches!(c, ' ' | '_' | '-' | '\u{feff}'))
            .map(|c| c.to_ascii_lowercase())
            .collect();
        Self::of_plain(&plain)
    }

    fn of_plain(key: &str) -> Self {
        match key {
            "symbol" | "ticker" | "sym" | "instrument" | "stock" => Self::Symbol,
            "ts_us" | "tsus" | "timestampus" => Self::Time(TimeUnit::Micros),
            "timestamp" | "time" | "datetime" | "date" | "ts" | "t" => Self::Time(TimeUnit::Auto),
            "tsms" | "timestampms" => Self::Time(TimeUnit::Millis),
            "tsns" | "timestampns" => Self::Time(TimeUnit::Nanos),
            "tss" | "timestamps" => Self::Time(TimeUnit::Seconds),
            "seq" | "sequence" | "sequencenumber" | "id" | "tradeid" => Self::Seq,
            "price" | "last" | "lastprice" | "tradeprice" => Self::Price,
            "size" | "qty" | "quantity" | "volume" | "vol" => Self::Size,
            "amount" => Self::Amount,
            "open" => Self::Open,
            "high" => Self::High,
            "low" => Self::Low,
            "close" => Self::Close,
            "adjclose" | "adjustedclose" | "closeadj" => Self::Adjusted,
            "interval" => Self::Interval,
            "schemaversion" => Self::Version,
            _ => Self::Unknown,
        }
    }
}

impl<'a> RawRow<'a> {
    /// Whether it is a bar: it has open, high and low.
    pub const fn is_bar(&self) -> bool {
        !matches!(self.open, Scalar::Missing)
            && !matches!(self.high, Scalar::Missing)
            && !matches!(self.low, Scalar::Missing)
    }

    /// Puts a value where `field` says; of two spellings of one field the last with a value wins.
    pub fn set(&mut self, field: Field, value: Scalar<'a>) {
        let has_value = value.is_some();
        if let Some(slot) = self.slot(field)
            && (has_value || !slot.is_some())
        {
            self.put(field, value);
        }
    }

    /// Puts a value where `field` says, whatever was there.
    pub fn put(&mut self, field: Field, value: Scalar<'a>) {
        if let Field::Time(unit) = field {
            self.time_unit = unit;
        }
        if let Some(slot) = self.slot(field) {
            *slot = value;
        }
    }

    fn slot(&mut self, field: Field) -> Option<&mut Scalar<'a>> {
        Some(match field {
            Field::Symbol => &mut self.symbol,
            Field::Time(_) => &mut self.time,
            Field::Seq => &mut self.seq,
            Field::Price => &mut self.price,
            Field::Size => &mut self.size,
            Field::Amount => &mut self.amount,
            Field::Open => &mut self.open,
            Field::High => &mut self.high,
            Field::Low => &mut self.low,
            Field::Close => &mut self.close,
            Field::Adjusted => &mut self.adjusted,
            Field::Interval => &mut self.interval,
            Field::Version => &mut self.version,
            Field::Unknown => return None,
        })
    }
}

/// Reads a JSON object. Python writes NaN and Infinity, which JSON does not know: such a row is read
/// with them as texts, so that it is refused for its price and not as unreadable.
pub fn parse(bytes: &[u8]) -> Result<RawRow<'_>, Fault> {
    let mut row = RawRow::default();
    let Err(error) = read(bytes, &mut row) else {
        return Ok(row);
    };
    if let Some(quoted) = non_finite::quote(bytes) {
        let mut row = RawRow::default();
        if read(&quoted, &mut row).is_ok() {
            return Ok(row.into_owned());
        }
    }
    Err((RejectReason::Unparsable, format!("not a row: {error}")))
}

/// Reads an object into a row. A row is some 320 bytes: returned through serde it would be copied at each level.
fn read<'a>(bytes: &'a [u8], row: &mut RawRow<'a>) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    IntoRow(row).deserialize(&mut json)?;
    json.end()
}

impl RawRow<'_> {
    fn into_owned(self) -> RawRow<'static> {
        RawRow {
            symbol: self.symbol.into_owned(),
            time: self.time.into_owned(),
            time_unit: self.time_unit,
            seq: self.seq.into_owned(),
            price: self.price.into_owned(),
            size: self.size.into_owned(),
            amount: self.amount.into_owned(),
            open: self.open.into_owned(),
            high: self.high.into_owned(),
            low: self.low.into_owned(),
            close: self.close.into_owned(),
            adjusted: self.adjusted.into_owned(),
            interval: self.interval.into_owned(),
            version: self.version.into_owned(),
        }
    }
}

impl Scalar<'_> {
    fn into_owned(self) -> Scalar<'static> {
        match self {
            Self::Missing => Scalar::Missing,
            Self::Null => Scalar::Null,
            Self::Int(n) => Scalar::Int(n),
            Self::UInt(n) => Scalar::UInt(n),
            Self::Float(x) => Scalar::Float(x),
            Self::Text(text) => Scalar::Text(Cow::Owned(text.into_owned())),
            Self::Other(what) => Scalar::Other(what),
        }
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;
        impl Visitor<'_> for Key {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Field, E> {
                Ok(Field::of_key(key))
            }
        }
        deserializer.deserialize_identifier(Key)
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Other("a boolean"))
            }

            fn visit_i64<E>(self, n: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Int(n))
            }

            fn visit_u64<E>(self, n: u64) -> Result<Scalar<'de>, E> {
                Ok(i64::try_from(n).map_or(Scalar::UInt(n), Scalar::Int))
            }

            fn visit_f64<E>(self, x: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Float(x))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Null)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("an array"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("an object"))
            }
        }
        deserializer.deserialize_any(Value)
    }
}

/// The row that an object is read into.
struct IntoRow<'r, 'de>(&'r mut RawRow<'de>);

impl<'de> DeserializeSeed<'de> for IntoRow<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for IntoRow<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key::<Field>()? {
            if field == Field::Unknown {
                map.next_value::<IgnoredAny>()?;
            } else {
                self.0.set(field, map.next_value()?);
            }
        }
        Ok(())
    }
}
