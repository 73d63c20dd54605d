//! Follows every series and forecasts it at each closed bar.
//!
//! Model: the sink tells the [`LiveForecaster`] which bars have changed; it remembers only, per (symbol,
//! interval), from where on there may be a closed bar to forecast from. So nothing queues up: when
//! it cannot keep pace, bars are passed over (and counted), for only the newest closed bar matters.
//! A task of its own reads the window from the store, updates its models or fits them anew (see
//! [`crate::model_cache`]) on a pool of threads, writes the fans to
//! the ledger and only then shows them: a fan that the ledger refuses, since its outcome could be
//! known, is never shown. When later bars close, it scores what is due.
//!
//! Beside the models that are configured it forecasts by the champion of a series and by its challengers. Where the
//! registry names others, their fans are made at once, from the bar that the last ones are from. Challengers' fans go
//! into the ledger and are never shown.
//!
//! What it does not do: choose models (they are configured, or the registry names them); show scores.

mod making;
mod series;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use forecast::{CancelToken, ModelRef};
use futures::{StreamExt, TryStreamExt};
use market::{Fan, Interval, Symbol, Timestamp};
use pipeline::{
    Interest, MarketClock, PartitionChange, PartitionObserver, StoredObserver, StoredRows,
};
use store::{DatabasePorts, PriceReader};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::series::{SeriesState, Task};
use crate::{
    ForecastStats, Result, ServingError,
    config::ForecastConfig,
    contenders::{Choice, LiveModel, is_registered},
    cpu::Cpu,
    feed::ForecastHub,
    ledger::Ledger,
    model_cache::{Key, ModelCache},
    series_reader::SeriesReader,
    stats::Counters,
};

/// Series that are worked on together: they share a transaction of the ledger.
const SERIES_PER_ROUND: usize = 32;
/// Windows that are read from the store at the same time.
const READS: usize = 4;
/// Fits and updates that are given to the pool at the same time, for each of its threads.
const JOBS_PER_THREAD: usize = 2;
/// How often to look whether the wall clock has closed a bar.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long to wait after the store has failed.
const BACKOFF: Duration = Duration::from_secs(1);
/// Versions of the registry that are looked for in the ledger from one bar at most: a champion, the ones that were
/// before it since the bar closed, and challengers.
pub(crate) const MOST_REGISTERED: usize = 16;

/// Follows every series. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LiveForecaster {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn PriceReader>,
    market: Arc<MarketClock>,
    config: ForecastConfig,
    models: Vec<LiveModel>,
    choice: Choice,
    hub: ForecastHub,
    interest: Interest,
    cpu: Cpu,
    counters: Arc<Counters>,
    ledger: Ledger,
    reader: SeriesReader,
    cache: Arc<ModelCache>,
    /// Stops every fit.
    stop: CancelToken,
    followed: Mutex<HashMap<Key, SeriesState>>,
    /// The second of market time that was last looked at.
    looked_at: AtomicI64,
    wake: Notify,
}

impl LiveForecaster {
    pub(crate) fn new(
        database: &DatabasePorts,
        market: Arc<MarketClock>,
        config: ForecastConfig,
        models: Vec<LiveModel>,
        hub: ForecastHub,
        cpu: Cpu,
        counters: Arc<Counters>,
    ) -> Self {
        let (reader, cache, choice) = hub.predictor().served();
        let ledger = Ledger::new(database, Arc::clone(&counters));
        Self {
            inner: Arc::new(Inner {
                store: Arc::clone(&database.prices),
                market,
                config,
                models,
                choice,
                interest: hub.interest().clone(),
                hub,
                cpu,
                counters,
                ledger,
                reader,
                cache,
                stop: CancelToken::new(),
                followed: Mutex::default(),
                looked_at: AtomicI64::new(i64::MIN),
                wake: Notify::new(),
            }),
        }
    }
}

