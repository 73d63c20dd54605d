//! A reader of `/live` that writes down what it gets, and goes on after every cut with the last
//! position it has seen.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{SinkExt as _, StreamExt as _};
use market::{Symbol, Tick, TickKey};
use protocol::LiveMessage;
use serde_json::json;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::exchange::symbols;

/// What was heard of a symbol.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The last tick of the first snapshot.
    pub base: Option<TickKey>,
    pub position: Option<u64>,
    pub ticks: Vec<Tick>,
}

#[derive(Clone, Debug, Default)]
pub struct Notes {
    pub heard: BTreeMap<Symbol, Heard>,
    /// Messages that a reader who keeps pace must never get.
    pub complaints: Vec<String>,
    pub connections: usize,
    pub goodbyes: usize,
}

#[derive(Clone, Default)]
pub struct Reader {
    pub notes: Arc<Mutex<Notes>>,
}

impl Reader {
    /// Reads until the task is aborted.
    pub async fn run(self, url: String) {
        loop {
            // The server may be away: whoever reads tries again.
            let _ = self.session(&url).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn session(&self, url: &str) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        let (mut socket, _) = connect_async(url).await?;
        let resume: BTreeMap<Symbol, u64> = {
            let mut notes = self.notes.lock().unwrap();
            notes.connections += 1;
            let known = notes.heard.iter();
            known
                .filter_map(|(s, h)| Some((s.clone(), h.position?)))
                .collect()
        };
        let subscribe = json!({
            "op": "subscribe", "symbols": symbols(), "intervals": ["1s"], "resume": resume,
        });
        socket.send(Message::text(subscribe.to_string())).await?;
        loop {
            // Heartbeats come each second: a socket that is silent for longer is dead.
            let next = tokio::time::timeout(Duration::from_secs(5), socket.next()).await;
            let Ok(Some(message)) = next else {
                return Ok(());
            };
            if let Message::Text(text) = message? {
                self.take(serde_json::from_str(&text).unwrap());
            }
        }
    }

    fn take(&self, message: LiveMessage) {
        let mut notes = self.notes.lock().unwrap();
        match message {
            LiveMessage::Snapshot {
                symbol,
                seq,
                last,
                reset,
                ..
            } => {
                let heard = notes.heard.entry(symbol.clone()).or_default();
                if reset || heard.position.is_some() {
                    let at = heard.position;
                    let text = format!("a new snapshot of {symbol} at {seq} after {at:?}");
                    notes.complaints.push(text);
                    return;
                }
                heard.base = last.map(|t| t.key());
                heard.position = Some(seq);
            }
            LiveMessage::Ticks {
                symbol, seq, ticks, ..
            } => {
                let heard = notes.heard.entry(symbol).or_default();
                heard.position = Some(seq);
                heard.ticks.extend(ticks);
            }
            LiveMessage::Latest {
                symbol, skipped, ..
            } => {
                let text = format!("{skipped} ticks of {symbol} were left out");
                notes.complaints.push(text);
            }
            LiveMessage::Bye { .. } => notes.goodbyes += 1,
            // What passes (a store that is away) is the server's to wait for.
            LiveMessage::Error { detail, .. } => notes.complaints.push(detail),
            LiveMessage::Hello { .. }
            | LiveMessage::Bar { .. }
            | LiveMessage::Heartbeat { .. }
            | LiveMessage::Pong { .. } => {}
        }
    }
}
