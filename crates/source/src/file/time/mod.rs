//! Times: one format for a column, decided from all of it.
//!
//! Model: [`Evidence`] sees every cell of the column (or of the pair of a date's and a clock's) and
//! decides what a single cell leaves open: whether the day or the month stands first, whether digits
//! are a calendar time or a count since the epoch, and of which unit. A [`TimeReader`] then reads each
//! cell by that decision into a [`Moment`], which keeps both the instant and what the calendar and the
//! clock showed where it was written: a daily bar belongs to the date written, whatever the offset.
//!
//! Times without a zone are those of the zone that the reader was given, else of UTC. What it does not
//! do: guess a zone, read spelled-out months in other languages than English.

pub mod text;

use jiff::tz::{Offset, TimeZone};
use market::Timestamp;

use super::table::{Column, ColumnKind, MISSING};
use crate::{Result, SourceError, decode::TimeUnit};
use text::{Order, Written, Zone};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// Offsets of zones change at borders of a quarter of an hour.
const QUARTER: i64 = 900 * SECOND;

/// When something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds since the epoch.
    pub instant: i64,
    /// Microseconds from 1970-01-01T00:00 on the calendar and the clock where it was written.
    pub civil: i64,
}

impl Moment {
    /// The midnight that begins the date written, as if it were UTC.
    pub const fn date(self) -> i64 {
        self.civil - self.civil.rem_euclid(DAY)
    }

    /// The time of day written, in microseconds.
    pub const fn clock(self) -> i64 {
        self.civil.rem_euclid(DAY)
    }
}

/// 1990 to 2100: a count since the epoch of one unit is none of another in these years.
const MODERN: std::ops::Range<Timestamp> =
    Timestamp::from_secs(631_152_000)..Timestamp::from_secs(4_102_444_800);

/// What digits of one length are.
#[derive(Clone, Copy, Debug, Default)]
struct Digits {
    count: u64,
    calendar: u64,
}

impl Digits {
    const fn are_calendar(self) -> bool {
        self.count > 0 && self.calendar * 2 >= self.count
    }
}

/// What the cells of a column say about their format.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Cells that are a time by one order of day and month only.
    only_day_month: u64,
    only_month_day: u64,
    /// Cells that are different days by the two orders, and the first of them.
    either: u64,
    either_first: String,
    digits: [Digits; 20],
    /// Counts since the epoch by the unit that their size says: seconds to nanoseconds.
    units: [u64; 4],
    /// Whether one of them, by its own size, lies outside the years in which counts of several units can be
    /// told apart.
    out_of_reach: bool,
    /// The most digits of a clock's cell in a column of its own.
    clock_digits: usize,
    with_zone: u64,
    without_zone: u64,
    with_clock: u64,
    read: u64,
}

/// What is decided of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    order: Order,
    /// The lengths at which digits are a calendar time.
    calendar: [bool; 20],
    unit: TimeUnit,
    clock_digits: usize,
}

impl Evidence {
    /// Takes a text in.
    pub fn see(&mut self, cell: &[u8]) {
        if let Some(written) = iso(cell) {
            self.see_written(&written);
            return;
        }
        let Ok(text) = std::str::from_utf8(cell) else {
            return;
        };
        if let Some((value, digits)) = all_digits(cell) {
            let seen = &mut self.digits[digits.min(19)];
            seen.count += 1;
            let calendar = text::of_digits(value, digits);
            seen.calendar += u64::from(calendar.is_some());
            match calendar {
                Some(written) => self.see_written(&written),
                None => self.see_number(value as f64),
            }
            // Digits that could be both count as both until their length is decided.
            if calendar.is_some() && digits != 8 {
                self.see_count(value as f64);
            }
            return;
        }
        if let Ok(number) = text.parse::<f64>() {
            self.see_number(number);
            return;
        }
        let day_month = text::read(text, Order::DayMonth);
        let has_orders = matches!(cell, [_, b'/' | b'-', ..] | [_, _, b'/' | b'-', ..]);
        if !has_orders {
            if let Some(written) = day_month {
                self.see_written(&written);
            }
            return;
        }
        let month_day = text::read(text, Order::MonthDay);
        match (&day_month, &month_day) {
            (Some(a), Some(b)) if a.civil != b.civil => {
                if self.either == 0 {
                    self.either_first = text.chars().take(32).collect();
                }
                self.either += 1;
            }
            (Some(_), None) => self.only_day_month += 1,
            (None, Some(_)) => self.only_month_day += 1,
            _ => {}
        }
        if let Some(written) = day_month.or(month_day) {
            self.see_written(&written);
        }
    }

