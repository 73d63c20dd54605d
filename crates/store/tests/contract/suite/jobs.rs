//! Jobs: submitted, taken, renewed, finished.

use std::{collections::BTreeSet, time::Duration};

use market::{ErrorKind, Timestamp};
use serde_json::json;
use store::{
    Finished, Job, JobKind, JobQuery, JobState, Lease, NewJob, Outcome, Progress, Published,
    Renewed, Submitted,
};

use super::{Database, PLENTY, START, StoreUnderTest};

pub const MINUTE: Duration = Duration::from_secs(60);

/// So many seconds after [`START`].
pub fn at(seconds: i64) -> Timestamp {
    START.plus_micros(seconds * 1_000_000)
}

pub fn train(name: &str) -> NewJob {
    NewJob::new(JobKind::Train, json!({ "symbol": name }), at(0), "ann")
}

pub async fn submit(store: &dyn Database, job: NewJob) -> i64 {
    store.submit(vec![job], at(0)).await.unwrap()[0].id()
}

pub async fn take(store: &dyn Database, now: Timestamp) -> Option<Job> {
    store.take(&JobKind::ALL, "w", now, MINUTE).await.unwrap()
}

pub fn done(state: JobState) -> Finished {
    Finished::Done {
        state,
        published: Published::default(),
    }
}

pub fn succeeded() -> Outcome {
    Outcome::Succeeded {
        result: json!({ "mase": 0.1 + 0.2 }),
        publication: None,
    }
}

pub fn failed(retry_at: Option<Timestamp>) -> Outcome {
    Outcome::Failed {
        error: "no data".into(),
        retry_at,
    }
}

pub async fn finish(
    store: &dyn Database,
    lease: Lease,
    outcome: Outcome,
    now: Timestamp,
) -> Finished {
    store.finish(lease, outcome, now).await.unwrap()
}

pub async fn job(store: &dyn Database, id: i64) -> Job {
    store.job(id).await.unwrap().unwrap()
}

pub async fn a_job_comes_back_as_it_was_submitted(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let new = NewJob {
        payload: json!({ "symbols": ["A", "ü"], "share": 0.1 + 0.2, "none": null, "n": u64::MAX }),
        key: Some("daily-2026-11-27".into()),
        priority: -3,
        run_at: at(7),
        max_attempts: 5,
        ..train("A")
    };
    let id = submit(store.as_ref(), new.clone()).await;
    assert_eq!(store.job(id + 1).await.unwrap(), None);
    drop(store);
    let store = place.open().await;
    let found = job(store.as_ref(), id).await;
    let expected = Job {
        id,
        kind: new.kind,
        payload: new.payload,
        key: new.key,
        priority: new.priority,
        state: JobState::Queued,
        attempt: 0,
        max_attempts: 5,
        submitted_by: "ann".into(),
        submitted_at: at(0),
        run_at: at(7),
        started_at: None,
        finished_at: None,
        worker: None,
        lease_until: None,
        progress: None,
        result: None,
        error: None,
        cancel_requested: false,
        lost_leases: 0,
    };
    assert_eq!(found, expected);
    let taken = take(store.as_ref(), at(7)).await.unwrap();
    let running = Job {
        state: JobState::Running,
        attempt: 1,
        started_at: Some(at(7)),
        worker: Some("w".into()),
        lease_until: Some(at(67)),
        ..expected
    };
    assert_eq!(taken, running);
    let progress = Progress {
        done: 3,
        total: 12,
        message: "fits arima".into(),
    };
    let renewed = store.renew(taken.lease(), Some(progress.clone()), at(10), MINUTE);
    assert_eq!(renewed.await.unwrap(), Renewed::Held { cancel: false });
    let ended = finish(store.as_ref(), taken.lease(), succeeded(), at(20)).await;
    assert_eq!(ended, done(JobState::Succeeded));
    drop(store);
    let store = place.open().await;
    let expected = Job {
        state: JobState::Succeeded,
        finished_at: Some(at(20)),
        lease_until: None,
        progress: Some(progress),
        result: Some(json!({ "mase": 0.1 + 0.2 })),
        ..running
    };
    assert_eq!(job(store.as_ref(), id).await, expected);
}

