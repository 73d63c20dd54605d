//! Every setting: its key, default and meaning. `tickcast config`, the checks for unknown keys and
//! the documentation are made from this one table.

use super::{forecasts::FORECAST, limits::LIMITS, training::TRAINING, watching::WATCHING};

/// One setting.
pub struct Setting {
    /// The key in `tickcast.toml`: `table.name`. In the environment `TICKCAST_TABLE_NAME`.
    pub key: &'static str,
    /// The default, as text; a list is written with commas.
    pub default: &'static str,
    /// Whether it is a list in `tickcast.toml`.
    pub list: bool,
    /// Whether it is masked when printed.
    pub secret: bool,
    /// What it is for.
    pub about: &'static str,
    /// What a value must be, for error messages.
    pub expects: &'static str,
}

pub(super) const fn setting(
    key: &'static str,
    default: &'static str,
    expects: &'static str,
    about: &'static str,
) -> Setting {
    Setting {
        key,
        default,
        list: false,
        secret: false,
        about,
        expects,
    }
}

pub(super) const fn list(
    key: &'static str,
    default: &'static str,
    expects: &'static str,
    about: &'static str,
) -> Setting {
    Setting {
        key,
        default,
        list: true,
        secret: false,
        about,
        expects,
    }
}

pub(super) const fn secret(
    key: &'static str,
    default: &'static str,
    expects: &'static str,
    about: &'static str,
) -> Setting {
    Setting {
        key,
        default,
        list: false,
        secret: true,
        about,
        expects,
    }
}

const fn secrets(
    key: &'static str,
    default: &'static str,
    expects: &'static str,
    about: &'static str,
) -> Setting {
    Setting {
        key,
        default,
        list: true,
        secret: true,
        about,
        expects,
    }
}

/// Every setting: the table, and those of forecasts, trainings, watching and limits, which have tables of their own.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    let tables = [SETTINGS, FORECAST, TRAINING, WATCHING, LIMITS];
    tables.into_iter().flatten()
}

