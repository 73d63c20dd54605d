//! What a [`super::KafkaBus`] is made with, and what that is in librdkafka's settings.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::config::ClientConfig;

/// How messages are compressed on the wire and in the broker's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Quick, about 4:1 for batches of ticks in JSON: the default.
    #[default]
    Lz4,
    /// Smaller, at more CPU.
    Zstd,
    /// For consumers that know nothing else.
    Gzip,
    /// For consumers that know nothing else.
    Snappy,
}

impl Compression {
    /// The name in librdkafka's and Kafka's settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
        }
    }
}

/// What a [`super::KafkaBus`] is made with.
///
/// `extra` goes to librdkafka as it is and wins over everything else here: that is how TLS and SASL
/// are set (`security.protocol`, `sasl.mechanisms`, `sasl.username`, `sasl.password`,
/// `ssl.ca.location` …). TLS and SASL SCRAM need a build with the feature `kafka-tls`. A setting
/// that only producers or only consumers know may be given; the other side leaves it aside.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// Host and port of one or more brokers, separated by commas.
    pub brokers: String,
    /// The name that the broker's logs and quotas know this process by.
    pub client_id: String,
    /// Partitions of a topic that is made because it is missing: the most consumers of one group
    /// that work at the same time. A topic that is there keeps its own number.
    pub partitions: u32,
    /// Copies of a topic that is made because it is missing; at most as many as there are brokers.
    pub replication: u32,
    /// Settings of a topic that is made because it is missing: `retention.ms`,
    /// `min.insync.replicas` …
    pub topic: BTreeMap<String, String>,
    /// How messages are compressed.
    pub compression: Compression,
    /// How long the producer waits for more messages before it sends a batch.
    pub linger: Duration,
    /// Rows that one message holds at most; a longer record is published as several messages.
    pub max_rows_per_message: usize,
    /// A message longer than this is given to the consumer as a reject, with its beginning.
    pub max_message_bytes: usize,
    /// Messages that the producer holds at most before publishers wait, in bytes.
    pub producer_queue_bytes: usize,
    /// Rows that a consumer reads ahead at most before it stops reading.
    pub read_ahead_rows: usize,
    /// Bytes that a consumer reads ahead at most, in librdkafka and once more decoded.
    pub read_ahead_bytes: usize,
    /// How long a broker may not answer before a publish fails, and [`super::KafkaBus::connect`].
    pub timeout: Duration,
    /// After this long without a heartbeat, a consumer's partitions go to the others of its group.
    pub session_timeout: Duration,
    /// Consumer groups of other processes that [`crate::EventBus::lag`] reports too.
    pub watched_groups: Vec<String>,
    /// librdkafka's settings as they are.
    pub extra: BTreeMap<String, String>,
}

impl KafkaOptions {
    /// The defaults, for brokers.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            client_id: "tickcast".into(),
            partitions: 12,
            replication: 1,
            topic: BTreeMap::new(),
            compression: Compression::default(),
            linger: Duration::from_millis(5),
            max_rows_per_message: 1_000,
            max_message_bytes: 4 << 20,
            producer_queue_bytes: 64 << 20,
            read_ahead_rows: 50_000,
            read_ahead_bytes: 16 << 20,
            timeout: Duration::from_secs(30),
            session_timeout: Duration::from_secs(10),
            watched_groups: Vec::new(),
            extra: BTreeMap::new(),
        }
    }

    fn common(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id)
            // A tick alone in its packet waits for nothing.
            .set("socket.nagle.disable", "true")
            // A broker that comes back is found again within a second.
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set("allow.auto.create.topics", "false");
        config
    }

    fn with_extra(&self, mut config: ClientConfig) -> ClientConfig {
        for (key, value) in &self.extra {
            config.set(key, value);
        }
        config
    }

    /// Idempotent, acknowledged by every in-sync replica, the key's murmur2 hash choosing the
    /// partition as Kafka's Java clients do.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.common();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("compression.type", self.compression.as_str())
            .set("linger.ms", self.linger.as_millis().to_string())
            .set("batch.size", "1000000")
            .set(
                "queue.buffering.max.kbytes",
                (self.producer_queue_bytes / 1024).max(1).to_string(),
            )
            .set("queue.buffering.max.messages", "500000")
            .set("message.timeout.ms", self.timeout.as_millis().to_string());
        self.with_extra(config)
    }

    fn reader(&self, group: &str) -> ClientConfig {
        let mut config = self.common();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set(
                "queued.max.messages.kbytes",
                (self.read_ahead_bytes / 1024).max(1).to_string(),
            )
            .set("fetch.wait.max.ms", "50")
            // Read ahead in small steps: at least 1,000 messages is librdkafka's default of 100,000
            // cut to what the limit in bytes allows for.
            .set("queued.min.messages", "10000");
        config
    }

    /// A member of a group: offsets are committed by hand, partitions move one by one.
    pub(super) fn member(&self, group: &str) -> ClientConfig {
        let mut config = self.reader(group);
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set(
                "session.timeout.ms",
                self.session_timeout.as_millis().to_string(),
            )
            .set("heartbeat.interval.ms", "1000");
        self.with_extra(config)
    }

    /// A reader of its own, in no group. librdkafka wants a group's name all the same; nothing is
    /// committed under it.
    pub(super) fn follower(&self) -> ClientConfig {
        self.with_extra(self.reader("tickcast-follow"))
    }

    /// One that only asks how far a group has committed.
    pub(super) fn observer(&self, group: &str) -> ClientConfig {
        let mut config = self.common();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false");
        self.with_extra(config)
    }
}

impl std::fmt::Debug for KafkaOptions {
    /// Leaves the values of `extra` out: passwords are among them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaOptions")
            .field("brokers", &self.brokers)
            .field("partitions", &self.partitions)
            .field("replication", &self.replication)
            .field("compression", &self.compression)
            .field("extra", &self.extra.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
