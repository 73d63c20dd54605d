//! What can go wrong, as data.
//!
//! Model: one enum for the crate; [`Error::kind`] is what retry logic and HTTP mapping read.

use std::{io, path::PathBuf};

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A network, a file of weights or a training.
    #[error(transparent)]
    Kernels(#[from] kernels::Error),
    /// A series has fewer values than a window.
    #[error("{model} needs {needed} values in a row before the forecast, got {got}")]
    TooShort {
        /// The model.
        model: String,
        /// Values needed.
        needed: usize,
        /// Values there.
        got: usize,
    },
    /// The last window holds a missing value or one that is not finite.
    #[error(
        "value {index} is missing or not finite: a window of {window} values needs all of them"
    )]
    Gap {
        /// Position in the series, from 0.
        index: usize,
        /// Length of the window.
        window: usize,
    },
    /// The model was trained on logarithms and a value is zero or negative.
    #[error("value {index} is {value}: the model was trained on logarithms")]
    NotPositive {
        /// Position in the series, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// The window does not move: there is no scale to forecast by.
    #[error("the last {window} values are all the same: there is no scale to forecast by")]
    Constant {
        /// Length of the window.
        window: usize,
    },
    /// More steps than the model was trained for.
    #[error("the model was trained for 1 to {longest} steps, asked for {asked}")]
    Horizon {
        /// Steps it was trained for.
        longest: usize,
        /// Steps asked for.
        asked: usize,
    },
    /// A covariate that the model was trained with is not given.
    #[error("the model was trained with the covariate {covariate}, which is not given: {reason}")]
    Covariate {
        /// Its name.
        covariate: String,
        /// What is missing.
        reason: String,
    },
    /// An argument out of its range.
    #[error("{name}: {reason}")]
    Argument {
        /// Name of the argument.
        name: &'static str,
        /// What was expected, and what was given.
        reason: String,
    },
    /// No series has a window to train on.
    #[error("{reason}")]
    NoData {
        /// Why not.
        reason: String,
    },
    /// A file of an artefact or a checkpoint cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of an artefact is not the one that was written.
    #[error("{path}: {reason}", path = path.display())]
    Artefact {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A device other than this processor's kernels failed, or does not take the network.
    #[error("the device {device}: {reason}")]
    Device {
        /// Which.
        device: String,
        /// What it said.
        reason: String,
    },
    /// The forecast's numbers.
    #[error(transparent)]
    Forecast(#[from] forecast::Error),
}

/// The coarse class of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's data or arguments: trying again changes nothing.
    Invalid,
    /// A file that is not there or cannot be had.
    Unavailable,
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
            Self::File { .. } | Self::Device { .. } => ErrorKind::Unavailable,
            Self::Kernels(e) => match e.kind() {
                kernels::ErrorKind::Cancelled => ErrorKind::Cancelled,
                kernels::ErrorKind::Numeric => ErrorKind::Numeric,
                _ => ErrorKind::Invalid,
            },
            Self::Forecast(e) if e.kind() == forecast::ErrorKind::Numeric => ErrorKind::Numeric,
            _ => ErrorKind::Invalid,
        }
    }

    pub(crate) fn argument(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Argument {
            name,
            reason: reason.into(),
        }
    }
}

/// As the forecasting core says it, for its backtests.
impl From<Error> for forecast::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Forecast(error) => error,
            Error::TooShort { model, needed, got } => Self::TooShort { model, needed, got },
            Error::NotPositive { index, value } => Self::NotPositive { index, value },
            Error::Horizon { .. } => Self::Argument {
                name: "horizon",
                reason: error.to_string(),
            },
            other => Self::Numeric {
                model: "neural".into(),
                reason: other.to_string(),
            },
        }
    }
}
