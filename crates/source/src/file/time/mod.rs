//! Times: one format for a column, decided from all of it.
//!
//! Model: [`Evidence`] sees every cell of the column (or of the pair of a date's and a clock's) and
//! decides what a single cell leaves open: whether the day or the month stands first, whether digits
//! are a calendar time or a count since the epoch, and of which unit. A [`TimeReader`] then reads each
//! cell by that decision into a [`Moment`], which keeps both the instant and what the calendar and the
//! clock showed where it was written: a daily bar belongs to the date written, whatever the offset.
//!
//! Times without a zone are those of the zone that the reader was given, else of UTC. What it does not
//! do: guess a zone, read spelled-out months in other languages than English.

mod cells;
mod evidence;
mod reader;
pub mod text;
mod zone;

pub use self::{
    evidence::{Evidence, Format},
    reader::TimeReader,
    zone::zone_named,
};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// When something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds since the epoch.
    pub instant: i64,
    /// Microseconds from 1970-01-01T00:00 on the calendar and the clock where it was written.
    pub civil: i64,
}

impl Moment {
    /// The midnight that begins the date written, as if it were UTC.
    pub const fn date(self) -> i64 {
        self.civil - self.civil.rem_euclid(DAY)
    }

    /// The time of day written, in microseconds.
    pub const fn clock(self) -> i64 {
        self.civil.rem_euclid(DAY)
    }
}

#[cfg(test)]
mod tests;
