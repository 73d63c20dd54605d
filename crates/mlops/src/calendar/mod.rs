//! The sessions of exchanges: which days there is trading, when it opens and when it closes.
//!
//! Model: exchange-hours' tables, a built-in list of corrections ([`Overlay::builtin`]) and a person's own closures
//! above it (docs/mlops.md has the file). A session runs from the first open to the last close of the regular
//! trading of a day in the exchange's zone; a break at noon is inside it. A calendar ends where its tables end
//! ([`Calendar::known_until`]): beyond that, every question is answered by [`Error::NoCalendar`], because a day
//! without an entry is not a day of trading there, only one that nobody has written down yet.
//!
//! What it does not do: extended hours, products with hours of their own, settlement.

mod exchange;
mod overlay;

use std::sync::Arc;

use chrono::NaiveDate;
use exchange_hours::{ExchangeCalendar, SessionKind, calendar_for_exchange};
use jiff::{civil::Date, tz::TimeZone};
use market::Timestamp;

pub use overlay::{Change, Overlay};

use crate::{Error, Result, zone};

/// A day's trading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The day, in the exchange's zone.
    pub date: Date,
    /// The first trade may happen, UTC.
    pub open: Timestamp,
    /// The last trade has happened, UTC.
    pub close: Timestamp,
    /// Whether it closes before the exchange's usual time of that era.
    pub closes_early: bool,
}

/// All calendars, with the changes that hold over them.
#[derive(Clone, Debug)]
pub struct Calendars {
    overlay: Arc<Overlay>,
}

impl Calendars {
    /// The tables alone, without a correction.
    pub fn uncorrected() -> Self {
        Self {
            overlay: Arc::default(),
        }
    }

    /// With the built-in corrections.
    pub fn builtin() -> Self {
        Self {
            overlay: Arc::new(Overlay::builtin()),
        }
    }

    /// With a person's closures over the built-in corrections.
    ///
    /// # Errors
    /// [`Error::Overlay`] for an entry that cannot be, or lies where its calendar knows nothing.
    pub fn with(closures: Overlay) -> Result<Self> {
        let mut overlay = Overlay::builtin();
        let days: Vec<_> = closures.days().collect();
        overlay.lay_over(closures);
        let calendars = Self {
            overlay: Arc::new(overlay),
        };
        // Whether an entry can be is found out now, and not on its day.
        for (code, date) in days {
            let session = calendars.of(code)?.session_on(date);
            session.map_err(|e| match e {
                Error::Overlay { .. } => e,
                other => Error::Overlay {
                    detail: other.to_string(),
                },
            })?;
        }
        Ok(calendars)
    }

    /// The codes of the exchanges that have one.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        exchange::EXCHANGES.iter().map(|(code, _)| *code)
    }

    /// The calendar of an exchange, by its market identifier code.
    ///
    /// # Errors
    /// [`Error::UnknownExchange`].
    pub fn of(&self, code: &str) -> Result<Calendar> {
        let unknown = || Error::UnknownExchange {
            code: market::excerpt(code).into_owned(),
        };
        let (code, exchange) = exchange::by_code(code).ok_or_else(unknown)?;
        let tables = calendar_for_exchange(exchange);
        // The last stretch of days that is known without a hole; one that continues another is one with it.
        let mut known: Option<(NaiveDate, NaiveDate)> = None;
        for range in tables.coverage().complete_ranges() {
            let first = match known {
                Some((first, last)) if last.succ_opt() == Some(range.first()) => first,
                _ => range.first(),
            };
            known = Some((first, range.last()));
        }
        let (known_from, known_until) = known.ok_or_else(unknown)?;
        let date = |date| zone::from_chrono_date(date).ok_or_else(unknown);
        Ok(Calendar {
            code,
            zone: zone::named(tables.tz().name())?,
            tables,
            known_from: date(known_from)?,
            known_until: date(known_until)?,
            overlay: self.overlay.clone(),
        })
    }
}

/// The calendar of one exchange.
#[derive(Clone, Debug)]
pub struct Calendar {
    code: &'static str,
    tables: ExchangeCalendar,
    zone: TimeZone,
    known_from: Date,
    known_until: Date,
    overlay: Arc<Overlay>,
}

impl Calendar {
    /// The market identifier code.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The exchange's zone.
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first day that is known.
    pub const fn known_from(&self) -> Date {
        self.known_from
    }

    /// The last day that is known.
    pub const fn known_until(&self) -> Date {
        self.known_until
    }

    /// The day at the exchange, at a time.
    pub fn day_of(&self, at: Timestamp) -> Date {
        zone::on_the_clock(at, &self.zone).date()
    }

    /// The session of a day; none where there is no trading.
    ///
    /// # Errors
    /// [`Error::NoCalendar`].
    pub fn session_on(&self, date: Date) -> Result<Option<Session>> {
        self.check_known(date)?;
        let listed = self.listed(date)?;
        let Some(change) = self.overlay.on(self.code, date) else {
            return Ok(listed);
        };
        change
            .apply(date, listed, &self.zone)
            .map_err(|why| Error::Overlay {
                detail: format!("{} on {date}: {why}", self.code),
            })
    }

    fn check_known(&self, date: Date) -> Result<()> {
        if date < self.known_from || date > self.known_until {
            return Err(self.unknown(date));
        }
        Ok(())
    }

    fn unknown(&self, date: Date) -> Error {
        Error::NoCalendar {
            exchange: self.code.to_owned(),
            date,
            known_from: self.known_from,
            known_until: self.known_until,
        }
    }

    /// The session as the tables have it, with the close that counts here.
    fn listed(&self, date: Date) -> Result<Option<Session>> {
        let unknown = |()| self.unknown(date);
        let Some((open, close)) = edges(&self.tables, &self.zone, date).map_err(unknown)? else {
            return Ok(None);
        };
        // The close of a week without holidays is the usual one.
        let week = self.tables.without_holidays();
        let usual = edges(&week, &self.zone, date).ok().flatten();
        let closes_early = usual.is_some_and(|(_, usual)| close < usual);
        let close = self
            .overlay
            .usual_close(self.code, date, close, &self.zone)
            .unwrap_or(close);
        Ok(Some(Session {
            date,
            open,
            close,
            closes_early,
        }))
    }
}

fn edges(
    tables: &ExchangeCalendar,
    zone: &TimeZone,
    date: Date,
) -> std::result::Result<Option<(Timestamp, Timestamp)>, ()> {
    let midnight = date.to_zoned_datetime(zone.clone()).map_err(|_| ())?;
    // From within the day: the day before may not be known.
    let mut from = Timestamp::from_secs(midnight.timestamp().as_second());
    let mut found: Option<(Timestamp, Timestamp)> = None;
    loop {
        let at = zone::to_chrono(from).ok_or(())?;
        let window = match tables.next_session_after_with(at, SessionKind::Regular) {
            Ok(window) => window,
            // It looked for the next session beyond the day, and beyond what is known.
            Err(e) if zone::from_chrono_date(e.date()).is_some_and(|blamed| blamed > date) => None,
            Err(_) => return Err(()),
        };
        let Some((open, close)) = window else {
            return Ok(found);
        };
        // An opening auction may end within the first half minute; the session has opened.
        let opened = zone::from_chrono(open).as_secs().div_euclid(60) * 60;
        let (open, close) = (Timestamp::from_secs(opened), zone::from_chrono(close));
        if zone::on_the_clock(open, zone).date() != date {
            return Ok(found);
        }
        found = Some((found.map_or(open, |(first, _)| first), close));
        from = close;
    }
}
