//! The crate's error and the kinds that every Tickcast error reports.

use serde::{Deserialize, Serialize};

/// What went wrong, coarsely: retries and HTTP statuses are decided from this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The thing named does not exist (HTTP 404).
    NotFound,
    /// The request clashes with what is already there (HTTP 409).
    Conflict,
    /// The input cannot be right; trying again will not help (HTTP 422).
    Invalid,
    /// It took too long; trying again may help (HTTP 504).
    Timeout,
    /// A dependency is away or full; trying again later may help (HTTP 503).
    Unavailable,
    /// A fault of ours (HTTP 500).
    Internal,
}

impl ErrorKind {
    /// The snake_case name, as it appears in problem documents and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Whether the same call may succeed later without a change by the caller.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable)
    }
}

/// A text that is not the market value it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarketError {
    /// Not a symbol: empty, longer than 32 bytes, or with a character outside `[A-Z0-9.\-_=^/:]`.
    #[error("{text:?} is not a symbol: expected 1 to 32 of A-Z, 0-9 and . - _ = ^ / :")]
    Symbol {
        /// The text as it came.
        text: String,
    },
    /// Not an interval.
    #[error("{text:?} is not an interval: expected one of 1s, 1m, 5m, 15m, 1h, 1d")]
    Interval {
        /// The text as it came.
        text: String,
    },
    /// Not a time.
    #[error(
        "{text:?} is not a time: expected RFC 3339, a date, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970"
    )]
    Timestamp {
        /// The text as it came.
        text: String,
    },
}

impl MarketError {
    /// Always [`ErrorKind::Invalid`]: the text will not become right by itself.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, MarketError>;
