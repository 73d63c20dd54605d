//! The closes of closed bars from the store.

use market::{Interval, MAX_CARRIED_BARS, Symbol, Timestamp, timed_closes};
use store::BarQuery;

use super::attempt::{Failure, Task};

/// Rows of a job at most.
const MOST_ROWS: usize = 500_000;

/// The latest closes of bars that had ended by a time, at most `rows`, with the starts of their bars.
pub(super) async fn closes(
    task: &Task,
    symbol: &Symbol,
    interval: Interval,
    as_of: Timestamp,
    rows: usize,
) -> Result<(Vec<Timestamp>, Vec<f64>), Failure> {
    let rows = rows.min(MOST_ROWS);
    let query = ended((symbol, interval), Timestamp::MIN, as_of, rows);
    let bars = task.inner.ports.prices.bars(&query).await?;
    if bars.is_empty() {
        return Err(Failure::Refused(format!(
            "symbol: no {interval} bar of {symbol} that ended by {as_of} is in the store"
        )));
    }
    Ok(timed_closes(&bars, interval, rows, MAX_CARRIED_BARS))
}

/// The latest bars of a series that start at `from` or later and had ended by a time, at most `limit`.
pub(super) fn ended(
    (symbol, interval): (&Symbol, Interval),
    from: Timestamp,
    as_of: Timestamp,
    limit: usize,
) -> BarQuery {
    BarQuery {
        symbol: symbol.clone(),
        interval,
        from,
        // The start of a bar that has ended lies its length before.
        until: as_of.plus_micros(1 - interval.micros()),
        limit,
    }
}
