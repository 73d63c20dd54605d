//! How long jobs and model versions take on SQLite when there are many.
//!
//! `cargo run --release -p store --example job_rate -- [jobs in the history] [versions]`
//!
//! Prints figures; asserts nothing.

use std::time::{Duration, Instant};

use market::Timestamp;
use serde_json::json;
use store::{
    AliasMove, AliasTarget, JobKind, JobQuery, JobStore, Lineage, ModelRegistry, NewJob,
    NewVersion, Outcome, Publication, SqliteOptions, SqliteStore, VersionQuery,
};

const LEASE: Duration = Duration::from_secs(60);
/// Calls that are timed.
const TIMED: usize = 500;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(run())
}

fn at(seconds: usize) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + seconds as i64)
}

fn train(n: usize) -> NewJob {
    NewJob {
        key: Some(format!("daily-{n}")),
        ..NewJob::new(
            JobKind::Train,
            json!({ "symbol": "AAPL", "n": n }),
            at(n),
            "daily",
        )
    }
}

fn told(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let share = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!("{what}: median {:?}, p99 {:?}", share(0.5), share(0.99));
}

fn version(n: usize) -> NewVersion {
    NewVersion {
        name: format!("SYM{}/1d", n % 500),
        reference: format!("arima({},1,{})", n % 5, n % 3),
        lineage: Lineage {
            from: at(0),
            until: at(n),
            rows: 2_000,
            sha256: "0".repeat(64),
            code_version: "0.1.0".into(),
            seed: n as u64,
            parent: None,
        },
        measures: json!({ "mase": 0.9, "coverage": { "80": 0.81, "95": 0.94 }, "errors": vec![0.5; 40] }),
        artefacts: vec![],
        created_by: "daily".into(),
        note: format!("run {n}"),
    }
}

async fn run() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: usize| -> Result<usize, std::num::ParseIntError> {
        args.next().map_or(Ok(default), |text| text.parse())
    };
    let (jobs, versions) = (number(100_000)?, number(10_000)?);
    let dir = tempfile::tempdir()?;
    let store = SqliteStore::open(SqliteOptions::new(dir.path())).await?;
    for first in (0..jobs).step_by(1_000) {
        let many = (first..jobs.min(first + 1_000)).map(train).collect();
        store.submit(many, at(first)).await?;
        let now = at(jobs);
        while let Some(job) = store.take(&JobKind::ALL, "w", now, LEASE).await? {
            let done = Outcome::Succeeded {
                result: json!({ "mase": 0.9 }),
                publication: None,
            };
            store.finish(job.lease(), done, now).await?;
        }
    }
    println!("{jobs} finished jobs");
    let [mut submit, mut take, mut finish, mut list] = [const { Vec::new() }; 4];
    for n in jobs..jobs + TIMED {
        let now = at(2 * jobs + n);
        let started = Instant::now();
        store.submit(vec![train(n)], now).await?;
        submit.push(started.elapsed());
        let started = Instant::now();
        let job = store.take(&JobKind::ALL, "w", now, LEASE).await?;
        take.push(started.elapsed());
        let Some(job) = job else { continue };
        let done = Outcome::Succeeded {
            result: json!({ "mase": 0.9 }),
            publication: None,
        };
        let started = Instant::now();
        store.finish(job.lease(), done, now).await?;
        finish.push(started.elapsed());
        let failed = JobQuery {
            kind: Some(JobKind::Train),
            state: Some(store::JobState::Succeeded),
            before_id: Some(job.id),
            limit: 50,
        };
        let started = Instant::now();
        store.jobs(&failed).await?;
        list.push(started.elapsed());
    }
    told("submit", submit);
    told("take", take);
    told("finish", finish);
    told("a page of 50 jobs", list);

    for n in 0..versions {
        let new = version(n);
        let aliases = vec![AliasMove {
            name: new.name.clone(),
            alias: "champion".into(),
            to: AliasTarget::New,
            expected: None,
            by: "daily".into(),
            why: "better".into(),
        }];
        let publication = Publication {
            version: Some(new),
            aliases,
            ..Publication::default()
        };
        store.publish(publication, at(n)).await?;
    }
    println!("{versions} versions of 500 names");
    let page = VersionQuery {
        limit: 50,
        ..VersionQuery::default()
    };
    let of = |name: &str, query: VersionQuery| (name.to_owned(), query);
    let questions = [
        of("the newest page", page.clone()),
        of(
            "a page of one name",
            VersionQuery {
                name: Some("SYM7/1d".into()),
                ..page.clone()
            },
        ),
        of(
            "champions",
            VersionQuery {
                alias: Some("champion".into()),
                ..page.clone()
            },
        ),
        of(
            "a text that is in few",
            VersionQuery {
                contains: Some("RUN 77".into()),
                ..page.clone()
            },
        ),
        of(
            "a text that is in none",
            VersionQuery {
                contains: Some("nobody".into()),
                ..page.clone()
            },
        ),
        of(
            "archived ones, of which there are none",
            VersionQuery {
                archived: Some(true),
                ..page
            },
        ),
    ];
    for (name, query) in questions {
        let mut took = Vec::new();
        for _ in 0..50 {
            let started = Instant::now();
            store.versions(&query).await?;
            took.push(started.elapsed());
        }
        told(&name, took);
    }
    Ok(())
}
