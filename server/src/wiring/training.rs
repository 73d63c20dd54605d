//! The training loop of a process: its worker, and who submits trainings when their time has come.
//!
//! Model: any number of processes work on one store. Each submits what is due under the same key, so that the
//! store makes one job of it; which process does it is decided by the lease.

use std::{sync::Arc, time::Duration};

use market::{Symbol, Timestamp};
use mlops::{
    jobs::{PAYLOAD_VERSION, Payload as _, RetentionPayload, TrainPayload, train_jobs},
    mlflow::{self, Delivery, DeliveryOptions, MlflowOptions},
    schedule::{Due, Schedule},
    worker::{Worker, WorkerConfig, WorkerPorts},
};
use pipeline::{Clock as _, SystemClock};
use store::{DatabasePorts, JobKind, JobQuery, Submitted, Topic};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::{
    models,
    watching::{self, Lookout, Overdue},
};
use crate::{
    config::{Config, TrainingConfig},
    error::{CommandError, Result},
};

/// How often the clock is looked at: a clock that was set is noticed.
pub const LOOK: Duration = Duration::from_secs(1);

/// Jobs that are submitted in one call.
const BATCH: usize = 500;

/// The first part of the key of a job that a schedule made.
const KEY: &str = "schedule";

/// A worker and a scheduler, running.
#[derive(Debug)]
pub struct Training {
    worker: Option<Worker>,
    overdue: Overdue,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Training {
    /// Starts what is configured.
    ///
    /// # Errors
    /// A schedule that never fires, a worker whose threads cannot be started.
    pub fn start(config: &Config, database: &DatabasePorts) -> Result<Self> {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let worker = match config.training.jobs {
            0 => None,
            slots => Some(worker(config, database, slots)?),
        };
        if let Some(worker) = worker.clone() {
            let stop = stop.clone();
            tasks.spawn(async move {
                if let Err(e) = worker.run(stop).await {
                    warn!("no jobs are done any more: {e}");
                }
            });
        }
        if let Some(delivery) = delivery(database)? {
            let stop = stop.clone();
            tasks.spawn(async move { delivery.run(stop).await });
        }
        if let Some(webhook) = watching::webhook(&config.watching, database, name())? {
            let stop = stop.clone();
            tasks.spawn(async move { webhook.run(stop).await });
        }
        if let Some(schedule) = config.watching.schedule.clone() {
            let first = schedule.next_after(SystemClock.now());
            first.map_err(|e| CommandError::input(format!("drift.schedule: {e}")))?;
            let payload = config.watching.payload.clone();
            let (stop, look) = (
                stop.clone(),
                watching::look(schedule, payload, database.clone()),
            );
            tasks.spawn(async move { stop.run_until_cancelled(look).await });
        }
        let overdue = Overdue::default();
        if let Some(schedule) = config.training.schedule.clone() {
            // One that never fires is found before anything of it runs.
            schedule.next_after(SystemClock.now())?;
            let lookout = Lookout {
                training: config.training.clone(),
                schedule: schedule.clone(),
                grace: config.watching.overdue,
                tells: config.watching.webhook.is_some(),
                database: database.clone(),
                overdue: overdue.clone(),
            };
            let until = stop.clone();
            tasks.spawn(async move { until.run_until_cancelled(lookout.run()).await });
            let scheduler = Scheduler {
                config: config.training.clone(),
                database: database.clone(),
                worker: worker.clone(),
                schedule,
            };
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled(scheduler.run()).await });
        }
        tasks.close();
        Ok(Self {
            worker,
            overdue,
            tasks,
            stop,
        })
    }

    /// The models whose training has not come.
    pub const fn overdue(&self) -> &Overdue {
        &self.overdue
    }

    /// Looks for a job at once that was submitted here.
    pub fn wake(&self) {
        if let Some(worker) = &self.worker {
            worker.wake();
        }
    }

    /// Asks for the end: jobs at hand are handed back meanwhile.
    pub fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Waits until everything is handed back; as long as the store takes that is away.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}

/// A worker over the ports of a database.
///
/// # Errors
/// Its threads cannot be started.
pub fn worker(config: &Config, database: &DatabasePorts, slots: usize) -> Result<Worker> {
    let mut how = WorkerConfig::new(name(), env!("CARGO_PKG_VERSION"));
    how.slots = slots;
    how.lease = config.training.lease;
    how.heartbeat = how.heartbeat.min(how.lease / 4);
    // Of this machine: what is trained elsewhere is trained again here, to the same bits.
    how.networks = Some(config.store.data_dir.join("networks"));
    how.seed = u64::from(std::process::id());
    how.tell = tells(config);
    let calendars = config.training.calendars.clone();
    let clock = Arc::new(|| SystemClock.now());
    Worker::new(
        WorkerPorts::from(database),
        models::trainable(None),
        calendars,
        how,
        clock,
    )
    .map_err(|e| CommandError::Internal {
        detail: e.to_string(),
    })
}

/// Whom what happens is told.
pub fn tells(config: &Config) -> Vec<Topic> {
    let mlflow = mlflow_server().map(|_| Topic::Mlflow);
    let webhook = config.watching.webhook.as_ref().map(|_| Topic::Webhook);
    mlflow.into_iter().chain(webhook).collect()
}

/// Where MLflow's own variables name a server (`MLFLOW_TRACKING_URI`).
fn mlflow_server() -> Option<MlflowOptions> {
    MlflowOptions::from_variables(|name| std::env::var(name).ok())
}

