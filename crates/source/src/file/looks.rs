//! Files without a header line that are known by their looks: the number of their columns and what
//! stands in them.
//!
//! A look is believed only when every row at hand fits it; what fits none has its columns named by
//! their place.

use super::time::text::{self, Order};

/// A look that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whose files look so.
    pub tool: &'static str,
    /// The names of the columns.
    pub names: Vec<String>,
    /// The zone of their times, where the tool's documentation says it.
    pub zone: Option<&'static str>,
}

const KLINES: [&str; 12] = [
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
];

/// The look that all rows fit; a last row that is cut short does not count.
pub fn headerless(rows: &[Vec<String>]) -> Option<Look> {
    let width = rows.first()?.len();
    let rows: Vec<&[String]> = rows
        .iter()
        .map(Vec::as_slice)
        .filter(|row| row.len() == width)
        .collect();
    let all = |fits: &dyn Fn(&[String]) -> bool| rows.iter().all(|row| fits(row));
    let look = |tool, names: &[&str], zone| {
        Some(Look {
            tool,
            names: names.iter().map(ToString::to_string).collect(),
            zone,
        })
    };
    match width {
        12 if all(&|r| {
            epoch(&r[0]) && epoch(&r[6]) && bar(&r[1..5]) && number(&r[5]).is_some()
        }) =>
        {
            look("klines of Binance", &KLINES, None)
        }
        // Spot trades: id, price, qty, quoteQty, time, isBuyerMaker, isBestMatch.
        6 | 7
            if all(&|r| {
                integer(&r[0]) && number(&r[1]).is_some() && epoch(&r[4]) && truth(&r[5])
            }) =>
        {
            let names = [
                "id",
                "price",
                "qty",
                "quote_qty",
                "time",
                "is_buyer_maker",
                "is_best_match",
            ];
            look("trades of Binance", &names[..width], None)
        }
        // Aggregate trades: id, price, qty, first and last trade, time, isBuyerMaker, isBestMatch.
        7 | 8
            if all(&|r| {
                integer(&r[0]) && integer(&r[3]) && integer(&r[4]) && epoch(&r[5]) && truth(&r[6])
            }) =>
        {
            let names = [
                "agg_trade_id",
                "price",
                "quantity",
                "first_trade",
                "last_trade",
                "timestamp",
                "is_buyer_maker",
                "is_best_match",
            ];
            look("aggregate trades of Binance", &names[..width], None)
        }
        7 if all(&|r| {
            epoch(&r[0]) && bar(&r[1..5]) && number(&r[5]).is_some() && integer(&r[6])
        }) =>
        {
            let names = [
                "timestamp",
                "open",
                "high",
                "low",
                "close",
                "volume",
                "trades",
            ];
            look("OHLCVT of Kraken", &names, None)
        }
        6 | 7 if all(&|r| date(&r[0]) && clock(&r[1]) && bar(&r[2..6])) => {
            let names = ["date", "time", "open", "high", "low", "close", "volume"];
            look("bars of MetaTrader", &names[..width], None)
        }
        // 20120201 000000;1.3066;…: HistData says Eastern Standard Time without summer time.
        6 if all(&|r| hist_data(&r[0]) && bar(&r[1..5])) => {
            let names = ["datetime", "open", "high", "low", "close", "volume"];
            look(
                "bars of HistData, in Eastern Standard Time",
                &names,
                Some("-05:00"),
            )
        }
        // Quotes and no trades: the names say so, and a price is missing.
        4 if all(&|r| {
            hist_data_tick(&r[0]) && number(&r[1]).is_some() && number(&r[2]).is_some()
        }) =>
        {
            let names = ["datetime", "bid", "ask", "volume"];
            look(
                "quotes of HistData, in Eastern Standard Time",
                &names,
                Some("-05:00"),
            )
        }
        5 | 6 if all(&|r| (moment(&r[0]) || epoch(&r[0])) && bar(&r[1..5])) => {
            let names = ["datetime", "open", "high", "low", "close", "volume"];
            look(
                "time, open, high, low, close, volume",
                &names[..width],
                None,
            )
        }
        3 if all(&|r| epoch(&r[0]) && number(&r[1]).is_some() && number(&r[2]).is_some()) => {
            look("trades of Kraken", &["timestamp", "price", "volume"], None)
        }
        _ => None,
    }
}

fn number(cell: &str) -> Option<f64> {
    cell.parse().ok().filter(|x: &f64| x.is_finite())
}

fn integer(cell: &str) -> bool {
    !cell.is_empty() && cell.bytes().all(|b| b.is_ascii_digit())
}

/// A count since the epoch, of seconds to nanoseconds, of this century or nearly.
fn epoch(cell: &str) -> bool {
    let whole = cell.split('.').next().unwrap_or(cell);
    integer(whole) && matches!(whole.len(), 9 | 10 | 13 | 16 | 19) && number(cell).is_some()
}

fn truth(cell: &str) -> bool {
    cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("false")
}

/// Open, high, low, close, in this order.
fn bar(cells: &[String]) -> bool {
    let [open, high, low, close] = cells else {
        return false;
    };
    match (number(open), number(high), number(low), number(close)) {
        (Some(open), Some(high), Some(low), Some(close)) => {
            low > 0.0 && high >= open.max(close) && low <= open.min(close)
        }
        _ => false,
    }
}

fn moment(cell: &str) -> bool {
    if integer(cell) {
        let value = cell.parse().unwrap_or(0);
        return text::of_digits(value, cell.len()).is_some();
    }
    text::read(cell, Order::DayMonth).is_some() || text::read(cell, Order::MonthDay).is_some()
}

fn date(cell: &str) -> bool {
    moment(cell) && !cell.contains(':') && !cell.contains(' ')
}

fn clock(cell: &str) -> bool {
    let padded = if integer(cell) && cell.len() < 3 {
        format!("{cell:0>4}")
    } else {
        cell.to_owned()
    };
    text::clock(&padded).is_some_and(|(_, rest)| rest.is_empty())
}

fn hist_data(cell: &str) -> bool {
    digits_apart(cell, 6)
}

fn hist_data_tick(cell: &str) -> bool {
    digits_apart(cell, 9)
}

/// A date and a clock of digits, with a space between them.
fn digits_apart(cell: &str, clock_digits: usize) -> bool {
    let digits = |part: &str, len| part.len() == len && integer(part);
    cell.split_once(' ')
        .is_some_and(|(date, clock)| digits(date, 8) && digits(clock, clock_digits))
}
