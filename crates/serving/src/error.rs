//! The crate's error.

use market::ErrorKind;

/// What can go wrong between a request and its forecast.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// A setting, or a field of a request, cannot be right.
    #[error("{field}: {detail}")]
    Invalid {
        /// The field, as the request spells it.
        field: &'static str,
        /// What was expected, and what was given.
        detail: String,
    },
    /// The thing asked for is not there.
    #[error("{what} is not in the store")]
    NotFound {
        /// The field of the request that names it.
        field: &'static str,
        /// What was looked for.
        what: String,
    },
    /// As many of them are being computed as may be; try again later.
    #[error("{limit} {what} are being computed already, try again later")]
    Busy {
        /// Forecasts or backtests.
        what: &'static str,
        /// How many may run at once.
        limit: usize,
    },
    /// As many of one client's are being computed as may be; the other places are for others.
    #[error("{limit} {what} of this client are being computed already, try again later")]
    Share {
        /// Forecasts.
        what: &'static str,
        /// How many of one client may run at once.
        limit: usize,
    },
    /// The computation took longer than it may.
    #[error("the forecast took longer than {timeout_ms} ms")]
    Timeout {
        /// The limit.
        timeout_ms: u64,
    },
    /// The model broke down on numbers that looked right: another model or series may do.
    #[error("the model failed: {detail}")]
    Model {
        /// What the core said.
        detail: String,
    },
    /// A fault of ours.
    #[error("{detail}")]
    Internal {
        /// What happened.
        detail: String,
    },
    /// It is shutting down, or a task of it has died.
    #[error("the pipeline is closed")]
    Closed,
}

impl ServingError {
    /// The kind, for retries and HTTP statuses.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(e) => e.kind(),
            Self::Invalid { .. } | Self::Model { .. } => ErrorKind::Invalid,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Busy { .. } | Self::Share { .. } | Self::Closed => ErrorKind::Unavailable,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    /// The field of the request at fault, where it is known.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Invalid { field, .. } | Self::NotFound { field, .. } => Some(field),
            _ => None,
        }
    }
}

/// That a field of a request cannot be right.
pub(crate) fn invalid(field: &'static str, detail: impl Into<String>) -> ServingError {
    ServingError::Invalid {
        field,
        detail: detail.into(),
    }
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, ServingError>;
