//! Measures the stages in one process: rows a second from the bus to the store and the readers, and
//! the time from the arrival of a tick to the reader's hand. Without sockets.
//!
//! `cargo run --release -p pipeline --example stages -- [subscribers] [rate] [seconds]`

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bus::{EventBus, MemoryBus, MemoryBusOptions, Payload, Record};
use market::{Interval, Symbol, Tick};
use pipeline::{Clock, Frame, Pipeline, PipelineConfig, SystemClock};
use protocol::{LiveMessage, LiveRequest};
use store::{SqliteOptions, SqliteStore};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn ticks(symbols: &[Symbol], first: u64, count: u64) -> Vec<Tick> {
    let now = SystemClock.now();
    (first..first + count)
        .map(|seq| Tick {
            symbol: symbols[(seq % symbols.len() as u64) as usize].clone(),
            ts: now,
            seq,
            price: 100.0 + (seq % 977) as f64 / 100.0,
            size: 10.0,
        })
        .collect()
}

fn records(ticks: Vec<Tick>, symbols: &[Symbol], received: Instant) -> Vec<Record> {
    symbols
        .iter()
        .filter_map(|symbol| {
            let own: Vec<Tick> = ticks
                .iter()
                .filter(|t| t.symbol == *symbol)
                .cloned()
                .collect();
            (!own.is_empty()).then(|| Record {
                key: symbol.to_string(),
                source: "bench".into(),
                source_offset: None,
                received,
                payload: Payload::Ticks(own.into()),
            })
        })
        .collect()
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| args.next().map_or(Ok(default), |a| a.parse());
    let (subscribers, rate, seconds) = (number(100)?, number(5_000)?, number(10)?);
    let dir = std::env::temp_dir().join(format!("tickcast-stages-{}", std::process::id()));
    let store = Arc::new(SqliteStore::open(SqliteOptions::new(&dir)).await?);
    let bus: Arc<dyn EventBus> = Arc::new(MemoryBus::new(MemoryBusOptions::default()));
    let config = PipelineConfig::default();
    let topic = config.topic.clone();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let pipeline =
        Arc::new(Pipeline::start(config, Arc::clone(&bus), store, Vec::new(), clock).await?);
    let symbols: Vec<Symbol> = (0..12)
        .map(|n| format!("S{n}").parse())
        .collect::<Result<_, _>>()?;

    // As fast as it goes, nobody listening.
    let rows = 1_000_000;
    let began = Instant::now();
    let mut seq = 0;
    while seq < rows {
        let batch = records(ticks(&symbols, seq, 5_000), &symbols, Instant::now());
        bus.publish(&topic, batch).await?;
        seq += 5_000;
    }
    while pipeline.stats().await.stored.total < rows {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "bus to store and hub, no reader: {:.0} ticks/s",
        rows as f64 / took
    );

    // At a rate, with readers of one symbol each.
    let base = Instant::now();
    let start_seq = seq;
    let sent_us: Arc<Vec<AtomicU64>> =
        Arc::new((0..rate * seconds).map(|_| AtomicU64::new(0)).collect());
    let mut readers = Vec::new();
    for n in 0..subscribers {
        let session = pipeline.live.connect();
        session.request(LiveRequest::Subscribe {
            symbols: vec![symbols[(n % 12) as usize].clone()],
            intervals: vec![Interval::M1],
            resume: Default::default(),
        });
        let sent_us = Arc::clone(&sent_us);
        readers.push(tokio::spawn(async move {
            // Only what the fan-out costs is measured: bytes are read after the last of them.
            let mut frames = Vec::new();
            while let Ok(Frame::Text(text)) =
                tokio::time::timeout(Duration::from_secs(2), session.next()).await
            {
                frames.push((base.elapsed(), text));
            }
            let mut ages_us = Vec::new();
            for (at, text) in frames {
                if let Ok(LiveMessage::Ticks { ticks, .. }) = serde_json::from_slice(&text) {
                    let at = at.as_micros() as u64;
                    for tick in ticks.iter().filter(|t| t.seq >= start_seq) {
                        let sent = sent_us[(tick.seq - start_seq) as usize].load(Ordering::Relaxed);
                        ages_us.push(at.saturating_sub(sent));
                    }
                }
            }
            ages_us
        }));
    }
    let step = Duration::from_millis(2);
    let per_step = (rate / 500).max(1);
    let mut ticker = tokio::time::interval(step);
    while seq < start_seq + rate * seconds {
        ticker.tick().await;
        let batch = ticks(&symbols, seq, per_step);
        let now = base.elapsed().as_micros() as u64;
        for tick in &batch {
            if let Some(slot) = sent_us.get((tick.seq - start_seq) as usize) {
                slot.store(now, Ordering::Relaxed);
            }
        }
        bus.publish(&topic, records(batch, &symbols, Instant::now()))
            .await?;
        seq += per_step;
    }
    let sending = base.elapsed().as_secs_f64();
    let mut ages = Vec::new();
    for reader in readers {
        ages.extend(reader.await?);
    }
    ages.sort_unstable();
    let at = |q: f64| {
        let index = (ages.len().saturating_sub(1) as f64 * q) as usize;
        ages.get(index).copied().unwrap_or(0) as f64 / 1e3
    };
    println!(
        "{subscribers} readers, {:.0} ticks/s: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms ({} deliveries)",
        (rate * seconds) as f64 / sending,
        at(0.5),
        at(0.99),
        at(1.0),
        ages.len()
    );
    let stats = pipeline.stats().await;
    println!(
        "messages {}, conflations {}, cut off {}",
        stats.live.messages.total, stats.live.conflations.total, stats.live.cut_offs.total
    );
    pipeline.shutdown(Duration::from_secs(10)).await;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
