//! What the name of a column says that it holds, and how sure that is.
//!
//! Names are compared without case, spaces, `_`, `-`, `.`, `/`, and the angle brackets and numbers that
//! MetaTrader, Stooq and Alpha Vantage put around them (`<DATE>`, `1. open`). Of two columns of one
//! meaning the one of the lower rank wins; two of equal rank are the caller's to refuse.

use crate::decode::TimeUnit;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The symbol.
    Symbol,
    /// The time, whole, and the unit that the name says.
    Time(TimeUnit),
    /// The date, or the whole time.
    Date,
    /// The time of day beside a date, or the whole time.
    Clock,
    /// The bar's length.
    Interval,
    /// The trade's id.
    Seq,
    /// The trade's price, or a bar's close.
    Price,
    /// The bar's open.
    Open,
    /// The bar's high.
    High,
    /// The bar's low.
    Low,
    /// The bar's close.
    Close,
    /// The bar's close, adjusted for splits and dividends.
    Adjusted,
    /// Units traded.
    Volume,
}

/// The letters of a name that count.
pub fn plain(name: &str) -> String {
    let name = name.trim().trim_matches(['\u{feff}', '<', '>', '"', '\'']);
    // Alpha Vantage: `1. open`, `1a. open (USD)`.
    let name = match name.split_once(". ") {
        Some((number, rest))
            if number.starts_with(|c: char| c.is_ascii_digit()) && number.len() <= 3 =>
        {
            rest
        }
        _ => name,
    };
    name.chars()
        .take(64)
        .filter(|c| !matches!(c, ' ' | '_' | '-' | '.' | '/' | '\u{feff}'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// What a name says, and its rank: 0 for the surest.
///
/// ```
/// use source::file::names::{Meaning, meaning_of};
///
/// assert!(matches!(meaning_of("Adj Close"), Some((Meaning::Adjusted, _))));
/// assert_eq!(meaning_of("weather"), None);
/// ```
pub fn meaning_of(name: &str) -> Option<(Meaning, u8)> {
    use Meaning::{
        Adjusted, Clock, Close, Date, High, Interval, Low, Open, Price, Seq, Symbol, Time, Volume,
    };
    let plain = plain(name);
    Some(match plain.as_str() {
        "symbol" | "ticker" => (Symbol, 0),
        "tscode" | "sym" | "instrument" | "stock" | "股票代码" | "代码" => (Symbol, 1),
        "code" | "secid" | "tic" | "pair" | "#ric" | "ric" | "windcode" | "orderbookid"
        | "actsymbol" | "stockcode" | "tradingsymbol" | "papel" => (Symbol, 2),
        "contract" | "isin" | "asset" => (Symbol, 3),
        "name" | "stockname" => (Symbol, 5),

        "tsus" | "timestampus" => (Time(TimeUnit::Micros), 0),
        "tsms" | "timestampms" => (Time(TimeUnit::Millis), 0),
        "tsns" | "timestampns" => (Time(TimeUnit::Nanos), 0),
        "tss" | "timestamps" => (Time(TimeUnit::Seconds), 0),
        "windowstart" | "siptimestamp" => (Time(TimeUnit::Auto), 0),
        "unix" | "unixtimestamp" | "epoch" | "unixtime" => (Time(TimeUnit::Auto), 1),
        "timestamp" | "datetime" | "opentime" | "gmttime" | "dateandtime" | "timestamputc" => {
            (Time(TimeUnit::Auto), 2)
        }
        "tradetime"
        | "begin"
        | "ts"
        | "dt"
        | "ds"
        | "participanttimestamp"
        | "localtime"
        | "日期时间"
        | "datetimeutc"
        | "utc" => (Time(TimeUnit::Auto), 3),
        "t" => (Time(TimeUnit::Auto), 4),
        "date" | "tradedate" | "日期" | "交易日期" => (Date, 3),
        "datum" | "fecha" | "data" | "day" | "dateutc" | "tradingdate" | "caldt" => (Date, 4),
        "time" | "时间" | "timeutc" => (Clock, 3),
        "hora" | "zeit" | "uhrzeit" | "heure" | "ora" => (Clock, 4),

        "interval" | "per" | "timeframe" | "resolution" => (Interval, 0),
        "seq" | "sequence" | "sequencenumber" => (Seq, 0),
        "tradeid" | "aggtradeid" | "aggid" => (Seq, 1),
        "id" => (Seq, 2),

        "price" | "tradeprice" => (Price, 0),
        "last" | "lastprice" | "último" | "ultimo" | "zuletzt" | "dernier" => (Price, 1),
        "p" => (Price, 3),

        "open" | "openprice" | "开盘" | "开盘价" | "otwarcie" | "eröffn" | "eröffnung"
        | "erster" | "apertura" | "ouverture" => (Open, 0),
        "o" => (Open, 2),
        "high" | "highprice" | "最高" | "最高价" | "najwyzszy" | "hoch" | "máximo" | "plushaut" => {
            (High, 0)
        }
        "max" => (High, 1),
        "h" => (High, 2),
        "low" | "lowprice" | "最低" | "最低价" | "najnizszy" | "tief" | "mínimo" | "plusbas" => {
            (Low, 0)
        }
        "min" => (Low, 1),
        "l" => (Low, 2),
        "close" | "closeprice" | "收盘" | "收盘价" | "zamkniecie" | "schlusskurs" | "schluss"
        | "cierre" => (Close, 0),
        "closelast" | "settle" => (Close, 1),
        "c" => (Close, 2),
        "adjclose" | "adjustedclose" | "closeadj" | "adjclosep" => (Adjusted, 0),

        "volume" | "成交量" | "wolumen" | "volumen" => (Volume, 0),
        "vol" | "stück" => (Volume, 1),
        "size" | "qty" | "quantity" | "tradesize" | "volumetraded" => (Volume, 2),
        "basevolume" | "volumebase" | "volumefrom" | "totaltradequantity" | "tottrdqty"
        | "baseassetvolume" => (Volume, 3),
        "v" => (Volume, 4),
        "tickvol" | "tickvolume" => (Volume, 5),
        // Of trades it is the size in many feeds; of bars the money that changed hands.
        "amount" => (Volume, AMOUNT_RANK),
        // `Volume BTC` beside `Volume USDT` (CryptoDataDownload).
        // An average of it (TradingView's `Volume MA`) is none.
        "volumema" | "volumesma" | "volumeema" | "volumeavg" | "volumeto" => return None,
        other if other.starts_with("volume") => (Volume, VOLUME_OF_RANK),
        _ => return None,
    })
}

/// The rank of `amount`, which is no volume of bars.
pub const AMOUNT_RANK: u8 = 9;
/// The rank of a volume that names what it is counted in.
pub const VOLUME_OF_RANK: u8 = 6;

/// How many of the names say something.
pub fn known<'a>(names: impl IntoIterator<Item = &'a String>) -> usize {
    names
        .into_iter()
        .filter(|name| meaning_of(name).is_some())
        .count()
}
