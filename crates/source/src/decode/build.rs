//! From a row's fields to a checked tick or bar.

use std::collections::HashMap;

use market::{Bar, Interval, RejectReason, Symbol, Tick, TickRules, Timestamp, excerpt};
use serde::{Deserialize, Serialize};

use super::{
    row::{RawRow, Scalar},
    sequence::{Sequences, hash_text},
};
use crate::file::time::{
    Moment,
    text::{self, Order},
};

/// Why a row cannot be used, and what exactly is wrong, for a person.
pub type Fault = (RejectReason, String);

/// The unit of times that are numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Inferred from the number's size, as [`Timestamp::from_epoch_number`] does.
    #[default]
    Auto,
    /// Seconds since the epoch.
    Seconds,
    /// Milliseconds since the epoch.
    Millis,
    /// Microseconds since the epoch.
    Micros,
    /// Nanoseconds since the epoch.
    Nanos,
}

impl TimeUnit {
    fn of_integer(self, n: i64) -> Timestamp {
        match self {
            Self::Auto => Timestamp::from_epoch_integer(n),
            Self::Seconds => Timestamp::from_secs(n),
            Self::Millis => Timestamp::from_millis(n),
            Self::Micros => Timestamp::from_micros(n),
            Self::Nanos => Timestamp::from_micros(n.div_euclid(1_000)),
        }
    }

    fn of_float(self, x: f64) -> Option<Timestamp> {
        let us = match self {
            Self::Auto => return Timestamp::from_epoch_number(x),
            Self::Seconds => x * 1e6,
            Self::Millis => x * 1e3,
            Self::Micros => x,
            Self::Nanos => x / 1e3,
        };
        (us.abs() < 9e18).then(|| Timestamp::from_micros(us.round() as i64))
    }
}

/// What a row became.
#[derive(Clone, Debug, PartialEq)]
pub enum BuiltRow {
    /// A trade.
    Tick(Tick),
    /// A bar.
    Bar(Bar),
}

/// Makes ticks and bars of rows, and checks them. One per message: it remembers which equal rows it
/// has seen (see the module's documentation on sequences).
#[derive(Debug)]
pub struct RowBuilder<'a> {
    rules: &'a TickRules,
    now: Timestamp,
    interval: Option<Interval>,
    adjusted: bool,
    sequences: Sequences,
    symbols: HashMap<Box<str>, Symbol>,
    last: Option<(Box<str>, Symbol)>,
}

/// So many spellings of symbols are remembered at most: a message of nonsense must not fill memory.
const MAX_SYMBOLS: usize = 65_536;

impl<'a> RowBuilder<'a> {
    /// For rows that are checked against `rules` at the wall-clock time `now`.
    pub fn new(rules: &'a TickRules, now: Timestamp) -> Self {
        Self {
            rules,
            now,
            interval: None,
            adjusted: false,
            sequences: Sequences::default(),
            symbols: HashMap::new(),
            last: None,
        }
    }

    /// The interval of bars that do not say theirs.
    #[must_use]
    pub const fn with_interval(mut self, interval: Option<Interval>) -> Self {
        self.interval = interval;
        self
    }

    /// The same, for rows to come.
    pub const fn set_interval(&mut self, interval: Option<Interval>) {
        self.interval = interval;
    }

    /// Takes a bar's adjusted close as its close and scales open, high and low by the same factor.
    #[must_use]
    pub const fn with_adjusted(mut self, adjusted: bool) -> Self {
        self.adjusted = adjusted;
        self
    }

    /// Makes a tick or a bar of a row.
    ///
    /// # Errors
    /// Why the row cannot be used: the reason of its first fault, and every field that is wrong.
    pub fn build(&mut self, row: &RawRow<'_>) -> Result<BuiltRow, Fault> {
        self.build_whole(row)
            .map_err(|first| self.with_other_faults(row, first))
    }

    /// The same, with the first fault alone: where nobody reads what else is wrong.
    ///
    /// # Errors
    /// The first fault.
    pub(crate) fn build_whole(&mut self, row: &RawRow<'_>) -> Result<BuiltRow, Fault> {
        version(row)?;
        let symbol = self.symbol(&row.symbol)?;
        let ts = time(&row.time, row.time_unit)?;
        if row.is_bar() {
            self.bar(row, symbol, ts).map(BuiltRow::Bar)
        } else {
            self.tick(row, symbol, ts).map(BuiltRow::Tick)
        }
    }

