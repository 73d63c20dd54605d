//! Where prices come from: the source that is configured, and where it goes on after a stop.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bus::{Payload, Position, TopicLog};
use market::{Interval, Symbol, Timestamp};
use pipeline::{Clock as _, SourceSpec, SystemClock};
use source::{
    csv::{CsvImport, CsvReplay, ReplayOptions},
    rest::{Checkpoint, Provider, RestOptions, RestSource, StreamPosition},
    sim::MarketOptions,
};
use store::{BarQuery, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{from_source, pipeline_config};
use crate::{
    config::{Config, SourceConfig},
    error::{CommandError, Result},
    simulate::{self, SimulateOptions},
};

/// How far back a source is asked for what was missed while the server was down. What is older comes
/// as bars, where the source has them.
const CATCH_UP: Duration = Duration::from_secs(300);

/// How far back a source that is asked for the bars of all symbols at once goes for the one that is
/// furthest behind: it may have left the market long ago.
const CATCH_UP_BARS: Duration = Duration::from_secs(7 * 86_400);

/// How far apart the symbols of one batch of a source may stand.
const UNEVEN: Duration = Duration::from_secs(120);

/// Messages of each partition that are looked at for what a source has handed over last.
const LAST_MESSAGES: u64 = 500;

/// How long to wait for one of these, and how often in vain: a partition may end in records that are not
/// given to readers.
const LOOK: (Duration, u32) = (Duration::from_millis(250), 8);

/// The topic that a source's rows go to, where it is kept.
pub(super) struct Topic<'a> {
    pub log: &'a dyn TopicLog,
    pub name: &'a str,
}

/// The source's name for people.
pub(super) fn name(config: &Config) -> String {
    match &config.source {
        SourceConfig::None => "no source: prices are pushed or imported".into(),
        SourceConfig::Simulated => "simulated exchange".into(),
        SourceConfig::Rest { name, .. } => name.clone(),
        SourceConfig::Replay { file, .. } => format!("replay of {}", file.display()),
    }
}

/// The source that is configured, and its name for people.
pub(super) async fn open(
    config: &Config,
    store: &Arc<dyn Store>,
    topic: Option<Topic<'_>>,
    exchange: &CancellationToken,
) -> Result<(Option<SourceSpec>, String)> {
    let name = name(config);
    match &config.source {
        SourceConfig::None => Ok((None, name)),
        SourceConfig::Simulated => {
            let url = start_exchange(config, exchange.clone()).await?;
            let provider = Provider::tickcast(&url);
            let (since, checkpoint) = catch_up("rest:simulated", store, topic).await?;
            let mut options = RestOptions::new("rest:simulated", provider, since);
            options.checkpoint = checkpoint;
            options.seed = jitter_seed();
            options.rules = pipeline_config(config).rules();
            Ok((Some(rest(options)), name))
        }
        SourceConfig::Rest { provider, .. } => {
            let provider = Provider::clone(provider);
            let source = format!("rest:{name}");
            let symbols: Vec<Symbol> = config.ingest.symbols.iter().cloned().collect();
            let (since, checkpoint) = match provider.mapping.interval {
                Some(interval) => catch_up_bars(store, interval, &symbols).await?,
                None => catch_up(&source, store, topic).await?,
            };
            let mut options = RestOptions::new(source, provider, since);
            options.checkpoint = checkpoint;
            options.seed = jitter_seed();
            options.symbols = symbols;
            options.rules = pipeline_config(config).rules();
            options.timeout = config.poll.timeout;
            options.poll_interval = config.poll.pause;
            options.requests_per_second = Some(config.poll.max_requests_per_s);
            // The first build finds the faults of the settings before anything is started.
            RestSource::new(options.clone()).map_err(from_source)?;
            Ok((Some(rest(options)), name))
        }
        SourceConfig::Replay { file, speed } => {
            let mut options = ReplayOptions::new(file);
            options.speed = *speed;
            options.csv.rules = pipeline_config(config).rules();
            // The file is opened once before anything starts: a wrong name is a fault of the start.
            CsvImport::open(file, options.csv.clone()).map_err(from_source)?;
            let build = move || Ok(Box::new(CsvReplay::new(options.clone())) as Box<_>);
            Ok((Some(SourceSpec::new(name.clone(), build)), name))
        }
    }
}

fn rest(options: RestOptions) -> SourceSpec {
    SourceSpec::new(options.name.to_string(), move || {
        Ok(Box::new(RestSource::new(options.clone())?))
    })
}

/// Decides the jitter of back-offs. Processes that a provider has thrown out at the same moment must
/// not come back at the same moment: each draws its own.
fn jitter_seed() -> u64 {
    SystemClock.now().as_micros().unsigned_abs() ^ (u64::from(std::process::id()) << 32)
}

