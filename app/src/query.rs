//! What a chart page is asked for, and its URL: `/s/AAPL?interval=1m&horizon=10&model=naive&bars=120`.
//!
//! Model: everything that a page shows is in its URL, so the server draws the same page that the
//! browser does. A part that is missing or cannot be read takes its default; it is never an error.
//!
//! What it does not do: know which symbols, intervals or models exist.

use leptos::prelude::*;
use leptos_router::{hooks::use_location, location::Url, params::ParamsMap};
use market::{Interval, Symbol};
use serde::{Deserialize, Serialize};

/// The numbers of bars that can be chosen.
pub const SPANS: [usize; 5] = [60, 120, 240, 480, 5_000];
/// The horizons that can be chosen, in steps.
pub const HORIZONS: [u32; 6] = [1, 5, 10, 20, 30, 60];
/// The most bars that come with the page; more are streamed in after it.
pub const BARS_WITH_PAGE: usize = 480;

/// The model of a chart that names none, where its series has no champion: quick to fit, hard to beat (it won the M3
/// competition), and made live by default. Naive stands beside it in the record.
pub const FIRST_MODEL: &str = "theta";

/// What stands for the champion of a series, whichever version that is.
pub const CHAMPION: &str = "champion";

/// Whether a fan of the model `name` is what a chart of `model` shows: of a champion's, the version is whichever it is.
pub fn is_of(name: &str, model: &str) -> bool {
    if model == CHAMPION {
        name.starts_with("models:/")
    } else {
        name == model
    }
}

/// A model as it is called in a sentence: a version of the registry by its name and number.
pub fn called(model: &str) -> String {
    let version = model.strip_prefix("models:/");
    match version.and_then(|version| version.rsplit_once('/')) {
        Some((name, number)) => format!("the champion {name}, version {number}"),
        None => model.to_owned(),
    }
}

/// The model's name whose orders are a field of their own, where a form is sent without scripts.
pub const ARIMA: &str = "arima";

const DEFAULT_HORIZON: u32 = 10;
const DEFAULT_SPAN: usize = 120;
const MAX_HORIZON: u32 = 1_000;

/// What a chart page is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChartQuery {
    /// The symbol.
    pub symbol: Symbol,
    /// The bars' length; the server chooses when absent.
    pub interval: Option<Interval>,
    /// Steps to forecast, 1 to 1,000.
    pub horizon: u32,
    /// The model's name; the server chooses when it is empty.
    pub model: String,
    /// How many bars to show.
    pub bars: usize,
}

impl ChartQuery {
    /// Reads the path and the query of a page. `None` when it is not a symbol's page, or the path's
    /// symbol cannot be one.
    pub fn from_url(path: &str, query: &ParamsMap) -> Option<Self> {
        let symbol = Url::unescape(path.strip_prefix("/s/")?).parse().ok()?;
        let model = match query.get_str("model").unwrap_or_default().trim() {
            ARIMA => &arima(query.get_str("orders").unwrap_or_default()),
            model => model,
        };
        Some(Self {
            symbol,
            interval: query.get_str("interval").and_then(|t| t.parse().ok()),
            horizon: number(query, "horizon").map_or(DEFAULT_HORIZON, |h| h.clamp(1, MAX_HORIZON)),
            // A version of the registry has the name of its series in its own.
            model: if model.len() > 256 { "" } else { model }.to_owned(),
            bars: number(query, "bars").map_or(DEFAULT_SPAN, |b| {
                (b as usize).clamp(SPANS[0], SPANS[SPANS.len() - 1])
            }),
        })
    }

    /// The page's URL.
    pub fn url(&self) -> String {
        let mut url = symbol_url(&self.symbol);
        let mut separator = '?';
        let mut put = |key: &str, value: &str| {
            url.push(separator);
            separator = '&';
            url.push_str(key);
            url.push('=');
            escape_into(&mut url, value);
        };
        if let Some(interval) = self.interval {
            put("interval", interval.as_str());
        }
        put("horizon", &self.horizon.to_string());
        if !self.model.is_empty() {
            put("model", &self.model);
        }
        if self.bars != DEFAULT_SPAN {
            put("bars", &self.bars.to_string());
        }
        url
    }
}

/// What the page's address asks for. Read from the router's location alone: a route's own query
/// keeps its old value while only the path's symbol changes (leptos_router 0.8.17).
pub fn use_chart_query() -> Memo<Option<ChartQuery>> {
    let location = use_location();
    Memo::new(move |_| ChartQuery::from_url(&location.pathname.read(), &location.query.read()))
}

