//! The configuration: one struct per topic, read from `tickcast.toml`, the environment
//! (`TICKCAST_…`) and flags, the later above the earlier. Every fault is reported at once.
//!
//! What it does not do: open anything but `source.mapping`, which is configuration too. Any other path
//! and every address is checked when it is used.

mod backbone;
mod device;
mod forecasts;
mod layers;
mod limits;
mod retention;
pub mod settings;
mod source;
mod training;
mod watching;
mod web;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use market::Symbol;
use pipeline::RetentionConfig;

pub use backbone::{BusConfig, BusKind, KafkaConfig, MongoConfig, StoreConfig, StoreKind};
pub use device::DeviceChoice;
pub use forecasts::ForecastConfig;
pub use layers::{Fault, Layers};
pub use limits::{LimitsConfig, RequestConfig};
pub use source::SourceConfig;
pub use training::TrainingConfig;
pub use watching::{WatchingConfig, WebhookConfig};
pub use web::WebConfig;

/// How a REST provider is polled.
#[derive(Clone, Debug)]
pub struct PollConfig {
    /// Pause between polls.
    pub pause: Duration,
    /// Rate limit.
    pub max_requests_per_s: f64,
    /// Time-out of one request.
    pub timeout: Duration,
}

/// What is taken in.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// Symbols that are taken; empty takes every one.
    pub symbols: BTreeSet<Symbol>,
    /// How far ahead of the clock a timestamp may lie.
    pub max_ahead: Duration,
}

/// The simulated exchange within `serve`.
#[derive(Clone, Debug)]
pub struct SimulateConfig {
    /// Seed.
    pub seed: u64,
    /// Trades per second.
    pub rate: f64,
    /// History offered at the first start.
    pub history: Duration,
}

/// WebSocket readers.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// Something is heard at least this often.
    pub heartbeat: Duration,
    /// Messages that wait for one reader.
    pub queue_messages: usize,
    /// Their bytes.
    pub queue_bytes: usize,
    /// A reader that stays behind this long is cut off.
    pub cut_off: Duration,
}

/// The log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// A tracing filter.
    pub level: String,
    /// JSON lines instead of text.
    pub json: bool,
    /// Share of the requests that are logged.
    pub access: f64,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The web server.
    pub web: WebConfig,
    /// Where a process without a web app answers questions about its health, if anywhere.
    pub health: Option<SocketAddr>,
    /// The store.
    pub store: StoreConfig,
    /// What is removed by age.
    pub retention: RetentionConfig,
    /// The bus.
    pub bus: BusConfig,
    /// Where prices come from.
    pub source: SourceConfig,
    /// How a REST provider is polled.
    pub poll: PollConfig,
    /// What is taken in.
    pub ingest: IngestConfig,
    /// The simulated exchange.
    pub simulate: SimulateConfig,
    /// Live forecasts.
    pub forecast: ForecastConfig,
    /// Trainings, and the jobs that do them.
    pub training: TrainingConfig,
    /// Watching what is served, and telling others.
    pub watching: WatchingConfig,
    /// WebSocket readers.
    pub live: LiveConfig,
    /// What a client may take.
    pub limits: LimitsConfig,
    /// Forecasts and backtests on request.
    pub requests: RequestConfig,
    /// The log.
    pub log: LogConfig,
}

/// Every fault of a configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} fault{}:{}", .0.len(), if .0.len() == 1 { "" } else { "s" }, lines(.0))]
pub struct ConfigError(pub Vec<Fault>);

fn lines(faults: &[Fault]) -> String {
    faults.iter().fold(String::new(), |mut text, fault| {
        let _ = write!(text, "\n  {fault}");
        text
    })
}

/// Reads the layers: the file named, or `tickcast.toml` in the working directory if it is there;
/// the environment; then flags as (key, text, flag).
pub fn read_layers(file: Option<&Path>, flags: &[(String, String, String)]) -> Layers {
    let mut layers = Layers::default();
    let default_file = Path::new("tickcast.toml");
    let path = file.unwrap_or(default_file);
    match std::fs::read_to_string(path) {
        Ok(text) => layers.add_file(path, &text),
        Err(e) if file.is_none() && e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => layers.faults.push(Fault {
            key: path.display().to_string(),
            origin: "--config".into(),
            problem: format!("cannot be read: {e}"),
        }),
    }
    layers.add_environment(std::env::vars_os());
    for (key, text, flag) in flags {
        layers.add_flag(key, text, flag);
    }
    layers
}

impl Config {
    /// Types the layers' values.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn from_layers(mut layers: Layers) -> Result<Self, ConfigError> {
        let config = Self::read(&mut layers);
        match config {
            Some(config) if layers.faults.is_empty() => Ok(config),
            _ => Err(ConfigError(layers.faults)),
        }
    }

    fn read(l: &mut Layers) -> Option<Self> {
        // Every topic is read before the first `?`, so that each fault is met.
        let web = web::read_web(l);
        let health = web::read_health(l);
        let store = backbone::read_store(l);
        let retention = retention::read_retention(l);
        let bus = backbone::read_bus(l);
        let source = source::read_source(l);
        let poll = read_poll(l);
        let ingest = read_ingest(l);
        if let (Some(source), Some(ingest)) = (&source, &ingest) {
            source::check_symbols(l, source, ingest);
        }
        let simulate = read_simulate(l);
        let forecast = forecasts::read_forecast(l);
        let training = training::read_training(l);
        let watching = watching::read_watching(l, training.as_ref());
        let live = read_live(l);
        let limits = limits::read_limits(l);
        let requests = limits::read_requests(l);
        let log = read_log(l);
        Some(Self {
            web: web?,
            health: health?,
            store: store?,
            retention: retention?,
            bus: bus?,
            source: source?,
            poll: poll?,
            ingest: ingest?,
            simulate: simulate?,
            forecast: forecast?,
            training: training?,
            watching: watching?,
            live: live?,
            limits: limits?,
            requests: requests?,
            log: log?,
        })
    }
}

