//! One attempt of a job, from the lease to the end.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use forecast::CancelToken;
use market::ErrorKind;
use serde_json::Value;
use store::{Finished, Job, JobKind, Outcome, Publication, Renewed, StoreError};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Inner, backoff, backtest, report::Report, retention, score, tell, train, watch};
use crate::jobs::PayloadError;

/// What a job made.
pub(super) struct Made {
    pub result: Value,
    pub publication: Option<Box<Publication>>,
}

impl From<Value> for Made {
    fn from(result: Value) -> Self {
        Self {
            result,
            publication: None,
        }
    }
}

/// Why it made nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// Trying again cannot help.
    Refused(String),
    /// It may.
    Transient(String),
    /// It was to stop.
    Stopped,
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        match e.kind() {
            ErrorKind::Invalid | ErrorKind::NotFound => Self::Refused(e.to_string()),
            _ => Self::Transient(e.to_string()),
        }
    }
}

impl From<PayloadError> for Failure {
    fn from(e: PayloadError) -> Self {
        Self::Refused(e.to_string())
    }
}

/// A job at hand.
#[derive(Clone)]
pub(super) struct Task {
    pub inner: Arc<Inner>,
    pub job: Arc<Job>,
    pub report: Arc<Report>,
    /// Ends computations.
    pub token: CancelToken,
}

impl Task {
    /// Runs a computation on the worker's threads.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let task = self.clone();
        self.inner.pool.spawn(move || {
            // A panic that left the closure would end the process.
            let done = catch_unwind(AssertUnwindSafe(|| work(&task)));
            // Nobody may be waiting any more.
            let _ = tell.send(done);
        });
        match told.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(Failure::Transient("a computation panicked".into())),
            Err(_) => Err(Failure::Stopped),
        }
    }

    /// # Errors
    /// [`Failure::Stopped`] once it shall stop.
    pub(super) fn go_on(&self) -> Result<(), Failure> {
        if self.token.is_cancelled() {
            return Err(Failure::Stopped);
        }
        Ok(())
    }

    async fn run(&self) -> Result<Made, Failure> {
        match self.job.kind {
            JobKind::Train => train::train(self).await,
            JobKind::Backtest => backtest::backtest(self).await,
            JobKind::Score => score::score(self).await,
            JobKind::Retention => retention::retain(self).await,
            JobKind::Watch => watch::watch(self).await,
        }
    }
}

/// Why an attempt ends before its work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Somebody asked for the job's end.
    Cancelled,
    /// Another attempt has the job.
    Lost,
    /// The worker shall stop.
    Stopped,
}

/// Ends the computations of an attempt that is dropped.
struct EndsWith(CancelToken);

impl Drop for EndsWith {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Works on a job that was taken, to whatever end.
pub(super) async fn attempt(inner: &Arc<Inner>, job: Job, stop: &CancellationToken) {
    let began = Instant::now();
    let (kind, id, lease) = (job.kind, job.id, job.lease());
    info!(job = id, %kind, attempt = job.attempt, worker = %inner.config.name, "job taken");
    let task = Task {
        inner: Arc::clone(inner),
        job: Arc::new(job),
        report: Arc::default(),
        token: CancelToken::new(),
    };
    let _ends = EndsWith(task.token.clone());
    let outcome = match worked(&task, stop).await {
        Ok(Ok(made)) => Outcome::Succeeded {
            result: made.result,
            publication: made.publication,
        },
        Ok(Err(failure)) => task.failed(failure),
        Err(Ending::Cancelled) => Outcome::Cancelled,
        Err(Ending::Stopped) => task.handed_back(),
        Err(Ending::Lost) => {
            warn!(
                job = id,
                attempt = lease.attempt,
                "lease lost: nothing of it is written"
            );
            return count(kind, "lease_lost");
        }
    };
    task.token.cancel();
    task.flush().await;
    task.finish(outcome).await;
    metrics::histogram!("tickcast_job_seconds", "kind" => kind.as_str())
        .record(began.elapsed().as_secs_f64());
}

fn count(kind: JobKind, end: &'static str) {
    metrics::counter!("tickcast_jobs_total", "kind" => kind.as_str(), "end" => end).increment(1);
}

/// Does the work, with a word to the store now and then. When it shall end early, what is left of it is dropped: its
/// computations end by themselves, and it has published nothing.
async fn worked(task: &Task, stop: &CancellationToken) -> Result<Result<Made, Failure>, Ending> {
    let config = &task.inner.config;
    let mut beat = interval(config.heartbeat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.tick().await;
    let work = task.run();
    tokio::pin!(work);
    // An attempt after which there is no other is not handed back at once.
    let grace = if task.job.attempt < task.job.max_attempts {
        Duration::ZERO
    } else {
        config.grace
    };
    let stopped = async {
        stop.cancelled().await;
        sleep(grace).await;
    };
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            made = &mut work => return Ok(made),
            () = &mut stopped => return Err(Ending::Stopped),
            _ = beat.tick() => match task.say_alive().await {
                Ok(Renewed::Held { cancel: false }) => {}
                Ok(Renewed::Held { cancel: true }) => return Err(Ending::Cancelled),
                Ok(Renewed::Lost) => return Err(Ending::Lost),
                // The lease may still be held when the store is back; what is done by then counts if it is.
                Err(e) => warn!(job = task.job.id, error = %e, "the lease could not be renewed"),
            },
        }
    }
}

