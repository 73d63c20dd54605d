//! Which bars there should be: the days and hours of trading.
//!
//! Model: [`TradingDays::expected`] counts the bars that belong between two times. With an exchange they are those of
//! its sessions; a day of its calendar that is not known is an error, never a guess.
//! What it does not do: breaks at noon, which count as trading.

use std::{fmt, str::FromStr};

use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use market::{Interval, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Result, calendar::Calendars, zone};

/// When a market trades. As text `always`, `weekdays`, or the code of an exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TradingDays {
    /// Round the clock, every day.
    Always,
    /// Monday to Friday; holidays and hours are not known.
    #[default]
    Weekdays,
    /// The sessions of an exchange, by its market identifier code.
    Exchange(String),
}

impl TradingDays {
    /// What bars tell: a market with a bar on a Saturday trades round the clock, another one on weekdays.
    #[must_use]
    pub fn of(starts: &[Timestamp]) -> Self {
        let saturday = |at: &Timestamp| utc_day(*at).weekday().to_monday_zero_offset() == 5;
        if starts.iter().any(saturday) {
            Self::Always
        } else {
            Self::Weekdays
        }
    }

    /// The bars of a year, about: sessions of six and a half hours where there are sessions.
    #[must_use]
    pub const fn bars_a_year(&self, interval: Interval) -> usize {
        let (days, day_us) = match self {
            Self::Always => (365, 86_400_000_000),
            _ => (252, 23_400_000_000),
        };
        match interval {
            Interval::D1 => days,
            shorter => days * (day_us / shorter.micros()) as usize,
        }
    }

    /// Whether it can be looked up.
    ///
    /// # Errors
    /// An exchange that is not known.
    pub fn check(&self, calendars: &Calendars) -> Result<()> {
        match self {
            Self::Exchange(code) => calendars.of(code).map(drop),
            _ => Ok(()),
        }
    }

    /// How many bars should start after the bar at `after` and have ended by `until`; counts to `most` and no further.
    /// Of weekdays, whose hours are not known, a whole day without a bar counts as one bar.
    ///
    /// # Errors
    /// A calendar that does not reach a day between them.
    pub fn expected(
        &self,
        calendars: &Calendars,
        interval: Interval,
        after: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Result<usize> {
        let ended = interval.end_of(after);
        if until.micros_since(ended) < interval.micros() {
            return Ok(0);
        }
        if *self == Self::Always {
            let bars = until.micros_since(ended) / interval.micros();
            return Ok(usize::try_from(bars).unwrap_or(usize::MAX).min(most));
        }
        let calendar = match self {
            Self::Exchange(code) => Some(calendars.of(code)?),
            _ => None,
        };
        let daily = interval == Interval::D1;
        // A daily bar bears the date of its session; hours lie on the exchange's clocks.
        let day_of = |at: Timestamp| match &calendar {
            Some(calendar) if !daily => calendar.day_of(at),
            _ => utc_day(at),
        };
        let (mut day, last) = (day_of(after), day_of(until));
        if daily || calendar.is_none() {
            day = next(day);
        }
        let mut bars = 0;
        while day <= last && bars < most {
            bars += match &calendar {
                None => usize::from(is_weekday(day) && ends(day) <= until),
                Some(calendar) if daily => {
                    usize::from(ends(day) <= until && calendar.session_on(day)?.is_some())
                }
                Some(calendar) => match calendar.session_on(day)? {
                    Some(session) => {
                        let (from, to) = (session.open.max(ended), session.close.min(until));
                        usize::try_from(to.micros_since(from) / interval.micros()).unwrap_or(0)
                    }
                    None => 0,
                },
            };
            if day == last {
                break;
            }
            day = next(day);
        }
        Ok(bars.min(most))
    }
}

fn utc_day(at: Timestamp) -> Date {
    zone::on_the_clock(at, &TimeZone::UTC).date()
}

/// The day after; the last that can be written is followed by itself.
fn next(day: Date) -> Date {
    day.checked_add(1.day()).unwrap_or(Date::MAX)
}

/// The first instant after a day, UTC.
fn ends(day: Date) -> Timestamp {
    let midnight = next(day).to_zoned_datetime(TimeZone::UTC);
    midnight.map_or(Timestamp::MAX, |at| {
        Timestamp::from_secs(at.timestamp().as_second())
    })
}

fn is_weekday(day: Date) -> bool {
    day.weekday().to_monday_zero_offset() < 5
}

impl fmt::Display for TradingDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::Weekdays => "weekdays",
            Self::Exchange(code) => code,
        })
    }
}

