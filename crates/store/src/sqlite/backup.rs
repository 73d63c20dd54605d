//! Copies of the database: made while a server runs, and put back.
//!
//! Model: a backup is a reader. It opens the file with a connection of its own, which the lock of the
//! data directory does not hinder and which holds up no writer; it takes one snapshot and copies that
//! with SQLite's backup API, so what it holds is what had been committed at one moment. The copy is one
//! file without a WAL. It is then opened, checked (`quick_check`) and counted against the snapshot, and
//! gets its name last.
//!
//! A restore goes the other way, on a data directory that nobody has open: the backup is checked, copied
//! beside the old file, checked there, and renamed into its place. The old file stays under another
//! name. Whenever it is cut off, either the old database is in its place, whole, or the new one.
//!
//! The files of models are copied after the snapshot, into a folder beside the backup (`artefact_backup.rs`): a version is
//! in the database only once its files are there, and they never change. A restore puts them back before the database.
//!
//! What it does not do: copy only what changed. While a long backup runs, the WAL cannot start over and
//! grows by what is written meanwhile.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use market::Timestamp;
use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{artefact_backup, fault::damaged, schema};
use crate::{Result, StoreError, lock::lock};

/// Pages that are copied between two words on the progress.
const PAGES_AT_ONCE: i32 = 2_560;
/// What is counted.
const TABLES: [&str; 6] = [
    "symbols",
    "ticks",
    "bars",
    "forecasts",
    "outcomes",
    "dead_letters",
];

/// A copy that was made and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// What is in it: (table, rows).
    pub rows: Vec<(&'static str, u64)>,
    /// Files of models that were copied too, or are there.
    pub artefacts: usize,
    /// Files of models that are missing or altered, and so not in the copy.
    pub faults: Vec<String>,
    /// Where the database that was there before a restore is now.
    pub kept: Option<PathBuf>,
}

