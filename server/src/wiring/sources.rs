//! Where prices come from: the source that is configured.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use market::{Symbol, Timestamp};
use pipeline::{
    Clock as _, SourceSpec, SystemClock,
    resume::{self, ResumePoint, Topic},
};
use source::{
    file::PriceFile,
    replay::{FileReplay, ReplayOptions},
    rest::{Checkpoint, Provider, RestOptions, RestSource},
    sim::MarketOptions,
};
use store::PriceReader;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{from_pipeline, from_source, pipeline_config};
use crate::{
    config::{Config, SourceConfig},
    error::{CommandError, Result},
    simulate::{self, SimulateOptions},
};

/// The source's name for people.
pub(super) fn name(config: &Config) -> String {
    match &config.source {
        SourceConfig::None => "no source: prices are pushed or imported".into(),
        SourceConfig::Simulated => "simulated exchange".into(),
        SourceConfig::Rest { name, .. } => name.clone(),
        SourceConfig::Replay { file, .. } => format!("replay of {}", file.display()),
    }
}

/// A source that is configured.
pub(super) struct Opened {
    /// How it is started; `None` of one that only takes what is pushed.
    pub source: Option<SourceSpec>,
    /// Its name for people.
    pub name: String,
    /// Of the simulated exchange: from when on its trades come. What lies before comes as bars.
    pub trades_since: Option<Timestamp>,
}

impl Opened {
    const fn new(source: Option<SourceSpec>, name: String) -> Self {
        Self {
            source,
            name,
            trades_since: None,
        }
    }

    /// Of a process that no prices come into.
    pub fn idle(config: &Config) -> Self {
        Self::new(None, name(config))
    }
}

/// The source that is configured.
pub(super) async fn open(
    config: &Config,
    stored: Option<&dyn PriceReader>,
    topic: Option<Topic<'_>>,
    exchange: &CancellationToken,
) -> Result<Opened> {
    let name = name(config);
    match &config.source {
        SourceConfig::None => Ok(Opened::new(None, name)),
        SourceConfig::Simulated => {
            let url = start_exchange(config, exchange.clone()).await?;
            let provider = Provider::tickcast(&url);
            let start = resume::ticks("rest:simulated", stored, topic).await;
            let mut start = start.map_err(from_pipeline)?;
            // A whole second is either made of trades or told by a bar.
            start.since = Timestamp::from_secs(start.since.as_secs());
            let at = start.checkpoint.get("").and_then(|position| position.since);
            let trades_since = Some(at.unwrap_or(start.since));
            let mut options = rest_options("rest:simulated".into(), provider, start);
            options.rules = pipeline_config(config).rules();
            Ok(Opened {
                trades_since,
                ..Opened::new(Some(rest(options)), name)
            })
        }
        SourceConfig::Rest { provider, .. } => {
            let provider = Provider::clone(provider);
            let source = format!("rest:{name}");
            let symbols: Vec<Symbol> = config.ingest.symbols.iter().cloned().collect();
            let start = match provider.mapping.interval {
                Some(interval) => resume::bars(&source, stored, topic, interval, &symbols).await,
                None => resume::ticks(&source, stored, topic).await,
            };
            let start = start.map_err(from_pipeline)?;
            let mut options = rest_options(source, provider, start);
            options.symbols = symbols;
            options.rules = pipeline_config(config).rules();
            options.timeout = config.poll.timeout;
            options.poll_interval = config.poll.pause;
            options.requests_per_second = Some(config.poll.max_requests_per_s);
            // The first build finds the faults of the settings before anything is started.
            RestSource::new(options.clone()).map_err(from_source)?;
            Ok(Opened::new(Some(rest(options)), name))
        }
        SourceConfig::Replay { file, speed } => {
            let mut options = ReplayOptions::new(file);
            options.speed = *speed;
            options.reading.rules = pipeline_config(config).rules();
            // The file is opened once before anything starts: a wrong name is a fault of the start.
            PriceFile::open(file, options.reading.clone()).map_err(from_source)?;
            let build = move || Ok(Box::new(FileReplay::new(options.clone())) as Box<_>);
            Ok(Opened::new(
                Some(SourceSpec::new(name.clone(), build)),
                name,
            ))
        }
    }
}

fn rest_options(name: String, provider: Provider, start: ResumePoint) -> RestOptions {
    RestOptions {
        checkpoint: start.checkpoint,
        taken: start.taken,
        seed: jitter_seed(),
        ..RestOptions::new(name, provider, start.since)
    }
}

/// Built again after a failure, it goes on where the one before it stood.
fn rest(options: RestOptions) -> SourceSpec {
    let before = Mutex::new(None::<watch::Receiver<Checkpoint>>);
    SourceSpec::new(options.name.to_string(), move || {
        let mut before = before.lock().unwrap_or_else(PoisonError::into_inner);
        let mut options = options.clone();
        if let Some(checkpoints) = &*before {
            options.checkpoint = checkpoints.borrow().clone();
        }
        let source = RestSource::new(options)?;
        *before = Some(source.checkpoints());
        Ok(Box::new(source))
    })
}

/// Decides the jitter of back-offs. Processes that a provider has thrown out at the same moment must
/// not come back at the same moment: each draws its own.
fn jitter_seed() -> u64 {
    SystemClock.now().as_micros().unsigned_abs() ^ (u64::from(std::process::id()) << 32)
}

/// Starts the simulated exchange on a loopback port; returns its URL.
async fn start_exchange(config: &Config, cancel: CancellationToken) -> Result<String> {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = TcpListener::bind(any_port)
        .await
        .map_err(|source| CommandError::Listen {
            address: any_port,
            source,
        })?;
    let address = listener
        .local_addr()
        .map_err(|source| CommandError::Listen {
            address: any_port,
            source,
        })?;
    let options = SimulateOptions {
        market: market_options(config),
        ..SimulateOptions::default()
    };
    tokio::spawn(async move {
        if let Err(e) = simulate::serve(listener, options, cancel).await {
            error!("the simulated exchange ended: {e}");
        }
    });
    Ok(format!("http://{address}"))
}

/// The simulated exchange's market, as configured.
pub fn market_options(config: &Config) -> MarketOptions {
    MarketOptions {
        seed: config.simulate.seed,
        trades_per_second: config.simulate.rate,
        ..MarketOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use store::{SqliteOptions, SqliteStore};

    use super::*;
    use crate::config::Layers;

    #[tokio::test]
    async fn every_preset_gets_from_the_settings_to_a_source() {
        crate::wiring::install_cryptography();
        let scratch = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(scratch.path()));
        let store = store.await.unwrap();
        for preset in Provider::PRESETS {
            let mut layers = Layers::default();
            for (key, text) in [
                ("source.kind", "rest"),
                ("source.preset", preset),
                ("source.url", "http://127.0.0.1:9"),
                ("source.api_key", "key"),
                ("ingest.symbols", "AAPL,MSFT"),
            ] {
                layers.add_flag(key, text, "--set");
            }
            let config = Config::from_layers(layers).unwrap();
            let exchange = CancellationToken::new();
            let opened = open(&config, Some(&store), None, &exchange).await.unwrap();
            assert!(opened.source.is_some());
            assert_eq!(opened.name, preset);
        }
    }
}
