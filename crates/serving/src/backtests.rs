//! Backtests on request: of stored symbols, with progress, and stopped when nobody waits for them.
//!
//! Model: a bounded number is computed at once, each on a pool of threads of its own that is its
//! share of the cores; a further request is refused rather than queued. A [`BacktestRun`] is the
//! caller's hold on one: it tells how far it is, dropping it stops it, and so does [`Backtests::stop`]
//! with its number. A stopped backtest ends in the middle of its fits, and counts until then. What it takes is
//! estimated before it starts, and one that would take too long is refused.
//!
//! What it does not do: keep reports; who holds the run gets the report, once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use forecast::{
    BASELINES, CalibrationOptions, CancelToken, FitOptions, ForecastModel, Providers,
    backtest::{Backtest, Control, Report, Window},
};
use futures::{FutureExt as _, future::BoxFuture};
use market::{Interval, Symbol, Timestamp};
use tokio::sync::Semaphore;

use crate::{
    Result, ServingError,
    config::BacktestConfig,
    cpu::Cpu,
    error::invalid,
    series_reader::{Closes, SeriesReader},
    stats::{BacktestStats, Counters},
};

/// How often a run tells how far it is.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// What to test.
#[derive(Clone, Debug, PartialEq)]
pub struct BacktestRequest {
    /// The symbols, each tested by itself.
    pub symbols: Vec<Symbol>,
    /// The bars' length.
    pub interval: Interval,
    /// The models' names; the baselines always run beside.
    pub models: Vec<String>,
    /// Steps forecast from each origin.
    pub horizon: usize,
    /// Number of origins.
    pub origins: usize,
    /// Steps between origins; the horizon when absent, so that no outcome counts twice.
    pub step: Option<usize>,
    /// How many closes a model sees at most; all up to the origin when absent.
    pub window: Option<usize>,
    /// Whether logarithms are fitted.
    pub log: bool,
}

/// What was found of one symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct Backtested {
    /// The symbol.
    pub symbol: Symbol,
    /// The start of the last bar that was known at each origin, oldest first.
    pub origins: Vec<Timestamp>,
    /// The report; or why there is none, in words.
    pub outcome: std::result::Result<Report, String>,
}

/// What a run has to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum BacktestEvent {
    /// How far it is.
    Progress {
        /// Fits done.
        done: usize,
        /// Fits in all.
        all: usize,
        /// The symbol being tested.
        symbol: Symbol,
    },
    /// It is done: a result for each symbol, in the order asked.
    Finished(Vec<Backtested>),
    /// It was stopped before its end.
    Stopped,
}

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

/// How far a backtest is; shared by those who compute and those who wait.
#[derive(Default)]
struct Job {
    done: AtomicUsize,
    all: AtomicUsize,
    series: AtomicUsize,
    stop: CancelToken,
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

/// The threads of one backtest: its share of the cores.
fn threads(config: &BacktestConfig) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / config.in_flight.max(1)).max(1)
}

/// A request that was checked.
struct Plan {
    symbols: Vec<Symbol>,
    models: Vec<Arc<dyn ForecastModel>>,
    layout: Backtest,
}

impl Plan {
    fn new(
        request: &BacktestRequest,
        providers: &Providers,
        config: &BacktestConfig,
    ) -> Result<Self> {
        let symbols = each_once(request.symbols.iter().cloned());
        let most = config.max_symbols;
        if symbols.is_empty() || symbols.len() > most {
            let detail = format!("expected 1 to {most}, got {}", symbols.len());
            return Err(invalid("symbols", detail));
        }
        let mut models: Vec<Arc<dyn ForecastModel>> = Vec::new();
        for name in &request.models {
            let model = providers
                .parse(name)
                .map_err(|e| invalid("models", e.to_string()))?;
            if models.iter().all(|known| known.name() != model.name()) {
                models.push(model);
            }
        }
        if models.is_empty() {
            return Err(invalid("models", "expected at least one"));
        }
        let within = |field, value: usize, most: usize| {
            if (1..=most).contains(&value) {
                return Ok(value);
            }
            Err(invalid(field, format!("expected 1 to {most}, got {value}")))
        };
        let horizon = within("horizon", request.horizon, config.max_horizon)?;
        let origins = within("origins", request.origins, config.window_bars)?;
        let step = within("step", request.step.unwrap_or(horizon), config.window_bars)?;
        let window = match request.window {
            Some(window) => Window::Sliding(within("window", window, config.window_bars)?),
            None => Window::Expanding,
        };
        let layout = Backtest {
            horizon,
            origins,
            step,
            window,
            options: FitOptions {
                season: request.interval.default_season(),
                log: request.log,
                ..FitOptions::default()
            },
            calibration: CalibrationOptions::new(config.calibration, horizon),
            ..Backtest::default()
        };
        let plan = Self {
            symbols,
            models,
            layout,
        };
        if plan.fits() > config.max_fits {
            let detail = format!(
                "{} symbols with {} models from {origins} origins are {} fits: expected at most {}",
                plan.symbols.len(),
                plan.rows(),
                plan.fits(),
                config.max_fits
            );
            return Err(invalid("origins", detail));
        }
        let seconds = plan.seconds(config.window_bars) / threads(config) as f64;
        if seconds > config.max_seconds as f64 {
            let detail = format!(
                "{} fits would take some {:.0} min, and the limit is {} min: expected fewer origins, symbols or \
                 models, or a window",
                plan.fits(),
                seconds / 60.0,
                config.max_seconds / 60
            );
            return Err(invalid("origins", detail));
        }
        Ok(plan)
    }

