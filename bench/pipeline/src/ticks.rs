//! Ticks, and how they get onto a topic by librdkafka itself.
//!
//! The market is twenty symbols at 20,000 ticks a second in all: the timestamps are spread so, which
//! decides how many bars a batch touches, however fast the ticks are then written.

use std::time::Duration;

use anyhow::{Context, Result};
use bus::TopicLog as _;
use bus::kafka::{KafkaBus, KafkaOptions};
use market::{Symbol, Tick, Timestamp};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::Services;

/// How many symbols there are.
pub const SYMBOLS: u64 = 20;
const TICKS_PER_MARKET_S: u64 = 20_000;

/// The name of a symbol.
pub fn symbol(n: u64) -> Result<Symbol> {
    Ok(format!("BENCH{n}").parse()?)
}

/// A name that no run has used.
pub fn fresh(what: &str) -> Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(format!("{what}-{}", now.as_micros()))
}

/// When a series of so many ticks begins, so that it ends a little before now.
pub fn beginning(total: u64) -> Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let spread = total * 1_000_000 / TICKS_PER_MARKET_S;
    Ok(i64::try_from(now.as_micros())? - i64::try_from(spread)? - 1_000_000)
}

/// The `n`th tick of a series that began at `first_us`.
pub fn tick(symbols: &[Symbol], first_us: i64, n: u64) -> Tick {
    Tick {
        symbol: symbols[(n % symbols.len() as u64) as usize].clone(),
        ts: Timestamp::from_micros(first_us + (n * 1_000_000 / TICKS_PER_MARKET_S) as i64),
        seq: n,
        price: 100.0 + (n % 977) as f64 / 100.0,
        size: 1.0 + (n % 100) as f64,
    }
}

/// Every symbol.
pub fn symbols() -> Result<Vec<Symbol>> {
    (0..SYMBOLS).map(symbol).collect()
}

/// The settings of Tickcast's producer (`crates/bus/src/kafka/options.rs`), for librdkafka alone.
pub fn settings(brokers: &str, linger_ms: u32) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("socket.nagle.disable", "true")
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", linger_ms.to_string())
        .set("batch.size", "1000000")
        .set("queue.buffering.max.kbytes", "65536")
        .set("queue.buffering.max.messages", "500000");
    config
}

/// A topic as Tickcast makes it.
pub async fn make_topic(services: &Services, topic: &str) -> Result<()> {
    let bus = KafkaBus::connect(KafkaOptions::new(&services.brokers)).await?;
    bus.bounds(topic).await?;
    Ok(())
}

/// Sends one message, waiting for room.
pub fn send(producer: &BaseProducer, topic: &str, key: &str, payload: &[u8]) -> Result<()> {
    let mut record = BaseRecord::to(topic).key(key).payload(payload);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(error).context("producing"),
        }
    }
}

/// Puts `total` ticks on a new topic, so many of one symbol in a message; a single one as a bare
/// object, as the original pipeline's producer writes it.
pub async fn fill(services: &Services, topic: &str, total: u64, per_message: u64) -> Result<()> {
    fill_from(services, topic, beginning(total)?, total, per_message).await
}

/// As [`fill`], of ticks that begin at `first_us`.
pub async fn fill_from(
    services: &Services,
    topic: &str,
    first_us: i64,
    total: u64,
    per_message: u64,
) -> Result<()> {
    make_topic(services, topic).await?;
    let producer: BaseProducer = settings(&services.brokers, 5).create()?;
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let symbols = symbols()?;
        let stride = SYMBOLS * per_message;
        for block in (0..total).step_by(stride as usize) {
            for (n, symbol) in (0..).zip(&symbols) {
                let rows: Vec<Tick> = (0..per_message)
                    .map(|k| tick(&symbols, first_us, block + k * SYMBOLS + n))
                    .filter(|t| t.seq < total)
                    .collect();
                let payload = match rows.as_slice() {
                    [] => continue,
                    [row] => serde_json::to_vec(row)?,
                    rows => serde_json::to_vec(rows)?,
                };
                send(&producer, &topic, symbol.as_str(), &payload)?;
            }
            producer.poll(Duration::ZERO);
        }
        producer.flush(Duration::from_secs(60)).context("producing")
    })
    .await?
}
