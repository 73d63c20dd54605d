//! The forecast ledger: entries, what is open, outcomes and the reads.
//!
//! Model: `forecasts` and `outcomes` are append-only; triggers refuse anything else. What changes
//! stands beside them: `open_forecasts` (which step is next, and when it is due) and the scoreboard
//! (see the module `scores`), both in the same savepoint as the outcomes.

use market::{Band, Fan, Interval, Symbol, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    blobs, scores,
    symbols::{interval_code, interval_from},
    ticks::limit_of,
    writer::Writer,
};
use crate::{
    LedgerQuery, LedgerRow, OpenForecast, Recorded, Result, StepOutcome, StoreError, check,
};

/// The columns that [`read_fan`] reads from `forecasts f`, in its order.
const COLUMNS: &str =
    "f.id, f.model, f.origin, f.origin_close, f.made_at, f.targets, f.mean, f.bands";

/// See [`crate::ForecastLedger::record`].
pub(super) fn record(writer: &mut Writer, fans: &[Fan]) -> Result<Vec<Recorded>> {
    let Writer { conn, symbols, .. } = writer;
    let mut find = conn.prepare_cached(
        "SELECT id FROM forecasts
         WHERE symbol_id = ?1 AND interval = ?2 AND origin = ?3 AND model = ?4",
    )?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO forecasts
             (symbol_id, interval, origin, model, origin_close, made_at, targets, mean, bands)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let mut open = conn.prepare_cached(
        "INSERT INTO open_forecasts
             (symbol_id, interval, origin, forecast_id, scored_steps, due_at)
         VALUES (?1, ?2, ?3, ?4, 0, ?5)",
    )?;
    let mut answers = Vec::with_capacity(fans.len());
    for fan in fans {
        let index = symbols.index(conn, &fan.symbol)?;
        let symbol_id = symbols.at(index).id;
        let interval = interval_code(fan.interval);
        let origin = fan.origin.as_micros();
        let there: Option<i64> = find
            .query_row((symbol_id, interval, origin, &fan.model), |row| row.get(0))
            .optional()?;
        if let Some(id) = there {
            answers.push(Recorded::AlreadyThere(id));
            continue;
        }
        // `check` has seen to it that there is a first target.
        let due_at = fan.targets.first().map(|t| fan.interval.end_of(*t));
        let Some(due_at) = due_at.filter(|end| fan.made_at <= *end) else {
            answers.push(Recorded::TooLate);
            continue;
        };
        let id = insert.insert((
            symbol_id,
            interval,
            origin,
            &fan.model,
            fan.origin_close,
            fan.made_at.as_micros(),
            blobs::targets_blob(fan),
            blobs::mean_blob(fan),
            blobs::bands_blob(fan),
        ))?;
        open.execute((symbol_id, interval, origin, id, due_at.as_micros()))?;
        answers.push(Recorded::New(id));
    }
    Ok(answers)
}

/// Reads an entry; the symbol and interval are those asked for.
fn read_fan(symbol: &Symbol, interval: Interval, row: &Row<'_>) -> Result<(i64, Fan)> {
    let origin = Timestamp::from_micros(row.get(2)?);
    let mean = blobs::mean_from(&row.get::<_, Vec<u8>>(6)?)?;
    let targets: Option<Vec<u8>> = row.get(5)?;
    let fan = Fan {
        symbol: symbol.clone(),
        interval,
        model: row.get(1)?,
        origin,
        origin_close: row.get(3)?,
        made_at: Timestamp::from_micros(row.get(4)?),
        targets: blobs::targets_from(targets.as_deref(), interval, origin, mean.len())?,
        bands: blobs::bands_from(&row.get::<_, Vec<u8>>(7)?, mean.len())?,
        mean,
    };
    Ok((row.get(0)?, fan))
}

/// See [`crate::ForecastLedger::due`].
pub(super) fn due(
    conn: &Connection,
    symbol: &Symbol,
    interval: Interval,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<OpenForecast>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, o.scored_steps
         FROM open_forecasts o CROSS JOIN forecasts f ON f.id = o.forecast_id
         WHERE o.symbol_id = (SELECT id FROM symbols WHERE name = ?1) AND o.interval = ?2
             AND o.due_at <= ?3
         ORDER BY o.origin, o.forecast_id
         LIMIT ?4"
    ))?;
    let mut rows = statement.query((
        symbol.as_str(),
        interval_code(interval),
        now.as_micros(),
        limit_of(limit),
    ))?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, fan) = read_fan(symbol, interval, row)?;
        due.push(OpenForecast {
            id,
            fan,
            scored_steps: row.get(8)?,
        });
    }
    Ok(due)
}

/// See [`crate::ForecastLedger::ledger_of`].
pub(super) fn read_each(conn: &Connection, queries: &[LedgerQuery]) -> Result<Vec<Vec<LedgerRow>>> {
    // One snapshot, so that the outcomes belong to the entries.
    let snapshot = conn.unchecked_transaction()?;
    queries.iter().map(|query| read(&snapshot, query)).collect()
}

