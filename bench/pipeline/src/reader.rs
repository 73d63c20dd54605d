//! WebSocket readers of either side.
//!
//! They scan messages for the ticks' sequences instead of parsing them: a thousand readers that
//! parse would measure themselves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures::{SinkExt as _, StreamExt as _};
use market::Symbol;
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

/// A connection.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Connects to Tickcast's `/live` and returns once it has a snapshot of every symbol.
pub async fn subscribe(url: &str, symbols: &[Symbol]) -> Result<Socket> {
    let url = url.replace("http://", "ws://") + "/live";
    let (mut socket, _) = tokio_tungstenite::connect_async(&url).await?;
    let names: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
    let request = serde_json::json!({ "op": "subscribe", "symbols": names });
    socket.send(Message::text(request.to_string())).await?;
    let mut snapshots = 0;
    while snapshots < symbols.len() {
        let message = tokio::time::timeout(Duration::from_secs(60), socket.next())
            .await?
            .context("the server closed the connection")??;
        if let Message::Text(text) = message
            && text.contains(r#""type":"snapshot""#)
        {
            snapshots += 1;
        }
    }
    Ok(socket)
}

/// What a reader has got.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// Ticks that it was sent.
    pub delivered: u64,
    /// Ticks that it was told were left out, because it is slow.
    pub skipped: u64,
}

impl Heard {
    /// All that it was told of.
    pub const fn all(self) -> u64 {
        self.delivered + self.skipped
    }
}

/// What a reader has got so far.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<(AtomicU64, AtomicU64)>);

impl Seen {
    /// Now.
    pub fn get(&self) -> Heard {
        Heard {
            delivered: self.0.0.load(Ordering::Relaxed),
            skipped: self.0.1.load(Ordering::Relaxed),
        }
    }
}

/// Counts the ticks that a reader is sent, or told were left out, until it is aborted.
pub fn count(mut socket: Socket) -> (Seen, tokio::task::JoinHandle<()>) {
    let seen = Seen::default();
    let counter = seen.clone();
    let task = tokio::spawn(async move {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = message {
                let skipped = number_after(&text, "\"skipped\":").unwrap_or(0);
                let ticks = sequences(&text).count() as u64;
                counter.0.0.fetch_add(ticks, Ordering::Relaxed);
                counter.0.1.fetch_add(skipped, Ordering::Relaxed);
            }
        }
    });
    (seen, task)
}

/// The `seq` of each tick of a message: of `/live`'s, or a bare tick as the original sends it.
pub fn sequences(text: &str) -> impl Iterator<Item = u64> + '_ {
    let ticks = if text.starts_with(r#"{"type""#) {
        ["\"ticks\":[", "\"tick\":{"]
            .iter()
            .find_map(|start| text.find(start))
            .map_or("", |at| &text[at..])
    } else {
        text
    };
    ticks.split("\"seq\":").skip(1).filter_map(leading_number)
}

fn number_after(text: &str, key: &str) -> Option<u64> {
    leading_number(&text[text.find(key)? + key.len()..])
}

fn leading_number(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end].parse().ok()
}

/// Milliseconds from the departures in `sent` to the arrivals of the ticks in `socket`, of those
/// from `first` to before `until`; ends with the last of them, or when nothing comes for 10 s.
pub async fn latencies(
    mut socket: Socket,
    sent: Arc<std::sync::RwLock<Vec<Instant>>>,
    first: u64,
    until: u64,
) -> Result<Vec<f64>> {
    let mut latencies = Vec::new();
    let mut done = false;
    while !done {
        let message = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
        let Ok(Some(message)) = message else { break };
        let arrived = Instant::now();
        let Message::Text(text) = message? else {
            continue;
        };
        for seq in sequences(&text) {
            if seq >= first && seq < until {
                let sent = sent
                    .read()
                    .map_err(|_| anyhow::anyhow!("the sender failed"))?;
                if let Some(left) = sent.get(seq as usize) {
                    latencies.push((arrived - *left).as_secs_f64() * 1e3);
                }
            }
            done |= seq + 1 >= until;
        }
    }
    Ok(latencies)
}

/// A quantile of sorted values.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        n => sorted[((n - 1) as f64 * q) as usize],
    }
}
