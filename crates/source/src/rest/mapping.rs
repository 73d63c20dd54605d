//! From a provider's JSON to rows, by declaration.
//!
//! Model: a path leads to the rows (the module `path` says how paths are written); a [`Shape`] says how they
//! lie there; [`Fields`] names the part of a row that each of our fields is in; [`Conditions`] say which
//! answers are errors, and which say that there is nothing. The module `read` does it.
//!
//! What it does not do: arithmetic on fields, conditions on rows, joins.

use market::{Interval, TickRules, Timestamp};
use serde::{Deserialize, Serialize};

use super::{conditions::Conditions, path, read};
use crate::decode::{Decoded, Field, TimeUnit};

/// How rows lie in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// An array of rows. A row is an object, or an array whose fields are known by their place. Where
    /// one of the [`Fields`] has the empty path, an object of rows: that field is the row's key.
    #[default]
    Objects,
    /// One row.
    Object,
    /// An object (or an array) of arrays of one length, a field each.
    Columns,
    /// An object whose keys are symbols and whose values are what [`Shape::Objects`] is, or one row.
    BySymbol,
}

/// Where in a row each field is: a key, a place in an array (`0` is the first), or several of them joined by
/// dots. The empty path is the key of the row itself, in an object of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fields {
    /// The symbol; absent: that of the request, or of the key in [`Shape::BySymbol`]. `*` is the key that
    /// `*` stands for in the path to the rows.
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
    pub(super) fn list(&self, unit: TimeUnit) -> Vec<(Field, &str)> {
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
///
/// ```
/// use market::{TickRules, Timestamp};
/// use source::rest::{Fields, Mapping, Received};
///
/// let mapping = Mapping {
///     rows: "data.trades".into(),
///     fields: Fields {
///         time: Some("at".into()),
///         price: Some("deal.price".into()),
///         ..Fields::default()
///     },
///     ..Mapping::default()
/// };
/// let answer = mapping.read(Received {
///     body: br#"{"data": {"trades": [{"at": 1764000000, "deal": {"price": 10.5}}]}}"#,
///     symbol: Some("ACME"),
///     origin: "docs",
///     now: Timestamp::from_secs(1_764_000_060),
///     rules: &TickRules::default(),
/// })?;
/// assert_eq!(answer.decoded.ticks[0].price, 10.5);
/// # Ok::<(), source::rest::Unusable>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// The path to the rows, keys joined by dots; empty: the answer itself. `*` is every key: of a pair
    /// whose name the provider writes in its own way, or of several symbols.
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
    /// The time zone of times that do not say theirs, by its IANA name; absent: UTC. The date of a
    /// daily bar is the one that is written, whatever the zone.
    pub time_zone: Option<String>,
    /// Answers that are errors, whatever their status.
    pub error: Option<Conditions>,
    /// Answers that only say that there is nothing: asked before `error`.
    pub empty: Option<Conditions>,
}

/// What an answer held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Its rows.
    pub decoded: Decoded,
    /// The cursor, token or address of the next page.
    pub next: Option<String>,
}

/// Why an answer as a whole cannot be used; for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is not what the mapping says.
    #[error("{0}")]
    NotAsMapped(String),
    /// It reports an error: the provider's words.
    #[error("{0}")]
    Reported(String),
}

impl From<String> for Unusable {
    fn from(detail: String) -> Self {
        Self::NotAsMapped(detail)
    }
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
    /// Reads an answer. A row that cannot be used becomes a reject. An answer without rows (they are
    /// missing, null or empty, as providers have it when there are none) has none.
    ///
    /// # Errors
    /// Why the answer as a whole cannot be used.
    pub fn read(&self, received: Received<'_>) -> Result<Answer, Unusable> {
        self.read_by(received, true)
    }

    /// [`Self::read`], with the fast path only where `fast` allows it.
    pub(crate) fn read_by(&self, received: Received<'_>, fast: bool) -> Result<Answer, Unusable> {
        read::answer(self, received, fast)
    }

    /// Whether its rows mean the same without it: they lie as they do in a message that is pushed.
    pub(super) fn is_plain(&self) -> bool {
        let named = |(field, path): &(Field, &str)| Field::of_key(path) == *field;
        self.shape == Shape::Objects
            && self.interval.is_none()
            && self.time_zone.is_none()
            && self
                .fields
                .symbol
                .as_deref()
                .is_some_and(|s| s != path::EACH)
            && self.fields.list(self.time_unit).iter().all(named)
    }
}
