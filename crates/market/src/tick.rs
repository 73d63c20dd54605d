//! One trade, its key, and the rules a row must meet to become one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Symbol, Timestamp};

/// One trade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tick {
    /// What was traded.
    pub symbol: Symbol,
    /// When, by the source's clock; microseconds since the epoch.
    #[serde(rename = "ts_us")]
    pub ts: Timestamp,
    /// The source's own number; tells trades of one symbol and instant apart.
    pub seq: u64,
    /// Price per unit, above zero and at most [`MAX_NUMBER`].
    pub price: f64,
    /// Units traded, not negative and at most [`MAX_NUMBER`]; 0 for a quote-like update.
    pub size: f64,
}

impl Tick {
    /// The deduplication key within its symbol.
    pub const fn key(&self) -> TickKey {
        TickKey {
            ts: self.ts,
            seq: self.seq,
        }
    }
}

/// Orders the ticks of one symbol; with the symbol it is the key under which a tick is stored once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TickKey {
    /// When, by the source's clock.
    #[serde(rename = "ts_us")]
    pub ts: Timestamp,
    /// The source's own number.
    pub seq: u64,
}

/// Why a row was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// Not JSON, not CSV, cut off, or not an object.
    Unparsable,
    /// A field is missing or has the wrong type.
    BadField,
    /// Not a symbol, or not one of those configured.
    UnknownSymbol,
    /// A price that is not a number above zero, or larger than [`MAX_NUMBER`].
    BadPrice,
    /// A size or volume that is not a number from zero up, or larger than [`MAX_NUMBER`].
    BadSize,
    /// A time that cannot be read or lies before 1900.
    BadTimestamp,
    /// A time further ahead of the clock than allowed.
    FutureTimestamp,
    /// A bar whose high lies below its low, or whose open or close lies outside them.
    BadBar,
    /// A schema version this build does not know.
    UnknownVersion,
    /// Larger than a message may be.
    TooLarge,
}

impl RejectReason {
    /// The snake_case name, as stored, listed and counted.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unparsable => "unparsable",
            Self::BadField => "bad_field",
            Self::UnknownSymbol => "unknown_symbol",
            Self::BadPrice => "bad_price",
            Self::BadSize => "bad_size",
            Self::BadTimestamp => "bad_timestamp",
            Self::FutureTimestamp => "future_timestamp",
            Self::BadBar => "bad_bar",
            Self::UnknownVersion => "unknown_version",
            Self::TooLarge => "too_large",
        }
    }

    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Unparsable,
        Self::BadField,
        Self::UnknownSymbol,
        Self::BadPrice,
        Self::BadSize,
        Self::BadTimestamp,
        Self::FutureTimestamp,
        Self::BadBar,
        Self::UnknownVersion,
        Self::TooLarge,
    ];
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A row that cannot be used, kept with its reason and origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reject {
    /// Why.
    pub reason: RejectReason,
    /// What exactly, for a person: it begins with the field, where it is one's fault, and says what
    /// was expected.
    pub detail: String,
    /// Where it came from: `rest:tickcast`, `push`, `csv:prices.csv:17`.
    pub origin: String,
    /// The row as it came (lossy UTF-8, cut at [`Self::MAX_PAYLOAD`] bytes); where it means nothing without
    /// its file or its provider's mapping, a message that says the same by itself, so that it can be
    /// decoded again, with a provider's row in `raw`.
    pub payload: String,
    /// Which row of which message it is, where a bus keeps its messages and may bring them again:
    /// `stock-data/3/1042` (topic, partition, offset) and what tells its rows apart; or which row of which
    /// batch of a source. A store keeps one of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Reject {
    /// The longest payload that is kept, in bytes.
    pub const MAX_PAYLOAD: usize = 65_536;

    /// A reject whose payload is cut to [`Self::MAX_PAYLOAD`] at a character border.
    pub fn new(
        reason: RejectReason,
        detail: impl Into<String>,
        origin: impl Into<String>,
        payload: impl Into<String>,
    ) -> Self {
        let mut payload = payload.into();
        if payload.len() > Self::MAX_PAYLOAD {
            let mut end = Self::MAX_PAYLOAD;
            while !payload.is_char_boundary(end) {
                end -= 1;
            }
            payload.truncate(end);
        }
        Self {
            reason,
            detail: detail.into(),
            origin: origin.into(),
            payload,
            message: None,
        }
    }
}

