//! Artefacts: files in the folder `artefacts` of the data directory, named by the SHA-256 of their content.
//!
//! Model: a content goes into a file of a temporary name, is synced, renamed, and the folder synced. So a file
//! of that name holds all of it, whenever the process dies. What a process left half is removed when the store
//! is opened.
//!
//! Does not: remove contents that no version names any more.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    Artefact, MOST_ARTEFACT_BYTES, Result, StoreError,
    check::invalid,
    content::{self, sha256_of},
};

/// The folder in the data directory.
const FOLDER: &str = "artefacts";
/// What the names of files begin with that are not whole yet.
const PART: &str = "part-";

static NEXT_PART: AtomicU64 = AtomicU64::new(0);

fn unavailable(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |error| StoreError::Unavailable {
        detail: format!("{}: {error}", path.display()),
    }
}

/// Removes what was left half. To be called by who holds the data directory.
pub(super) fn tidy(data_dir: &Path) -> Result<()> {
    let folder = data_dir.join(FOLDER);
    let unusable = |error: io::Error| StoreError::Directory {
        path: folder.clone(),
        detail: error.to_string(),
    };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(error)),
    };
    for entry in entries {
        let entry = entry.map_err(unusable)?;
        if entry.file_name().to_string_lossy().starts_with(PART) {
            fs::remove_file(entry.path()).map_err(unusable)?;
        }
    }
    Ok(())
}

/// The folder, made when it is not there.
fn folder(data_dir: &Path) -> io::Result<PathBuf> {
    let folder = data_dir.join(FOLDER);
    match fs::create_dir(&folder) {
        Ok(()) => sync(data_dir)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    Ok(folder)
}

/// Makes names in a folder last.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn path_of(data_dir: &Path, sha256: &str) -> PathBuf {
    data_dir.join(FOLDER).join(sha256)
}

/// See [`crate::Artefacts::put`].
pub(super) fn put(data_dir: &Path, content: &[u8]) -> Result<String> {
    if content.len() > MOST_ARTEFACT_BYTES {
        return Err(invalid(format!(
            "an artefact of {} bytes: expected at most {MOST_ARTEFACT_BYTES}",
            content.len()
        )));
    }
    let sha256 = sha256_of(content);
    let path = path_of(data_dir, &sha256);
    // One that was altered is put anew.
    if fs::read(&path).is_ok_and(|there| there == content) {
        return Ok(sha256);
    }
    let written = folder(data_dir).and_then(|folder| {
        write_whole(&folder, &sha256, content)?;
        sync(&folder)
    });
    written.map_err(unavailable(&path))?;
    Ok(sha256)
}

/// Writes a content into a folder under its name, whole or not at all.
pub(super) fn write_whole(folder: &Path, sha256: &str, content: &[u8]) -> io::Result<()> {
    let number = NEXT_PART.fetch_add(1, Ordering::Relaxed);
    let part = folder.join(format!("{PART}{}-{number}", std::process::id()));
    let written = write(&part, content).and_then(|()| fs::rename(&part, folder.join(sha256)));
    written.inspect_err(|_| {
        // The room it took is wanted by others.
        let _ = fs::remove_file(&part);
    })
}

fn write(part: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(part)?;
    file.write_all(content)?;
    file.sync_all()
}

/// See [`crate::Artefacts::get`].
pub(super) fn get(data_dir: &Path, sha256: &str) -> Result<Vec<u8>> {
    let path = path_of(data_dir, sha256);
    read(&path, sha256, unavailable(&path))
}

/// A file, held to its hash; what it is that it cannot be read is `unreadable`.
pub(super) fn read(
    path: &Path,
    sha256: &str,
    unreadable: impl FnOnce(io::Error) -> StoreError,
) -> Result<Vec<u8>> {
    match fs::read(path) {
        Ok(bytes) => content::checked(bytes, sha256, &path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(content::not_found(sha256, &path.display()))
        }
        Err(error) => Err(unreadable(error)),
    }
}

/// The length of a content that is there.
pub(super) fn length(data_dir: &Path, sha256: &str) -> Result<Option<u64>> {
    let path = path_of(data_dir, sha256);
    match fs::metadata(&path) {
        Ok(found) => Ok(found.is_file().then_some(found.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unavailable(&path)(error)),
    }
}

/// Refuses files whose content is not there.
pub(super) fn refuse_missing(data_dir: &Path, files: &[Artefact]) -> Result<()> {
    for file in files {
        content::check_length(file, length(data_dir, &file.sha256)?)?;
    }
    Ok(())
}
