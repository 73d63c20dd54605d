//! An export under way: a folder of segments and a checkpoint beside where the file will be.
//!
//! Model: `prices.csv.part/` holds `00000000`, `00000001` …, each a number of rows, and
//! `checkpoint.json`, which says how many of them count and where the next one begins. It is replaced
//! after a segment is on the disk: a process that dies in between writes that segment again.
//!
//! At the end the segments are joined into `joined`, the checkpoint is marked as done, `joined` gets
//! the file's name in one step, and the folder is removed. A marked folder tells by `joined` what is
//! to be done with it, whatever has become of the file since:
//! - with it, the file never had its name: the export goes on, which has nothing left to read, and
//!   joins the segments, all of which are there, once more;
//! - without it, the file was whole and only the removal was cut off: the folder is of no use, and the
//!   next export under this name begins anew, of whatever rows.
//!
//! What it does not do: remove such a folder before that next export.

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
    /// They were all that there were, and not named. Older versions do not say so.
    #[serde(default)]
    pub every_symbol: bool,
    pub kind: Kind,
    pub from_us: Timestamp,
    pub until_us: Timestamp,
    pub format: Format,
}

impl What {
    /// What was begun as this is what is asked for now. Of every symbol stays of every symbol when
    /// more of them have come; the list is that of the beginning.
    fn goes_on_as(&self, asked: &Self) -> bool {
        let rows = |what: &Self| (what.kind, what.from_us, what.until_us, what.format);
        let every = self.every_symbol && asked.every_symbol;
        rows(self) == rows(asked) && (every || self.symbols == asked.symbols)
    }
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
    /// All is read and was joined; older versions do not say so.
    #[serde(default)]
    pub done: bool,
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
            done: false,
        };
        let text = match fs::read(part.checkpoint()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((part, new)),
            text => text.map_err(|e| part.fault(&e))?,
        };
        let found: Checkpoint = serde_json::from_slice(&text).map_err(|e| part.fault(&e.into()))?;
        let fault = |e: io::Error| part.fault(&e);
        if found.done && !part.joined().try_exists().map_err(fault)? {
            part.clear(&found).map_err(fault)?;
            return Ok((part, new));
        }
        if !found.what.goes_on_as(what) {
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

    fn checkpoint(&self) -> PathBuf {
        self.dir.join("checkpoint.json")
    }

    fn joined(&self) -> PathBuf {
        self.dir.join("joined")
    }

    /// Removes what is left of an export whose file was whole. Its checkpoint goes last, so that this
    /// can be cut off as well.
    fn clear(&self, last: &Checkpoint) -> io::Result<()> {
        for number in 0..last.segments {
            match fs::remove_file(self.segment(number)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        fs::remove_file(self.checkpoint())
    }

    fn set_checkpoint(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let next = self.dir.join("checkpoint.next");
        put(&next, &serde_json::to_vec(checkpoint)?)?;
        fs::rename(next, self.checkpoint())
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
            self.set_checkpoint(after)
        };
        write().map_err(|e| self.fault(&e))
    }

    /// Makes the file of its segments, and removes them.
    pub(super) fn finish(self, mut last: Checkpoint) -> Result<()> {
        let joined = self.joined();
        let segments: Vec<PathBuf> = (0..last.segments).map(|n| self.segment(n)).collect();
        let bars = matches!(last.what.kind, Kind::Bars(_));
        let mut join = || -> io::Result<()> {
            match last.what.format {
                Format::Csv => join_csv(&joined, &segments, bars)?,
                Format::Parquet => parquet_rows::join(&joined, &segments, bars)
                    .map_err(|e| io::Error::other(e.to_string()))?,
            }
            // Before the file has its name: a kill after that, while the folder is being removed, would
            // leave a checkpoint that looks as if it were to go on, and a later export under this name
            // would write its old rows.
            last.done = true;
            self.set_checkpoint(&last)?;
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
