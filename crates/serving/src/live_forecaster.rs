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
//! What it does not do: choose models (they are configured); show scores.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use forecast::{CancelToken, ForecastModel, ModelRef};
use futures::{StreamExt, TryStreamExt};
use market::{Fan, Interval, Symbol, Timestamp};
use pipeline::{
    Interest, MarketClock, PartitionChange, PartitionObserver, StoredObserver, StoredRows,
};
use store::{DatabasePorts, PriceReader};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    ForecastStats, Result, ServingError,
    config::ForecastConfig,
    cpu::Cpu,
    feed::ForecastHub,
    ledger::Ledger,
    model_cache::{CachedModel, Key, ModelCache, Refresh},
    origin::{Origin, recipe},
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

/// A model that is forecast by at every closed bar.
#[derive(Clone, Debug)]
pub(crate) struct LiveModel {
    /// The reference that is configured, which its fans bear.
    name: ModelRef,
    /// The shortest one, under which its states are kept: whoever names the model in another way shares them.
    cached_as: ModelRef,
    model: Arc<dyn ForecastModel>,
}

impl LiveModel {
    /// # Errors
    /// A model whose name is no reference.
    pub(crate) fn new(
        (name, model): &(ModelRef, Arc<dyn ForecastModel>),
    ) -> forecast::Result<Self> {
        Ok(Self {
            name: name.clone(),
            cached_as: model.name().parse()?,
            model: Arc::clone(model),
        })
    }
}

/// What is remembered of a series. Instants are starts of bars.
#[derive(Clone, Copy, Debug)]
struct SeriesState {
    /// Whether the ledger has been asked for what was forecast before this process.
    loaded: bool,
    /// No bar before it waits to be forecast from; `None` when none at all does.
    pending: Option<Timestamp>,
    /// The newest bar seen.
    latest: Timestamp,
    /// The origin of the last forecast.
    made: Option<Timestamp>,
    /// Outcomes of bars before it have been scored.
    scored_to: Timestamp,
    /// The end of the last bar that a forecast in the ledger is about.
    open_until: Timestamp,
}

