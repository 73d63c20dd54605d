//! Zones by name, and their offsets, which are looked up once for a quarter of an hour.

use jiff::tz::{Offset, TimeZone};

use super::{SECOND, text};
use crate::{Result, SourceError};

/// Offsets of zones change at borders of a quarter of an hour.
const QUARTER: i64 = 900 * SECOND;

/// A zone by its IANA name or its offset.
///
/// # Errors
/// [`SourceError::Config`] when it is neither.
pub fn zone_named(name: &str) -> Result<TimeZone> {
    let name = name.trim();
    if let Some(seconds) = text::offset(name)
        && let Ok(offset) = Offset::from_seconds(seconds)
    {
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(name).map_err(|_| SourceError::Config {
        key: "--time-zone".into(),
        expected: format!(
            "expected a zone such as America/New_York, or an offset such as +02:00, got {name:?}"
        ),
    })
}

/// A zone, and its offset where it was asked last.
#[derive(Clone, Debug)]
pub(super) struct Zoned {
    zone: TimeZone,
    of_civil: (i64, i64),
    of_instant: (i64, i64),
}

impl Zoned {
    pub(super) const fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            of_civil: (i64::MIN, 0),
            of_instant: (i64::MIN, 0),
        }
    }

    /// The instant of a civil time; of one that comes twice, the earlier.
    pub(super) fn instant(&mut self, civil: i64) -> Option<i64> {
        let quarter = civil.div_euclid(QUARTER);
        if self.of_civil.0 != quarter {
            let utc = jiff::Timestamp::from_microsecond(civil).ok()?;
            let shown = TimeZone::UTC.to_datetime(utc);
            let instant = self
                .zone
                .to_ambiguous_timestamp(shown)
                .compatible()
                .ok()?
                .as_microsecond();
            self.of_civil = (quarter, civil - instant);
        }
        Some(civil - self.of_civil.1)
    }

    /// The civil time of an instant.
    pub(super) fn civil(&mut self, instant: i64) -> Option<i64> {
        let quarter = instant.div_euclid(QUARTER);
        if self.of_instant.0 != quarter {
            let at = jiff::Timestamp::from_microsecond(instant).ok()?;
            let offset = i64::from(self.zone.to_offset(at).seconds()) * SECOND;
            self.of_instant = (quarter, offset);
        }
        Some(instant + self.of_instant.1)
    }
}
