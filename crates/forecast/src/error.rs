//! What can go wrong in the core, as data.
//!
//! Model: one enum for the whole crate. Every variant carries what a caller needs to explain it;
//! [`Error::kind`] is what retry logic and HTTP mapping read.
//! Does not: log, wrap foreign errors (the crate does no input or output).

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Characters of a name that is not understood which its error repeats: names come from outside.
const SHOWN: usize = 64;

/// Why a fit, a forecast or a score was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The series has fewer usable (non-missing) observations than the model needs.
    #[error("{model} needs at least {needed} observations, got {got}")]
    TooShort {
        /// Name of the model.
        model: String,
        /// Smallest number of non-missing observations.
        needed: usize,
        /// Number of non-missing observations given.
        got: usize,
    },
    /// A value is infinite or so large that its square overflows.
    #[error("observation {index} is {value}: values must be finite and below 1e150 in size")]
    NotFinite {
        /// Position in the series, from 0.
        index: usize,
        /// The offending value.
        value: f64,
    },
    /// The largest value of the series is so small that squares vanish.
    #[error("the largest value is {largest:e} in size: expected 0 everywhere, or at least 1e-150")]
    TooSmall {
        /// The largest absolute value.
        largest: f64,
    },
    /// A logarithm was asked for and a value is zero or negative.
    #[error("observation {index} is {value}: the log transform needs positive values")]
    NotPositive {
        /// Position in the series, from 0.
        index: usize,
        /// The offending value.
        value: f64,
    },
    /// An argument is outside its domain.
    #[error("{name}: {reason}")]
    Argument {
        /// Name of the argument.
        name: &'static str,
        /// What was expected, and what was given.
        reason: String,
    },
    /// A model name does not follow the grammar of [`crate::ModelSpec`].
    #[error("unknown model `{input}`: expected {expected}")]
    Parse {
        /// What was given; the beginning of it, where it is longer than a name can be.
        input: String,
        /// What would have been understood.
        expected: &'static str,
    },
    /// The model is known but cannot do what was asked of it.
    #[error("{what} is not supported")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// The numbers broke down: no finite likelihood, or a forecast that is not finite.
    #[error("{model}: {reason}")]
    Numeric {
        /// Name of the model.
        model: String,
        /// What broke down.
        reason: String,
    },
    /// A reference has a scheme that no provider knows.
    #[error("no models are known under the scheme `{scheme}`: {}", schemes(.known))]
    UnknownScheme {
        /// The scheme given.
        scheme: String,
        /// The schemes that are known.
        known: Vec<String>,
    },
    /// The bytes of a saved state are of another model or version, or damaged; or they cannot be written.
    #[error("the model's state: {reason}")]
    State {
        /// What is wrong with it.
        reason: String,
    },
    /// The reference is well formed, and its model cannot be had: no such file, alias or version, or a damaged one.
    #[error("{model}: {reason}")]
    Unavailable {
        /// The reference.
        model: String,
        /// Why not.
        reason: String,
    },
    /// The caller's [`crate::CancelToken`] was set.
    #[error("cancelled")]
    Cancelled,
}

fn schemes(known: &[String]) -> String {
    match known {
        [] => "no schemes are, only names such as ets".to_owned(),
        known => format!(
            "expected a name such as ets, or one of {}",
            known.join(", ")
        ),
    }
}

/// The coarse class of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's data or arguments: trying again changes nothing.
    Invalid,
    /// The request is well formed, the ability is missing.
    Unsupported,
    /// The model that is named cannot be had.
    Unavailable,
    /// The computation broke down on data that looked right.
    Numeric,
    /// Stopped on request.
    Cancelled,
}

impl Error {
    /// The class of this error, for retry logic and HTTP mapping.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooShort { .. }
            | Self::NotFinite { .. }
            | Self::TooSmall { .. }
            | Self::NotPositive { .. }
            | Self::Argument { .. }
            | Self::UnknownScheme { .. }
            | Self::State { .. }
            | Self::Parse { .. } => ErrorKind::Invalid,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Numeric { .. } => ErrorKind::Numeric,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }

    pub(crate) fn parse(input: &str, expected: &'static str) -> Self {
        Self::Parse {
            input: input.chars().take(SHOWN).collect(),
            expected,
        }
    }

    pub(crate) fn state(reason: impl Into<String>) -> Self {
        Self::State {
            reason: reason.into(),
        }
    }

    pub(crate) fn argument(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Argument {
            name,
            reason: reason.into(),
        }
    }

    pub(crate) fn numeric(model: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Numeric {
            model: model.into(),
            reason: reason.into(),
        }
    }
}
