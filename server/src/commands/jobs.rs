//! `tickcast jobs`: what is queued, running and done, from a running server or the store; `submit_and_wait`,
//! by which `tickcast train --symbols` and `tickcast backtest --job` do theirs.
//!
//! Model: with --url a running server has the store, and its worker does the job. Without it the store is
//! opened, and a worker of this command's own does what is due, so that the job is done also where no
//! server runs.

use std::{io::Write as _, time::Duration};

use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table};
use market::Timestamp;
use pipeline::{Clock as _, SystemClock};
use store::{Job, JobKind, JobLine, JobQuery, JobState};
use tokio_util::sync::CancellationToken;

use super::remote::{Remote, answer};
use crate::{
    config::Config,
    error::{CommandError, Result},
    http::{jobs::Submission, query::MAX_PAGE},
    terminal, wiring,
};

/// How often a job is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(250);

/// Arguments.
#[derive(Debug, Args)]
pub struct JobsArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List jobs, the newest first
    List {
        /// Only of this kind: train, backtest, score, retention, watch
        #[arg(long, value_name = "KIND")]
        kind: Option<JobKind>,
        /// Only in this state: queued, running, succeeded, failed, cancelled
        #[arg(long, value_name = "STATE", value_parser = state)]
        state: Option<JobState>,
        /// At most so many
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// One JSON object per line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show a job as JSON
    Show {
        /// Its number
        id: i64,
    },
    /// Print a job's log
    Log {
        /// Its number
        id: i64,
    },
    /// Ask for a job's end
    Cancel {
        /// Its number
        id: i64,
    },
}

fn state(text: &str) -> std::result::Result<JobState, String> {
    let found = JobState::ALL.into_iter().find(|s| s.as_str() == text);
    found.ok_or_else(|| {
        let all = JobState::ALL.map(JobState::as_str).join(", ");
        format!("expected one of {all}")
    })
}

/// Where the jobs are.
enum Jobs<'a> {
    Remote(&'a Remote),
    Store(wiring::Working),
}

impl<'a> Jobs<'a> {
    async fn open(remote: &'a Remote, config: &Config) -> Result<Self> {
        if remote.at("").is_some() {
            return Ok(Self::Remote(remote));
        }
        Ok(Self::Store(wiring::Working::open(config).await?))
    }

    async fn get<T: serde::de::DeserializeOwned>(remote: &Remote, path: &str) -> Result<T> {
        let url = remote.at(path).unwrap_or_default();
        answer(&url, remote.get(&url)?).await
    }

    async fn list(&self, query: &JobQuery) -> Result<Vec<Job>> {
        match self {
            Self::Store(store) => Ok(store.jobs()?.jobs(query).await?),
            Self::Remote(remote) => {
                let mut jobs: Vec<Job> = Vec::new();
                loop {
                    let asked = (query.limit - jobs.len()).clamp(1, MAX_PAGE);
                    let mut path = format!("/api/jobs?limit={asked}");
                    if let Some(kind) = query.kind {
                        path += &format!("&kind={kind}");
                    }
                    if let Some(state) = query.state {
                        path += &format!("&state={}", state.as_str());
                    }
                    if let Some(oldest) = jobs.last() {
                        path += &format!("&before={}", oldest.id);
                    }
                    let page: Vec<Job> = Self::get(remote, &path).await?;
                    let got = page.len();
                    jobs.extend(page);
                    if got < asked || jobs.len() >= query.limit {
                        jobs.truncate(query.limit);
                        return Ok(jobs);
                    }
                }
            }
        }
    }

    async fn job(&self, id: i64) -> Result<Job> {
        match self {
            Self::Remote(remote) => Self::get(remote, &format!("/api/jobs/{id}")).await,
            Self::Store(store) => {
                let found = store.jobs()?.job(id).await?;
                found.ok_or_else(|| CommandError::input(format!("there is no job {id}")))
            }
        }
    }

    async fn log(&self, id: i64, after: u64) -> Result<Vec<JobLine>> {
        match self {
            Self::Store(store) => Ok(store.jobs()?.job_log(id, after, 1_000).await?),
            Self::Remote(remote) => {
                Self::get(
                    remote,
                    &format!("/api/jobs/{id}/log?after={after}&limit=1000"),
                )
                .await
            }
        }
    }

    async fn cancel(&self, id: i64) -> Result<Job> {
        match self {
            Self::Store(store) => {
                store.jobs()?.cancel(id, SystemClock.now()).await?;
                self.job(id).await
            }
            Self::Remote(remote) => {
                let url = remote
                    .at(&format!("/api/jobs/{id}/cancel"))
                    .unwrap_or_default();
                answer(&url, remote.post(&url)?).await
            }
        }
    }

    async fn submit(
        &self,
        submission: &Submission,
        key: Option<&str>,
        now: Timestamp,
    ) -> Result<i64> {
        match self {
            Self::Store(store) => {
                let by = crate::access::Who::of_this_process().to_string();
                let job = submission
                    .job(key.map(str::to_owned), now, &by)
                    .map_err(|e| CommandError::input(e.to_string()))?;
                let submitted = store.jobs()?.submit(vec![job], now).await?;
                submitted
                    .first()
                    .map(|s| s.id())
                    .ok_or_else(|| CommandError::Internal {
                        detail: "the job has no number".into(),
                    })
            }
            Self::Remote(remote) => {
                let url = remote.at("/api/jobs").unwrap_or_default();
                let mut request = remote.post(&url)?.json(submission);
                if let Some(key) = key {
                    request = request.header("idempotency-key", key);
                }
                Ok(answer::<Job>(&url, request).await?.id)
            }
        }
    }

