//! A store that fails now and then, before or after it has stored.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use market::{Bar, Fan, Interval, Reject, RejectReason, Symbol, Tick, Timestamp};
use pipeline::{DeadLetterOutlet, Parts, Pipeline, Role, SourceSpec};
use protocol::LiveMessage;
use store::*;

use crate::harness::*;

/// Passes everything on, but for appends that it makes fail.
struct Faulty {
    inner: SqliteStore,
    calls: AtomicUsize,
    away: AtomicBool,
    /// So many answers to letters that are put aside are lost after they were written.
    lost_answers: AtomicUsize,
    /// What it says meanwhile.
    fault: StoreError,
}

impl Faulty {
    fn new(inner: SqliteStore) -> Self {
        Self {
            inner,
            calls: AtomicUsize::new(0),
            away: AtomicBool::new(false),
            lost_answers: AtomicUsize::new(0),
            fault: StoreError::Unavailable {
                detail: "away".into(),
            },
        }
    }

    /// As the stages get it. What they never ask for is the real store's.
    fn ports(self: &Arc<Self>) -> StorePorts {
        let real = StorePorts::of_database(Arc::new(self.inner.clone()));
        let database = real.database.map(|real| DatabasePorts {
            prices: self.clone(),
            ledger: self.clone(),
            dead_letters: self.clone(),
            bar_retention: self.clone(),
            ..real
        });
        StorePorts {
            prices: self.clone(),
            dead_letters: self.clone(),
            tick_retention: self.clone(),
            readiness: self.clone(),
            database,
        }
    }

    fn check(&self) -> Result<()> {
        if self.away.load(Ordering::SeqCst) {
            return Err(self.fault.clone());
        }
        Ok(())
    }
}

#[async_trait]
impl PriceWriter for Faulty {
    async fn append(&self, ticks: Vec<Tick>) -> Result<Appended> {
        if self.away.load(Ordering::SeqCst) {
            return Err(self.fault.clone());
        }
        match self.calls.fetch_add(1, Ordering::SeqCst) % 5 {
            1 => Err(self.fault.clone()),
            3 => {
                // Stored, but the answer is lost.
                self.inner.append(ticks).await?;
                Err(self.fault.clone())
            }
            _ => self.inner.append(ticks).await,
        }
    }
    async fn put_bars(&self, bars: Vec<Bar>) -> Result<usize> {
        self.inner.put_bars(bars).await
    }
}

