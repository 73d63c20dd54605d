//! Any bytes as messages of `/live` and `/forecast`, line by line: a session takes each and answers within its
//! bounds. The fuzz target runs it, and so does an ordinary test, on the seeds.

use std::sync::{Arc, OnceLock};

use bus::{MemoryBus, MemoryBusOptions};
use forecast::Providers;
use market::{Timestamp, excerpt};
use pipeline::{Frame, Parts, Pipeline, PipelineConfig, Role};
use protocol::{ForecastMessage, ForecastRequest, LiveMessage, LiveRequest};
use serving::{Serving, ServingConfig};
use store::{SqliteOptions, SqliteStore};

/// The largest message that a server takes, in bytes.
const MAX_MESSAGE: usize = 64 * 1024;
/// Frames that are read of a session at most: each request of a message adds a bounded number.
const FRAMES: usize = 10_000;

/// The stages over an empty store, made once.
struct Stage {
    runtime: tokio::runtime::Runtime,
    pipeline: Pipeline,
    serving: Serving,
    _folder: tempfile::TempDir,
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let (Ok(runtime), Ok(folder)) = (runtime, tempfile::tempdir()) else {
            panic!("no runtime or no folder to work in");
        };
        let options = SqliteOptions::new(folder.path());
        let started = runtime.block_on(async {
            let Ok(store) = SqliteStore::open(options).await else {
                panic!("the store cannot be opened");
            };
            let bus = Arc::new(MemoryBus::new(MemoryBusOptions::default()));
            let clock = Arc::new(|| Timestamp::from_secs(1_700_000_000));
            let parts = Parts::in_process(bus, Arc::new(store), Vec::new(), clock);
            let stages = Pipeline::prepare(Role::Serve, PipelineConfig::default(), parts);
            let stages = stages.await.ok()?;
            let (config, models) = (ServingConfig::default(), Providers::classical());
            let serving = Serving::start(
                &stages,
                stages.database()?,
                config,
                &models,
                &[],
                Arc::new(serving::Nobody),
            );
            Some((serving.await.ok()?, stages.run()))
        });
        let Some((serving, pipeline)) = started else {
            panic!("the stages do not start");
        };
        Stage {
            runtime,
            pipeline,
            serving,
            _folder: folder,
        }
    })
}

/// Hands each line to a session of both kinds.
pub fn check(data: &[u8]) {
    let stage = stage();
    let _inside = stage.runtime.enter();
    let live = stage.pipeline.live.connect();
    let forecasts = stage.serving.forecasts.connect();
    for line in data.split(|b| *b == b'\n') {
        let Ok(text) = std::str::from_utf8(&line[..line.len().min(MAX_MESSAGE)]) else {
            // The transport closes with 1007.
            continue;
        };
        match serde_json::from_str::<LiveRequest>(text) {
            Ok(request) => live.request(request),
            Err(e) => live.refuse(market::ErrorKind::Invalid, excerpt(&e.to_string())),
        }
        match serde_json::from_str::<ForecastRequest>(text) {
            Ok(request) => forecasts.request(request),
            Err(e) => forecasts.refuse(market::ErrorKind::Invalid, excerpt(&e.to_string())),
        }
    }
    let mut frames = 0;
    while let Some(Frame::Text(text)) = live.try_next() {
        let Ok(message) = serde_json::from_slice::<LiveMessage>(&text) else {
            panic!("not a message of the protocol: {text:?}");
        };
        if let LiveMessage::Error { detail, .. } = message {
            assert!(
                detail.chars().count() <= market::EXCERPT_CHARS + 100,
                "{detail}"
            );
        }
        frames += 1;
        assert!(frames <= FRAMES);
    }
    frames = 0;
    while let Some(Frame::Text(text)) = forecasts.try_next() {
        assert!(
            serde_json::from_slice::<ForecastMessage>(&text).is_ok(),
            "not a message of the protocol: {text:?}"
        );
        frames += 1;
        assert!(frames <= FRAMES);
    }
}
