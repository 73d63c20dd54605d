//! What the champions of a series have forecast, whichever versions they were.
//!
//! Model: the ledger has each version under its own name, and the history of the alias says who was champion when. A
//! version's forecasts count while it was.
//!
//! What it does not do: score, or know who is champion now (see [`crate::registered`]).

use std::collections::BTreeSet;

use market::{Interval, Symbol, Timestamp};
use store::{AliasChange, ForecastLedger, LedgerQuery, LedgerRow, ModelRegistry, Result};

use crate::{jobs::series_name, registered::SCHEME, worker::CHAMPION};

/// Moves of an alias that are looked at: the newest.
const MOST_MOVES: usize = 1_000;

/// The moves of the champion's alias of a series, oldest first.
///
/// # Errors
/// The store's.
pub async fn moves(
    registry: &dyn ModelRegistry,
    symbol: &Symbol,
    interval: Interval,
) -> Result<Vec<AliasChange>> {
    let name = series_name(symbol, interval);
    let (from, until) = (Timestamp::MIN, Timestamp::MAX);
    registry
        .alias_history(&name, CHAMPION, from, until, MOST_MOVES)
        .await
}

/// The name that a version of a series has in the ledger.
#[must_use]
pub fn version_name(symbol: &Symbol, interval: Interval, version: u32) -> String {
    format!("{SCHEME}:/{}/{version}", series_name(symbol, interval))
}

/// The forecasts that a champion made from bars that start at or after `from`, while it was one by the series'
/// [`moves()`], with what happened; oldest origin first, the latest `limit`. Where two versions forecast from one bar,
/// those of the later one.
///
/// # Errors
/// The store's.
pub async fn forecasts(
    ledger: &dyn ForecastLedger,
    (symbol, interval): (&Symbol, Interval),
    moves: &[AliasChange],
    from: Timestamp,
    limit: usize,
) -> Result<Vec<LedgerRow>> {
    // The newest stint first: what it has from a bar stands.
    let mut queries = Vec::new();
    let mut until = Timestamp::MAX;
    for one in moves.iter().rev() {
        // A fan from a bar is made once that has closed: the bar began before the move.
        let begins = interval
            .start_of(one.change.at)
            .plus_micros(-interval.micros());
        if let Some(version) = one.to {
            queries.push(LedgerQuery {
                symbol: symbol.clone(),
                interval,
                model: Some(version_name(symbol, interval, version)),
                from: begins.max(from),
                until,
                limit,
            });
        }
        until = one.change.at;
        if queries.len() >= limit || until < from {
            break;
        }
    }
    let mut rows: Vec<LedgerRow> = Vec::new();
    let mut known: BTreeSet<Timestamp> = BTreeSet::new();
    for found in ledger.ledger_of(&queries).await? {
        let fresh = found
            .into_iter()
            .filter(|row| !known.contains(&row.fan.origin));
        let fresh: Vec<LedgerRow> = fresh.collect();
        known.extend(fresh.iter().map(|row| row.fan.origin));
        rows.extend(fresh);
    }
    rows.sort_by_key(|row| row.fan.origin);
    rows.drain(..rows.len().saturating_sub(limit));
    Ok(rows)
}
