//! An export under way: a folder of segments and a checkpoint beside where the file will be.
//!
//! Model: `prices.csv.part/` holds `00000000`, `00000001` …, each a number of rows, and
//! `checkpoint.json`, which says how many of them count and where the next one begins. It is replaced
//! after a segment is on the disk: a process that dies in between writes that segment again. At the
//! end the segments are joined and the whole file gets its name in one step.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use market::{Symbol, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Format, Kind, parquet_rows};
use crate::{
    Result, StoreError,
    csv_rows::{BAR_HEADER, TICK_HEADER},
    lock::lock,
};

/// What is exported: an export goes on only as what it began as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct What {
    pub symbols: Vec<Symbol>,
    pub kind: Kind,
    pub from_us: Timestamp,
    pub until_us: Timestamp,
    pub format: Format,
}

/// How far an export is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub what: What,
    /// The symbol that is being read, by its place in the list.
    pub symbol: usize,
    /// Everything of it before that is in the segments.
    pub next_us: Timestamp,
    /// Segments that count.
    pub segments: usize,
    /// Rows in them.
    pub rows: u64,
}

/// The folder of an export, for one process.
pub(super) struct Part {
    output: PathBuf,
    dir: PathBuf,
    _lock: File,
}

impl Part {
    /// Opens the folder; the checkpoint of an export that was cut off, else a new one.
    pub(super) fn open(output: &Path, what: &What) -> Result<(Self, Checkpoint)> {
        let mut name = output.as_os_str().to_owned();
        name.push(".part");
        let part = Self {
            output: output.to_owned(),
            _lock: lock(Path::new(&name))?,
            dir: name.into(),
        };
        let new = Checkpoint {
            what: what.clone(),
            symbol: 0,
            next_us: what.from_us,
            segments: 0,
            rows: 0,
        };
        let text = match fs::read(part.dir.join("checkpoint.json")) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((part, new)),
            text => text.map_err(|e| part.fault(&e))?,
        };
        let found: Checkpoint = serde_json::from_slice(&text).map_err(|e| part.fault(&e.into()))?;
        if found.what != *what {
            return Err(StoreError::Invalid {
                detail: format!(
                    "{} holds the beginning of an export of other rows: give the same arguments to go on with it, or remove it",
                    part.dir.display()
                ),
            });
        }
        Ok((part, found))
    }

    fn segment(&self, number: usize) -> PathBuf {
        self.dir.join(format!("{number:08}"))
    }

    pub(super) fn fault(&self, error: &io::Error) -> StoreError {
        StoreError::Unavailable {
            detail: format!("{}: {error}", self.dir.display()),
        }
    }

    /// Adds a segment and moves the checkpoint past it.
    pub(super) fn add(&self, bytes: &[u8], after: &Checkpoint) -> Result<()> {
        let write = || -> io::Result<()> {
            put(&self.segment(after.segments - 1), bytes)?;
            let next = self.dir.join("checkpoint.next");
            put(&next, &serde_json::to_vec(after)?)?;
            fs::rename(next, self.dir.join("checkpoint.json"))
        };
        write().map_err(|e| self.fault(&e))
    }

    /// Makes the file of its segments, and removes them.
    pub(super) fn finish(self, last: &Checkpoint) -> Result<()> {
        let joined = self.dir.join("joined");
        let segments: Vec<PathBuf> = (0..last.segments).map(|n| self.segment(n)).collect();
        let bars = matches!(last.what.kind, Kind::Bars(_));
        let join = || -> io::Result<()> {
            match last.what.format {
                Format::Csv => join_csv(&joined, &segments, bars)?,
                Format::Parquet => parquet_rows::join(&joined, &segments, bars)
                    .map_err(|e| io::Error::other(e.to_string()))?,
            }
            fs::rename(&joined, &self.output)?;
            fs::remove_dir_all(&self.dir)
        };
        join().map_err(|e| self.fault(&e))
    }
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn join_csv(out: &Path, segments: &[PathBuf], bars: bool) -> io::Result<()> {
    let mut file = File::create(out)?;
    let header = if bars { BAR_HEADER } else { TICK_HEADER };
    file.write_all(header.as_bytes())?;
    for segment in segments {
        io::copy(&mut File::open(segment)?, &mut file)?;
    }
    file.sync_all()
}
