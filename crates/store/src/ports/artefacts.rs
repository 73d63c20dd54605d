//! The content of model files, under its SHA-256.
//!
//! Model: a content is put once, whatever versions name it, and never changes. It is put before the version
//! that names it is registered; a version whose content is not there is refused.
//!
//! Does not: know what is in a file, or which version it belongs to.

use async_trait::async_trait;

use crate::Result;

/// Bytes of a content at most.
pub const MOST_ARTEFACT_BYTES: usize = 256 << 20;

/// Keeps the content of model files.
#[async_trait]
pub trait Artefacts: Send + Sync {
    /// Keeps a content, and returns its SHA-256 in hexadecimal digits. When it returns, the content is on
    /// disk as a whole; a process that dies before it leaves none under that name.
    ///
    /// # Errors
    /// Invalid: longer than [`MOST_ARTEFACT_BYTES`]. Unavailable: no room, or the store is away. The contents
    /// that were there are untouched.
    async fn put(&self, content: Vec<u8>) -> Result<String>;

    /// The content, checked against its SHA-256.
    ///
    /// # Errors
    /// Invalid: not 64 hexadecimal digits. NotFound. Altered: it is not what was put; the message names the
    /// file. Unavailable or internal.
    async fn get(&self, sha256: &str) -> Result<Vec<u8>>;

    /// Whether a content is there, by its name and length alone.
    ///
    /// # Errors
    /// Invalid: not 64 hexadecimal digits. Unavailable or internal.
    async fn has(&self, sha256: &str) -> Result<bool>;
}
