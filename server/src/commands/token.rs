//! `tickcast token`: makes, lists and revokes the tokens of this data directory. A running server
//! knows of it at once.

use std::io::Write as _;

use clap::{Args, Subcommand};
use comfy_table::Table;
use pipeline::{Clock as _, SystemClock};
use serde_json::json;

use crate::{
    access::{
        Role, Who,
        audit::{Act, AuditLog},
        tokens::{Token, TokenFile},
    },
    config::Config,
    error::Result,
};

/// Arguments.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// What to do
    #[command(subcommand)]
    action: Action,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make one and print it: the only time that it is shown
    New {
        /// What it allows: read (look), write (also pushes and backtests), admin (also replays and
        /// imports)
        #[arg(long)]
        role: Role,
        /// What it is called in lists and in the audit log [default: the role]
        #[arg(long)]
        name: Option<String>,
    },
    /// List them, without what they read
    List {
        /// One JSON object per line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Revoke one: whoever holds it, or logged in with it, is out
    Revoke {
        /// Its id, or its name where only one has it
        token: String,
    },
}

/// Runs the command.
///
/// # Errors
/// The file of tokens cannot be read or written; there is no such token.
pub fn run(args: &TokenArgs, config: &Config) -> Result<()> {
    let file = TokenFile::in_folder(&config.web.access_dir);
    let audit = AuditLog::in_folder(&config.web.access_dir);
    let record = |act, token: &Token| {
        let what = json!({ "id": token.id, "name": token.name, "role": token.role });
        audit.record(SystemClock.now(), act, &Who::of_this_process(), None, what);
    };
    let mut out = std::io::stdout().lock();
    match &args.action {
        Action::New { role, name } => {
            let name = name.as_deref().unwrap_or(role.as_str());
            let (token, text) = Token::make(name, *role, SystemClock.now())?;
            file.add(token.clone())?;
            record(Act::TokenMade, &token);
            // The token alone on standard output, for a script that keeps it.
            writeln!(out, "{text}")?;
            eprintln!(
                "This is shown once. The token {} ({role}, id {}) is in {} as a hash; send it as `Authorization: Bearer`, in TICKCAST_TOKEN, or log in with it at /login.",
                token.name,
                token.id,
                file.path().display()
            );
        }
        Action::List { json: true } => {
            for token in file.read()? {
                let line = json!({ "id": token.id, "name": token.name, "role": token.role, "made": token.made });
                writeln!(out, "{line}")?;
            }
        }
        Action::List { json: false } => {
            let tokens = file.read()?;
            if tokens.is_empty() {
                writeln!(out, "no tokens")?;
                return Ok(());
            }
            let mut table = Table::new();
            table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
            table.set_header(["id", "name", "role", "made"]);
            for token in tokens {
                table.add_row([token.id, token.name, token.role.to_string(), token.made]);
            }
            writeln!(out, "{table}")?;
        }
        Action::Revoke { token } => {
            let token = file.remove(token)?;
            record(Act::TokenRevoked, &token);
            writeln!(
                out,
                "{} ({}, id {}) is revoked",
                token.name, token.role, token.id
            )?;
            if file.read()?.is_empty() {
                eprintln!(
                    "No token is left: on this machine everybody may do everything, and nothing beyond it can be listened to."
                );
            }
        }
    }
    Ok(())
}