fn read_poll(l: &mut Layers) -> Option<PollConfig> {
    let pause = millis(l, "source.poll_ms", 1);
    let max_requests_per_s = l.one("source.max_requests_per_s", positive);
    let timeout = millis(l, "source.timeout_ms", 1);
    Some(PollConfig {
        pause: pause?,
        max_requests_per_s: max_requests_per_s?,
        timeout: timeout?,
    })
}

fn read_ingest(l: &mut Layers) -> Option<IngestConfig> {
    let symbols = l
        .many("ingest.symbols", str::parse::<Symbol>)
        .into_iter()
        .collect();
    let max_ahead = millis(l, "ingest.max_ahead_ms", 0);
    Some(IngestConfig {
        symbols,
        max_ahead: max_ahead?,
    })
}

fn read_simulate(l: &mut Layers) -> Option<SimulateConfig> {
    let seed = l.one("simulate.seed", str::parse::<u64>);
    let rate = l.one("simulate.rate", |t| {
        positive(t).and_then(|r| (1.0..=100_000.0).contains(&r).then_some(r).ok_or(()))
    });
    let hours = l.one("simulate.history_hours", |t| {
        t.parse::<f64>()
            .ok()
            .filter(|h| (0.0..=720.0).contains(h))
            .ok_or(())
    });
    Some(SimulateConfig {
        seed: seed?,
        rate: rate?,
        history: Duration::from_secs_f64(hours? * 3_600.0),
    })
}

fn read_live(l: &mut Layers) -> Option<LiveConfig> {
    let heartbeat = millis(l, "live.heartbeat_ms", 100);
    let queue_messages = at_least(l, "live.queue_messages", 16);
    let queue_bytes = at_least(l, "live.queue_bytes", 65_536);
    let cut_off = millis(l, "live.cut_off_ms", 100);
    Some(LiveConfig {
        heartbeat: heartbeat?,
        queue_messages: queue_messages?,
        queue_bytes: queue_bytes?,
        cut_off: cut_off?,
    })
}

fn read_log(l: &mut Layers) -> Option<LogConfig> {
    let level = l.one("log.level", |t| {
        t.parse::<tracing_subscriber::filter::Targets>()
            .map(|_| t.to_owned())
    });
    let json = l.one("log.format", |t| match t {
        "json" => Ok(true),
        "text" => Ok(false),
        _ => Err(()),
    });
    let access = l.one("log.access", |t| {
        let share = t.parse::<f64>().ok();
        share.filter(|share| (0.0..=1.0).contains(share)).ok_or(())
    });
    Some(LogConfig {
        level: level?,
        json: json?,
        access: access?,
    })
}

fn path(l: &mut Layers, key: &str) -> Option<PathBuf> {
    l.one(key, |t| {
        if t.is_empty() {
            Err(())
        } else {
            Ok(PathBuf::from(t))
        }
    })
}

fn at_least(l: &mut Layers, key: &str, least: usize) -> Option<usize> {
    l.one(key, |t| {
        t.parse::<usize>().ok().filter(|n| *n >= least).ok_or(())
    })
}

fn within<T: FromStr + PartialOrd>(text: &str, least: T, most: T) -> Result<T, ()> {
    let number = text.parse().map_err(|_| ())?;
    (least..=most).contains(&number).then_some(number).ok_or(())
}

fn millis(l: &mut Layers, key: &str, least: u64) -> Option<Duration> {
    l.one(key, |t| {
        t.parse::<u64>().ok().filter(|n| *n >= least).ok_or(())
    })
    .map(Duration::from_millis)
}

fn positive(text: &str) -> Result<f64, ()> {
    text.parse::<f64>()
        .ok()
        .filter(|x| x.is_finite() && *x > 0.0)
        .ok_or(())
}

fn missing(l: &mut Layers, key: &str, problem: &str) {
    let origin = l.raw(key).origin;
    l.faults.push(Fault {
        key: key.into(),
        origin,
        problem: problem.into(),
    });
}

/// The effective configuration as TOML, each value with its origin, secrets masked.
pub fn print(layers: &Layers) -> String {
    let mut text = String::new();
    let mut section = "";
    for s in settings::all() {
        let (table, name) = s.key.split_once('.').unwrap_or(("", s.key));
        if table != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}[{table}]");
            section = table;
        }
        let raw = layers.raw(s.key);
        // A default is no secret.
        let masked = s.secret && raw.items.iter().any(|i| !i.is_empty() && i != s.default);
        let shown: Vec<String> = raw
            .items
            .iter()
            .map(|i| {
                if masked {
                    "\"********\"".to_owned()
                } else {
                    toml_literal(i)
                }
            })
            .collect();
        let value = if s.list {
            format!("[{}]", shown.join(", "))
        } else {
            shown.first().cloned().unwrap_or_else(|| "\"\"".to_owned())
        };
        let _ = writeln!(text, "# {} Expected: {}.", s.about, s.expects);
        let _ = writeln!(text, "{name} = {value}  # {}", raw.origin);
    }
    text
}

fn toml_literal(text: &str) -> String {
    let number = text.parse::<i64>().is_ok()
        || (text.contains('.') && text.parse::<f64>().is_ok_and(f64::is_finite));
    if number || text == "true" || text == "false" {
        return text.to_owned();
    }
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests;
