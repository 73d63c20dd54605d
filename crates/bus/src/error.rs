//! The crate's error.

use market::ErrorKind;

/// What can go wrong on the bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The bus takes or gives no more.
    #[error("the bus is closed")]
    Closed,
    /// The broker cannot be reached or refuses.
    #[error("the bus is unavailable: {detail}")]
    Unavailable {
        /// What the broker or the network said.
        detail: String,
    },
    /// The broker refuses who we say we are, or a setting cannot be right.
    #[error("the bus cannot be used as configured: {detail}")]
    Configuration {
        /// What the broker or the client said, and what to check.
        detail: String,
    },
    /// The record can never be taken.
    #[error("the record cannot be published: {detail}")]
    Invalid {
        /// Why.
        detail: String,
    },
}

impl BusError {
    /// The kind, for retries and HTTP statuses.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Closed | Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Configuration { .. } | Self::Invalid { .. } => ErrorKind::Invalid,
        }
    }
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, BusError>;
