//! Fans that other processes make, read from the shared ledger and shown to those who watch.
//!
//! Model: for each watched series, once a bar may have closed since the origin of the fans shown
//! last, the ledger is asked for the newest. So a fan is shown only after it is in the ledger, and
//! what nobody watches costs nothing.
//!
//! What it does not do: make forecasts; ask for a series that no process forecasts (which intervals
//! those are is configured there).

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::StreamExt;
use market::{Interval, Symbol, Timestamp, wire::Fan};
use store::{ForecastLedger, LedgerQuery};
use tokio_util::sync::CancellationToken;

use super::hub::ForecastHub;
use crate::{Result, clock::MarketClock, config::ForecastConfig, stats::Counters, watch::Watches};

/// How often the ledger is asked for a series that may have a new fan.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// Series that are asked for at the same time.
const AT_ONCE: usize = 4;

/// Reads fans from the ledger.
pub(crate) struct FanReader {
    pub ledger: Arc<dyn ForecastLedger>,
    pub market: Arc<MarketClock>,
    pub config: ForecastConfig,
    pub hub: ForecastHub,
    pub watches: Watches,
    pub counters: Arc<Counters>,
}

impl FanReader {
    /// Reads until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let mut shown: HashMap<(Symbol, Interval), Timestamp> = HashMap::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.watches.begun() => {}
                () = tokio::time::sleep(ASK_EVERY) => {}
            }
            let now = self.market.now();
            let watched = self.watches.all();
            shown.retain(|key, _| watched.contains(key));
            let due = watched.into_iter().filter(|key| {
                // The bar after the origin has closed: there may be a fan from it.
                let next = |origin: &Timestamp| key.1.step_after(*origin, 1);
                shown
                    .get(key)
                    .is_none_or(|origin| key.1.end_of(next(origin)) <= now)
            });
            let answers: Vec<_> = futures::stream::iter(due.collect::<Vec<_>>())
                .map(|key| async {
                    let fans = latest(&*self.ledger, &self.config, &key.0, key.1).await;
                    (key, fans)
                })
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            for (key, fans) in answers {
                match fans {
                    Ok(fans) => self.show(&key, fans, &mut shown),
                    Err(e) => {
                        self.counters.store_errors.add(1);
                        tracing::warn!(symbol = %key.0, interval = %key.1, error = %e, "fans cannot be read from the ledger");
                    }
                }
            }
        }
    }

    fn show(
        &self,
        key: &(Symbol, Interval),
        fans: Vec<Fan>,
        shown: &mut HashMap<(Symbol, Interval), Timestamp>,
    ) {
        let known = self.hub.latest(&key.0, key.1);
        let expected = self.config.models().len();
        let complete = fans.len() >= expected;
        let origin = fans.iter().map(|fan| fan.origin).max();
        for fan in fans {
            let is_known = known
                .iter()
                .any(|k| k.model == fan.model && k.origin >= fan.origin);
            if !is_known {
                self.hub.publish(fan);
            }
        }
        // While some of the origin's fans are still being made, it is asked again.
        if let Some(origin) = origin.filter(|_| complete) {
            shown.insert(key.clone(), origin);
        }
    }
}

/// The fans of the newest origin in the ledger.
pub(crate) async fn latest(
    ledger: &dyn ForecastLedger,
    config: &ForecastConfig,
    symbol: &Symbol,
    interval: Interval,
) -> Result<Vec<Fan>> {
    let query = LedgerQuery {
        symbol: symbol.clone(),
        interval,
        model: None,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        limit: config.models().len(),
    };
    let rows = ledger.ledger(&query).await?;
    let origin = rows.iter().map(|row| row.fan.origin).max();
    Ok(rows
        .into_iter()
        .map(|row| row.fan)
        .filter(|fan| Some(fan.origin) == origin)
        .collect())
}
