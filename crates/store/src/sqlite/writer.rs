//! The writer: one thread, one connection, every change.
//!
//! Model: commands wait in a bounded channel. The thread takes what is there, up to
//! [`GROUP_ROWS`] rows, into one transaction, each command after the first in a savepoint of its own;
//! it commits, then answers all of them. So a command that fails takes nothing with it, and many small commands
//! cost one commit.
//!
//! Policy when full: the caller waits. Metrics: `tickcast_store_write_queue` (commands waiting),
//! `tickcast_store_commit_seconds`, `tickcast_store_commands_total`,
//! `tickcast_store_failed_commits_total`.

use std::{fs::File, sync::Arc, time::Instant};

use market::ErrorKind;
use metrics::{counter, gauge, histogram};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{checkpoints::Checkpoints, fault::closed, health::Health, symbols::Symbols};
use crate::{DeadLetterQuota, Result, StoreError};

/// A group takes no further command once it has so many rows.
pub(super) const GROUP_ROWS: usize = 8_192;
/// A group takes so many commands at most.
const GROUP_COMMANDS: usize = 256;

/// What the writer knows besides the file. Always what the transaction that runs would read.
pub(super) struct Writer {
    pub(super) conn: Connection,
    pub(super) symbols: Symbols,
    /// The position that the next tick gets.
    pub(super) next_position: i64,
    pub(super) dead_letter_quota: DeadLetterQuota,
    /// A rollback happened and the state could not be read since.
    stale: bool,
    health: Arc<Health>,
    /// Why a command of the group that runs failed, where that was no fault of the command's.
    failed: Option<StoreError>,
    /// Held until the connection is closed. The field order matters: fields drop in it.
    _lock: File,
}

/// A command's work and the one who waits for it.
pub(super) trait Task: Send {
    /// Does the work; the error that it ended with.
    fn run(&mut self, writer: &mut Writer) -> Option<StoreError>;
    /// Answers, once the fate of the transaction is known: `lost` is why it was rolled back.
    fn answer(self: Box<Self>, lost: Option<&StoreError>);
}

/// What goes through the channel.
pub(super) enum Command {
    /// A change, with the number of rows it writes.
    Write {
        /// Rows, about.
        rows: usize,
        /// The change.
        task: Box<dyn Task>,
    },
    /// Finish what is queued and end.
    Stop,
}

struct Operation<T, F> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Task for Operation<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Writer) -> Result<T> + Send + 'static,
{
    fn run(&mut self, writer: &mut Writer) -> Option<StoreError> {
        let outcome = self.work.take().map(|work| work(writer));
        let failed = outcome.as_ref().and_then(|o| o.as_ref().err().cloned());
        self.outcome = outcome;
        failed
    }

    fn answer(self: Box<Self>, lost: Option<&StoreError>) {
        let outcome = match (self.outcome, lost) {
            (Some(Err(error)), _) => Err(error),
            (_, Some(error)) => Err(error.clone()),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(closed()),
        };
        // The caller may have gone; the change stands all the same.
        drop(self.reply.send(outcome));
    }
}

/// Wraps an operation as a command and gives the receiver of its result.
pub(super) fn command<T: Send + 'static>(
    rows: usize,
    work: impl FnOnce(&mut Writer) -> Result<T> + Send + 'static,
) -> (Command, oneshot::Receiver<Result<T>>) {
    let (reply, result) = oneshot::channel();
    let task = Box::new(Operation {
        work: Some(work),
        outcome: None,
        reply,
    });
    (Command::Write { rows, task }, result)
}

impl Writer {
    pub(super) fn new(
        conn: Connection,
        lock: File,
        dead_letter_quota: DeadLetterQuota,
        health: Arc<Health>,
    ) -> Result<Self> {
        let mut writer = Self {
            conn,
            symbols: Symbols::default(),
            next_position: 1,
            dead_letter_quota,
            stale: false,
            health,
            failed: None,
            _lock: lock,
        };
        writer.reload()?;
        Ok(writer)
    }

