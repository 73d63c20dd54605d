//! A provider: how to ask, how to page, how to read; and the presets.
//!
//! The presets of real providers follow their public documentation; where each was read stands
//! beside its fixture in `tests/fixtures/README.md`.

use std::{collections::BTreeMap, fmt};

use market::{Interval, Symbol, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use super::mapping::{Fields, Mapping, Shape};
use crate::{Result, SourceError, decode::TimeUnit};

/// How times are written in requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// `2024-03-01T14:30:00Z`.
    #[default]
    Rfc3339,
    /// Seconds since the epoch.
    Seconds,
    /// Milliseconds since the epoch.
    Millis,
    /// Microseconds since the epoch.
    Micros,
    /// Nanoseconds since the epoch.
    Nanos,
}

impl TimeFormat {
    /// The text of an instant.
    pub fn write(self, ts: Timestamp) -> String {
        match self {
            Self::Rfc3339 => ts.to_string(),
            Self::Seconds => ts.as_secs().to_string(),
            Self::Millis => ts.as_millis().to_string(),
            Self::Micros => ts.as_micros().to_string(),
            Self::Nanos => (i128::from(ts.as_micros()) * 1_000).to_string(),
        }
    }
}

/// How one gets from page to page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paging {
    /// One page; the next request asks for what came since the last row.
    #[default]
    None,
    /// Every answer has a cursor to go on from, now or later; it replaces `since`.
    Cursor(String),
    /// While there are more pages the answer has a token, which is sent as this parameter with the
    /// same request; after the last page one asks for what came since the last row.
    Token(String),
    /// While there are more pages the answer has the address of the next; it must be on the same
    /// host, because the credentials go with it.
    Url,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// A key that goes with every request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// As a header: name and value.
    Header(String, Secret),
    /// As a query parameter: name and value.
    Query(String, Secret),
}

/// How to ask a provider and how to read its answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The address, with `{symbol}`, `{since}` and `{until}` where they belong.
    pub url: String,
    /// Query parameters; values may hold `{symbol}`, `{symbols}`, `{limit}`, `{since}`, `{until}`.
    /// A parameter whose value is not known (no symbols configured, no time yet) is left out.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// How times are written.
    #[serde(default)]
    pub time_format: TimeFormat,
    /// How one gets from page to page.
    #[serde(default)]
    pub paging: Paging,
    /// Rows of a page at most.
    pub page_limit: usize,
    /// Keys that go with every request.
    #[serde(default)]
    pub credentials: Vec<Credential>,
    /// How to read an answer.
    pub mapping: Mapping,
}

/// The values of a request.
#[derive(Clone, Debug, Default)]
pub struct Ask<'a> {
    /// The symbol of a provider that is asked for one at a time.
    pub symbol: Option<&'a Symbol>,
    /// All symbols.
    pub symbols: &'a [Symbol],
    /// From when on.
    pub since: Option<Timestamp>,
    /// Now, by the wall clock.
    pub until: Option<Timestamp>,
    /// The cursor or token.
    pub next: Option<&'a str>,
}

impl Provider {
    /// Whether each request is for one symbol.
    pub fn is_per_symbol(&self) -> bool {
        self.url.contains("{symbol}") || self.query.values().any(|v| v.contains("{symbol}"))
    }

    /// The address of a request, without credentials.
    ///
    /// # Errors
    /// [`SourceError::Config`] when it is no address; [`SourceError::Answer`] when the provider's
    /// next address is on another host.
    pub fn address(&self, ask: &Ask<'_>) -> Result<reqwest::Url> {
        let url = fill(&self.url, ask, self).unwrap_or_else(|| self.url.clone());
        let mut url = parse(&url)?;
        if let (Paging::Url, Some(next)) = (&self.paging, ask.next) {
            let next = url
                .join(next)
                .map_err(|e| self.bad_next(&url, &e.to_string()))?;
            let same = (next.scheme(), next.host_str(), next.port_or_known_default())
                == (url.scheme(), url.host_str(), url.port_or_known_default());
            return if same {
                Ok(next)
            } else {
                Err(self.bad_next(&url, "the next page is on another host"))
            };
        }
        let replaces_since = matches!((&self.paging, ask.next), (Paging::Cursor(_), Some(_)));
        {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in &self.query {
                if replaces_since && value.contains("{since}") {
                    continue;
                }
                if let Some(value) = fill(value, ask, self) {
                    pairs.append_pair(name, &value);
                }
            }
            if let (Paging::Cursor(name) | Paging::Token(name), Some(next)) =
                (&self.paging, ask.next)
            {
                pairs.append_pair(name, next);
            }
        }
        if url.query() == Some("") {
            url.set_query(None);
        }
        Ok(url)
    }

