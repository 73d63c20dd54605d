//! What the address of the backtest page asks for, and back.
//!
//! Model: a plain GET form writes it, so a choice of several repeats its key and an empty field
//! means its default. Read on the server alone: the browser passes the address on as it is.
//!
//! What it does not do: judge numbers or models; the backtest says what is wrong with them.

use std::str::FromStr;

use leptos_router::location::Url;
use market::{Interval, Symbol};

use super::{ApiError, InstrumentSummary, backtest::BacktestAsk};

/// The models chosen where the address names none.
const DEFAULT_MODELS: [&str; 2] = ["ets", "theta"];

/// What the page is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct BacktestQuery {
    /// The symbols, as they are written.
    pub symbols: Vec<String>,
    /// The bars' length.
    pub interval: Interval,
    /// The models' names.
    pub models: Vec<String>,
    /// Steps forecast from each origin.
    pub horizon: String,
    /// Number of origins.
    pub origins: String,
    /// Steps between origins; empty for the horizon.
    pub step: String,
    /// How many closes a model sees; empty for all.
    pub window: String,
    /// Whether logarithms are fitted.
    pub log: bool,
    /// Whether the page is to come with the result: it was asked for without scripts.
    pub wait: bool,
}

impl BacktestQuery {
    /// Reads an address's query.
    pub fn read(search: &str) -> Self {
        let mut query = Self {
            symbols: Vec::new(),
            interval: Interval::D1,
            models: Vec::new(),
            horizon: "5".into(),
            origins: "20".into(),
            step: String::new(),
            window: String::new(),
            log: true,
            wait: false,
        };
        for pair in search.trim_start_matches('?').split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = Url::unescape(&value.replace('+', "%20"));
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            match key {
                "symbol" => query.symbols.push(value.to_owned()),
                "model" => query.models.extend(names(value)),
                "interval" => query.interval = value.parse().unwrap_or(query.interval),
                "horizon" => query.horizon = value.to_owned(),
                "origins" => query.origins = value.to_owned(),
                "step" => query.step = value.to_owned(),
                "window" => query.window = value.to_owned(),
                "scale" => query.log = value != "price",
                "wait" => query.wait = true,
                _ => {}
            }
        }
        query
    }

    /// With what an address without choices leaves open: the first symbol, preferably of history,
    /// and some models. The interval is one that the symbols have.
    pub fn or_defaults(mut self, watchlist: &[InstrumentSummary]) -> Self {
        if self.symbols.is_empty() {
            let history = watchlist.iter().find(|i| i.bars_only);
            let first = history.or(watchlist.first());
            self.symbols.extend(first.map(|i| i.symbol.to_string()));
        }
        if self.models.is_empty() {
            self.models = DEFAULT_MODELS.map(str::to_owned).to_vec();
        }
        self
    }

    /// As the server takes it.
    ///
    /// # Errors
    /// Invalid, with the field, where a symbol or a number cannot be read.
    pub fn ask(&self) -> Result<BacktestAsk, ApiError> {
        let symbols = self.symbols.iter().map(|text| {
            let symbol = text.parse::<Symbol>();
            symbol.map_err(|e| ApiError::invalid(format!("symbols: {e}")).field("symbols"))
        });
        let optional = |field, text: &str| match text {
            "" => Ok(None),
            text => number(field, text).map(Some),
        };
        Ok(BacktestAsk {
            symbols: symbols.collect::<Result<_, _>>()?,
            interval: self.interval,
            models: self.models.clone(),
            horizon: number("horizon", &self.horizon)?,
            origins: number("origins", &self.origins)?,
            step: optional("step", &self.step)?,
            window: optional("window", &self.window)?,
            log: self.log,
        })
    }
}

fn number(field: &str, text: &str) -> Result<usize, ApiError> {
    usize::from_str(text).map_err(|_| {
        ApiError::invalid(format!("{field}: expected a whole number, got {text:?}")).field(field)
    })
}

/// The names in a field that may hold several, apart by spaces. Orders may hold spaces themselves:
/// `arima(1, 1, 1) arima(2,1,0)`.
fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut name, mut depth) = (String::new(), 0usize);
    for c in text.chars().chain([' ']) {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if !c.is_whitespace() {
            name.push(c);
        } else if depth == 0 && !name.is_empty() {
            names.push(std::mem::take(&mut name));
        }
    }
    names.extend((!name.is_empty()).then_some(name));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_form_reads_as_what_was_chosen() {
        let query = BacktestQuery::read(
            "?symbol=AAPL&symbol=BTC%2FUSD&interval=1h&model=ets&model=arima(1,+1,1)+arima%282%2C1%2C0%29&\
             horizon=3&origins=12&step=&window=250&scale=price&run=1",
        );
        assert_eq!(query.models, ["ets", "arima(1,1,1)", "arima(2,1,0)"]);
        let ask = query.ask().unwrap();
        assert_eq!(ask.symbols[1].as_str(), "BTC/USD");
        assert_eq!((ask.horizon, ask.origins), (3, 12));
        assert_eq!((ask.step, ask.window), (None, Some(250)));
        assert_eq!(
            (ask.interval, ask.log, query.wait),
            (Interval::H1, false, false)
        );
    }

    #[test]
    fn an_empty_address_takes_every_default() {
        let query = BacktestQuery::read("").or_defaults(&[]);
        assert_eq!(query.models, DEFAULT_MODELS);
        let ask = query.ask().unwrap();
        assert_eq!((ask.horizon, ask.origins, ask.log), (5, 20, true));
    }

    #[test]
    fn what_is_no_number_is_named() {
        let error = BacktestQuery::read("origins=many").ask().unwrap_err();
        assert_eq!(
            error.detail,
            "origins: expected a whole number, got \"many\""
        );
        let error = BacktestQuery::read("symbol=%3Cb%3E").ask().unwrap_err();
        assert!(error.detail.starts_with("symbols: "), "{error}");
    }
}
