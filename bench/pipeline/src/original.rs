//! Tickcast beside the original Python pipeline: the same topic of one-tick messages, from its
//! beginning to a WebSocket reader.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bench_live::{Goal, figure};

use crate::{
    Services, python, reader,
    throughput::{bare_driver, through},
    ticks::{fill, fresh},
};

const TICKS: u64 = 1_000_000;
const TO_MONGODB: u64 = 150_000;
const WINDOW: Duration = Duration::from_secs(10);

/// Measures and prints.
pub async fn measure(services: &Services) -> Result<()> {
    let topic = fresh("original")?;
    fill(services, &topic, TICKS, 1).await?;
    let documented = consumer(services, &topic, "documented").await?;
    let kinder = consumer(services, &topic, "kinder").await?;
    let sqlite = through(services, TICKS, 1, None, &[]).await?.delivered;
    let full = ["--set", "store.full_sync=true"];
    let synced = through(services, TICKS, 1, None, &full).await?.delivered;
    let mongodb = through(services, TO_MONGODB, 1, Some(&services.mongodb), &[]).await?;
    let mongodb = mongodb.delivered;
    let ceiling = bare_driver(&services.mongodb, false).await?;
    figure(
        "original as documented, kafka to reader",
        documented,
        "ticks/s",
        Goal::None,
    );
    figure(
        "original, kinder (one kept connection)",
        kinder,
        "ticks/s",
        Goal::None,
    );
    figure(
        "tickcast, kafka to sqlite and reader",
        sqlite,
        "ticks/s",
        Goal::None,
    );
    figure(
        "tickcast (sqlite) / original as documented",
        sqlite / documented,
        "times",
        Goal::AtLeast(100.0),
    );
    figure(
        "tickcast (sqlite) / kinder original",
        sqlite / kinder,
        "times",
        Goal::AtLeast(50.0),
    );
    // The original's store waits for the disk at each commit; so does this.
    figure(
        "tickcast, kafka to sqlite (full_sync) and reader",
        synced,
        "ticks/s",
        Goal::None,
    );
    figure(
        "tickcast (sqlite, full_sync) / original as documented",
        synced / documented,
        "times",
        Goal::AtLeast(100.0),
    );
    figure(
        "tickcast (sqlite, full_sync) / kinder original",
        synced / kinder,
        "times",
        Goal::AtLeast(50.0),
    );
    figure(
        "tickcast, kafka to the original's store and reader",
        mongodb,
        "ticks/s",
        Goal::None,
    );
    figure(
        "tickcast / original as documented, the same store",
        mongodb / documented,
        "times",
        Goal::None,
    );
    figure(
        "tickcast / kinder original, the same store",
        mongodb / kinder,
        "times",
        Goal::None,
    );
    figure(
        "insertMany of that store, the ceiling",
        ceiling,
        "docs/s",
        Goal::None,
    );
    Ok(())
}

/// Ticks a second that a reader gets from the original, over ten seconds from the first one on.
async fn consumer(services: &Services, topic: &str, kind: &str) -> Result<f64> {
    let port = python::free_port()?;
    let port_text = port.to_string();
    let _server = python::original(&["server", &port_text]).await?;
    let (socket, _) = tokio_tungstenite::connect_async(format!("ws://127.0.0.1:{port}")).await?;
    let (seen, reader) = reader::count(socket);
    let group = fresh(kind)?;
    let _consumer = python::original(&["consumer", kind, &port_text, topic, &group]).await?;
    let waited = Instant::now();
    while seen.get().delivered == 0 {
        ensure!(
            waited.elapsed() < Duration::from_secs(60),
            "the original of {} sends nothing",
            services.brokers
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let (began, before) = (Instant::now(), seen.get().delivered);
    tokio::time::sleep(WINDOW).await;
    let rate = (seen.get().delivered - before) as f64 / began.elapsed().as_secs_f64();
    reader.abort();
    Ok(rate)
}