    /// Takes in the text of a date's and that of a clock's cell, in columns of their own.
    pub fn see_pair(&mut self, date: &[u8], clock: &[u8], joined: &mut Vec<u8>) {
        if let Some((_, digits)) = all_digits(clock) {
            self.clock_digits = self.clock_digits.max(digits);
        }
        join(date, clock, self.clock_digits, joined);
        self.see(joined);
    }

    /// Takes in a number of a column of numbers.
    pub fn see_int(&mut self, value: i64) {
        if value == MISSING {
            return;
        }
        if value < 0 {
            self.see_number(value as f64);
            return;
        }
        let mut text = [0; 20];
        self.see(decimal(value.unsigned_abs(), &mut text));
    }

    fn see_number(&mut self, value: f64) {
        self.see_count(value);
        self.with_zone += 1;
        self.with_clock += 1;
        self.read += 1;
    }

    /// A count since the epoch.
    fn see_count(&mut self, value: f64) {
        self.units[unit_of(value)] += 1;
        let modern = Timestamp::from_epoch_number(value).is_some_and(|ts| MODERN.contains(&ts));
        self.out_of_reach |= !modern;
    }

    fn see_written(&mut self, written: &Written<'_>) {
        self.read += 1;
        self.with_clock += u64::from(written.has_clock);
        if written.zone == Zone::Absent {
            self.without_zone += 1;
        } else {
            self.with_zone += 1;
        }
    }

    /// Whether a cell has a time of day.
    pub const fn has_clocks(&self) -> bool {
        self.with_clock > 0
    }

    /// Whether a time of day stands without a zone.
    pub const fn needs_zone(&self) -> bool {
        self.without_zone > 0 && self.with_clock > 0
    }

    /// The format, and what a person should know of it.
    ///
    /// # Errors
    /// [`SourceError::Config`] when it cannot be told whether the day or the month stands first.
    pub fn decide(
        &self,
        order: Option<Order>,
        unit: TimeUnit,
        column: &str,
    ) -> Result<(Format, Option<String>)> {
        let told = match (self.only_day_month, self.only_month_day, self.either) {
            (0, 0, 0) => Ok(Order::DayMonth),
            (_, 0, _) if self.only_day_month > 0 => Ok(Order::DayMonth),
            (0, _, _) if self.only_month_day > 0 => Ok(Order::MonthDay),
            (0, 0, _) => Err(format!(
                "{:?} in {column} is a day and a month in either order, and so is every other date of \
                 the file",
                self.either_first
            )),
            _ => Err(format!(
                "the dates in {column} have the day first in some rows and the month first in others"
            )),
        };
        let has_orders = self.only_day_month + self.only_month_day + self.either > 0;
        let order = match (order, told) {
            (Some(order), _) => order,
            (None, Ok(order)) => order,
            (None, Err(why)) => {
                return Err(SourceError::Config {
                    key: "--date-order".into(),
                    expected: format!("{why}: expected day-month or month-day"),
                });
            }
        };
        let note = has_orders.then(|| match order {
            Order::DayMonth => format!("dates in {column} have the day before the month"),
            Order::MonthDay => format!("dates in {column} have the month before the day"),
        });
        let unit = match unit {
            // Binance's files went from milliseconds to microseconds with the year 2025, and some have both:
            // the size of a number of these years says its unit.
            TimeUnit::Auto if !self.out_of_reach => TimeUnit::Auto,
            TimeUnit::Auto => {
                let most = (0..4).max_by_key(|at| self.units[*at]).unwrap_or(0);
                [
                    TimeUnit::Seconds,
                    TimeUnit::Millis,
                    TimeUnit::Micros,
                    TimeUnit::Nanos,
                ][most]
            }
            named => named,
        };
        let mut calendar = self.digits.map(Digits::are_calendar);
        // A unit that is named leaves no room for a calendar.
        if self.units.iter().all(|n| *n == 0) {
            calendar[8] = true;
        }
        Ok((
            Format {
                order,
                calendar,
                unit,
                clock_digits: self.clock_digits,
            },
            note,
        ))
    }
}

