//! What the tests share: a pipeline on a temporary store, ticks, and a reader of sessions.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bus::{EventBus, MemoryBus, MemoryBusOptions};
use market::{Interval, Symbol, Tick, Timestamp};
use pipeline::{Clock, Frame, LiveSession, MarketTime, Pipeline, PipelineConfig, SourceSpec};
use protocol::{LiveMessage, LiveRequest};
use source::{SourceBatch, SourceSink, TickSource};
use store::{PriceReader, SqliteOptions, SqliteStore, StorePorts};
use tokio_util::sync::CancellationToken;

/// 2024-03-04T00:00:00Z, a Monday.
pub const MONDAY: i64 = 1_709_510_400;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(MONDAY + second)
}

pub fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

/// A tick at a second (and a fraction, by `seq`) after Monday.
pub fn tick(name: &str, second: i64, seq: u64, price: f64) -> Tick {
    Tick {
        symbol: symbol(name),
        ts: at(second).plus_micros(seq as i64 % 1_000),
        seq,
        price,
        size: 1.0,
    }
}

/// A wall clock that a test sets.
#[derive(Clone)]
pub struct Wall(Arc<AtomicI64>);

impl Wall {
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.as_micros())))
    }

    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        let read = Arc::clone(&self.0);
        Arc::new(move || Timestamp::from_micros(read.load(Ordering::SeqCst)))
    }
}

/// A configuration that replays, and is quiet.
pub fn config() -> PipelineConfig {
    let mut config = PipelineConfig {
        market_time: MarketTime::Replay,
        ..PipelineConfig::default()
    };
    config.live.heartbeat_ms = 60_000;
    config.live.bar_every_ms = 0;
    config.consume.backoff_min_ms = 1;
    config.consume.backoff_max_ms = 5;
    config.produce.backoff_min_ms = 1;
    config.produce.backoff_max_ms = 5;
    config
}

pub async fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(SqliteOptions::new(dir)).await.unwrap()
}

pub fn memory_bus() -> Arc<dyn EventBus> {
    Arc::new(MemoryBus::new(MemoryBusOptions::default()))
}

pub async fn start(config: PipelineConfig, store: impl Into<StorePorts>) -> Pipeline {
    start_with(config, store, Vec::new()).await
}

pub async fn start_with(
    config: PipelineConfig,
    store: impl Into<StorePorts>,
    sources: Vec<SourceSpec>,
) -> Pipeline {
    let wall = Wall::new(at(10_000_000));
    Pipeline::start(config, memory_bus(), store, sources, wall.clock())
        .await
        .unwrap()
}

/// A source that hands batches over one by one and counts those taken.
pub struct Batches {
    pub batches: Vec<Vec<Tick>>,
    pub taken: Arc<AtomicUsize>,
    /// Fails before this batch, once.
    pub fails_before: Option<usize>,
}

#[async_trait]
impl TickSource for Batches {
    fn name(&self) -> Arc<str> {
        "test".into()
    }

    async fn run(
        self: Box<Self>,
        out: SourceSink,
        _cancel: CancellationToken,
    ) -> source::Result<()> {
        for (n, ticks) in self.batches.into_iter().enumerate() {
            if n < self.taken.load(Ordering::SeqCst) {
                continue;
            }
            if n % 25 == 0 {
                out.report_warning(format!("something was passed over before batch {n}"));
            }
            if self.fails_before == Some(n) {
                return Err(source::SourceError::Unavailable {
                    url: "test".into(),
                    detail: "away".into(),
                    retry_after: None,
                });
            }
            out.send(SourceBatch {
                source: "test".into(),
                source_offset: None,
                received: Instant::now(),
                ticks,
                bars: Vec::new(),
                rejects: Vec::new(),
            })
            .await?;
            self.taken.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

pub fn subscribe(names: &[&str], intervals: &[Interval]) -> LiveRequest {
    LiveRequest::Subscribe {
        symbols: names.iter().map(|n| symbol(n)).collect(),
        intervals: intervals.to_vec(),
        resume: Default::default(),
    }
}

pub fn resume(name: &str, seq: u64, intervals: &[Interval]) -> LiveRequest {
    LiveRequest::Subscribe {
        symbols: vec![symbol(name)],
        intervals: intervals.to_vec(),
        resume: [(symbol(name), seq)].into(),
    }
}

/// The next message; the test fails when the session closes, or nothing comes for long.
pub async fn next(session: &LiveSession) -> LiveMessage {
    match frame(session).await {
        Frame::Text(text) => serde_json::from_slice(&text).unwrap(),
        Frame::Close { code, reason } => panic!("closed with {code}: {reason}"),
    }
}

pub async fn frame(session: &LiveSession) -> Frame {
    within(session.next()).await
}

/// Fails the test instead of hanging.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("nothing came")
}

/// Waits until a condition holds.
pub async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    within(async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// What a reader has seen of one symbol.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The seq of the last message.
    pub seq: u64,
    /// The ticks that came one by one, since the last snapshot.
    pub ticks: Vec<Tick>,
    /// The seq of the last snapshot.
    pub from: u64,
    pub snapshots: usize,
    pub resets: usize,
    pub skipped: u64,
}

impl Seen {
    pub fn take(&mut self, message: &LiveMessage) {
        match message {
            LiveMessage::Snapshot { seq, reset, .. } => {
                self.seq = *seq;
                self.from = *seq;
                self.ticks.clear();
                self.snapshots += 1;
                self.resets += usize::from(*reset);
            }
            LiveMessage::Ticks { seq, ticks, .. } => {
                assert!(*seq > self.seq, "seq {seq} after {}", self.seq);
                self.seq = *seq;
                self.ticks.extend(ticks.iter().cloned());
            }
            LiveMessage::Latest {
                seq, tick, skipped, ..
            } => {
                self.seq = *seq;
                self.ticks.push(tick.clone());
                self.skipped += skipped;
            }
            _ => {}
        }
    }

    /// Reads until the message with `seq` has come.
    pub async fn read_to(&mut self, session: &LiveSession, seq: u64) {
        while self.seq < seq {
            self.take(&next(session).await);
        }
    }
}

/// The ticks of a symbol after a position, in order of storage.
pub async fn stored(store: &dyn PriceReader, name: &str, after: u64) -> Vec<Tick> {
    let stored = store.ticks_after(&symbol(name), after, 1_000_000).await;
    stored.unwrap().into_iter().map(|t| t.tick).collect()
}
