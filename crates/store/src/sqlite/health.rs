//! What the store knows of its own state: whether commits go through, and whether the file is sound.
//!
//! Model: the writer says of each transaction whether it was kept. A reader or the writer that meets a
//! damaged page raises the suspicion that the file is damaged; `PRAGMA quick_check` confirms or clears
//! it, at the opening and whenever somebody asks whether the store is ready while it is suspected. A
//! file that is found damaged is only read: what is written into it may be lost, or damage more.
//!
//! What it does not do: find a value that was changed within a row, which SQLite keeps no checksum of.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rusqlite::InterruptHandle;

use super::schema;
use crate::{Result, StoreError};

/// Files up to this size are checked while they are opened; larger ones beside the work.
const CHECKED_AT_ONCE_BYTES: u64 = 32 * 1024 * 1024;
/// How long a verdict on a damaged file stands before it is checked again.
const CHECK_AGAIN: Duration = Duration::from_secs(60);
/// A transaction that takes longer than this is a fault of the disk.
const LONG_COMMIT: Duration = Duration::from_secs(10);
/// Faults that one check names at most.
const NAMED_FAULTS: u32 = 5;

/// Shared by the writer, the readers and those who ask.
#[derive(Debug)]
pub(super) struct Health {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last transaction was lost: why, and how many rows it had.
    failing: Option<(StoreError, usize)>,
    /// When the transaction that runs began.
    began: Option<Instant>,
    damage: Damage,
    /// When the last check ended, and the one that runs.
    checked: Option<Instant>,
    checking: Option<Checking>,
    closed: bool,
}

enum Checking {
    Begins,
    Runs(InterruptHandle),
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("failing", &self.failing)
            .field("damage", &self.damage)
            .finish_non_exhaustive()
    }
}

/// Whether the file is damaged.
#[derive(Clone, Debug, Default, PartialEq)]
enum Damage {
    /// As far as is known it is not.
    #[default]
    None,
    /// Somebody met a damaged page.
    Suspected(String),
    /// A check found what it says.
    Found(String),
}

impl Health {
    pub(super) fn new(dir: &Path) -> Arc<Self> {
        Arc::new(Self {
            dir: dir.to_owned(),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction begins.
    pub(super) fn begins(&self) {
        self.state().began = Some(Instant::now());
    }

    /// A transaction has ended, with so many rows.
    pub(super) fn ended(&self, rows: usize, lost: Option<&StoreError>) {
        let mut state = self.state();
        state.began = None;
        match (lost, &state.failing) {
            (Some(error), _) => state.failing = Some((error.clone(), rows)),
            // A small one that goes through does not say that those which failed would.
            (None, Some((_, failed))) if rows < *failed => {}
            (None, _) => state.failing = None,
        }
    }

    /// A probe as large as any transaction went through.
    pub(super) fn recovered(&self) {
        if self.state().failing.take().is_some() {
            tracing::info!("the database can be written again");
        }
    }

    /// Takes note of what a call ended with.
    pub(super) fn note<T>(&self, result: &Result<T>) {
        if let Err(StoreError::Damaged { detail }) = result {
            let mut state = self.state();
            if state.damage == Damage::None {
                tracing::error!(detail, "the database file may be damaged");
                state.damage = Damage::Suspected(detail.clone());
                state.checked = None;
            }
        }
    }

    /// Why nothing may be written, if so.
    pub(super) fn refuses_writes(&self) -> Option<StoreError> {
        match &self.state().damage {
            Damage::Found(detail) => Some(StoreError::Damaged {
                detail: detail.clone(),
            }),
            Damage::None | Damage::Suspected(_) => None,
        }
    }

    /// Whether transactions fail, so that a probe should say whether they still do.
    ///
    /// # Errors
    /// The file is damaged, or a transaction does not end.
    pub(super) fn is_failing(self: &Arc<Self>) -> Result<Option<StoreError>> {
        let (failing, damage, due) = {
            let state = self.state();
            if let Some(began) = state.began
                && began.elapsed() > LONG_COMMIT
            {
                let seconds = began.elapsed().as_secs();
                return Err(StoreError::Unavailable {
                    detail: format!("a transaction has been waiting for the disk for {seconds} s"),
                });
            }
            let due = state.checked.is_none_or(|at| at.elapsed() > CHECK_AGAIN);
            let failing = state.failing.as_ref().map(|(error, _)| error.clone());
            (failing, state.damage.clone(), due)
        };
        match damage {
            Damage::None => Ok(failing),
            Damage::Suspected(detail) | Damage::Found(detail) => {
                if due {
                    self.check_beside();
                }
                Err(StoreError::Damaged { detail })
            }
        }
    }

    /// Checks the file at its opening: at once when it is small, else beside the work.
    pub(super) fn check_at_opening(self: &Arc<Self>) {
        let size = |name: &str| fs::metadata(self.dir.join(name)).map_or(0, |m| m.len());
        let bytes = size(schema::FILE) + size(&format!("{}-wal", schema::FILE));
        if bytes > CHECKED_AT_ONCE_BYTES {
            self.check_beside();
        } else if self.claim() {
            self.check();
        }
    }

    /// Whether the check that is wanted is this caller's to make.
    fn claim(&self) -> bool {
        let mut state = self.state();
        if state.closed || state.checking.is_some() {
            return false;
        }
        state.checking = Some(Checking::Begins);
        true
    }

    fn check_beside(self: &Arc<Self>) {
        if !self.claim() {
            return;
        }
        let health = Arc::clone(self);
        let started = thread::Builder::new()
            .name("tickcast-check".into())
            .spawn(move || health.check());
        if let Err(error) = started {
            tracing::warn!(%error, "the check of the database cannot be started");
            self.state().checking = None;
        }
    }

    fn check(&self) {
        let started = Instant::now();
        let found = self.quick_check();
        let took_ms = started.elapsed().as_millis() as u64;
        let mut state = self.state();
        state.checking = None;
        state.checked = Some(Instant::now());
        if state.closed {
            return;
        }
        match found {
            Ok(faults) if faults.is_empty() => {
                tracing::info!(took_ms, "the database file is sound (quick_check)");
                state.damage = Damage::None;
            }
            Ok(faults) => {
                let detail = faults.join("; ");
                tracing::error!(took_ms, %detail, "the database file is damaged (quick_check): it is only read");
                state.damage = Damage::Found(detail);
            }
            Err(StoreError::Damaged { detail }) => {
                tracing::error!(took_ms, %detail, "the database file is damaged: it is only read");
                state.damage = Damage::Found(detail);
            }
            Err(error) => tracing::warn!(%error, "the database file could not be checked"),
        }
    }

    fn quick_check(&self) -> Result<Vec<String>> {
        let conn = schema::open_reader(&self.dir)?;
        {
            let mut state = self.state();
            if state.closed {
                return Ok(Vec::new());
            }
            state.checking = Some(Checking::Runs(conn.get_interrupt_handle()));
        }
        schema::quick_check(&conn, NAMED_FAULTS)
    }

    /// Ends the check that runs, and begins no other.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        if let Some(Checking::Runs(handle)) = &state.checking {
            handle.interrupt();
        }
    }
}