/// The unit of a count since the epoch, told by its size as [`Timestamp::from_epoch_number`] does.
fn unit_of(value: f64) -> usize {
    let size = value.abs();
    usize::from(size >= 1e11) + usize::from(size >= 1e14) + usize::from(size >= 1e17)
}

/// A zone by its IANA name or its offset.
///
/// # Errors
/// [`SourceError::Config`] when it is neither.
pub fn zone_named(name: &str) -> Result<TimeZone> {
    let name = name.trim();
    if let Some(seconds) = text::offset(name)
        && let Ok(offset) = Offset::from_seconds(seconds)
    {
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(name).map_err(|_| SourceError::Config {
        key: "--time-zone".into(),
        expected: format!(
            "expected a zone such as America/New_York, or an offset such as +02:00, got {name:?}"
        ),
    })
}

/// A zone, and its offset where it was asked last.
#[derive(Clone, Debug)]
struct Zoned {
    zone: TimeZone,
    of_civil: (i64, i64),
    of_instant: (i64, i64),
}

impl Zoned {
    const fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            of_civil: (i64::MIN, 0),
            of_instant: (i64::MIN, 0),
        }
    }

    /// The instant of a civil time; of one that comes twice, the earlier.
    fn instant(&mut self, civil: i64) -> Option<i64> {
        let quarter = civil.div_euclid(QUARTER);
        if self.of_civil.0 != quarter {
            let utc = jiff::Timestamp::from_microsecond(civil).ok()?;
            let shown = TimeZone::UTC.to_datetime(utc);
            let instant = self
                .zone
                .to_ambiguous_timestamp(shown)
                .compatible()
                .ok()?
                .as_microsecond();
            self.of_civil = (quarter, civil - instant);
        }
        Some(civil - self.of_civil.1)
    }

    /// The civil time of an instant.
    fn civil(&mut self, instant: i64) -> Option<i64> {
        let quarter = instant.div_euclid(QUARTER);
        if self.of_instant.0 != quarter {
            let at = jiff::Timestamp::from_microsecond(instant).ok()?;
            let offset = i64::from(self.zone.to_offset(at).seconds()) * SECOND;
            self.of_instant = (quarter, offset);
        }
        Some(instant + self.of_instant.1)
    }
}

/// Reads the cells of a column.
#[derive(Clone, Debug)]
pub struct TimeReader {
    kind: ColumnKind,
    format: Format,
    /// That of times without one; also that in which days of instants are counted.
    default: Option<Zoned>,
    /// That which the file names for instants.
    of_file: Option<Zoned>,
    named: Vec<(Box<str>, Zoned)>,
    joined: Vec<u8>,
}

/// So many different zones are remembered at most.
const MAX_ZONES: usize = 64;

impl TimeReader {
    /// For a column of this kind; `zone` is that of times without one.
    pub fn new(kind: ColumnKind, format: Format, zone: Option<TimeZone>) -> Self {
        let of_file = match &kind {
            ColumnKind::Instant { zone } => zone.clone().map(Zoned::new),
            _ => None,
        };
        Self {
            kind,
            format,
            default: zone.map(Zoned::new),
            of_file,
            named: Vec::new(),
            joined: Vec::new(),
        }
    }

    /// Whether the file says what its times are, so that cells are no evidence.
    pub const fn is_typed(&self) -> bool {
        matches!(
            self.kind,
            ColumnKind::Instant { .. } | ColumnKind::Civil | ColumnKind::Date
        )
    }

    /// Whether the file says that its times have times of day.
    pub const fn is_clocked(&self) -> bool {
        matches!(self.kind, ColumnKind::Instant { .. } | ColumnKind::Civil)
    }

