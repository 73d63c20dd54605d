//! What the tests share: stages with forecasting on a temporary store, and ticks.

use std::{path::Path, sync::Arc, time::Duration};

use bus::{MemoryBus, MemoryBusOptions};
use forecast::{ModelProvider, Providers};
use market::{Interval, Symbol, Tick, Timestamp};
use mlops::registered::RegisteredModels;
use pipeline::{Clock, Frame, MarketTime, Parts, Pipeline, PipelineConfig, Role};
use protocol::{ForecastMessage, ForecastRequest, PredictRequest, Prediction};
use serving::{Contenders, Nobody, Serving, ServingConfig};
use store::{SqliteOptions, SqliteStore, StorePorts};

/// 2024-03-04T00:00:00Z, a Monday.
pub const MONDAY: i64 = 1_709_510_400;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(MONDAY + second)
}

pub fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

/// A tick at a second after Monday.
pub fn tick(name: &str, second: i64, seq: u64, price: f64) -> Tick {
    Tick {
        symbol: symbol(name),
        ts: at(second).plus_micros(seq as i64 % 1_000),
        seq,
        price,
        size: 1.0,
    }
}

/// What is asked of a model on AAA's minutes.
pub fn request(model: &str, horizon: u32) -> PredictRequest {
    PredictRequest {
        id: None,
        symbol: Some(symbol("AAA")),
        interval: Some(Interval::M1),
        series: None,
        model: Some(model.to_owned()),
        horizon,
        levels: None,
        season: None,
    }
}

pub async fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(SqliteOptions::new(dir)).await.unwrap()
}

/// The stages and forecasting over them.
pub struct Stage {
    pub pipeline: Pipeline,
    pub serving: Serving,
}

impl Stage {
    /// All of it in one process, replaying.
    pub async fn start(config: ServingConfig, store: impl Into<StorePorts>) -> Self {
        Self::start_with(Providers::classical(), config, store).await
    }

    /// With other models than the forecasting core's.
    pub async fn start_with(
        models: Providers,
        config: ServingConfig,
        store: impl Into<StorePorts>,
    ) -> Self {
        let wall = Arc::new(|| at(10_000_000));
        let nobody = Arc::new(Nobody);
        Self::start_all(MarketTime::Replay, wall, (models, nobody), config, store).await
    }

    /// With a registry whose champions are served.
    pub async fn start_with_registry(
        registry: &RegisteredModels,
        config: ServingConfig,
        store: impl Into<StorePorts>,
    ) -> Self {
        let wall = Arc::new(|| at(10_000_000));
        let registry = Arc::new(registry.clone());
        let contenders: Arc<dyn Contenders> = registry.clone();
        let models = (Providers::classical(), contenders);
        Self::start_whole(MarketTime::Replay, wall, models, &[registry], config, store).await
    }

    /// With the clocks of one's choice.
    pub async fn start_at(
        market_time: MarketTime,
        wall: Arc<dyn Clock>,
        config: ServingConfig,
        store: impl Into<StorePorts>,
    ) -> Self {
        let models = (
            Providers::classical(),
            Arc::new(Nobody) as Arc<dyn Contenders>,
        );
        Self::start_all(market_time, wall, models, config, store).await
    }

    async fn start_all(
        market_time: MarketTime,
        wall: Arc<dyn Clock>,
        models: (Providers, Arc<dyn Contenders>),
        config: ServingConfig,
        store: impl Into<StorePorts>,
    ) -> Self {
        Self::start_whole(market_time, wall, models, &[], config, store).await
    }

    async fn start_whole(
        market_time: MarketTime,
        wall: Arc<dyn Clock>,
        (models, contenders): (Providers, Arc<dyn Contenders>),
        requestable: &[Arc<dyn ModelProvider>],
        config: ServingConfig,
        store: impl Into<StorePorts>,
    ) -> Self {
        let mut stages = PipelineConfig {
            market_time,
            ..PipelineConfig::default()
        };
        stages.live.heartbeat_ms = 60_000;
        let bus = Arc::new(MemoryBus::new(MemoryBusOptions::default()));
        let parts = Parts::in_process(bus, store, Vec::new(), wall);
        let prepared = Pipeline::prepare(Role::Serve, stages, parts).await.unwrap();
        let database = prepared.database().unwrap();
        let serving = Serving::start(
            &prepared,
            database,
            config,
            &models,
            requestable,
            contenders,
        )
        .await;
        Self {
            serving: serving.unwrap(),
            pipeline: prepared.run(),
        }
    }

    /// Stores ticks.
    pub async fn write(&self, ticks: Vec<Tick>) {
        self.pipeline.sink.write(ticks, None).await.unwrap();
    }

    /// Stops both, in the order in which a server does.
    pub async fn stop(&self) {
        self.serving.refuse_requests();
        assert!(self.pipeline.shutdown(Duration::from_secs(30)).await);
        assert!(self.serving.shutdown(Duration::from_secs(30)).await);
    }
}

/// A configuration that forecasts minutes by naive alone, three steps ahead.
pub fn m1_only() -> ServingConfig {
    let mut config = ServingConfig::default();
    config.forecast.intervals = vec![Interval::M1];
    config.forecast.models = Vec::new();
    config.forecast.horizon_steps = 3;
    config.forecast.log = false;
    config
}

/// Fails the test instead of hanging.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("nothing came")
}

/// Waits until a condition holds.
pub async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    within(async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// The answer to a request on `/forecast`.
pub async fn asked_over_websocket(stage: &Stage, request: PredictRequest) -> Prediction {
    let session = stage.serving.forecasts.connect();
    session.request(ForecastRequest::Predict(request));
    loop {
        let Frame::Text(text) = within(session.next()).await else {
            panic!("closed")
        };
        match serde_json::from_slice(&text).unwrap() {
            ForecastMessage::Prediction(prediction) => return prediction,
            ForecastMessage::Heartbeat { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}
