//! A store in a directory of its own, closes in it, and workers with a clock that tests set.

#![allow(dead_code, reason = "each test uses a part")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use forecast::Providers;
use market::{Bar, Interval, Symbol, Tick, Timestamp};
use mlops::{
    Worker, WorkerConfig, WorkerPorts,
    calendar::Calendars,
    jobs::{TrainPayload, train_jobs},
    training::Round,
    worker::CHAMPION,
};
use store::{
    AliasMove, AliasTarget, Artefacts, BarQuery, Instrument, InstrumentQuote, Job, JobKind,
    JobState, JobStore as _, ModelRegistry as _, NewVersion, PriceReader, PriceWriter as _,
    Publication, SqliteOptions, SqliteStore, StoreError, StorePorts, StoredTick, SymbolPage,
    SymbolQuery, VersionQuery,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::closes::{closes, day};

pub struct Workplace {
    pub store: Arc<SqliteStore>,
    pub now: Arc<AtomicI64>,
    pub dir: tempfile::TempDir,
}

impl Workplace {
    /// As of the end of day `days`.
    pub async fn open(days: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(dir.path()))
            .await
            .unwrap();
        let now = Arc::new(AtomicI64::new(0));
        let place = Self {
            store: Arc::new(store),
            now,
            dir,
        };
        place.set(day(days));
        place
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::SeqCst))
    }

    pub fn set(&self, now: Timestamp) {
        self.now.store(now.as_micros(), Ordering::SeqCst);
    }

    /// Daily bars of a symbol with these closes, from day 0 on.
    pub async fn put_closes(&self, symbol: &str, closes: &[f64]) {
        self.put_closes_without(symbol, closes, None).await;
    }

    /// As these, but for one day that is missing.
    pub async fn put_closes_without(&self, symbol: &str, closes: &[f64], missing: Option<usize>) {
        let all = closes.iter().enumerate();
        let bars = all.filter(|(n, _)| Some(*n) != missing).map(|(n, close)| {
            let tick = Tick {
                symbol: symbol.parse().unwrap(),
                ts: day(n),
                seq: 0,
                price: *close,
                size: 1.0,
            };
            Bar::from_tick(&tick, Interval::D1)
        });
        self.store.put_bars(bars.collect()).await.unwrap();
    }

    pub fn ports(&self) -> WorkerPorts {
        let ports = StorePorts::of_database(self.store.clone());
        WorkerPorts::from(&ports.database.unwrap())
    }

    pub fn worker(&self, name: &str) -> Worker {
        self.worker_with(name, self.ports(), |_| {})
    }

    pub fn worker_with(
        &self,
        name: &str,
        ports: WorkerPorts,
        change: impl FnOnce(&mut WorkerConfig),
    ) -> Worker {
        self.worker_that_knows(Providers::classical(), name, ports, change)
    }

    /// One with models of its own.
    pub fn worker_that_knows(
        &self,
        providers: Providers,
        name: &str,
        ports: WorkerPorts,
        change: impl FnOnce(&mut WorkerConfig),
    ) -> Worker {
        let mut config = WorkerConfig {
            slots: 1,
            threads: 2,
            heartbeat: Duration::from_millis(20),
            idle: Duration::from_millis(5),
            ..WorkerConfig::new(name, "test")
        };
        change(&mut config);
        let now = Arc::clone(&self.now);
        let clock = Arc::new(move || Timestamp::from_micros(now.load(Ordering::SeqCst)));
        Worker::new(ports, providers, Calendars::builtin(), config, clock).unwrap()
    }

    /// Submits a training of each symbol.
    pub async fn submit(&self, symbols: &[&str], key: Option<&str>) -> Vec<i64> {
        self.submit_as(&payload(), symbols, key).await
    }

    pub async fn submit_as(
        &self,
        payload: &TrainPayload,
        symbols: &[&str],
        key: Option<&str>,
    ) -> Vec<i64> {
        let symbols: Vec<Symbol> = symbols.iter().map(|text| text.parse().unwrap()).collect();
        let jobs = train_jobs(payload, &symbols, key, self.now(), "ann").unwrap();
        let submitted = self.store.submit(jobs, self.now()).await.unwrap();
        submitted.into_iter().map(store::Submitted::id).collect()
    }

    pub async fn job(&self, id: i64) -> Job {
        self.store.job(id).await.unwrap().unwrap()
    }

    /// A job that has ended as it should.
    pub async fn ended(&self, id: i64, state: JobState) -> Job {
        let job = self.job(id).await;
        assert_eq!(job.state, state, "{job:?}");
        job
    }

    pub async fn log(&self, id: i64) -> String {
        let lines = self.store.job_log(id, 0, 1_000).await.unwrap();
        let lines: Vec<String> = lines.into_iter().map(|line| line.text).collect();
        lines.join("\n")
    }
}

/// A round with short fits and few origins.
pub fn payload() -> TrainPayload {
    let symbol = "ACME".parse().unwrap();
    TrainPayload {
        candidates: Some(vec!["arima(1,1,0)".parse().unwrap()]),
        window: Some(100),
        refit_every: Some(75),
        held_out_origins: Some(150),
        // A machine that is busy makes no model too slow here.
        latency_budget_ms: Some(60_000.0),
        ..TrainPayload::new(symbol, Interval::D1)
    }
}

