//! Fans that other processes make, read from the shared ledger and shown to those who watch.
//!
//! Model: of the watched series in which a bar may have closed since the origin of the fans shown
//! last, the ledger is asked for the newest, all in one read. So a fan is shown only after it is in the ledger, and
//! what nobody watches costs nothing.
//!
//! What it does not do: make forecasts; ask for a series that no process forecasts (which intervals
//! those are is configured there).

use std::{collections::HashMap, sync::Arc, time::Duration};

use market::{Fan, Timestamp};
use pipeline::{Interest, MarketClock};
use store::{ForecastLedger, LedgerQuery, LedgerRow};
use tokio_util::sync::CancellationToken;

use crate::{
    Result, config::ForecastConfig, contenders::Choice, feed::ForecastHub,
    live_forecaster::MOST_REGISTERED, model_cache::Key, stats::Counters,
};

/// How often the ledger is asked for a series that may have a new fan.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Reads fans from the ledger.
pub(crate) struct FanReader {
    pub ledger: Arc<dyn ForecastLedger>,
    pub market: Arc<MarketClock>,
    pub config: ForecastConfig,
    pub choice: Choice,
    pub hub: ForecastHub,
    pub interest: Interest,
    pub counters: Arc<Counters>,
}

impl FanReader {
    /// Reads until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let mut shown: HashMap<Key, Shown> = HashMap::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.interest.begun() => {}
                () = tokio::time::sleep(ASK_EVERY) => {}
            }
            let now = self.market.now();
            let generation = self.choice.generation();
            let watched = self.interest.all();
            shown.retain(|key, _| watched.contains(key));
            let due: Vec<Key> = watched
                .into_iter()
                .filter(|key| {
                    // The bar after the origin has closed: there may be a fan from it.
                    let next = |origin: &Timestamp| key.1.step_after(*origin, 1);
                    shown.get(key).is_none_or(|shown| {
                        key.1.end_of(next(&shown.origin)) <= now || shown.generation != generation
                    })
                })
                .collect();
            let found = latest_of(&*self.ledger, &self.config, &self.choice, &due);
            match found.await {
                Ok(found) => {
                    for (key, fans) in due.into_iter().zip(found) {
                        self.show(&key, fans, generation, &mut shown);
                    }
                }
                Err(e) => {
                    self.counters.store_errors.add(1);
                    tracing::warn!(series = due.len(), error = %e, "fans cannot be read from the ledger");
                }
            }
        }
    }

    fn show(&self, key: &Key, fans: Vec<Fan>, generation: u64, shown: &mut HashMap<Key, Shown>) {
        let known = self.hub.latest(&key.0, key.1);
        let has_champion = self.choice.has_champion(key);
        let expected = self.config.models().len() + usize::from(has_champion);
        if !has_champion {
            self.hub.withdraw_champion(key);
        }
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
            let now = Shown { origin, generation };
            shown.insert(key.clone(), now);
        }
    }
}

/// What is shown whole of a series.
struct Shown {
    origin: Timestamp,
    /// The registry's generation then: of another one the champion may be another.
    generation: u64,
}

/// The fans of the newest origin of each series in the ledger that may be shown, in one read.
///
/// # Errors
/// The store's.
pub(crate) async fn latest_of(
    ledger: &dyn ForecastLedger,
    config: &ForecastConfig,
    choice: &Choice,
    series: &[Key],
) -> Result<Vec<Vec<Fan>>> {
    if series.is_empty() {
        return Ok(Vec::new());
    }
    let models = config.models().len() + MOST_REGISTERED;
    let queries: Vec<LedgerQuery> = series
        .iter()
        .map(|(symbol, interval)| LedgerQuery {
            symbol: symbol.clone(),
            interval: *interval,
            model: None,
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            limit: models,
        })
        .collect();
    let newest = |(rows, key): (Vec<LedgerRow>, &Key)| -> Vec<Fan> {
        let origin = rows.iter().map(|row| row.fan.origin).max();
        let fans = rows.into_iter().map(|row| row.fan);
        let newest = fans.filter(|fan| Some(fan.origin) == origin);
        newest
            .filter(|fan| choice.is_shown(key, &fan.model))
            .collect()
    };
    let found = ledger.ledger_of(&queries).await?;
    Ok(found.into_iter().zip(series).map(newest).collect())
}

#[cfg(test)]
mod tests {
    use market::Interval;
    use store::{SqliteOptions, SqliteStore};

    use super::*;
    use crate::contenders::Nobody;

    fn fan(symbol: &str, model: &str, minute: i64) -> Fan {
        let origin = Timestamp::from_secs(60 * minute);
        Fan {
            symbol: symbol.parse().unwrap(),
            interval: Interval::M1,
            model: model.to_owned(),
            origin,
            origin_close: 10.0,
            made_at: Interval::M1.end_of(origin),
            targets: vec![Interval::M1.step_after(origin, 1)],
            mean: vec![10.0],
            bands: Vec::new(),
        }
    }

    #[tokio::test]
    async fn of_each_series_the_fans_of_its_newest_origin_come_in_the_order_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(dir.path()));
        let store = store.await.unwrap();
        // Of BBB the second fan of the newest origin is still being made.
        let newest_of_a = vec![fan("AAA", "drift", 8), fan("AAA", "naive", 8)];
        let newest_of_b = vec![fan("BBB", "naive", 9)];
        // A challenger's is not for showing.
        let unseen = [fan("BBB", "models:/close-1m.BBB/1", 9)];
        let older = [fan("AAA", "naive", 7), fan("BBB", "drift", 8)];
        let all = [&newest_of_a[..], &newest_of_b, &older, &unseen].concat();
        store.record(all).await.unwrap();
        let config = ForecastConfig {
            models: vec!["drift".parse().unwrap()],
            ..ForecastConfig::default()
        };
        let key = |name: &str| (name.parse().unwrap(), Interval::M1);
        let series = [key("BBB"), key("NONE"), key("AAA")];
        let choice = Choice::new(Arc::new(Nobody), None, None);
        let found = latest_of(&store, &config, &choice, &series).await.unwrap();
        assert_eq!(found, [newest_of_b, Vec::new(), newest_of_a]);
        let none = latest_of(&store, &config, &choice, &[]).await.unwrap();
        assert!(none.is_empty());
    }
}
