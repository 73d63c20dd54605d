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
    StoreError::Damaged {
        detail: detail.into(),
    }
}

/// The error for calls after the end.
pub(super) fn closed() -> StoreError {
    StoreError::Unavailable {
        detail: "the store is closed".into(),
    }
}

#[cfg(test)]
mod tests {
    use market::ErrorKind;
    use rusqlite::{Connection, OpenFlags};

    use super::*;

    #[test]
    fn a_database_that_may_only_be_read_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let make = Connection::open(&path).unwrap();
        make.execute_batch("CREATE TABLE t (x)").unwrap();
        let reader = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let error = reader.execute_batch("INSERT INTO t VALUES (1)");
        let error = StoreError::from(error.unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("must be writable"), "{error}");
    }
}
