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
        let origin = fans.iter().map(|fan| fan.origin).max();
        // Of one that is expired no fan is made from there.
        let standing = origin.and_then(|origin| self.choice.standing(key, key.1.end_of(origin)));
        let is_served = standing.is_some_and(|standing| !standing.expired);
        let expected = self.config.models().len() + usize::from(is_served);
        if !is_served {
            self.hub.withdraw_champion(key);
        }
        let complete = fans.len() >= expected;
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
    use forecast::{ModelSpec, Providers};
    use market::{Interval, Symbol};
    use pipeline::MarketTime;
    use store::{SqliteOptions, SqliteStore};

    use super::*;
    use crate::{
        contenders::{Contender, Contenders, Nobody},
        feed::QueueBounds,
        predict::Predictor,
        series_reader::SeriesReader,
    };

    /// Every series has a champion that was trained to minute 0.
    struct Trained;

    impl Contenders for Trained {
        fn generation(&self) -> u64 {
            0
        }

        fn champion(&self, _: &Symbol, _: Interval) -> Option<Contender> {
            Some(Contender {
                model: Arc::new(ModelSpec::Naive),
                trained_to: Timestamp::from_secs(0),
            })
        }

        fn challengers(&self, _: &Symbol, _: Interval) -> Vec<Contender> {
            Vec::new()
        }
    }

    /// One of nothing that is forecast but by naive, where a champion is served for 10 minutes.
    fn reader(store: &Arc<SqliteStore>) -> FanReader {
        let wall = Arc::new(|| Timestamp::from_secs(0));
        let market = Arc::new(MarketClock::new(MarketTime::Replay, wall, 0, 0));
        let config = ForecastConfig {
            models: Vec::new(),
            ..ForecastConfig::default()
        };
        let expiry = Some(Duration::from_secs(600));
        let choice = Choice::new(Arc::new(Trained), expiry, None);
        let counters = Arc::new(Counters::new());
        let series = SeriesReader::new(store.clone(), Arc::clone(&market), 10, 100, false);
        let predictor = Predictor::new(
            series,
            Providers::classical(),
            crate::PredictConfig::default(),
            config.clone(),
            choice.clone(),
            Arc::clone(&market),
            Arc::clone(&counters),
        );
        let hub = ForecastHub::new(
            predictor.unwrap(),
            Arc::clone(&market),
            Interest::default(),
            Duration::from_secs(60),
            QueueBounds {
                messages: 10,
                bytes: 1_000_000,
            },
            10,
            None,
        );
        FanReader {
            ledger: store.clone(),
            market,
            config,
            choice,
            hub,
            interest: Interest::default(),
            counters,
        }
    }

    #[tokio::test]
    async fn an_expired_champion_is_neither_waited_for_nor_shown_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(dir.path()));
        let reader = reader(&Arc::new(store.await.unwrap()));
        let key = ("AAA".parse().unwrap(), Interval::M1);
        let champion = "models:/close-1m.AAA/1";
        let mut shown = HashMap::new();
        let mut show = |fans: &[Fan]| {
            reader.show(&key, fans.to_vec(), 0, &mut shown);
            let models = reader.hub.latest(&key.0, key.1).into_iter();
            let models: Vec<String> = models.map(|fan| fan.model).collect();
            (models, shown.get(&key).map(|shown| shown.origin))
        };
        let whole = |origin: i64| Some(Timestamp::from_secs(60 * origin));
        // It is served up to the bar that ends 10 minutes after its last, and its fan is waited for.
        let (naive, its) = (fan("AAA", "naive", 9), fan("AAA", champion, 9));
        assert_eq!(
            show(std::slice::from_ref(&naive)),
            (vec!["naive".to_owned()], None)
        );
        let both = vec![champion.to_owned(), "naive".to_owned()];
        assert_eq!(show(&[naive, its]), (both, whole(9)));
        let naive = fan("AAA", "naive", 10);
        assert_eq!(show(&[naive]), (vec!["naive".to_owned()], whole(10)));
    }

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
