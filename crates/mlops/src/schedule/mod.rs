//! When a job is due: cron in a time zone, or minutes around the open or close of every session of an exchange.
//!
//! Model: a [`ScheduleSpec`] is what a person writes and what is kept; [`Schedule::new`] checks it and can be asked
//! for fires. [`Schedule::due`] says what to do about the time since the last run: a fire that was missed while
//! the process was down runs once, late, and says so. Fires are whole seconds.
//!
//! ```
//! use mlops::{calendar::Calendars, schedule::{Schedule, ScheduleSpec}};
//!
//! let spec: ScheduleSpec = "XNYS close +20m".parse()?;
//! let schedule = Schedule::new(spec, &Calendars::builtin())?;
//! // The day after Thanksgiving closes at 13:00 in New York.
//! let fire = schedule.next_after("2026-11-27T00:00:00Z".parse()?)?;
//! assert_eq!(fire.at, "2026-11-27T18:20:00Z".parse()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it does not do: read the clock, wait, or run anything.

mod cron;
mod due;
mod spec;
mod upcoming;

use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use market::Timestamp;

pub use due::{Due, GRACE_SECONDS};
pub use spec::{Edge, MAX_OFFSET_MINUTES, ScheduleSpec};
pub use upcoming::{FireTimes, Upcoming};

use crate::{
    Error, Result,
    calendar::{Calendar, Calendars, Session},
    zone,
};

/// A cron pattern may be so long. Every minute by name is half of that.
const MAX_PATTERN_BYTES: usize = 500;

/// A time at which a schedule fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fire {
    /// When, UTC.
    pub at: Timestamp,
    /// The session that it belongs to, where the schedule follows sessions.
    pub session: Option<Session>,
}

/// A schedule that was checked.
#[derive(Clone, Debug)]
pub struct Schedule {
    spec: ScheduleSpec,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Cron(Box<cron::CronInZone>),
    Session {
        calendar: Calendar,
        edge: Edge,
        offset_minutes: i32,
    },
}

impl Schedule {
    /// Checks a schedule.
    ///
    /// # Errors
    /// A malformed pattern, an unknown zone or exchange, an offset of more than [`MAX_OFFSET_MINUTES`].
    pub fn new(spec: ScheduleSpec, calendars: &Calendars) -> Result<Self> {
        let refuse = |reason: String| Error::Schedule {
            text: market::excerpt(&spec.to_string()).into_owned(),
            reason,
        };
        let rule = match &spec {
            ScheduleSpec::Cron { pattern, .. } if pattern.len() > MAX_PATTERN_BYTES => {
                return Err(refuse(format!(
                    "it is longer than {MAX_PATTERN_BYTES} bytes"
                )));
            }
            ScheduleSpec::Cron { pattern, zone } => {
                let zone = zone::named(zone)?;
                Rule::Cron(Box::new(cron::parse(pattern, zone).map_err(refuse)?))
            }
            ScheduleSpec::Session {
                exchange,
                edge,
                offset_minutes,
            } => {
                if offset_minutes.unsigned_abs() > MAX_OFFSET_MINUTES {
                    return Err(refuse(format!(
                        "it lies more than {MAX_OFFSET_MINUTES} minutes away from the session"
                    )));
                }
                Rule::Session {
                    calendar: calendars.of(exchange)?,
                    edge: *edge,
                    offset_minutes: *offset_minutes,
                }
            }
        };
        Ok(Self { spec, rule })
    }

    /// What it was made of.
    pub const fn spec(&self) -> &ScheduleSpec {
        &self.spec
    }

    /// The zone on whose clocks it goes: that of the pattern, or of the exchange.
    pub fn zone(&self) -> &TimeZone {
        match &self.rule {
            Rule::Cron(cron) => cron.zone(),
            Rule::Session { calendar, .. } => calendar.zone(),
        }
    }

    /// The first fire after a time.
    ///
    /// # Errors
    /// [`Error::NeverFires`]; [`Error::NoCalendar`] where the exchange's calendar ends before there is one.
    pub fn next_after(&self, after: Timestamp) -> Result<Fire> {
        match &self.rule {
            Rule::Cron(cron) => cron.next(after).map_or_else(
                || {
                    Err(Error::NeverFires {
                        schedule: self.spec.to_string(),
                        from: after,
                    })
                },
                |at| Ok(Fire { at, session: None }),
            ),
            Rule::Session {
                calendar,
                edge,
                offset_minutes,
            } => {
                // Two days back: the zone may be half a day off UTC, and the offset is a day at most.
                let mut day = days_from(calendar.day_of(after), -2);
                // The day before the first that is known cannot hold a fire that is known.
                if day < calendar.known_from() && calendar.day_of(after) >= calendar.known_from() {
                    day = calendar.known_from();
                }
                loop {
                    if let Some(session) = calendar.session_on(day)? {
                        let at = fire_of(&session, *edge, *offset_minutes);
                        if at > after {
                            return Ok(Fire {
                                at,
                                session: Some(session),
                            });
                        }
                    }
                    day = days_from(day, 1);
                }
            }
        }
    }

    /// The last fire at or before a time; none where there never was one.
    ///
    /// # Errors
    /// [`Error::NoCalendar`].
    pub fn last_until(&self, until: Timestamp) -> Result<Option<Fire>> {
        match &self.rule {
            Rule::Cron(cron) => Ok(cron.last(until).map(|at| Fire { at, session: None })),
            Rule::Session {
                calendar,
                edge,
                offset_minutes,
            } => {
                let mut day = days_from(calendar.day_of(until), 2);
                // A fire until now may belong to a session of tomorrow that is not known any more: then it is
                // not known either, but one of today is.
                if day > calendar.known_until() && calendar.day_of(until) <= calendar.known_until()
                {
                    day = calendar.known_until();
                }
                loop {
                    if day < calendar.known_from()
                        && calendar.day_of(until) >= calendar.known_from()
                    {
                        return Ok(None);
                    }
                    if let Some(session) = calendar.session_on(day)? {
                        let at = fire_of(&session, *edge, *offset_minutes);
                        if at <= until {
                            return Ok(Some(Fire {
                                at,
                                session: Some(session),
                            }));
                        }
                    }
                    day = days_from(day, -1);
                }
            }
        }
    }

    /// The next fires after a time, as many as there are up to `count`, and what stopped them where that are fewer.
    ///
    /// # Errors
    /// Where there is not even one: as [`Self::next_after`].
    pub fn next_fires(&self, after: Timestamp, count: usize) -> Result<(Vec<Fire>, Option<Error>)> {
        let mut fires: Vec<Fire> = Vec::new();
        let mut from = after;
        while fires.len() < count {
            match self.next_after(from) {
                Ok(fire) => {
                    from = fire.at;
                    fires.push(fire);
                }
                Err(e) if fires.is_empty() => return Err(e),
                Err(e) => return Ok((fires, Some(e))),
            }
        }
        Ok((fires, None))
    }
}

fn fire_of(session: &Session, edge: Edge, offset_minutes: i32) -> Timestamp {
    let edge = match edge {
        Edge::Open => session.open,
        Edge::Close => session.close,
    };
    edge.plus_micros(i64::from(offset_minutes) * 60_000_000)
}

fn days_from(day: Date, days: i64) -> Date {
    day.saturating_add(days.days())
}