impl Reject {
    /// The longest name of a source, in bytes.
    pub const MAX_SOURCE: usize = 128;

    /// Who it came from: its origin without the line of a file (`csv:prices.csv` of
    /// `csv:prices.csv:17`) or the place in a topic (`kafka:stock-data` of `kafka:stock-data/3@17`),
    /// cut to [`Self::MAX_SOURCE`] bytes at a character border. What is kept of one is bounded.
    pub fn source(&self) -> &str {
        let without_number = |text: &'_ str, mark: char| {
            let (before, number) = text.rsplit_once(mark)?;
            let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            digits.then_some(before.len())
        };
        let origin = self.origin.as_str();
        let in_topic = origin.starts_with("kafka:").then(|| {
            let partition = without_number(origin, '@')?;
            without_number(&origin[..partition], '/')
        });
        let end = match in_topic.flatten() {
            Some(end) => end,
            None => without_number(origin, ':').unwrap_or(origin.len()),
        };
        let mut end = end.min(Self::MAX_SOURCE);
        while !origin.is_char_boundary(end) {
            end -= 1;
        }
        &origin[..end]
    }

    /// The field at fault: the one that the detail begins with, else the one that the reason is
    /// about; `None` when it is the row as a whole.
    pub fn field(&self) -> Option<&'static str> {
        let first = self.detail.split(' ').next();
        let named = FIELDS.into_iter().find(|name| first == Some(name));
        named.or(match self.reason {
            RejectReason::UnknownSymbol => Some("symbol"),
            RejectReason::BadPrice => Some("price"),
            RejectReason::BadSize => Some("size"),
            RejectReason::BadTimestamp | RejectReason::FutureTimestamp => Some("timestamp"),
            RejectReason::UnknownVersion => Some("schema_version"),
            RejectReason::BadField
            | RejectReason::BadBar
            | RejectReason::Unparsable
            | RejectReason::TooLarge => None,
        })
    }
}

/// The fields of a row by the names that details begin with.
const FIELDS: [&str; 12] = [
    "symbol",
    "timestamp",
    "seq",
    "price",
    "size",
    "volume",
    "open",
    "high",
    "low",
    "close",
    "interval",
    "schema_version",
];

/// The rules that a well-formed tick or bar must still meet. Time is an argument: `now` is the
/// reader's wall clock.
#[derive(Clone, Debug, Default)]
pub struct TickRules {
    /// The symbols that are taken; empty takes every one.
    pub symbols: std::collections::BTreeSet<Symbol>,
    /// How far ahead of `now` a timestamp may lie, in microseconds.
    pub max_ahead_us: i64,
}

/// 1900-01-01T00:00:00Z: no price is older.
const EARLIEST: Timestamp = Timestamp::from_secs(-2_208_988_800);

impl TickRules {
    /// Whether the symbol and time may be stored.
    ///
    /// # Errors
    /// The reason and, for a person, what was expected.
    pub fn check_origin(
        &self,
        symbol: &Symbol,
        ts: Timestamp,
        now: Timestamp,
    ) -> Result<(), (RejectReason, String)> {
        if !self.symbols.is_empty() && !self.symbols.contains(symbol) {
            return Err((
                RejectReason::UnknownSymbol,
                format!("symbol {symbol} is not one of those configured"),
            ));
        }
        if ts < EARLIEST {
            return Err((
                RejectReason::BadTimestamp,
                format!("timestamp {ts} lies before 1900"),
            ));
        }
        if ts.micros_since(now) > self.max_ahead_us {
            return Err((
                RejectReason::FutureTimestamp,
                format!("timestamp {ts} lies ahead of the clock, which says {now}"),
            ));
        }
        Ok(())
    }

    /// Whether a tick may be stored.
    ///
    /// # Errors
    /// The reason and, for a person, what was expected.
    pub fn check(&self, tick: &Tick, now: Timestamp) -> Result<(), (RejectReason, String)> {
        self.check_origin(&tick.symbol, tick.ts, now)?;
        check_price("price", tick.price)?;
        check_size("size", tick.size)?;
        // The stores keep the sequence as a signed 64-bit integer.
        if i64::try_from(tick.seq).is_err() {
            return Err((
                RejectReason::BadField,
                "seq is above 9223372036854775807".into(),
            ));
        }
        Ok(())
    }
}

/// The largest price and the largest size that is taken. No market has larger ones, and below it no sum
/// of sizes and no square of prices can leave the finite numbers: all the trades that 64 bits can count
/// add up to 2e49.
pub const MAX_NUMBER: f64 = 1e30;