pub(super) fn unusable(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |error| StoreError::Directory {
        path: path.to_owned(),
        detail: error.to_string(),
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Makes a copy of the database in `data_dir`; `progress` hears of (pages done, pages).
pub(super) fn backup(
    data_dir: &Path,
    target: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<Copied> {
    let source_file = data_dir.join(schema::FILE);
    if !source_file.is_file() {
        return Err(StoreError::NotFound {
            what: format!("a database in {}", data_dir.display()),
        });
    }
    if target.exists() {
        return Err(StoreError::Exists {
            path: target.to_owned(),
        });
    }
    let part = with_suffix(target, ".part");
    let copied = copy(data_dir, &part, &mut progress).and_then(|rows| {
        let named = artefact_backup::named(&read_only(&part)?)?;
        let folder = artefact_backup::folder_of(target);
        let files = artefact_backup::back_up(&named, data_dir, &folder)?;
        sync(&part)?;
        fs::rename(&part, target).map_err(unusable(target))?;
        sync_directory_of(target)?;
        Ok((rows, files))
    });
    match copied {
        Ok((rows, files)) => Ok(Copied {
            artefacts: files.files,
            faults: files.faults,
            bytes: fs::metadata(target).map_err(unusable(target))?.len(),
            path: target.to_owned(),
            rows,
            kept: None,
        }),
        Err(error) => {
            // Half a copy must not be taken for one.
            let _ = fs::remove_file(&part);
            Err(error)
        }
    }
}

/// Copies the snapshot of now into `part`, and checks the copy.
fn copy(
    data_dir: &Path,
    part: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<(&'static str, u64)>> {
    // Left by a backup that was cut off.
    if part.exists() {
        fs::remove_file(part).map_err(unusable(part))?;
    }
    let source = schema::open_reader(data_dir)?;
    let version = known_version(&source)?;
    let expected = {
        // One snapshot for the counts and the copy.
        let snapshot = source.unchecked_transaction()?;
        let expected = count(&snapshot)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut copy = Connection::open_with_flags(part, flags)
            .map_err(|e| unusable(part)(io::Error::other(e)))?;
        // Nobody else sees the copy before it is whole and synced.
        copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
        {
            let backup = Backup::new(&snapshot, &mut copy)?;
            loop {
                let step = backup.step(PAGES_AT_ONCE)?;
                let at = backup.progress();
                let pages = u64::try_from(at.pagecount).unwrap_or(0);
                let remaining = u64::try_from(at.remaining).unwrap_or(0);
                progress(pages.saturating_sub(remaining), pages);
                match step {
                    StepResult::Done => break,
                    StepResult::More => {}
                    _ => std::thread::sleep(std::time::Duration::from_millis(5)),
                }
            }
        }
        expected
    };
    // One file that needs no other beside it; a store that opens it goes back to WAL.
    let alone = Connection::open(part)?;
    let mode: String = alone.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
    if mode != "delete" {
        return Err(damaged(&format!("the copy stays in journal mode {mode}")));
    }
    drop(alone);
    let (found, rows) = check(part)?;
    if found != version || rows != expected {
        return Err(damaged(&format!(
            "the copy has {rows:?} of version {found}, the snapshot had {expected:?} of version {version}"
        )));
    }
    Ok(rows)
}

/// The schema version of a database that this build can read.
fn known_version(conn: &Connection) -> Result<u32> {
    let found: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > schema::VERSION {
        return Err(StoreError::SchemaVersion {
            found,
            known: schema::VERSION,
        });
    }
    schema::refuse_foreign(conn, found)?;
    Ok(found)
}

fn count(conn: &Connection) -> Result<Vec<(&'static str, u64)>> {
    TABLES
        .into_iter()
        .map(|table| {
            let count = format!("SELECT count(*) FROM {table}");
            let rows: i64 = conn.query_row(&count, [], |row| row.get(0))?;
            Ok((table, rows.cast_unsigned()))
        })
        .collect()
}

fn read_only(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|e| unusable(path)(io::Error::other(e)))
}

/// Opens a copy for reading, checks and counts it: (schema version, rows).
fn check(path: &Path) -> Result<(u32, Vec<(&'static str, u64)>)> {
    let conn = read_only(path)?;
    let version = known_version(&conn)?;
    if version == 0 {
        return Err(damaged(&format!("{} is empty", path.display())));
    }
    let faults = schema::quick_check(&conn, 5)?;
    if !faults.is_empty() {
        return Err(damaged(&faults.join("; ")));
    }
    Ok((version, count(&conn)?))
}

/// Puts a backup in the place of the database in `data_dir`.
pub(super) fn restore(source: &Path, data_dir: &Path, replace: bool) -> Result<Copied> {
    if !source.is_file() {
        return Err(StoreError::NotFound {
            what: format!("a backup at {}", source.display()),
        });
    }
    let _lock = lock(data_dir)?;
    let target = data_dir.join(schema::FILE);
    if target.exists() && !replace {
        return Err(StoreError::Exists { path: target });
    }
    // A backup lies in one file. One with a WAL beside it is a copy of a database that was open.
    if with_suffix(source, "-wal")
        .metadata()
        .is_ok_and(|m| m.len() > 0)
    {
        return Err(StoreError::Invalid {
            detail: format!(
                "{} has a WAL beside it, so it is not a whole backup: make one with tickcast backup",
                source.display()
            ),
        });
    }
    check(source)?;
    let named = artefact_backup::named(&read_only(source)?)?;
    let folder = artefact_backup::folder_of(source);
    let files = artefact_backup::put_back(&named, &folder, data_dir)?;
    let new = with_suffix(&target, ".restoring");
    let placed = fs::copy(source, &new)
        .map_err(unusable(&new))
        .and_then(|bytes| {
            sync(&new)?;
            let (_, rows) = check(&new)?;
            let kept = keep_old(&target)?;
            fs::rename(&new, &target).map_err(unusable(&target))?;
            sync_directory_of(&target)?;
            Ok((bytes, rows, kept))
        });
    let (bytes, rows, kept) = placed.inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })?;
    Ok(Copied {
        path: target,
        bytes,
        rows,
        artefacts: files.files,
        faults: files.faults,
        kept,
    })
}

/// Gives the old database a second name, and leaves it under the first one without a WAL: that of the
/// old file must not be taken for the new one's.
fn keep_old(target: &Path) -> Result<Option<PathBuf>> {
    let (wal, shm) = (with_suffix(target, "-wal"), with_suffix(target, "-shm"));
    if !target.exists() {
        for stray in [wal, shm] {
            if stray.exists() {
                fs::remove_file(&stray).map_err(unusable(&stray))?;
            }
        }
        return Ok(None);
    }
    // Into the file with what the WAL has, where the file can still be read.
    let folded = Connection::open(target)
        .and_then(|old| old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    if let Err(error) = folded {
        tracing::warn!(%error, "the old database cannot be read; it is kept as it is, with its WAL");
    }
    let time: String = now().to_string().chars().filter(|c| *c != ':').collect();
    let named = |number: u32| match number {
        1 => format!("tickcast-before-restore-{time}.db"),
        n => format!("tickcast-before-restore-{time}-{n}.db"),
    };
    let mut names = (1..).map(|number| target.with_file_name(named(number)));
    let kept = names.find(|name| !name.exists()).unwrap_or_default();
    second_name(target, &kept)?;
    if wal.exists() {
        second_name(&wal, &with_suffix(&kept, "-wal"))?;
        fs::remove_file(&wal).map_err(unusable(&wal))?;
    }
    if shm.exists() {
        fs::remove_file(&shm).map_err(unusable(&shm))?;
    }
    Ok(Some(kept))
}

/// The wall clock, to name a file by.
fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_secs(i64::try_from(since.as_secs()).unwrap_or(0))
}

/// A hard link, or a copy on a file system that has none.
fn second_name(file: &Path, name: &Path) -> Result<()> {
    if fs::hard_link(file, name).is_err() {
        fs::copy(file, name).map_err(unusable(name))?;
        sync(name)?;
    }
    Ok(())
}

fn sync(path: &Path) -> Result<()> {
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.sync_all())
        .map_err(unusable(path))
}

fn sync_directory_of(path: &Path) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(unusable(directory))
}
