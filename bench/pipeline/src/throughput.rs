//! Kafka → store → fan-out: `tickcast serve` over a full topic, with a WebSocket reader of every symbol.
//!
//! With MongoDB's protocol: beside what the bare driver writes of the same documents in batches of
//! the same size into a collection with the same indexes, with nothing else running.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bench_live::{Goal, figure, process::Server};
use mongodb::{
    Client, IndexModel,
    bson::{Document, doc},
    options::{Acknowledgment, WriteConcern},
};

use crate::{
    Services, reader,
    ticks::{SYMBOLS, beginning, fill, fill_from, fresh, make_topic, symbols, tick},
};

/// Ticks of the longest measurement.
const TO_MEASURE: u64 = 3_000_000;
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
    extra: &[&str],
) -> Result<Server> {
    let settings = over(services, topic, mongodb);
    let mut arguments: Vec<&str> = settings.iter().map(String::as_str).collect();
    if role == "consume" {
        arguments.extend(["--set", "health.port=0"]);
    } else {
        arguments.extend(["--port", "0"]);
    }
    arguments.extend(extra);
    Server::start_as(role, &arguments).await
}

/// What went through from a full topic.
pub struct Through {
    /// Ticks a second into the store, from the moment that the process was let go.
    pub stored: f64,
    /// Ticks a second that the reader was sent one by one, until all were in the store and the reader
    /// had heard of all, those left out for its slowness included.
    pub delivered: f64,
}

/// Lets `tickcast serve` store `total` ticks while a reader of every symbol watches. The process is
/// held (SIGSTOP) while the topic is filled: so the producer takes nothing of the processor
/// meanwhile, and the reader is there from the first tick on.
pub async fn through(
    services: &Services,
    total: u64,
    per_message: u64,
    mongodb: Option<&str>,
    extra: &[&str],
) -> Result<Through> {
    let topic = fresh("throughput")?;
    make_topic(services, &topic).await?;
    let server = start("serve", services, &topic, mongodb, extra).await?;
    let socket = reader::subscribe(&server.url, &symbols()?).await?;
    let (seen, reader) = reader::count(socket);
    warm_up(services, &topic, &server, &seen).await?;
    server.signal("STOP").await?;
    let before = seen.get();
    fill(services, &topic, total, per_message).await?;
    server.signal("CONT").await?;
    let began = Instant::now();
    let heard = || seen.get().all() - before.all();
    let (mut stored, mut rate) = (0.0, f64::NAN);
    while stored < (total + SYMBOLS) as f64 || heard() < total {
        ensure!(
            began.elapsed() < Duration::from_secs(300),
            "only {stored} of {total} ticks were stored, the reader heard of {}",
            heard()
        );
        // The server counts dead letters in the store for its metrics: it is asked seldom, and only
        // when it may be done.
        let wait = if heard() < total { 50 } else { 200 };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        if heard() >= total && stored < (total + SYMBOLS) as f64 {
            stored = server.counter("tickcast_ticks_stored_total").await?;
            rate = total as f64 / began.elapsed().as_secs_f64();
        }
    }
    let delivered = seen.get().delivered - before.delivered;
    let took = began.elapsed().as_secs_f64();
    reader.abort();
    println!(
        "  (of {total} ticks the reader was sent {delivered}, {} were left out for its slowness; processor time of the server {:.1} s)",
        heard() - delivered,
        server.cpu_s().await?
    );
    server.stop().await?;
    Ok(Through {
        stored: rate,
        delivered: delivered as f64 / took,
    })
}

/// One tick of each symbol, so that the group has its partitions and everybody follows.
async fn warm_up(
    services: &Services,
    topic: &str,
    server: &Server,
    seen: &reader::Seen,
) -> Result<()> {
    let began = Instant::now();
    // Older than all that follow: no tick is late.
    let first_us = beginning(10 * TO_MEASURE)?;
    fill_from(services, topic, first_us, SYMBOLS, 1).await?;
    loop {
        let stored = server.counter("tickcast_ticks_stored_total").await?;
        if stored >= SYMBOLS as f64 && seen.get().all() >= SYMBOLS {
            return Ok(());
        }
        ensure!(
            began.elapsed() < Duration::from_secs(60),
            "the first {SYMBOLS} ticks: {stored} stored, {} heard of",
            seen.get().all()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Measures and prints, with SQLite as the store.
pub async fn sqlite(services: &Services) -> Result<()> {
    let full = ["--set", "store.full_sync=true"];
    for (total, per_message, extra, what) in [
        (TO_MEASURE, 100, &[][..], "100 ticks a message"),
        (1_000_000, 1, &[][..], "1 tick a message"),
        (1_000_000, 1, &full[..], "1 tick a message, full_sync"),
    ] {
        let rate = through(services, total, per_message, None, extra).await?;
        let what = format!("kafka ({what}) to sqlite");
        figure(&what, rate.stored, "ticks/s", Goal::AtLeast(100_000.0));
        let what = format!("{what}, one by one to a reader");
        figure(&what, rate.delivered, "ticks/s", Goal::None);
    }
    Ok(())
}

/// Measures and prints, with the servers of MongoDB's protocol as the store.
pub async fn mongodb(services: &Services) -> Result<()> {
    let mut servers = vec![("secantusdb", services.mongodb.as_str())];
    servers.extend(services.ferretdb.as_deref().map(|uri| ("ferretdb", uri)));
    for (name, uri) in servers {
        let without = bare_driver(uri, false).await?;
        // Before and after: the machine is not the same from one minute to the next.
        let first = bare_driver(uri, true).await?;
        let rate = through(services, TO_MONGODB, 100, Some(uri), &[]).await?;
        let bare = f64::midpoint(first, bare_driver(uri, true).await?);
        figure(
            &format!("{name}, bare driver, batches of {BATCH}, no index"),
            without,
            "docs/s",
            Goal::None,
        );
        figure(
            &format!("{name}, bare driver, with the same indexes"),
            bare,
            "docs/s",
            Goal::None,
        );
        figure(
            &format!("kafka to {name}"),
            rate.stored,
            "ticks/s",
            Goal::None,
        );
        figure(
            &format!("kafka to {name}, one by one to a reader"),
            rate.delivered,
            "ticks/s",
            Goal::None,
        );
        figure(
            &format!("kafka to {name} / bare driver with the same indexes"),
            100.0 * rate.stored / bare,
            "%",
            Goal::AtLeast(80.0),
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
                        "writer": 1_i64,
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
