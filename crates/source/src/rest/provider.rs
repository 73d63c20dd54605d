//! A provider: how to ask, how to page, how to read. The presets are in `presets`.

use std::{collections::BTreeMap, fmt};

use market::{Symbol, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use super::mapping::Mapping;
use crate::{Result, SourceError};

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
    /// `2024-03-01T14:30:00`, in UTC, whole seconds.
    DateTime,
    /// `2024-03-01`.
    Date,
}

impl TimeFormat {
    /// Microseconds between two instants that are written differently.
    pub(super) const fn step(self) -> i64 {
        match self {
            Self::Rfc3339 | Self::Micros | Self::Nanos => 1,
            Self::Millis => 1_000,
            Self::Seconds | Self::DateTime => 1_000_000,
            Self::Date => 86_400_000_000,
        }
    }

    /// The text of an instant.
    pub fn write(self, ts: Timestamp) -> String {
        match self {
            Self::Rfc3339 => ts.to_string(),
            Self::Seconds => ts.as_secs().to_string(),
            Self::Millis => ts.as_millis().to_string(),
            Self::Micros => ts.as_micros().to_string(),
            Self::Nanos => (i128::from(ts.as_micros()) * 1_000).to_string(),
            Self::DateTime => {
                let text = Timestamp::from_secs(ts.as_secs()).to_string();
                text.trim_end_matches('Z').to_owned()
            }
            Self::Date => {
                let text = ts.to_string();
                text.split('T').next().unwrap_or_default().to_owned()
            }
        }
    }
}

/// How one gets from page to page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paging {
    /// One page; the next request asks for what came since the last row. A full page whose rows begin
    /// with the newest is followed by what lies before it, where the request says `{until}`.
    #[default]
    None,
    /// Every answer has a cursor to go on from, now or later; it replaces `since`. That of an answer
    /// without rows is only kept once rows have come after it.
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
///
/// ```
/// use source::rest::Provider;
///
/// let provider = Provider::preset("binance-trades", None)?;
/// assert!(provider.is_per_symbol());
/// assert!(provider.faults().is_empty());
/// # Ok::<(), source::SourceError>(())
/// ```
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
    /// The longest span, in seconds, that one request may ask for with `{since}` and `{until}`.
    #[serde(default)]
    pub window_s: Option<u64>,
    /// The shortest time between two polls, in seconds, whatever the settings say: for providers that
    /// count requests.
    #[serde(default)]
    pub poll_every_s: Option<u64>,
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

    /// Whether a request says until when.
    pub(super) fn asks_until(&self) -> bool {
        self.url.contains("{until}") || self.query.values().any(|v| v.contains("{until}"))
    }

    /// The end of the span that a request from `since` on may ask for.
    pub(super) fn window_end(&self, since: Timestamp, now: Timestamp) -> Timestamp {
        let window = self.window_s.filter(|_| self.asks_until());
        let us = window.map(|s| i64::try_from(s.saturating_mul(1_000_000)).unwrap_or(i64::MAX));
        us.map_or(now, |us| since.plus_micros(us).min(now))
    }

    /// A text without the credentials, should it repeat one.
    pub(super) fn without_credentials(&self, text: String) -> String {
        let mut text = text;
        for credential in &self.credentials {
            let (Credential::Header(_, value) | Credential::Query(_, value)) = credential;
            // Also without the `Bearer` or `Token` before it.
            let value = value.reveal();
            for part in [value, value.rsplit(' ').next().unwrap_or(value)] {
                if part.len() >= 4 {
                    text = text.replace(part, "***");
                }
            }
        }
        text
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
