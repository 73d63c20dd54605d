//! The crate's error.

use market::ErrorKind;

/// Why a chart could not be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChartError {
    /// The drawing backend failed.
    #[error("the drawing surface refused: {detail}")]
    Surface {
        /// What the backend said.
        detail: String,
    },
    /// The browser gave no 2D context for the canvas: another kind of context is in use on it.
    #[error("the canvas gives no 2d context")]
    Context,
}

impl ChartError {
    /// Always [`ErrorKind::Internal`]: no input makes a chart fail.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, ChartError>;
