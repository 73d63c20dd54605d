//! The crate's error: what was asked for cannot be had, and why.

use market::{ErrorKind, Timestamp};

/// What went wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// No exchange of this code is known.
    #[error(
        "{code:?} is not an exchange known here: expected a market identifier code such as XNYS, XLON or XTKS"
    )]
    UnknownExchange {
        /// The code as it came.
        code: String,
    },
    /// The calendar of an exchange does not reach this day. It is never guessed.
    #[error(
        "no calendar of {exchange} for {date}: its sessions are known from {known_from} until {known_until}"
    )]
    NoCalendar {
        /// The market identifier code.
        exchange: String,
        /// The day that was asked for, in the exchange's zone.
        date: jiff::civil::Date,
        /// First day that is known.
        known_from: jiff::civil::Date,
        /// Last day that is known.
        known_until: jiff::civil::Date,
    },
    /// A file of closures cannot be used.
    #[error("the closures: {detail}")]
    Overlay {
        /// What is wrong, with the entry.
        detail: String,
    },
    /// No time zone of this name is known.
    #[error("{name:?} is not a time zone: expected a name such as Europe/London or UTC")]
    UnknownZone {
        /// The name as it came.
        name: String,
    },
    /// A text is not a schedule.
    #[error("{text:?} is not a schedule: {reason}")]
    Schedule {
        /// The text as it came, shortened.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A schedule whose pattern is good but matches no time that comes.
    #[error("{schedule} never fires: no time after {from} matches it")]
    NeverFires {
        /// The schedule in words.
        schedule: String,
        /// From when on it was asked.
        from: Timestamp,
    },
    /// What is to be judged is incomplete or does not fit together.
    #[error("the evidence cannot be judged: {detail}")]
    Evidence {
        /// What does not fit.
        detail: String,
    },
    /// A drift detector cannot be calibrated, or got what it cannot take.
    #[error("drift: {detail}")]
    Drift {
        /// What is missing.
        detail: String,
    },
}

impl Error {
    /// Its kind.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownExchange { .. } | Self::NoCalendar { .. } => ErrorKind::NotFound,
            _ => ErrorKind::Invalid,
        }
    }
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;