impl SeriesState {
    const NEW: Self = Self {
        loaded: false,
        pending: Some(Timestamp::MIN),
        latest: Timestamp::MIN,
        made: None,
        scored_to: Timestamp::MIN,
        open_until: Timestamp::MAX,
    };
}

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
        let (reader, cache) = hub.predictor().served();
        let ledger = Ledger::new(database, Arc::clone(&counters));
        Self {
            inner: Arc::new(Inner {
                store: Arc::clone(&database.prices),
                market,
                config,
                models,
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
        let mut due: Vec<Key> = self
            .followed()
            .iter()
            .filter(|((symbol, interval), series)| {
                let score = interval.start_of(now) > series.scored_to
                    && series.scored_to < series.open_until;
                let forecast = series.pending.is_some_and(|p| interval.end_of(p) <= now);
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
        let models = self.models.len();
        let fans = self.ledger.latest(&key.0, key.1, models).await?;
        let origin = fans.iter().map(|f| f.origin).max();
        let end = |fan: &Fan| fan.targets.last().map_or(fan.origin, |t| key.1.end_of(*t));
        let open_until = fans.iter().map(end).max();
        for fan in fans {
            if Some(fan.origin) == origin && end(&fan) > now {
                self.hub.publish(fan);
            }
        }
        if let Some(series) = self.followed().get_mut(key) {
            series.loaded = true;
            series.made = series.made.max(origin);
            // Older fans end no later, but for a horizon that was longer then: the first scoring
            // finds those.
            series.open_until = open_until.unwrap_or(Timestamp::MIN.plus_micros(1));
        }
        Ok(())
    }

    async fn forecast(&self, keys: &[Key], now: Timestamp) -> Result<()> {
        let wanted: Vec<Key> = keys
            .iter()
            .filter(|(symbol, interval)| self.is_wanted(symbol, *interval))
            .cloned()
            .collect();
        let origins: Vec<(Key, Option<Arc<Origin>>)> = futures::stream::iter(wanted)
            .map(|key| async move {
                let origin = self.origin(&key, now).await?;
                Ok::<_, ServingError>((key, origin))
            })
            .buffered(READS)
            .try_collect()
            .await?;
        let models = self.models.len();
        let fresh: Vec<Arc<Origin>> = origins.iter().filter_map(|(_, o)| o.clone()).collect();
        let made_at = self.market.made_at();
        let (timely, late): (Vec<_>, Vec<_>) = fresh.into_iter().partition(|origin| {
            let first = origin.interval.step_after(origin.start, 1);
            made_at <= origin.interval.end_of(first)
        });
        self.counters.fans_too_late.add(late.len() * models);
        let fans = if timely.is_empty() {
            Vec::new()
        } else {
            let tries = timely.len() * models;
            let fans = self.fans(timely).await?;
            self.counters.fans_made.add(fans.len());
            self.counters.fans_failed.add(tries - fans.len());
            fans
        };
        let mut open_until: HashMap<Key, Timestamp> = HashMap::new();
        // The moment of writing, not of computing, must lie before the outcome.
        for fan in self.ledger.record(fans, self.market.made_at()).await? {
            if let Some(last) = fan.targets.last() {
                let end = fan.interval.end_of(*last);
                let key = (fan.symbol.clone(), fan.interval);
                let open = open_until.entry(key).or_insert(end);
                *open = (*open).max(end);
            }
            self.hub.publish(fan);
        }
        let mut followed = self.followed();
        for (key, origin) in origins {
            if let Some(series) = followed.get_mut(&key) {
                if let Some(end) = open_until.get(&key) {
                    series.open_until = series.open_until.max(*end);
                }
                if let Some(origin) = origin {
                    series.made = series.made.max(Some(origin.start));
                }
                // What has been seen since the origin is not closed by `now`.
                let ahead = series.made.is_none_or(|made| series.latest > made);
                series.pending =
                    (ahead && series.latest > Timestamp::MIN).then(|| key.1.start_of(now));
            }
        }
        Ok(())
    }

    /// The fans of every model at every origin; those that cannot be made are left out.
    async fn fans(&self, origins: Vec<Arc<Origin>>) -> Result<Vec<Fan>> {
        let jobs: Vec<(Arc<Origin>, LiveModel)> = origins
            .iter()
            .flat_map(|origin| self.models.iter().map(move |model| (origin, model)))
            .map(|(origin, model)| (Arc::clone(origin), model.clone()))
            .collect();
        let jobs = jobs.into_iter().enumerate();
        // No more than the threads have to do next: whoever asks for one of the states meanwhile makes it.
        let at_once = JOBS_PER_THREAD * self.cpu.threads();
        let mut made: Vec<(usize, Option<Fan>)> = futures::stream::iter(jobs)
            .map(|(at, (origin, model))| async move {
                let fan = self.fan(origin, model).await?;
                Ok::<_, ServingError>((at, fan))
            })
            .buffer_unordered(at_once)
            .try_collect()
            .await?;
        made.sort_unstable_by_key(|(at, _)| *at);
        Ok(made.into_iter().filter_map(|(_, fan)| fan).collect())
    }

    /// The fan of a model at an origin, from the state that whoever asks for it gets too: it is made once, and
    /// who comes second waits.
    async fn fan(&self, origin: Arc<Origin>, live: LiveModel) -> Result<Option<Fan>> {
        let key = origin.key();
        let turn = self.cache.turn(&key, &live.cached_as).await;
        let (cache, config) = (Arc::clone(&self.cache), self.config.clone());
        let (stop, now) = (self.stop.clone(), self.market.wall());
        let work = move || {
            let LiveModel {
                name,
                cached_as,
                model,
            } = live;
            let make = || -> forecast::Result<(Fan, Refresh)> {
                let kept = cache.get(&key, &cached_as);
                let recipe = recipe(&config, origin.interval);
                let fit = || CachedModel::at(&origin.window, kept, &*model, &recipe, now);
                let (state, refresh) = stop.scope(fit)?;
                let fan = origin.fan(&name, &state, &config)?;
                cache.put(key.clone(), cached_as, state);
                Ok((fan, refresh))
            };
            let made = make().inspect_err(|e| {
                let (symbol, interval) = &key;
                tracing::debug!(%symbol, %interval, model = %name, error = %e, "no forecast");
            });
            // The state is kept before the next one looks for it.
            drop(turn);
            made.ok()
        };
        let made = self.cpu.run(work).await?;
        if let Some((_, Refresh::Fitted)) = made {
            self.counters.fans_fitted.add(1);
        }
        Ok(made.map(|(fan, _)| fan))
    }

    /// The newest closed bar of a series with its window, when it has not been forecast from.
    async fn origin(&self, key: &Key, now: Timestamp) -> Result<Option<Arc<Origin>>> {
        let (symbol, interval) = key;
        let made = self.followed().get(key).and_then(|s| s.made);
        let origin = match self.reader.origin(symbol, *interval).await {
            Ok(origin) => origin,
            Err(ServingError::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(e),
        };
        // In a replay imported bars may lie ahead of event time: their outcomes are known.
        let ahead = interval.end_of(origin.start) > now;
        if ahead || made.is_some_and(|made| made >= origin.start) {
            return Ok(None);
        }
        if let Some(made) = made {
            let passed = origin.bars.iter().filter(|start| **start > made).count();
            self.counters.fans_skipped.add(passed.saturating_sub(1));
        }
        Ok(Some(origin))
    }
}
