//! A reader of `/live` that comes back after each kill and goes on after the last `seq` it has seen.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use market::{Interval, Symbol, Tick};
use pipeline::{Frame, LiveHub};
use protocol::{LiveMessage, LiveRequest};

use crate::world::SYMBOLS;

/// What it has seen, by symbol.
#[derive(Clone, Default)]
pub struct Reader(Arc<Mutex<BTreeMap<Symbol, Seen>>>);

/// Of one symbol.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub seq: u64,
    pub ticks: Vec<Tick>,
}

impl Reader {
    pub fn seen(&self) -> MutexGuard<'_, BTreeMap<Symbol, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until the process is gone.
    pub async fn read(self, live: LiveHub) {
        let session = live.connect();
        let symbols: Vec<Symbol> = SYMBOLS.iter().map(|s| s.parse().unwrap()).collect();
        let resume = {
            let seen = self.seen();
            let seq = |symbol: &Symbol| seen.get(symbol).map_or(0, |s| s.seq);
            symbols.iter().map(|s| (s.clone(), seq(s))).collect()
        };
        session.request(LiveRequest::Subscribe {
            symbols,
            intervals: vec![Interval::M1],
            resume,
        });
        loop {
            match session.next().await {
                Frame::Text(text) => self.take(serde_json::from_slice(&text).unwrap()),
                Frame::Close { .. } => return,
            }
        }
    }

    fn take(&self, message: LiveMessage) {
        let mut seen = self.seen();
        match message {
            LiveMessage::Ticks {
                symbol, seq, ticks, ..
            } => {
                let of = seen.entry(symbol).or_default();
                assert!(seq > of.seq, "seq {seq} after {}", of.seq);
                of.seq = seq;
                of.ticks.extend(ticks);
            }
            // Before its first tick a symbol has an empty one.
            LiveMessage::Snapshot {
                symbol, seq, reset, ..
            } => {
                let of = seen.entry(symbol.clone()).or_default();
                assert!(!reset && seq == of.seq, "{symbol} begins anew at {seq}");
            }
            LiveMessage::Latest {
                symbol, skipped, ..
            } => {
                panic!("{skipped} ticks of {symbol} were left out");
            }
            LiveMessage::Error { detail, .. } => panic!("{detail}"),
            _ => {}
        }
    }
}
