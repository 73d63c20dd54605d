//! The scoreboard: sums kept with each outcome, so that reading it costs a row per model and step.
//!
//! Model: counts are exact; error sums are `f64` sums in the order of scoring. An outcome counts as
//! inside a band when it lies between the bounds, bounds included.

use market::{Interval, Symbol};
use rusqlite::{Connection, Row};

use super::{
    ledger::Scored,
    symbols::{interval_code, interval_from, seq_from, symbol_from},
};
use crate::{Result, ScoreRow, StepOutcome};

/// Adds an outcome.
pub(super) fn add(conn: &Connection, entry: &Scored, outcome: &StepOutcome) -> Result<()> {
    let at = outcome.step as usize - 1;
    let error = outcome.actual - entry.mean[at];
    let interval = interval_code(entry.interval);
    conn.prepare_cached(
        "INSERT INTO scores
             (symbol_id, interval, model, step, count, abs_sum, square_sum, naive_abs_sum)
         VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET count = count + 1, abs_sum = abs_sum + excluded.abs_sum,
             square_sum = square_sum + excluded.square_sum,
             naive_abs_sum = naive_abs_sum + excluded.naive_abs_sum",
    )?
    .execute((
        entry.symbol_id,
        interval,
        &entry.model,
        outcome.step,
        error.abs(),
        error * error,
        (outcome.actual - outcome.naive).abs(),
    ))?;
    let mut coverage = conn.prepare_cached(
        "INSERT INTO score_coverage (symbol_id, interval, model, step, level, count, inside)
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)
         ON CONFLICT DO UPDATE SET count = count + 1, inside = inside + excluded.inside",
    )?;
    for band in &entry.bands {
        let inside = band.lower[at] <= outcome.actual && outcome.actual <= band.upper[at];
        coverage.execute((
            entry.symbol_id,
            interval,
            &entry.model,
            outcome.step,
            band.level,
            inside,
        ))?;
    }
    Ok(())
}

/// See [`crate::ForecastLedger::scoreboard`]: sorted by symbol, interval, model and step.
pub(super) fn read(
    conn: &Connection,
    symbol: Option<&Symbol>,
    interval: Option<Interval>,
) -> Result<Vec<ScoreRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT y.name, s.interval, s.model, s.step, s.count, s.abs_sum, s.square_sum,
             s.naive_abs_sum, c.level, c.inside, c.count
         FROM symbols y
         CROSS JOIN scores s ON s.symbol_id = y.id AND (?2 IS NULL OR s.interval = ?2)
         LEFT JOIN score_coverage c ON c.symbol_id = s.symbol_id AND c.interval = s.interval
             AND c.model = s.model AND c.step = s.step
         WHERE ?1 IS NULL OR y.name = ?1
         ORDER BY y.name, s.interval, s.model, s.step, c.level",
    )?;
    let mut rows = statement.query((symbol.map(Symbol::as_str), interval.map(interval_code)))?;
    let mut board: Vec<ScoreRow> = Vec::new();
    while let Some(row) = rows.next()? {
        let next = read_row(row)?;
        let same = board.last_mut().filter(|last| {
            last.symbol == next.symbol
                && last.interval == next.interval
                && last.model == next.model
                && last.step == next.step
        });
        match same {
            Some(last) => last.coverage.extend(next.coverage),
            None => board.push(next),
        }
    }
    Ok(board)
}

/// A row with the one level that stands beside it.
fn read_row(row: &Row<'_>) -> Result<ScoreRow> {
    let name: String = row.get(0)?;
    let count = seq_from(row.get(4)?)?;
    let mean = |sum: f64| sum / count as f64;
    let level: Option<f64> = row.get(8)?;
    let coverage = match level {
        None => Vec::new(),
        Some(level) => {
            let (inside, of): (i64, i64) = (row.get(9)?, row.get(10)?);
            vec![(level, inside as f64 / of as f64)]
        }
    };
    Ok(ScoreRow {
        symbol: symbol_from(&name)?,
        interval: interval_from(row.get(1)?)?,
        model: row.get(2)?,
        step: row.get(3)?,
        count,
        mae: mean(row.get(5)?),
        rmse: mean(row.get(6)?).sqrt(),
        naive_mae: mean(row.get(7)?),
        coverage,
    })
}