    /// Reads again what is kept in memory: after a rollback it may be ahead of the file.
    fn reload(&mut self) -> Result<()> {
        self.symbols = Symbols::load(&self.conn)?;
        // The symbols remember the greatest position of theirs, also of a tick that retention took.
        let last: i64 = self.conn.query_row(
            "SELECT max(ifnull((SELECT max(position) FROM ticks), 0),
                 ifnull((SELECT max(tick_position) FROM symbols), 0))",
            [],
            |row| row.get(0),
        )?;
        self.next_position = last + 1;
        self.stale = false;
        Ok(())
    }

    /// Runs until told to stop, or until nobody is left to give commands.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>, mut wal: Checkpoints) {
        while let Some(command) = commands.blocking_recv() {
            match command {
                Command::Write { rows, task } => {
                    self.group(rows, task, &mut commands);
                    wal.after_commit(&self.conn);
                }
                // No further command gets in; those that are in are still done.
                Command::Stop => commands.close(),
            }
        }
        wal.stop();
        // A short WAL makes the next start quick.
        let truncated = self
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = truncated {
            tracing::warn!(%error, "the last checkpoint failed");
        }
    }

    /// One transaction over the first command and what else waits, and the answers.
    fn group(
        &mut self,
        mut rows: usize,
        first: Box<dyn Task>,
        commands: &mut mpsc::Receiver<Command>,
    ) {
        let started = Instant::now();
        self.health.begins();
        self.failed = None;
        let mut outcome = self.begin();
        let mut tasks = Vec::new();
        let mut next = Some(first);
        while let Some(mut task) = next.take() {
            if outcome.is_ok() {
                outcome = if tasks.is_empty() {
                    self.first(task.as_mut())
                } else {
                    self.savepoint(task.as_mut())
                };
            }
            tasks.push(task);
            if outcome.is_err() || rows >= GROUP_ROWS || tasks.len() >= GROUP_COMMANDS {
                break;
            }
            match commands.try_recv() {
                Ok(Command::Write { rows: more, task }) => {
                    rows += more;
                    next = Some(task);
                }
                Ok(Command::Stop) => commands.close(),
                Err(_) => {}
            }
        }
        let outcome = outcome.and_then(|()| self.statement("COMMIT"));
        if let Err(error) = &outcome {
            counter!("tickcast_store_failed_commits_total").increment(1);
            tracing::error!(%error, commands = tasks.len(), "a transaction was rolled back");
            self.roll_back();
        }
        let failed = self.failed.take();
        self.health
            .ended(rows, outcome.as_ref().err().or(failed.as_ref()));
        histogram!("tickcast_store_commit_seconds").record(started.elapsed().as_secs_f64());
        counter!("tickcast_store_commands_total").increment(tasks.len() as u64);
        gauge!("tickcast_store_write_queue").set(commands.len() as f64);
        for task in tasks {
            task.answer(outcome.as_ref().err());
        }
    }

    /// Runs the first command of a transaction. An error means that the transaction is lost; a command
    /// that fails alone is undone and answers for itself. Nothing was done before it, so that it needs no
    /// savepoint, for which SQLite would copy each page before it is written.
    fn first(&mut self, task: &mut dyn Task) -> Result<()> {
        match task.run(self) {
            None => Ok(()),
            Some(error) => self.undo(error, "ROLLBACK; BEGIN IMMEDIATE"),
        }
    }

    /// The same for a command that others came before.
    fn savepoint(&mut self, task: &mut dyn Task) -> Result<()> {
        self.statement("SAVEPOINT command")?;
        match task.run(self) {
            None => self.statement("RELEASE command"),
            Some(error) => self.undo(error, "ROLLBACK TO command; RELEASE command"),
        }
    }

    /// Undoes what a command has done that failed.
    fn undo(&mut self, error: StoreError, how: &str) -> Result<()> {
        if matches!(error.kind(), ErrorKind::Unavailable) {
            self.failed = Some(error.clone());
        }
        // After a full disk and the like SQLite has rolled everything back by itself.
        if self.conn.is_autocommit() {
            return Err(error);
        }
        self.conn.execute_batch(how)?;
        self.reload()
    }

    fn begin(&mut self) -> Result<()> {
        if self.stale {
            self.reload()?;
        }
        self.statement("BEGIN IMMEDIATE")
    }

    fn roll_back(&mut self) {
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a rollback failed");
        }
        if let Err(error) = self.reload() {
            // What is in memory may be wrong now, so nothing may be written with it.
            tracing::error!(%error, "the state after a rollback could not be read");
            self.stale = true;
        }
    }

    fn statement(&self, sql: &str) -> Result<()> {
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}
