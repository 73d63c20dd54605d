//! The presets of crypto exchanges, and of providers whose rows are keyed by date or come by the day.
//!
//! What each reads, and of which documentation: docs/providers.md.

use market::Interval;

use super::{
    conditions::{Condition, Conditions, Literal},
    mapping::{Fields, Mapping},
    presets::{pairs, some},
    provider::{Paging, Provider, TimeFormat},
};
use crate::decode::TimeUnit;

/// Fields by their places: time, open, high, low, close, volume.
fn by_place(places: [&str; 6]) -> Fields {
    let [time, open, high, low, close, size] = places.map(some);
    Fields {
        time,
        open,
        high,
        low,
        close,
        size,
        ..Fields::default()
    }
}

fn by_name(time: &str) -> Fields {
    by_place([time, "open", "high", "low", "close", "volume"])
}

/// Whatever lies at one of these paths is an error's text.
fn any_of(paths: &[&str]) -> Option<Conditions> {
    let condition = |path: &&str| Condition {
        path: (*path).to_owned(),
        ..Condition::default()
    };
    Some(Conditions(paths.iter().map(condition).collect()))
}

impl Provider {
    fn of(url: String, query: &[(&str, &str)], page_limit: usize, mapping: Mapping) -> Self {
        Self {
            url,
            query: pairs(query),
            time_format: TimeFormat::Millis,
            paging: Paging::None,
            page_limit,
            window_s: None,
            poll_every_s: None,
            credentials: Vec::new(),
            mapping,
        }
    }

    /// Binance spot, `GET /api/v3/aggTrades`: trades, those of one order at one price as one. No key.
    pub fn binance_trades(base: &str) -> Self {
        let query = [
            ("symbol", "{symbol}"),
            ("startTime", "{since}"),
            ("limit", "{limit}"),
        ];
        let mapping = Mapping {
            fields: Fields {
                time: some("T"),
                seq: some("a"),
                price: some("p"),
                size: some("q"),
                ..Fields::default()
            },
            time_unit: TimeUnit::Millis,
            ..Mapping::default()
        };
        Self::of(format!("{base}/api/v3/aggTrades"), &query, 1_000, mapping)
    }

    /// Binance spot, `GET /api/v3/klines`: bars of one minute, as arrays. No key.
    pub fn binance_bars(base: &str) -> Self {
        let query = [
            ("symbol", "{symbol}"),
            ("interval", "1m"),
            ("startTime", "{since}"),
            ("limit", "{limit}"),
        ];
        let mapping = Mapping {
            fields: by_place(["0", "1", "2", "3", "4", "5"]),
            time_unit: TimeUnit::Millis,
            interval: Some(Interval::M1),
            ..Mapping::default()
        };
        Self::of(format!("{base}/api/v3/klines"), &query, 1_000, mapping)
    }

    /// Kraken spot, `GET /0/public/Trades`: as arrays under the pair's own name. No key.
    pub fn kraken_trades(base: &str) -> Self {
        let query = [
            ("pair", "{symbol}"),
            ("since", "{since}"),
            ("count", "{limit}"),
        ];
        let mapping = Mapping {
            rows: "result.*".into(),
            fields: Fields {
                price: some("0"),
                size: some("1"),
                time: some("2"),
                seq: some("6"),
                ..Fields::default()
            },
            time_unit: TimeUnit::Seconds,
            next: some("result.last"),
            error: any_of(&["error"]),
            ..Mapping::default()
        };
        Self {
            time_format: TimeFormat::Seconds,
            paging: Paging::Cursor("since".into()),
            ..Self::of(format!("{base}/0/public/Trades"), &query, 1_000, mapping)
        }
    }

    /// Kraken spot, `GET /0/public/OHLC`: bars of one minute, as arrays under the pair's own name; the last
    /// one is still going on. At most the latest 720, whatever is asked for. No key.
    pub fn kraken_bars(base: &str) -> Self {
        let query = [
            ("pair", "{symbol}"),
            ("interval", "1"),
            ("since", "{since}"),
        ];
        let mapping = Mapping {
            rows: "result.*".into(),
            // The sixth is the mean price.
            fields: by_place(["0", "1", "2", "3", "4", "6"]),
            time_unit: TimeUnit::Seconds,
            interval: Some(Interval::M1),
            next: some("result.last"),
            error: any_of(&["error"]),
            ..Mapping::default()
        };
        Self {
            time_format: TimeFormat::Seconds,
            paging: Paging::Cursor("since".into()),
            // More than ever come: there is no second page.
            ..Self::of(format!("{base}/0/public/OHLC"), &query, 1_000, mapping)
        }
    }

