//! The crate's error.

use std::path::PathBuf;

use market::ErrorKind;

/// What can go wrong in a store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory.
    #[error(
        "the directory {path} is in use by another tickcast process: stop it, or choose another directory with --data-dir"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The data directory cannot be made, read or written.
    #[error("the data directory {path} cannot be used: {detail}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        detail: String,
    },
    /// A file that would be written is there already.
    #[error("{path} is there already: remove it, or choose another name")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The database was written by a newer Tickcast.
    #[error(
        "the database has schema version {found}, this build knows up to {known}: use a newer tickcast"
    )]
    SchemaVersion {
        /// In the file.
        found: u32,
        /// The newest this build knows.
        known: u32,
    },
    /// Nothing is stored under the key.
    #[error("{what} is not in the store")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// The call clashes with what is in the store.
    #[error("{detail}")]
    Conflict {
        /// With what, and what was expected.
        detail: String,
    },
    /// The call cannot be right.
    #[error("{detail}")]
    Invalid {
        /// Why.
        detail: String,
    },
    /// The server does not let us in, or not do this; somebody has to change that, not the call.
    #[error("the store refuses us: {detail}")]
    Refused {
        /// What the database said, and what to check.
        detail: String,
    },
    /// The disk is full or the server is away; trying again later may help.
    #[error("the store is unavailable: {detail}")]
    Unavailable {
        /// What the database said.
        detail: String,
    },
    /// The database file is not what was written.
    #[error("the store failed: the database file is damaged ({detail}): restore it from a backup")]
    Damaged {
        /// What was found.
        detail: String,
    },
    /// The content of an artefact is not what was put.
    #[error(
        "{place} is altered or cut off: it has {detail}: put it back from a backup, or train anew"
    )]
    Altered {
        /// The file, or the document.
        place: String,
        /// What is there.
        detail: String,
    },
    /// A fault of ours.
    #[error("the store failed: {detail}")]
    Internal {
        /// What the database said.
        detail: String,
    },
}

impl StoreError {
    /// The kind, for retries and HTTP statuses.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::InUse { .. } | Self::Exists { .. } | Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Directory { .. }
            | Self::SchemaVersion { .. }
            | Self::Refused { .. }
            | Self::Damaged { .. }
            | Self::Altered { .. }
            | Self::Internal { .. } => ErrorKind::Internal,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
        }
    }
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, StoreError>;
