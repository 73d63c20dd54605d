//! Who may do what: tokens with a role, the sessions that a browser gets for one, and the log of what
//! was done with them.
//!
//! Model: a token is made once by `tickcast token new`, shown once, and kept as an Argon2 hash in
//! [`tokens`], a file that every process of one installation can share. [`verifier`] answers for it at
//! the cost of one SHA-256 once it has been verified. The HTTP side (`crate::http::guard`) asks for a
//! role by route; here nothing knows of HTTP.
//!
//! What it does not do: keep users or passwords, or encrypt what goes over the wire (a proxy does).

pub mod audit;
pub mod failures;
pub mod sessions;
pub mod tokens;
pub mod verifier;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a token allows. Each role holds the ones before it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[schema(as = AccessRole)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look: pages, prices, forecasts, predictions, WebSockets, metrics.
    Read,
    /// Push prices, run backtests.
    Write,
    /// Replay dead letters, load data, read the audit log.
    Admin,
}

impl Role {
    /// All, the weakest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| "expected read, write or admin".to_owned())
    }
}

/// On whose behalf something is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AccessHolder)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Who {
    /// The holder of a token.
    Token {
        /// The token's id.
        id: String,
        /// Its name.
        name: String,
        /// What it allows.
        role: Role,
    },
    /// Somebody on this machine, while no token has been made, or who only reads.
    Anybody,
    /// A command, by the user who ran it.
    Command {
        /// The user's name, as the environment has it.
        user: String,
    },
}

impl Who {
    /// Whoever runs this process.
    pub fn of_this_process() -> Self {
        let user = ["USER", "LOGNAME", "USERNAME"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
        Self::Command {
            user: user.unwrap_or_else(|| "unknown".to_owned()),
        }
    }

    /// What it may do by a token; `None` without one.
    pub const fn role(&self) -> Option<Role> {
        match self {
            Self::Token { role, .. } => Some(*role),
            Self::Anybody | Self::Command { .. } => None,
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { id, name, role } => write!(f, "{name} (token {id}, {role})"),
            Self::Anybody => f.write_str("anybody on this machine"),
            Self::Command { user } => write!(f, "{user} (command line)"),
        }
    }
}