/// The ARIMA model of orders as people type them: of `2,1,0`, of `(2,1,0)` and of `arima(2, 1, 0)`;
/// without any, one of the plainest.
pub fn arima(orders: &str) -> String {
    let mut orders: String = orders.split_whitespace().collect();
    if let Some(rest) = orders.to_ascii_lowercase().strip_prefix(ARIMA) {
        orders = rest.to_owned();
    }
    match orders.as_bytes().first() {
        None => "arima(1,1,1)".to_owned(),
        Some(b'(') => ARIMA.to_owned() + &orders,
        Some(_) => match orders.split_once('+') {
            Some((orders, constant)) => format!("{ARIMA}({orders})+{constant}"),
            None => format!("{ARIMA}({orders})"),
        },
    }
}

/// The URL of the backtest page with a symbol and a model chosen.
pub fn backtest_url(symbol: &Symbol, interval: Interval, model: &str) -> String {
    let mut url = "/backtest?symbol=".to_owned();
    escape_into(&mut url, symbol.as_str());
    url.push_str("&interval=");
    url.push_str(interval.as_str());
    url.push_str("&model=");
    escape_into(&mut url, model);
    url
}

/// The URL of a symbol's page with every default.
pub fn symbol_url(symbol: &Symbol) -> String {
    name_url(symbol.as_str())
}

/// The same of a symbol's name.
pub fn name_url(name: &str) -> String {
    let mut url = "/s/".to_owned();
    escape_into(&mut url, name);
    url
}

/// What stands in the document's root element: the build's name, or that no server wrote the page.
pub fn root_attribute(name: &str) -> Option<String> {
    document().document_element()?.get_attribute(name)
}

fn number(query: &ParamsMap, key: &str) -> Option<u32> {
    query.get_str(key)?.trim().parse().ok()
}

/// Percent-encodes all but the characters that RFC 3986 leaves unreserved.
pub(crate) fn escape_into(url: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push('%');
            for nibble in [byte >> 4, byte & 15] {
                url.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(symbol: &str, query: &[(&'static str, &str)]) -> Option<ChartQuery> {
        let mut map = ParamsMap::new();
        for (key, value) in query {
            map.insert(*key, (*value).to_owned());
        }
        ChartQuery::from_url(&format!("/s/{symbol}"), &map)
    }

    #[test]
    fn what_cannot_be_read_takes_its_default() {
        let query = read(
            "aapl",
            &[("interval", "7w"), ("horizon", "-3"), ("bars", "x")],
        )
        .unwrap();
        assert_eq!(query.url(), "/s/AAPL?horizon=10");
    }

    #[test]
    fn a_champion_s_fan_is_whichever_version_s() {
        let version = "models:/close-1d.AAPL/3";
        assert!(is_of(version, CHAMPION) && is_of("naive", "naive"));
        assert!(!is_of("naive", CHAMPION) && !is_of(version, "naive"));
        assert_eq!(called(version), "the champion close-1d.AAPL, version 3");
        assert_eq!(called("theta"), "theta");
    }

    #[test]
    fn numbers_out_of_range_are_brought_into_it() {
        let query = read("A", &[("horizon", "99999"), ("bars", "4000000000")]).unwrap();
        assert_eq!((query.horizon, query.bars), (1_000, 5_000));
    }

    #[test]
    fn a_url_reads_back_as_the_query_it_was_written_from() {
        let query = read(
            "BTC/USD",
            &[
                ("interval", "1s"),
                ("model", "arima(1,1,1)"),
                ("bars", "240"),
            ],
        )
        .unwrap();
        assert_eq!(
            query.url(),
            "/s/BTC%2FUSD?interval=1s&horizon=10&model=arima%281%2C1%2C1%29&bars=240"
        );
    }

    #[test]
    fn orders_that_were_typed_become_a_model() {
        for (typed, model) in [
            ("2,1,0", "arima(2,1,0)"),
            ("(2, 1, 0)", "arima(2,1,0)"),
            (
                "ARIMA(0,1,1)(0,1,1)[5]+drift",
                "arima(0,1,1)(0,1,1)[5]+drift",
            ),
            ("1,0,0+mean", "arima(1,0,0)+mean"),
            ("", "arima(1,1,1)"),
        ] {
            let query = read("A", &[("model", "arima"), ("orders", typed)]).unwrap();
            assert_eq!(query.model, model);
        }
    }

    #[test]
    fn a_path_that_is_no_symbol_has_no_query() {
        assert!(read("<script>", &[]).is_none());
    }
}