    /// The moment in a cell; `None` when it is missing or no time.
    pub fn read(&mut self, column: &Column, row: usize) -> Option<Moment> {
        match column {
            Column::Text(texts) => self.text(texts.get(row)),
            Column::Int(values) => match values[row] {
                MISSING => None,
                value => match self.kind {
                    ColumnKind::Instant { .. } => self.of_instant(value),
                    ColumnKind::Civil | ColumnKind::Date => self.of_civil(value),
                    _ => self.number(value),
                },
            },
            Column::Float(values) => self.float(values[row]),
            Column::Dictionary { .. } => self.text(&column.text(row)),
        }
    }

    /// The moment in a text that is evidence too.
    #[inline]
    pub fn see_and_read(&mut self, cell: &[u8], evidence: &mut Evidence) -> Option<Moment> {
        if let Some(written) = iso(cell) {
            evidence.see_written(&written);
            return self.written(written);
        }
        evidence.see(cell);
        self.text(cell)
    }

    /// The moment in a date's and a clock's cell.
    pub fn read_pair(&mut self, date: &Column, clock: &Column, row: usize) -> Option<Moment> {
        if let (ColumnKind::Date | ColumnKind::Civil, Column::Int(days)) = (&self.kind, date) {
            let text = clock.text(row);
            let text = std::str::from_utf8(&text).ok()?;
            let (us, _) = text::clock(text.trim())?;
            let day = days[row];
            return (day != MISSING).then(|| self.of_civil(day + us)).flatten();
        }
        let mut joined = std::mem::take(&mut self.joined);
        join(
            &date.text(row),
            &clock.text(row),
            self.format.clock_digits,
            &mut joined,
        );
        let moment = self.text(&joined);
        self.joined = joined;
        moment
    }

    fn text(&mut self, cell: &[u8]) -> Option<Moment> {
        if let Some(written) = iso(cell) {
            return self.written(written);
        }
        if let Some((value, digits)) = all_digits(cell) {
            return if self.format.calendar[digits.min(19)] {
                self.written(text::of_digits(value, digits)?)
            } else {
                self.epoch(value)
            };
        }
        let text = std::str::from_utf8(cell).ok()?;
        if let Some(written) = text::read(text, self.format.order) {
            return self.written(written);
        }
        match text.parse::<i64>() {
            Ok(value) => self.epoch(value),
            Err(_) => self.float(text.parse().ok()?),
        }
    }

    /// A number of a column of numbers: a calendar's digits, or a count since the epoch.
    fn number(&mut self, value: i64) -> Option<Moment> {
        if value < 0 {
            return self.epoch(value);
        }
        let mut text = [0; 20];
        let digits = decimal(value.unsigned_abs(), &mut text).len();
        if self.format.calendar[digits.min(19)] {
            return self.written(text::of_digits(value, digits)?);
        }
        self.epoch(value)
    }

    fn epoch(&mut self, value: i64) -> Option<Moment> {
        let instant = match self.format.unit {
            TimeUnit::Auto => Timestamp::from_epoch_integer(value).as_micros(),
            TimeUnit::Seconds => value.checked_mul(SECOND)?,
            TimeUnit::Millis => value.checked_mul(1_000)?,
            TimeUnit::Micros => value,
            TimeUnit::Nanos => value.div_euclid(1_000),
        };
        self.of_instant(instant)
    }

    fn float(&mut self, value: f64) -> Option<Moment> {
        let us = match self.format.unit {
            TimeUnit::Auto => {
                let ts = Timestamp::from_epoch_number(value)?;
                return self.of_instant(ts.as_micros());
            }
            TimeUnit::Seconds => value * 1e6,
            TimeUnit::Millis => value * 1e3,
            TimeUnit::Micros => value,
            TimeUnit::Nanos => value / 1e3,
        };
        // NaN is none either.
        (us.abs() < 9e18)
            .then(|| self.of_instant(us.round() as i64))
            .flatten()
    }

    fn of_instant(&mut self, instant: i64) -> Option<Moment> {
        if !is_time(instant) {
            return None;
        }
        let zone = self.default.as_mut().or(self.of_file.as_mut());
        let civil = match zone {
            Some(zone) => zone.civil(instant)?,
            None => instant,
        };
        Some(Moment { instant, civil })
    }

