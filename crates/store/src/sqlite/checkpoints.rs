//! Moving the WAL into the database file, beside the writer instead of within its commits.
//!
//! Model: each time the WAL has a number of pages more ([`PAGES`]), a thread with a connection of its own runs a
//! passive checkpoint: it copies and syncs what is committed, while the writer goes on. When the
//! writer pauses meanwhile the WAL is then copied whole and starts over. When it does not, and the
//! WAL has [`WHOLE_AT`] times as many, the writer itself copies what it has added since, between two groups:
//! little, but it waits for the disk twice, which everybody who waits for a commit then does too.
//! So it does that seldom. A reader that holds an old snapshot only delays the starting over.
//!
//! Metrics: `tickcast_store_wal_pages`, `tickcast_store_checkpoint_seconds` (label `by`).

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use metrics::{gauge, histogram};
use rusqlite::Connection;

use super::schema;
use crate::{Result, StoreError};

/// Pages (of 4 KiB) that the WAL grows by between two checkpoints, by default.
pub(super) const PAGES: u32 = 4_000;
/// So many times as many in the WAL, and the writer sees to it that it starts over: by default that is,
/// with what comes in during a checkpoint, less than the file keeps (`journal_size_limit`).
const WHOLE_AT: u32 = 3;

/// What the writer's thread keeps of it.
pub(super) struct Checkpoints {
    /// Pages between two of them.
    every: u32,
    /// Pages in the WAL after the last commit.
    wal_pages: Arc<AtomicU32>,
    /// The WAL's size that asks for the next checkpoint.
    next_at: u32,
    /// One is asked for or runs.
    pending: bool,
    /// It has ended.
    finished: Arc<AtomicBool>,
    ask: SyncSender<()>,
    thread: JoinHandle<()>,
}

fn passive(conn: &Connection, by: &'static str) {
    let started = Instant::now();
    let done = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = done {
        // Nothing is lost: the pages stay in the WAL, and the next one tries again.
        tracing::warn!(%error, "a checkpoint failed");
    }
    histogram!("tickcast_store_checkpoint_seconds", "by" => by)
        .record(started.elapsed().as_secs_f64());
}

impl Checkpoints {
    /// Starts the thread and watches the writer's connection.
    pub(super) fn start(dir: &Path, writer: &mut Connection, every: u32) -> Result<Self> {
        let conn = schema::open_checkpointer(dir)?;
        let (ask, asked) = sync_channel::<()>(1);
        let finished = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new()
            .name("tickcast-checkpoint".into())
            .spawn({
                let finished = finished.clone();
                move || {
                    while asked.recv().is_ok() {
                        passive(&conn, "thread");
                        finished.store(true, Ordering::Release);
                    }
                }
            })
            .map_err(|error| StoreError::Unavailable {
                detail: format!("the checkpoint thread cannot be started: {error}"),
            })?;
        let wal_pages = Arc::new(AtomicU32::new(0));
        // Takes the place of SQLite's automatic checkpoints.
        writer.wal_hook(Some({
            let wal_pages = wal_pages.clone();
            move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
                wal_pages.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
                Ok(())
            }
        }))?;
        Ok(Self {
            every,
            wal_pages,
            next_at: every,
            pending: false,
            finished,
            ask,
            thread,
        })
    }

    /// To be called between two transactions of the writer.
    pub(super) fn after_commit(&mut self, writer: &Connection) {
        let pages = self.wal_pages.load(Ordering::Relaxed);
        gauge!("tickcast_store_wal_pages").set(f64::from(pages));
        if self.finished.swap(false, Ordering::Acquire) {
            self.pending = false;
            if pages >= self.every.saturating_mul(WHOLE_AT) {
                passive(writer, "writer");
            }
            self.next_at = pages + self.every;
        } else if pages < self.next_at.saturating_sub(self.every) {
            // The WAL has started over.
            self.next_at = self.every;
        }
        if pages >= self.next_at && !self.pending {
            // The thread ends only with this sender.
            self.pending = self.ask.try_send(()).is_ok();
        }
    }

    /// Waits for the one that runs and closes the thread's connection.
    pub(super) fn stop(self) {
        drop(self.ask);
        if self.thread.join().is_err() {
            tracing::error!("the checkpoint thread ended in a panic");
        }
    }
}
