//! A write that finds out whether a store which could not commit can again: as large as the largest
//! transactions, because a disk that has room for a small one may still refuse them.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::writer::Writer;
use crate::Result;

/// The size of a probe. About what a full group of ticks and their bars takes.
const BYTES: usize = 1024 * 1024;
/// What it counts for among the rows of a group.
pub(super) const ROWS: usize = super::writer::GROUP_ROWS;
/// Between two probes at least.
const EVERY: Duration = Duration::from_millis(500);

/// When the last probe began; locked while one runs.
#[derive(Debug, Default)]
pub(super) struct Probes(tokio::sync::Mutex<Option<Instant>>);

impl Probes {
    /// The right to probe, if it is time and nobody else does.
    pub(super) fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, Option<Instant>>> {
        let mut last = self.0.try_lock().ok()?;
        if last.is_some_and(|at| at.elapsed() < EVERY) {
            return None;
        }
        *last = Some(Instant::now());
        Some(last)
    }
}

/// Reads the first page.
pub(super) fn read(conn: &Connection) -> Result<()> {
    let tables = "SELECT count(*) FROM sqlite_schema";
    conn.query_row(tables, [], |_| Ok(()))?;
    Ok(())
}

/// Writes.
pub(super) fn write(writer: &mut Writer) -> Result<()> {
    writer
        .conn
        .prepare_cached(
            "INSERT INTO probe (id, content) VALUES (1, randomblob(?1))
             ON CONFLICT DO UPDATE SET content = excluded.content",
        )?
        .execute([BYTES as i64])?;
    Ok(())
}

/// Gives the room back to later rows.
pub(super) fn tidy(writer: &mut Writer) -> Result<()> {
    writer
        .conn
        .prepare_cached("DELETE FROM probe")?
        .execute([])?;
    Ok(())
}