impl Task {
    async fn say_alive(&self) -> store::Result<Renewed> {
        let jobs = &self.inner.ports.jobs;
        let (lease, lease_for) = (self.job.lease(), self.inner.config.lease);
        let progress = self.report.take_progress();
        let renewed = jobs
            .renew(lease, progress, self.inner.now(), lease_for)
            .await?;
        self.flush().await;
        Ok(renewed)
    }

    /// Writes the lines that wait. A log is not worth an attempt.
    async fn flush(&self) {
        let lines = self.report.take_lines();
        if lines.is_empty() {
            return;
        }
        let jobs = &self.inner.ports.jobs;
        if let Err(e) = jobs.log(self.job.lease(), lines, self.inner.now()).await {
            warn!(job = self.job.id, error = %e, "lines of the job's log are lost");
        }
    }

    fn handed_back(&self) -> Outcome {
        let name = &self.inner.config.name;
        let error = format!("handed back: the worker {name} was stopped");
        self.report.line(error.clone());
        Outcome::Failed {
            error,
            retry_at: Some(self.inner.now()),
        }
    }

    fn failed(&self, failure: Failure) -> Outcome {
        let (error, again) = match failure {
            Failure::Refused(error) => (error, false),
            Failure::Transient(error) => (error, true),
            Failure::Stopped => ("it was stopped".to_owned(), true),
        };
        self.report.line(format!("failed: {error}"));
        let retry_at = again.then(|| {
            let wait = i64::try_from(self.retry_after().as_micros()).unwrap_or(i64::MAX);
            self.inner.now().plus_micros(wait)
        });
        Outcome::Failed { error, retry_at }
    }

    fn retry_after(&self) -> Duration {
        let config = &self.inner.config;
        let seed = config.seed
            ^ self
                .job
                .id
                .unsigned_abs()
                .wrapping_mul(0x2545_f491_4f6c_dd1d);
        let number = self.job.attempt.saturating_sub(1);
        backoff::wait(config.retry_first, config.retry_most, seed, number)
    }

    /// Writes the end. What cannot be written for a moment is tried until the lease would have ended; what clashes is
    /// tried again as a whole.
    async fn finish(&self, mut outcome: Outcome) {
        let config = &self.inner.config;
        let (id, lease) = (self.job.id, self.job.lease());
        let (began, mut number) = (Instant::now(), 0);
        loop {
            let finished = self
                .inner
                .ports
                .jobs
                .finish(lease, outcome.clone(), self.inner.now())
                .await;
            match finished {
                Ok(Finished::Done { state, published }) => {
                    info!(job = id, %lease.attempt, state = state.as_str(), ?published, "job finished");
                    count(self.job.kind, state.as_str());
                    if self.job.kind == JobKind::Train {
                        let why = match &outcome {
                            Outcome::Failed { error, .. } => error.as_str(),
                            _ => "somebody asked for its end",
                        };
                        tell::ended(self, state, why).await;
                    }
                    return;
                }
                Ok(Finished::Lost) => return self.lost(number > 0).await,
                Err(e) if e.kind().is_transient() && began.elapsed() < config.lease => {
                    warn!(job = id, error = %e, "the job's end could not be written");
                    let wait = backoff::wait(config.idle, config.heartbeat, config.seed, number);
                    sleep(wait).await;
                    number += 1;
                }
                // What was to be published is refused: the job fails instead, once.
                Err(e) if matches!(outcome, Outcome::Succeeded { .. }) => {
                    warn!(job = id, error = %e, "what the job made was not taken");
                    let failure = match e.kind() {
                        ErrorKind::Conflict => Failure::Transient(e.to_string()),
                        _ => Failure::from(e),
                    };
                    outcome = self.failed(failure);
                }
                Err(e) => {
                    warn!(job = id, error = %e, "the job's end is not written: its lease will end");
                    return count(self.job.kind, "unwritten");
                }
            }
        }
    }

    /// A second try to write an end finds that the first one was written, or that the lease is another one's.
    async fn lost(&self, tried_before: bool) {
        let id = self.job.id;
        if tried_before {
            let now = self.inner.ports.jobs.job(id).await;
            if let Ok(Some(job)) = now
                && job.attempt == self.job.attempt
                && job.state.is_finished()
            {
                info!(job = id, state = job.state.as_str(), "job finished");
                return count(self.job.kind, job.state.as_str());
            }
        }
        warn!(
            job = id,
            attempt = self.job.attempt,
            "lease lost: nothing of it is written"
        );
        count(self.job.kind, "lease_lost");
    }
}
