//! The files of models in a backup: a folder beside it, of its name and `.artefacts`.
//!
//! Model: the files that the versions in the copied database name, each under its SHA-256 and held to it on the way. A
//! file that is missing or altered is told, and keeps nothing else from being copied. What is there already and whole is
//! left, so that a backup or a restore that was cut off is done again.
//!
//! What it does not do: copy contents that no version names.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{
    artefacts,
    backup::{unusable, with_suffix},
    fault::damaged,
};
use crate::{Artefact, Result};

/// Files that were copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CopiedFiles {
    pub(super) files: usize,
    /// What could not be, and why.
    pub(super) faults: Vec<String>,
}

/// The folder beside a backup.
pub(super) fn folder_of(backup: &Path) -> PathBuf {
    with_suffix(backup, ".artefacts")
}

/// The contents that the versions of a database name; none in one of before there were any.
pub(super) fn named(conn: &Connection) -> Result<BTreeSet<String>> {
    let table = "model_version_details";
    let mut sha256s = BTreeSet::new();
    if !conn.table_exists(None, table)? {
        return Ok(sha256s);
    }
    let mut statement = conn.prepare(&format!("SELECT artefacts FROM {table}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        let files: Vec<Artefact> = serde_json::from_str(&text)
            .map_err(|e| damaged(&format!("a version's artefacts: {e}")))?;
        sha256s.extend(files.into_iter().map(|file| file.sha256));
    }
    Ok(sha256s)
}

/// Copies contents from a data directory into the folder of a backup.
pub(super) fn back_up(
    named: &BTreeSet<String>,
    data_dir: &Path,
    folder: &Path,
) -> Result<CopiedFiles> {
    let mut copied = CopiedFiles::default();
    if named.is_empty() {
        return Ok(copied);
    }
    fs::create_dir_all(folder).map_err(unusable(folder))?;
    for sha256 in named {
        if whole(folder, sha256) {
            copied.files += 1;
            continue;
        }
        match artefacts::get(data_dir, sha256) {
            Ok(bytes) => {
                artefacts::write_whole(folder, sha256, &bytes).map_err(unusable(folder))?;
                copied.files += 1;
            }
            Err(error) => copied.faults.push(error.to_string()),
        }
    }
    artefacts::sync(folder).map_err(unusable(folder))?;
    Ok(copied)
}

/// Puts the contents of a backup's folder into a data directory.
pub(super) fn put_back(
    named: &BTreeSet<String>,
    folder: &Path,
    data_dir: &Path,
) -> Result<CopiedFiles> {
    let mut copied = CopiedFiles::default();
    for sha256 in named {
        let path = folder.join(sha256);
        let found = artefacts::read(&path, sha256, unusable(&path));
        match found {
            Ok(bytes) => {
                artefacts::put(data_dir, &bytes)?;
                copied.files += 1;
            }
            // Where the data directory has it, nothing is missing.
            Err(_) if artefacts::get(data_dir, sha256).is_ok() => copied.files += 1,
            Err(error) => copied.faults.push(error.to_string()),
        }
    }
    Ok(copied)
}

fn whole(folder: &Path, sha256: &str) -> bool {
    let path = folder.join(sha256);
    artefacts::read(&path, sha256, unusable(&path)).is_ok()
}
