//! Which symbols there are, and their latest state.

use market::{Interval, Symbol, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    symbols::{interval_code, intervals_of, symbol_from},
    ticks::limit_of,
};
use crate::{
    Instrument, InstrumentQuote, Result, StoreError, SymbolPage, SymbolPlace, SymbolQuery,
};

/// See [`crate::PriceReader::instruments`]: one row and one look-up per symbol, however much is stored.
pub(super) fn instruments(conn: &Connection) -> Result<Vec<Instrument>> {
    // One snapshot for both statements.
    let snapshot = conn.unchecked_transaction()?;
    let mut symbols = snapshot.prepare_cached(
        "SELECT id, name, intervals, tick_ts FROM symbols WHERE intervals > 0 ORDER BY name",
    )?;
    let mut rows = symbols.query([])?;
    let mut instruments = Vec::new();
    while let Some(row) = rows.next()? {
        instruments.push(read_instrument(&snapshot, row)?.1);
    }
    Ok(instruments)
}

/// See [`crate::PriceReader::quotes`].
pub(super) fn quotes(conn: &Connection, symbols: &[Symbol]) -> Result<Vec<InstrumentQuote>> {
    let snapshot = conn.unchecked_transaction()?;
    let mut found = snapshot.prepare_cached(
        "SELECT id, name, intervals, tick_ts FROM symbols WHERE name = ?1 AND intervals > 0",
    )?;
    let mut quotes = Vec::with_capacity(symbols.len());
    for symbol in symbols {
        let mut rows = found.query([symbol.as_str()])?;
        if let Some(row) = rows.next()? {
            quotes.push(read_quote(&snapshot, row)?);
        }
    }
    Ok(quotes)
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

/// See [`crate::PriceReader::symbols`].
pub(super) fn symbols(conn: &Connection, query: &SymbolQuery) -> Result<SymbolPage> {
    let snapshot = conn.unchecked_transaction()?;
    let mut page = SymbolPage::default();
    for (begins, bars_only, after) in query.parts() {
        // One more than there is room for tells whether there is a next page.
        let room = query.limit - page.quotes.len();
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
            if page.quotes.len() == query.limit {
                let last = page.quotes.last().map(|quote| &quote.instrument);
                page.next = last.map(|last| SymbolPlace {
                    begins: last.symbol.as_str().starts_with(text),
                    bars_only: last.bars_only,
                    symbol: last.symbol.clone(),
                });
                return Ok(page);
            }
            page.quotes.push(read_quote(&snapshot, row)?);
        }
    }
    Ok(page)
}

/// An instrument of a row of (id, name, intervals, tick_ts), with its previous close.
fn read_quote(conn: &Connection, row: &Row<'_>) -> Result<InstrumentQuote> {
    let (id, instrument) = read_instrument(conn, row)?;
    let mut bar_before = conn.prepare_cached(
        "SELECT close FROM bars WHERE symbol_id = ?1 AND interval = ?2 AND start < ?3
         ORDER BY start DESC LIMIT 1",
    )?;
    let day = instrument.day().as_micros();
    let previous_close = bar_before
        .query_row((id, interval_code(Interval::D1), day), |row| row.get(0))
        .optional()?;
    Ok(InstrumentQuote {
        instrument,
        previous_close,
    })
}

/// The id and the instrument of a row of (id, name, intervals, tick_ts).
fn read_instrument(conn: &Connection, row: &Row<'_>) -> Result<(i64, Instrument)> {
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
    let instrument = Instrument {
        symbol: symbol_from(&name)?,
        last_price,
        last: Timestamp::from_micros(tick_ts.unwrap_or(start)),
        intervals,
        bars_only: tick_ts.is_none(),
    };
    Ok((id, instrument))
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
