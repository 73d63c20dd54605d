//! What the address of the backtest page asks for, and back.
//!
//! Model: a plain GET form writes it, so a choice of several repeats its key and an empty field
//! means its default. Read on the server alone: the browser passes the address on as it is.
//!
//! What it does not do: judge numbers or models; the backtest says what is wrong with them.

use std::str::FromStr;

use leptos_router::location::Url;
use market::{Interval, Symbol};

use super::{ApiError, backtest::BacktestAsk};

/// What the page is asked for. What is left open is chosen by `backtest_defaults`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BacktestQuery {
    /// The symbols, as they are written.
    pub symbols: Vec<String>,
    /// The bars' length; chosen when absent.
    pub interval: Option<Interval>,
    /// The models' names; chosen when there are none.
    pub models: Vec<String>,
    /// Steps forecast from each origin; empty to have it chosen.
    pub horizon: String,
    /// Number of origins; empty to have it chosen.
    pub origins: String,
    /// Steps between origins; empty for the horizon.
    pub step: String,
    /// How many closes a model sees; empty for all.
    pub window: String,
    /// Whether prices are fitted, not their logarithms.
    pub prices: bool,
    /// Whether the page is to come with the result: it was asked for without scripts.
    pub wait: bool,
    /// A part of the names of the symbols to choose from.
    pub find: String,
    /// Where the page of symbols before ended.
    pub after: String,
}

impl BacktestQuery {
    /// Reads an address's query.
    pub fn read(search: &str) -> Self {
        let mut query = Self::default();
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
                "interval" => query.interval = value.parse().ok(),
                "horizon" => query.horizon = value.to_owned(),
                "origins" => query.origins = value.to_owned(),
                "step" => query.step = value.to_owned(),
                "window" => query.window = value.to_owned(),
                "scale" => query.prices = value == "price",
                "wait" => query.wait = true,
                "find_symbol" => query.find = value.to_owned(),
                "after_symbol" => query.after = value.to_owned(),
                _ => {}
            }
        }
        query
    }

    /// The choices as an address has them, without what only looks for symbols.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        pairs.extend(self.symbols.iter().map(|s| ("symbol", s.clone())));
        pairs.extend(self.models.iter().map(|m| ("model", m.clone())));
        pairs.extend(self.interval.map(|i| ("interval", i.to_string())));
        let fields = [
            ("horizon", &self.horizon),
            ("origins", &self.origins),
            ("step", &self.step),
            ("window", &self.window),
        ];
        let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
        pairs.extend(given.map(|(name, value)| (name, value.clone())));
        pairs.push(("scale", if self.prices { "price" } else { "log" }.into()));
        pairs
    }

    /// As the server takes it.
    ///
    /// # Errors
    /// Invalid, with the field, where a symbol or a number cannot be read or is missing.
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
            interval: self.interval.unwrap_or(Interval::D1),
            models: self.models.clone(),
            horizon: number("horizon", &self.horizon)?,
            origins: number("origins", &self.origins)?,
            step: optional("step", &self.step)?,
            window: optional("window", &self.window)?,
            log: !self.prices,
        })
    }
}

/// A whole number of the form.
///
/// # Errors
/// Invalid, with the field.
pub fn number(field: &str, text: &str) -> Result<usize, ApiError> {
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
    fn an_address_reads_back_as_the_choices_it_was_written_from() {
        let query = BacktestQuery::read(
            "symbol=AAPL&symbol=IBM&model=ets&interval=1h&horizon=3&origins=9&window=250&scale=price",
        );
        let pairs = query.pairs();
        let search: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(BacktestQuery::read(&search.join("&")), query);
        let found = BacktestQuery::read("find_symbol=a&after_symbol=10A");
        assert_eq!(found.pairs(), [("scale", "log".to_owned())]);
    }

    #[test]
    fn what_is_no_number_is_named() {
        let error = BacktestQuery::read("horizon=1&origins=many")
            .ask()
            .unwrap_err();
        assert_eq!(
            error.detail,
            "origins: expected a whole number, got \"many\""
        );
        let error = BacktestQuery::read("symbol=%3Cb%3E").ask().unwrap_err();
        assert!(error.detail.starts_with("symbols: "), "{error}");
    }
}