/// Where a polling source goes on: each symbol at its last tick; all of them together where the one
/// that is furthest behind stands, since a process that was killed may have left a batch with the
/// later rows of one symbol stored and the earlier rows of another not. A symbol that is only quiet
/// does not hold the others back for longer than [`UNEVEN`]. What comes again does no harm to the store;
/// to those who follow the topic it does, when it is older than what they remember, so what the topic has
/// counts too, however far behind the store is.
async fn catch_up(
    source: &str,
    store: &Arc<dyn Store>,
    topic: Option<Topic<'_>>,
) -> Result<(Timestamp, Checkpoint)> {
    let now = SystemClock.now();
    let mut last: BTreeMap<Symbol, Timestamp> = BTreeMap::new();
    let stored = store.instruments().await?.into_iter();
    last.extend(stored.filter(|i| !i.bars_only).map(|i| (i.symbol, i.last)));
    if let Some(topic) = topic {
        for (symbol, ts) in topic.last_ticks(source).await? {
            let known = last.entry(symbol).or_insert(ts);
            *known = ts.max(*known);
        }
    }
    let since = match (last.values().min(), last.values().max()) {
        (Some(oldest), Some(newest)) => (*oldest).max(before(*newest, UNEVEN)),
        _ => now,
    };
    let position = |since| StreamPosition {
        cursor: None,
        since: Some(since),
    };
    let checkpoint = last
        .iter()
        .map(|(symbol, ts)| (symbol.to_string(), position(*ts)))
        .collect();
    Ok((since.max(before(now, CATCH_UP)).min(now), checkpoint))
}

impl Topic<'_> {
    /// The time of the newest tick of each symbol that a source has among the last messages of each
    /// partition.
    async fn last_ticks(&self, source: &str) -> Result<HashMap<Symbol, Timestamp>> {
        let mut last = HashMap::new();
        let mut bounds = self.log.bounds(self.name).await?;
        bounds.retain(|b| b.next > b.oldest);
        let mut left: HashMap<u32, u64> = bounds.iter().map(|b| (b.partition, b.next)).collect();
        let from: Vec<Position> = bounds
            .iter()
            .map(|b| Position {
                partition: b.partition,
                offset: b.next.saturating_sub(LAST_MESSAGES).max(b.oldest),
            })
            .collect();
        if from.is_empty() {
            return Ok(last);
        }
        let mut reader = self.log.read_from(self.name, &from).await?;
        let (wait, mut looks) = LOOK;
        while !left.is_empty() && looks > 0 {
            let deliveries = reader.poll(usize::MAX, wait).await?;
            if deliveries.is_empty() {
                looks -= 1;
            }
            for delivery in deliveries {
                let at = delivery.position;
                if left
                    .get(&at.partition)
                    .is_some_and(|end| at.offset + 1 >= *end)
                {
                    left.remove(&at.partition);
                }
                let record = delivery.record;
                if let (Payload::Ticks(ticks), true) = (&record.payload, &*record.source == source)
                {
                    for tick in ticks.iter() {
                        let newest = last.entry(tick.symbol.clone()).or_insert(tick.ts);
                        *newest = tick.ts.max(*newest);
                    }
                }
            }
        }
        Ok(last)
    }
}

/// Where a source of bars goes on: each symbol at its newest stored bar of the interval, which is
/// asked for again because it may have grown since. A provider that is asked for all symbols at once
/// goes on where the symbol furthest behind stands, at most [`CATCH_UP_BARS`] back.
async fn catch_up_bars(
    store: &Arc<dyn Store>,
    interval: Interval,
    symbols: &[Symbol],
) -> Result<(Timestamp, Checkpoint)> {
    let mut checkpoint = Checkpoint::new();
    let now = SystemClock.now();
    let mut oldest = None;
    for instrument in store.instruments().await? {
        let asked = symbols.is_empty() || symbols.contains(&instrument.symbol);
        if !asked || !instrument.intervals.contains(&interval) {
            continue;
        }
        let query = BarQuery {
            symbol: instrument.symbol.clone(),
            interval,
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            limit: 1,
        };
        let newest = store.bars(&query).await?;
        let since = newest.last().map(|bar| bar.start.min(now));
        oldest = [oldest, since].into_iter().flatten().min();
        let position = StreamPosition {
            cursor: None,
            since,
        };
        checkpoint.insert(instrument.symbol.to_string(), position);
    }
    let since = oldest.map_or(now, |oldest| oldest.max(before(now, CATCH_UP_BARS)));
    Ok((since, checkpoint))
}

fn before(ts: Timestamp, span: Duration) -> Timestamp {
    ts.plus_micros(-i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
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
        let store: Arc<dyn Store> = Arc::new(store.await.unwrap());
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
            let (source, name) = open(&config, &store, None, &exchange).await.unwrap();
            assert!(source.is_some());
            assert_eq!(name, preset);
        }
    }
}
