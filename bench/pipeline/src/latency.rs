//! From produce to WebSocket at 100 ticks a second, on both sides.
//!
//! One process produces (librdkafka, without lingering) and reads, on its monotonic clock. Both sides
//! store in the same server of MongoDB's protocol; Tickcast with SQLite too. Beside them librdkafka's
//! own consumer, in the same process and without a socket behind it: below that nobody gets.

use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use bench_live::{Goal, figure};
use futures::{FutureExt as _, StreamExt as _};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    producer::BaseProducer,
};

use crate::{
    Services, python,
    reader::{self, Socket, quantile},
    throughput::start,
    ticks::{fresh, make_topic, send, settings, symbol, symbols, tick},
};

const TICKS_PER_S: u64 = 100;
/// The slowest hundredth of a shorter run is another one each time.
const SECONDS: u64 = 60;
/// Ticks that are sent before any is counted.
const WARM_UP: u64 = 200;

/// Measures and prints.
pub async fn measure(services: &Services) -> Result<()> {
    bare_consumer(services).await?;
    let mut documented = f64::NAN;
    for kind in ["documented", "kinder"] {
        let topic = fresh("latency")?;
        make_topic(services, &topic).await?;
        let port = python::free_port()?;
        let port_text = port.to_string();
        let _server = python::original(&["server", &port_text]).await?;
        let (socket, _) =
            tokio_tungstenite::connect_async(format!("ws://127.0.0.1:{port}")).await?;
        let _consumer =
            python::original(&["consumer", kind, &port_text, &topic, &fresh(kind)?]).await?;
        let p99 = one(
            services,
            &topic,
            socket,
            &format!("original, {kind}"),
            Goal::None,
        )
        .await?;
        if kind == "documented" {
            documented = p99;
        }
    }
    for (store, uri) in [
        ("sqlite", None),
        ("mongodb", Some(services.mongodb.as_str())),
    ] {
        let topic = fresh("latency")?;
        let server = start("serve", services, &topic, uri, &[]).await?;
        let socket = reader::subscribe(&server.url, &symbols()?).await?;
        let goal = Goal::AtMost(documented / 10.0);
        one(
            services,
            &topic,
            socket,
            &format!("tickcast, {store}"),
            goal,
        )
        .await?;
        server.stop().await?;
    }
    Ok(())
}

