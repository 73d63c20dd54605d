//! The time from a tick's departure to its arrival at each of a hundred WebSocket readers, at 5,000
//! ticks a second. Sender and readers share one process and one monotonic clock, so the figure is
//! a difference of instants of that clock: HTTP post, store, fan-out and socket included.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bench_live::{
    Goal, figure,
    process::{Server, cpu_s},
};
use futures::{SinkExt as _, StreamExt as _};
use market::{Symbol, Tick, Timestamp};
use protocol::LiveMessage;
use tokio_tungstenite::tungstenite::Message;

const READERS: usize = 100;
const TICKS_PER_S: u64 = 5_000;
const POSTS_PER_S: u64 = 500;
const SECONDS: u64 = 20;
/// Ticks of the first second are sent and not counted.
const WARM_UP: u64 = TICKS_PER_S;

/// Measures and prints.
pub async fn latency() -> Result<()> {
    let server = Server::start(&["--source", "none"]).await?;
    let symbol: Symbol = "BENCH".parse()?;
    let sent: Arc<Mutex<Vec<Instant>>> = Arc::new(Mutex::new(Vec::new()));
    let ready = Arc::new(AtomicUsize::new(0));
    let total = TICKS_PER_S * SECONDS;
    let own = tokio::fs::read_to_string("/proc/self/stat").await?;
    let own_cpu_before = cpu_s(&own)?;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let url = server.url.replace("http://", "ws://") + "/live";
        let (sent, ready, symbol) = (Arc::clone(&sent), Arc::clone(&ready), symbol.clone());
        readers.push(tokio::spawn(read(url, symbol, sent, ready, total)));
    }
    while ready.load(Ordering::SeqCst) < READERS {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let slowest = post(&server.url, &symbol, &sent, total).await?;
    let server_cpu = server.cpu_s().await?;
    let mut latencies = Vec::new();
    let mut missing = 0;
    for reader in readers {
        let seen = reader.await??;
        missing += total as usize - seen.count;
        latencies.extend(seen.latencies_ms);
    }
    latencies.sort_by(f64::total_cmp);
    let at = |q: f64| latencies[((latencies.len() - 1) as f64 * q) as usize];
    let what = format!("tick to {READERS} WebSocket readers at {TICKS_PER_S}/s");
    figure(&format!("{what}, p50"), at(0.50), "ms", Goal::None);
    figure(&format!("{what}, p99"), at(0.99), "ms", Goal::AtMost(20.0));
    figure(&format!("{what}, slowest"), at(1.0), "ms", Goal::None);
    figure(
        "ticks that a reader did not get",
        missing as f64,
        "ticks",
        Goal::AtMost(0.0),
    );
    figure(
        "how far the sender fell behind its schedule at most",
        slowest * 1e3,
        "ms",
        Goal::None,
    );
    // On a machine that others load too, these tell how far the two could have kept up.
    let own = tokio::fs::read_to_string("/proc/self/stat").await?;
    let own_cpu = cpu_s(&own)? - own_cpu_before;
    let per_s = SECONDS as f64;
    figure(
        "processor time of the server per second of that",
        server_cpu / per_s,
        "s",
        Goal::None,
    );
    figure(
        "processor time of sender and readers per second of that",
        own_cpu / per_s,
        "s",
        Goal::None,
    );
    server.stop().await
}

/// Posts on schedule; returns how late the latest post began, in seconds.
async fn post(url: &str, symbol: &Symbol, sent: &Mutex<Vec<Instant>>, total: u64) -> Result<f64> {
    let client = reqwest::Client::new();
    let per_post = TICKS_PER_S / POSTS_PER_S;
    let began = Instant::now();
    let mut latest = 0.0_f64;
    let mut in_flight = tokio::task::JoinSet::new();
    for n in 0..total / per_post {
        let due = began + Duration::from_micros(n * 1_000_000 / POSTS_PER_S);
        tokio::time::sleep_until(due.into()).await;
        latest = latest.max(due.elapsed().as_secs_f64());
        let now_us = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_micros();
        let ticks: Vec<Tick> = (n * per_post..(n + 1) * per_post)
            .map(|seq| Tick {
                symbol: symbol.clone(),
                ts: Timestamp::from_micros(now_us as i64),
                seq,
                price: 100.0 + (seq % 100) as f64 / 100.0,
                size: 1.0,
            })
            .collect();
        {
            let mut sent = sent
                .lock()
                .map_err(|_| anyhow::anyhow!("a reader failed"))?;
            let now = Instant::now();
            sent.extend(ticks.iter().map(|_| now));
        }
        let request = client
            .post(format!("{url}/api/ticks"))
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&ticks)?);
        in_flight.spawn(request.send());
        while in_flight.len() > 64 {
            in_flight
                .join_next()
                .await
                .context("no post is under way")???
                .error_for_status()?;
        }
    }
    while let Some(answer) = in_flight.join_next().await {
        answer??.error_for_status()?;
    }
    Ok(latest)
}

struct Seen {
    count: usize,
    latencies_ms: Vec<f64>,
}

async fn read(
    url: String,
    symbol: Symbol,
    sent: Arc<Mutex<Vec<Instant>>>,
    ready: Arc<AtomicUsize>,
    total: u64,
) -> Result<Seen> {
    let (mut socket, _) = tokio_tungstenite::connect_async(&url).await?;
    let subscribe = format!(r#"{{"op":"subscribe","symbols":["{symbol}"]}}"#);
    socket.send(Message::text(subscribe)).await?;
    let mut seen = Seen {
        count: 0,
        latencies_ms: Vec::new(),
    };
    let mut subscribed = false;
    while seen.count < total as usize {
        let message = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
        let Ok(Some(message)) = message else { break };
        let arrived = Instant::now();
        let Message::Text(text) = message? else {
            continue;
        };
        if !subscribed {
            if matches!(serde_json::from_str(&text)?, LiveMessage::Snapshot { .. }) {
                subscribed = true;
                ready.fetch_add(1, Ordering::SeqCst);
            }
            continue;
        }
        if !text.starts_with(r#"{"type":"ticks""#) {
            continue;
        }
        let sent = sent
            .lock()
            .map_err(|_| anyhow::anyhow!("the sender failed"))?;
        for seq in tick_sequences(&text) {
            seen.count += 1;
            if seq >= WARM_UP {
                let left = sent[seq as usize];
                seen.latencies_ms.push((arrived - left).as_secs_f64() * 1e3);
            }
        }
    }
    Ok(seen)
}

/// The `seq` of each tick of a message. A scan, not a parser: a hundred readers that parse half a
/// million ticks a second would measure themselves.
fn tick_sequences(text: &str) -> impl Iterator<Item = u64> + '_ {
    let ticks = text.find(r#""ticks":["#).map_or("", |at| &text[at..]);
    ticks.split(r#""seq":"#).skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        rest[..end].parse().ok()
    })
}