pub async fn jobs_are_taken_by_priority_then_time_then_order(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let of = |kind, priority, run_at| NewJob {
        kind,
        priority,
        run_at: at(run_at),
        ..train("A")
    };
    let jobs = vec![
        of(JobKind::Train, 0, 5),
        of(JobKind::Score, 0, 4),
        of(JobKind::Train, 7, 9),
        of(JobKind::Retention, 0, 4),
        of(JobKind::Train, -1, 0),
        of(JobKind::Backtest, i32::MAX, 11),
    ];
    let ids: Vec<i64> = store
        .submit(jobs, at(0))
        .await
        .unwrap()
        .iter()
        .map(|s| s.id())
        .collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
    let mut order = Vec::new();
    while let Some(job) = take(store.as_ref(), at(10)).await {
        order.push(job.id);
    }
    assert_eq!(order, [ids[2], ids[1], ids[3], ids[0], ids[4]]);
    assert_eq!(take(store.as_ref(), at(11)).await.unwrap().id, ids[5]);
}

pub async fn a_job_waits_for_its_time_and_for_a_worker_of_its_kind(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let later = NewJob {
        run_at: at(30),
        ..train("A")
    };
    let id = submit(store.as_ref(), later).await;
    assert_eq!(take(store.as_ref(), at(29)).await, None);
    let others = [JobKind::Backtest, JobKind::Score, JobKind::Retention];
    for kinds in [&others[..], &[]] {
        let none = store.take(kinds, "w", at(30), MINUTE).await.unwrap();
        assert_eq!(none, None);
    }
    let taken = store.take(&[JobKind::Score, JobKind::Train], "w", at(30), MINUTE);
    assert_eq!(taken.await.unwrap().unwrap().id, id);
}

pub async fn a_key_makes_one_job(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let of = |key: &str| NewJob {
        key: Some(key.into()),
        payload: json!({ "x": 1.1, "y": [1, null] }),
        ..train("A")
    };
    let first = store
        .submit(vec![of("a"), of("b"), of("a")], at(0))
        .await
        .unwrap();
    let (a, b) = (first[0].id(), first[1].id());
    assert_eq!(
        first,
        [
            Submitted::New(a),
            Submitted::New(b),
            Submitted::AlreadyThere(a)
        ]
    );
    drop(store);
    let store = place.open().await;
    // What is beside kind and payload does not count: a schedule that fires again may name another time.
    let again = NewJob {
        run_at: at(99),
        priority: 9,
        ..of("b")
    };
    let second = store
        .submit(vec![again, of("c"), train("A")], at(1))
        .await
        .unwrap();
    assert_eq!(second[0], Submitted::AlreadyThere(b));
    assert_ne!(second[1].id(), second[2].id());
    let taken = take(store.as_ref(), at(1)).await.unwrap();
    finish(store.as_ref(), taken.lease(), succeeded(), at(2)).await;
    // Finished or not.
    let third = store.submit(vec![of("a")], at(3)).await.unwrap();
    assert_eq!(third, [Submitted::AlreadyThere(a)]);
    let all = JobQuery {
        limit: 99,
        ..JobQuery::default()
    };
    assert_eq!(store.jobs(&all).await.unwrap().len(), 4);
}

pub async fn a_key_with_another_payload_is_a_conflict_and_nothing_of_its_batch_is_kept(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let keyed = NewJob {
        key: Some("a".into()),
        ..train("A")
    };
    submit(store.as_ref(), keyed.clone()).await;
    let other_payload = NewJob {
        payload: json!({ "symbol": "B" }),
        ..keyed.clone()
    };
    let other_kind = NewJob {
        kind: JobKind::Backtest,
        ..keyed
    };
    for other in [other_payload, other_kind] {
        let refused = store
            .submit(vec![train("C"), other], at(1))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    }
    let all = JobQuery {
        limit: 99,
        ..JobQuery::default()
    };
    assert_eq!(store.jobs(&all).await.unwrap().len(), 1);
}

pub async fn workers_at_the_same_time_never_get_the_same_job(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let jobs = (0..40).map(|i| train(&i.to_string())).collect();
    store.submit(jobs, at(0)).await.unwrap();
    let workers = (0..6).map(|worker| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            let name = format!("w{worker}");
            while let Some(job) = store
                .take(&[JobKind::Train], &name, at(1), MINUTE)
                .await
                .unwrap()
            {
                assert_eq!(job.worker.as_deref(), Some(name.as_str()));
                taken.push(job.id);
            }
            taken
        })
    });
    let mut all = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        all.extend(worker.await.unwrap());
    }
    assert_eq!(all.len(), 40);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 40);
}