    fn bad_next(&self, url: &reqwest::Url, detail: &str) -> SourceError {
        SourceError::Answer {
            url: shown(url),
            detail: detail.to_owned(),
        }
    }
}

/// An address as it may be shown: without its query, which may hold a key.
pub fn shown(url: &reqwest::Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    let _ = url.set_password(None);
    url.to_string()
}

fn parse(text: &str) -> Result<reqwest::Url> {
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        _ => Err(SourceError::Config {
            key: "url".into(),
            expected: format!(
                "expected an address that begins with http:// or https://, got {text:?}"
            ),
        }),
    }
}

/// Puts values in; `None` when one is not known.
fn fill(template: &str, ask: &Ask<'_>, provider: &Provider) -> Option<String> {
    let mut text = template.to_owned();
    let values: [(&str, Option<String>); 5] = [
        ("{symbol}", ask.symbol.map(ToString::to_string)),
        (
            "{symbols}",
            (!ask.symbols.is_empty()).then(|| {
                let names: Vec<&str> = ask.symbols.iter().map(Symbol::as_str).collect();
                names.join(",")
            }),
        ),
        ("{limit}", Some(provider.page_limit.to_string())),
        ("{since}", ask.since.map(|t| provider.time_format.write(t))),
        ("{until}", ask.until.map(|t| provider.time_format.write(t))),
    ];
    for (name, value) in values {
        if text.contains(name) {
            text = text.replace(name, &value?);
        }
    }
    Some(text)
}

fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

impl Provider {
    /// The names of the presets.
    pub const PRESETS: [&'static str; 6] = [
        "tickcast",
        "alpaca-trades",
        "alpaca-bars",
        "polygon-trades",
        "polygon-bars",
        "finnhub-bars",
    ];

    /// A preset by name, without credentials. `base` replaces the provider's own address
    /// (`https://data.alpaca.markets`); the preset `tickcast` has none of its own and needs it.
    ///
    /// # Errors
    /// [`SourceError::Config`]: no such preset, or `tickcast` without an address.
    pub fn preset(name: &str, base: Option<&str>) -> Result<Self> {
        let base = |own: &str| base.unwrap_or(own).trim_end_matches('/').to_owned();
        Ok(match name {
            "tickcast" => {
                let base = base("");
                if base.is_empty() {
                    return Err(SourceError::Config {
                        key: "url".into(),
                        expected: "the preset tickcast needs the address of an exchange".into(),
                    });
                }
                Self::tickcast(&base)
            }
            "alpaca-trades" => Self::alpaca_trades(&base("https://data.alpaca.markets")),
            "alpaca-bars" => Self::alpaca_bars(&base("https://data.alpaca.markets")),
            "polygon-trades" => Self::polygon_trades(&base("https://api.polygon.io")),
            "polygon-bars" => Self::polygon_bars(&base("https://api.polygon.io")),
            "finnhub-bars" => Self::finnhub_bars(&base("https://finnhub.io")),
            other => {
                return Err(SourceError::Config {
                    key: "preset".into(),
                    expected: format!(
                        "expected one of {}, got {other:?}",
                        Self::PRESETS.join(", ")
                    ),
                });
            }
        })
    }

    /// The simulated exchange: `GET /v1/trades`, answered as soon as there is a row.
    pub fn tickcast(base: &str) -> Self {
        Self {
            url: format!("{base}/v1/trades"),
            query: pairs(&[
                ("limit", "{limit}"),
                ("symbols", "{symbols}"),
                ("since", "{since}"),
                ("wait_ms", "1000"),
            ]),
            time_format: TimeFormat::Micros,
            paging: Paging::Cursor("cursor".into()),
            page_limit: 10_000,
            credentials: Vec::new(),
            mapping: Mapping {
                rows: "trades".into(),
                fields: Fields {
                    symbol: some("symbol"),
                    time: some("ts_us"),
                    seq: some("seq"),
                    price: some("price"),
                    size: some("size"),
                    ..Fields::default()
                },
                time_unit: TimeUnit::Micros,
                next: some("next_cursor"),
                ..Mapping::default()
            },
        }
    }