impl FromStr for TradingDays {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.trim() {
            "always" => Ok(Self::Always),
            "weekdays" => Ok(Self::Weekdays),
            code => {
                // Whether there is such an exchange is said by its calendar.
                let calendar = Calendars::builtin().of(code)?;
                Ok(Self::Exchange(calendar.code().to_owned()))
            }
        }
    }
}

impl Serialize for TradingDays {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TradingDays {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let instant: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_micros(instant.as_microsecond())
    }

    fn expected(days: &str, interval: Interval, after: &str, until: &str) -> usize {
        let days: TradingDays = days.parse().unwrap();
        let calendars = Calendars::builtin();
        let found = days.expected(&calendars, interval, at(after), at(until), 1_000);
        found.unwrap()
    }

    #[test]
    fn days_between_two_are_those_on_which_the_market_trades() {
        // Wednesday before Thanksgiving 2026 to the Monday after it: the Thursday is a holiday.
        let (from, until) = ("2026-11-25T00:00:00Z", "2026-11-30T00:00:00Z");
        let days = |market| expected(market, Interval::D1, from, until);
        assert_eq!(
            (days("always"), days("weekdays"), days("XNYS")),
            (4, 2, 1),
            "Thursday to Sunday"
        );
        // Neighbours have nothing between them, and a bar that has not ended is not missing.
        assert_eq!(
            expected("XNYS", Interval::D1, from, "2026-11-26T23:00:00Z"),
            0
        );
        assert_eq!(
            expected("always", Interval::D1, from, "2026-11-26T23:00:00Z"),
            0
        );
    }

    #[test]
    fn bars_on_a_saturday_tell_of_a_market_that_never_closes() {
        let day = |n: i64| at("2026-11-23T00:00:00Z").plus_micros(n * 86_400_000_000);
        let days = |n: i64| (0..n).map(day).collect::<Vec<_>>();
        assert_eq!(TradingDays::of(&days(5)), TradingDays::Weekdays);
        assert_eq!(TradingDays::of(&days(6)), TradingDays::Always);
    }

    #[test]
    fn hours_between_two_are_those_of_sessions() {
        // The last hour of a Friday (20:00 to 21:00 UTC) to noon UTC of Monday: the exchange was shut.
        let hours = |until| expected("XNYS", Interval::H1, "2026-11-20T20:00:00Z", until);
        assert_eq!(hours("2026-11-23T12:00:00Z"), 0);
        // Half past two to half past five UTC on Monday.
        assert_eq!(hours("2026-11-23T17:30:00Z"), 3);
        let minutes = |days| {
            let (from, until) = ("2026-11-20T20:00:00Z", "2026-11-20T20:10:00Z");
            expected(days, Interval::M1, from, until)
        };
        assert_eq!((minutes("always"), minutes("XNYS")), (9, 9));
    }

    #[test]
    fn beyond_its_calendar_nothing_is_guessed_and_counting_has_an_end() {
        let days: TradingDays = "XNYS".parse().unwrap();
        let calendars = Calendars::builtin();
        let count = |days: &TradingDays, until| {
            let after = at("2028-12-20T00:00:00Z");
            days.expected(&calendars, Interval::D1, after, until, 50)
        };
        assert!(count(&days, at("2029-06-01T00:00:00Z")).is_err());
        assert_eq!(count(&TradingDays::Weekdays, Timestamp::MAX), Ok(50));
        assert!("XXXX".parse::<TradingDays>().is_err());
    }
}
