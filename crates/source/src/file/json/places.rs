//! What the values of rows that are arrays mean, by their places.
//!
//! Model: a tool that writes arrays always writes the same number of values in the same order, so that
//! the number and the looks of the first rows name the tool. Where open, high, low and close stand is
//! checked against the rows: the high is the greatest and the low the least.
//!
//! What it does not do: places that a user names (a mapping does that for a provider's answers).

use std::borrow::Cow;

/// The names of the places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Who writes rows like these.
    pub tool: &'static str,
    /// A name for each place; those that are not used have names that mean nothing.
    pub names: &'static [&'static str],
}

impl Places {
    /// For a person.
    pub fn note(&self) -> String {
        format!(
            "rows of {} values are read as {} writes them: {}",
            self.names.len(),
            self.tool,
            self.names.join(", ")
        )
    }
}

/// Binance's own rows; those of its exports lack the last place.
const BINANCE: [&str; 12] = [
    "timestamp",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_asset_volume",
    "number_of_trades",
    "taker_buy_base_asset_volume",
    "taker_buy_quote_asset_volume",
    "ignore",
];

const BARS: [Places; 7] = [
    Places {
        tool: "freqtrade",
        names: &["timestamp", "open", "high", "low", "close", "volume"],
    },
    Places {
        tool: "Coinbase",
        names: &["timestamp", "low", "high", "open", "close", "volume"],
    },
    Places {
        tool: "Bitfinex",
        names: &["timestamp", "open", "close", "high", "low", "volume"],
    },
    Places {
        tool: "ccxt",
        names: &["timestamp", "open", "high", "low", "close"],
    },
    Places {
        tool: "Kraken",
        names: &[
            "timestamp",
            "open",
            "high",
            "low",
            "close",
            "vwap",
            "volume",
            "count",
        ],
    },
    Places {
        tool: "Binance",
        names: &BINANCE,
    },
    Places {
        tool: "Binance",
        names: BINANCE.split_at(11).0,
    },
];

const TRADES: Places = Places {
    tool: "freqtrade",
    names: &["timestamp", "id", "type", "side", "price", "size", "cost"],
};

/// The places of the first rows' values.
///
/// # Errors
/// What was found, for a person.
pub fn of_rows(rows: &[&[Cow<'_, str>]]) -> Result<Places, String> {
    let width = rows.first().map_or(0, |row| row.len());
    let same: Vec<&[Cow<'_, str>]> = rows.iter().copied().filter(|r| r.len() == width).collect();
    if width == TRADES.names.len() && same.iter().all(|row| is_trade(row)) {
        return Ok(TRADES);
    }
    let fits = |places: &&Places| {
        places.names.len() == width && same.iter().all(|row| is_bar(places.names, row))
    };
    // Where several fit, the rows are flat and all read the same.
    BARS.iter().find(fits).copied().ok_or_else(|| {
        format!("arrays of {width} values whose order is not known: write objects with names")
    })
}

fn is_trade(row: &[Cow<'_, str>]) -> bool {
    matches!(&*row[3], "buy" | "sell") && number(&row[4]).is_some()
}

fn is_bar(names: &[&str], row: &[Cow<'_, str>]) -> bool {
    let price = |name: &str| {
        let at = names.iter().position(|n| *n == name)?;
        number(&row[at])
    };
    match ["open", "high", "low", "close"].map(price) {
        [Some(open), Some(high), Some(low), Some(close)] => {
            high >= open.max(close) && low <= open.min(close)
        }
        // A row with holes says nothing against it; one with texts does.
        prices => prices.iter().any(Option::is_some) || row.iter().all(|v| v.is_empty()),
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[&[&'static str]]) -> Result<Places, String> {
        let owned: Vec<Vec<Cow<'_, str>>> = rows
            .iter()
            .map(|row| row.iter().map(|v| Cow::Borrowed(*v)).collect())
            .collect();
        let rows: Vec<&[Cow<'_, str>]> = owned.iter().map(Vec::as_slice).collect();
        of_rows(&rows)
    }

    #[test]
    fn the_order_of_the_prices_is_told_by_the_rows() {
        let tool = |row: &[&'static str]| of(&[row]).unwrap().names[1];
        assert_eq!(tool(&["1772616600000", "10", "12", "9", "11", "5"]), "open");
        assert_eq!(tool(&["1772616600", "9", "12", "10", "11", "5"]), "low");
        let bitfinex = of(&[&["1772616600000", "10", "11", "12", "9", "5"]]).unwrap();
        assert_eq!(bitfinex.names[2], "close");
        // The first row alone would do for both; the second does not.
        let both: [&[&str]; 2] = [
            &["1", "10", "12", "10", "11", "5"],
            &["2", "9", "12", "10", "11", "5"],
        ];
        assert_eq!(of(&both).unwrap().tool, "Coinbase");
    }

    #[test]
    fn trades_and_unknown_orders_are_told_apart() {
        let trade = [
            "1772616600000",
            "900001",
            "",
            "buy",
            "64250.5",
            "0.25",
            "16062.6",
        ];
        assert_eq!(of(&[&trade]).unwrap(), TRADES);
        assert!(of(&[&["1", "2", "3"]]).unwrap_err().contains("3 values"));
        let prices_of_nothing = of(&[&["1", "5", "1", "9", "5", "0"]]);
        assert!(prices_of_nothing.is_err());
    }
}
