//! Tickcast's producer beside librdkafka's own rate: the same payloads, headers and settings.
//!
//! Ours makes the JSON and the headers as it goes; librdkafka gets both made. One tick a message is
//! the dearest form; `tickcast ingest` writes the ticks of a symbol in a batch as one message.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use bench_live::{Goal, figure};
use bus::{
    EventBus as _, Payload, Record,
    kafka::{KafkaBus, KafkaOptions},
};
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};

use crate::{
    Services,
    ticks::{beginning, fresh, make_topic, settings, symbols, tick},
};

const MESSAGES: u64 = 600_000;
const ROUNDS: usize = 3;
/// Records of one publish, and publishes on their way.
const RECORDS: usize = 10_000;
const AT_ONCE: usize = 4;

/// Measures and prints: the rounds alternate, the best of each side counts.
pub async fn measure(services: &Services) -> Result<()> {
    let (mut bare, mut ours) = (0.0_f64, 0.0_f64);
    for _ in 0..ROUNDS {
        bare = bare.max(librdkafka(services).await?);
        ours = ours.max(tickcast(services).await?);
    }
    figure("librdkafka, one tick a message", bare, "msg/s", Goal::None);
    figure(
        "tickcast's producer, the same messages",
        ours,
        "msg/s",
        Goal::None,
    );
    figure(
        "tickcast's producer / librdkafka",
        100.0 * ours / bare,
        "%",
        Goal::AtLeast(70.0),
    );
    Ok(())
}

async fn librdkafka(services: &Services) -> Result<f64> {
    let topic = fresh("producer")?;
    make_topic(services, &topic).await?;
    let producer: ThreadedProducer<DefaultProducerContext> =
        settings(&services.brokers, 5).create()?;
    let symbols = symbols()?;
    let first_us = beginning(MESSAGES)?;
    let payloads: Vec<(String, Vec<u8>)> = (0..MESSAGES)
        .map(|n| {
            let tick = tick(&symbols, first_us, n);
            Ok((tick.symbol.to_string(), serde_json::to_vec(&tick)?))
        })
        .collect::<Result<_>>()?;
    let header = |key, value| Header {
        key,
        value: Some(value),
    };
    let headers = OwnedHeaders::new_with_capacity(4)
        .insert(header("schema-version", "1"))
        .insert(header("content", "ticks"))
        .insert(header("source", "bench"))
        .insert(header("clock", "0123456789abcdef 1234567890123"));
    tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        for (key, payload) in &payloads {
            let mut record = BaseRecord::to(&topic)
                .key(key)
                .payload(payload)
                .headers(headers.clone());
            loop {
                match producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                        record = back;
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    Err((error, _)) => return Err(error).context("producing"),
                }
            }
        }
        producer.flush(Duration::from_secs(60))?;
        Ok(MESSAGES as f64 / began.elapsed().as_secs_f64())
    })
    .await?
}

async fn tickcast(services: &Services) -> Result<f64> {
    let topic = fresh("producer")?;
    make_topic(services, &topic).await?;
    let bus = KafkaBus::connect(KafkaOptions::new(&services.brokers)).await?;
    let symbols = symbols()?;
    let first_us = beginning(MESSAGES)?;
    let source: Arc<str> = "bench".into();
    let mut batches = Vec::new();
    for first in (0..MESSAGES).step_by(RECORDS) {
        let batch: Vec<Record> = (first..MESSAGES.min(first + RECORDS as u64))
            .map(|n| {
                let tick = tick(&symbols, first_us, n);
                Record {
                    key: tick.symbol.to_string(),
                    source: Arc::clone(&source),
                    source_offset: None,
                    received: Instant::now(),
                    payload: Payload::Ticks([tick].into()),
                }
            })
            .collect();
        batches.push(batch);
    }
    let began = Instant::now();
    let mut under_way = tokio::task::JoinSet::new();
    for batch in batches {
        while under_way.len() >= AT_ONCE {
            under_way
                .join_next()
                .await
                .context("none is under way")???;
        }
        let (bus, topic) = (bus.clone(), topic.clone());
        under_way.spawn(async move { bus.publish(&topic, batch).await });
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    Ok(MESSAGES as f64 / began.elapsed().as_secs_f64())
}
