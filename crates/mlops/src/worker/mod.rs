//! The worker: takes jobs from the store, does them, and writes what they made together with their end.
//!
//! Model: a [`Worker`] has slots; each takes a job under a lease, works on it, and says that it is alive
//! ([`WorkerConfig::heartbeat`]), which is how it hears that somebody asked for the job's end or that another worker
//! has it by now. Computations run on threads of the worker's own and stop within a few steps of a fit when they shall.
//! How an attempt ends:
//!
//! | what happened | the job |
//! | --- | --- |
//! | it was done | succeeded, with what it made in one transaction |
//! | what was asked for cannot be (a payload, closes that are refused) | failed, not tried again |
//! | the store is away, a champion was moved meanwhile, a computation panicked | tried again after a wait that grows |
//! | somebody asked for its end | cancelled |
//! | the lease is another one's | nothing is written |
//! | the worker shall stop | handed back, to be taken at once; a last attempt has [`WorkerConfig::grace`] to end |
//!
//! A process that is killed at any point leaves at most contents of files that no version names: files are put first,
//! and versions, aliases, verdict, messages and the job's end follow as one publication.
//!
//! What it does not do: schedule jobs, deliver messages, or read a wall clock (it is given).

mod attempt;
mod backoff;
mod backtest;
mod networks;
mod report;
mod retention;
mod score;
mod series;
mod tell;
mod train;
mod watch;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use forecast::Providers;
use market::Timestamp;
use store::{
    Artefacts, DatabasePorts, ForecastLedger, JobKind, JobStore, ModelRegistry, Outbox,
    PriceReader, Topic,
};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::backoff::Backoff;
pub use self::{
    tell::messages_of_move,
    watch::{DriftAlarm, Look, Watched},
};
use crate::calendar::Calendars;

/// The alias of what is served.
pub const CHAMPION: &str = "champion";

/// The ports that a worker uses. Cheap to clone.
#[derive(Clone)]
pub struct WorkerPorts {
    /// Its jobs.
    pub jobs: Arc<dyn JobStore>,
    /// Where versions, aliases and verdicts are read.
    pub registry: Arc<dyn ModelRegistry>,
    /// Where files are put and read.
    pub artefacts: Arc<dyn Artefacts>,
    /// The closes.
    pub prices: Arc<dyn PriceReader>,
    /// The live forecasts.
    pub ledger: Arc<dyn ForecastLedger>,
    /// Where messages wait that tell others of an alarm.
    pub outbox: Arc<dyn Outbox>,
}

impl From<&DatabasePorts> for WorkerPorts {
    fn from(ports: &DatabasePorts) -> Self {
        Self {
            jobs: Arc::clone(&ports.jobs),
            registry: Arc::clone(&ports.registry),
            artefacts: Arc::clone(&ports.artefacts),
            prices: Arc::clone(&ports.prices),
            ledger: Arc::clone(&ports.ledger),
            outbox: Arc::clone(&ports.outbox),
        }
    }
}

impl fmt::Debug for WorkerPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPorts").finish_non_exhaustive()
    }
}

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Its name, other than that of every other worker: host and process, for instance.
    pub name: String,
    /// The kinds of jobs that it takes.
    pub kinds: Vec<JobKind>,
    /// Jobs at a time.
    pub slots: usize,
    /// Threads for computations; 0 for one per core.
    pub threads: usize,
    /// For how long a job is its own without a word from it.
    pub lease: Duration,
    /// How often it says that it is alive, and hears whether it shall go on.
    pub heartbeat: Duration,
    /// How often it looks for jobs while there are none.
    pub idle: Duration,
    /// How long a job's last attempt may go on when the worker shall stop.
    pub grace: Duration,
    /// The first wait before a job is tried again; doubled with each attempt.
    pub retry_first: Duration,
    /// The longest wait.
    pub retry_most: Duration,
    /// Where the networks of rounds are kept while they are trained and afterwards; without it a training that is
    /// interrupted begins anew, and each job trains its own.
    pub networks: Option<PathBuf>,
    /// What the spread of waits follows from.
    pub seed: u64,
    /// The version of the program, for lineages.
    pub code_version: String,
    /// Whom rounds of training are told: messages in the outbox, for [`crate::mlflow::Delivery`] and the like.
    pub tell: Vec<Topic>,
}

impl WorkerConfig {
    /// The usual numbers.
    #[must_use]
    pub fn new(name: impl Into<String>, code_version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kinds: JobKind::ALL.to_vec(),
            slots: 2,
            threads: 0,
            lease: Duration::from_secs(60),
            heartbeat: Duration::from_secs(5),
            idle: Duration::from_millis(500),
            grace: Duration::from_secs(20),
            retry_first: Duration::from_secs(5),
            retry_most: Duration::from_secs(600),
            networks: None,
            seed: 0,
            code_version: code_version.into(),
            tell: Vec::new(),
        }
    }
}