pub async fn a_failed_attempt_is_tried_again_at_its_time_until_none_is_left(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let two = NewJob {
        max_attempts: 2,
        ..train("A")
    };
    let id = submit(store.as_ref(), two).await;
    let first = take(store.as_ref(), at(0)).await.unwrap();
    let ended = finish(store.as_ref(), first.lease(), failed(Some(at(30))), at(1)).await;
    assert_eq!(ended, done(JobState::Queued));
    let waiting = job(store.as_ref(), id).await;
    assert_eq!(waiting.error.as_deref(), Some("no data"));
    assert_eq!((waiting.run_at, waiting.finished_at), (at(30), None));
    assert_eq!(take(store.as_ref(), at(29)).await, None);
    let second = take(store.as_ref(), at(30)).await.unwrap();
    assert_eq!((second.attempt, second.lost_leases), (2, 0));
    let ended = finish(store.as_ref(), second.lease(), failed(Some(at(60))), at(31)).await;
    assert_eq!(ended, done(JobState::Failed));
    assert_eq!(job(store.as_ref(), id).await.finished_at, Some(at(31)));
    // What trying again cannot help is not tried again.
    let id = submit(store.as_ref(), train("B")).await;
    let taken = take(store.as_ref(), at(100)).await.unwrap();
    assert_eq!(taken.id, id);
    let ended = finish(store.as_ref(), taken.lease(), failed(None), at(101)).await;
    assert_eq!(ended, done(JobState::Failed));
    assert_eq!(take(store.as_ref(), at(9_999)).await, None);
}

pub async fn an_attempt_is_finished_once(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let id = submit(store.as_ref(), train("A")).await;
    let lease = take(store.as_ref(), at(0)).await.unwrap().lease();
    let tries = (0..6).map(|i| {
        let store = store.clone();
        tokio::spawn(async move {
            let outcome = if i % 2 == 0 {
                succeeded()
            } else {
                failed(None)
            };
            store.finish(lease, outcome, at(1)).await.unwrap()
        })
    });
    let mut ends = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        if let Finished::Done { state, .. } = one.await.unwrap() {
            ends.push(state);
        }
    }
    assert_eq!(ends, [job(store.as_ref(), id).await.state]);
}

pub async fn a_job_is_cancelled_wherever_it_stands(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let refused = store.cancel(7, at(0)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    // Waiting: at once.
    let id = submit(store.as_ref(), train("A")).await;
    assert_eq!(store.cancel(id, at(1)).await.unwrap(), JobState::Cancelled);
    assert_eq!(take(store.as_ref(), at(1)).await, None);
    let cancelled = job(store.as_ref(), id).await;
    assert_eq!(
        (cancelled.state, cancelled.finished_at),
        (JobState::Cancelled, Some(at(1)))
    );
    // Running: when its worker hears of it.
    let id = submit(store.as_ref(), train("B")).await;
    let lease = take(store.as_ref(), at(2)).await.unwrap().lease();
    assert_eq!(store.cancel(id, at(3)).await.unwrap(), JobState::Running);
    let renewed = store.renew(lease, None, at(3), MINUTE).await.unwrap();
    assert_eq!(renewed, Renewed::Held { cancel: true });
    let ended = finish(store.as_ref(), lease, Outcome::Cancelled, at(4)).await;
    assert_eq!(ended, done(JobState::Cancelled));
    assert_eq!(store.cancel(id, at(5)).await.unwrap(), JobState::Cancelled);
    // One that fails meanwhile is not tried again; one that succeeds has.
    for (outcome, state) in [
        (failed(Some(at(9))), JobState::Cancelled),
        (succeeded(), JobState::Succeeded),
    ] {
        let id = submit(store.as_ref(), train("C")).await;
        let lease = take(store.as_ref(), at(5)).await.unwrap().lease();
        store.cancel(id, at(6)).await.unwrap();
        assert_eq!(
            finish(store.as_ref(), lease, outcome, at(7)).await,
            done(state)
        );
        assert_eq!(store.cancel(id, at(8)).await.unwrap(), state);
    }
    // One whose worker died is cancelled when its lease ends.
    let id = submit(store.as_ref(), train("D")).await;
    take(store.as_ref(), at(10)).await.unwrap();
    store.cancel(id, at(11)).await.unwrap();
    assert_eq!(take(store.as_ref(), at(70)).await, None);
    let dead = job(store.as_ref(), id).await;
    assert_eq!((dead.state, dead.lost_leases), (JobState::Cancelled, 1));
}
