//! The symbols with their latest state, in the writer's memory.
//!
//! Model: loaded at the start and after a rollback; changed with the transaction and written by
//! [`Symbols::flush`] at the end of each command, so that file and memory agree.

use std::collections::HashMap;

use market::{Interval, Symbol, Tick, TickKey, Timestamp};
use rusqlite::{Connection, Row};

use super::fault::damaged;
use crate::Result;

/// One symbol.
#[derive(Clone, Debug)]
pub(super) struct SymbolState {
    pub(super) id: i64,
    pub(super) symbol: Symbol,
    /// Bit i: the i-th shortest interval has bars.
    intervals: u8,
    /// Key, price and size of the tick with the greatest key.
    latest: Option<(TickKey, f64, f64)>,
    /// The greatest position; 0 while there is no tick.
    position: i64,
    changed: bool,
}

impl SymbolState {
    /// Takes note of a stored tick. True when it is the symbol's first in its page of positions.
    pub(super) fn note_tick(&mut self, position: i64, tick: &Tick) -> bool {
        let new_page = self.position == 0 || page_of(self.position) != page_of(position);
        self.position = position;
        if self.latest.is_none_or(|(key, ..)| key < tick.key()) {
            self.latest = Some((tick.key(), tick.price, tick.size));
        }
        self.changed = true;
        new_page
    }

    /// Takes note that the interval has bars.
    pub(super) fn note_bar(&mut self, interval: Interval) {
        let bit = interval_bit(interval);
        if self.intervals & bit == 0 {
            self.intervals |= bit;
            self.changed = true;
        }
    }
}

/// The run of positions that a position belongs to.
pub(super) const fn page_of(position: i64) -> i64 {
    position >> 8
}

fn interval_bit(interval: Interval) -> u8 {
    Interval::ALL
        .iter()
        .position(|i| *i == interval)
        .map_or(0, |i| 1 << i)
}

/// The intervals of a mask, shortest first.
pub(super) fn intervals_of(mask: u8) -> Vec<Interval> {
    Interval::ALL
        .into_iter()
        .filter(|i| mask & interval_bit(*i) != 0)
        .collect()
}

/// How an interval is stored: its length in seconds.
pub(super) const fn interval_code(interval: Interval) -> i64 {
    interval.micros() / 1_000_000
}

/// The interval of a stored code.
pub(super) fn interval_from(code: i64) -> Result<Interval> {
    Interval::ALL
        .into_iter()
        .find(|i| interval_code(*i) == code)
        .ok_or_else(|| damaged(&format!("interval {code}")))
}

/// The symbol of a stored name.
pub(super) fn symbol_from(name: &str) -> Result<Symbol> {
    name.parse()
        .map_err(|_| damaged(&format!("symbol {name:?}")))
}

/// A stored sequence number.
pub(super) fn seq_from(seq: i64) -> Result<u64> {
    u64::try_from(seq).map_err(|_| damaged(&format!("sequence {seq}")))
}

/// All symbols.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    by_name: HashMap<Symbol, usize>,
    states: Vec<SymbolState>,
}

impl Symbols {
    /// Reads them.
    pub(super) fn load(conn: &Connection) -> Result<Self> {
        let mut symbols = Self::default();
        let mut statement = conn.prepare_cached(
            "SELECT id, name, intervals, tick_position, tick_ts, tick_seq, tick_price, tick_size
             FROM symbols ORDER BY id",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            symbols.insert(read_state(row)?);
        }
        Ok(symbols)
    }

    fn insert(&mut self, state: SymbolState) -> usize {
        let index = self.states.len();
        self.by_name.insert(state.symbol.clone(), index);
        self.states.push(state);
        index
    }

    /// The index of a symbol, which gets an id when it is new.
    pub(super) fn index(&mut self, conn: &Connection, symbol: &Symbol) -> Result<usize> {
        if let Some(index) = self.by_name.get(symbol) {
            return Ok(*index);
        }
        let id = conn
            .prepare_cached("INSERT INTO symbols (name) VALUES (?1)")?
            .insert([symbol.as_str()])?;
        Ok(self.insert(SymbolState {
            id,
            symbol: symbol.clone(),
            intervals: 0,
            latest: None,
            position: 0,
            changed: false,
        }))
    }

    /// The state at an index that [`Self::index`] gave.
    pub(super) fn at(&mut self, index: usize) -> &mut SymbolState {
        &mut self.states[index]
    }

    /// Writes what has changed.
    pub(super) fn flush(&mut self, conn: &Connection) -> Result<()> {
        let mut statement = conn.prepare_cached(
            "UPDATE symbols SET intervals = ?2, tick_position = ?3, tick_ts = ?4, tick_seq = ?5,
                 tick_price = ?6, tick_size = ?7
             WHERE id = ?1",
        )?;
        for state in self.states.iter_mut().filter(|s| s.changed) {
            let latest = state.latest;
            statement.execute((
                state.id,
                state.intervals,
                state.position,
                latest.map(|(key, ..)| key.ts.as_micros()),
                latest.map(|(key, ..)| key.seq.cast_signed()),
                latest.map(|(_, price, _)| price),
                latest.map(|(.., size)| size),
            ))?;
            state.changed = false;
        }
        Ok(())
    }
}

fn read_state(row: &Row<'_>) -> Result<SymbolState> {
    let name: String = row.get(1)?;
    let ts: Option<i64> = row.get(4)?;
    let latest = match ts {
        None => None,
        Some(ts) => Some((
            TickKey {
                ts: Timestamp::from_micros(ts),
                seq: seq_from(row.get(5)?)?,
            },
            row.get(6)?,
            row.get(7)?,
        )),
    };
    Ok(SymbolState {
        id: row.get(0)?,
        symbol: symbol_from(&name)?,
        intervals: row.get(2)?,
        latest,
        position: row.get(3)?,
        changed: false,
    })
}
