//! Bars: merged from ticks, put as they come, read; and the instruments.
//!
//! Rule: bars made of ticks win. A tick's bar takes the place of one that came as a bar
//! (`trades` = 0), and a bar that comes does not replace one made of ticks. So a bar holds either
//! what its source said or exactly the stored ticks, never a mixture that counts trades twice.

use market::{Bar, Interval, Symbol, TickKey, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    symbols::{interval_code, intervals_of, seq_from, symbol_from},
    ticks::limit_of,
    writer::Writer,
};
use crate::{BarQuery, Instrument, Result, StoreError, SymbolPage, SymbolPlace, SymbolQuery};

/// The columns that [`read_bar`] reads, in its order.
const COLUMNS: &str =
    "start, open, high, low, close, volume, trades, first_ts, first_seq, last_ts, last_seq";

/// Merges bars made of new ticks into the stored ones; returns them as they stand now.
pub(super) fn merge(writer: &mut Writer, partial: Vec<Bar>) -> Result<Vec<Bar>> {
    let Writer { conn, symbols, .. } = writer;
    let mut find = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM bars
         WHERE symbol_id = ?1 AND interval = ?2 AND start = ?3 AND trades > 0"
    ))?;
    let mut put = conn.prepare_cached(&format!(
        "INSERT OR REPLACE INTO bars (symbol_id, interval, {COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    ))?;
    let mut merged = Vec::with_capacity(partial.len());
    for mut bar in partial {
        let index = symbols.index(conn, &bar.symbol)?;
        let state = symbols.at(index);
        let code = interval_code(bar.interval);
        let stored = find
            .query_row((state.id, code, bar.start.as_micros()), |row| {
                Ok(read_bar(&bar.symbol, bar.interval, row))
            })
            .optional()?;
        if let Some(stored) = stored {
            let mut whole = stored?;
            whole.merge(&bar);
            bar = whole;
        }
        write(&mut put, state.id, &bar, bar.trades)?;
        state.note_bar(bar.interval);
        merged.push(bar);
    }
    Ok(merged)
}

/// See [`crate::BarStore::put_bars`].
pub(super) fn put(writer: &mut Writer, bars: &[Bar]) -> Result<usize> {
    let Writer { conn, symbols, .. } = &mut *writer;
    let mut statement = conn.prepare_cached(&format!(
        "INSERT INTO bars (symbol_id, interval, {COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (symbol_id, interval, start) DO UPDATE SET
             open = excluded.open, high = excluded.high, low = excluded.low,
             close = excluded.close, volume = excluded.volume,
             first_ts = excluded.first_ts, first_seq = excluded.first_seq,
             last_ts = excluded.last_ts, last_seq = excluded.last_seq
         WHERE bars.trades = 0"
    ))?;
    let mut written = 0;
    for bar in bars {
        let index = symbols.index(conn, &bar.symbol)?;
        let state = symbols.at(index);
        // Whatever the source says of trades: they are not among the stored ticks.
        let changed = write(&mut statement, state.id, bar, 0)?;
        if changed > 0 {
            state.note_bar(bar.interval);
        }
        written += changed;
    }
    drop(statement);
    writer.symbols.flush(&writer.conn)?;
    Ok(written)
}

fn write(
    statement: &mut rusqlite::Statement<'_>,
    symbol_id: i64,
    bar: &Bar,
    trades: u64,
) -> Result<usize> {
    Ok(statement.execute((
        symbol_id,
        interval_code(bar.interval),
        bar.start.as_micros(),
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        trades.cast_signed(),
        bar.first.ts.as_micros(),
        bar.first.seq.cast_signed(),
        bar.last.ts.as_micros(),
        bar.last.seq.cast_signed(),
    ))?)
}

fn read_bar(symbol: &Symbol, interval: Interval, row: &Row<'_>) -> Result<Bar> {
    let key = |at: usize| -> Result<TickKey> {
        Ok(TickKey {
            ts: Timestamp::from_micros(row.get(at)?),
            seq: seq_from(row.get(at + 1)?)?,
        })
    };
    Ok(Bar {
        symbol: symbol.clone(),
        interval,
        start: Timestamp::from_micros(row.get(0)?),
        open: row.get(1)?,
        high: row.get(2)?,
        low: row.get(3)?,
        close: row.get(4)?,
        volume: row.get(5)?,
        trades: seq_from(row.get(6)?)?,
        first: key(7)?,
        last: key(9)?,
    })
}

/// See [`crate::BarStore::bars`].
pub(super) fn read(conn: &Connection, query: &BarQuery) -> Result<Vec<Bar>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM bars
         WHERE symbol_id = (SELECT id FROM symbols WHERE name = ?1) AND interval = ?2
             AND start >= ?3 AND start < ?4
         ORDER BY start DESC
         LIMIT ?5"
    ))?;
    let mut rows = statement.query((
        query.symbol.as_str(),
        interval_code(query.interval),
        query.from.as_micros(),
        query.until.as_micros(),
        limit_of(query.limit),
    ))?;
    let mut bars = Vec::new();
    while let Some(row) = rows.next()? {
        bars.push(read_bar(&query.symbol, query.interval, row)?);
    }
    bars.reverse();
    Ok(bars)
}