/// A wall clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Why a worker cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker {name}: {detail}")]
pub struct WorkerError {
    /// The worker.
    pub name: String,
    /// What is wrong.
    pub detail: String,
}

/// Takes jobs and does them. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub ports: WorkerPorts,
    pub providers: Providers,
    pub calendars: Calendars,
    pub config: WorkerConfig,
    pub clock: Clock,
    pub pool: rayon::ThreadPool,
    /// Held while networks are trained, which takes all threads: who waits for it may find them trained.
    pub training: tokio::sync::Mutex<()>,
    woken: Arc<Notify>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Worker {
    /// A worker over these ports; `providers` resolve its candidates.
    ///
    /// # Errors
    /// Numbers that do not go together; threads that cannot be started.
    pub fn new(
        ports: WorkerPorts,
        providers: Providers,
        calendars: Calendars,
        config: WorkerConfig,
        clock: Clock,
    ) -> Result<Self, WorkerError> {
        let fault = |detail: String| WorkerError {
            name: config.name.clone(),
            detail,
        };
        if config.name.is_empty() || config.slots == 0 || config.kinds.is_empty() {
            return Err(fault("it needs a name, a slot and a kind of jobs".into()));
        }
        if config.heartbeat.is_zero() || config.heartbeat * 2 > config.lease {
            return Err(fault(format!(
                "a heartbeat every {:?} does not keep a lease of {:?}: at most half of it",
                config.heartbeat, config.lease
            )));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.threads)
            .thread_name(|n| format!("jobs-{n}"))
            .build()
            .map_err(|e| fault(format!("its threads cannot be started: {e}")))?;
        Ok(Self {
            inner: Arc::new(Inner {
                ports,
                providers,
                calendars,
                config,
                clock,
                pool,
                training: tokio::sync::Mutex::default(),
                woken: Arc::default(),
            }),
        })
    }

    /// Wakes a slot that waits for the next look: for whoever submits in the same process.
    pub fn wake(&self) {
        self.inner.woken.notify_one();
    }

    /// Works until `stop` is cancelled, and the jobs at hand are done or handed back.
    ///
    /// # Errors
    /// A fault of ours ended a slot.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), WorkerError> {
        let stop = stop.child_token();
        let mut slots = JoinSet::new();
        for slot in 0..self.inner.config.slots {
            slots.spawn(work(Arc::clone(&self.inner), stop.clone(), slot as u64));
        }
        while let Some(ended) = slots.join_next().await {
            if let Err(e) = ended {
                stop.cancel();
                return Err(WorkerError {
                    name: self.inner.config.name.clone(),
                    detail: format!("a slot ended: {e}"),
                });
            }
        }
        Ok(())
    }

    /// Does the jobs that are due now, one after the other, and returns how many they were.
    ///
    /// # Errors
    /// The store's, when a job could not be taken.
    pub async fn run_due(&self, stop: &CancellationToken) -> store::Result<usize> {
        let mut done = 0;
        while !stop.is_cancelled() {
            let Some(job) = self.inner.take().await? else {
                break;
            };
            attempt::attempt(&self.inner, job, stop).await;
            done += 1;
        }
        Ok(done)
    }
}

impl Inner {
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    async fn take(&self) -> store::Result<Option<store::Job>> {
        let config = &self.config;
        let jobs = &self.ports.jobs;
        jobs.take(&config.kinds, &config.name, self.now(), config.lease)
            .await
    }
}

/// A slot: a job after the other.
async fn work(inner: Arc<Inner>, stop: CancellationToken, slot: u64) {
    let (idle, seed) = (inner.config.idle, inner.config.seed ^ slot);
    let mut away = Backoff::new(idle, inner.config.lease, seed);
    info!(worker = %inner.config.name, slot, "takes jobs");
    while !stop.is_cancelled() {
        let wait = match inner.take().await {
            Ok(Some(job)) => {
                away.reset();
                attempt::attempt(&inner, job, &stop).await;
                continue;
            }
            Ok(None) => {
                away.reset();
                idle
            }
            Err(e) if e.kind() == market::ErrorKind::Internal => {
                error!(worker = %inner.config.name, error = %e, "no job could be taken");
                away.next_wait()
            }
            Err(e) => {
                warn!(worker = %inner.config.name, error = %e, "no job could be taken");
                away.next_wait()
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = inner.woken.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}