/// From librdkafka's producer to its consumer, printed.
async fn bare_consumer(services: &Services) -> Result<()> {
    let topic = fresh("latency")?;
    make_topic(services, &topic).await?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &services.brokers)
        .set("group.id", &topic)
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "50")
        .create()?;
    let mut all = TopicPartitionList::new();
    for partition in consumer
        .fetch_metadata(Some(&topic), Duration::from_secs(10))?
        .topics()
        .iter()
        .flat_map(|t| t.partitions())
    {
        all.add_partition_offset(&topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    let total = WARM_UP + TICKS_PER_S * SECONDS;
    let arrivals = std::thread::spawn(move || -> Result<Vec<Instant>> {
        let mut arrivals = Vec::new();
        while (arrivals.len() as u64) < total {
            let message = consumer.poll(Duration::from_secs(10));
            let message = message.ok_or_else(|| anyhow::anyhow!("nothing arrives"))??;
            let now = Instant::now();
            ensure!(message.payload().is_some(), "a message without a payload");
            arrivals.push(now);
        }
        Ok(arrivals)
    });
    // One symbol, so one partition: they arrive in order.
    let producer: BaseProducer = settings(&services.brokers, 0).create()?;
    let names = [symbol(0)?];
    let payload = serde_json::to_vec(&tick(&names, 1_700_000_000_000_000, 0))?;
    let mut sent = Vec::new();
    let began = tokio::time::Instant::now();
    for n in 0..total {
        tokio::time::sleep_until(began + Duration::from_micros(n * 1_000_000 / TICKS_PER_S)).await;
        sent.push(Instant::now());
        send(&producer, &topic, names[0].as_str(), &payload)?;
        producer.poll(Duration::ZERO);
    }
    let arrivals = tokio::task::spawn_blocking(move || arrivals.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the consumer's thread panicked"))??;
    let latencies = sent.iter().zip(arrivals).skip(WARM_UP as usize);
    let mut latencies: Vec<f64> = latencies
        .map(|(left, arrived)| (arrived - *left).as_secs_f64() * 1e3)
        .collect();
    latencies.sort_by(f64::total_cmp);
    for (name, q) in [("p50", 0.5), ("p99", 0.99)] {
        let what = format!("librdkafka's consumer alone: produce to reader at 100/s, {name}");
        figure(&what, quantile(&latencies, q), "ms", Goal::None);
    }
    Ok(())
}

/// The p99 of one side, printed.
async fn one(
    services: &Services,
    topic: &str,
    socket: Socket,
    who: &str,
    goal: Goal,
) -> Result<f64> {
    let (mut latencies, _) = paced(
        services,
        topic,
        vec![socket],
        TICKS_PER_S,
        WARM_UP,
        TICKS_PER_S * SECONDS,
    )
    .await?;
    ensure!(!latencies.is_empty(), "{who}: nothing arrived");
    latencies.sort_by(f64::total_cmp);
    let missed = (TICKS_PER_S * SECONDS) as usize - latencies.len();
    figure(
        &format!("{who}: produce to reader at 100/s, p50"),
        quantile(&latencies, 0.5),
        "ms",
        Goal::None,
    );
    figure(
        &format!("{who}: produce to reader at 100/s, p99"),
        quantile(&latencies, 0.99),
        "ms",
        goal,
    );
    if missed > 0 {
        println!("  ({missed} ticks did not arrive)");
    }
    Ok(quantile(&latencies, 0.99))
}

/// Sends `warm_up` ticks and then `total` more, so many a second, to the readers of `sockets`, and
/// gives the latencies of the latter in milliseconds and the number of readers that got all.
pub async fn paced(
    services: &Services,
    topic: &str,
    mut sockets: Vec<Socket>,
    per_s: u64,
    warm_up: u64,
    total: u64,
) -> Result<(Vec<f64>, usize)> {
    let producer: BaseProducer = settings(&services.brokers, 0).create()?;
    let sent: Arc<RwLock<Vec<Instant>>> = Arc::default();
    let names = [symbol(0)?];
    let now_us = || -> Result<i64> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        Ok(i64::try_from(now.as_micros())?)
    };
    let leave = |seq: u64| -> Result<()> {
        let mut tick = tick(&names, now_us()?, 0);
        tick.seq = seq;
        let payload = serde_json::to_vec(&tick)?;
        sent.write()
            .map_err(|_| anyhow::anyhow!("a reader failed"))?
            .push(Instant::now());
        send(&producer, topic, names[0].as_str(), &payload)?;
        producer.poll(Duration::ZERO);
        Ok(())
    };
    // The first ones until the first reader has one: the consumer has joined then.
    let mut seq = 0;
    let waited = Instant::now();
    loop {
        leave(seq)?;
        seq += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let heard = sockets[0].next().now_or_never();
        if let Some(Some(Ok(message))) = heard
            && message
                .to_text()
                .is_ok_and(|t| reader::sequences(t).next().is_some())
        {
            break;
        }
        ensure!(
            waited.elapsed() < Duration::from_secs(60),
            "nothing arrives"
        );
    }
    let first = seq + warm_up;
    let until = first + total;
    let readers: Vec<_> = sockets
        .into_iter()
        .map(|socket| tokio::spawn(reader::latencies(socket, Arc::clone(&sent), first, until)))
        .collect();
    let began = tokio::time::Instant::now();
    for n in 0..warm_up + total {
        tokio::time::sleep_until(began + Duration::from_micros(n * 1_000_000 / per_s)).await;
        leave(seq + n)?;
    }
    let mut all = Vec::new();
    let mut complete = 0;
    for reader in readers {
        // A reader that was cut off has missed what came after.
        let Ok(latencies) = reader.await? else {
            continue;
        };
        complete += usize::from(latencies.len() as u64 == total);
        all.extend(latencies);
    }
    Ok((all, complete))
}
