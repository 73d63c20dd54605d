//! What the stages are set up with. Every default works for one process on two cores.

use std::{collections::BTreeSet, time::Duration};

use market::{Symbol, TickRules};
use serde::{Deserialize, Serialize};

use crate::{clock::MarketTime, retention::RetentionConfig};

/// The whole pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineConfig {
    /// The bus topic of prices.
    pub topic: String,
    /// The consumer group that stores them.
    pub group: String,
    /// The symbols that are taken; empty takes every one.
    pub symbols: BTreeSet<Symbol>,
    /// How far ahead of the wall clock a timestamp may lie.
    pub max_ahead_ms: u64,
    /// What closes bars.
    pub market_time: MarketTime,
    /// How long after its end a bar waits for late trades before it is closed.
    pub lateness_ms: u64,
    /// How long the wall clock alone waits after a bar's end before it closes it.
    pub wall_grace_ms: u64,
    /// From source to bus.
    pub produce: ProduceConfig,
    /// From bus to store.
    pub consume: ConsumeConfig,
    /// From store to `/live`.
    pub live: LiveConfig,
    /// What is removed by age.
    pub retention: RetentionConfig,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            topic: "stock-data".into(),
            group: "tickcast-store".into(),
            symbols: BTreeSet::new(),
            max_ahead_ms: 5_000,
            market_time: MarketTime::Live,
            lateness_ms: 0,
            wall_grace_ms: 2_000,
            produce: ProduceConfig::default(),
            consume: ConsumeConfig::default(),
            live: LiveConfig::default(),
            retention: RetentionConfig::default(),
        }
    }
}

impl PipelineConfig {
    /// The rules that every row must meet.
    pub fn rules(&self) -> TickRules {
        TickRules {
            symbols: self.symbols.clone(),
            max_ahead_us: i64::try_from(self.max_ahead_ms.saturating_mul(1_000))
                .unwrap_or(i64::MAX),
        }
    }

    /// Every fault, as (key, what was expected). Empty when the configuration can be used.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut at_least_one = |key: &'static str, value: usize| {
            if value == 0 {
                faults.push((key, "expected at least 1".to_owned()));
            }
        };
        at_least_one("produce.queue_batches", self.produce.queue_batches);
        at_least_one("produce.publish_rows", self.produce.publish_rows);
        at_least_one("consume.batch_rows", self.consume.batch_rows);
        at_least_one("live.queue_messages", self.live.queue_messages);
        at_least_one("live.queue_bytes", self.live.queue_bytes);
        at_least_one("live.max_symbols", self.live.max_symbols);
        at_least_one("live.resume_ticks", self.live.resume_ticks);
        for (key, text) in [("topic", &self.topic), ("group", &self.group)] {
            if text.is_empty() {
                faults.push((key, "expected a name".to_owned()));
            }
        }
        faults
    }
}

/// From source to bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProduceConfig {
    /// Batches that wait between a source and the bus at most; the source waits beyond.
    pub queue_batches: usize,
    /// Rows per record at most.
    pub publish_rows: usize,
    /// The first wait before something that failed is tried again.
    pub backoff_min_ms: u64,
    /// The longest such wait.
    pub backoff_max_ms: u64,
    /// What the spread of the waits follows from; chance where it is `None`.
    #[serde(skip)]
    pub jitter_seed: Option<u64>,
}

impl Default for ProduceConfig {
    fn default() -> Self {
        Self {
            queue_batches: 8,
            publish_rows: 5_000,
            backoff_min_ms: 250,
            backoff_max_ms: 30_000,
            jitter_seed: None,
        }
    }
}

/// From bus to store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsumeConfig {
    /// Rows that are stored in one go at most.
    pub batch_rows: usize,
    /// How long a poll waits for the first row.
    pub poll_timeout_ms: u64,
    /// The first wait before a write that failed is tried again.
    pub backoff_min_ms: u64,
    /// The longest such wait.
    pub backoff_max_ms: u64,
    /// What the spread of the waits follows from; chance where it is `None`.
    #[serde(skip)]
    pub jitter_seed: Option<u64>,
}

impl Default for ConsumeConfig {
    fn default() -> Self {
        Self {
            batch_rows: 10_000,
            poll_timeout_ms: 250,
            backoff_min_ms: 100,
            backoff_max_ms: 5_000,
            jitter_seed: None,
        }
    }
}

/// From store to `/live`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveConfig {
    /// The server's version, for the greeting.
    pub version: String,
    /// Whether the prices are made up, for the greeting.
    pub simulated: bool,
    /// A message comes at least this often.
    pub heartbeat_ms: u64,
    /// Ticks of a symbol that come within this time share a message.
    pub coalesce_ms: u64,
    /// A bar that goes on is sent at most this often; one that closes, at once.
    pub bar_every_ms: u64,
    /// Messages that wait for a reader at most; beyond, it gets the latest state per symbol.
    pub queue_messages: usize,
    /// Bytes that wait for a reader at most, of `/forecast` too.
    pub queue_bytes: usize,
    /// A reader that stays behind longer than this is cut off.
    pub max_behind_ms: u64,
    /// Symbols of one session at most.
    pub max_symbols: usize,
    /// Ticks of a symbol that a resume sends one by one at most; beyond, a new snapshot.
    pub resume_ticks: usize,
    /// Ticks of all symbols together that are kept in memory for resumes, about.
    pub ring_ticks: usize,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            simulated: false,
            heartbeat_ms: 5_000,
            coalesce_ms: 4,
            bar_every_ms: 100,
            queue_messages: 256,
            queue_bytes: 4 * 1024 * 1024,
            max_behind_ms: 30_000,
            max_symbols: 1_000,
            resume_ticks: 20_000,
            ring_ticks: 200_000,
        }
    }
}

impl LiveConfig {
    /// The same as a duration, never 0.
    pub const fn heartbeat(&self) -> Duration {
        Duration::from_millis(if self.heartbeat_ms == 0 {
            1
        } else {
            self.heartbeat_ms
        })
    }

    pub(crate) const fn coalesce(&self) -> Duration {
        Duration::from_millis(self.coalesce_ms)
    }

    pub(crate) const fn bar_every(&self) -> Duration {
        Duration::from_millis(self.bar_every_ms)
    }

    pub(crate) const fn max_behind(&self) -> Duration {
        Duration::from_millis(self.max_behind_ms)
    }
}
