//! The bus and the store that are configured, opened and closed.

use std::sync::Arc;

use bus::{EventBus, MemoryBus, MemoryBusOptions, TopicLog};
use pipeline::{DeadLetterOutlet, Role};
use store::{
    CsvSink, CsvSinkOptions, DatabasePorts, DeadLetterQuota, SqliteOptions, SqliteStore, StorePorts,
};

use crate::{
    config::{BusConfig, BusKind, Config, StoreKind},
    error::{CommandError, Result},
};

/// Whether a role can run over what is configured.
///
/// # Errors
/// What has to be set.
pub fn check(role: Role, config: &Config) -> Result<()> {
    let reads = matches!(role, Role::Serve | Role::Web);
    if reads && matches!(config.store.kind, StoreKind::Csv(_)) {
        return Err(CommandError::input(format!(
            "tickcast {} reads what is stored, and store.kind = csv is for writing only: set store.kind = sqlite or mongodb, or run ingest and consume",
            role.as_str(),
        )));
    }
    if role == Role::Serve {
        return Ok(());
    }
    let mut set = Vec::new();
    if config.bus.kind == BusKind::Memory {
        set.push("bus.kind = kafka (with kafka.brokers)");
    }
    if config.store.kind == StoreKind::Sqlite {
        set.push("store.kind = mongodb (with mongodb.uri), or csv");
    }
    if set.is_empty() {
        return Ok(());
    }
    Err(CommandError::input(format!(
        "tickcast {} shares its work with other processes: set {}, or run tickcast serve, which does all of it in one",
        role.as_str(),
        set.join(" and "),
    )))
}

/// A store, open.
pub(super) struct OpenStore {
    /// As everybody sees it.
    pub ports: StorePorts,
    embedded: Option<SqliteStore>,
}

impl OpenStore {
    pub(super) async fn open(config: &Config) -> Result<Self> {
        match &config.store.kind {
            StoreKind::Sqlite => {
                let mut options = SqliteOptions::new(&config.store.data_dir);
                options.full_sync = config.store.full_sync;
                options.dead_letter_quota = config.store.dead_letter_quota;
                let store = SqliteStore::open(options).await?;
                Ok(Self {
                    ports: StorePorts::of_database(Arc::new(store.clone())),
                    embedded: Some(store),
                })
            }
            StoreKind::Mongo(mongo) => Ok(Self {
                ports: open_mongo(mongo, config.store.dead_letter_quota).await?,
                embedded: None,
            }),
            StoreKind::Csv(dir) => {
                let options = CsvSinkOptions {
                    dir: dir.clone(),
                    full_sync: config.store.full_sync,
                    dead_letter_quota: config.store.dead_letter_quota,
                };
                Ok(Self {
                    ports: StorePorts::of_sink(Arc::new(CsvSink::open(options).await?)),
                    embedded: None,
                })
            }
        }
    }

    /// What is needed to read.
    ///
    /// # Errors
    /// A store that is for writing only.
    pub(super) fn database(&self) -> Result<&DatabasePorts> {
        self.ports.database.as_ref().ok_or_else(|| {
            CommandError::input(
                "a store of CSV files is for writing only: import its files into another store (tickcast import)",
            )
        })
    }

    pub(super) async fn close(self) -> Result<()> {
        match self.embedded {
            Some(store) => Ok(store.close().await?),
            None => Ok(()),
        }
    }
}

#[cfg(feature = "mongodb")]
async fn open_mongo(
    config: &crate::config::MongoConfig,
    dead_letter_quota: DeadLetterQuota,
) -> Result<StorePorts> {
    let mut options = store::mongo::MongoOptions::new(&config.uri);
    options.database.clone_from(&config.database);
    options.collection.clone_from(&config.collection);
    options.timeout = config.timeout;
    options.dead_letter_quota = dead_letter_quota;
    let store = store::mongo::MongoStore::connect(options).await?;
    Ok(StorePorts::of_database(Arc::new(store)))
}