    /// Coinbase Exchange, `GET /products/{symbol}/candles`: bars of one minute, as arrays (low before high
    /// before open), newest first, at most 300 of a span of at most 300. No key.
    pub fn coinbase_bars(base: &str) -> Self {
        let query = [
            ("granularity", "60"),
            ("start", "{since}"),
            ("end", "{until}"),
        ];
        let mapping = Mapping {
            fields: by_place(["0", "3", "2", "1", "4", "5"]),
            time_unit: TimeUnit::Seconds,
            interval: Some(Interval::M1),
            ..Mapping::default()
        };
        Self {
            time_format: TimeFormat::Seconds,
            // Both ends count.
            window_s: Some(299 * 60),
            ..Self::of(
                format!("{base}/products/{{symbol}}/candles"),
                &query,
                300,
                mapping,
            )
        }
    }

    /// Alpha Vantage, `GET /query?function=TIME_SERIES_INTRADAY`: bars of one minute, keyed by the New York
    /// time of their start. Needs the parameter `apikey`; the latest 100.
    pub fn alpha_vantage_bars(base: &str) -> Self {
        let query = [
            ("function", "TIME_SERIES_INTRADAY"),
            ("symbol", "{symbol}"),
            ("interval", "1min"),
            ("outputsize", "compact"),
        ];
        let mapping = Mapping {
            rows: "Time Series (1min)".into(),
            interval: Some(Interval::M1),
            time_zone: some("America/New_York"),
            ..Self::alpha_vantage_rows()
        };
        Self {
            poll_every_s: Some(60),
            // More than ever come: there is no second page.
            ..Self::of(format!("{base}/query"), &query, 1_000_000, mapping)
        }
    }

    /// Alpha Vantage, `GET /query?function=TIME_SERIES_DAILY`: daily bars, keyed by date. Needs the
    /// parameter `apikey`; the latest 100. Asked once in an hour: a free key has 25 requests a day.
    pub fn alpha_vantage_daily(base: &str) -> Self {
        let query = [
            ("function", "TIME_SERIES_DAILY"),
            ("symbol", "{symbol}"),
            ("outputsize", "compact"),
        ];
        let mapping = Mapping {
            rows: "Time Series (Daily)".into(),
            interval: Some(Interval::D1),
            ..Self::alpha_vantage_rows()
        };
        Self {
            poll_every_s: Some(3_600),
            ..Self::of(format!("{base}/query"), &query, 1_000_000, mapping)
        }
    }

    fn alpha_vantage_rows() -> Mapping {
        Mapping {
            fields: by_place(["", "1. open", "2. high", "3. low", "4. close", "5. volume"]),
            error: any_of(&["Error Message", "Note", "Information"]),
            ..Mapping::default()
        }
    }

    /// Twelve Data, `GET /time_series`: bars of one minute. Needs the header `Authorization: apikey …`.
    pub fn twelve_data_bars(base: &str) -> Self {
        let query = [
            ("symbol", "{symbol}"),
            ("interval", "1min"),
            ("start_date", "{since}"),
            ("timezone", "UTC"),
            ("order", "ASC"),
            ("outputsize", "{limit}"),
        ];
        let mapping = Mapping {
            rows: "values".into(),
            fields: by_name("datetime"),
            interval: Some(Interval::M1),
            // That there was no trade since is reported as an error.
            empty: Some(Conditions(vec![Condition {
                path: "message".into(),
                contains: some("no data is available"),
                ..Condition::default()
            }])),
            error: Some(Conditions(vec![Condition {
                path: "status".into(),
                equals: Some(Literal("error".into())),
                text: some("message"),
                ..Condition::default()
            }])),
            ..Mapping::default()
        };
        Self {
            time_format: TimeFormat::DateTime,
            // A free key has eight requests a minute.
            poll_every_s: Some(60),
            ..Self::of(format!("{base}/time_series"), &query, 5_000, mapping)
        }
    }

    /// Tiingo, `GET /iex/{symbol}/prices`: bars of one minute of the IEX exchange, by the day. Needs the
    /// header `Authorization: Token …`.
    pub fn tiingo_bars(base: &str) -> Self {
        let query = [
            ("startDate", "{since}"),
            ("resampleFreq", "1min"),
            ("columns", "open,high,low,close,volume"),
        ];
        let mapping = Mapping {
            fields: by_name("date"),
            interval: Some(Interval::M1),
            ..Mapping::default()
        };
        Self {
            time_format: TimeFormat::Date,
            poll_every_s: Some(60),
            ..Self::of(
                format!("{base}/iex/{{symbol}}/prices"),
                &query,
                1_000_000,
                mapping,
            )
        }
    }

    /// Tiingo, `GET /tiingo/daily/{symbol}/prices`: daily bars as they were traded, not adjusted. Needs the
    /// header `Authorization: Token …`.
    pub fn tiingo_daily(base: &str) -> Self {
        let mapping = Mapping {
            fields: by_name("date"),
            interval: Some(Interval::D1),
            ..Mapping::default()
        };
        Self {
            time_format: TimeFormat::Date,
            poll_every_s: Some(3_600),
            ..Self::of(
                format!("{base}/tiingo/daily/{{symbol}}/prices"),
                &[("startDate", "{since}")],
                1_000_000,
                mapping,
            )
        }
    }
}