/// Whether a price may be stored.
///
/// # Errors
/// The reason and, for a person, what was expected of `field`.
pub fn check_price(field: &str, price: f64) -> Result<(), (RejectReason, String)> {
    // Also what is no number fails the comparisons.
    if price > 0.0 && price <= MAX_NUMBER {
        return Ok(());
    }
    Err((
        RejectReason::BadPrice,
        format!("{field} is {price}: expected a number above zero, at most {MAX_NUMBER:e}"),
    ))
}

/// Whether a size or a volume may be stored.
///
/// # Errors
/// The reason and, for a person, what was expected of `field`.
pub fn check_size(field: &str, size: f64) -> Result<(), (RejectReason, String)> {
    if (0.0..=MAX_NUMBER).contains(&size) {
        return Ok(());
    }
    Err((
        RejectReason::BadSize,
        format!("{field} is {size}: expected a number from zero up, at most {MAX_NUMBER:e}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(price: f64, ts_us: i64) -> Tick {
        let symbol = "ABC".parse().unwrap();
        Tick {
            symbol,
            ts: Timestamp::from_micros(ts_us),
            seq: 1,
            price,
            size: 1.0,
        }
    }

    #[test]
    fn each_fault_has_its_reason() {
        let rules = TickRules {
            max_ahead_us: 5,
            ..TickRules::default()
        };
        let now = Timestamp::from_micros(1_000);
        let reason = |t: &Tick| rules.check(t, now).unwrap_err().0;
        assert_eq!(reason(&tick(f64::NAN, 0)), RejectReason::BadPrice);
        assert_eq!(reason(&tick(-1.0, 0)), RejectReason::BadPrice);
        assert_eq!(reason(&tick(0.0, 0)), RejectReason::BadPrice);
        assert_eq!(reason(&tick(1.0, 1_006)), RejectReason::FutureTimestamp);
        assert_eq!(reason(&tick(1.0, i64::MIN)), RejectReason::BadTimestamp);
        assert_eq!(
            reason(&Tick {
                size: -0.5,
                ..tick(1.0, 0)
            }),
            RejectReason::BadSize
        );
        for too_large in [1.01e30, f64::MAX, f64::INFINITY] {
            assert_eq!(reason(&tick(too_large, 0)), RejectReason::BadPrice);
            let size = Tick {
                size: too_large,
                ..tick(1.0, 0)
            };
            assert_eq!(reason(&size), RejectReason::BadSize);
        }
        assert_eq!(
            reason(&Tick {
                seq: u64::MAX,
                ..tick(1.0, 0)
            }),
            RejectReason::BadField
        );
        assert!(rules.check(&tick(1.0, 1_005), now).is_ok());
        let only = TickRules {
            symbols: ["XYZ".parse().unwrap()].into(),
            max_ahead_us: 5,
        };
        assert_eq!(
            only.check(&tick(1.0, 0), now).unwrap_err().0,
            RejectReason::UnknownSymbol
        );
    }

    #[test]
    fn a_source_is_the_origin_without_the_place_in_it() {
        for (origin, source) in [
            ("push", "push"),
            ("rest:tickcast", "rest:tickcast"),
            ("csv:prices.csv:17", "csv:prices.csv"),
            ("csv:2024:3.csv:9", "csv:2024:3.csv"),
            ("kafka:stock-data/3@17", "kafka:stock-data"),
            ("kafka:stock-data", "kafka:stock-data"),
            ("kafka:a/b@c", "kafka:a/b@c"),
            ("rest:x:", "rest:x:"),
            ("", ""),
        ] {
            let reject = Reject::new(RejectReason::Unparsable, "", origin, "");
            assert_eq!(reject.source(), source, "{origin}");
        }
        let long = Reject::new(RejectReason::Unparsable, "", "é".repeat(100), "");
        assert_eq!(long.source(), "é".repeat(64));
        let long = Reject::new(
            RejectReason::Unparsable,
            "",
            format!("x{}", "é".repeat(100)),
            "",
        );
        assert_eq!(long.source().len(), 127);
    }

    #[test]
    fn a_long_payload_is_cut_at_a_character() {
        let payload = "é".repeat(Reject::MAX_PAYLOAD);
        let reject = Reject::new(RejectReason::Unparsable, "", "", payload);
        assert!(reject.payload.len() <= Reject::MAX_PAYLOAD && reject.payload.ends_with('é'));
    }
}
