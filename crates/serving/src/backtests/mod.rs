//! Backtests on request: of stored symbols, with progress, and stopped when nobody waits for them.
//!
//! Model: a bounded number is computed at once, each on a pool of threads of its own that is its
//! share of the cores; a further request is refused rather than queued. A [`BacktestRun`] is the
//! caller's hold on one: it tells how far it is, dropping it stops it, and so does [`Backtests::stop`]
//! with its number. A stopped backtest ends in the middle of its fits, and counts until then. What it takes is
//! estimated before it starts, and one that would take too long is refused.
//!
//! What it does not do: keep reports; who holds the run gets the report, once.

mod plan;
mod request;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use forecast::Providers;
use futures::{FutureExt as _, future::BoxFuture};
use market::{Interval, Symbol, Timestamp};
use tokio::sync::Semaphore;

use self::plan::{Job, Plan, threads};
pub use self::request::{BacktestEvent, BacktestRequest, Backtested};
use crate::{
    BacktestStats, Result, ServingError, config::BacktestConfig, cpu::Cpu,
    series_reader::SeriesReader, stats::Counters,
};

/// How often a run tells how far it is.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Runs backtests. Cheap to clone.
#[derive(Clone)]
pub struct Backtests {
    inner: Arc<Inner>,
}

struct Inner {
    reader: SeriesReader,
    /// What a request may name.
    models: Providers,
    config: BacktestConfig,
    slots: Arc<Semaphore>,
    next: AtomicU64,
    running: Mutex<HashMap<u64, Arc<Job>>>,
    counters: Arc<Counters>,
}

impl std::fmt::Debug for Backtests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backtests")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Backtests {
    pub(crate) fn new(
        reader: SeriesReader,
        models: Providers,
        config: BacktestConfig,
        now: Timestamp,
        counters: Arc<Counters>,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(config.in_flight.max(1)));
        // Numbers do not begin anew with the process: a page that is older than it must not stop
        // somebody else's run.
        let first = u64::try_from(now.as_micros()).unwrap_or(1);
        Self {
            inner: Arc::new(Inner {
                reader,
                models,
                config,
                slots,
                next: AtomicU64::new(first),
                running: Mutex::default(),
                counters,
            }),
        }
    }

    /// Reads the series and begins; [`BacktestRun::next`] drives it.
    ///
    /// # Errors
    /// Invalid, with the field; busy; closed; the store's.
    pub async fn start(&self, request: BacktestRequest) -> Result<BacktestRun> {
        let inner = &self.inner;
        let plan = Plan::new(&request, &inner.models, &inner.config)?;
        let slot = Arc::clone(&inner.slots)
            .try_acquire_owned()
            .map_err(|error| match error {
                tokio::sync::TryAcquireError::Closed => ServingError::Closed,
                tokio::sync::TryAcquireError::NoPermits => {
                    inner.counters.backtests_refused.add(1);
                    ServingError::Busy {
                        what: "backtests",
                        limit: inner.config.in_flight,
                    }
                }
            })?;
        let mut series = Vec::with_capacity(plan.symbols.len());
        for symbol in &plan.symbols {
            let read = inner
                .reader
                .closes(symbol, request.interval, inner.config.window_bars);
            match read.await {
                Ok(closes) => series.push((symbol.clone(), Ok(closes))),
                Err(e @ ServingError::NotFound { .. }) => {
                    series.push((symbol.clone(), Err(e.to_string())));
                }
                Err(e) => return Err(e),
            }
        }
        plan.check(&series)?;
        let cpu = Cpu::with_threads("backtest", threads(&inner.config))?;
        let job = Arc::new(Job::default());
        let id = inner.next.fetch_add(1, Ordering::Relaxed);
        let symbols = plan.symbols.clone();
        job.all.store(plan.fits(), Ordering::Relaxed);
        self.running().insert(id, Arc::clone(&job));
        let shared = Arc::clone(&job);
        let work = async move {
            cpu.run(move || {
                let _slot = slot;
                plan.run(series, &shared)
            })
            .await
        };
        Ok(BacktestRun {
            id,
            symbols,
            job,
            work: Some(work.boxed()),
            told: false,
            backtests: self.clone(),
        })
    }

    /// How many closes of a symbol a backtest sees; 0 where there is no closed bar.
    ///
    /// # Errors
    /// The store's.
    pub async fn closes(&self, symbol: &Symbol, interval: Interval) -> Result<usize> {
        let inner = &self.inner;
        let read = inner
            .reader
            .closes(symbol, interval, inner.config.window_bars);
        match read.await {
            Ok(closes) => Ok(closes.values.len()),
            Err(ServingError::NotFound { .. }) => Ok(0),
            Err(e) => Err(e),
        }
    }

    /// Stops a run. False when there is none of that number.
    pub fn stop(&self, id: u64) -> bool {
        let job = self.running().get(&id).cloned();
        job.is_some_and(|job| {
            job.stop.cancel();
            true
        })
    }

    /// Stops every run and takes no more.
    pub(crate) fn close(&self) {
        self.inner.slots.close();
        for job in self.running().values() {
            job.stop.cancel();
        }
    }

    /// How it stands.
    pub fn stats(&self) -> BacktestStats {
        let (inner, limit) = (&self.inner, self.inner.config.in_flight.max(1));
        BacktestStats {
            in_flight: limit - inner.slots.available_permits().min(limit),
            finished: inner.counters.backtests.read(),
            refused: inner.counters.backtests_refused.read(),
            stopped: inner.counters.backtests_stopped.read(),
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Job>>> {
        let running = &self.inner.running;
        running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A backtest, running. Dropping it stops it.
pub struct BacktestRun {
    id: u64,
    symbols: Vec<Symbol>,
    job: Arc<Job>,
    work: Option<BoxFuture<'static, Result<Option<Vec<Backtested>>>>>,
    told: bool,
    backtests: Backtests,
}

impl std::fmt::Debug for BacktestRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BacktestRun")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl BacktestRun {
    /// Its number, for [`Backtests::stop`].
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// What there is to tell next: at once when it has just begun, else after a moment. `None` after
    /// the end.
    ///
    /// # Errors
    /// A computation that panicked; then it is over.
    pub async fn next(&mut self) -> Option<Result<BacktestEvent>> {
        let work = self.work.as_mut()?;
        // The work begins when it is first polled, so it is polled first.
        let pause = if self.told {
            TELL_EVERY
        } else {
            Duration::ZERO
        };
        self.told = true;
        tokio::select! {
            biased;
            done = work => {
                self.work = None;
                let counters = &self.backtests.inner.counters;
                Some(done.map(|found| match found {
                    Some(found) => {
                        counters.backtests.add(1);
                        BacktestEvent::Finished(found)
                    }
                    None => {
                        counters.backtests_stopped.add(1);
                        BacktestEvent::Stopped
                    }
                }))
            }
            () = tokio::time::sleep(pause) => Some(Ok(self.progress())),
        }
    }

    fn progress(&self) -> BacktestEvent {
        let at = self.job.series.load(Ordering::Relaxed);
        let symbol = &self.symbols[at.min(self.symbols.len() - 1)];
        BacktestEvent::Progress {
            done: self.job.done.load(Ordering::Relaxed),
            all: self.job.all.load(Ordering::Relaxed),
            symbol: symbol.clone(),
        }
    }
}

impl Drop for BacktestRun {
    fn drop(&mut self) {
        self.backtests.running().remove(&self.id);
        if self.work.is_some() {
            self.job.stop.cancel();
            self.backtests.inner.counters.backtests_stopped.add(1);
        }
    }
}
