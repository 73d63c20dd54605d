//! How many ticks the in-process bus moves.
//!
//! `cargo run --release -p bus --example bus_rate -- [ticks] [batch]`
//!
//! One publisher, one group of two consumers that commit after each poll. Prints a figure; asserts
//! nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{BusError, EventBus, MemoryBus, MemoryBusOptions, Payload, Record};
use market::{Symbol, Tick, Timestamp};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let total: usize = args.next().map_or(Ok(20_000_000), |a| a.parse())?;
    let batch: usize = args.next().map_or(Ok(2_000), |a| a.parse())?;
    let symbols: Vec<Symbol> = (0..12)
        .map(|i| format!("SYM{i}").parse())
        .collect::<Result<_, _>>()?;
    let bus = Arc::new(MemoryBus::new(MemoryBusOptions::default()));
    let mut consumers = Vec::new();
    for _ in 0..2 {
        let mut consumer = bus.subscribe("stock-data", "store").await?;
        consumers.push(tokio::spawn(async move {
            let mut rows = 0;
            loop {
                match consumer.poll(8_192, Duration::from_secs(1)).await {
                    Ok(got) => rows += got.iter().map(|d| d.record.payload.rows()).sum::<usize>(),
                    Err(BusError::Closed) => return Ok(rows),
                    Err(other) => return Err(other),
                }
                consumer.commit().await?;
            }
        }));
    }
    let started = Instant::now();
    for first in (0..total).step_by(batch) {
        let symbol = &symbols[first / batch % symbols.len()];
        let ticks: Vec<Tick> = (first..total.min(first + batch))
            .map(|i| Tick {
                symbol: symbol.clone(),
                ts: Timestamp::from_micros(i as i64),
                seq: i as u64,
                price: 10.0,
                size: 1.0,
            })
            .collect();
        let record = Record {
            key: symbol.to_string(),
            source: "bench".into(),
            source_offset: None,
            received: Instant::now(),
            payload: Payload::Ticks(ticks.into()),
        };
        bus.publish("stock-data", vec![record]).await?;
    }
    bus.close().await;
    let mut rows = 0;
    for consumer in consumers {
        rows += consumer.await??;
    }
    println!(
        "{rows} ticks in records of {batch}: {:.0} ticks/s",
        rows as f64 / started.elapsed().as_secs_f64()
    );
    Ok(())
}
