//! What the driver and the server say, as the crate's error, with what to do about it.

use mongodb::error::{Error, ErrorKind, WriteFailure};

use crate::StoreError;

/// The code of a duplicate key.
pub(super) const DUPLICATE: i32 = 11_000;

/// Codes of states that pass: not the primary any more, shutting down, stepping down, no such
/// primary, interrupted, read-only, time-outs.
const PASSING: [i32; 15] = [
    6, 7, 50, 64, 89, 91, 133, 189, 262, 9001, 10_107, 11_600, 11_602, 13_435, 13_436,
];

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match *error.kind {
            ErrorKind::Authentication { .. } => refused(&detail),
            ErrorKind::InvalidArgument { .. } => Self::Invalid {
                detail: format!("{detail}: check the MongoDB URI"),
            },
            ErrorKind::InvalidTlsConfig { .. } => Self::Invalid {
                detail: format!("{detail}: check the TLS part of the MongoDB URI"),
            },
            ErrorKind::ServerSelection { .. } | ErrorKind::DnsResolve { .. } => Self::Unavailable {
                detail: format!(
                    "{detail}: check the hosts of the MongoDB URI, and that the server runs"
                ),
            },
            ErrorKind::Io(_)
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::Shutdown
            | ErrorKind::InvalidResponse { .. } => Self::Unavailable { detail },
            ErrorKind::Command(ref command) => by_code(command.code, detail),
            ErrorKind::Write(WriteFailure::WriteError(ref write)) => by_code(write.code, detail),
            ErrorKind::Write(WriteFailure::WriteConcernError(_)) => Self::Unavailable { detail },
            ErrorKind::InsertMany(ref many) => match &many.write_errors {
                Some(errors) => {
                    let first = errors.iter().find(|e| e.code != DUPLICATE);
                    first.map_or(Self::Unavailable { detail }, |e| {
                        by_code(e.code, e.message.clone())
                    })
                }
                None => Self::Unavailable { detail },
            },
            _ => Self::Internal { detail },
        }
    }
}

/// The error of a code that the server answered with.
pub(super) fn by_code(code: i32, detail: String) -> StoreError {
    match code {
        11 | 18 => refused(&detail),
        13 => StoreError::Refused {
            detail: format!(
                "{detail}: the database user lacks the right; it needs readWrite on the database"
            ),
        },
        14_031 => StoreError::Unavailable {
            detail: format!("{detail}: the database server's disk is full; free or add space"),
        },
        code if PASSING.contains(&code) => StoreError::Unavailable { detail },
        _ => StoreError::Internal { detail },
    }
}

fn refused(detail: &str) -> StoreError {
    StoreError::Refused {
        detail: format!(
            "{detail}: the database refuses these credentials; check user, password and authSource in the MongoDB URI"
        ),
    }
}

/// The error for content that this crate did not write so.
pub(super) fn foreign(detail: impl std::fmt::Display) -> StoreError {
    StoreError::Internal {
        detail: format!("the database holds a document that tickcast did not write: {detail}"),
    }
}

#[cfg(test)]
mod tests {
    use market::ErrorKind;

    use super::by_code;

    #[test]
    fn what_a_person_has_to_mend_is_no_fault_of_the_rows_and_says_what_to_do() {
        for (code, what) in [
            (13, "readWrite"),
            (18, "check user, password"),
            (14_031, "free or add space"),
            (10_107, "not primary"),
        ] {
            let error = by_code(code, "not primary".into());
            assert_ne!(error.kind(), ErrorKind::Invalid, "{code}");
            assert!(error.to_string().contains(what), "{code}: {error}");
        }
    }
}
