//! What can go wrong, as data.
//!
//! Model: one enum for the crate; [`Error::kind`] is what callers map. Sizes of slices are the caller's
//! contract and asserted; what comes from outside (a configuration, a file) is an error.

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration that makes no network.
    #[error("{name}: {reason}")]
    Config {
        /// What of it.
        name: &'static str,
        /// What was expected, and what was given.
        reason: String,
    },
    /// A file of weights that is not one, or is damaged.
    #[error("not a safetensors file: {reason}")]
    Format {
        /// What is wrong.
        reason: String,
    },
    /// A tensor that the network needs is not in the file.
    #[error("tensor {name:?} is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor has another shape than the network's.
    #[error("tensor {name:?} has shape {got:?}, expected {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// The network's.
        expected: Vec<usize>,
        /// The file's.
        got: Vec<usize>,
    },
    /// A weight is not a finite number.
    #[error("tensor {name:?} holds a value that is not finite")]
    NotFinite {
        /// The tensor's name.
        name: String,
    },
    /// There is nothing to train on.
    #[error("training needs at least one {what} window, got none")]
    NoWindows {
        /// Of which block.
        what: &'static str,
    },
    /// The loss is no longer a number.
    #[error("the training diverged in epoch {epoch}: the loss is not finite")]
    Diverged {
        /// Counted from 1.
        epoch: usize,
    },
    /// Stopped on request.
    #[error("cancelled")]
    Cancelled,
}

/// The coarse class of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's data or arguments: trying again changes nothing.
    Invalid,
    /// The computation broke down on data that looked right.
    Numeric,
    /// Stopped on request.
    Cancelled,
}

impl Error {
    /// The class of this error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Diverged { .. } => ErrorKind::Numeric,
            Self::Cancelled => ErrorKind::Cancelled,
            _ => ErrorKind::Invalid,
        }
    }

    pub(crate) fn config(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Config {
            name,
            reason: reason.into(),
        }
    }

    pub(crate) fn format(reason: impl Into<String>) -> Self {
        Self::Format {
            reason: reason.into(),
        }
    }
}
