//! The backbone's settings: which bus and which store, and how they are reached.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use store::DeadLetterQuota;

use super::{Layers, at_least, millis, path};

/// Which bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusKind {
    /// Within the process.
    Memory,
    /// Kafka.
    Kafka(Box<KafkaConfig>),
}

/// The bus.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// Which.
    pub kind: BusKind,
    /// Topic of the ticks.
    pub topic: String,
    /// Consumer group of the processes that store.
    pub group: String,
    /// Rows that the in-process bus holds before publishers wait.
    pub capacity_rows: usize,
}

/// How Kafka is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// Brokers, separated by commas.
    pub brokers: String,
    /// Partitions of a topic that is made.
    pub partitions: u32,
    /// Copies of a topic that is made.
    pub replication: u32,
    /// The name of the compression.
    pub compression: String,
    /// How long a batch waits.
    pub linger: Duration,
    /// The longest message that is taken.
    pub max_message_bytes: usize,
    /// How long brokers may be away before a publish fails.
    pub timeout: Duration,
    /// librdkafka's settings, by its names; passwords are among them.
    pub extra: BTreeMap<String, String>,
}

impl fmt::Debug for KafkaConfig {
    /// Leaves the values of `extra` out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("extra", &self.extra.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// In the data directory, for one process.
    Sqlite,
    /// On a server of MongoDB's protocol.
    Mongo(Box<MongoConfig>),
    /// Daily files in a folder, for one process that only writes.
    Csv(PathBuf),
}

/// The store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Which.
    pub kind: StoreKind,
    /// Where the embedded database lives.
    pub data_dir: PathBuf,
    /// Wait for the disk at every commit of the embedded database.
    pub full_sync: bool,
    /// How many dead letters are kept.
    pub dead_letter_quota: DeadLetterQuota,
}

/// How MongoDB is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoConfig {
    /// The connection string; a password may be in it.
    pub uri: String,
    /// The database.
    pub database: String,
    /// The collection of ticks.
    pub collection: String,
    /// How long the server may be away before a call fails.
    pub timeout: Duration,
}

impl fmt::Debug for MongoConfig {
    /// Leaves the URI out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoConfig")
            .field("database", &self.database)
            .field("collection", &self.collection)
            .finish_non_exhaustive()
    }
}

pub(super) fn read_store(l: &mut Layers) -> Option<StoreConfig> {
    let mongo = read_mongo(l);
    let kind = l.one("store.kind", |t| match t {
        "sqlite" | "mongodb" | "csv" => Ok(t.to_owned()),
        _ => Err(()),
    });
    let csv_dir = path(l, "store.csv_dir");
    let data_dir = path(l, "store.data_dir");
    let full_sync = l.one("store.full_sync", str::parse);
    let per_source = at_least(l, "store.dead_letters_per_source", 1);
    // Of which the largest row is a part.
    let bytes = at_least(l, "store.dead_letters_bytes_per_source", 131_072);
    let total = at_least(l, "store.dead_letters_total", 1);
    let kind = match kind?.as_str() {
        "mongodb" => StoreKind::Mongo(Box::new(mongo?)),
        "csv" => StoreKind::Csv(csv_dir?),
        _ => StoreKind::Sqlite,
    };
    Some(StoreConfig {
        kind,
        data_dir: data_dir?,
        full_sync: full_sync?,
        dead_letter_quota: DeadLetterQuota {
            per_source: per_source? as u64,
            bytes_per_source: bytes? as u64,
            total: total? as u64,
        },
    })
}

fn read_mongo(l: &mut Layers) -> Option<MongoConfig> {
    let uri = l.one("mongodb.uri", |t| {
        let ok = t.starts_with("mongodb://") || t.starts_with("mongodb+srv://");
        ok.then(|| t.to_owned()).ok_or(())
    });
    let database = l.one("mongodb.database", name);
    let collection = l.one("mongodb.collection", name);
    let timeout = millis(l, "mongodb.timeout_ms", 1);
    Some(MongoConfig {
        uri: uri?,
        database: database?,
        collection: collection?,
        timeout: timeout?,
    })
}

/// A name of a database or collection: what every server takes.
fn name(text: &str) -> Result<String, ()> {
    let ok = (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    ok.then(|| text.to_owned()).ok_or(())
}

pub(super) fn read_bus(l: &mut Layers) -> Option<BusConfig> {
    let kafka = read_kafka(l);
    let kind = l.one("bus.kind", |t| match t {
        "memory" => Ok(false),
        "kafka" => Ok(true),
        _ => Err(()),
    });
    let topic = l.one("bus.topic", |t| {
        // Kafka's own rule for topic names, with room for the dead letters' suffix.
        let ok = (1..=245).contains(&t.len())
            && t.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        ok.then(|| t.to_owned()).ok_or(())
    });
    let group = l.one("bus.group", |t| {
        (!t.is_empty()).then(|| t.to_owned()).ok_or(())
    });
    let capacity_rows = at_least(l, "bus.capacity_rows", 1_000);
    let kind = if kind? {
        BusKind::Kafka(Box::new(kafka?))
    } else {
        BusKind::Memory
    };
    Some(BusConfig {
        kind,
        topic: topic?,
        group: group?,
        capacity_rows: capacity_rows?,
    })
}

/// Settings of their own that stand for one of librdkafka's, where they are not empty.
const PASSED: [(&str, &str); 8] = [
    ("kafka.security_protocol", "security.protocol"),
    ("kafka.sasl_mechanism", "sasl.mechanisms"),
    ("kafka.sasl_username", "sasl.username"),
    ("kafka.sasl_password", "sasl.password"),
    ("kafka.ssl_ca_location", "ssl.ca.location"),
    ("kafka.ssl_certificate_location", "ssl.certificate.location"),
    ("kafka.ssl_key_location", "ssl.key.location"),
    ("kafka.ssl_key_password", "ssl.key.password"),
];

fn read_kafka(l: &mut Layers) -> Option<KafkaConfig> {
    let brokers = l.one("kafka.brokers", brokers);
    let count = |t: &str| t.parse::<u32>().ok().filter(|n| *n >= 1).ok_or(());
    let partitions = l.one("kafka.partitions", count);
    let replication = l.one("kafka.replication", count);
    let compression = l.one("kafka.compression", |t| {
        ["none", "lz4", "zstd", "gzip", "snappy"]
            .contains(&t)
            .then(|| t.to_owned())
            .ok_or(())
    });
    let linger = millis(l, "kafka.linger_ms", 0);
    let max_message_bytes = at_least(l, "kafka.max_message_bytes", 1_024);
    let timeout = millis(l, "kafka.timeout_ms", 1_000);
    let mut extra = BTreeMap::new();
    for (key, name) in PASSED {
        let value = l.one(key, |t| Ok::<_, ()>(t.to_owned()));
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            extra.insert(name.to_owned(), value);
        }
    }
    extra.extend(l.many("kafka.extra", |t| {
        let (name, value) = t.split_once('=').ok_or(())?;
        let name = name.trim();
        (!name.is_empty())
            .then(|| (name.to_owned(), value.trim().to_owned()))
            .ok_or(())
    }));
    Some(KafkaConfig {
        brokers: brokers?,
        partitions: partitions?,
        replication: replication?,
        compression: compression?,
        linger: linger?,
        max_message_bytes: max_message_bytes?,
        timeout: timeout?,
        extra,
    })
}

fn brokers(text: &str) -> Result<String, ()> {
    let ok = text.split(',').all(|broker| {
        broker
            .trim()
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    });
    ok.then(|| text.to_owned()).ok_or(())
}