#[cfg(not(feature = "mongodb"))]
async fn open_mongo(_: &crate::config::MongoConfig, _: DeadLetterQuota) -> Result<StorePorts> {
    Err(CommandError::input(
        "this tickcast was built without MongoDB: build it with the feature mongodb, or set store.kind = sqlite",
    ))
}

/// The bus and the store.
pub(super) struct Backbone {
    pub bus: Arc<dyn EventBus>,
    /// The bus again, where it keeps its records.
    pub log: Option<Arc<dyn TopicLog>>,
    pub dead_letters: Option<Arc<dyn DeadLetterOutlet>>,
    pub store: OpenStore,
    shared: bool,
    #[cfg(feature = "kafka")]
    kafka: Option<bus::kafka::KafkaBus>,
}

impl Backbone {
    pub(super) async fn open(config: &Config) -> Result<Self> {
        let store = OpenStore::open(config).await?;
        let shared =
            matches!(config.store.kind, StoreKind::Mongo(_)) && config.bus.kind != BusKind::Memory;
        match &config.bus.kind {
            BusKind::Memory => Ok(Self {
                bus: Arc::new(MemoryBus::new(MemoryBusOptions {
                    capacity_rows: config.bus.capacity_rows,
                    ..MemoryBusOptions::default()
                })),
                log: None,
                dead_letters: None,
                store,
                shared,
                #[cfg(feature = "kafka")]
                kafka: None,
            }),
            BusKind::Kafka(kafka) => Self::over_kafka(&config.bus, kafka, store, shared).await,
        }
    }

    /// Whether other processes write to the store as well.
    pub(super) const fn is_shared(&self) -> bool {
        self.shared
    }

    #[cfg(not(feature = "kafka"))]
    async fn over_kafka(
        _: &BusConfig,
        _: &crate::config::KafkaConfig,
        _: OpenStore,
        _: bool,
    ) -> Result<Self> {
        Err(CommandError::input(
            "this tickcast was built without Kafka: build it with the feature kafka, or set bus.kind = memory",
        ))
    }

    #[cfg(feature = "kafka")]
    async fn over_kafka(
        config: &BusConfig,
        kafka: &crate::config::KafkaConfig,
        store: OpenStore,
        shared: bool,
    ) -> Result<Self> {
        use bus::kafka::{Compression, KafkaBus, KafkaOptions};
        let mut options = KafkaOptions::new(&kafka.brokers);
        options.partitions = kafka.partitions;
        options.replication = kafka.replication;
        options.compression = match kafka.compression.as_str() {
            "none" => Compression::None,
            "zstd" => Compression::Zstd,
            "gzip" => Compression::Gzip,
            "snappy" => Compression::Snappy,
            _ => Compression::Lz4,
        };
        options.linger = kafka.linger;
        options.max_message_bytes = kafka.max_message_bytes;
        options.timeout = kafka.timeout;
        options.watched_groups = vec![config.group.clone()];
        options.extra.clone_from(&kafka.extra);
        let bus = KafkaBus::connect(options).await?;
        Ok(Self {
            log: Some(Arc::new(bus.clone())),
            dead_letters: Some(Arc::new(DeadLetters(bus.dead_letters(&config.topic)))),
            bus: Arc::new(bus.clone()),
            store,
            shared,
            kafka: Some(bus),
        })
    }

    /// Leaves the consumer groups, so that others take over at once, and closes the store.
    pub(super) async fn close(self) -> Result<()> {
        #[cfg(feature = "kafka")]
        if let Some(kafka) = &self.kafka {
            kafka.left(std::time::Duration::from_secs(3)).await;
        }
        self.store.close().await
    }
}

/// `<topic>.dlq`.
#[cfg(feature = "kafka")]
struct DeadLetters(bus::kafka::DeadLetterTopic);

#[cfg(feature = "kafka")]
#[async_trait::async_trait]
impl DeadLetterOutlet for DeadLetters {
    async fn publish(
        &self,
        rejects: &[(Option<bus::Position>, market::Reject)],
    ) -> bus::Result<()> {
        let rejects: Vec<_> = rejects.iter().map(|(at, reject)| (*at, reject)).collect();
        self.0.publish(&rejects).await
    }
}
