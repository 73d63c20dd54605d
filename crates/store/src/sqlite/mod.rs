//! The embedded side of the store: SQLite in WAL mode, one file, one process.
//!
//! Model: one writer thread with a connection of its own makes every change (see `writer`); a few
//! reader connections see the last commit (see `readers`). The data directory is locked for as long
//! as the store is open.
//!
//! Durability: what has been answered survives the process, kill -9 included. A power cut may take
//! the last moments unless [`SqliteOptions::full_sync`] is set (see `schema`).
//!
//! What it does not do: delete forecasts; give what retention frees back to the disk (the file keeps
//! its size and uses the room again); share the directory with another process.

mod artefact_backup;
mod artefacts;
mod backup;
mod bars;
mod blobs;
mod checkpoints;
mod dead_letters;
mod fault;
mod health;
mod instruments;
mod job_rows;
mod jobs;
mod ledger;
mod outbox;
mod ports;
mod probe;
mod publish;
mod readers;
mod registry;
mod retention;
mod schema;
mod scores;
mod symbols;
mod ticks;
mod training_ports;
mod writer;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use metrics::gauge;
use rusqlite::Connection;
use tokio::sync::mpsc;

pub use self::backup::Copied;
use self::{
    checkpoints::Checkpoints,
    fault::closed,
    health::Health,
    probe::Probes,
    readers::Readers,
    writer::{Command, Writer},
};
use crate::{DeadLetterQuota, Result, StoreError, blocking::blocking, lock::lock};

/// What a [`SqliteStore`] is opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The directory of the database (`tickcast.db`), its lock file and the folder `artefacts` of model files;
    /// made when it is not there.
    pub data_dir: PathBuf,
    /// Whether every commit waits for the disk. Without it a commit survives the process
    /// (kill -9), and a loss of power may take the last ones.
    pub full_sync: bool,
    /// Reader connections: reads that run at the same time; 1 to 64.
    pub readers: usize,
    /// Commands that wait for the writer at most; callers wait beyond. 0 counts as 1.
    pub queue: usize,
    /// How many dead letters are kept.
    pub dead_letter_quota: DeadLetterQuota,
    /// Pages (of 4 KiB) that the WAL grows by between two checkpoints: fewer make a smaller WAL and more
    /// syncs. 0 counts as 1.
    pub checkpoint_pages: u32,
    /// Largest size of the database file in bytes, about; a write beyond is refused as unavailable,
    /// as with a full disk. `None`: as large as the disk lets it.
    pub max_bytes: Option<u64>,
}

impl SqliteOptions {
    /// The defaults, for a data directory: 4 readers, a queue of 64.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            full_sync: false,
            readers: 4,
            queue: 64,
            dead_letter_quota: DeadLetterQuota::default(),
            checkpoint_pages: checkpoints::PAGES,
            max_bytes: None,
        }
    }
}

