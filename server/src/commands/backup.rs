//! `tickcast backup` and `tickcast restore`: a copy of the embedded database and the files of its models, also of a
//! running server's, and a copy put back.

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
};

use clap::Args;
use store::{Copied, SqliteStore, StoreError};

use crate::{
    config::{Config, StoreKind},
    error::{CommandError, Result},
    terminal,
};

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// File to write; it must not be there
    path: PathBuf,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Backup to put in the place of the database; no server may run on the data directory
    path: PathBuf,
    /// Replace the database that is there, which is kept beside it under another name
    #[arg(long)]
    force: bool,
}

fn embedded(config: &Config) -> Result<PathBuf> {
    match &config.store.kind {
        StoreKind::Sqlite => Ok(config.store.data_dir.clone()),
        StoreKind::Mongo(_) => Err(CommandError::input(
            "the store is MongoDB's: use mongodump and mongorestore, or snapshots of its disks",
        )),
        StoreKind::Csv(dir) => Err(CommandError::input(format!(
            "the store is a folder of files, {}: copy it, or import its files into another store",
            dir.display()
        ))),
    }
}

/// Makes a backup.
///
/// # Errors
/// The store's.
pub async fn backup(args: &BackupArgs, config: &Config) -> Result<()> {
    let data_dir = embedded(config)?;
    let shown = std::io::stderr().is_terminal();
    let mut last = None;
    let progress = move |done: u64, pages: u64| {
        let percent = (done * 100).checked_div(pages);
        if shown && percent != last {
            last = percent;
            eprint!("\r{} %", percent.unwrap_or(100));
        }
    };
    let copied = SqliteStore::backup(data_dir, args.path.clone(), progress).await;
    if shown {
        eprint!("\r");
    }
    tell("backed up", &copied?)
}

/// Restores one.
///
/// # Errors
/// The store's.
pub async fn restore(args: &RestoreArgs, config: &Config) -> Result<()> {
    let data_dir = embedded(config)?;
    let restored = SqliteStore::restore(args.path.clone(), data_dir, args.force).await;
    let restored = restored.map_err(|error| match error {
        StoreError::Exists { path } => CommandError::input(format!(
            "{} is there already: --force replaces it, and keeps it under another name",
            path.display()
        )),
        other => other.into(),
    })?;
    tell("restored", &restored)
}

fn tell(what: &str, copied: &Copied) -> Result<()> {
    let mut out = terminal::stdout();
    let rows: Vec<String> = copied
        .rows
        .iter()
        .map(|(table, rows)| format!("{rows} {}", table.replace('_', " ")))
        .collect();
    let path = copied.path.display();
    writeln!(out, "{what} {path}: {} bytes, checked", copied.bytes)?;
    writeln!(out, "{}", rows.join(", "))?;
    if copied.artefacts > 0 {
        writeln!(
            out,
            "{} files of models, each held to its hash",
            copied.artefacts
        )?;
    }
    if let Some(kept) = &copied.kept {
        writeln!(out, "the database that was there is {}", kept.display())?;
    }
    if let Some(first) = copied.faults.first() {
        let number = copied.faults.len();
        return Err(CommandError::Internal {
            detail: format!(
                "the database is {what}, and {number} files of models are not: {first}"
            ),
        });
    }
    Ok(())
}
