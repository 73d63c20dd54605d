//! Reads the cells of a column by the format that was decided.

use jiff::tz::TimeZone;
use market::Timestamp;

use super::{
    Evidence, Format, Moment, SECOND,
    cells::{all_digits, decimal, iso, join},
    text::{self, Written, Zone},
    zone::Zoned,
};
use crate::{
    decode::TimeUnit,
    file::table::{Column, ColumnKind, MISSING},
};

/// So many different zones are remembered at most.
const MAX_ZONES: usize = 64;

/// Reads the cells of a column.
#[derive(Clone, Debug)]
pub struct TimeReader {
    kind: ColumnKind,
    format: Format,
    /// That of times without one; also that in which days of instants are counted.
    default: Option<Zoned>,
    /// That which the file names for instants.
    of_file: Option<Zoned>,
    named: Vec<(Box<str>, Zoned)>,
    joined: Vec<u8>,
}

impl TimeReader {
    /// For a column of this kind; `zone` is that of times without one.
    pub fn new(kind: ColumnKind, format: Format, zone: Option<TimeZone>) -> Self {
        let of_file = match &kind {
            ColumnKind::Instant { zone } => zone.clone().map(Zoned::new),
            _ => None,
        };
        Self {
            kind,
            format,
            default: zone.map(Zoned::new),
            of_file,
            named: Vec::new(),
            joined: Vec::new(),
        }
    }

    /// Whether the file says what its times are, so that cells are no evidence.
    pub const fn is_typed(&self) -> bool {
        matches!(
            self.kind,
            ColumnKind::Instant { .. } | ColumnKind::Civil | ColumnKind::Date
        )
    }

    /// Whether the file says that its times have times of day.
    pub const fn is_clocked(&self) -> bool {
        matches!(self.kind, ColumnKind::Instant { .. } | ColumnKind::Civil)
    }

    /// The moment in a cell; `None` when it is missing or no time.
    pub fn read(&mut self, column: &Column, row: usize) -> Option<Moment> {
        match column {
            Column::Text(texts) => self.text(texts.get(row)),
            Column::Int(values) => match values[row] {
                MISSING => None,
                value => match self.kind {
                    ColumnKind::Instant { .. } => self.of_instant(value),
                    ColumnKind::Civil | ColumnKind::Date => self.of_civil(value),
                    _ => self.number(value),
                },
            },
            Column::Float(values) => self.float(values[row]),
            Column::Dictionary { .. } => self.text(&column.text(row)),
        }
    }

    /// The moment in a text that is evidence too.
    #[inline]
    pub fn see_and_read(&mut self, cell: &[u8], evidence: &mut Evidence) -> Option<Moment> {
        if let Some(written) = iso(cell) {
            evidence.see_written(&written);
            return self.written(written);
        }
        evidence.see(cell);
        self.text(cell)
    }

    /// The moment in a date's and a clock's cell.
    pub fn read_pair(&mut self, date: &Column, clock: &Column, row: usize) -> Option<Moment> {
        if let (ColumnKind::Date | ColumnKind::Civil, Column::Int(days)) = (&self.kind, date) {
            let text = clock.text(row);
            let text = std::str::from_utf8(&text).ok()?;
            let (us, _) = text::clock(text.trim())?;
            let day = days[row];
            return (day != MISSING).then(|| self.of_civil(day + us)).flatten();
        }
        let mut joined = std::mem::take(&mut self.joined);
        join(
            &date.text(row),
            &clock.text(row),
            self.format.clock_digits,
            &mut joined,
        );
        let moment = self.text(&joined);
        self.joined = joined;
        moment
    }

    fn text(&mut self, cell: &[u8]) -> Option<Moment> {
        if let Some(written) = iso(cell) {
            return self.written(written);
        }
        if let Some((value, digits)) = all_digits(cell) {
            return if self.format.calendar[digits.min(19)] {
                self.written(text::of_digits(value, digits)?)
            } else {
                self.epoch(value)
            };
        }
        let text = std::str::from_utf8(cell).ok()?;
        if let Some(written) = text::read(text, self.format.order) {
            return self.written(written);
        }
        match text.parse::<i64>() {
            Ok(value) => self.epoch(value),
            Err(_) => self.float(text.parse().ok()?),
        }
    }

    /// A number of a column of numbers: a calendar's digits, or a count since the epoch.
    fn number(&mut self, value: i64) -> Option<Moment> {
        if value < 0 {
            return self.epoch(value);
        }
        let mut text = [0; 20];
        let digits = decimal(value.unsigned_abs(), &mut text).len();
        if self.format.calendar[digits.min(19)] {
            return self.written(text::of_digits(value, digits)?);
        }
        self.epoch(value)
    }

    fn epoch(&mut self, value: i64) -> Option<Moment> {
        let instant = match self.format.unit {
            TimeUnit::Auto => Timestamp::from_epoch_integer(value).as_micros(),
            TimeUnit::Seconds => value.checked_mul(SECOND)?,
            TimeUnit::Millis => value.checked_mul(1_000)?,
            TimeUnit::Micros => value,
            TimeUnit::Nanos => value.div_euclid(1_000),
        };
        self.of_instant(instant)
    }

    fn float(&mut self, value: f64) -> Option<Moment> {
        let us = match self.format.unit {
            TimeUnit::Auto => {
                let ts = Timestamp::from_epoch_number(value)?;
                return self.of_instant(ts.as_micros());
            }
            TimeUnit::Seconds => value * 1e6,
            TimeUnit::Millis => value * 1e3,
            TimeUnit::Micros => value,
            TimeUnit::Nanos => value / 1e3,
        };
        // NaN is none either.
        (us.abs() < 9e18)
            .then(|| self.of_instant(us.round() as i64))
            .flatten()
    }

    fn of_instant(&mut self, instant: i64) -> Option<Moment> {
        if !is_time(instant) {
            return None;
        }
        let zone = self.default.as_mut().or(self.of_file.as_mut());
        let civil = match zone {
            Some(zone) => zone.civil(instant)?,
            None => instant,
        };
        Some(Moment { instant, civil })
    }

    fn of_civil(&mut self, civil: i64) -> Option<Moment> {
        if !is_time(civil) {
            return None;
        }
        let instant = match &mut self.default {
            Some(zone) => zone.instant(civil)?,
            None => civil,
        };
        Some(Moment { instant, civil })
    }

    fn written(&mut self, written: Written<'_>) -> Option<Moment> {
        let civil = written.civil;
        match written.zone {
            Zone::Absent => self.of_civil(civil),
            // Who writes UTC may mean the day of an exchange: where its zone is given, it is asked.
            Zone::Offset(0) => self.of_instant(civil),
            Zone::Offset(seconds) => Some(Moment {
                instant: civil - i64::from(seconds) * SECOND,
                civil,
            }),
            Zone::Named(name) => {
                if let Some((_, zone)) = self.named.iter_mut().find(|(known, _)| **known == *name) {
                    return zone.instant(civil).map(|instant| Moment { instant, civil });
                }
                let mut zone = Zoned::new(TimeZone::get(name).ok()?);
                let instant = zone.instant(civil)?;
                if self.named.len() < MAX_ZONES {
                    self.named.push((name.into(), zone));
                }
                Some(Moment { instant, civil })
            }
        }
    }
}

/// Within the years that are written with four digits.
fn is_time(us: i64) -> bool {
    (Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros()).contains(&us)
}
