//! Attempts of training jobs that come to another end: a lease that is lost, a worker that stops, a full disk.

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
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use closes::day;
use mlops::{WorkerPorts, worker::CHAMPION};
use store::{Job, JobState, JobStore as _, ModelRegistry as _};
use tokio_util::sync::CancellationToken;
use workplace::{
    FullDisk, KINDS, NAME, Workplace, held, payload, promote_by_hand, rounds, run, strong, versions,
};

#[tokio::test]
async fn a_worker_that_lost_its_lease_finishes_nothing() {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &strong(1, 300)).await;
    let [id] = place.submit(&["ACME"], None).await[..] else {
        panic!()
    };
    // It has no time to say that it is alive.
    let silent = |config: &mut mlops::WorkerConfig| {
        config.lease = Duration::from_secs(7_200);
        config.heartbeat = Duration::from_secs(3_600);
    };
    let (gate, _, work) = held(&place, silent).await;
    place.set(day(300).plus_micros(7_200_000_001));
    assert_eq!(run(&place.worker("other")).await, 1);
    let job = place.ended(id, JobState::Succeeded).await;
    assert_eq!(
        (job.attempt, job.lost_leases, job.worker.as_deref()),
        (2, 1, Some("other"))
    );
    // The first one goes on to its end, and nothing of it counts.
    gate.open();
    assert_eq!(work.await.unwrap(), 1);
    assert_eq!(place.job(id).await, job);
    assert_eq!(versions(&place, NAME).await, [1]);
    assert_eq!(rounds(&place, NAME).await.len(), 1);
    let log = place.log(id).await;
    assert_eq!(log.matches("becomes the champion").count(), 1, "{log}");
}

#[tokio::test]
async fn a_worker_hears_with_its_heartbeat_that_another_one_has_the_job_and_stops() {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &strong(1, 300)).await;
    let [id] = place.submit(&["ACME"], None).await[..] else {
        panic!()
    };
    let (_gate, _, work) = held(&place, |_| {}).await;
    let later = place.now().plus_micros(3_600_000_000);
    let taken = place
        .store
        .take(KINDS, "other", later, Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(taken.map(|job| (job.id, job.attempt)), Some((id, 2)));
    // The gate stays shut: it is the heartbeat that ends the attempt.
    work.await.unwrap();
    let job = place.job(id).await;
    assert_eq!(
        (job.state, job.worker.as_deref()),
        (JobState::Running, Some("other"))
    );
}

#[tokio::test]
async fn a_job_whose_end_is_asked_for_is_cancelled_while_it_runs() {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &strong(1, 300)).await;
    let [id] = place.submit(&["ACME"], None).await[..] else {
        panic!()
    };
    let (_gate, _, work) = held(&place, |_| {}).await;
    assert_eq!(
        place.store.cancel(id, place.now()).await.unwrap(),
        JobState::Running
    );
    work.await.unwrap();
    place.ended(id, JobState::Cancelled).await;
    assert_eq!(versions(&place, NAME).await, Vec::<u32>::new());
    assert_eq!(rounds(&place, NAME).await, []);
}

#[tokio::test]
async fn a_worker_that_stops_hands_its_job_back_to_be_taken_at_once() {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &strong(1, 300)).await;
    let [id] = place.submit(&["ACME"], None).await[..] else {
        panic!()
    };
    let (_gate, stop, work) = held(&place, |_| {}).await;
    stop.cancel();
    work.await.unwrap();
    let job = place.ended(id, JobState::Queued).await;
    assert_eq!(
        job.error.as_deref(),
        Some("handed back: the worker held was stopped")
    );
    run(&place.worker("other")).await;
    let job = place.ended(id, JobState::Succeeded).await;
    assert_eq!((job.attempt, job.lost_leases), (2, 0));
}

#[tokio::test]
async fn a_last_attempt_has_a_while_to_end_when_the_worker_stops() {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &strong(1, 300)).await;
    for (grace, state) in [(3_600, JobState::Succeeded), (0, JobState::Failed)] {
        let mut jobs = mlops::jobs::train_jobs(
            &payload(),
            &["ACME".parse().unwrap()],
            None,
            place.now(),
            "ann",
        )
        .unwrap();
        jobs[0].max_attempts = 1;
        let id = place.store.submit(jobs, place.now()).await.unwrap()[0].id();
        let (gate, stop, work) =
            held(&place, |config| config.grace = Duration::from_secs(grace)).await;
        stop.cancel();
        if grace > 0 {
            gate.open();
        }
        work.await.unwrap();
        place.ended(id, state).await;
    }
}

