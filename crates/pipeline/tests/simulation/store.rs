//! The store in front of which faults stand.
//!
//! Each process has one of its own over the same folder. After a kill it answers nothing any more: what
//! the dead process had begun comes to nothing, or had happened already.

use std::{
    path::Path,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
};

use async_trait::async_trait;
use market::{Bar, Fan, Interval, Reject, RejectReason, Symbol, Tick, Timestamp};
use store::*;
use tokio::time::sleep;

use crate::world::{Fate, World};

/// The store of one process.
#[derive(Clone)]
pub struct FaultyStore {
    real: SqliteStore,
    outside: Outside,
    world: Arc<World>,
    alive: Arc<AtomicBool>,
}

/// Where real time passes: a runtime of all worlds that the real store's calls run on.
#[derive(Clone, Copy)]
pub struct Outside;

static OUTSIDE: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
});

impl Outside {
    /// Does something there, and keeps the world standing still meanwhile.
    pub fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let (tell, told) = sync_channel(1);
        OUTSIDE.spawn(async move { tell.send(work.await) });
        told.recv().unwrap()
    }
}

fn away() -> StoreError {
    StoreError::Unavailable {
        detail: "the simulated store is away".into(),
    }
}

impl FaultyStore {
    /// As the stages get it. What they never ask for is the real store's.
    pub fn ports(&self) -> StorePorts {
        let faulty = Arc::new(self.clone());
        let real = StorePorts::of_database(Arc::new(self.real.clone()));
        let database = real.database.map(|real| DatabasePorts {
            prices: faulty.clone(),
            ledger: faulty.clone(),
            dead_letters: faulty.clone(),
            bar_retention: faulty.clone(),
            ..real
        });
        StorePorts {
            prices: faulty.clone(),
            dead_letters: faulty.clone(),
            tick_retention: faulty.clone(),
            readiness: faulty,
            database,
        }
    }

    pub fn open(dir: &Path, outside: Outside, world: &Arc<World>) -> Self {
        let options = SqliteOptions {
            readers: 1,
            ..SqliteOptions::new(dir)
        };
        Self {
            real: outside.run(SqliteStore::open(options)).unwrap(),
            outside,
            world: Arc::clone(world),
            alive: Arc::new(AtomicBool::new(true)),
        }
    }

    /// The process is dead.
    pub fn kill(&self) {
        self.alive.store(false, Ordering::SeqCst);
        let real = self.real.clone();
        self.outside.run(async move { real.close().await }).unwrap();
    }

