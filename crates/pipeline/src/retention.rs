//! Removal by age, as a job of every process that stores.
//!
//! Model: soon after the start, and every hour from then on, whatever is older than its age is
//! removed, whole UTC days at a time. Several processes that do it at once do it once: there is
//! nothing left for the second. A run that fails is left to the next one.
//!
//! Metrics: `tickcast_retention_removed_rows_total{kind}`, `tickcast_retention_runs_total`,
//! `tickcast_retention_failures_total`.
//!
//! What it does not do: touch the ledger, or the newest tick and bars of a symbol (see
//! [`store::TickRetention`]) or the bars of a store that cannot remove them. Ages count back from the wall clock, also for prices of the past that are
//! replayed or imported.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use market::{Interval, Timestamp};
use metrics::counter;
use serde::{Deserialize, Serialize};
use store::{BarRetention, StorePorts, TickRetention};
use tokio_util::sync::CancellationToken;

use crate::{Clock, Result};

/// What is removed by age; by default nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days that ticks are kept; `None`: for ever.
    pub ticks_days: Option<u32>,
    /// Days that bars of an interval are kept; those of an interval that is not named, for ever.
    pub bars_days: BTreeMap<Interval, u32>,
    /// How long after the start the first run is.
    pub first_after_ms: u64,
    /// How long after a run the next one is.
    pub every_ms: u64,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            ticks_days: None,
            bars_days: BTreeMap::new(),
            first_after_ms: 5_000,
            every_ms: 3_600_000,
        }
    }
}

impl RetentionConfig {
    /// Whether anything is ever removed.
    fn removes(&self) -> bool {
        self.ticks_days.is_some() || !self.bars_days.is_empty()
    }
}

/// Removes what is older than its age at the wall-clock time `now`; returns how many ticks and bars.
/// `bar_store`: absent where bars stay.
///
/// # Errors
/// The store's: then some are removed.
pub async fn remove_old(
    tick_store: &dyn TickRetention,
    bar_store: Option<&dyn BarRetention>,
    config: &RetentionConfig,
    now: Timestamp,
) -> Result<(u64, u64)> {
    let (mut ticks, mut bars) = (0, 0);
    if let Some(days) = config.ticks_days {
        ticks = tick_store.remove_ticks(cut(now, days)).await?.rows;
        counter!("tickcast_retention_removed_rows_total", "kind" => "ticks").increment(ticks);
    }
    let Some(bar_store) = bar_store else {
        return Ok((ticks, bars));
    };
    for (interval, days) in &config.bars_days {
        let removed = bar_store
            .remove_bars(*interval, cut(now, *days))
            .await?
            .rows;
        let kind = format!("bars_{interval}");
        counter!("tickcast_retention_removed_rows_total", "kind" => kind).increment(removed);
        bars += removed;
    }
    Ok((ticks, bars))
}

/// The start of the UTC day that many days ago: no bar is left with a part of its ticks.
fn cut(now: Timestamp, days: u32) -> Timestamp {
    Interval::D1.start_of(now.plus_micros(-i64::from(days) * Interval::D1.micros()))
}

/// Runs until it is cancelled.
pub(crate) async fn run(
    store: StorePorts,
    config: RetentionConfig,
    clock: Arc<dyn Clock>,
    cancel: CancellationToken,
) {
    if !config.removes() {
        return;
    }
    let bar_store = store.database.map(|database| database.bar_retention);
    if bar_store.is_none() && !config.bars_days.is_empty() {
        tracing::warn!("retention of bars is set, and this store does not remove bars");
    }
    let mut wait = Duration::from_millis(config.first_after_ms);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = Duration::from_millis(config.every_ms.max(1));
        let removal = remove_old(
            &*store.tick_retention,
            bar_store.as_deref(),
            &config,
            clock.now(),
        );
        let removed = tokio::select! {
            () = cancel.cancelled() => return,
            removed = removal => removed,
        };
        counter!("tickcast_retention_runs_total").increment(1);
        match removed {
            Ok((0, 0)) => {}
            Ok((ticks, bars)) => tracing::info!(ticks, bars, "what was older than its age is gone"),
            Err(error) => {
                counter!("tickcast_retention_failures_total").increment(1);
                tracing::warn!(%error, "removal by age did not get to its end: the next run goes on");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_days_are_removed() {
        let now: Timestamp = "2026-11-25T13:45:10Z".parse().unwrap();
        let expected: Timestamp = "2026-11-18T00:00:00Z".parse().unwrap();
        assert_eq!(cut(now, 7), expected);
    }
}
