//! Cron patterns on the clocks of a time zone.
//!
//! Model: the patterns are croner's (Vixie cron with seconds and years as optional fields, `L`, `#`, `W`, names and
//! `@daily`), searched over jiff's zones. Where clocks are set forward, a pattern with one fixed time of day runs
//! right after the gap, and one with wildcards or several times skips what is not there. Where they are set back,
//! a fixed time runs once, at its first occurrence, and a pattern with wildcards in both hours: as croner
//! documents it.
//! What it does not do: know holidays (see [`super::Rule::Session`]).

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::{
    CivilDate, CivilDateTime, CivilTime, Cron, CronDateTime, Direction, Resolution, Weekday,
};
use jiff::{
    SignedDuration, ZonedDateTime,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};
use market::Timestamp;

use crate::zone;

/// A pattern in a zone.
#[derive(Clone, Debug)]
pub struct CronInZone {
    cron: Cron,
    zone: TimeZone,
}

/// Reads a pattern; else why it is none.
pub fn parse(pattern: &str, zone: TimeZone) -> Result<CronInZone, String> {
    let cron: Cron = pattern.parse().map_err(|e: CronError| reason(&e))?;
    Ok(CronInZone { cron, zone })
}

/// What croner says, as a part of a sentence.
fn reason(error: &CronError) -> String {
    let said = match error {
        CronError::EmptyPattern => "it is empty".to_owned(),
        CronError::InvalidPattern(said)
        | CronError::IllegalCharacters(said)
        | CronError::ComponentError(said) => said.clone(),
        other => other.to_string(),
    };
    let said = said.trim_end_matches('.');
    let mut letters = said.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

impl CronInZone {
    /// The first time that matches after `after`; none where none comes before the year 5000.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.find(after, Direction::Forward)
    }

    /// The last time that matches, at or before `until`.
    pub fn last(&self, until: Timestamp) -> Option<Timestamp> {
        // A second later, and strictly before: a start within a second would hide that second.
        let from = Timestamp::from_secs(until.as_secs().saturating_add(1));
        self.find(from, Direction::Backward)
    }

    fn find(&self, from: Timestamp, direction: Direction) -> Option<Timestamp> {
        // Whole seconds: the search itself knows no fractions.
        let start = Clock(zone::on_the_clock(
            Timestamp::from_secs(from.as_secs()),
            &self.zone,
        ));
        let found = match direction {
            Direction::Forward => self.cron.find_next_occurrence(&start, false),
            Direction::Backward => self.cron.find_previous_occurrence(&start, false),
        };
        Some(Timestamp::from_secs(found.ok()?.0.timestamp().as_second()))
    }

    /// Its zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

/// jiff's time as croner takes it; croner itself knows an older jiff.
#[derive(Clone, Debug)]
struct Clock(ZonedDateTime);

fn part(value: i8) -> u32 {
    u32::from(value.unsigned_abs())
}

fn narrow(value: u32) -> Result<i8, CronError> {
    i8::try_from(value).map_err(|_| CronError::InvalidTime)
}

impl CronDateTime for Clock {
    fn to_civil(&self) -> CivilDateTime {
        let at = self.0.datetime();
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(at.year().into(), part(at.month()), part(at.day())),
            CivilTime::from_parts_unchecked(part(at.hour()), part(at.minute()), part(at.second())),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(part(self.0.weekday().to_sunday_zero_offset()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let (month, day) = (narrow(civil.month())?, narrow(civil.day())?);
        let (hour, minute, second) = (
            narrow(civil.hour())?,
            narrow(civil.minute())?,
            narrow(civil.second())?,
        );
        let civil = DateTime::new(year, month, day, hour, minute, second, 0)
            .map_err(|_| CronError::InvalidDate)?;
        let found = self.0.time_zone().to_ambiguous_zoned_datetime(civil);
        let invalid = |_| CronError::InvalidTime;
        Ok(match found.offset() {
            AmbiguousOffset::Unambiguous { .. } => {
                Resolution::Single(Self(found.unambiguous().map_err(invalid)?))
            }
            AmbiguousOffset::Fold { .. } => Resolution::Ambiguous(
                Self(found.clone().earlier().map_err(invalid)?),
                Self(found.later().map_err(invalid)?),
            ),
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0
            .checked_add(SignedDuration::from_secs(seconds))
            .ok()
            .map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}