#[async_trait]
impl PriceReader for Faulty {
    async fn ticks_after(&self, s: &Symbol, p: u64, l: usize) -> Result<Vec<StoredTick>> {
        self.check()?;
        self.inner.ticks_after(s, p, l).await
    }
    async fn ticks(
        &self,
        s: &Symbol,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Tick>> {
        self.inner.ticks(s, from, until, limit).await
    }
    async fn latest_tick(&self, s: &Symbol) -> Result<Option<StoredTick>> {
        self.check()?;
        self.inner.latest_tick(s).await
    }
    async fn bars_of(&self, queries: &[BarQuery]) -> Result<Vec<Vec<Bar>>> {
        self.check()?;
        self.inner.bars_of(queries).await
    }
    async fn instruments(&self) -> Result<Vec<Instrument>> {
        self.inner.instruments().await
    }
    async fn symbols(&self, query: &SymbolQuery) -> Result<SymbolPage> {
        self.check()?;
        self.inner.symbols(query).await
    }
    async fn quotes(&self, s: &[Symbol]) -> Result<Vec<InstrumentQuote>> {
        self.check()?;
        self.inner.quotes(s).await
    }
}

#[async_trait]
impl ForecastLedger for Faulty {
    async fn record(&self, fans: Vec<Fan>) -> Result<Vec<Recorded>> {
        self.inner.record(fans).await
    }
    async fn due(
        &self,
        s: &Symbol,
        i: Interval,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<OpenForecast>> {
        self.inner.due(s, i, now, limit).await
    }
    async fn score(&self, outcomes: Vec<StepOutcome>) -> Result<usize> {
        self.inner.score(outcomes).await
    }
    async fn ledger_of(&self, queries: &[LedgerQuery]) -> Result<Vec<Vec<LedgerRow>>> {
        self.inner.ledger_of(queries).await
    }
    async fn scoreboard(&self, s: Option<&Symbol>, i: Option<Interval>) -> Result<Vec<ScoreRow>> {
        self.inner.scoreboard(s, i).await
    }
}

#[async_trait]
impl DeadLetterLog for Faulty {
    async fn reject(&self, rejects: Vec<Reject>, at: Timestamp) -> Result<RejectReport> {
        let done = self.inner.reject(rejects, at).await?;
        let lost = |left: usize| left.checked_sub(1);
        let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
        match self.lost_answers.fetch_update(set, fetch, lost) {
            Ok(_) => Err(self.fault.clone()),
            Err(_) => Ok(done),
        }
    }
    async fn open_dead_letters(
        &self,
        reason: Option<RejectReason>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        self.inner.open_dead_letters(reason, after, limit).await
    }
    async fn dead_letter_counts(&self) -> Result<Vec<ReasonCount>> {
        self.inner.dead_letter_counts().await
    }
    async fn dropped_dead_letters(&self) -> Result<Vec<DroppedCount>> {
        self.inner.dropped_dead_letters().await
    }
}

#[async_trait]
impl DeadLetterStore for Faulty {
    async fn mark_replayed(&self, ids: Vec<i64>) -> Result<usize> {
        self.inner.mark_replayed(ids).await
    }
    async fn discard(&self, reason: Option<RejectReason>, source: Option<&str>) -> Result<u64> {
        self.inner.discard(reason, source).await
    }
}

#[async_trait]
impl Readiness for Faulty {
    async fn ready(&self) -> Result<()> {
        self.check()?;
        self.inner.ready().await
    }
}

#[async_trait]
impl TickRetention for Faulty {
    async fn remove_ticks(&self, before: Timestamp) -> Result<Removed> {
        self.inner.remove_ticks(before).await
    }
}

#[async_trait]
impl BarRetention for Faulty {
    async fn remove_bars(&self, interval: Interval, before: Timestamp) -> Result<Removed> {
        self.inner.remove_bars(interval, before).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_now_and_then_loses_nothing_and_readers_miss_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Faulty::new(open(dir.path()).await));
    let batches = (0..80u64)
        .map(|n| {
            (0..10)
                .map(|k| {
                    let name = if k % 2 == 0 { "AAA" } else { "BBB" };
                    tick(name, n as i64, n * 10 + k, 1.0)
                })
                .collect()
        })
        .collect();
    let source = Batches {
        batches,
        taken: Arc::default(),
        fails_before: None,
    };
    let mut config = config();
    config.consume.batch_rows = 7;
    let pipeline = start_with(
        config,
        store.ports(),
        vec![SourceSpec::once(Box::new(source))],
    )
    .await;
    let session = pipeline.live.connect();
    session.request(resume("AAA", 0, &[]));
    until(|| async { stored(&*store, "AAA", 0).await.len() == 400 }).await;
    until(|| async { stored(&*store, "BBB", 0).await.len() == 400 }).await;
    // One write more that goes through, for the readers of a symbol whose last answer was lost.
    for name in ["AAA", "BBB"] {
        let last = || vec![tick(name, 99, 9_999, 2.0)];
        while pipeline.sink.write(last(), None).await.is_err() {}
    }
    let last = store.latest_tick(&symbol("AAA")).await.unwrap().unwrap();
    let mut seen = Seen::default();
    seen.read_to(&session, last.position).await;
    assert_eq!((seen.snapshots, seen.skipped), (0, 0));
    assert_eq!(seen.ticks, stored(&*store, "AAA", 0).await);
    assert!(pipeline.stats().await.store_errors.total > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_found_no_prices_gets_the_first_ones_though_their_answer_was_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = Faulty::new(open(dir.path()).await);
    // The first append is written, and its answer is lost.
    store.calls.store(3, Ordering::SeqCst);
    let store = Arc::new(store);
    let pipeline = start(config(), store.ports()).await;
    let session = pipeline.live.connect();
    session.request(subscribe(&["AAA"], &[]));
    let mut seen = Seen::default();
    while seen.snapshots == 0 {
        seen.take(&next(&session).await);
    }
    assert_eq!(seen.seq, 0);
    let write = async |second| {
        let ticks = vec![tick("AAA", second, second as u64, 1.0)];
        pipeline.sink.write(ticks, None).await
    };
    assert!(write(1).await.is_err());
    write(2).await.unwrap();
    let last = store.latest_tick(&symbol("AAA")).await.unwrap().unwrap();
    seen.read_to(&session, last.position).await;
    assert_eq!(seen.snapshots, 1);
    assert_eq!(seen.ticks, [tick("AAA", 1, 1, 1.0), tick("AAA", 2, 2, 1.0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_nothing_is_committed_and_nothing_is_lost() {
    let detail = || "away".to_owned();
    // Full or away; not allowed to us; a fault of its own. None of it is a fault of the rows.
    nothing_is_lost_while(StoreError::Unavailable { detail: detail() }).await;
    nothing_is_lost_while(StoreError::Refused { detail: detail() }).await;
    nothing_is_lost_while(StoreError::Internal { detail: detail() }).await;
}

async fn nothing_is_lost_while(fault: StoreError) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Faulty::new(open(dir.path()).await);
    store.fault = fault;
    let store = Arc::new(store);
    store.away.store(true, Ordering::SeqCst);
    let batches = (0..20u64).map(|n| vec![tick("AAA", n as i64, n, 1.0)]);
    let source = Batches {
        batches: batches.collect(),
        taken: Arc::default(),
        fails_before: None,
    };
    let pipeline = start_with(
        config(),
        store.ports(),
        vec![SourceSpec::once(Box::new(source))],
    )
    .await;
    until(|| async { pipeline.stats().await.store_errors.total > 3 }).await;
    until(|| async { pipeline.stats().await.bus_lag_records == Some(20) }).await;
    store.away.store(false, Ordering::SeqCst);
    until(|| async { stored(&*store, "AAA", 0).await.len() == 20 }).await;
    until(|| async { pipeline.stats().await.bus_lag_records == Some(0) }).await;
    let letters = store.open_dead_letters(None, 0, 10).await.unwrap();
    assert!(letters.is_empty(), "{letters:?}");
    assert!(pipeline.shutdown(Duration::from_secs(30)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_whose_answer_was_lost_are_kept_once_when_they_are_put_aside_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Faulty::new(open(dir.path()).await));
    store.lost_answers.store(3, Ordering::SeqCst);
    // The same bad row twice in a batch, and once in the next: three letters.
    let bad = || tick("AAA", 1, 1, -1.0);
    let source = Batches {
        batches: vec![
            vec![bad(), bad()],
            vec![bad()],
            vec![tick("AAA", 2, 2, 5.0)],
        ],
        taken: Arc::default(),
        fails_before: None,
    };
    let sources = vec![SourceSpec::once(Box::new(source))];
    let pipeline = start_with(config(), store.ports(), sources).await;
    until(|| async { stored(&*store, "AAA", 0).await.len() == 1 }).await;
    let letters = store.open_dead_letters(None, 0, 10).await.unwrap();
    assert_eq!(letters.len(), 3, "{letters:?}");
    assert_eq!(store.lost_answers.load(Ordering::SeqCst), 0);
    assert!(pipeline.shutdown(Duration::from_secs(30)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_subscribes_while_the_store_is_away_gets_its_symbols_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let inner = open(dir.path()).await;
    for name in ["AAA", "BBB"] {
        inner.append(vec![tick(name, 1, 1, 5.0)]).await.unwrap();
    }
    let store = Arc::new(Faulty::new(inner));
    let mut config = config();
    config.live.heartbeat_ms = 50;
    let pipeline = start(config, store.ports()).await;
    store.away.store(true, Ordering::SeqCst);
    let session = pipeline.live.connect();
    session.request(subscribe(&["AAA"], &[]));
    session.request(resume("BBB", 0, &[]));
    let mut heartbeats = 0;
    while heartbeats < 3 {
        match next(&session).await {
            LiveMessage::Heartbeat { .. } => heartbeats += 1,
            LiveMessage::Hello { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    store.away.store(false, Ordering::SeqCst);
    let mut got = Vec::new();
    while got.len() < 2 {
        match next(&session).await {
            LiveMessage::Heartbeat { .. } => {}
            LiveMessage::Snapshot { symbol, last, .. } => {
                assert_eq!(last.unwrap().seq, 1);
                got.push(symbol.to_string());
            }
            LiveMessage::Ticks { symbol, ticks, .. } => {
                assert_eq!(ticks.len(), 1);
                got.push(symbol.to_string());
            }
            other => panic!("{other:?}"),
        }
    }
    got.sort_unstable();
    assert_eq!(got, ["AAA", "BBB"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_caller_hangs_up_is_shown_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let pipeline = start(config(), store.clone()).await;
    let session = pipeline.live.connect();
    session.request(resume("AAA", 0, &[]));
    for seq in 1..=50u64 {
        let write = pipeline.sink.write(vec![tick("AAA", 1, seq, 1.0)], None);
        let _ = tokio::time::timeout(Duration::from_micros(seq * 5), write).await;
    }
    let last = vec![tick("AAA", 2, 51, 1.0)];
    let last = pipeline.sink.write(last, None).await.unwrap().stored[0].position;
    let mut seen = Seen::default();
    seen.read_to(&session, last).await;
    assert_eq!(seen.ticks, stored(&*store, "AAA", 0).await);
}

/// A topic of dead letters that refuses, or notes what it is told.
#[derive(Default)]
struct Outlet {
    refuses: bool,
    told: std::sync::Mutex<Vec<(Option<bus::Position>, String)>>,
}

#[async_trait]
impl DeadLetterOutlet for Outlet {
    async fn publish(&self, rejects: &[(Option<bus::Position>, Reject)]) -> bus::Result<()> {
        let told = rejects.iter().map(|(at, r)| (*at, r.payload.clone()));
        self.told.lock().unwrap().extend(told);
        if self.refuses {
            return Err(bus::BusError::Configuration {
                detail: "no right to write the topic".into(),
            });
        }
        Ok(())
    }
}

async fn start_with_outlet(
    store: Arc<SqliteStore>,
    outlet: Arc<Outlet>,
    sources: Vec<SourceSpec>,
) -> (Pipeline, Arc<dyn bus::EventBus>) {
    let bus = memory_bus();
    let parts = Parts {
        bus: bus.clone(),
        store: store.into(),
        clock: Wall::new(at(10_000_000)).clock(),
        sources,
        log: None,
        shared_store: false,
        dead_letters: Some(outlet),
    };
    let pipeline = Pipeline::start_as(Role::Serve, config(), parts);
    (pipeline.await.unwrap(), bus)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_dead_letters_that_refuses_stops_no_good_row() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let outlet = Arc::new(Outlet {
        refuses: true,
        ..Outlet::default()
    });
    let source = Batches {
        batches: vec![vec![tick("AAA", 1, 1, -1.0)], vec![tick("AAA", 2, 2, 5.0)]],
        taken: Arc::default(),
        fails_before: None,
    };
    let sources = vec![SourceSpec::once(Box::new(source))];
    let (pipeline, bus) = start_with_outlet(store.clone(), outlet.clone(), sources).await;
    // A bad row on the bus itself, then a good one of the same symbol.
    let record = |payload: &str| bus::Record {
        key: "BBB".into(),
        source: "test".into(),
        source_offset: None,
        received: std::time::Instant::now(),
        payload: bus::Payload::Raw(payload.to_owned().into_bytes().into()),
    };
    let good = serde_json::to_string(&tick("BBB", 1, 1, 7.0)).unwrap();
    // Decoded by whoever published it, whose clock may be another.
    let ahead = bus::Record {
        payload: bus::Payload::Ticks([tick("BBB", 20_000_000, 2, 8.0)].into()),
        ..record("")
    };
    let records = vec![record("nonsense"), ahead, record(&good)];
    bus.publish(&pipeline.config().topic, records)
        .await
        .unwrap();
    until(|| async { stored(&*store, "AAA", 0).await.len() == 1 }).await;
    until(|| async { stored(&*store, "BBB", 0).await.len() == 1 }).await;
    let letters = store.open_dead_letters(None, 0, 10).await.unwrap();
    assert_eq!(letters.len(), 3, "{letters:?}");
    let reasons: Vec<_> = letters.iter().map(|l| l.reject.reason).collect();
    assert!(
        reasons.contains(&RejectReason::FutureTimestamp),
        "{letters:?}"
    );
    let told = outlet.told.lock().unwrap().clone();
    let from_the_bus = told.iter().find(|(_, payload)| payload == "nonsense");
    assert!(from_the_bus.unwrap().0.is_some(), "{told:?}");
    assert!(told.iter().any(|(at, _)| at.is_none()), "{told:?}");
    assert!(pipeline.shutdown(Duration::from_secs(30)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_topic_of_dead_letters_is_told_of_pushed_rows_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let outlet = Arc::new(Outlet::default());
    let (pipeline, _bus) = start_with_outlet(store.clone(), outlet.clone(), Vec::new()).await;
    let reject = Reject::new(RejectReason::BadPrice, "", "push", "pushed");
    let now = std::time::Instant::now();
    let pushed = pipeline.push(vec![tick("AAA", 1, 1, 2.0)], Vec::new(), now);
    assert_eq!(pushed.await.unwrap().stored, 1);
    pipeline.push_rejects(vec![reject], 0).await.unwrap();
    assert_eq!(*outlet.told.lock().unwrap(), [(None, "pushed".to_owned())]);
    let letters = store.open_dead_letters(None, 0, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
}
