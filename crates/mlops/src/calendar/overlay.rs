//! Changes over the tables of an exchange: days that are closed, close early, open late, or have a session of their
//! own; and usual closes that are another one.
//!
//! Model: TOML. `[[day]]` is one entry per exchange and day: `closed = true` takes the session away; `close` and `open`
//! are wall-clock times at the exchange that take the place of the table's; both together make a session also where
//! the table has none. `[[close]]` replaces a usual close from a day on: the table may end with continuous trading
//! where an auction follows that makes the closing price. Each entry says why.
//! What it does not do: reach beyond the days that a calendar knows.

use std::collections::BTreeMap;

use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};
use market::Timestamp;
use serde::Deserialize;

use super::{Session, exchange};
use crate::{Error, Result, zone};

/// What is changed on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// There is no trading.
    Closed,
    /// An edge is elsewhere, or both are.
    Hours {
        /// The open, at the exchange.
        open: Option<Time>,
        /// The close, at the exchange.
        close: Option<Time>,
    },
}

impl Change {
    /// The session of a day with this change.
    pub(super) fn apply(
        &self,
        date: Date,
        listed: Option<Session>,
        zone: &TimeZone,
    ) -> std::result::Result<Option<Session>, &'static str> {
        let Self::Hours { open, close } = self else {
            return Ok(None);
        };
        let at = |time: &Option<Time>, listed: Option<Timestamp>| match time {
            Some(time) => instant(date, *time, zone),
            None => listed,
        };
        let opens = at(open, listed.map(|session| session.open));
        let closes = at(close, listed.map(|session| session.close));
        let (Some(opens), Some(closes)) = (opens, closes) else {
            return Err("there is no session whose hours could change: give open and close");
        };
        if opens >= closes {
            return Err("it opens after it closes");
        }
        let earlier = listed.is_some_and(|session| {
            closes < session.close || (session.closes_early && closes == session.close)
        });
        Ok(Some(Session {
            date,
            open: opens,
            close: closes,
            closes_early: earlier,
        }))
    }
}

/// A usual close that is another one from a day on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct UsualClose {
    exchange: &'static str,
    from: Date,
    listed: Time,
    close: Time,
}

/// Changes by exchange and day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    days: BTreeMap<(&'static str, Date), Change>,
    closes: Vec<UsualClose>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    day: Vec<DayEntry>,
    #[serde(default)]
    close: Vec<CloseEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DayEntry {
    exchange: String,
    date: String,
    #[serde(default)]
    closed: bool,
    open: Option<String>,
    close: Option<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseEntry {
    exchange: String,
    from: String,
    listed: String,
    close: String,
    reason: String,
}

const BUILTIN: &str = include_str!("corrections.toml");

impl Overlay {
    /// The corrections that come with the program.
    pub fn builtin() -> Self {
        // A test reads the file: it cannot be at fault here.
        Self::from_toml(BUILTIN).unwrap_or_default()
    }

    /// Reads a file of changes.
    ///
    /// # Errors
    /// [`Error::Overlay`], with the entry.
    pub fn from_toml(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|e| Error::Overlay {
            detail: e.to_string().trim_end().to_owned(),
        })?;
        let mut overlay = Self::default();
        for (place, entry) in file.day.into_iter().enumerate() {
            let which = format!("day {}, {} {}", place + 1, entry.exchange, entry.date);
            let reading = Reading::of(which, &entry.reason)?;
            let day = (
                reading.exchange(&entry.exchange)?,
                reading.date(&entry.date)?,
            );
            let time = |text: Option<&str>| text.map(|text| reading.time(text)).transpose();
            let open = time(entry.open.as_deref())?;
            let close = time(entry.close.as_deref())?;
            let change = match (entry.closed, open.is_some() || close.is_some()) {
                (true, false) => Change::Closed,
                (false, true) => Change::Hours { open, close },
                _ => return Err(reading.fault("give either closed = true, or open or close")),
            };
            if overlay.days.insert(day, change).is_some() {
                return Err(reading.fault("the day has two entries"));
            }
        }
        for (place, entry) in file.close.into_iter().enumerate() {
            let which = format!("close {}, {} {}", place + 1, entry.exchange, entry.from);
            let reading = Reading::of(which, &entry.reason)?;
            overlay.closes.push(UsualClose {
                exchange: reading.exchange(&entry.exchange)?,
                from: reading.date(&entry.from)?,
                listed: reading.time(&entry.listed)?,
                close: reading.time(&entry.close)?,
            });
        }
        Ok(overlay)
    }

    /// The change of a day.
    pub fn on(&self, code: &'static str, date: Date) -> Option<&Change> {
        self.days.get(&(code, date))
    }

    /// The days that are changed.
    pub fn days(&self) -> impl Iterator<Item = (&'static str, Date)> {
        self.days.keys().copied()
    }

    /// The close that takes the place of a listed one.
    pub(super) fn usual_close(
        &self,
        code: &str,
        date: Date,
        listed: Timestamp,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        let wall = zone::on_the_clock(listed, zone).time();
        // What was laid over later counts.
        let rule = self
            .closes
            .iter()
            .rfind(|rule| rule.exchange == code && rule.from <= date && rule.listed == wall)?;
        instant(date, rule.close, zone)
    }

    /// Puts changes over these; what both have is as the upper says.
    pub fn lay_over(&mut self, upper: Self) {
        self.days.extend(upper.days);
        self.closes.extend(upper.closes);
    }
}

/// A wall-clock time at the exchange.
fn instant(date: Date, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    let at = date
        .to_datetime(time)
        .to_zoned_datetime(zone.clone())
        .ok()?;
    Some(Timestamp::from_secs(at.timestamp().as_second()))
}

/// An entry that is being read, by what names it in a fault.
struct Reading(String);

impl Reading {
    fn of(which: String, reason: &str) -> Result<Self> {
        let reading = Self(which);
        if reason.trim().is_empty() {
            return Err(reading.fault("it has no reason"));
        }
        Ok(reading)
    }

    fn fault(&self, what: &str) -> Error {
        Error::Overlay {
            detail: format!("{}: {what}", market::excerpt(&self.0)),
        }
    }

    fn exchange(&self, code: &str) -> Result<&'static str> {
        let known = exchange::by_code(code).map(|(code, _)| code);
        known.ok_or_else(|| self.fault("no exchange of this code is known"))
    }

    fn date(&self, text: &str) -> Result<Date> {
        text.parse()
            .map_err(|_| self.fault("a date is not like 2026-12-24"))
    }

    fn time(&self, text: &str) -> Result<Time> {
        text.parse()
            .map_err(|_| self.fault("a time is not like 13:00"))
    }
}
