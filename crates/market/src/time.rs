//! An instant, in microseconds since 1970-01-01T00:00:00Z.
//!
//! Microseconds, because an `i64` of them holds every provider's precision that matters, spans
//! 292,000 years and stays exact in JavaScript's numbers (below 2^53 until the year 2255).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{MarketError, Result};

/// An instant in UTC: microseconds since the Unix epoch. JSON: a bare integer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 0001-01-01T00:00:00Z: lies below every price.
    pub const MIN: Self = Self(-62_135_596_800_000_000);
    /// 9999-12-31T00:00:00Z: lies above every price.
    pub const MAX: Self = Self(253_402_214_400_000_000);

    /// From microseconds since the epoch.
    pub const fn from_micros(us: i64) -> Self {
        Self(us)
    }

    /// From milliseconds since the epoch; saturates.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(1_000))
    }

    /// From seconds since the epoch; saturates.
    pub const fn from_secs(s: i64) -> Self {
        Self(s.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This instant moved by `us` microseconds; saturates.
    pub const fn plus_micros(self, us: i64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// Microseconds from `earlier` to this instant; negative when it lies after; saturates.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// From a number of unknown unit, told by its size as providers do: up to 1e11 seconds, up to
    /// 1e14 milliseconds, up to 1e17 microseconds, else nanoseconds. `None` when not finite.
    pub fn from_epoch_number(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let size = value.abs();
        let us = if size < 1e11 {
            value * 1e6
        } else if size < 1e14 {
            value * 1e3
        } else if size < 1e17 {
            value
        } else {
            value / 1e3
        };
        let us = us.round();
        (us.abs() < 9e18).then_some(Self(us as i64))
    }

    /// A calendar time in UTC that is written in digits alone: `20260601`, `202606010930`,
    /// `20260601093000` or `20260601093000123`, of the years 1900 to 2100. `None` when it is none: then it
    /// may be a count since the epoch.
    pub fn from_calendar_digits(value: i64) -> Option<Self> {
        let (date, clock) = match value {
            19_000_000..=21_001_231 => (value, 0),
            190_000_000_000..=210_012_312_359 => (value / 10_000, value % 10_000 * 100_000),
            19_000_000_000_000..=21_001_231_235_959 => {
                (value / 1_000_000, value % 1_000_000 * 1_000)
            }
            19_000_000_000_000_000..=21_001_231_235_959_999 => {
                (value / 1_000_000_000, value % 1_000_000_000)
            }
            _ => return None,
        };
        let part = |n: i64| i8::try_from(n % 100).ok();
        let year = i16::try_from(date / 10_000).ok()?;
        let date = jiff::civil::Date::new(year, part(date / 100)?, part(date)?).ok()?;
        let nanos = i32::try_from(clock % 1_000).ok()? * 1_000_000;
        let (hour, minute, second) = (clock / 10_000_000, clock / 100_000, clock / 1_000);
        let time = jiff::civil::Time::new(part(hour)?, part(minute)?, part(second)?, nanos);
        utc(date.to_datetime(time.ok()?))
    }

    /// From an integer of unknown unit, by the rule of [`Self::from_epoch_number`], without loss.
    pub const fn from_epoch_integer(value: i64) -> Self {
        let size = value.unsigned_abs();
        if size < 100_000_000_000 {
            Self::from_secs(value)
        } else if size < 100_000_000_000_000 {
            Self::from_millis(value)
        } else if size < 100_000_000_000_000_000 {
            Self(value)
        } else {
            Self(value.div_euclid(1_000))
        }
    }
}

impl FromStr for Timestamp {
    type Err = MarketError;

    /// Reads RFC 3339 (`2024-03-01T14:30:00.5Z`, any offset), a date and time without offset (taken
    /// as UTC), a date alone (midnight UTC), a calendar time in digits alone
    /// ([`Self::from_calendar_digits`]), or a number since the epoch (unit by size).
    fn from_str(text: &str) -> Result<Self> {
        let refuse = || MarketError::Timestamp {
            text: text.chars().take(64).collect(),
        };
        let t = text.trim();
        if let Ok(n) = t.parse::<i64>() {
            // 20130301 and 201303011430 are calendar times in many files, and never an epoch.
            if let Some(ts) = Self::from_calendar_digits(n) {
                return Ok(ts);
            }
            if t.len() == 8 {
                return Err(refuse());
            }
            return Ok(Self::from_epoch_integer(n));
        }
        if let Ok(ts) = t.parse::<jiff::Timestamp>() {
            return Ok(Self(ts.as_microsecond()));
        }
        // A date reads a time behind it and drops it: only a text of a date's length is one.
        if t.len() <= 10
            && let Ok(date) = t.parse::<jiff::civil::Date>()
        {
            return midnight(date).ok_or_else(refuse);
        }
        if let Ok(dt) = t.parse::<jiff::civil::DateTime>() {
            return utc(dt).ok_or_else(refuse);
        }
        t.parse::<f64>()
            .ok()
            .and_then(Self::from_epoch_number)
            .ok_or_else(refuse)
    }
}

fn midnight(date: jiff::civil::Date) -> Option<Timestamp> {
    utc(date.to_datetime(jiff::civil::Time::midnight()))
}

fn utc(datetime: jiff::civil::DateTime) -> Option<Timestamp> {
    let ts = jiff::tz::Offset::UTC.to_timestamp(datetime).ok()?;
    Some(Timestamp(ts.as_microsecond()))
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with as many fractional digits as needed; the bare number outside the years
    /// that can be printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(ts) => f.pad(&ts.to_string()),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_micros()
    }

    #[test]
    fn the_usual_spellings_of_one_instant_agree() {
        let expected = 1_362_096_000_000_000;
        for text in [
            "2013-03-01",
            "20130301",
            "2013-03-01T00:00:00Z",
            "2013-03-01 00:00:00",
            "2013-03-01T01:00:00+01:00",
            "1362096000",
            "1362096000000",
            "1362096000000000",
            "1362096000000000000",
            "1362096000.0",
        ] {
            assert_eq!(us(text), expected, "{text}");
        }
    }

    #[test]
    fn digits_are_read_whole() {
        let expected = us("2026-06-01T09:30:00Z");
        for text in [
            "20260601 093000",
            "20260601T093000",
            "20260601 0930",
            "20260601T09:30",
            "202606010930",
            "20260601093000",
            "20260601093000000",
            "2026-06-01T0930",
        ] {
            assert_eq!(us(text), expected, "{text}");
        }
        assert_eq!(us("20260601093000250"), expected + 250_000);
        // What no calendar has is a count since the epoch where it has another length than a date's.
        assert_eq!(us("202613010930"), 202_613_010_930_000);
        for number in [20_260_601, 202_606_010_930, 20_260_601_093_000] {
            assert!(
                Timestamp::from_calendar_digits(number).is_some(),
                "{number}"
            );
        }
        for number in [0, 20_261_301, 1_735_689_600, 1_735_689_600_000, -20_260_601] {
            assert_eq!(Timestamp::from_calendar_digits(number), None, "{number}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "2013-13-01",
            "20131301",
            "NaN",
            "inf",
            "1e400",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn display_is_rfc_3339() {
        assert_eq!(
            Timestamp::from_millis(1_362_096_000_500).to_string(),
            "2013-03-01T00:00:00.5Z"
        );
    }
}
