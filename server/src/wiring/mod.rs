//! The one place that names concrete adapters: which store, bus and sources stand behind the ports.
//! Which role runs which stages is `pipeline::Role`'s to say.

mod backbone;
pub mod devices;
pub mod models;
mod sources;
mod stores;
mod training;
mod watching;

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use forecast::{ModelProvider, Providers};
use leptos::prelude::LeptosOptions;
use market::Symbol;
use metrics_exporter_prometheus::PrometheusHandle;
use mlops::registered::RegisteredModels;
use pipeline::{MarketTime, Parts, Pipeline, PipelineConfig, Prepared, Role, SystemClock};
use serving::{Contenders, Nobody, Serving, ServingConfig, ServingError};
use source::sim::LISTINGS;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, warn};

use self::backbone::Backbone;
use crate::{
    backend::{Facts, ServerBackend, Stages},
    config::{Config, SourceConfig},
    desk::ServerDesk,
    error::{CommandError, Result},
    http::{AppState, guard::Gate, ops::OpsState, rates::Rates, site, telemetry},
    simulated_history,
};

pub use self::{
    backbone::check,
    sources::market_options,
    stores::{Offline, Reading, Working, open_for_reading, open_store},
    training::Training,
    watching::OverdueTraining,
};

/// How long a stop may take, stage by stage.
const DRAIN: Duration = Duration::from_secs(8);

/// The stages of a role, running.
pub struct Wired {
    /// The stages.
    pub pipeline: Arc<Pipeline>,
    /// Forecasting, where this process stores or has readers, over a store that can be read.
    serving: Option<Arc<Serving>>,
    /// The source's name, for people.
    pub source: String,
    /// The WebSocket tasks.
    pub sockets: TaskTracker,
    metrics: PrometheusHandle,
    backbone: Backbone,
    exchange: CancellationToken,
    training: Option<Arc<Training>>,
    registered: Option<RegisteredModels>,
}

impl Wired {
    /// Stops in the order of the flow, and closes the store last.
    pub async fn stop(self) {
        if let Some(training) = &self.training {
            training.ask_to_stop();
        }
        let deadline = tokio::time::Instant::now() + DRAIN;
        if let Some(serving) = &self.serving {
            serving.refuse_requests();
        }
        let mut whole = self.pipeline.shutdown(DRAIN).await;
        if let Some(serving) = &self.serving {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            whole &= serving.shutdown(left).await;
        }
        if !whole {
            warn!("the pipeline was cut short; what was acknowledged is not lost");
        }
        self.exchange.cancel();
        self.sockets.close();
        self.sockets.wait().await;
        // Readers have been told by now, also where the store is away, for which a worker would wait.
        if let Some(training) = &self.training
            && tokio::time::timeout_at(deadline, training.stopped())
                .await
                .is_err()
        {
            warn!(
                "a job could not be handed back: its lease will end, and another worker takes it"
            );
        }
        if let Err(e) = self.backbone.close().await {
            error!("the store did not close cleanly: {e}");
        }
    }

    /// What the handlers of a process with readers share.
    ///
    /// # Errors
    /// A store that is for writing only.
    pub fn app_state(
        &self,
        config: &Config,
        address: SocketAddr,
        gate: Arc<Gate>,
    ) -> Result<AppState> {
        let facts = Facts {
            source: self.source.clone(),
            simulated: config.source.is_simulated(),
            live_models: config
                .forecast
                .models
                .iter()
                .map(ToString::to_string)
                .collect(),
            models: models::listed(&config.forecast.models),
            default_model: config
                .forecast
                .default_model
                .as_ref()
                .map(ToString::to_string),
            live_intervals: config.forecast.intervals.clone(),
            awaited: awaited(config),
        };
        let database = self.backbone.store.database()?;
        let serving = self
            .serving
            .as_ref()
            .ok_or_else(|| CommandError::Internal {
                detail: "this process makes no forecasts".to_owned(),
            })?;
        let stages = Stages {
            pipeline: Arc::clone(&self.pipeline),
            serving: Arc::clone(serving),
        };
        let backend = ServerBackend::new(database.clone(), stages, facts, &gate);
        let registered = self
            .registered
            .clone()
            .unwrap_or_else(|| models::registered(database, None));
        let desk = ServerDesk::new(
            database.clone(),
            registered.clone(),
            self.training.clone(),
            config.training.clone(),
            gate.audit.clone(),
            training::tells(config),
        );
        let leptos = LeptosOptions::builder()
            .output_name("frontend")
            .site_root(config.web.site_root.display().to_string())
            .site_pkg_dir("pkg")
            .site_addr(address)
            .build();
        Ok(AppState {
            pipeline: Arc::clone(&self.pipeline),
            serving: Arc::clone(serving),
            dead_letters: Arc::clone(&self.backbone.store.ports.dead_letters),
            backend: Arc::new(backend),
            desk: Arc::new(desk),
            gate,
            leptos,
            build: site::build(&config.web.site_root),
            metrics: self.metrics.clone(),
            database: database.clone(),
            training: self.training.clone(),
            registered,
            sockets: self.sockets.clone(),
            rates: Rates::new(&config.limits),
            push_rejects: config.limits.push_rejects,
        })
    }

