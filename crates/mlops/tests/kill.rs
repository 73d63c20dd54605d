//! Kill -9 of a worker at each step of its jobs: no job is lost, none makes two versions or two verdicts, and no alias
//! points at a version whose files are not there.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

#[path = "support/closes.rs"]
mod closes;
#[path = "support/workplace.rs"]
mod workplace;
#[path = "support/years.rs"]
mod years;

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use closes::{closes, day};
use market::Timestamp;
use mlops::worker::CHAMPION;
use store::{
    Artefacts as _, JobState, JobStore as _, ModelRegistry as _, SqliteOptions, SqliteStore,
    VersionQuery,
};
use workplace::{Workplace, payload};

const SYMBOLS: [&str; 2] = ["ONE", "TWO"];

/// Starts a worker and kills it where it waits, at its n-th call; gives the call's name, none when it came to its end
/// before.
fn work_and_kill(dir: &Path, now: Timestamp, call: u32) -> Option<String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_killed-trainer"))
        .arg(dir)
        .arg(now.as_micros().to_string())
        .arg(call.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    if line.is_empty() {
        assert!(child.wait().unwrap().success());
        return None;
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "it was killed");
    let name = line.trim().strip_prefix(&format!("at {call} "));
    Some(name.unwrap().to_owned())
}

/// What holds at every moment; gives how many jobs are done.
async fn check(store: &SqliteStore, ids: &[i64], at: &str) -> usize {
    let mut finished = 0;
    for (symbol, id) in SYMBOLS.iter().zip(ids) {
        let name = format!("close-1d.{symbol}");
        let job = store.job(*id).await.unwrap().unwrap();
        let verdicts = store.verdicts(Some(&name), None, 10).await.unwrap();
        let query = VersionQuery {
            name: Some(name.clone()),
            limit: 10,
            ..VersionQuery::default()
        };
        let versions = store.versions(&query).await.unwrap();
        let champion = store.by_alias(&name, CHAMPION).await.unwrap();
        let done = usize::from(job.state == JobState::Succeeded);
        // All of a publication is there with the job's end, or nothing of it.
        let there = (
            verdicts.len(),
            versions.len(),
            usize::from(champion.is_some()),
        );
        assert_eq!(there, (done, done, done), "killed at {at}: {job:?}");
        for file in champion.iter().flat_map(|champion| &champion.artefacts) {
            store.get(&file.sha256).await.unwrap();
        }
        finished += done;
    }
    finished
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_at_any_step_loses_no_job_and_publishes_each_once() {
    let place = Workplace::open(300).await;
    let mut jobs = Vec::new();
    for (seed, symbol) in SYMBOLS.into_iter().enumerate() {
        place
            .put_closes(symbol, &closes(seed as u64, 0.8, 300))
            .await;
        let symbol = [symbol.parse().unwrap()];
        jobs.extend(mlops::jobs::train_jobs(&payload(), &symbol, None, day(300), "ann").unwrap());
    }
    for job in &mut jobs {
        job.max_attempts = 100;
    }
    let ids = place.store.submit(jobs, day(300)).await.unwrap();
    let ids: Vec<i64> = ids.into_iter().map(store::Submitted::id).collect();
    let Workplace { store, dir, .. } = place;
    Arc::into_inner(store).unwrap().close().await.unwrap();

    let mut killed_at: Vec<String> = Vec::new();
    for call in 1.. {
        // The lease of the worker before has ended by then.
        let now = day(300).plus_micros(i64::from(call) * 7_200_000_001);
        let path = dir.path().to_path_buf();
        let killed = tokio::task::spawn_blocking(move || work_and_kill(&path, now, call)).await;
        let killed = killed.unwrap();
        let store = SqliteStore::open(SqliteOptions::new(dir.path()))
            .await
            .unwrap();
        let at = killed.as_deref().unwrap_or("its end");
        let finished = check(&store, &ids, at).await;
        store.close().await.unwrap();
        let Some(name) = killed else {
            assert_eq!(finished, ids.len());
            break;
        };
        killed_at.push(name);
    }
    for step in ["take", "taken", "put", "log", "finish", "finished"] {
        assert!(
            killed_at.iter().any(|name| name == step),
            "never at {step}: {killed_at:?}"
        );
    }
}