/// The store in one SQLite file, for one process. Cheap to clone.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    data_dir: PathBuf,
    commands: mpsc::Sender<Command>,
    readers: Arc<Readers>,
    writer: Mutex<Option<JoinHandle<()>>>,
    health: Arc<Health>,
    probes: Probes,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.health.close();
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("data_dir", &self.inner.data_dir)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the store, making the directory and the file when they are not there.
    ///
    /// # Errors
    /// In use by another process (or another store of this one), a directory that cannot be used, a
    /// newer schema, a damaged file.
    pub async fn open(options: SqliteOptions) -> Result<Self> {
        let opened = tokio::task::spawn_blocking(move || open(&options)).await;
        let inner = opened.unwrap_or_else(|error| {
            Err(StoreError::Internal {
                detail: format!("opening was cut off: {error}"),
            })
        })?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Finishes what is queued, closes the file and gives the directory free. Later calls are
    /// answered with unavailable. Dropping the last clone does the same without waiting for it.
    ///
    /// # Errors
    /// Internal, when the writer has ended in a panic.
    pub async fn close(&self) -> Result<()> {
        self.inner.health.close();
        self.inner.readers.close().await;
        // Fails when the writer has ended already.
        drop(self.inner.commands.send(Command::Stop).await);
        let writer = {
            let writer = &self.inner.writer;
            writer.lock().unwrap_or_else(PoisonError::into_inner).take()
        };
        let Some(writer) = writer else {
            return Ok(());
        };
        match tokio::task::spawn_blocking(move || writer.join()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(StoreError::Internal {
                detail: "the writer ended in a panic".into(),
            }),
        }
    }

    /// Copies the database of a data directory into one file, which is checked and counted; a process
    /// that has the store open goes on meanwhile. `progress` hears of (pages done, pages).
    ///
    /// # Errors
    /// No database there, a file of that name, a newer schema, a damaged database, no room: then there
    /// is no file of that name.
    pub async fn backup(
        data_dir: PathBuf,
        target: PathBuf,
        progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<Copied> {
        blocking(move || backup::backup(&data_dir, &target, progress)).await
    }

    /// Puts a backup in the place of the database of a data directory, which it makes when it is not
    /// there. A database that is there is replaced only if `replace` says so, and kept under another
    /// name.
    ///
    /// # Errors
    /// In use, a database is there, the backup is not one or is damaged or of a newer schema, no room:
    /// then the old database is where it was.
    pub async fn restore(source: PathBuf, data_dir: PathBuf, replace: bool) -> Result<Copied> {
        blocking(move || backup::restore(&source, &data_dir, replace)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        op: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let result = self.inner.readers.read(op).await;
        self.inner.health.note(&result);
        result
    }

    async fn write<T: Send + 'static>(
        &self,
        rows: usize,
        op: impl FnOnce(&mut Writer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if let Some(damaged) = self.inner.health.refuses_writes() {
            return Err(damaged);
        }
        let (command, result) = writer::command(rows, op);
        let commands = &self.inner.commands;
        commands.send(command).await.map_err(|_| closed())?;
        gauge!("tickcast_store_write_queue")
            .set((commands.max_capacity() - commands.capacity()) as f64);
        let result = result.await.map_err(|_| closed())?;
        self.inner.health.note(&result);
        result
    }
}

fn open(options: &SqliteOptions) -> Result<Inner> {
    let dir = options.data_dir.as_path();
    let lock = lock(dir)?;
    let mut conn = schema::open_writer(dir, options.full_sync, options.max_bytes)?;
    artefacts::tidy(dir)?;
    let checkpoints = Checkpoints::start(dir, &mut conn, options.checkpoint_pages.max(1))?;
    let health = Health::new(dir);
    health.check_at_opening();
    let writer = Writer::new(conn, lock, options.dead_letter_quota, Arc::clone(&health))?;
    let readers = Readers::open(dir, options.readers)?;
    let (commands, queue) = mpsc::channel(options.queue.max(1));
    let thread = thread::Builder::new()
        .name("tickcast-store".into())
        .spawn(move || writer.run(queue, checkpoints))
        .map_err(|error| StoreError::Unavailable {
            detail: format!("the writer's thread cannot be started: {error}"),
        })?;
    Ok(Inner {
        data_dir: options.data_dir.clone(),
        commands,
        readers,
        writer: Mutex::new(Some(thread)),
        health,
        probes: Probes::default(),
    })
}

#[cfg(test)]
mod tests {
    use market::{Symbol, Tick, Timestamp};

    use super::*;
    use crate::{PriceReader as _, PriceWriter as _, check};

    #[tokio::test]
    async fn a_command_that_is_undone_leaves_nothing_in_memory_either() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(dir.path()))
            .await
            .unwrap();
        let tick = |seq| Tick {
            symbol: "NEW".parse().unwrap(),
            ts: Timestamp::from_secs(seq),
            seq: seq.cast_unsigned(),
            price: 10.0,
            size: 1.0,
        };
        let undone = store
            .write(1, move |writer| {
                ticks::append(writer, vec![tick(1), tick(2)])?;
                Err::<(), _>(check::invalid("on purpose"))
            })
            .await;
        assert!(undone.is_err());
        assert_eq!(store.instruments().await.unwrap(), []);
        let appended = store.append(vec![tick(2)]).await.unwrap();
        assert_eq!(appended.stored[0].position, 1);
        let symbol: Symbol = "NEW".parse().unwrap();
        assert_eq!(
            store.ticks_after(&symbol, 0, 9).await.unwrap(),
            appended.stored
        );
        assert_eq!(
            store.latest_tick(&symbol).await.unwrap().as_ref(),
            appended.stored.first()
        );
    }
}
