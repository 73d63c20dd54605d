//! Forecasting put together over a pipeline's stages, started and stopped.

use std::{sync::Arc, time::Duration};

use forecast::{Classical, ModelProvider, Preloaded, Providers};
use market::{Fan, Interval, Symbol};
use pipeline::{Interest, Prepared};
use store::{DatabasePorts, ForecastLedger};
use tokio::{sync::Mutex, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Backtests, ForecastHub, Predictor, Result, ServingConfig, ServingError, ServingStats,
    contenders::{ChampionStanding, Choice, Contenders, LiveModel},
    cpu::Cpu,
    error::invalid,
    fan_reader::{FanReader, latest_of},
    feed::QueueBounds,
    live_forecaster::LiveForecaster,
    series_reader::SeriesReader,
    stats::Counters,
};

/// How long the tasks may take to end at least: what stops them waits for the stages first.
const GRACE: Duration = Duration::from_millis(250);

/// Forecasting, running.
pub struct Serving {
    /// `/forecast`.
    pub forecasts: ForecastHub,
    /// Forecasts on request.
    pub predictor: Predictor,
    /// Backtests on request.
    pub backtests: Backtests,
    choice: Choice,
    config: ServingConfig,
    ledger: Arc<dyn ForecastLedger>,
    interest: Interest,
    /// Whether others forecast what is read here.
    reads_ledger: bool,
    forecaster: LiveForecaster,
    counters: Arc<Counters>,
    tasks: Mutex<JoinSet<()>>,
    stop: CancellationToken,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Serving {
    /// Starts forecasting over stages that do not run yet, so that no row is missed. `models`: where those come
    /// from that are configured; a request may name these, the forecasting core's and those of `requestable`.
    /// `contenders`: who is champion of a series, and is served where nobody names a model.
    ///
    /// # Errors
    /// A configuration that cannot be right, a model that cannot be had, a store that cannot be read, threads
    /// that cannot be started.
    pub async fn start(
        stages: &Prepared,
        database: &DatabasePorts,
        config: ServingConfig,
        models: &Providers,
        requestable: &[Arc<dyn ModelProvider>],
        contenders: Arc<dyn Contenders>,
    ) -> Result<Self> {
        if let Some((field, detail)) = config.faults().into_iter().next() {
            return Err(ServingError::Invalid { field, detail });
        }
        let (role, market) = (stages.role(), stages.market());
        let shared_store = stages.has_shared_store();
        let counters = Arc::new(Counters::new());
        let live_models = Preloaded::resolve_all(models, &config.forecast.models());
        let live_models = live_models.map_err(unusable)?;
        // A request may name what is configured; what else could be loaded from this machine, it may not.
        let mut requested: Vec<Arc<dyn ModelProvider>> =
            vec![Arc::new(live_models.clone()), Arc::new(Classical)];
        requested.extend_from_slice(requestable);
        let requested = Providers::new(requested);
        let pinned = config.forecast.default_model.as_ref();
        let pinned = pinned.map(|name| requested.resolve(name)).transpose();
        let choice = Choice::new(
            contenders,
            config.forecast.champion_expiry,
            pinned.map_err(|e| invalid("forecast.default_model", e.to_string()))?,
        );
        let series = SeriesReader::new(
            Arc::clone(&database.prices),
            Arc::clone(market),
            config.forecast.max_carried_bars,
            config.forecast.window_bars,
            role.consumes() && !shared_store,
        );
        let predictor = Predictor::new(
            series.clone(),
            requested.clone(),
            config.predict.clone(),
            config.forecast.clone(),
            choice.clone(),
            Arc::clone(market),
            Arc::clone(&counters),
        )?;
        let backtests = Backtests::new(
            series,
            requested,
            config.backtest.clone(),
            market.wall(),
            Arc::clone(&counters),
        );
        let readers = &stages.config().live;
        let forecasts = ForecastHub::new(
            predictor.clone(),
            Arc::clone(market),
            stages.interest().clone(),
            readers.heartbeat(),
            QueueBounds {
                messages: config.forecast.queue_messages,
                bytes: readers.queue_bytes,
            },
            config.forecast.max_subscriptions,
            (!role.consumes()).then(|| config.forecast.intervals.clone()),
        );
        let models = live_models.all().iter().map(LiveModel::new);
        let models = models.collect::<forecast::Result<_>>().map_err(unusable)?;
        let forecaster = LiveForecaster::new(
            database,
            Arc::clone(market),
            config.forecast.clone(),
            models,
            forecasts.clone(),
            Cpu::new("forecast")?,
            Arc::clone(&counters),
        );
        let serving = Self {
            forecasts,
            predictor,
            backtests,
            choice,
            ledger: Arc::clone(&database.ledger),
            interest: stages.interest().clone(),
            reads_ledger: stages.follows_topic(),
            forecaster,
            config,
            counters,
            tasks: Mutex::default(),
            stop: CancellationToken::new(),
        };
        serving.subscribe(stages);
        if role.consumes() && !shared_store {
            serving.forecaster.load().await?;
        }
        serving.spawn(stages).await;
        Ok(serving)
    }

    /// Wants to hear of what is stored here, and, where others store too, of what is theirs.
    fn subscribe(&self, stages: &Prepared) {
        let observers = stages.observers();
        observers.subscribe_stored(Arc::new(self.forecaster.clone()));
        if stages.has_shared_store() {
            observers.subscribe_partitions(Arc::new(self.forecaster.clone()));
        }
    }

    async fn spawn(&self, stages: &Prepared) {
        let mut tasks = self.tasks.lock().await;
        if stages.follows_topic() {
            let reader = FanReader {
                ledger: Arc::clone(&self.ledger),
                market: Arc::clone(stages.market()),
                config: self.config.forecast.clone(),
                choice: self.choice.clone(),
                hub: self.forecasts.clone(),
                interest: self.interest.clone(),
                counters: Arc::clone(&self.counters),
            };
            tasks.spawn(reader.run(self.stop.clone()));
        }
        if stages.role().consumes() {
            tasks.spawn(self.forecaster.clone().run(self.stop.clone()));
        }
    }

    /// The configuration that it runs with.
    pub const fn config(&self) -> &ServingConfig {
        &self.config
    }

    /// The latest fan of each model, by name; from the ledger where nobody has watched the series in
    /// this process and others forecast it.
    ///
    /// # Errors
    /// The store's.
    pub async fn latest_fans(&self, symbol: &Symbol, interval: Interval) -> Result<Vec<Fan>> {
        let shown = self.forecasts.latest(symbol, interval);
        let watched = self.interest.is_watched(symbol, interval);
        if !self.reads_ledger || watched && !shown.is_empty() {
            return Ok(shown);
        }
        let series = [(symbol.clone(), interval)];
        let (config, choice) = (&self.config.forecast, &self.choice);
        let found = latest_of(&*self.ledger, config, choice, &series).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// How the champion of a series stands at its newest closed bar; none where it has none that can be loaded, or
    /// another model is pinned.
    ///
    /// # Errors
    /// The store's.
    pub async fn champion(
        &self,
        symbol: &Symbol,
        interval: Interval,
    ) -> Result<Option<ChampionStanding>> {
        let key = (symbol.clone(), interval);
        if self.config.forecast.default_model.is_some() || !self.choice.has_champion(&key) {
            return Ok(None);
        }
        match self.predictor.newest(symbol, interval).await {
            Ok(end) => Ok(self.choice.standing(&key, end)),
            Err(ServingError::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The counters now.
    pub fn stats(&self) -> ServingStats {
        ServingStats {
            forecasts: self.forecaster.stats(),
            predictions: self.predictor.stats(),
            backtests: self.backtests.stats(),
            store_errors: self.counters.store_errors.read(),
        }
    }

    /// Stops what was asked for, and takes no more requests: before the stages stop, since those wait for it.
    pub fn refuse_requests(&self) {
        self.backtests.close();
        self.predictor.close();
    }

    /// Stops forecasting: after the stages, so that what was stored last is seen. Readers get what waits for them,
    /// then a `Bye` and status 1001. What does not end within `timeout` (at least a moment) is cut short. Returns
    /// whether all of it ended. Further calls do nothing.
    pub async fn shutdown(&self, timeout: Duration) -> bool {
        self.refuse_requests();
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().await);
        let all = async { while tasks.join_next().await.is_some() {} };
        let ended = tokio::time::timeout(timeout.max(GRACE), all).await.is_ok();
        if !ended {
            tasks.shutdown().await;
        }
        self.forecasts.close();
        ended
    }
}

/// That a configured model cannot be used.
fn unusable(error: forecast::Error) -> ServingError {
    invalid("forecast.models", error.to_string())
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.refuse_requests();
        self.stop.cancel();
    }
}
