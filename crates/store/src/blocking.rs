//! Work on files, on a thread that may block.

use crate::{Result, StoreError};

/// Does the work, and waits for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(StoreError::Internal {
            detail: format!("writing was cut off: {error}"),
        })
    })
}