    /// A fault, and after it those of the other fields, so that whoever sent the row mends them all at once.
    fn with_other_faults(&mut self, row: &RawRow<'_>, (reason, first): Fault) -> Fault {
        // Each field is quoted in part: a row may be as large as a message.
        let mut detail = excerpt(&first).into_owned();
        let symbol = self.symbol(&row.symbol);
        let ts = time(&row.time, row.time_unit);
        let mut checks = vec![version(row)];
        if let (Ok(symbol), Ok(ts)) = (&symbol, &ts) {
            checks.push(self.rules.check_origin(symbol, *ts, self.now));
        }
        checks.extend([symbol.map(drop), ts.map(drop)]);
        if row.is_bar() {
            checks.push(self.interval(row).map(drop));
            for (name, value) in [
                ("open", &row.open),
                ("high", &row.high),
                ("low", &row.low),
                ("close", &row.close),
            ] {
                checks.push(price(name, value).and_then(|x| market::check_price(name, x)));
            }
            checks.push(volume(row).and_then(|x| market::check_size("volume", x)));
        } else {
            checks.push(tick_price(row).and_then(|x| market::check_price("price", x)));
            checks.push(tick_size(row).and_then(|x| market::check_size("size", x)));
            checks.push(sequence(row).map(drop));
        }
        for (_, other) in checks.into_iter().filter_map(Result::err) {
            if other != first {
                detail.push_str("; ");
                detail.push_str(&excerpt(&other));
            }
        }
        (reason, detail)
    }

    fn tick(&mut self, row: &RawRow<'_>, symbol: Symbol, ts: Timestamp) -> Result<Tick, Fault> {
        let price = tick_price(row)?;
        let size = tick_size(row)?;
        let seq = sequence(row)?;
        let mut tick = Tick {
            symbol,
            ts,
            seq: seq.unwrap_or(0),
            price,
            size,
        };
        self.rules.check(&tick, self.now)?;
        if seq.is_none() {
            tick.seq = self.sequences.next(&tick.symbol, ts, price, size);
        }
        Ok(tick)
    }

    fn bar(&mut self, row: &RawRow<'_>, symbol: Symbol, ts: Timestamp) -> Result<Bar, Fault> {
        let interval = self.interval(row)?;
        let volume = volume(row)?;
        let prices = [
            price("open", &row.open)?,
            price("high", &row.high)?,
            price("low", &row.low)?,
            price("close", &row.close)?,
        ];
        let mut bar = bar_of(
            symbol,
            interval,
            start_of(interval, ts, &row.time),
            prices,
            volume,
            self.now,
        );
        self.rules.check_origin(&bar.symbol, bar.start, self.now)?;
        bar.check()?;
        if self.adjusted {
            adjust(&mut bar, price("adjusted close", &row.adjusted)?)?;
        }
        Ok(bar)
    }

    fn interval(&self, row: &RawRow<'_>) -> Result<Interval, Fault> {
        Ok(match &row.interval {
            Scalar::Text(text) => text
                .parse::<Interval>()
                .map_err(|e| (RejectReason::BadField, format!("interval {e}")))?,
            Scalar::Missing | Scalar::Null => match self.interval {
                Some(interval) => interval,
                None if is_date(&row.time) => Interval::D1,
                None => {
                    return Err((
                        RejectReason::BadField,
                        "interval is missing: expected 1m, 1d or the like".into(),
                    ));
                }
            },
            other => {
                return Err((
                    RejectReason::BadField,
                    format!("interval is {other}: expected a text such as 1m"),
                ));
            }
        })
    }

    fn symbol(&mut self, field: &Scalar<'_>) -> Result<Symbol, Fault> {
        let Scalar::Text(text) = field else {
            return Err((
                RejectReason::BadField,
                format!("symbol is {field}: expected a text"),
            ));
        };
        if let Some((spelling, symbol)) = &self.last
            && **spelling == **text
        {
            return Ok(symbol.clone());
        }
        if let Some(symbol) = self.symbols.get(&**text) {
            return Ok(symbol.clone());
        }
        let symbol: Symbol = text.parse().map_err(|e: market::MarketError| {
            (RejectReason::UnknownSymbol, format!("symbol {e}"))
        })?;
        if self.symbols.len() < MAX_SYMBOLS {
            self.symbols
                .insert(text.to_string().into_boxed_str(), symbol.clone());
        }
        self.last = Some((text.to_string().into_boxed_str(), symbol.clone()));
        Ok(symbol)
    }
}

fn version(row: &RawRow<'_>) -> Result<(), Fault> {
    if row.version.is_some() && row.version.number() != Some(1.0) {
        return Err((
            RejectReason::UnknownVersion,
            format!("schema_version is {}: expected 1", row.version),
        ));
    }
    Ok(())
}

fn tick_price(row: &RawRow<'_>) -> Result<f64, Fault> {
    match &row.price {
        Scalar::Missing => price("price", &row.close),
        given => price("price", given),
    }
}

fn tick_size(row: &RawRow<'_>) -> Result<f64, Fault> {
    match (&row.size, &row.amount) {
        (Scalar::Missing | Scalar::Null, Scalar::Missing | Scalar::Null) => Ok(0.0),
        (Scalar::Missing | Scalar::Null, size) | (size, _) => {
            number("size", size, RejectReason::BadSize)
        }
    }
}

