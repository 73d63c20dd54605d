//! The presets: providers whose shape is known; those of exchanges and of pages of a day's prices are in
//! `presets_more`. Those of real providers follow their public
//! documentation; where each was read stands beside its fixture in `tests/fixtures/README.md`.

use std::collections::BTreeMap;

use market::Interval;

use super::{
    mapping::{Fields, Mapping, Shape},
    provider::{Paging, Provider, TimeFormat},
};
use crate::{Result, SourceError, decode::TimeUnit};

pub(super) fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

pub(super) fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

impl Provider {
    /// The names of the presets.
    pub const PRESETS: [&'static str; 16] = [
        "tickcast",
        "alpaca-trades",
        "alpaca-bars",
        "polygon-trades",
        "polygon-bars",
        "finnhub-bars",
        "binance-trades",
        "binance-bars",
        "kraken-trades",
        "kraken-bars",
        "coinbase-bars",
        "alpha-vantage-bars",
        "alpha-vantage-daily",
        "twelve-data-bars",
        "tiingo-bars",
        "tiingo-daily",
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
            "binance-trades" => Self::binance_trades(&base("https://api.binance.com")),
            "binance-bars" => Self::binance_bars(&base("https://api.binance.com")),
            "kraken-trades" => Self::kraken_trades(&base("https://api.kraken.com")),
            "kraken-bars" => Self::kraken_bars(&base("https://api.kraken.com")),
            "coinbase-bars" => Self::coinbase_bars(&base("https://api.exchange.coinbase.com")),
            "alpha-vantage-bars" => Self::alpha_vantage_bars(&base("https://www.alphavantage.co")),
            "alpha-vantage-daily" => {
                Self::alpha_vantage_daily(&base("https://www.alphavantage.co"))
            }
            "twelve-data-bars" => Self::twelve_data_bars(&base("https://api.twelvedata.com")),
            "tiingo-bars" => Self::tiingo_bars(&base("https://api.tiingo.com")),
            "tiingo-daily" => Self::tiingo_daily(&base("https://api.tiingo.com")),
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
            window_s: None,
            poll_every_s: None,
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
            window_s: None,
            poll_every_s: None,
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
            window_s: None,
            poll_every_s: None,
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
            window_s: None,
            poll_every_s: None,
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
