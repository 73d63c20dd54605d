//! The crate's error.

use market::ErrorKind;

/// What can go wrong between the stages.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The bus refused or failed.
    #[error(transparent)]
    Bus(#[from] bus::BusError),
    /// A source failed.
    #[error(transparent)]
    Source(#[from] source::SourceError),
    /// A setting, or a field of a request, cannot be right.
    #[error("{field}: {detail}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What was expected, and what was given.
        detail: String,
    },
    /// The store took longer than it may.
    #[error("no answer within {timeout_ms} ms")]
    Timeout {
        /// The limit.
        timeout_ms: u64,
    },
    /// A fault of ours.
    #[error("{detail}")]
    Internal {
        /// What happened.
        detail: String,
    },
    /// The pipeline is shutting down, or a task of it has died.
    #[error("the pipeline is closed")]
    Closed,
}

impl PipelineError {
    /// The kind, for retries and HTTP statuses.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(e) => e.kind(),
            Self::Bus(e) => e.kind(),
            Self::Source(e) => e.kind(),
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Closed => ErrorKind::Unavailable,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    /// The field of the request at fault, where it is known.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Invalid { field, .. } => Some(field),
            _ => None,
        }
    }
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, PipelineError>;