    /// About how long one thread takes, in seconds, on series of `most` values.
    fn seconds(&self, most: usize) -> f64 {
        let values = match self.layout.window {
            Window::Sliding(window) => window.min(most),
            Window::Expanding => most,
        };
        let each = self.models.iter().map(|model| {
            let cost = model.cost(values, false, &self.layout.options);
            self.layout.calibration.method.fits() * cost.seconds()
        });
        each.sum::<f64>() * (self.symbols.len() * self.layout.origins) as f64
    }

    /// Models with the baselines that run beside them.
    fn rows(&self) -> usize {
        let asked = |name: &&str| self.models.iter().any(|m| m.name() == **name);
        self.models.len() + BASELINES.iter().filter(|name| !asked(name)).count()
    }

    fn fits(&self) -> usize {
        self.symbols.len() * self.rows() * self.layout.origins
    }

    /// Whether any series is long enough; what is none is a result of its own beside the others'.
    fn check(&self, series: &[(Symbol, std::result::Result<Closes, String>)]) -> Result<()> {
        let mut why = None;
        for (symbol, closes) in series {
            let fault = match closes {
                Ok(closes) => match self.layout.fits(closes.values.len()) {
                    Ok(()) => return Ok(()),
                    Err(e) => format!("{symbol}: {e}"),
                },
                Err(e) => e.clone(),
            };
            why.get_or_insert(fault);
        }
        why.map_or(Ok(()), |why| Err(invalid("origins", why)))
    }

    /// One symbol after the other, the folds of each in parallel. `None` when it was stopped.
    fn run(
        &self,
        series: Vec<(Symbol, std::result::Result<Closes, String>)>,
        job: &Job,
    ) -> Option<Vec<Backtested>> {
        let began = Instant::now();
        let clock = || began.elapsed().as_secs_f64();
        let count = series.len();
        let mut found = Vec::with_capacity(count);
        for (at, (symbol, closes)) in series.into_iter().enumerate() {
            job.series.store(at, Ordering::Relaxed);
            let tell = |done: usize, all: usize| {
                job.all.store(all * count, Ordering::Relaxed);
                // Threads tell in any order; what is shown only grows.
                job.done.fetch_max(at * all + done, Ordering::Relaxed);
            };
            let control = Control {
                progress: Some(&tell),
                cancel: Some(&job.stop),
                clock: Some(&clock),
            };
            let (origins, outcome) = match closes {
                Err(why) => (Vec::new(), Err(why)),
                Ok(closes) => match self.layout.run(&closes.values, &self.models, control) {
                    Err(forecast::Error::Cancelled) => return None,
                    Err(e) => (Vec::new(), Err(e.to_string())),
                    Ok(report) => (origins(&report, &closes.starts), Ok(report)),
                },
            };
            found.push(Backtested {
                symbol,
                origins,
                outcome,
            });
        }
        (!job.stop.is_cancelled()).then_some(found)
    }
}

/// The start of the last bar that was known at each origin.
fn origins(report: &Report, starts: &[Timestamp]) -> Vec<Timestamp> {
    let folds = report.models.first().map_or(&[][..], |row| &row.folds);
    let last = |known: usize| starts.get(known.checked_sub(1)?).copied();
    folds.iter().filter_map(|fold| last(fold.origin)).collect()
}

fn each_once<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut kept, one| {
        if !kept.contains(&one) {
            kept.push(one);
        }
        kept
    })
}
