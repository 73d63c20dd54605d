//! The lengths of bars, and where a bar begins, ends and is followed.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{MarketError, Result, Timestamp};

/// The length of a bar. Text and JSON: `1s`, `1m`, `5m`, `15m`, `1h`, `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// One second.
    S1,
    /// One minute.
    M1,
    /// Five minutes.
    M5,
    /// Fifteen minutes.
    M15,
    /// One hour.
    H1,
    /// One day, midnight to midnight UTC.
    D1,
}

const DAY_US: i64 = 86_400_000_000;

impl Interval {
    /// Every interval, shortest first.
    pub const ALL: [Self; 6] = [Self::S1, Self::M1, Self::M5, Self::M15, Self::H1, Self::D1];

    /// Its length in microseconds.
    pub const fn micros(self) -> i64 {
        match self {
            Self::S1 => 1_000_000,
            Self::M1 => 60_000_000,
            Self::M5 => 300_000_000,
            Self::M15 => 900_000_000,
            Self::H1 => 3_600_000_000,
            Self::D1 => DAY_US,
        }
    }

    /// Its text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S1 => "1s",
            Self::M1 => "1m",
            Self::M5 => "5m",
            Self::M15 => "15m",
            Self::H1 => "1h",
            Self::D1 => "1d",
        }
    }

    /// The start of the bar that holds `ts`. Bars are half-open: `[start, start + length)`.
    pub const fn start_of(self, ts: Timestamp) -> Timestamp {
        let us = ts.as_micros();
        Timestamp::from_micros(us - us.rem_euclid(self.micros()))
    }

    /// The first instant after the bar that starts at `start`.
    pub const fn end_of(self, start: Timestamp) -> Timestamp {
        start.plus_micros(self.micros())
    }

    /// The start of the `step`-th bar after the one that starts at `start`. Days skip Saturday and
    /// Sunday (exchange holidays are not known here); the shorter intervals run round the clock.
    pub const fn step_after(self, start: Timestamp, step: u32) -> Timestamp {
        if !matches!(self, Self::D1) {
            return start.plus_micros(self.micros() * step as i64);
        }
        let mut day = start.as_micros().div_euclid(DAY_US);
        // 1970-01-01 was a Thursday: with Monday as 0 the weekday is (day + 3) mod 7.
        let weekday = (day + 3).rem_euclid(7);
        let mut left = step as i64;
        let mut at = if weekday > 4 {
            day -= weekday - 4; // from a weekend, count from the Friday before
            4
        } else {
            weekday
        };
        day += left / 5 * 7;
        left %= 5;
        while left > 0 {
            day += if at == 4 { 3 } else { 1 };
            at = (at + 1) % 5;
            left -= 1;
        }
        Timestamp::from_micros(day * DAY_US)
    }

    /// The interval whose bars lie as these times do: at the median distance of two that follow each
    /// other, in whatever order they come. Times twice do not count. `None` where no interval is so
    /// long, as with weeks.
    pub fn of_times(times: &[Timestamp]) -> Option<Self> {
        let mut times = times.to_vec();
        times.sort_unstable();
        times.dedup();
        let mut gaps: Vec<i64> = times.windows(2).map(|w| w[1].micros_since(w[0])).collect();
        gaps.sort_unstable();
        let median = *gaps.get(gaps.len() / 2)?;
        Self::ALL.into_iter().find(|i| i.micros() == median)
    }

    /// The season that seasonal models use by default, in bars: a minute of seconds, an hour of
    /// minutes, an hour of 5 and of 15 minutes, a day of hours, a week of trading days. The one truth
    /// of it: pages, `POST /predict`, live forecasts, backtests and the command line ask here.
    pub const fn default_season(self) -> usize {
        match self {
            Self::S1 | Self::M1 => 60,
            Self::M5 => 12,
            Self::M15 => 4,
            Self::H1 => 24,
            Self::D1 => 5,
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Interval {
    type Err = MarketError;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|i| i.as_str().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| MarketError::Interval {
                text: text.chars().take(64).collect(),
            })
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_step_over_the_weekend() {
        let friday: Timestamp = "2013-03-01".parse().unwrap();
        let text = |step| Interval::D1.step_after(friday, step).to_string();
        assert_eq!(text(1), "2013-03-04T00:00:00Z");
        assert_eq!(text(5), "2013-03-08T00:00:00Z");
        assert_eq!(text(6), "2013-03-11T00:00:00Z");
        let sunday: Timestamp = "2013-03-03".parse().unwrap();
        assert_eq!(
            Interval::D1.step_after(sunday, 1).to_string(),
            "2013-03-04T00:00:00Z"
        );
    }

    #[test]
    fn trading_days_with_weekends_are_days_and_weeks_are_no_interval() {
        let monday: Timestamp = "2013-03-04".parse().unwrap();
        let mut days: Vec<Timestamp> = (0..9).map(|n| Interval::D1.step_after(monday, n)).collect();
        assert_eq!(Interval::of_times(&days), Some(Interval::D1));
        days.reverse();
        days.push(monday);
        assert_eq!(Interval::of_times(&days), Some(Interval::D1));
        let every = |seconds: i64| -> Vec<Timestamp> {
            (0..9).map(|n| Timestamp::from_secs(n * seconds)).collect()
        };
        assert_eq!(Interval::of_times(&every(300)), Some(Interval::M5));
        assert_eq!(Interval::of_times(&every(7 * 86_400)), None);
        assert_eq!(Interval::of_times(&every(1)[..1]), None);
    }

    #[test]
    fn a_bar_holds_its_start_and_not_its_end() {
        for interval in Interval::ALL {
            let ts = Timestamp::from_micros(1_700_000_123_456_789);
            let start = interval.start_of(ts);
            assert!(start <= ts && ts < interval.end_of(start));
            assert_eq!(
                interval.start_of(interval.end_of(start)),
                interval.end_of(start)
            );
        }
    }

    #[test]
    fn times_before_1970_fall_into_the_bar_that_holds_them() {
        let ts = Timestamp::from_micros(-1);
        assert_eq!(Interval::M1.start_of(ts), Timestamp::from_secs(-60));
    }
}