    /// What the handlers of a process without readers share.
    pub fn ops_state(&self) -> OpsState {
        OpsState {
            pipeline: Arc::clone(&self.pipeline),
            serving: self.serving.clone(),
            metrics: self.metrics.clone(),
            training: self.training.clone(),
        }
    }
}

/// A client for HTTP.
///
/// # Errors
/// The system's certificates cannot be read.
pub fn http_client() -> Result<reqwest::Client> {
    install_cryptography();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(60))
        // A token is for the server that was named, not for whom it may point at.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|e| CommandError::Internal {
            detail: format!("no HTTP client: {e}"),
        })
}

/// reqwest is built without a provider of cryptography of its own: ring is chosen here, once.
fn install_cryptography() {
    // A second call leaves the first choice in place.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Starts the stages of a role.
///
/// # Errors
/// A configuration that the role cannot run with; the store cannot be opened, the broker cannot be
/// reached, the exchange cannot listen, a source cannot be built.
pub async fn start(role: Role, config: &Config) -> Result<Wired> {
    check(role, config)?;
    install_cryptography();
    let metrics = metrics_recorder()?;
    let backbone = Backbone::open(config).await?;
    let stored = backbone.store.ports.database.as_ref();
    let stored = stored.map(|database| Arc::clone(&database.prices));
    let exchange = CancellationToken::new();
    let feeds = matches!(role, Role::Serve | Role::Ingest);
    let opened = if feeds {
        let topic = backbone.log.as_deref().map(|log| pipeline::resume::Topic {
            log,
            name: &config.bus.topic,
        });
        sources::open(config, stored.as_deref(), topic, &exchange).await?
    } else {
        sources::Opened::idle(config)
    };
    let history = match opened.trades_since {
        Some(until) => Some(simulated_history::Missing::until(until, stored.as_deref()).await?),
        None => None,
    };
    let device = devices::of(config)?;
    let providers = models::providers(device.as_ref());
    let registered = backbone
        .store
        .ports
        .database
        .as_ref()
        .map(|database| models::registered(database, device.as_ref()));
    if let Some(registered) = registered.clone() {
        registered.refresh().await.map_err(CommandError::Store)?;
    }
    let parts = Parts {
        bus: Arc::clone(&backbone.bus),
        store: backbone.store.ports.clone(),
        clock: Arc::new(SystemClock),
        sources: opened.source.into_iter().collect(),
        log: backbone.log.clone(),
        shared_store: backbone.is_shared(),
        dead_letters: backbone.dead_letters.clone(),
    };
    let prepared = Pipeline::prepare(role, pipeline_config(config), parts)
        .await
        .map_err(from_pipeline)?;
    let serving = serve_forecasts(config, &prepared, &providers, registered.as_ref()).await?;
    let pipeline = Arc::new(prepared.run());
    if let Some(missing) = history {
        simulated_history::backfill(config, missing, &pipeline);
    }
    if let Some(registered) = registered.clone() {
        let stop = exchange.clone();
        tokio::spawn(async move { stop.run_until_cancelled(models::follow(registered)).await });
    }
    let training = match &backbone.store.ports.database {
        Some(database) if role == Role::Serve => {
            let training = Training::start(config, database)?;
            Some(Arc::new(training))
        }
        _ => None,
    };
    Ok(Wired {
        pipeline,
        serving,
        source: opened.name,
        sockets: TaskTracker::new(),
        metrics,
        backbone,
        exchange,
        training,
        registered,
    })
}

/// Forecasting over stages that do not run yet: they tell it of all that they store.
async fn serve_forecasts(
    config: &Config,
    stages: &Prepared,
    models: &Providers,
    registered: Option<&RegisteredModels>,
) -> Result<Option<Arc<Serving>>> {
    let role = stages.role();
    let database = stages.database();
    let Some(database) = database.filter(|_| role.consumes() || role.has_readers()) else {
        return Ok(None);
    };
    let requestable = registered.map(|models| Arc::new(models.clone()) as Arc<dyn ModelProvider>);
    let requestable = requestable.as_slice();
    let config = serving_config(config);
    let contenders: Arc<dyn Contenders> = match registered {
        Some(models) => Arc::new(models.clone()),
        None => Arc::new(Nobody),
    };
    let serving = Serving::start(stages, database, config, models, requestable, contenders).await;
    Ok(Some(Arc::new(serving.map_err(from_serving)?)))
}

/// The recorder of the process: installed once, shared after.
fn metrics_recorder() -> Result<PrometheusHandle> {
    telemetry::install().map_err(|e| CommandError::Internal {
        detail: format!("no metrics: {e}"),
    })
}

/// The stages' settings.
pub fn pipeline_config(config: &Config) -> PipelineConfig {
    let mut stages = PipelineConfig {
        topic: config.bus.topic.clone(),
        group: config.bus.group.clone(),
        symbols: config.ingest.symbols.clone(),
        max_ahead_ms: millis(config.ingest.max_ahead),
        ..PipelineConfig::default()
    };
    if matches!(config.source, SourceConfig::Replay { .. }) {
        stages.market_time = MarketTime::Replay;
    }
    stages.live.version = env!("CARGO_PKG_VERSION").into();
    stages.live.simulated = config.source.is_simulated();
    stages.live.heartbeat_ms = millis(config.live.heartbeat);
    stages.live.queue_messages = config.live.queue_messages;
    stages.live.queue_bytes = config.live.queue_bytes;
    stages.live.max_behind_ms = millis(config.live.cut_off);
    stages.retention.clone_from(&config.retention);
    stages
}

/// The settings of forecasting.
fn serving_config(config: &Config) -> ServingConfig {
    let mut serving = ServingConfig::default();
    let live = &config.forecast;
    serving.forecast.models.clone_from(&live.models);
    serving
        .forecast
        .default_model
        .clone_from(&live.default_model);
    serving.forecast.champion_expiry = live.champion_expiry;
    serving.forecast.intervals.clone_from(&live.intervals);
    serving.forecast.calibration = live.calibration;
    serving.forecast.horizon_steps = live.horizon_steps;
    serving.forecast.window_bars = live.window_bars;
    serving.predict.in_flight = config.requests.in_flight;
    serving.predict.long_in_flight = config.requests.long_in_flight;
    serving.predict.timeout_ms = millis(config.requests.timeout);
    serving.backtest.calibration = live.calibration;
    serving.backtest.in_flight = config.requests.backtests;
    serving.backtest.max_seconds = config.requests.max_minutes.saturating_mul(60);
    serving
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A source's error as a command's.
pub fn from_source(error: source::SourceError) -> CommandError {
    CommandError::input(error.to_string())
}

/// A pipeline's error as a command's.
pub fn from_pipeline(error: pipeline::PipelineError) -> CommandError {
    match error {
        pipeline::PipelineError::Store(e) => CommandError::Store(e),
        pipeline::PipelineError::Bus(e) => CommandError::Bus(e),
        other => CommandError::Internal {
            detail: other.to_string(),
        },
    }
}

fn from_serving(error: ServingError) -> CommandError {
    match error {
        ServingError::Store(e) => CommandError::Store(e),
        other => CommandError::Internal {
            detail: other.to_string(),
        },
    }
}

/// The symbols that the source is going to bring.
fn awaited(config: &Config) -> BTreeSet<Symbol> {
    match config.source {
        SourceConfig::None => BTreeSet::new(),
        SourceConfig::Simulated if config.ingest.symbols.is_empty() => LISTINGS
            .iter()
            .filter_map(|listing| listing.symbol.parse().ok())
            .collect(),
        _ => config.ingest.symbols.clone(),
    }
}
