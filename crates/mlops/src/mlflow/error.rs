//! What can go wrong with MLflow, and whether sending the same again can help.

use std::time::Duration;

use market::ErrorKind;
use store::StoreError;

/// What went wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MlflowError {
    /// A setting cannot be right.
    #[error("{key}: {expected}")]
    Config {
        /// The setting's name.
        key: &'static str,
        /// What was expected, and what came.
        expected: String,
    },
    /// What is to be sent cannot be right, whatever the server says.
    #[error("the record cannot be sent: {detail}")]
    Record {
        /// What is wrong with it.
        detail: String,
    },
    /// Nobody answered, or the connection ended in the middle.
    #[error("MLflow at {url} is not reached: {detail}")]
    Unreachable {
        /// The server's address, without credentials.
        url: String,
        /// What the network said.
        detail: String,
    },
    /// No answer came in time. The server may have done what was asked.
    #[error("MLflow at {url} did not answer within {timeout_ms} ms")]
    Timeout {
        /// The server's address, without credentials.
        url: String,
        /// The limit.
        timeout_ms: u64,
    },
    /// The server, or what stands in front of it, answered 408, 429 or 5xx.
    #[error("MLflow answered {status} to {call}: {detail}")]
    Unavailable {
        /// What was asked for.
        call: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        detail: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The server does not let us in, or what answers is no MLflow: somebody has to change that, and nothing
    /// that is sent will be taken before.
    #[error("MLflow at {url} takes nothing from here: {detail}")]
    Denied {
        /// The server's address, without credentials.
        url: String,
        /// Why, and what to look at.
        detail: String,
    },
    /// The server refused this request.
    #[error("MLflow refused {call} with {status} {code}: {detail}")]
    Refused {
        /// What was asked for.
        call: String,
        /// The HTTP status.
        status: u16,
        /// MLflow's code, such as INVALID_PARAMETER_VALUE.
        code: String,
        /// Its words.
        detail: String,
    },
    /// What was asked for is not there.
    #[error("MLflow has no {what}")]
    NotFound {
        /// What.
        what: String,
    },
    /// A success whose body is not what MLflow sends.
    #[error("MLflow's answer to {call} is not as expected: {detail}")]
    Answer {
        /// What was asked for.
        call: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Somebody deleted in MLflow what is to be written to.
    #[error("{what} was deleted in MLflow: restore it there, or delete it for good")]
    Deleted {
        /// What.
        what: String,
    },
    /// Another record has gone to MLflow under the same job id.
    #[error(
        "run {run} of the experiment {experiment:?} has the job id {job:?} and another content: two Tickcasts \
         that write to one MLflow need experiments of their own"
    )]
    Conflict {
        /// The job id.
        job: String,
        /// The experiment's name.
        experiment: String,
        /// MLflow's run id.
        run: String,
    },
    /// It was sent and acknowledged, and is not there when it is read back.
    #[error("MLflow acknowledged {what} of run {run} and did not keep it: {detail}")]
    NotKept {
        /// MLflow's run id.
        run: String,
        /// Which of the values.
        what: String,
        /// What was found.
        detail: String,
    },
    /// An artefact is not what was sent.
    #[error(
        "the artefact {path} of {of} has the SHA-256 {found}, and {expected} was sent: it was altered or cut"
    )]
    Altered {
        /// The run or version.
        of: String,
        /// The file.
        path: String,
        /// What it should have.
        expected: String,
        /// What it has.
        found: String,
    },
    /// MLflow keeps a run's artefacts where it does not hand them out itself.
    #[error(
        "the artefacts of this run are at {uri}, which MLflow does not hand out itself: start `mlflow server` with \
         --artifacts-destination, and without --no-serve-artifacts or --default-artifact-root, and use an experiment \
         that was made since"
    )]
    Elsewhere {
        /// MLflow's address of them.
        uri: String,
    },
    /// The store of this process: the outbox, or an artefact that is to be sent.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether to send the same again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Until it succeeds: the failure says nothing about what was sent.
    Always,
    /// Some times: it may be a hiccup, or this very record.
    Sometimes,
    /// Not before somebody has changed something about it.
    Never,
}

impl MlflowError {
    /// Whether to send the same again.
    pub const fn again(&self) -> Again {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Denied { .. }
            | Self::Config { .. } => Again::Always,
            Self::Unavailable { status, .. } => match status {
                408 | 429 | 502..=504 => Again::Always,
                _ => Again::Sometimes,
            },
            Self::Answer { .. }
            | Self::Altered { .. }
            | Self::NotFound { .. }
            | Self::Deleted { .. } => Again::Sometimes,
            Self::Refused { status, .. } => match status {
                409 | 425 => Again::Sometimes,
                _ => Again::Never,
            },
            Self::Store(e) => match e.kind() {
                ErrorKind::NotFound | ErrorKind::Invalid => Again::Never,
                kind if kind.is_transient() => Again::Always,
                _ => Again::Sometimes,
            },
            Self::Record { .. }
            | Self::Conflict { .. }
            | Self::NotKept { .. }
            | Self::Elsewhere { .. } => Again::Never,
        }
    }

    /// How long the server asks to wait.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The kind, for HTTP statuses.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. }
            | Self::Record { .. }
            | Self::Refused { .. }
            | Self::Elsewhere { .. } => ErrorKind::Invalid,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Unreachable { .. }
            | Self::Unavailable { .. }
            | Self::Denied { .. }
            | Self::Answer { .. } => ErrorKind::Unavailable,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Deleted { .. } | Self::Conflict { .. } => ErrorKind::Conflict,
            Self::NotKept { .. } | Self::Altered { .. } => ErrorKind::Internal,
            Self::Store(e) => e.kind(),
        }
    }
}

/// The module's result.
pub type Result<T> = std::result::Result<T, MlflowError>;