    /// A call with what becomes of it.
    async fn call<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let fate = self.world.fate();
        match fate {
            Fate::Refused(after) => {
                self.world.story().store_refusals += 1;
                sleep(after).await;
                self.unless_dead().await;
                return Err(away());
            }
            Fate::Done(before, _) => sleep(before).await,
            Fate::Unheard(_) => {}
        }
        self.unless_dead().await;
        let done = self.outside.run(work);
        match fate {
            Fate::Unheard(after) => {
                self.world.story().lost_answers += 1;
                sleep(after).await;
                self.unless_dead().await;
                Err(away())
            }
            Fate::Done(_, after) => {
                sleep(after).await;
                self.unless_dead().await;
                done
            }
            Fate::Refused(_) => done,
        }
    }

    /// A dead process comes no further.
    async fn unless_dead(&self) {
        if !self.alive.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

/// A call that goes to the real store.
macro_rules! call {
    ($self:ident.$method:ident($($argument:ident),*)) => {{
        let real = $self.real.clone();
        $self.call(async move { real.$method($($argument),*).await }).await
    }};
}

#[async_trait]
impl PriceWriter for FaultyStore {
    async fn append(&self, ticks: Vec<Tick>) -> Result<Appended> {
        call!(self.append(ticks))
    }
    async fn put_bars(&self, bars: Vec<Bar>) -> Result<usize> {
        call!(self.put_bars(bars))
    }
}

#[async_trait]
impl PriceReader for FaultyStore {
    async fn ticks_after(&self, s: &Symbol, position: u64, n: usize) -> Result<Vec<StoredTick>> {
        let (real, s) = (self.real.clone(), s.clone());
        self.call(async move { real.ticks_after(&s, position, n).await })
            .await
    }
    async fn ticks(
        &self,
        s: &Symbol,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Tick>> {
        let (real, s) = (self.real.clone(), s.clone());
        self.call(async move { real.ticks(&s, from, until, limit).await })
            .await
    }
    async fn latest_tick(&self, s: &Symbol) -> Result<Option<StoredTick>> {
        let (real, s) = (self.real.clone(), s.clone());
        self.call(async move { real.latest_tick(&s).await }).await
    }
    async fn bars_of(&self, queries: &[BarQuery]) -> Result<Vec<Vec<Bar>>> {
        let (real, queries) = (self.real.clone(), queries.to_vec());
        self.call(async move { real.bars_of(&queries).await }).await
    }
    async fn instruments(&self) -> Result<Vec<Instrument>> {
        call!(self.instruments())
    }
    async fn symbols(&self, query: &SymbolQuery) -> Result<SymbolPage> {
        let (real, query) = (self.real.clone(), query.clone());
        self.call(async move { real.symbols(&query).await }).await
    }
    async fn quotes(&self, s: &[Symbol]) -> Result<Vec<InstrumentQuote>> {
        let (real, s) = (self.real.clone(), s.to_vec());
        self.call(async move { real.quotes(&s).await }).await
    }
}

#[async_trait]
impl ForecastLedger for FaultyStore {
    async fn record(&self, fans: Vec<Fan>) -> Result<Vec<Recorded>> {
        call!(self.record(fans))
    }
    async fn due(
        &self,
        s: &Symbol,
        interval: Interval,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<OpenForecast>> {
        let (real, s) = (self.real.clone(), s.clone());
        self.call(async move { real.due(&s, interval, now, limit).await })
            .await
    }
    async fn score(&self, outcomes: Vec<StepOutcome>) -> Result<usize> {
        call!(self.score(outcomes))
    }
    async fn ledger_of(&self, queries: &[LedgerQuery]) -> Result<Vec<Vec<LedgerRow>>> {
        let (real, queries) = (self.real.clone(), queries.to_vec());
        self.call(async move { real.ledger_of(&queries).await })
            .await
    }
    async fn scoreboard(&self, s: Option<&Symbol>, i: Option<Interval>) -> Result<Vec<ScoreRow>> {
        let (real, s) = (self.real.clone(), s.cloned());
        self.call(async move { real.scoreboard(s.as_ref(), i).await })
            .await
    }
}

#[async_trait]
impl DeadLetterLog for FaultyStore {
    async fn reject(&self, rejects: Vec<Reject>, at: Timestamp) -> Result<RejectReport> {
        call!(self.reject(rejects, at))
    }
    async fn open_dead_letters(
        &self,
        reason: Option<RejectReason>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        call!(self.open_dead_letters(reason, after, limit))
    }
    async fn dead_letter_counts(&self) -> Result<Vec<ReasonCount>> {
        call!(self.dead_letter_counts())
    }
    async fn dropped_dead_letters(&self) -> Result<Vec<DroppedCount>> {
        call!(self.dropped_dead_letters())
    }
}

#[async_trait]
impl DeadLetterStore for FaultyStore {
    async fn mark_replayed(&self, ids: Vec<i64>) -> Result<usize> {
        call!(self.mark_replayed(ids))
    }
    async fn discard(&self, reason: Option<RejectReason>, source: Option<&str>) -> Result<u64> {
        let (real, source) = (self.real.clone(), source.map(str::to_owned));
        self.call(async move { real.discard(reason, source.as_deref()).await })
            .await
    }
}

#[async_trait]
impl Readiness for FaultyStore {
    async fn ready(&self) -> Result<()> {
        call!(self.ready())
    }
}

#[async_trait]
impl TickRetention for FaultyStore {
    async fn remove_ticks(&self, before: Timestamp) -> Result<Removed> {
        call!(self.remove_ticks(before))
    }
}

#[async_trait]
impl BarRetention for FaultyStore {
    async fn remove_bars(&self, interval: Interval, before: Timestamp) -> Result<Removed> {
        call!(self.remove_bars(interval, before))
    }
}
