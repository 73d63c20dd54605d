//! What SQLite says, as the crate's error.

use rusqlite::{Error, ErrorCode};

use crate::StoreError;

impl From<Error> for StoreError {
    /// A full disk, a failing disk and a lock that does not clear may pass: unavailable. Everything
    /// else is a damaged file or a fault of ours.
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Unavailable {
                detail: format!("{detail}: free or add space where the data directory lies"),
            },
            Some(ErrorCode::ReadOnly) => Self::Unavailable {
                detail: format!(
                    "{detail}: the data directory and its files must be writable for this user, on a file system that is not mounted read-only"
                ),
            },
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted,
            ) => Self::Unavailable { detail },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(&detail),
            _ => Self::Internal { detail },
        }
    }
}

/// The error for content that this crate did not write so.
pub(super) fn damaged(detail: &str) -> StoreError {
    StoreError::Internal {
        detail: format!("the database file is damaged ({detail}): restore it from a backup"),
    }
}

/// The error for calls after the end.
pub(super) fn closed() -> StoreError {
    StoreError::Unavailable {
        detail: "the store is closed".into(),
    }
}

/// The error for a call that cannot be right.
pub(super) fn invalid(detail: impl Into<String>) -> StoreError {
    StoreError::Invalid {
        detail: detail.into(),
    }
}