/// Who sends to MLflow what rounds have to say, if there is a server.
fn delivery(database: &DatabasePorts) -> Result<Option<Delivery>> {
    let Some(options) = mlflow_server() else {
        return Ok(None);
    };
    let client = mlflow::Client::new(&options).map_err(|e| CommandError::input(e.to_string()))?;
    Ok(Some(Delivery::new(
        client,
        Arc::clone(&database.outbox),
        Arc::clone(&database.artefacts),
        DeliveryOptions::new(name()),
        Arc::new(|| SystemClock.now()),
    )))
}

/// The host and the process: no two workers share one.
fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "tickcast",
        host => host,
    };
    format!("{host}:{}", std::process::id())
}

/// Waits for the fire after `last`. Where there is none to come, `over` is said once a day, in case somebody extends the
/// calendar.
pub async fn next_due(schedule: &Schedule, last: Timestamp, over: &str) -> (Timestamp, Due) {
    loop {
        match schedule.due(last, SystemClock.now()) {
            Ok(Due::Waiting { .. }) => {}
            Ok(due @ Due::Run { fire, .. }) => return (fire, due),
            Err(e) => {
                warn!("{over}: {e}");
                tokio::time::sleep(Duration::from_secs(86_400)).await;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Submits what is due.
struct Scheduler {
    config: TrainingConfig,
    database: DatabasePorts,
    worker: Option<Worker>,
    schedule: Schedule,
}

impl Scheduler {
    async fn run(self) {
        let started = SystemClock.now();
        let mut last = loop {
            match self.last_fire().await {
                Ok(found) => break found.unwrap_or(started),
                Err(e) => warn!("what was trained last cannot be read: {e}"),
            }
            tokio::time::sleep(LOOK).await;
        };
        loop {
            let over = "no training is due any more";
            let (fire, due) = next_due(&self.schedule, last, over).await;
            match self.submit(fire, &due).await {
                Ok(jobs) => {
                    info!(jobs, %fire, late = ?due.notice(), "trainings submitted");
                    last = fire;
                }
                Err(e) => warn!(%fire, "trainings cannot be submitted: {e}"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The fire whose jobs are the newest.
    async fn last_fire(&self) -> store::Result<Option<Timestamp>> {
        let mut query = JobQuery {
            kind: Some(JobKind::Train),
            limit: BATCH,
            ..JobQuery::default()
        };
        loop {
            let jobs = self.database.jobs.jobs(&query).await?;
            let fires = jobs.iter().filter_map(|job| fire_of(job.key.as_deref()?));
            if let Some(fire) = fires.max() {
                return Ok(Some(fire));
            }
            match jobs.last() {
                Some(oldest) => query.before_id = Some(oldest.id),
                None => return Ok(None),
            }
        }
    }

    /// A job for each symbol, and one that removes old jobs.
    async fn submit(&self, fire: Timestamp, due: &Due) -> Result<usize> {
        let symbols = symbols(&self.config, &self.database).await?;
        let now = SystemClock.now();
        let payload = TrainPayload {
            // Every process that submits the same fire submits the same jobs.
            as_of: Some(fire),
            ..self.config.payload.clone()
        };
        let payload = payload.trained_on(&symbols);
        let by = match due.notice() {
            Some(notice) => format!("{} ({notice})", self.schedule.spec()),
            None => self.schedule.spec().to_string(),
        };
        let key = format!("{KEY}:{fire}");
        let mut new = 0;
        for symbols in symbols.chunks(BATCH) {
            let jobs = train_jobs(&payload, symbols, Some(&key), now, &by)
                .map_err(|e| CommandError::input(e.to_string()))?;
            let submitted = self.database.jobs.submit(jobs, now).await?;
            new += submitted
                .iter()
                .filter(|s| matches!(s, Submitted::New(_)))
                .count();
        }
        let keep = RetentionPayload {
            version: PAYLOAD_VERSION,
            keep_jobs: self.config.keep_jobs,
            keep_versions: None,
        };
        let mut keep = keep
            .job(now, &by)
            .map_err(|e| CommandError::input(e.to_string()))?;
        keep.key = Some(key);
        keep.priority = -1;
        self.database.jobs.submit(vec![keep], now).await?;
        if let Some(worker) = &self.worker {
            worker.wake();
        }
        Ok(new)
    }
}

/// The symbols that are trained.
///
/// # Errors
/// The store's.
pub async fn symbols(
    config: &TrainingConfig,
    database: &DatabasePorts,
) -> store::Result<Vec<Symbol>> {
    if !config.symbols.is_empty() {
        return Ok(config.symbols.clone());
    }
    let interval = config.payload.interval;
    let all = database.prices.instruments().await?.into_iter();
    let with_bars = all.filter(|one| one.intervals.contains(&interval));
    Ok(with_bars.map(|one| one.symbol).collect())
}

/// The fire in the key of a job that a schedule made.
fn fire_of(key: &str) -> Option<Timestamp> {
    let rest = key.strip_prefix(KEY)?.strip_prefix(':')?;
    // A time has colons of its own, and ends with Z.
    let end = rest.find('Z')?;
    rest.get(..=end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fire_is_read_back_from_the_key_of_its_jobs() {
        let fire: Timestamp = "2026-11-27T18:20:00Z".parse().unwrap();
        let payload = TrainPayload::new("ZM".parse().unwrap(), market::Interval::D1);
        let key = format!("{KEY}:{fire}");
        let symbols = ["AZ".parse().unwrap(), "EUR/USD".parse().unwrap()];
        let jobs = train_jobs(&payload, &symbols, Some(&key), fire, "test").unwrap();
        assert_eq!(jobs.len(), 2);
        for job in jobs {
            assert_eq!(fire_of(&job.key.unwrap()), Some(fire));
        }
        assert_eq!(fire_of("airflow/x"), None);
        assert_eq!(fire_of("schedule:soon"), None);
    }
}