impl StoredObserver for LiveForecaster {
    /// Takes note of bars that have changed. Cheap; never waits.
    fn stored(&self, rows: StoredRows<'_>) {
        let inner = &self.inner;
        inner.reader.observe(rows.bars);
        let mut followed = inner.followed();
        for bar in rows.bars {
            if !inner.is_wanted(&bar.symbol, bar.interval) {
                continue;
            }
            let series = followed
                .entry((bar.symbol.clone(), bar.interval))
                .or_insert(SeriesState::NEW);
            series.latest = series.latest.max(bar.start);
            if series.made.is_none_or(|made| bar.start > made) {
                let pending = series.pending.map_or(bar.start, |p| p.min(bar.start));
                series.pending = Some(pending);
            }
        }
        drop(followed);
        let second = Interval::S1.start_of(inner.market.now()).as_micros();
        if inner.looked_at.load(Ordering::Relaxed) < second {
            inner.wake.notify_one();
        }
    }
}

impl PartitionObserver for LiveForecaster {
    /// Follows the symbols of partitions that went no longer: another consumer forecasts them now.
    fn partitions_changed(&self, change: &PartitionChange) {
        let symbols = &change.revoked_symbols;
        if symbols.is_empty() {
            return;
        }
        self.inner
            .followed()
            .retain(|(symbol, _), _| !symbols.contains(symbol));
        self.inner.cache.forget(symbols);
        self.inner.reader.forget(symbols);
    }
}

impl LiveForecaster {
    /// Follows what the store has from before this process.
    pub(crate) async fn load(&self) -> Result<()> {
        let instruments = self.inner.store.instruments().await?;
        let mut followed = self.inner.followed();
        for instrument in instruments {
            for interval in &instrument.intervals {
                if self.inner.is_wanted(&instrument.symbol, *interval) {
                    followed
                        .entry((instrument.symbol.clone(), *interval))
                        .or_insert(SeriesState::NEW);
                }
            }
        }
        Ok(())
    }

    /// Forecasts and scores until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let inner = &self.inner;
        // A fit that is under way ends with the task, and not after it.
        let stops = inner.stop.clone();
        let stopped = cancel.clone();
        let _stops = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            stopped.cancelled().await;
            stops.cancel();
        }));
        while !cancel.is_cancelled() {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = inner.wake.notified() => {}
                () = inner.interest.begun() => inner.follow_watched(),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let mut due = inner.due();
            while !due.is_empty() && !cancel.is_cancelled() {
                let round: Vec<Key> = due.drain(..due.len().min(SERIES_PER_ROUND)).collect();
                if let Err(e) = inner.work(&round).await {
                    inner.counters.store_errors.add(1);
                    tracing::warn!(error = %e, "forecasting is tried again");
                    tokio::select! {
                        () = cancel.cancelled() => return,
                        () = tokio::time::sleep(BACKOFF) => {}
                    }
                    break;
                }
            }
        }
    }

    pub(crate) fn stats(&self) -> ForecastStats {
        let counters = &self.inner.counters;
        ForecastStats {
            sessions: self.inner.hub.sessions(),
            series: self.inner.followed().len(),
            made: counters.fans_made.read(),
            fitted: counters.fans_fitted.read(),
            recorded: counters.fans_recorded.read(),
            too_late: counters.fans_too_late.read(),
            skipped: counters.fans_skipped.read(),
            failed: counters.fans_failed.read(),
            scored: counters.fans_scored.read(),
        }
    }
}