/// The sequence that a row gives, if it gives one.
fn sequence(row: &RawRow<'_>) -> Result<Option<u64>, Fault> {
    let fault = |detail| Err((RejectReason::BadField, detail));
    match &row.seq {
        Scalar::Int(n) => match u64::try_from(*n) {
            Ok(n) => Ok(Some(n)),
            Err(_) => fault(format!("seq is {n}: expected a number from zero up")),
        },
        Scalar::UInt(n) => Ok(Some(*n)),
        Scalar::Text(id) => Ok(Some(match id.trim().parse::<i64>() {
            Ok(n) if n >= 0 => n.unsigned_abs(),
            _ => hash_text(id),
        })),
        Scalar::Missing | Scalar::Null => Ok(None),
        other => fault(format!("seq is {other}: expected an integer or a text")),
    }
}

fn volume(row: &RawRow<'_>) -> Result<f64, Fault> {
    match &row.size {
        Scalar::Missing | Scalar::Null => Ok(0.0),
        size => number("volume", size, RejectReason::BadSize),
    }
}

fn price(name: &str, value: &Scalar<'_>) -> Result<f64, Fault> {
    number(name, value, RejectReason::BadPrice)
}

/// Whether a time is a date alone.
pub fn is_date(time: &Scalar<'_>) -> bool {
    match time {
        Scalar::Text(text) => {
            text::read(text, Order::DayMonth).is_some_and(|written| !written.has_clock)
                || text.trim().len() == 8 && text.parse::<Timestamp>().is_ok()
        }
        Scalar::Int(n) => {
            (19_000_101..=21_001_231).contains(n) && Timestamp::from_calendar_digits(*n).is_some()
        }
        _ => false,
    }
}

/// When a time was, and what the calendar and the clock showed where it was written.
pub fn moment_of(time: &Scalar<'_>, unit: TimeUnit) -> Option<Moment> {
    let instant = self::time(time, unit).ok()?.as_micros();
    let civil = match time {
        Scalar::Text(text) => text::read(text, Order::DayMonth).map(|written| written.civil),
        _ => None,
    };
    Some(Moment {
        instant,
        civil: civil.unwrap_or(instant),
    })
}

/// The start of the bar of a time. A daily bar belongs to the date written, whatever offset stands behind it.
fn start_of(interval: Interval, ts: Timestamp, time: &Scalar<'_>) -> Timestamp {
    match (interval, time) {
        (Interval::D1, Scalar::Text(text)) => match text::read(text, Order::DayMonth) {
            Some(written) => interval.start_of(Timestamp::from_micros(written.civil)),
            None => interval.start_of(ts),
        },
        _ => interval.start_of(ts),
    }
}

/// A bar that came as a bar: open, high, low and close. It holds every trade of its interval until `now`.
pub fn bar_of(
    symbol: Symbol,
    interval: Interval,
    start: Timestamp,
    [open, high, low, close]: [f64; 4],
    volume: f64,
    now: Timestamp,
) -> Bar {
    let (first, last) = Bar::keys_until(interval, start, now);
    Bar {
        symbol,
        interval,
        start,
        open,
        high,
        low,
        close,
        volume,
        trades: 0,
        first,
        last,
    }
}

/// Makes `adjusted` the close of a bar, and scales its other prices by the same factor.
///
/// # Errors
/// Why the bar is none any more.
pub fn adjust(bar: &mut Bar, adjusted: f64) -> Result<(), Fault> {
    let factor = adjusted / bar.close;
    bar.open *= factor;
    bar.high *= factor;
    bar.low *= factor;
    bar.close = adjusted;
    // The division rounds: the extremes must still be extremes.
    bar.high = bar.high.max(bar.open).max(bar.close);
    bar.low = bar.low.min(bar.open).min(bar.close);
    bar.check()
}

fn number(name: &str, value: &Scalar<'_>, reason: RejectReason) -> Result<f64, Fault> {
    match value.number() {
        Some(x) if x.is_finite() => Ok(x),
        Some(_) => Err((
            reason,
            format!("{name} is {value}: expected a finite number"),
        )),
        None if matches!(value, Scalar::Null) => Err((reason, format!("{name} is null"))),
        None => Err((
            RejectReason::BadField,
            format!("{name} is {value}: expected a number"),
        )),
    }
}

fn time(value: &Scalar<'_>, unit: TimeUnit) -> Result<Timestamp, Fault> {
    let read = match value {
        Scalar::Int(n) => Some(match unit {
            TimeUnit::Auto => {
                Timestamp::from_calendar_digits(*n).unwrap_or_else(|| unit.of_integer(*n))
            }
            _ => unit.of_integer(*n),
        }),
        Scalar::Float(x) => unit.of_float(*x),
        Scalar::Text(text) => match text.trim().parse::<i64>() {
            // Eight digits are a calendar date to the parser of texts.
            Ok(n) if unit != TimeUnit::Auto => Some(unit.of_integer(n)),
            _ => text.parse().ok(),
        },
        Scalar::Missing => {
            return Err((RejectReason::BadField, "timestamp is missing".into()));
        }
        Scalar::UInt(_) | Scalar::Null | Scalar::Other(_) => None,
    };
    read.ok_or_else(|| {
        (
            RejectReason::BadTimestamp,
            format!("timestamp is {value}: expected RFC 3339, a date, or a number since the epoch"),
        )
    })
}
