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

mod backup;
mod bars;
mod blobs;
mod checkpoints;
mod dead_letters;
mod fault;
mod health;
mod ledger;
mod probe;
mod readers;
mod retention;
mod schema;
mod scores;
mod symbols;
mod ticks;
mod writer;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use async_trait::async_trait;
use market::{Bar, Interval, Reject, RejectReason, Symbol, Tick, Timestamp, wire::Fan};
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
use crate::{
    Appended, BarQuery, BarStore, DeadLetter, DeadLetterStore, DroppedCount, ForecastLedger,
    Instrument, LedgerQuery, LedgerRow, LetterQuota, OpenForecast, PutAside, Readiness,
    ReasonCount, Recorded, Removed, Result, Retention, ScoreRow, StepOutcome, StoreError,
    StoredTick, SymbolPage, SymbolQuery, TickStore, blocking::blocking, check, lock::lock,
};

/// What a [`SqliteStore`] is opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The directory of the database (`tickcast.db`) and its lock file; made when it is not there.
    pub data_dir: PathBuf,
    /// Whether every commit waits for the disk. Without it a commit survives the process
    /// (kill -9), and a loss of power may take the last ones.
    pub full_sync: bool,
    /// Reader connections: reads that run at the same time; 1 to 64.
    pub readers: usize,
    /// Commands that wait for the writer at most; callers wait beyond. 0 counts as 1.
    pub queue: usize,
    /// How many dead letters are kept.
    pub letter_quota: LetterQuota,
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
            letter_quota: LetterQuota::default(),
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
    let checkpoints = Checkpoints::start(dir, &mut conn, options.checkpoint_pages.max(1))?;
    let health = Health::new(dir);
    health.check_at_opening();
    let writer = Writer::new(conn, lock, options.letter_quota, Arc::clone(&health))?;
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

#[async_trait]
impl TickStore for SqliteStore {
    async fn append(&self, ticks: Vec<Tick>) -> Result<Appended> {
        if ticks.is_empty() {
            return Ok(Appended::default());
        }
        check::ticks(&ticks)?;
        self.write(ticks.len(), |writer| ticks::append(writer, ticks))
            .await
    }

    async fn ticks_after(
        &self,
        symbol: &Symbol,
        position: u64,
        limit: usize,
    ) -> Result<Vec<StoredTick>> {
        let symbol = symbol.clone();
        self.read(move |conn| ticks::after(conn, &symbol, position, limit))
            .await
    }

    async fn ticks(
        &self,
        symbol: &Symbol,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Tick>> {
        let symbol = symbol.clone();
        self.read(move |conn| ticks::between(conn, &symbol, from, until, limit))
            .await
    }

    async fn latest_tick(&self, symbol: &Symbol) -> Result<Option<StoredTick>> {
        let symbol = symbol.clone();
        self.read(move |conn| ticks::latest(conn, &symbol)).await
    }
}

#[async_trait]
impl BarStore for SqliteStore {
    async fn put_bars(&self, bars: Vec<Bar>) -> Result<usize> {
        if bars.is_empty() {
            return Ok(0);
        }
        check::bars(&bars)?;
        self.write(bars.len(), move |writer| bars::put(writer, &bars))
            .await
    }

    async fn bars(&self, query: &BarQuery) -> Result<Vec<Bar>> {
        let query = query.clone();
        self.read(move |conn| bars::read(conn, &query)).await
    }

    async fn instruments(&self) -> Result<Vec<Instrument>> {
        self.read(bars::instruments).await
    }

    async fn symbols(&self, query: &SymbolQuery) -> Result<SymbolPage> {
        let query = query.clone();
        self.read(move |conn| bars::symbols(conn, &query)).await
    }

    async fn instrument(&self, symbol: &Symbol) -> Result<Option<Instrument>> {
        let symbol = symbol.clone();
        self.read(move |conn| bars::instrument(conn, &symbol)).await
    }
}

#[async_trait]
impl ForecastLedger for SqliteStore {
    async fn record(&self, fans: Vec<Fan>) -> Result<Vec<Recorded>> {
        fans.iter().try_for_each(check::fan)?;
        self.write(fans.len(), move |writer| ledger::record(writer, &fans))
            .await
    }

