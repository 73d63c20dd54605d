//! A folder of CSV files in the place of a database: what the original pipeline offers as its
//! alternative to MongoDB.
//!
//! Model: a folder per symbol with an append-only file per UTC day (see the module `files`). A day's
//! file has its last name once a tick of a later day has come: until then it ends in `.part`. An
//! append returns once the operating system has the rows, so that they survive kill -9 of the
//! process; with [`CsvSinkOptions::full_sync`], once the disk has them. A line that a dead process
//! did not finish is cut off when the file is opened again: it was never acknowledged. `tickcast
//! import` reads every file.
//!
//! Duplicates are looked for among the last 20,000 rows of a file, more than a consumer has polled and
//! not committed when it dies. What comes again from further back is written again; the import drops
//! it by its key.
//!
//! What it does not do: answer reads, keep forecasts, make bars of ticks, replay dead letters, remove
//! bars, share its folder with another process: it has only the ports of what it does. So it stands
//! behind `ingest` and `consume`, not behind pages. Positions of stored ticks begin anew with each
//! process.

mod dead_letters;
mod files;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use market::{Bar, Reject, RejectReason, Symbol, Tick, Timestamp};

use self::{dead_letters::Letters, files::SymbolFiles};
use crate::{
    Appended, DeadLetter, DeadLetterLog, DeadLetterQuota, DroppedCount, PriceWriter, Readiness,
    ReasonCount, RejectReport, Removed, Result, StoreError, StoredTick, TickRetention,
    blocking::blocking, lock::lock,
};

/// Symbols whose files are open at once.
const OPEN_SYMBOLS: usize = 256;

/// What a [`CsvSink`] is opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvSinkOptions {
    /// The folder; made when it is not there.
    pub dir: PathBuf,
    /// Whether every append waits for the disk.
    pub full_sync: bool,
    /// How many dead letters are kept.
    pub dead_letter_quota: DeadLetterQuota,
}

impl CsvSinkOptions {
    /// The defaults, for a folder.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            full_sync: false,
            dead_letter_quota: DeadLetterQuota::default(),
        }
    }
}

/// Daily CSV files for one process. Cheap to clone.
#[derive(Clone)]
pub struct CsvSink {
    dir: PathBuf,
    state: Arc<Mutex<State>>,
    /// What the last write failed with.
    failing: Arc<Mutex<Option<StoreError>>>,
}

impl fmt::Debug for CsvSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvSink")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

struct State {
    dir: PathBuf,
    full_sync: bool,
    symbols: HashMap<Symbol, SymbolFiles>,
    /// The symbols that have files open, the longest unused first.
    open: VecDeque<Symbol>,
    letters: Letters,
    next_position: u64,
    _lock: File,
}

impl CsvSink {
    /// Opens the folder, and cuts off what a dead process did not finish.
    ///
    /// # Errors
    /// In use by another process, a folder that cannot be used.
    pub async fn open(options: CsvSinkOptions) -> Result<Self> {
        let dir = options.dir.clone();
        let state = blocking(move || open(&options)).await?;
        Ok(Self {
            dir,
            state: Arc::new(Mutex::new(state)),
            failing: Arc::default(),
        })
    }

    fn failing(&self) -> Option<StoreError> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.clone()
    }

    fn set_failing(&self, error: Option<StoreError>) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        *failing = error;
    }

    /// As [`Self::with`], for writes: how the last one ended says whether the store is ready.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let written = self.with(work).await;
        self.set_failing(written.as_ref().err().cloned());
        written
    }

    /// Does something with the state on a thread that may block.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let state = Arc::clone(&self.state);
        let dir = self.dir.clone();
        blocking(move || {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut state).map_err(|e| unavailable(&dir, &e))
        })
        .await
    }
}

fn unavailable(dir: &Path, error: &std::io::Error) -> StoreError {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
    let what_to_do = match error.kind() {
        StorageFull => ": free or add space there",
        PermissionDenied | ReadOnlyFilesystem => {
            ": they must be writable for this user, on a file system that is not mounted read-only"
        }
        _ => "",
    };
    StoreError::Unavailable {
        detail: format!("the CSV files in {}: {error}{what_to_do}", dir.display()),
    }
}

fn open(options: &CsvSinkOptions) -> Result<State> {
    let CsvSinkOptions {
        dir,
        full_sync,
        dead_letter_quota,
    } = options;
    let lock = lock(dir)?;
    let opened = || -> std::io::Result<State> {
        // Files of symbols that may not come again are mended too: somebody may read them.
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                SymbolFiles::open(entry.path(), *full_sync)?;
            }
        }
        Ok(State {
            dir: dir.clone(),
            full_sync: *full_sync,
            symbols: HashMap::new(),
            open: VecDeque::new(),
            letters: Letters::open(dir, *full_sync, *dead_letter_quota)?,
            next_position: 1,
            _lock: lock,
        })
    };
    opened().map_err(|error| StoreError::Directory {
        path: dir.clone(),
        detail: error.to_string(),
    })
}

