//! What the cells of a column say about their format, and the format that is decided from all of them.

use market::Timestamp;

use super::{
    cells::{all_digits, decimal, iso, join},
    text::{self, Order, Written, Zone},
};
use crate::{Result, SourceError, decode::TimeUnit, file::table::MISSING};

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
    pub(super) order: Order,
    /// The lengths at which digits are a calendar time.
    pub(super) calendar: [bool; 20],
    pub(super) unit: TimeUnit,
    pub(super) clock_digits: usize,
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

    pub(super) fn see_written(&mut self, written: &Written<'_>) {
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
    /// [`SourceError::Config`] when the cells leave open whether the day or the month stands first.
    pub fn decide(
        &self,
        order: Option<Order>,
        unit: TimeUnit,
        column: &str,
    ) -> Result<(Format, Option<String>)> {
        let inferred = match (self.only_day_month, self.only_month_day, self.either) {
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
        let order = match (order, inferred) {
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

/// The unit of a count since the epoch, inferred from its size as [`Timestamp::from_epoch_number`] does.
fn unit_of(value: f64) -> usize {
    let size = value.abs();
    usize::from(size >= 1e11) + usize::from(size >= 1e14) + usize::from(size >= 1e17)
}
