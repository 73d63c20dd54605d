//! The content of artefacts: its SHA-256, and what is said of one that is not as it was put.

use std::fmt::Display;

use sha2::{Digest, Sha256};

use crate::{Artefact, Result, StoreError, check::invalid};

/// The SHA-256 of a content, in hexadecimal digits.
pub(crate) fn sha256_of(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A content that was read from `place`, if it is what was put.
pub(crate) fn checked(content: Vec<u8>, sha256: &str, place: &dyn Display) -> Result<Vec<u8>> {
    let found = sha256_of(&content);
    if found == sha256 {
        return Ok(content);
    }
    Err(StoreError::Altered {
        place: place.to_string(),
        detail: format!("{} bytes with the SHA-256 {found}", content.len()),
    })
}

/// The error for a content that is not there.
pub(crate) fn not_found(sha256: &str, place: &dyn Display) -> StoreError {
    StoreError::NotFound {
        what: format!("the artefact {sha256} ({place})"),
    }
}

/// Refuses a file whose content is not in the store, or has another length there.
pub(crate) fn check_length(file: &Artefact, there: Option<u64>) -> Result<()> {
    match there {
        Some(bytes) if bytes == file.bytes => Ok(()),
        Some(bytes) => Err(invalid(format!(
            "the artefact {} has {bytes} bytes in the store, expected {}",
            file.path, file.bytes
        ))),
        None => Err(invalid(format!(
            "the artefact {} is not in the store: put its content ({}) first",
            file.path, file.sha256
        ))),
    }
}
