//! Bars: merged from ticks, put as they come, read.
//!
//! Rule ([`market::Bar`] has it whole): what a bar that came as a bar covers is told by it alone; ticks
//! outside of that are merged into it. `bars` has what is seen. Of a bar that went on with ticks the part
//! that came is kept in `external_bars`, to tell which ticks it covers; so the next one that comes in its
//! place starts from the ticks outside of what that one covers, and the order of arrival does not matter.

use market::{Bar, Coverage, Interval, Symbol, Tick, TickKey, Timestamp, bars_from_ticks};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    symbols::{interval_code, seq_from},
    ticks::{limit_of, read_tick},
    writer::Writer,
};
use crate::{BarQuery, Result};

/// The columns that [`read_bar`] reads, in its order.
const COLUMNS: &str =
    "start, open, high, low, close, volume, trades, first_ts, first_seq, last_ts, last_seq";

/// Those of a part that came as a bar, in its order, after the key.
const CAME: &str = "open, high, low, close, volume, first_ts, first_seq, last_ts, last_seq";

/// The new ticks of an append, by the index of their symbol and by key.
pub(super) struct NewTicks<'a> {
    pub(super) ticks: Vec<(usize, &'a Tick)>,
}

impl<'a> NewTicks<'a> {
    /// Those of a bar.
    fn of(&self, index: usize, bar: &Bar) -> impl Iterator<Item = &'a Tick> {
        let first = |at: Timestamp| {
            self.ticks
                .partition_point(|(i, tick)| (*i, tick.ts) < (index, at))
        };
        self.ticks[first(bar.start)..first(bar.end())]
            .iter()
            .map(|(_, tick)| *tick)
    }
}

/// A stored bar, and the part of it that came as a bar.
struct Stored {
    whole: Bar,
    came: Option<Bar>,
    /// Whether the part lies in `external_bars`, because the whole has ticks besides.
    apart: bool,
}

struct Statements<'c> {
    find: rusqlite::CachedStatement<'c>,
    came: rusqlite::CachedStatement<'c>,
    /// Whether `external_bars` has any: most stores have none, and each bar of a push would be looked for there.
    any_apart: bool,
    put: rusqlite::CachedStatement<'c>,
    keep: rusqlite::CachedStatement<'c>,
    forget: rusqlite::CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    fn new(conn: &'c Connection) -> Result<Self> {
        let key = "WHERE symbol_id = ?1 AND interval = ?2 AND start = ?3";
        let any_apart = conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM external_bars)")?
            .query_row([], |row| row.get(0))?;
        Ok(Self {
            any_apart,
            // Two statements: a join of them takes nine times as long.
            find: conn.prepare_cached(&format!("SELECT {COLUMNS} FROM bars {key}"))?,
            came: conn.prepare_cached(&format!("SELECT {CAME} FROM external_bars {key}"))?,
            put: conn.prepare_cached(&format!(
                "INSERT OR REPLACE INTO bars (symbol_id, interval, {COLUMNS})
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
            ))?,
            keep: conn.prepare_cached(&format!(
                "INSERT OR REPLACE INTO external_bars (symbol_id, interval, start, {CAME})
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
            ))?,
            forget: conn.prepare_cached(
                "DELETE FROM external_bars WHERE symbol_id = ?1 AND interval = ?2 AND start = ?3",
            )?,
        })
    }

    fn find(&mut self, id: i64, bar: &Bar) -> Result<Option<Stored>> {
        let key = (id, interval_code(bar.interval), bar.start.as_micros());
        let found = self
            .find
            .query_row(key, |row| Ok(read_bar(&bar.symbol, bar.interval, row)))
            .optional()?;
        let Some(whole) = found.transpose()? else {
            return Ok(None);
        };
        let apart = if self.any_apart {
            let came = self
                .came
                .query_row(key, |row| Ok(read_came(&whole, row)))
                .optional()?;
            came.transpose()?
        } else {
            None
        };
        let is_apart = apart.is_some();
        let came = apart.or_else(|| whole.is_external().then(|| whole.clone()));
        Ok(Some(Stored {
            whole,
            came,
            apart: is_apart,
        }))
    }

    fn keep(&mut self, id: i64, came: &Bar) -> Result<()> {
        self.any_apart = true;
        self.keep.execute((
            id,
            interval_code(came.interval),
            came.start.as_micros(),
            came.open,
            came.high,
            came.low,
            came.close,
            came.volume,
            came.first.ts.as_micros(),
            came.first.seq.cast_signed(),
            came.last.ts.as_micros(),
            came.last.seq.cast_signed(),
        ))?;
        Ok(())
    }
}