    async fn close(self) -> Result<()> {
        match self {
            Self::Store(store) => store.close().await,
            Self::Remote(_) => Ok(()),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// The server or the store cannot be reached, or has no such job.
pub async fn run(args: &JobsArgs, config: &Config) -> Result<()> {
    let jobs = Jobs::open(&args.remote, config).await?;
    let mut out = terminal::stdout();
    match &args.act {
        Act::List {
            kind,
            state,
            limit,
            json,
        } => {
            let query = JobQuery {
                kind: *kind,
                state: *state,
                before_id: None,
                limit: *limit,
            };
            let found = jobs.list(&query).await?;
            if *json {
                for job in &found {
                    writeln!(out, "{}", text(job)?)?;
                }
            } else {
                writeln!(out, "{}", table(&found))?;
            }
        }
        Act::Show { id } => writeln!(out, "{}", text(&jobs.job(*id).await?)?)?,
        Act::Log { id } => {
            jobs.job(*id).await?;
            let mut after = 0;
            loop {
                let lines = jobs.log(*id, after).await?;
                let Some(last) = lines.last() else { break };
                after = last.number;
                for line in &lines {
                    writeln!(out, "{} {}", line.at, terminal::line(&line.text))?;
                }
            }
        }
        Act::Cancel { id } => {
            let job = jobs.cancel(*id).await?;
            let asked = if job.state.is_finished() {
                ""
            } else {
                ", its end is asked for"
            };
            writeln!(out, "job {id}: {}{asked}", job.state.as_str())?;
        }
    }
    drop(out);
    jobs.close().await
}

fn text(job: &Job) -> Result<String> {
    Ok(serde_json::to_string(job).map_err(std::io::Error::other)?)
}

fn table(jobs: &[Job]) -> Table {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["job", "kind", "state", "attempt", "submitted", "by", "what"]);
    for job in jobs {
        let what = job.error.clone().or_else(|| words(job)).unwrap_or_else(|| {
            let progress = job.progress.as_ref();
            progress.map_or(String::new(), |p| {
                format!("{} of {}: {}", p.done, p.total, p.message)
            })
        });
        table.add_row([
            job.id.to_string(),
            job.kind.to_string(),
            job.state.as_str().to_owned(),
            format!("{} of {}", job.attempt, job.max_attempts),
            job.submitted_at.to_string(),
            terminal::line(&job.submitted_by),
            terminal::line(&what),
        ]);
    }
    table
}

/// What a training ended with, in words.
fn words(job: &Job) -> Option<String> {
    let words = job.result.as_ref()?.get("words")?.as_str()?;
    Some(words.to_owned())
}

/// Submits jobs and waits for their ends; prints what each ended with: in words, or as JSON.
///
/// # Errors
/// A job is refused: nothing has begun. One failed or was cancelled: [`CommandError::Partial`].
pub async fn submit_and_wait(
    remote: &Remote,
    config: &Config,
    submissions: &[(Submission, Option<String>)],
    json: bool,
) -> Result<()> {
    let jobs = Jobs::open(remote, config).await?;
    let now = SystemClock.now();
    let mut ids = Vec::with_capacity(submissions.len());
    for (submission, key) in submissions {
        ids.push(jobs.submit(submission, key.as_deref(), now).await?);
    }
    let stop = CancellationToken::new();
    let worker = match &jobs {
        Jobs::Store(store) => {
            let (worker, stop) = (store.worker(config)?, stop.clone());
            Some(tokio::spawn(async move { worker.run(stop).await }))
        }
        Jobs::Remote(_) => None,
    };
    let waited = wait(&jobs, &ids, json).await;
    stop.cancel();
    if let Some(worker) = worker {
        let _ = worker.await;
    }
    jobs.close().await?;
    waited
}

async fn wait(jobs: &Jobs<'_>, ids: &[i64], json: bool) -> Result<()> {
    let mut bad = 0;
    for id in ids {
        let mut told = 0;
        let job = loop {
            let job = jobs.job(*id).await?;
            for line in jobs.log(*id, told).await? {
                told = line.number;
                eprintln!("job {id}: {}", terminal::line(&line.text));
            }
            if job.state.is_finished() {
                break job;
            }
            tokio::time::sleep(LOOK).await;
        };
        let mut out = terminal::stdout();
        if json {
            writeln!(out, "{}", text(&job)?)?;
        } else {
            let result = job.result.as_ref().map(ToString::to_string);
            let said = words(&job).or_else(|| job.error.clone()).or(result);
            writeln!(
                out,
                "job {id} {}: {}",
                job.state.as_str(),
                said.unwrap_or_default()
            )?;
        }
        bad += usize::from(job.state != JobState::Succeeded);
    }
    if bad > 0 {
        return Err(CommandError::Partial {
            detail: format!("{bad} of {} jobs did not succeed", ids.len()),
        });
    }
    Ok(())
}