    fn of_civil(&mut self, civil: i64) -> Option<Moment> {
        if !is_time(civil) {
            return None;
        }
        let instant = match &mut self.default {
            Some(zone) => zone.instant(civil)?,
            None => civil,
        };
        Some(Moment { instant, civil })
    }

    fn written(&mut self, written: Written<'_>) -> Option<Moment> {
        let civil = written.civil;
        match written.zone {
            Zone::Absent => self.of_civil(civil),
            // Who writes UTC may mean the day of an exchange: where its zone is given, it is asked.
            Zone::Offset(0) => self.of_instant(civil),
            Zone::Offset(seconds) => Some(Moment {
                instant: civil - i64::from(seconds) * SECOND,
                civil,
            }),
            Zone::Named(name) => {
                if let Some((_, zone)) = self.named.iter_mut().find(|(known, _)| **known == *name) {
                    return zone.instant(civil).map(|instant| Moment { instant, civil });
                }
                let mut zone = Zoned::new(TimeZone::get(name).ok()?);
                let instant = zone.instant(civil)?;
                if self.named.len() < MAX_ZONES {
                    self.named.push((name.into(), zone));
                }
                Some(Moment { instant, civil })
            }
        }
    }
}

/// Within the years that are written with four digits.
fn is_time(us: i64) -> bool {
    (Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros()).contains(&us)
}

/// A date's and a clock's cell as one text. A clock of digits has lost its leading zeros where it
/// was once a number.
fn join(date: &[u8], clock: &[u8], clock_digits: usize, joined: &mut Vec<u8>) {
    joined.clear();
    joined.extend_from_slice(date);
    if clock.is_empty() {
        return;
    }
    joined.push(b' ');
    if all_digits(clock).is_some() {
        let width = match clock_digits {
            0..=4 => 4,
            5 | 6 => 6,
            other => other,
        };
        joined.resize(joined.len() + width.saturating_sub(clock.len()), b'0');
    }
    joined.extend_from_slice(clock);
}

fn all_digits(cell: &[u8]) -> Option<(i64, usize)> {
    if cell.is_empty() || cell.len() > 19 {
        return None;
    }
    let mut value = 0_i64;
    for byte in cell {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
    }
    Some((value, cell.len()))
}

fn decimal(mut value: u64, text: &mut [u8; 20]) -> &[u8] {
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &text[at..];
        }
    }
}

/// `2026-06-01`, with a clock `09:30:00` and a fraction or not, with `Z` or an offset or not: the way
/// in which most files write times, read fast.
#[inline]
fn iso(cell: &[u8]) -> Option<Written<'static>> {
    if cell.len() < 10 || cell[4] != b'-' || cell[7] != b'-' {
        return None;
    }
    let two = |at: usize| -> Option<i64> {
        let (a, b) = (cell[at].wrapping_sub(b'0'), cell[at + 1].wrapping_sub(b'0'));
        (a < 10 && b < 10).then(|| i64::from(a * 10 + b))
    };
    let day = text::days(two(0)? * 100 + two(2)?, two(5)?, two(8)?)?;
    let date = day * DAY;
    if cell.len() == 10 {
        return Some(Written {
            civil: date,
            zone: Zone::Absent,
            has_clock: false,
        });
    }
    if cell.len() < 19 || !matches!(cell[10], b' ' | b'T') || cell[13] != b':' || cell[16] != b':' {
        return None;
    }
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut civil = date + (hour * 3600 + minute * 60 + second) * SECOND;
    let mut rest = &cell[19..];
    if let [b'.', fraction @ ..] = rest {
        let mut scale = SECOND;
        let mut digits = 0;
        for byte in fraction {
            if !byte.is_ascii_digit() {
                break;
            }
            scale /= 10;
            civil += i64::from(byte - b'0') * scale;
            digits += 1;
        }
        if digits == 0 {
            return None;
        }
        rest = &fraction[digits..];
    }
    let zone = match rest {
        [] => Zone::Absent,
        b"Z" => Zone::Offset(0),
        [b'+' | b'-', ..] => Zone::Offset(text::offset(std::str::from_utf8(rest).ok()?)?),
        _ => return None,
    };
    Some(Written {
        civil,
        zone,
        has_clock: true,
    })
}

#[cfg(test)]
mod tests;