    async fn due(
        &self,
        symbol: &Symbol,
        interval: Interval,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<OpenForecast>> {
        let symbol = symbol.clone();
        self.read(move |conn| ledger::due(conn, &symbol, interval, now, limit))
            .await
    }

    async fn score(&self, outcomes: Vec<StepOutcome>) -> Result<usize> {
        check::outcomes(&outcomes)?;
        self.write(outcomes.len(), |writer| ledger::score(writer, outcomes))
            .await
    }

    async fn ledger(&self, query: &LedgerQuery) -> Result<Vec<LedgerRow>> {
        let query = query.clone();
        self.read(move |conn| ledger::read(conn, &query)).await
    }

    async fn scoreboard(
        &self,
        symbol: Option<&Symbol>,
        interval: Option<Interval>,
    ) -> Result<Vec<ScoreRow>> {
        let symbol = symbol.cloned();
        self.read(move |conn| scores::read(conn, symbol.as_ref(), interval))
            .await
    }
}

#[async_trait]
impl DeadLetterStore for SqliteStore {
    async fn put_aside(&self, rejects: Vec<Reject>, at: Timestamp) -> Result<PutAside> {
        self.write(rejects.len(), move |writer| {
            dead_letters::put_aside(writer, &rejects, at)
        })
        .await
    }

    async fn open_dead_letters(
        &self,
        reason: Option<RejectReason>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        self.read(move |conn| dead_letters::open(conn, reason, after, limit))
            .await
    }

    async fn mark_replayed(&self, ids: Vec<i64>) -> Result<usize> {
        self.write(ids.len(), move |writer| {
            dead_letters::mark_replayed(writer, &ids)
        })
        .await
    }

    async fn dead_letter_counts(&self) -> Result<Vec<ReasonCount>> {
        self.read(dead_letters::counts).await
    }

    async fn dropped_dead_letters(&self) -> Result<Vec<DroppedCount>> {
        self.read(dead_letters::dropped).await
    }

    async fn discard(&self, reason: Option<RejectReason>, source: Option<&str>) -> Result<u64> {
        let mut discarded = 0;
        loop {
            let source = source.map(str::to_owned);
            let some = move |w: &mut Writer| dead_letters::discard(w, reason, source.as_deref());
            let removed = self.write(dead_letters::DISCARDED_AT_ONCE, some).await?;
            discarded += removed as u64;
            if removed < dead_letters::DISCARDED_AT_ONCE {
                return Ok(discarded);
            }
        }
    }
}

#[async_trait]
impl Retention for SqliteStore {
    async fn remove_ticks(&self, before: Timestamp) -> Result<Removed> {
        let mut removed = Removed::default();
        for symbol in self.read(retention::symbols).await? {
            removed.symbols += 1;
            loop {
                let symbol = symbol.clone();
                let take = move |w: &mut Writer| retention::remove_ticks(w, &symbol, before);
                let rows = self.write(retention::ROWS_AT_ONCE, take).await?;
                removed.rows += rows as u64;
                if rows < retention::ROWS_AT_ONCE {
                    break;
                }
            }
        }
        Ok(removed)
    }

    async fn remove_bars(&self, interval: Interval, before: Timestamp) -> Result<Removed> {
        let mut removed = Removed::default();
        for symbol in self.read(retention::symbols).await? {
            removed.symbols += 1;
            loop {
                let symbol = symbol.clone();
                let take =
                    move |w: &mut Writer| retention::remove_bars(w, &symbol, interval, before);
                let rows = self.write(retention::ROWS_AT_ONCE, take).await?;
                removed.rows += rows as u64;
                if rows < retention::ROWS_AT_ONCE {
                    break;
                }
            }
        }
        Ok(removed)
    }
}

#[async_trait]
impl Readiness for SqliteStore {
    async fn ready(&self) -> Result<()> {
        self.read(probe::read).await?;
        if self.inner.commands.is_closed() {
            return Err(closed());
        }
        let Some(failing) = self.inner.health.is_failing()? else {
            return Ok(());
        };
        // One probe at a time, and not at every question.
        let Some(_turn) = self.inner.probes.turn() else {
            return Err(failing);
        };
        self.write(probe::ROWS, probe::write).await?;
        self.inner.health.recovered();
        self.write(1, probe::tidy).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