/// See [`crate::BarStore::instruments`]: one row and one look-up per symbol, however much is stored.
pub(super) fn instruments(conn: &Connection) -> Result<Vec<Instrument>> {
    // One snapshot for both statements.
    let snapshot = conn.unchecked_transaction()?;
    let mut symbols = snapshot.prepare_cached(
        "SELECT id, name, intervals, tick_ts FROM symbols WHERE intervals > 0 ORDER BY name",
    )?;
    let mut rows = symbols.query([])?;
    let mut instruments = Vec::new();
    while let Some(row) = rows.next()? {
        instruments.push(read_instrument(&snapshot, row)?);
    }
    Ok(instruments)
}

/// See [`crate::BarStore::instrument`].
pub(super) fn instrument(conn: &Connection, symbol: &Symbol) -> Result<Option<Instrument>> {
    let snapshot = conn.unchecked_transaction()?;
    let mut found = snapshot.prepare_cached(
        "SELECT id, name, intervals, tick_ts FROM symbols WHERE name = ?1 AND intervals > 0",
    )?;
    let mut rows = found.query([symbol.as_str()])?;
    let row = rows.next()?;
    row.map(|row| read_instrument(&snapshot, row)).transpose()
}

/// The names that begin with a text, in the order of the index `symbols_listed`, which is used only
/// where its own expression and condition stand here.
const SYMBOLS_THAT_BEGIN: &str = "SELECT id, name, intervals, tick_ts FROM symbols
     WHERE intervals > 0 AND (tick_ts IS NULL) = ?1 AND name > ?2 AND name >= ?3 AND name < ?4
     ORDER BY name LIMIT ?5";

/// The names that hold a text elsewhere.
const SYMBOLS_THAT_HOLD: &str = "SELECT id, name, intervals, tick_ts FROM symbols
     WHERE intervals > 0 AND (tick_ts IS NULL) = ?1 AND name > ?2 AND instr(name, ?3) > 1
     ORDER BY name LIMIT ?4";

/// See [`crate::BarStore::symbols`].
pub(super) fn symbols(conn: &Connection, query: &SymbolQuery) -> Result<SymbolPage> {
    let snapshot = conn.unchecked_transaction()?;
    let mut page = SymbolPage::default();
    for (begins, bars_only, after) in query.parts() {
        // One more than there is room for tells whether there is a next page.
        let room = query.limit - page.instruments.len();
        let most = limit_of(room.saturating_add(1));
        let text = query.text.as_str();
        let mut found;
        let mut rows = if begins {
            found = snapshot.prepare_cached(SYMBOLS_THAT_BEGIN)?;
            // Symbols are ASCII: nothing that begins with the text sorts behind this.
            let end = format!("{text}\u{10ffff}");
            found.query((bars_only, after, text, end, most))?
        } else {
            found = snapshot.prepare_cached(SYMBOLS_THAT_HOLD)?;
            found.query((bars_only, after, text, most))?
        };
        while let Some(row) = rows.next()? {
            if page.instruments.len() == query.limit {
                page.next = page.instruments.last().map(|last| SymbolPlace {
                    begins: last.symbol.as_str().starts_with(text),
                    bars_only: last.bars_only,
                    symbol: last.symbol.clone(),
                });
                return Ok(page);
            }
            page.instruments.push(read_instrument(&snapshot, row)?);
        }
    }
    Ok(page)
}

/// An instrument of a row of (id, name, intervals, tick_ts).
fn read_instrument(conn: &Connection, row: &Row<'_>) -> Result<Instrument> {
    let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
    let intervals = intervals_of(row.get(2)?);
    let tick_ts: Option<i64> = row.get(3)?;
    let missing = || StoreError::Internal {
        detail: format!("{name} is marked as having bars and has none"),
    };
    let shortest = intervals.first().copied().ok_or_else(missing)?;
    let mut latest_bar = conn.prepare_cached(
        "SELECT start, close FROM bars WHERE symbol_id = ?1 AND interval = ?2
         ORDER BY start DESC LIMIT 1",
    )?;
    let (start, last_price): (i64, f64) = latest_bar
        .query_row((id, interval_code(shortest)), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?
        .ok_or_else(missing)?;
    Ok(Instrument {
        symbol: symbol_from(&name)?,
        last_price,
        last: Timestamp::from_micros(tick_ts.unwrap_or(start)),
        intervals,
        bars_only: tick_ts.is_none(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SqliteOptions, SqliteStore};

    #[tokio::test]
    async fn symbols_are_listed_by_an_index() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(dir.path()))
            .await
            .unwrap();
        store.close().await.unwrap();
        let conn = super::super::schema::open_reader(dir.path()).unwrap();
        for sql in [SYMBOLS_THAT_BEGIN, SYMBOLS_THAT_HOLD] {
            let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let mut rows = plan.raw_query();
            let mut steps = String::new();
            while let Some(row) = rows.next().unwrap() {
                steps += &row.get::<_, String>(3).unwrap();
            }
            assert!(
                steps.contains("INDEX symbols_listed (<expr>=? AND name>?"),
                "{steps}"
            );
            assert!(!steps.contains("TEMP B-TREE"), "{steps}");
        }
    }
}