/// Does everything that is due.
pub async fn run(worker: &Worker) -> usize {
    worker.run_due(&CancellationToken::new()).await.unwrap()
}

/// The store's prices behind a gate: who reads bars says so, and waits until it is let through.
pub struct Gate {
    inner: Arc<dyn PriceReader>,
    arrived: Semaphore,
    open: Semaphore,
}

impl Gate {
    pub fn before(inner: Arc<dyn PriceReader>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            arrived: Semaphore::new(0),
            open: Semaphore::new(0),
        })
    }

    /// Waits until somebody waits.
    pub async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    /// Lets one through.
    pub fn open(&self) {
        self.open.add_permits(1);
    }
}

#[async_trait]
impl PriceReader for Gate {
    async fn ticks_after(&self, s: &Symbol, p: u64, n: usize) -> store::Result<Vec<StoredTick>> {
        self.inner.ticks_after(s, p, n).await
    }

    async fn ticks(
        &self,
        symbol: &Symbol,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> store::Result<Vec<Tick>> {
        self.inner.ticks(symbol, from, until, limit).await
    }

    async fn latest_tick(&self, symbol: &Symbol) -> store::Result<Option<StoredTick>> {
        self.inner.latest_tick(symbol).await
    }

    async fn bars_of(&self, queries: &[BarQuery]) -> store::Result<Vec<Vec<Bar>>> {
        self.arrived.add_permits(1);
        self.open.acquire().await.unwrap().forget();
        self.inner.bars_of(queries).await
    }

    async fn instruments(&self) -> store::Result<Vec<Instrument>> {
        self.inner.instruments().await
    }

    async fn symbols(&self, query: &SymbolQuery) -> store::Result<SymbolPage> {
        self.inner.symbols(query).await
    }

    async fn quotes(&self, symbols: &[Symbol]) -> store::Result<Vec<InstrumentQuote>> {
        self.inner.quotes(symbols).await
    }
}

/// The store's files on a disk that is full for so many writes.
pub struct FullDisk {
    pub inner: Arc<dyn Artefacts>,
    pub refusals: AtomicUsize,
}

#[async_trait]
impl Artefacts for FullDisk {
    async fn put(&self, content: Vec<u8>) -> store::Result<String> {
        let count = |left: usize| left.checked_sub(1);
        let refused = self
            .refusals
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, count);
        if refused.is_ok() {
            return Err(StoreError::Unavailable {
                detail: "no space left on device".into(),
            });
        }
        self.inner.put(content).await
    }

    async fn get(&self, sha256: &str) -> store::Result<Vec<u8>> {
        self.inner.get(sha256).await
    }

    async fn has(&self, sha256: &str) -> store::Result<bool> {
        self.inner.has(sha256).await
    }
}

/// Every kind of jobs.
pub const KINDS: &[JobKind] = &JobKind::ALL;

/// The name that trainings of ACME have.
pub const NAME: &str = "close-1d.ACME";

/// Closes with an autocorrelation that every gate finds.
pub fn strong(seed: u64, days: usize) -> Vec<f64> {
    closes(seed, 0.8, days)
}

/// The versions of a name, the newest first.
pub async fn versions(place: &Workplace, name: &str) -> Vec<u32> {
    let query = VersionQuery {
        name: Some(name.into()),
        limit: 100,
        ..VersionQuery::default()
    };
    let versions = place.store.versions(&query).await.unwrap();
    versions
        .into_iter()
        .map(|version| version.version)
        .collect()
}

/// The rounds of a name, the newest first.
pub async fn rounds(place: &Workplace, name: &str) -> Vec<Round> {
    let verdicts = place.store.verdicts(Some(name), None, 100).await.unwrap();
    let numbers = verdicts.into_iter().map(|verdict| verdict.verdict.numbers);
    numbers
        .map(|numbers| serde_json::from_value(numbers).unwrap())
        .collect()
}

/// A worker that waits before it reads closes, at work on the only job.
pub async fn held(
    place: &Workplace,
    change: impl FnOnce(&mut WorkerConfig),
) -> (Arc<Gate>, CancellationToken, tokio::task::JoinHandle<usize>) {
    let gate = Gate::before(place.store.clone());
    let ports = WorkerPorts {
        prices: gate.clone(),
        ..place.ports()
    };
    let worker = place.worker_with("held", ports, change);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let work = tokio::spawn(async move { worker.run_due(&stopped).await.unwrap() });
    gate.arrived().await;
    (gate, stop, work)
}

/// Another champion, by hand.
pub async fn promote_by_hand(place: &Workplace, reference: &str) {
    let lineage = store::Lineage {
        from: day(0),
        until: day(1),
        rows: 1,
        sha256: "0".repeat(64),
        code_version: "test".into(),
        seed: 0,
        parent: None,
    };
    let version = NewVersion {
        name: NAME.into(),
        reference: reference.into(),
        lineage,
        measures: serde_json::Value::Null,
        artefacts: Vec::new(),
        created_by: "ben".into(),
        note: String::new(),
    };
    let alias = AliasMove {
        name: NAME.into(),
        alias: CHAMPION.into(),
        to: AliasTarget::New,
        expected: None,
        by: "ben".into(),
        why: "by hand".into(),
    };
    let publication = Publication {
        version: Some(version),
        aliases: vec![alias],
        ..Publication::default()
    };
    place.store.publish(publication, place.now()).await.unwrap();
}