/// The table.
const SETTINGS: &[Setting] = &[
    setting(
        "web.host",
        "127.0.0.1",
        "an IP address",
        "Address that the web server listens on.",
    ),
    setting(
        "web.port",
        "3000",
        "a port, 0 to 65535 (0: any free one)",
        "Port of the web server.",
    ),
    setting(
        "web.site_root",
        "dist",
        "a directory",
        "The built front end: wasm, style, icons.",
    ),
    list(
        "web.allowed_origins",
        "",
        "a list of origins such as https://prices.example.com",
        "Origins besides the server's own that browsers may post and open WebSockets from.",
    ),
    list(
        "web.openbb_origins",
        "",
        "a list of origins such as https://pro.openbb.co",
        "Origins whose pages may read /widgets.json and /openbb: OpenBB Workspace is at https://pro.openbb.co.",
    ),
    list(
        "web.hosts",
        "",
        "a list of hosts such as prices.example.com, without a port",
        "Hosts that the server answers for, besides those of this machine's loopback and the address it listens on.",
    ),
    setting(
        "web.access_dir",
        "",
        "a directory, or nothing",
        "Where tokens, sessions and the audit log are; nothing: access in store.data_dir. Web processes behind one load balancer share it.",
    ),
    setting(
        "health.port",
        "",
        "a port, 0 to 65535 (0: any free one), or nothing",
        "Port on web.host where ingest and consume answer /healthz, /readyz, /metrics and /api/pipeline; nothing: nowhere.",
    ),
    setting(
        "store.kind",
        "sqlite",
        "sqlite, mongodb or csv",
        "Where prices are kept: sqlite in store.data_dir, for one process; mongodb, which processes can share; csv, daily files in store.csv_dir, written by ingest and consume and read by import.",
    ),
    setting(
        "store.csv_dir",
        "tickcast-csv",
        "a directory",
        "Where the files of store.kind = csv are; each process has its own.",
    ),
    setting(
        "store.data_dir",
        "tickcast-data",
        "a directory",
        "Where the database lives.",
    ),
    setting(
        "store.full_sync",
        "false",
        "true or false",
        "Wait for the disk at every commit: then power loss, too, loses nothing acknowledged.",
    ),
    setting(
        "store.dead_letters_per_source",
        "100000",
        "a number from 1",
        "Dead letters of one source that are kept. Open ones are never removed: beyond it, replayed ones make room, and then what comes is counted and not kept.",
    ),
    setting(
        "store.dead_letters_bytes_per_source",
        "67108864",
        "bytes from 131072",
        "Bytes of the dead letters of one source that are kept; beyond it the same.",
    ),
    setting(
        "store.dead_letters_total",
        "1000000",
        "a number from 1",
        "Dead letters of all sources that are kept.",
    ),
    setting(
        "retention.ticks_days",
        "",
        "days from 1 to 36525, or nothing",
        "Days that ticks are kept, longer than the bus keeps records; nothing: for ever. The newest tick of a symbol stays, and forecasts always do.",
    ),
    list(
        "retention.bars_days",
        "",
        "a list of interval=days such as 1s=7, 1m=365",
        "Days that bars of an interval are kept; of one that is not named, for ever.",
    ),
    secret(
        "mongodb.uri",
        "mongodb://127.0.0.1:27017",
        "a mongodb:// or mongodb+srv:// URI",
        "Server of store.kind = mongodb, with credentials and TLS settings where it needs them; retryWrites=false for servers without.",
    ),
    setting("mongodb.database", "stock_db", "a name", "Database."),
    setting(
        "mongodb.collection",
        "stock_data",
        "a name",
        "Collection of the ticks; the other collections are named after it.",
    ),
    setting(
        "mongodb.timeout_ms",
        "10000",
        "milliseconds from 1",
        "How long the server may be away before a call fails and is tried again.",
    ),
    setting(
        "bus.kind",
        "memory",
        "memory or kafka",
        "What carries prices from source to store: memory, within one process; kafka, between processes.",
    ),
    setting(
        "bus.topic",
        "stock-data",
        "a topic name",
        "Topic that ticks travel on.",
    ),
    setting(
        "bus.capacity_rows",
        "200000",
        "a number from 1000",
        "Rows the in-process bus holds before publishers wait.",
    ),
    setting(
        "bus.group",
        "tickcast-store",
        "a name",
        "Consumer group of the processes that store; they share the topic's partitions.",
    ),
    setting(
        "kafka.brokers",
        "127.0.0.1:9092",
        "host:port, several separated by commas",
        "Brokers of bus.kind = kafka.",
    ),
    setting(
        "kafka.partitions",
        "12",
        "a number from 1",
        "Partitions of a topic that is made because it is missing: the most consumers that work at the same time.",
    ),
    setting(
        "kafka.replication",
        "1",
        "a number from 1",
        "Copies of a topic that is made because it is missing; at most as many as there are brokers. 3 survives the loss of a broker.",
    ),
    setting(
        "kafka.compression",
        "lz4",
        "one of none, lz4, zstd, gzip, snappy",
        "How messages are compressed.",
    ),
    setting(
        "kafka.linger_ms",
        "5",
        "milliseconds from 0",
        "How long the producer waits for more messages before it sends a batch.",
    ),
    setting(
        "kafka.max_message_bytes",
        "4194304",
        "bytes from 1024",
        "A message longer than this is put aside as a dead letter.",
    ),
    setting(
        "kafka.timeout_ms",
        "30000",
        "milliseconds from 1000",
        "How long the brokers may be away before a publish fails and is tried again.",
    ),
    setting(
        "kafka.security_protocol",
        "",
        "one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, or nothing",
        "How brokers are spoken to; SSL needs a build with the feature kafka-tls.",
    ),
    setting(
        "kafka.sasl_mechanism",
        "",
        "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or the like",
        "How one logs in; SCRAM needs a build with the feature kafka-tls.",
    ),
    setting("kafka.sasl_username", "", "text", "User name."),
    secret("kafka.sasl_password", "", "text", "Password."),
    setting(
        "kafka.ssl_ca_location",
        "",
        "a file or directory",
        "Certificates of the authorities that brokers are trusted by.",
    ),
    setting(
        "kafka.ssl_certificate_location",
        "",
        "a file",
        "This client's certificate, where brokers ask for one.",
    ),
    setting(
        "kafka.ssl_key_location",
        "",
        "a file",
        "The key of this client's certificate.",
    ),
    secret("kafka.ssl_key_password", "", "text", "Password of the key."),
    secrets(
        "kafka.extra",
        "",
        "a list of name=value, as librdkafka names its settings",
        "Any other setting of librdkafka; wins over the ones above.",
    ),
    setting(
        "source.kind",
        "simulated",
        "one of simulated, rest, replay, none",
        "Where prices come from; none leaves POST /api/ticks and import.",
    ),
    setting(
        "source.preset",
        "tickcast",
        "one of tickcast, alpaca-trades, alpaca-bars, polygon-trades, polygon-bars, finnhub-bars, binance-trades, binance-bars, kraken-trades, kraken-bars, coinbase-bars, alpha-vantage-bars, alpha-vantage-daily, twelve-data-bars, tiingo-bars, tiingo-daily",
        "Shape of a REST provider's answers.",
    ),
    setting(
        "source.mapping",
        "",
        "a TOML or JSON file, or nothing",
        "Description of a REST provider without a preset: how it is asked and read. It stands in the place of source.preset and source.url.",
    ),
    setting(
        "source.url",
        "",
        "an http or https URL",
        "Base URL of the REST provider, where it is not the preset's own.",
    ),
    secret(
        "source.api_key",
        "",
        "text",
        "API key of the REST provider; {api_key} in the credentials of source.mapping.",
    ),
    secret(
        "source.api_secret",
        "",
        "text",
        "API secret, for providers that have one; {api_secret} in the credentials of source.mapping.",
    ),
    setting(
        "source.poll_ms",
        "250",
        "milliseconds from 1",
        "Pause between two polls of the REST provider.",
    ),
    setting(
        "source.max_requests_per_s",
        "20",
        "a number above 0",
        "Rate limit on requests to the REST provider.",
    ),
    setting(
        "source.timeout_ms",
        "10000",
        "milliseconds from 1",
        "Time-out of one request.",
    ),
    setting(
        "source.file",
        "",
        "a CSV file, may end in .gz",
        "File that source.kind = replay plays.",
    ),
    setting(
        "source.speed",
        "1x",
        "1x, 60x or the like, or max",
        "Speed of the replay against the file's own time.",
    ),
    list(
        "ingest.symbols",
        "",
        "a list of symbols",
        "Symbols that are taken, and asked of the provider; empty takes every one.",
    ),
    setting(
        "ingest.max_ahead_ms",
        "5000",
        "milliseconds from 0",
        "How far ahead of the clock a timestamp may lie.",
    ),
    setting(
        "simulate.seed",
        "42",
        "a whole number",
        "Seed of the simulated exchange.",
    ),
    setting(
        "simulate.rate",
        "60",
        "a number from 1 to 100000",
        "Trades per second of the simulated exchange.",
    ),
    setting(
        "simulate.history_hours",
        "30",
        "hours, 0 to 720",
        "History that the simulated exchange offers at its first start.",
    ),
    setting(
        "live.heartbeat_ms",
        "5000",
        "milliseconds from 100",
        "A WebSocket reader hears something at least this often.",
    ),
    setting(
        "live.queue_messages",
        "1024",
        "a number from 16",
        "Messages that wait for one reader before it gets the latest state only.",
    ),
    setting(
        "live.queue_bytes",
        "4194304",
        "bytes from 65536",
        "The same in bytes, of answers on /forecast too: a reader that leaves more answers waiting is cut off.",
    ),
    setting(
        "live.cut_off_ms",
        "15000",
        "milliseconds from 100",
        "A reader that stays behind this long is cut off.",
    ),
    setting(
        "log.level",
        "info",
        "a tracing filter such as info or tickcast=debug,warn",
        "What is logged.",
    ),
    setting(
        "log.format",
        "text",
        "text or json",
        "How it is logged, to standard error.",
    ),
    setting(
        "log.access",
        "0",
        "a number from 0 to 1",
        "Share of the requests that are logged, with method, route, status, time and trace id; those that fail by a fault of the server always are.",
    ),
];

/// The setting of a key.
pub fn find(key: &str) -> Option<&'static Setting> {
    all().find(|s| s.key == key)
}

/// The name of a key in the environment.
pub fn env_name(key: &str) -> String {
    format!("TICKCAST_{}", key.replace('.', "_").to_ascii_uppercase())
}

/// The known key that is nearest to `key`, when it is near enough to be a slip.
pub fn nearest(key: &str) -> Option<&'static str> {
    all()
        .map(|s| (edit_distance(key, s.key), s.key))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, key)| key)
}

/// Levenshtein distance in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
