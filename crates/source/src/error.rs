//! The crate's error.

use market::ErrorKind;

/// What can go wrong in a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A setting cannot be right.
    #[error("{key}: {expected}")]
    Config {
        /// The setting's name.
        key: String,
        /// What was expected, and what came.
        expected: String,
    },
    /// A file cannot be read.
    #[error("{path}: {detail}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        detail: String,
        /// Whether it is the file that is not there.
        missing: bool,
    },
    /// The provider answered with a status that repeating will not change: 401, 403, 404 and the like.
    #[error("{url} answered {status}: {detail}")]
    Refused {
        /// The address, without its query (which may hold a key).
        url: String,
        /// The HTTP status.
        status: u16,
        /// The start of the body.
        detail: String,
    },
    /// The provider cannot be reached, or answered 429 or 5xx.
    #[error("{url} is unavailable: {detail}")]
    Unavailable {
        /// The address, without its query.
        url: String,
        /// What happened.
        detail: String,
        /// How long the provider asked to wait.
        retry_after: Option<std::time::Duration>,
    },
    /// The provider answered, under a status of success, that something is wrong.
    #[error("{url} answered with an error: {detail}")]
    ErrorBody {
        /// The address, without its query.
        url: String,
        /// The provider's words.
        detail: String,
        /// How long the provider asked to wait.
        retry_after: Option<std::time::Duration>,
    },
    /// The provider did not answer in time.
    #[error("{url} did not answer within {timeout_ms} ms")]
    Timeout {
        /// The address, without its query.
        url: String,
        /// The limit.
        timeout_ms: u64,
    },
    /// The answer as a whole is not what the mapping says: not JSON, or without the rows.
    #[error("{url} sent an answer that is not as mapped: {detail}")]
    Answer {
        /// The address, without its query.
        url: String,
        /// What was expected.
        detail: String,
    },
    /// The pipeline dropped a batch without taking it.
    #[error("the pipeline did not take the batch")]
    NotTaken,
    /// The pipeline is gone.
    #[error("the pipeline takes no more batches")]
    Closed,
}

impl SourceError {
    /// The kind, for retries and HTTP statuses.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } | Self::Refused { .. } => ErrorKind::Invalid,
            Self::File { missing: true, .. } => ErrorKind::NotFound,
            Self::File { .. } => ErrorKind::Internal,
            Self::Timeout { .. } => ErrorKind::Timeout,
            // A provider in trouble sends HTML with status 200: trying again helps.
            Self::Unavailable { .. }
            | Self::ErrorBody { .. }
            | Self::Answer { .. }
            | Self::NotTaken
            | Self::Closed => ErrorKind::Unavailable,
        }
    }
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, SourceError>;
