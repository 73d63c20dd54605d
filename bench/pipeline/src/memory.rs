//! What a consumer keeps in memory while the store is stopped and ticks go on coming.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bench_live::{Goal, figure};
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::{
    Services,
    throughput::start,
    ticks::{fresh, send, settings, symbols, tick},
};

const TICKS_PER_S: u64 = 10_000;
/// Ticks of one message.
const PER_MESSAGE: usize = 10;

/// Stops the store that `scripts/services` has started for us, and measures.
pub async fn measure(services: &Services, stopped: Duration) -> Result<()> {
    let topic = fresh("memory")?;
    let server = start("consume", services, &topic, Some(&services.mongodb), &[]).await?;
    let producer: BaseProducer = settings(&services.brokers, 5).create()?;
    let symbols = symbols()?;
    let mut n = 0;
    let mut second = || -> Result<()> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let first_us = i64::try_from(now.as_micros())?;
        let mut rows = vec![Vec::new(); symbols.len()];
        for _ in 0..TICKS_PER_S {
            let mut tick = tick(&symbols, first_us, n % TICKS_PER_S);
            tick.seq = n;
            let at = (n % symbols.len() as u64) as usize;
            rows[at].push(tick);
            n += 1;
        }
        for (symbol, rows) in symbols.iter().zip(rows) {
            for part in rows.chunks(PER_MESSAGE) {
                send(
                    &producer,
                    &topic,
                    symbol.as_str(),
                    &serde_json::to_vec(part)?,
                )?;
            }
        }
        producer.flush(Duration::from_secs(30)).context("producing")
    };
    let began = Instant::now();
    let pace = async |seconds: u64| {
        let due = began + Duration::from_secs(seconds);
        tokio::time::sleep_until(due.into()).await;
    };
    let mut seconds = 0;
    while seconds < 5 {
        second()?;
        seconds += 1;
        pace(seconds).await;
    }
    let stored = server.counter("tickcast_ticks_stored_total").await?;
    ensure!(stored > 0.0, "the consumer stores nothing");
    figure(
        "consumer at 10,000 ticks/s, the store there: resident",
        server.resident_mib().await?,
        "MiB",
        Goal::None,
    );
    let pid = std::env::var("MONGO_PID").context("MONGO_PID is not set: use bench/pipeline/run")?;
    let killed = tokio::process::Command::new("kill")
        .args(["-KILL", &pid])
        .status()
        .await?;
    ensure!(killed.success(), "the store cannot be stopped");
    let until = seconds + stopped.as_secs();
    while seconds < until {
        second()?;
        seconds += 1;
        pace(seconds).await;
        if seconds.is_multiple_of(60) {
            println!(
                "  ({seconds} s: resident {:.1} MiB)",
                server.resident_mib().await?
            );
        }
    }
    let what = format!(
        "the store stopped for {} s: most ever resident",
        stopped.as_secs()
    );
    figure(
        &what,
        server.most_resident_mib().await? * 1.048_576,
        "MB",
        Goal::AtMost(200.0),
    );
    server.stop().await
}
