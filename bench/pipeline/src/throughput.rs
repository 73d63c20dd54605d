//! Kafka → store → fan-out: the topic is full before, then `tickcast serve` starts as a new group
//! and stores all of it while a WebSocket reader of every symbol watches.
//!
//! With MongoDB's protocol: beside what the bare driver writes of the same documents in batches of
//! the same size into a collection with the same indexes, with nothing else running.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use bench_live::{figure, process::Server};
use mongodb::{
    Client, IndexModel,
    bson::{Document, doc},
    options::{Acknowledgment, WriteConcern},
};

use crate::{
    Services, reader,
    ticks::{beginning, fill, fresh, symbols, tick},
};

/// Ticks that go through to MongoDB's protocol, and through the bare driver.
const TO_MONGODB: u64 = 200_000;
/// Rows of one append, at most (`consume.batch_rows`): the bare driver's batches are as large.
const BATCH: u64 = 10_000;

/// The settings of a `tickcast` over these services.
pub fn over(services: &Services, topic: &str, mongodb: Option<&str>) -> Vec<String> {
    let mut settings = vec![
        "source.kind=none".to_owned(),
        "bus.kind=kafka".to_owned(),
        format!("kafka.brokers={}", services.brokers),
        format!("bus.topic={topic}"),
        format!("bus.group={topic}"),
        "log.level=warn".to_owned(),
    ];
    if let Some(uri) = mongodb {
        settings.push("store.kind=mongodb".to_owned());
        settings.push(format!("mongodb.uri={uri}"));
        settings.push(format!("mongodb.database={topic}"));
    }
    settings
        .into_iter()
        .flat_map(|s| ["--set".to_owned(), s])
        .collect()
}

/// Starts a role of `tickcast` over these services.
pub async fn start(
    role: &str,
    services: &Services,
    topic: &str,
    mongodb: Option<&str>,
) -> Result<Server> {
    let settings = over(services, topic, mongodb);
    let mut arguments: Vec<&str> = settings.iter().map(String::as_str).collect();
    if role == "consume" {
        arguments.extend(["--set", "health.port=0"]);
    } else {
        arguments.extend(["--port", "0"]);
    }
    Server::start_as(role, &arguments).await
}

/// Ticks a second from a full topic to the store, and what a reader was told of them.
pub async fn through(
    services: &Services,
    topic: &str,
    total: u64,
    mongodb: Option<&str>,
) -> Result<f64> {
    let server = start("serve", services, topic, mongodb).await?;
    let socket = reader::subscribe(&server.url, &symbols()?).await?;
    let (seen, reader) = reader::count(socket);
    let (at, before) = loop {
        let stored = server.counter("tickcast_ticks_stored_total").await?;
        if stored > 0.0 {
            break (Instant::now(), stored);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    loop {
        let stored = server.counter("tickcast_ticks_stored_total").await?;
        if stored >= total as f64 {
            break;
        }
        ensure!(
            at.elapsed() < Duration::from_secs(300),
            "only {stored} of {total} ticks were stored"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rate = (total as f64 - before) / at.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_millis(500)).await;
    reader.abort();
    let seen = seen.load(Ordering::Relaxed);
    println!(
        "  ({before:.0} of {total} were stored when the clock was started; the reader heard of {seen}; processor time of the server {:.1} s)",
        server.cpu_s().await?
    );
    server.stop().await?;
    Ok(rate)
}

/// Measures and prints.
pub async fn measure(services: &Services) -> Result<()> {
    for (total, per_message, what) in [
        (
            3_000_000,
            100,
            "kafka (100 ticks a message) to sqlite and a reader",
        ),
        (
            1_000_000,
            1,
            "kafka (1 tick a message) to sqlite and a reader",
        ),
    ] {
        let topic = fresh("throughput")?;
        fill(services, &topic, total, per_message).await?;
        let rate = through(services, &topic, total, None).await?;
        figure(what, rate, "ticks/s", ">= 100000");
    }
    let mut servers = vec![("secantusdb", services.mongodb.as_str())];
    servers.extend(services.ferretdb.as_deref().map(|uri| ("ferretdb", uri)));
    for (name, uri) in servers {
        let bare = bare_driver(uri, true).await?;
        let without = bare_driver(uri, false).await?;
        let topic = fresh("throughput")?;
        fill(services, &topic, TO_MONGODB, 100).await?;
        let rate = through(services, &topic, TO_MONGODB, Some(uri)).await?;
        figure(
            &format!("{name}, bare driver, batches of {BATCH}, no index"),
            without,
            "docs/s",
            "",
        );
        figure(
            &format!("{name}, bare driver, with the same indexes"),
            bare,
            "docs/s",
            "",
        );
        figure(
            &format!("kafka to {name} and a reader"),
            rate,
            "ticks/s",
            "",
        );
        figure(
            &format!("kafka to {name} / bare driver with the same indexes"),
            100.0 * rate / bare,
            "%",
            ">= 80",
        );
    }
    Ok(())
}

/// Documents a second by `insertMany` alone.
pub async fn bare_driver(uri: &str, indexed: bool) -> Result<f64> {
    let client = Client::with_uri_str(uri).await?;
    let database = client.database(&fresh("bare")?);
    let ticks = database.collection::<Document>("stock_data");
    if indexed {
        for keys in [
            doc! { "symbol": 1, "ts_us": 1, "seq": 1 },
            doc! { "symbol": 1, "position": 1 },
        ] {
            ticks
                .create_index(IndexModel::builder().keys(keys).build())
                .await?;
        }
    }
    let symbols = symbols()?;
    let first_us = beginning(TO_MONGODB)?;
    let batches: Vec<Vec<Document>> = (0..TO_MONGODB)
        .step_by(BATCH as usize)
        .map(|first| {
            (first..first + BATCH)
                .map(|n| {
                    let tick = tick(&symbols, first_us, n);
                    let id = format!(
                        "{}|{:016x}|e{n:05x}",
                        tick.symbol,
                        tick.ts.as_micros() ^ i64::MIN
                    );
                    doc! {
                        "_id": id,
                        "symbol": tick.symbol.as_str(),
                        "ts_us": tick.ts.as_micros(),
                        "seq": n as i64,
                        "price": tick.price,
                        "size": tick.size,
                        "position": n as i64 + 1,
                    }
                })
                .collect()
        })
        .collect();
    let majority = WriteConcern::builder().w(Acknowledgment::Majority).build();
    let began = Instant::now();
    for batch in batches {
        ticks
            .insert_many(batch)
            .ordered(false)
            .write_concern(majority.clone())
            .await?;
    }
    let rate = TO_MONGODB as f64 / began.elapsed().as_secs_f64();
    database.drop().await?;
    Ok(rate)
}