/// Merges bars made of new ticks into the stored ones; returns those that changed, as they stand now.
pub(super) fn merge(
    writer: &mut Writer,
    partial: Vec<Bar>,
    new: &NewTicks<'_>,
) -> Result<Vec<Bar>> {
    let Writer { conn, symbols, .. } = writer;
    let mut statements = Statements::new(conn)?;
    let mut merged = Vec::with_capacity(partial.len());
    for mut bar in partial {
        let index = symbols.index(conn, &bar.symbol)?;
        let state = symbols.at(index);
        if let Some(stored) = statements.find(state.id, &bar)? {
            if let Some(came) = &stored.came {
                let outside = match came.coverage_of(&bar) {
                    Coverage::All => None,
                    Coverage::None => Some(bar),
                    Coverage::Some => {
                        let ticks = new.of(index, &bar).filter(|t| !came.covers(t.key()));
                        bars_from_ticks(ticks, &[bar.interval]).pop()
                    }
                };
                // It has them already: the bar stays as it is.
                let Some(outside) = outside else { continue };
                bar = outside;
                if !stored.apart {
                    statements.keep(state.id, came)?;
                }
            }
            let mut whole = stored.whole;
            whole.merge(&bar);
            bar = whole;
        }
        write(&mut statements.put, state.id, &bar)?;
        state.note_bar(bar.interval);
        merged.push(bar);
    }
    Ok(merged)
}

/// See [`crate::PriceWriter::put_bars`].
pub(super) fn put(writer: &mut Writer, bars: &[Bar]) -> Result<usize> {
    let Writer { conn, symbols, .. } = &mut *writer;
    let mut statements = Statements::new(conn)?;
    for bar in bars {
        let index = symbols.index(conn, &bar.symbol)?;
        let state = symbols.at(index);
        // Whatever the source says of trades: they are not among the stored ticks.
        let came = Bar {
            trades: 0,
            ..bar.clone()
        };
        let stored = statements.find(state.id, &came)?;
        let apart = stored.as_ref().is_some_and(|stored| stored.apart);
        let rest = match stored {
            None => None,
            Some(stored) => outside(conn, state.id, &came, stored)?,
        };
        let mut whole = came.clone();
        if let Some(rest) = rest {
            whole.merge(&rest);
            statements.keep(state.id, &came)?;
        } else if apart {
            let key = (
                state.id,
                interval_code(came.interval),
                came.start.as_micros(),
            );
            statements.forget.execute(key)?;
        }
        write(&mut statements.put, state.id, &whole)?;
        state.note_bar(bar.interval);
    }
    drop(statements);
    writer.symbols.flush(&writer.conn)?;
    Ok(bars.len())
}

/// What the stored ticks of a bar amount to, outside of what `came` covers.
fn outside(conn: &Connection, id: i64, came: &Bar, stored: Stored) -> Result<Option<Bar>> {
    let (first, last) = Bar::keys_until(came.interval, came.start, Timestamp::MAX);
    if came.covers(first) && came.covers(last) {
        return Ok(None);
    }
    // Made of ticks alone, its keys say where they lie: they need not be read, and may be gone.
    if stored.came.is_none() {
        match came.coverage_of(&stored.whole) {
            Coverage::All => return Ok(None),
            Coverage::None => return Ok(Some(stored.whole)),
            Coverage::Some => {}
        }
    }
    let mut statement = conn.prepare_cached(
        "SELECT ts, seq, price, size FROM ticks
         WHERE symbol_id = ?1 AND (ts, seq) >= (?2, 0) AND (ts, seq) < (?3, ?4)
         UNION ALL
         SELECT ts, seq, price, size FROM ticks
         WHERE symbol_id = ?1 AND (ts, seq) > (?5, ?6) AND (ts, seq) < (?7, 0)",
    )?;
    let mut rows = statement.query((
        id,
        came.start.as_micros(),
        came.first.ts.as_micros(),
        came.first.seq.cast_signed(),
        came.last.ts.as_micros(),
        came.last.seq.cast_signed(),
        came.end().as_micros(),
    ))?;
    let mut bar: Option<Bar> = None;
    while let Some(row) = rows.next()? {
        let tick = read_tick(&came.symbol, row, 0)?;
        match &mut bar {
            Some(bar) => bar.push(&tick),
            None => bar = Some(Bar::from_tick(&tick, came.interval)),
        }
    }
    Ok(bar)
}

fn write(statement: &mut rusqlite::Statement<'_>, symbol_id: i64, bar: &Bar) -> Result<usize> {
    Ok(statement.execute((
        symbol_id,
        interval_code(bar.interval),
        bar.start.as_micros(),
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.trades.cast_signed(),
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

/// The part of a bar that came, from a row of [`CAME`].
fn read_came(whole: &Bar, row: &Row<'_>) -> Result<Bar> {
    let key = |at: usize| -> Result<TickKey> {
        Ok(TickKey {
            ts: Timestamp::from_micros(row.get(at)?),
            seq: seq_from(row.get(at + 1)?)?,
        })
    };
    Ok(Bar {
        open: row.get(0)?,
        high: row.get(1)?,
        low: row.get(2)?,
        close: row.get(3)?,
        volume: row.get(4)?,
        trades: 0,
        first: key(5)?,
        last: key(7)?,
        ..whole.clone()
    })
}

/// See [`crate::PriceReader::bars_of`].
pub(super) fn read_each(conn: &Connection, queries: &[BarQuery]) -> Result<Vec<Vec<Bar>>> {
    if let [query] = queries {
        return Ok(vec![read(conn, query)?]);
    }
    // One snapshot for all of them.
    let snapshot = conn.unchecked_transaction()?;
    queries.iter().map(|query| read(&snapshot, query)).collect()
}

fn read(conn: &Connection, query: &BarQuery) -> Result<Vec<Bar>> {
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
