//! What a command can end with, and the exit code that says it: 2 when it could not begin (a fault
//! in the configuration, the input or the surroundings), 1 when it failed on the way.

use std::{io, path::PathBuf};

use market::ErrorKind;

use crate::{access::tokens::TokenError, config::ConfigError};

/// Why a command ended.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration has faults.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The web server's address cannot be had.
    #[error("{address} is in use: stop what listens there, or choose another with --port")]
    AddressInUse {
        /// The address.
        address: std::net::SocketAddr,
    },
    /// The web server's address cannot be listened on for another reason.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The input is not what the command needs.
    #[error("{detail}")]
    Input {
        /// What is wrong with it.
        detail: String,
    },
    /// Another tickcast answered with a problem, or could not be reached.
    #[error("{url}: {detail}")]
    Remote {
        /// What was asked.
        url: String,
        /// What came back.
        detail: String,
    },
    /// Tokens.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The bus.
    #[error(transparent)]
    Bus(#[from] bus::BusError),
    /// A model.
    #[error(transparent)]
    Forecast(#[from] forecast::Error),
    /// A neural model or its files.
    #[error(transparent)]
    Neural(#[from] neural::Error),
    /// A schedule or a calendar.
    #[error(transparent)]
    Mlops(#[from] mlops::Error),
    /// Writing the results.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// It ended with some of its work undone.
    #[error("{detail}")]
    Partial {
        /// What was left.
        detail: String,
    },
    /// A fault of ours.
    #[error("{detail}")]
    Internal {
        /// What happened.
        detail: String,
    },
}

impl CommandError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Partial { .. } | Self::Internal { .. } | Self::Output(_) => 1,
            Self::Forecast(_) | Self::Remote { .. } => 1,
            Self::Neural(e) if e.kind() == neural::ErrorKind::Numeric => 1,
            _ => 2,
        }
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) | Self::Input { .. } | Self::Forecast(_) => ErrorKind::Invalid,
            Self::AddressInUse { .. } | Self::Listen { .. } => ErrorKind::Conflict,
            Self::File { .. } => ErrorKind::NotFound,
            Self::Remote { .. } => ErrorKind::Unavailable,
            Self::Token(e) => e.kind(),
            Self::Neural(e) => match e.kind() {
                neural::ErrorKind::Unavailable => ErrorKind::NotFound,
                neural::ErrorKind::Numeric | neural::ErrorKind::Cancelled => ErrorKind::Internal,
                _ => ErrorKind::Invalid,
            },
            Self::Mlops(e) => e.kind(),
            Self::Store(e) => e.kind(),
            Self::Bus(e) => e.kind(),
            Self::Output(_) | Self::Partial { .. } | Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    /// Input that is not what the command needs.
    pub fn input(detail: impl Into<String>) -> Self {
        Self::Input {
            detail: detail.into(),
        }
    }
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, CommandError>;
