//! Time zones by name, and instants between the crates that know them.
//!
//! Model: zones are jiff's (the system's database, else the one built in). exchange-hours speaks chrono, croner
//! any type that implements its trait; instants cross over by Unix seconds, civil dates by year, month and day.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use jiff::{ZonedDateTime, civil::Date, tz::TimeZone};
use market::Timestamp;

use crate::{Error, Result};

/// A time zone by its IANA name.
///
/// # Errors
/// [`Error::UnknownZone`].
pub fn named(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).map_err(|_| Error::UnknownZone {
        name: market::excerpt(name).into_owned(),
    })
}

/// An instant on the clocks of a zone. Beyond the years that can be written it is the nearest that can.
pub fn on_the_clock(at: Timestamp, zone: &TimeZone) -> ZonedDateTime {
    // jiff's last instant is two hours before the last that can be written.
    jiff::Timestamp::from_microsecond(at.max(Timestamp::MIN).as_micros())
        .unwrap_or(jiff::Timestamp::MAX)
        .to_zoned_datetime(zone.clone())
}

/// An instant as exchange-hours takes it, to the second.
pub fn to_chrono(at: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.as_secs(), 0)
}

/// An instant as exchange-hours gives it.
pub fn from_chrono(at: DateTime<Utc>) -> Timestamp {
    Timestamp::from_secs(at.timestamp())
}

/// A day as exchange-hours gives it.
pub fn from_chrono_date(date: NaiveDate) -> Option<Date> {
    let year = i16::try_from(date.year()).ok()?;
    let (month, day) = (
        i8::try_from(date.month()).ok()?,
        i8::try_from(date.day()).ok()?,
    );
    Date::new(year, month, day).ok()
}