#[tokio::test]
async fn a_full_disk_publishes_nothing_and_the_job_is_tried_again() {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &strong(1, 300)).await;
    let [id] = place.submit(&["ACME"], None).await[..] else {
        panic!()
    };
    let disk = FullDisk {
        inner: place.store.clone(),
        refusals: AtomicUsize::new(1),
    };
    let ports = WorkerPorts {
        artefacts: Arc::new(disk),
        ..place.ports()
    };
    let worker = place.worker_with("w", ports, |_| {});
    assert_eq!(run(&worker).await, 1);
    let job = place.ended(id, JobState::Queued).await;
    assert!(job.error.unwrap().contains("no space left on device"));
    let wait = job.run_at.micros_since(place.now());
    assert!((3_750_000..=5_000_000).contains(&wait), "{wait}");
    assert_eq!(
        (versions(&place, NAME).await, rounds(&place, NAME).await),
        (vec![], vec![])
    );
    assert_eq!(run(&worker).await, 0, "it waits");
    place.set(job.run_at);
    assert_eq!(run(&worker).await, 1);
    assert_eq!(place.ended(id, JobState::Succeeded).await.attempt, 2);
    assert_eq!(versions(&place, NAME).await, [1]);
}

#[tokio::test]
async fn a_champion_that_was_moved_meanwhile_is_judged_against_in_another_attempt() {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &strong(1, 300)).await;
    let [id] = place.submit(&["ACME"], None).await[..] else {
        panic!()
    };
    let (gate, _, work) = held(&place, |_| {}).await;
    promote_by_hand(&place, "mean").await;
    gate.open();
    work.await.unwrap();
    let job = place.ended(id, JobState::Queued).await;
    assert!(job.error.is_some());
    assert_eq!(
        (versions(&place, NAME).await, rounds(&place, NAME).await),
        (vec![1], vec![])
    );
    place.set(job.run_at);
    run(&place.worker("w")).await;
    place.ended(id, JobState::Succeeded).await;
    let rounds = rounds(&place, NAME).await;
    assert_eq!(
        rounds[0]
            .champion
            .as_ref()
            .map(ToString::to_string)
            .as_deref(),
        Some("mean")
    );
    let history = place
        .store
        .alias_history(NAME, CHAMPION, day(0), day(400), 10)
        .await
        .unwrap();
    let moves: Vec<_> = history
        .iter()
        .map(|change| (change.from, change.to))
        .collect();
    assert_eq!(moves, [(None, Some(1)), (Some(1), Some(2))]);
}

#[tokio::test]
async fn two_workers_share_the_jobs_and_each_is_done_once() {
    let place = Workplace::open(300).await;
    let symbols: Vec<String> = (0..8).map(|n| format!("SYM{n}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    for (seed, symbol) in symbols.iter().enumerate() {
        place.put_closes(symbol, &strong(seed as u64, 300)).await;
    }
    let ids = place.submit(&symbols, None).await;
    let stop = CancellationToken::new();
    let workers = ["one", "two"].map(|name| {
        let worker = place.worker_with(name, place.ports(), |config| config.slots = 2);
        let stop = stop.clone();
        tokio::spawn(async move { worker.run(stop).await })
    });
    let all = store::JobQuery {
        limit: 100,
        ..Default::default()
    };
    let mut done: Vec<Job> = Vec::new();
    while done.len() < ids.len() {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let jobs = place.store.jobs(&all).await.unwrap();
        done = jobs
            .into_iter()
            .filter(|job| job.state.is_finished())
            .collect();
    }
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    for job in &done {
        assert_eq!(
            (job.state, job.attempt),
            (JobState::Succeeded, 1),
            "{job:?}"
        );
    }
    for symbol in symbols {
        assert_eq!(versions(&place, &format!("close-1d.{symbol}")).await, [1]);
    }
}

#[tokio::test]
async fn rounds_go_forward_and_a_clock_that_was_set_back_is_waited_for() {
    let place = Workplace::open(300).await;
    place.put_closes("ACME", &strong(1, 300)).await;
    place.submit(&["ACME"], None).await;
    run(&place.worker("w")).await;

    let earlier = mlops::jobs::TrainPayload {
        as_of: Some(day(290)),
        ..payload()
    };
    let [asked] = place.submit_as(&earlier, &["ACME"], None).await[..] else {
        panic!()
    };
    run(&place.worker("w")).await;
    let error = place.ended(asked, JobState::Failed).await.error.unwrap();
    let want = "as_of: 2020-10-17T00:00:00Z lies before the last round of close-1d.ACME, held as of 2020-10-27T";
    assert!(error.starts_with(want), "{error}");

    place.set(day(299));
    let [id] = place.submit(&["ACME"], None).await[..] else {
        panic!()
    };
    run(&place.worker("w")).await;
    place.ended(id, JobState::Queued).await;
    assert_eq!(rounds(&place, NAME).await.len(), 1);
    place.set(day(300).plus_micros(10_000_000));
    run(&place.worker("w")).await;
    assert_eq!(place.ended(id, JobState::Succeeded).await.attempt, 2);
    assert_eq!(rounds(&place, NAME).await.len(), 2);
}