    /// Alpaca Market Data v2, `GET /v2/stocks/{symbol}/trades`. Needs the headers `APCA-API-KEY-ID`
    /// and `APCA-API-SECRET-KEY`.
    pub fn alpaca_trades(base: &str) -> Self {
        Self {
            url: format!("{base}/v2/stocks/{{symbol}}/trades"),
            query: pairs(&[("limit", "{limit}"), ("start", "{since}"), ("sort", "asc")]),
            time_format: TimeFormat::Rfc3339,
            paging: Paging::Token("page_token".into()),
            page_limit: 10_000,
            credentials: Vec::new(),
            mapping: Mapping {
                rows: "trades".into(),
                fields: Fields {
                    time: some("t"),
                    seq: some("i"),
                    price: some("p"),
                    size: some("s"),
                    ..Fields::default()
                },
                next: some("next_page_token"),
                ..Mapping::default()
            },
        }
    }

    /// Alpaca Market Data v2, `GET /v2/stocks/bars`: bars of one minute of all symbols.
    pub fn alpaca_bars(base: &str) -> Self {
        Self {
            url: format!("{base}/v2/stocks/bars"),
            query: pairs(&[
                ("symbols", "{symbol}"),
                ("timeframe", "1Min"),
                ("limit", "{limit}"),
                ("start", "{since}"),
                ("sort", "asc"),
            ]),
            mapping: Mapping {
                rows: "bars".into(),
                shape: Shape::BySymbol,
                fields: Fields {
                    time: some("t"),
                    ..Self::letters()
                },
                interval: Some(Interval::M1),
                next: some("next_page_token"),
                ..Mapping::default()
            },
            ..Self::alpaca_trades(base)
        }
    }

    /// Polygon.io (since 2025 Massive), `GET /v3/trades/{symbol}`. Needs the header
    /// `Authorization: Bearer …`. Its sequence numbers are unique within a symbol and a day.
    pub fn polygon_trades(base: &str) -> Self {
        Self {
            url: format!("{base}/v3/trades/{{symbol}}"),
            query: pairs(&[
                ("limit", "{limit}"),
                ("timestamp.gte", "{since}"),
                ("order", "asc"),
                ("sort", "timestamp"),
            ]),
            time_format: TimeFormat::Nanos,
            paging: Paging::Url,
            page_limit: 50_000,
            credentials: Vec::new(),
            mapping: Mapping {
                rows: "results".into(),
                fields: Fields {
                    time: some("sip_timestamp"),
                    seq: some("sequence_number"),
                    price: some("price"),
                    size: some("size"),
                    ..Fields::default()
                },
                time_unit: TimeUnit::Nanos,
                next: some("next_url"),
                ..Mapping::default()
            },
        }
    }

    /// Polygon.io, `GET /v2/aggs/ticker/{symbol}/range/1/minute/{since}/{until}`: bars of one minute.
    pub fn polygon_bars(base: &str) -> Self {
        Self {
            url: format!("{base}/v2/aggs/ticker/{{symbol}}/range/1/minute/{{since}}/{{until}}"),
            query: pairs(&[("limit", "{limit}"), ("sort", "asc"), ("adjusted", "false")]),
            time_format: TimeFormat::Millis,
            mapping: Mapping {
                rows: "results".into(),
                fields: Fields {
                    time: some("t"),
                    ..Self::letters()
                },
                time_unit: TimeUnit::Millis,
                interval: Some(Interval::M1),
                next: some("next_url"),
                ..Mapping::default()
            },
            ..Self::polygon_trades(base)
        }
    }

    /// Finnhub, `GET /api/v1/stock/candle`: bars of one minute as parallel arrays. Needs the header
    /// `X-Finnhub-Token`.
    pub fn finnhub_bars(base: &str) -> Self {
        Self {
            url: format!("{base}/api/v1/stock/candle"),
            query: pairs(&[
                ("symbol", "{symbol}"),
                ("resolution", "1"),
                ("from", "{since}"),
                ("to", "{until}"),
            ]),
            time_format: TimeFormat::Seconds,
            paging: Paging::None,
            page_limit: 1_000,
            credentials: Vec::new(),
            mapping: Mapping {
                shape: Shape::Columns,
                fields: Fields {
                    time: some("t"),
                    ..Self::letters()
                },
                time_unit: TimeUnit::Seconds,
                interval: Some(Interval::M1),
                ..Mapping::default()
            },
        }
    }

    fn letters() -> Fields {
        Fields {
            open: some("o"),
            high: some("h"),
            low: some("l"),
            close: some("c"),
            size: some("v"),
            ..Fields::default()
        }
    }
}
