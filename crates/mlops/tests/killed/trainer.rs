//! The process that kill.rs kills: `killed-trainer DIRECTORY NOW_US CALL` does the jobs of a store until call number
//! CALL of a port that writes, says `at CALL NAME` there, and waits to be killed. It ends when no job is due.

#![expect(clippy::unwrap_used, reason = "a worker that cannot work panics")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use forecast::Providers;
use market::Timestamp;
use mlops::{Worker, WorkerConfig, WorkerPorts, calendar::Calendars};
use store::{
    Artefacts, Finished, Job, JobKind, JobLine, JobQuery, JobState, JobStore, Lease, NewJob,
    Outcome, Progress, Renewed, Result, SqliteOptions, SqliteStore, Submitted,
};
use tokio_util::sync::CancellationToken;

/// The store, with a point where it waits for ever.
struct Points {
    store: SqliteStore,
    calls: AtomicUsize,
    last: usize,
}

impl Points {
    async fn point(&self, name: &str) {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if call == self.last {
            println!("at {call} {name}");
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Artefacts for Points {
    async fn put(&self, content: Vec<u8>) -> Result<String> {
        self.point("put").await;
        self.store.put(content).await
    }

    async fn get(&self, sha256: &str) -> Result<Vec<u8>> {
        self.store.get(sha256).await
    }

    async fn has(&self, sha256: &str) -> Result<bool> {
        self.store.has(sha256).await
    }
}

#[async_trait]
impl JobStore for Points {
    async fn submit(&self, jobs: Vec<NewJob>, now: Timestamp) -> Result<Vec<Submitted>> {
        self.store.submit(jobs, now).await
    }

    async fn take(
        &self,
        kinds: &[JobKind],
        worker: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Job>> {
        self.point("take").await;
        let job = self.store.take(kinds, worker, now, lease_for).await?;
        self.point("taken").await;
        Ok(job)
    }

    async fn renew(
        &self,
        lease: Lease,
        progress: Option<Progress>,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Renewed> {
        self.store.renew(lease, progress, now, lease_for).await
    }

    async fn log(&self, lease: Lease, lines: Vec<String>, now: Timestamp) -> Result<bool> {
        self.point("log").await;
        self.store.log(lease, lines, now).await
    }

    async fn finish(&self, lease: Lease, outcome: Outcome, now: Timestamp) -> Result<Finished> {
        self.point("finish").await;
        let finished = self.store.finish(lease, outcome, now).await?;
        self.point("finished").await;
        Ok(finished)
    }

    async fn cancel(&self, id: i64, now: Timestamp) -> Result<JobState> {
        self.store.cancel(id, now).await
    }

    async fn job(&self, id: i64) -> Result<Option<Job>> {
        self.store.job(id).await
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>> {
        self.store.jobs(query).await
    }

    async fn job_log(&self, id: i64, after: u64, limit: usize) -> Result<Vec<JobLine>> {
        self.store.job_log(id, after, limit).await
    }

    async fn prune(&self, kind: JobKind, keep: usize) -> Result<u64> {
        self.store.prune(kind, keep).await
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let now = Timestamp::from_micros(arguments[1].parse().unwrap());
    let store = SqliteStore::open(SqliteOptions::new(&arguments[0]))
        .await
        .unwrap();
    let points = Arc::new(Points {
        store: store.clone(),
        calls: AtomicUsize::new(0),
        last: arguments[2].parse().unwrap(),
    });
    let store = Arc::new(store);
    let ports = WorkerPorts {
        jobs: points.clone(),
        registry: store.clone(),
        artefacts: points,
        prices: store.clone(),
        ledger: store.clone(),
        outbox: store,
    };
    // No heartbeat comes between: the calls are the same in each run.
    let config = WorkerConfig {
        lease: Duration::from_secs(7_200),
        heartbeat: Duration::from_secs(3_600),
        ..WorkerConfig::new("killed", "test")
    };
    let (providers, calendars) = (Providers::classical(), Calendars::builtin());
    let worker = Worker::new(ports, providers, calendars, config, Arc::new(move || now)).unwrap();
    worker.run_due(&CancellationToken::new()).await.unwrap();
}
