//! Ticks: the append that everything else follows from, and the reads.
//!
//! Model: the rowid is the position. A tick is inserted unless its key is there; the new ones are
//! folded into bars, and those are merged into the stored ones, in the same command.

use market::{Interval, Symbol, Tick, Timestamp, bars_from_ticks};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    bars,
    symbols::{page_of, seq_from},
    writer::Writer,
};
use crate::{Appended, Result, StoredTick};

/// Stores ticks and corrects their bars.
pub(super) fn append(writer: &mut Writer, ticks: Vec<Tick>) -> Result<Appended> {
    let offered = ticks.len();
    let mut appended = Appended::default();
    // By symbol index and key: the fold below is quickest over long runs of one symbol.
    let mut order = Vec::with_capacity(offered);
    {
        let Writer {
            conn,
            symbols,
            next_position,
            ..
        } = &mut *writer;
        let mut insert = conn.prepare_cached(
            "INSERT INTO ticks (position, symbol_id, ts, seq, price, size)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (symbol_id, ts, seq) DO NOTHING",
        )?;
        let mut new_page = conn
            .prepare_cached("INSERT OR IGNORE INTO tick_pages (symbol_id, page) VALUES (?1, ?2)")?;
        let mut stored = Vec::with_capacity(offered);
        for tick in ticks {
            let index = symbols.index(conn, &tick.symbol)?;
            let state = symbols.at(index);
            let position = *next_position;
            let inserted = insert.execute((
                position,
                state.id,
                tick.ts.as_micros(),
                tick.seq.cast_signed(),
                tick.price,
                tick.size,
            ))?;
            if inserted == 0 {
                continue;
            }
            *next_position += 1;
            if state.note_tick(position, &tick) {
                new_page.execute((state.id, page_of(position)))?;
            }
            order.push((index, tick.key(), stored.len()));
            stored.push(StoredTick {
                position: position.cast_unsigned(),
                tick,
            });
        }
        appended.duplicates = offered - stored.len();
        appended.stored = stored;
    }
    order.sort_unstable();
    let ticks = order
        .iter()
        .map(|(index, _, at)| (*index, &appended.stored[*at].tick))
        .collect();
    let new = bars::NewTicks { ticks };
    let in_order = new.ticks.iter().map(|(_, tick)| *tick);
    let partial = bars_from_ticks(in_order, &Interval::ALL);
    appended.bars = bars::merge(writer, partial, &new)?;
    writer.symbols.flush(&writer.conn)?;
    Ok(appended)
}

pub(super) fn read_tick(symbol: &Symbol, row: &Row<'_>, from: usize) -> Result<Tick> {
    Ok(Tick {
        symbol: symbol.clone(),
        ts: Timestamp::from_micros(row.get(from)?),
        seq: seq_from(row.get(from + 1)?)?,
        price: row.get(from + 2)?,
        size: row.get(from + 3)?,
    })
}

/// See [`crate::PriceReader::ticks_after`]: walks the symbol's pages of positions.
pub(super) fn after(
    conn: &Connection,
    symbol: &Symbol,
    position: u64,
    limit: usize,
) -> Result<Vec<StoredTick>> {
    let Some(first) = i64::try_from(position).ok().and_then(|p| p.checked_add(1)) else {
        return Ok(Vec::new());
    };
    // The unary plus keeps the planner from the index by key: the page's rowid range is shorter.
    let mut statement = conn.prepare_cached(
        "SELECT t.position, t.ts, t.seq, t.price, t.size
         FROM tick_pages p CROSS JOIN ticks t
         WHERE p.symbol_id = (SELECT id FROM symbols WHERE name = ?1) AND p.page >= ?2 >> 8
             AND t.position BETWEEN max(p.page << 8, ?2) AND (p.page << 8) + 255
             AND +t.symbol_id = p.symbol_id
         ORDER BY p.page, t.position
         LIMIT ?3",
    )?;
    let mut rows = statement.query((symbol.as_str(), first, limit_of(limit)))?;
    let mut ticks = Vec::new();
    while let Some(row) = rows.next()? {
        let position: i64 = row.get(0)?;
        ticks.push(StoredTick {
            position: position.cast_unsigned(),
            tick: read_tick(symbol, row, 1)?,
        });
    }
    Ok(ticks)
}

/// See [`crate::PriceReader::ticks`].
pub(super) fn between(
    conn: &Connection,
    symbol: &Symbol,
    from: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Tick>> {
    let mut statement = conn.prepare_cached(
        "SELECT ts, seq, price, size FROM ticks
         WHERE symbol_id = (SELECT id FROM symbols WHERE name = ?1) AND ts >= ?2 AND ts < ?3
         ORDER BY ts DESC, seq DESC
         LIMIT ?4",
    )?;
    let mut rows = statement.query((
        symbol.as_str(),
        from.as_micros(),
        until.as_micros(),
        limit_of(limit),
    ))?;
    let mut ticks = Vec::new();
    while let Some(row) = rows.next()? {
        ticks.push(read_tick(symbol, row, 0)?);
    }
    ticks.reverse();
    Ok(ticks)
}

/// See [`crate::PriceReader::latest_tick`].
pub(super) fn latest(conn: &Connection, symbol: &Symbol) -> Result<Option<StoredTick>> {
    let mut statement = conn.prepare_cached(
        "SELECT tick_position, tick_ts, tick_seq, tick_price, tick_size FROM symbols
         WHERE name = ?1 AND tick_ts IS NOT NULL",
    )?;
    let found = statement
        .query_row([symbol.as_str()], |row| {
            let position: i64 = row.get(0)?;
            Ok((position, read_tick(symbol, row, 1)))
        })
        .optional()?;
    let Some((position, tick)) = found else {
        return Ok(None);
    };
    Ok(Some(StoredTick {
        position: position.cast_unsigned(),
        tick: tick?,
    }))
}

/// A limit as SQLite takes it.
pub(super) fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