impl Inner {
    fn followed(&self) -> MutexGuard<'_, HashMap<Key, SeriesState>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_wanted(&self, symbol: &Symbol, interval: Interval) -> bool {
        self.config.intervals.contains(&interval) || self.interest.is_watched(symbol, interval)
    }

    fn follow_watched(&self) {
        let mut followed = self.followed();
        for key in self.interest.all() {
            let series = followed.entry(key).or_insert(SeriesState::NEW);
            // While nobody watched, nobody took note of its bars.
            series.pending = series.pending.or(Some(Timestamp::MIN));
        }
    }

    /// The series with a closed bar to forecast from or outcomes to score, shortest interval first:
    /// their forecasts are the first to come too late.
    fn due(&self) -> Vec<Key> {
        let now = self.market.now();
        let second = Interval::S1.start_of(now).as_micros();
        self.looked_at.store(second, Ordering::Relaxed);
        let generation = self.choice.generation();
        let mut due: Vec<Key> = self
            .followed()
            .iter()
            .filter(|((symbol, interval), series)| {
                let score = interval.start_of(now) > series.scored_to
                    && series.scored_to < series.open_until;
                let forecast = series.pending.is_some_and(|p| interval.end_of(p) <= now)
                    || series.made.is_some() && series.generation != generation;
                score || (forecast && self.is_wanted(symbol, *interval))
            })
            .map(|(key, _)| key.clone())
            .collect();
        due.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        due
    }

    async fn work(&self, keys: &[Key]) -> Result<()> {
        let now = self.market.now();
        for key in keys {
            let loaded = self.followed().get(key).is_none_or(|s| s.loaded);
            if !loaded {
                self.load_ledger(key, now).await?;
            }
        }
        self.forecast(keys, now).await?;
        for (symbol, interval) in keys {
            let scored = self.ledger.score(symbol, *interval, now).await?;
            self.counters.fans_scored.add(scored);
            if let Some(series) = self.followed().get_mut(&(symbol.clone(), *interval)) {
                series.scored_to = series.scored_to.max(interval.start_of(now));
            }
        }
        Ok(())
    }

    /// Shows the fans that were made before this process and goes on from there.
    async fn load_ledger(&self, key: &Key, now: Timestamp) -> Result<()> {
        let most = self.models.len() + MOST_REGISTERED;
        let fans = self.ledger.latest(&key.0, key.1, most).await?;
        let origin = fans.iter().map(|f| f.origin).max();
        let end = |fan: &Fan| fan.targets.last().map_or(fan.origin, |t| key.1.end_of(*t));
        let open_until = fans.iter().map(end).max();
        let mut tried: Vec<ModelRef> = Vec::new();
        for fan in fans {
            if Some(fan.origin) != origin {
                continue;
            }
            if is_registered(&fan.model) {
                tried.extend(fan.model.parse());
            }
            if end(&fan) > now && self.choice.is_shown(key, &fan.model) {
                self.hub.publish(fan);
            }
        }
        if let Some(series) = self.followed().get_mut(key) {
            series.loaded = true;
            series.made = series.made.max(origin);
            series.tried = tried;
            // Older fans end no later, but for a horizon that was longer then: the first scoring
            // finds those.
            series.open_until = open_until.unwrap_or(Timestamp::MIN.plus_micros(1));
        }
        Ok(())
    }

    async fn forecast(&self, keys: &[Key], now: Timestamp) -> Result<()> {
        // Before the registry is asked: what changes after is found by another number.
        let generation = self.choice.generation();
        let wanted: Vec<Key> = keys
            .iter()
            .filter(|(symbol, interval)| self.is_wanted(symbol, *interval))
            .cloned()
            .collect();
        let tasks: Vec<(Key, Option<Task>)> = futures::stream::iter(wanted)
            .map(|key| async move {
                let task = self.task(&key, now).await?;
                Ok::<_, ServingError>((key, task))
            })
            .buffered(READS)
            .try_collect()
            .await?;
        let made_at = self.market.made_at();
        let is_timely = |task: &Task| {
            let first = task.origin.interval.step_after(task.origin.start, 1);
            made_at <= task.origin.interval.end_of(first)
        };
        let all = tasks.iter().filter_map(|(_, task)| task.as_ref());
        let (timely, late): (Vec<&Task>, Vec<&Task>) = all.partition(|task| is_timely(task));
        let late = late.into_iter().filter(|task| task.is_new);
        let late = late.map(|task| task.models.len()).sum();
        self.counters.fans_too_late.add(late);
        let fans = if timely.is_empty() {
            Vec::new()
        } else {
            let tries: usize = timely.iter().map(|task| task.models.len()).sum();
            let fans = self.fans(&timely).await?;
            self.counters.fans_made.add(fans.len());
            self.counters.fans_failed.add(tries - fans.len());
            fans
        };
        let champions: HashMap<&Key, &ModelRef> = tasks
            .iter()
            .filter_map(|(key, task)| Some((key, task.as_ref()?.champion.as_ref()?)))
            .collect();
        let mut champions_made: HashSet<Key> = HashSet::new();
        let mut open_until: HashMap<Key, Timestamp> = HashMap::new();
        // The moment of writing, not of computing, must lie before the outcome.
        for fan in self.ledger.record(fans, self.market.made_at()).await? {
            let key = (fan.symbol.clone(), fan.interval);
            if let Some(last) = fan.targets.last() {
                let end = fan.interval.end_of(*last);
                let open = open_until.entry(key.clone()).or_insert(end);
                *open = (*open).max(end);
            }
            if is_registered(&fan.model) {
                let champion = champions.get(&key);
                if champion.is_none_or(|champion| champion.as_str() != fan.model) {
                    continue;
                }
                champions_made.insert(key);
            }
            self.hub.publish(fan);
        }
        // A challenger that has become champion has forecast from there already.
        for (key, task) in &tasks {
            let Some((task, champion)) =
                task.as_ref().and_then(|t| Some((t, t.champion.as_ref()?)))
            else {
                continue;
            };
            if task.makes(champion) {
                continue;
            }
            let start = task.origin.start;
            let shown = self.hub.latest(&key.0, key.1);
            if shown
                .iter()
                .any(|fan| fan.model == champion.as_str() && fan.origin == start)
            {
                champions_made.insert(key.clone());
                continue;
            }
            let ledger = &self.ledger;
            let made = ledger.made(&key.0, key.1, champion.as_str(), start);
            if let Some(fan) = made.await? {
                champions_made.insert(key.clone());
                self.hub.publish(fan);
            }
        }
        let mut followed = self.followed();
        for (key, task) in tasks {
            let Some(series) = followed.get_mut(&key) else {
                continue;
            };
            if let Some(end) = open_until.get(&key) {
                series.open_until = series.open_until.max(*end);
            }
            if let Some(task) = task {
                series.made = series.made.max(Some(task.origin.start));
                if !champions_made.contains(&key) {
                    self.hub.withdraw_champion(&key);
                }
                series.tried = task.tried;
            } else if !self.choice.has_champion(&key) {
                self.hub.withdraw_champion(&key);
            }
            series.generation = generation;
            // What has been seen since the origin is not closed by `now`.
            let ahead = series.made.is_none_or(|made| series.latest > made);
            series.pending = (ahead && series.latest > Timestamp::MIN).then(|| key.1.start_of(now));
        }
        Ok(())
    }

    /// What is to be forecast of a series from its newest closed bar: everything when nothing has been, else what the
    /// registry has named since.
    async fn task(&self, key: &Key, now: Timestamp) -> Result<Option<Task>> {
        let (symbol, interval) = key;
        let state = self.followed().get(key).cloned();
        let made = state.as_ref().and_then(|s| s.made);
        let origin = match self.reader.origin(symbol, *interval).await {
            Ok(origin) => origin,
            Err(ServingError::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(e),
        };
        // In a replay imported bars may lie ahead of event time: their outcomes are known.
        let ahead = interval.end_of(origin.start) > now;
        if ahead || made.is_some_and(|made| made > origin.start) {
            return Ok(None);
        }
        let is_new = made != Some(origin.start);
        if let Some(made) = made.filter(|_| is_new) {
            let passed = origin.bars.iter().filter(|start| **start > made).count();
            self.counters.fans_skipped.add(passed.saturating_sub(1));
        }
        let mut tried = state
            .filter(|_| !is_new)
            .map(|s| s.tried)
            .unwrap_or_default();
        let champion = self.choice.champion(&origin).map(LiveModel::registered);
        let champion = champion.transpose().map_err(unnamed)?;
        let name = champion.as_ref().map(|one| one.name.clone());
        let challengers = self.choice.challengers(&origin).into_iter();
        let mut models = if is_new {
            self.models.clone()
        } else {
            Vec::new()
        };
        for one in challengers.map(LiveModel::registered) {
            models.push(one.map_err(unnamed)?);
        }
        models.extend(champion);
        models.retain(|one| !tried.contains(&one.name));
        tried.extend(
            models
                .iter()
                .map(|one| &one.name)
                .filter(|name| is_registered(name.as_str()))
                .cloned(),
        );
        Ok(Some(Task {
            origin,
            is_new,
            models,
            champion: name,
            tried,
        }))
    }
}

/// A version whose own name is no reference.
fn unnamed(error: forecast::Error) -> ServingError {
    ServingError::Internal {
        detail: error.to_string(),
    }
}
