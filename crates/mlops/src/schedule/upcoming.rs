//! The next fires as they are shown before a schedule is kept.

use jiff::{ZonedDateTime, fmt::strtime};
use market::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Fire, Schedule, ScheduleSpec};
use crate::{Result, zone};

/// A fire on three clocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FireTimes {
    /// When, UTC, in microseconds since 1970.
    pub at: Timestamp,
    /// The same, RFC 3339.
    pub utc: String,
    /// On the reader's clock.
    pub local: String,
    /// On the clock that the schedule goes by: the exchange's, or that of the cron pattern.
    pub schedule: String,
    /// Whether the session closes early that day; none where the schedule follows no sessions.
    pub closes_early: Option<bool>,
}

/// The next fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upcoming {
    /// The schedule as it is written.
    pub text: String,
    /// The same as it is kept.
    pub spec: ScheduleSpec,
    /// The reader's zone.
    pub local_zone: String,
    /// The schedule's.
    pub schedule_zone: String,
    /// The fires, in order.
    pub fires: Vec<FireTimes>,
    /// Why there are no more, where there are fewer than were asked for.
    pub stopped: Option<String>,
}

impl Schedule {
    /// The next fires after a time, with the clocks of a zone beside those of the schedule.
    ///
    /// # Errors
    /// An unknown zone; otherwise as [`Schedule::next_fires`].
    pub fn upcoming(&self, after: Timestamp, count: usize, local_zone: &str) -> Result<Upcoming> {
        let local = zone::named(local_zone)?;
        let own = self.zone().clone();
        let (fires, stopped) = self.next_fires(after, count)?;
        let times = |fire: Fire| FireTimes {
            at: fire.at,
            utc: fire.at.to_string(),
            local: clock(&zone::on_the_clock(fire.at, &local)),
            schedule: clock(&zone::on_the_clock(fire.at, &own)),
            closes_early: fire.session.map(|session| session.closes_early),
        };
        Ok(Upcoming {
            text: self.spec().to_string(),
            spec: self.spec().clone(),
            local_zone: local_zone.to_owned(),
            schedule_zone: self.zone().iana_name().unwrap_or("UTC").to_owned(),
            fires: fires.into_iter().map(times).collect(),
            stopped: stopped.map(|why| why.to_string()),
        })
    }
}

/// `Fri 2026-11-27 13:20:00 EST`.
fn clock(at: &ZonedDateTime) -> String {
    strtime::format("%a %Y-%m-%d %H:%M:%S %Z", at).unwrap_or_else(|_| at.to_string())
}