impl State {
    fn files(&mut self, symbol: &Symbol) -> std::io::Result<&mut SymbolFiles> {
        self.open.retain(|s| s != symbol);
        self.open.push_back(symbol.clone());
        if self.open.len() > OPEN_SYMBOLS
            && let Some(unused) = self.open.pop_front()
            && let Some(files) = self.symbols.get_mut(&unused)
        {
            files.rest();
        }
        match self.symbols.entry(symbol.clone()) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(new) => {
                let dir = files::folder(&self.dir, symbol);
                Ok(new.insert(SymbolFiles::open(dir, self.full_sync)?))
            }
        }
    }

    fn append(&mut self, ticks: Vec<Tick>) -> std::io::Result<Appended> {
        let mut by_symbol: Vec<(Symbol, Vec<Tick>)> = Vec::new();
        let mut places: HashMap<Symbol, usize> = HashMap::new();
        for tick in ticks {
            let place = *places.entry(tick.symbol.clone()).or_insert_with(|| {
                by_symbol.push((tick.symbol.clone(), Vec::new()));
                by_symbol.len() - 1
            });
            by_symbol[place].1.push(tick);
        }
        let mut appended = Appended::default();
        for (symbol, ticks) in by_symbol {
            let new = self.files(&symbol)?.append(&ticks)?;
            for (tick, is_new) in ticks.into_iter().zip(new) {
                if is_new {
                    let position = self.next_position;
                    self.next_position += 1;
                    appended.stored.push(StoredTick { position, tick });
                } else {
                    appended.duplicates += 1;
                }
            }
        }
        Ok(appended)
    }

    fn put_bars(&mut self, bars: &[Bar]) -> std::io::Result<usize> {
        for run in bars.chunk_by(|a, b| a.symbol == b.symbol) {
            if let Some(first) = run.first() {
                self.files(&first.symbol)?.append_bars(run)?;
            }
        }
        Ok(bars.len())
    }

    fn remove_ticks(&mut self, before: Timestamp) -> std::io::Result<Removed> {
        let mut removed = Removed::default();
        let known: BTreeSet<PathBuf> = self
            .symbols
            .keys()
            .map(|symbol| files::folder(&self.dir, symbol))
            .collect();
        for files in self.symbols.values_mut() {
            removed.rows += files.remove(before)?;
            removed.symbols += 1;
        }
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() && !known.contains(&entry.path()) {
                let mut files = SymbolFiles::open(entry.path(), self.full_sync)?;
                removed.rows += files.remove(before)?;
                removed.symbols += 1;
            }
        }
        Ok(removed)
    }
}

#[async_trait]
impl PriceWriter for CsvSink {
    async fn append(&self, ticks: Vec<Tick>) -> Result<Appended> {
        self.write(|state| state.append(ticks)).await
    }

    async fn put_bars(&self, bars: Vec<Bar>) -> Result<usize> {
        self.write(move |state| state.put_bars(&bars)).await
    }
}

#[async_trait]
impl DeadLetterLog for CsvSink {
    async fn reject(&self, rejects: Vec<Reject>, at: Timestamp) -> Result<RejectReport> {
        self.write(move |state| state.letters.reject(rejects, at))
            .await
    }

    async fn open_dead_letters(
        &self,
        reason: Option<RejectReason>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        self.with(move |state| state.letters.read(reason, after, limit))
            .await
    }

    async fn dead_letter_counts(&self) -> Result<Vec<ReasonCount>> {
        self.with(|state| Ok(state.letters.counts())).await
    }

    async fn dropped_dead_letters(&self) -> Result<Vec<DroppedCount>> {
        self.with(|state| Ok(state.letters.dropped())).await
    }
}

/// Bytes of the file that finds out whether files can be written again.
const PROBE_BYTES: usize = 256 * 1024;

#[async_trait]
impl Readiness for CsvSink {
    /// The folder is there, and the last write went through, or one that is tried now.
    async fn ready(&self) -> Result<()> {
        let failing = self.failing();
        let dir = self.dir.clone();
        self.with(move |state| {
            state.letters.read(None, i64::MAX - 1, 1)?;
            if failing.is_some() {
                let path = dir.join("probe.tmp");
                let written = fs::write(&path, vec![b'-'; PROBE_BYTES]);
                let removed = fs::remove_file(&path);
                written.and(removed)?;
            }
            Ok(())
        })
        .await?;
        self.set_failing(None);
        Ok(())
    }
}

#[async_trait]
impl TickRetention for CsvSink {
    /// Whole finished days; the newest day of a symbol stays.
    async fn remove_ticks(&self, before: Timestamp) -> Result<Removed> {
        self.with(move |state| state.remove_ticks(before)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_takes_no_more_says_what_to_do() {
        let said = |code| {
            let error = std::io::Error::from_raw_os_error(code);
            unavailable(Path::new("out"), &error).to_string()
        };
        // ENOSPC, EACCES and EROFS.
        assert!(said(28).contains("free or add space"), "{}", said(28));
        for code in [13, 30] {
            assert!(said(code).contains("must be writable"), "{}", said(code));
        }
    }
}
