//! Why a round of training gave no verdict.

use market::ErrorKind;

use super::check::DataFault;

/// Why there is no outcome. A candidate that is refused by the gate is an outcome, and no error.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainingError {
    /// The closes are not fit to learn from; all that is wrong with them.
    #[error("not trained: {}", in_words(.faults))]
    Data {
        /// What is wrong, at least one.
        faults: Vec<DataFault>,
    },
    /// A number of the recipe cannot be, or does not go with another.
    #[error("{field}: {reason}")]
    Recipe {
        /// The field.
        field: &'static str,
        /// What was expected, and what was given.
        reason: String,
    },
    /// A model cannot be had or fitted.
    #[error("{model}: {source}")]
    Model {
        /// Its reference.
        model: String,
        /// Why.
        source: forecast::Error,
    },
    /// The gate cannot judge what it was shown.
    #[error("{0}")]
    Gate(#[from] crate::Error),
    /// It was to stop.
    #[error("cancelled")]
    Cancelled,
}

/// Faults as one sentence.
#[must_use]
pub fn in_words(faults: &[DataFault]) -> String {
    let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
    words.join("; ")
}

impl TrainingError {
    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Model { source, .. } => match source.kind() {
                forecast::ErrorKind::Unavailable => ErrorKind::NotFound,
                forecast::ErrorKind::Numeric => ErrorKind::Internal,
                _ => ErrorKind::Invalid,
            },
            Self::Gate(source) => source.kind(),
            Self::Data { .. } | Self::Recipe { .. } | Self::Cancelled => ErrorKind::Invalid,
        }
    }

    pub(super) fn recipe(field: &'static str, reason: String) -> Self {
        Self::Recipe { field, reason }
    }

    pub(super) fn model(model: &str, source: forecast::Error) -> Self {
        match source {
            forecast::Error::Cancelled => Self::Cancelled,
            source => Self::Model {
                model: model.to_owned(),
                source,
            },
        }
    }
}
