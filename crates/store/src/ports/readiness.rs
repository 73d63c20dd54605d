//! Whether the store can do its work.

use async_trait::async_trait;

use crate::Result;

/// Says whether the store can do its work.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Returns when it can be read, and nothing speaks against its being written. When writes have
    /// failed, one is tried.
    ///
    /// # Errors
    /// Why it cannot: the last error of a write that has not been followed by one which went through,
    /// a damaged file, a server that is down.
    async fn ready(&self) -> Result<()>;
}
