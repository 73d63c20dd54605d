//! The bytes that a state is saved as: its version, then postcard.

use forecast::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What was seen, as bytes of this version.
pub(crate) fn save(version: u8, seen: &impl Serialize) -> Result<Vec<u8>> {
    postcard::to_extend(seen, vec![version]).map_err(|e| Error::State {
        reason: format!("cannot be written: {e}"),
    })
}

/// What was seen, of bytes of this version.
pub(crate) fn load<T: DeserializeOwned>(version: u8, state: &[u8]) -> Result<T> {
    let damaged = |reason: String| Error::State { reason };
    match state.split_first() {
        Some((found, body)) if *found == version => {
            postcard::from_bytes(body).map_err(|e| damaged(format!("damaged: {e}")))
        }
        Some((found, _)) => Err(damaged(format!(
            "version {found}, and this build reads version {version}"
        ))),
        None => Err(damaged("no bytes".to_owned())),
    }
}
