//! See [`crate::TickRetention`] and [`crate::BarRetention`].
//!
//! Model: a symbol at a time, and a few thousand rows per command, so that appends get their turn in
//! between. The row of the symbol keeps its latest tick and greatest position, which the next
//! position after a restart follows from too: a position is never given twice.

use std::collections::BTreeSet;

use market::{Interval, Symbol, Timestamp};
use rusqlite::Connection;

use super::{
    symbols::{interval_code, page_of, symbol_from},
    writer::Writer,
};
use crate::Result;

/// Rows that one command removes at most.
pub(super) const ROWS_AT_ONCE: usize = 5_000;

/// Every symbol, by name.
pub(super) fn symbols(conn: &Connection) -> Result<Vec<Symbol>> {
    let mut statement = conn.prepare_cached("SELECT name FROM symbols ORDER BY name")?;
    let mut rows = statement.query([])?;
    let mut symbols = Vec::new();
    while let Some(row) = rows.next()? {
        symbols.push(symbol_from(&row.get::<_, String>(0)?)?);
    }
    Ok(symbols)
}

/// Removes the oldest ticks before `before`, at most [`ROWS_AT_ONCE`]; the newest one stays.
pub(super) fn remove_ticks(
    writer: &mut Writer,
    symbol: &Symbol,
    before: Timestamp,
) -> Result<usize> {
    let conn = &writer.conn;
    let mut remove = conn.prepare_cached(
        "DELETE FROM ticks WHERE position IN (
             SELECT t.position FROM ticks t JOIN symbols s ON s.id = t.symbol_id
             WHERE s.name = ?1 AND t.ts < ?2 AND (t.ts, t.seq) < (s.tick_ts, s.tick_seq)
             ORDER BY t.ts, t.seq LIMIT ?3)
         RETURNING position",
    )?;
    let mut pages = BTreeSet::new();
    let mut removed = 0;
    let mut rows = remove.query((symbol.as_str(), before.as_micros(), ROWS_AT_ONCE as i64))?;
    while let Some(row) = rows.next()? {
        pages.insert(page_of(row.get(0)?));
        removed += 1;
    }
    drop(rows);
    // The page of the greatest position stays: the next tick may come into it.
    let mut remove_page = conn.prepare_cached(
        "DELETE FROM tick_pages WHERE page = ?2
             AND symbol_id = (SELECT id FROM symbols WHERE name = ?1 AND tick_position >> 8 <> ?2)
             AND NOT EXISTS (SELECT 1 FROM ticks t
                 WHERE t.position BETWEEN ?2 << 8 AND (?2 << 8) + 255
                     AND +t.symbol_id = tick_pages.symbol_id)",
    )?;
    for page in pages {
        remove_page.execute((symbol.as_str(), page))?;
    }
    Ok(removed)
}

/// Removes the oldest bars of an interval that start before `before`, at most [`ROWS_AT_ONCE`]; the
/// newest one stays.
pub(super) fn remove_bars(
    writer: &mut Writer,
    symbol: &Symbol,
    interval: Interval,
    before: Timestamp,
) -> Result<usize> {
    // Without rowids there is no key of one column to name the rows by: the first start that stays
    // names them.
    let removed = writer
        .conn
        .prepare_cached(
            "WITH here AS (SELECT id FROM symbols WHERE name = ?1)
             DELETE FROM bars
             WHERE symbol_id = (SELECT id FROM here) AND interval = ?2 AND start <= (
                 SELECT max(start) FROM (
                     SELECT start FROM bars
                     WHERE symbol_id = (SELECT id FROM here) AND interval = ?2 AND start < ?3
                         AND start < (SELECT max(start) FROM bars
                             WHERE symbol_id = (SELECT id FROM here) AND interval = ?2)
                     ORDER BY start LIMIT ?4))",
        )?
        .execute((
            symbol.as_str(),
            interval_code(interval),
            before.as_micros(),
            ROWS_AT_ONCE as i64,
        ))?;
    // With a bar goes the part of it that came as a bar.
    writer
        .conn
        .prepare_cached(
            "WITH here AS (SELECT id FROM symbols WHERE name = ?1)
             DELETE FROM external_bars
             WHERE symbol_id = (SELECT id FROM here) AND interval = ?2 AND start < (
                 SELECT min(start) FROM bars
                 WHERE symbol_id = (SELECT id FROM here) AND interval = ?2)",
        )?
        .execute((symbol.as_str(), interval_code(interval)))?;
    Ok(removed)
}