fn read(snapshot: &Connection, query: &LedgerQuery) -> Result<Vec<LedgerRow>> {
    let mut statement = snapshot.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM forecasts f
         WHERE f.symbol_id = (SELECT id FROM symbols WHERE name = ?1) AND f.interval = ?2
             AND f.origin >= ?3 AND f.origin < ?4 AND (?5 IS NULL OR f.model = ?5)
         ORDER BY f.origin DESC, f.model DESC
         LIMIT ?6"
    ))?;
    let mut outcomes = snapshot
        .prepare_cached("SELECT actual FROM outcomes WHERE forecast_id = ?1 ORDER BY step")?;
    let mut rows = statement.query((
        query.symbol.as_str(),
        interval_code(query.interval),
        query.from.as_micros(),
        query.until.as_micros(),
        &query.model,
        limit_of(query.limit),
    ))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, fan) = read_fan(&query.symbol, query.interval, row)?;
        let actuals = outcomes
            .query_map([id], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<f64>>>()?;
        entries.push(LedgerRow { id, fan, actuals });
    }
    entries.reverse();
    Ok(entries)
}

/// An entry as scoring needs it.
pub(super) struct Scored {
    pub(super) id: i64,
    pub(super) symbol_id: i64,
    pub(super) interval: Interval,
    pub(super) model: String,
    pub(super) mean: Vec<f64>,
    pub(super) bands: Vec<Band>,
    origin: Timestamp,
    targets: Vec<Timestamp>,
    scored_steps: u32,
}

impl Scored {
    fn find(conn: &Connection, id: i64) -> Result<Self> {
        let mut statement = conn.prepare_cached(
            "SELECT f.symbol_id, f.interval, f.model, f.origin, f.targets, f.mean, f.bands,
                 o.scored_steps
             FROM forecasts f LEFT JOIN open_forecasts o
                 ON o.symbol_id = f.symbol_id AND o.interval = f.interval
                 AND o.origin = f.origin AND o.forecast_id = f.id
             WHERE f.id = ?1",
        )?;
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else {
            return Err(StoreError::NotFound {
                what: format!("forecast {id}"),
            });
        };
        let interval = interval_from(row.get(1)?)?;
        let origin = Timestamp::from_micros(row.get(3)?);
        let mean = blobs::mean_from(&row.get::<_, Vec<u8>>(5)?)?;
        let targets: Option<Vec<u8>> = row.get(4)?;
        let open: Option<u32> = row.get(7)?;
        Ok(Self {
            id,
            symbol_id: row.get(0)?,
            interval,
            model: row.get(2)?,
            origin,
            targets: blobs::targets_from(targets.as_deref(), interval, origin, mean.len())?,
            bands: blobs::bands_from(&row.get::<_, Vec<u8>>(6)?, mean.len())?,
            // What is not open is scored to its end.
            scored_steps: open.unwrap_or(u32::try_from(mean.len()).unwrap_or(u32::MAX)),
            mean,
        })
    }

    /// Takes note of how far it is scored now.
    fn close_up_to(&self, conn: &Connection) -> Result<()> {
        let origin = self.origin.as_micros();
        let interval = interval_code(self.interval);
        match self.targets.get(self.scored_steps as usize) {
            Some(next) => conn
                .prepare_cached(
                    "UPDATE open_forecasts SET scored_steps = ?5, due_at = ?6
                     WHERE symbol_id = ?1 AND interval = ?2 AND origin = ?3 AND forecast_id = ?4",
                )?
                .execute((
                    self.symbol_id,
                    interval,
                    origin,
                    self.id,
                    self.scored_steps,
                    self.interval.end_of(*next).as_micros(),
                ))?,
            None => conn
                .prepare_cached(
                    "DELETE FROM open_forecasts
                     WHERE symbol_id = ?1 AND interval = ?2 AND origin = ?3 AND forecast_id = ?4",
                )?
                .execute((self.symbol_id, interval, origin, self.id))?,
        };
        Ok(())
    }
}

/// See [`crate::ForecastLedger::score`].
pub(super) fn score(writer: &mut Writer, mut outcomes: Vec<StepOutcome>) -> Result<usize> {
    let conn = &writer.conn;
    outcomes.sort_by_key(|outcome| (outcome.forecast_id, outcome.step));
    let mut written = 0;
    for of_one in outcomes.chunk_by(|a, b| a.forecast_id == b.forecast_id) {
        let Some(id) = of_one.first().map(|o| o.forecast_id) else {
            continue;
        };
        let mut entry = Scored::find(conn, id)?;
        let before = entry.scored_steps;
        for outcome in of_one {
            if outcome.step <= entry.scored_steps {
                continue; // it is there already
            }
            if outcome.step > entry.scored_steps + 1 || outcome.step as usize > entry.mean.len() {
                return Err(check::invalid(format!(
                    "step {} of forecast {id} cannot be scored: {} of its {} steps are, and they are scored in order",
                    outcome.step,
                    entry.scored_steps,
                    entry.mean.len()
                )));
            }
            conn.prepare_cached(
                "INSERT INTO outcomes (forecast_id, step, actual, naive) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((id, outcome.step, outcome.actual, outcome.naive))?;
            scores::add(conn, &entry, outcome)?;
            entry.scored_steps = outcome.step;
            written += 1;
        }
        if entry.scored_steps > before {
            entry.close_up_to(conn)?;
        }
    }
    Ok(written)
}
