//! Jobs as they are listed and kept: pages, logs, the bounds of the queue and of the history.

use market::{ErrorKind, Timestamp};
use serde_json::json;
use store::{
    JOB_LINE_CHARS, JOB_LINES_KEPT, JobKind, JobQuery, JobState, MOST_JOB_BYTES, MOST_WAITING_JOBS,
    NewJob, Outcome, Renewed,
};

use super::{
    Database, PLENTY, StoreUnderTest,
    jobs::{MINUTE, at, failed, submit, succeeded, take, train},
};

async fn ids(store: &dyn Database, query: JobQuery) -> Vec<i64> {
    let jobs = store.jobs(&query).await.unwrap();
    jobs.iter().map(|job| job.id).collect()
}

pub async fn jobs_are_listed_newest_first_by_kind_and_state_in_pages(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let kinds = [JobKind::Train, JobKind::Score];
    let jobs = (0..8).map(|i| NewJob {
        kind: kinds[i % 2],
        ..train(&i.to_string())
    });
    let submitted = store.submit(jobs.collect(), at(0)).await.unwrap();
    let all: Vec<i64> = submitted.iter().rev().map(|s| s.id()).collect();
    let trains = store
        .take(&[JobKind::Train], "w", at(1), MINUTE)
        .await
        .unwrap();
    store
        .finish(trains.unwrap().lease(), succeeded(), at(2))
        .await
        .unwrap();
    let page = |limit| JobQuery {
        limit,
        ..JobQuery::default()
    };
    assert_eq!(ids(store.as_ref(), page(99)).await, all);
    assert_eq!(ids(store.as_ref(), page(3)).await, all[..3]);
    assert!(ids(store.as_ref(), page(0)).await.is_empty());
    let next = JobQuery {
        before_id: Some(all[2]),
        ..page(3)
    };
    assert_eq!(ids(store.as_ref(), next).await, all[3..6]);
    let scores = JobQuery {
        kind: Some(JobKind::Score),
        ..page(99)
    };
    assert_eq!(
        ids(store.as_ref(), scores).await,
        [all[0], all[2], all[4], all[6]]
    );
    let waiting = JobQuery {
        kind: Some(JobKind::Train),
        state: Some(JobState::Queued),
        ..page(99)
    };
    assert_eq!(ids(store.as_ref(), waiting).await, [all[1], all[3], all[5]]);
    let over = JobQuery {
        state: Some(JobState::Succeeded),
        ..page(99)
    };
    assert_eq!(ids(store.as_ref(), over).await, [all[7]]);
}

pub async fn a_log_has_the_lines_of_all_attempts_and_keeps_the_newest(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let id = submit(store.as_ref(), train("A")).await;
    let first = take(store.as_ref(), at(0)).await.unwrap().lease();
    let lines = vec!["one".to_owned(), "two\nlines".to_owned()];
    assert!(store.log(first, lines, at(1)).await.unwrap());
    let second = take(store.as_ref(), at(60)).await.unwrap().lease();
    let long = "ü".repeat(JOB_LINE_CHARS + 1);
    assert!(store.log(second, vec![long.clone()], at(61)).await.unwrap());
    assert!(store.log(second, vec![], at(61)).await.unwrap());
    let lines = store.job_log(id, 0, 99).await.unwrap();
    let read: Vec<_> = lines
        .iter()
        .map(|line| (line.number, line.attempt, line.at, line.text.as_str()))
        .collect();
    let lost = "the lease of attempt 1 was lost: w was not heard of in time";
    let cut: String = long.chars().take(JOB_LINE_CHARS).collect();
    assert_eq!(
        read,
        [
            (1, 1, at(1), "one"),
            (2, 1, at(1), "two\nlines"),
            (3, 1, at(60), lost),
            (4, 2, at(61), cut.as_str()),
        ]
    );
    assert_eq!(store.job_log(id, 1, 2).await.unwrap(), lines[1..3]);
    let many = (0..JOB_LINES_KEPT).map(|i| i.to_string()).collect();
    assert!(store.log(second, many, at(62)).await.unwrap());
    let kept = store.job_log(id, 0, usize::MAX).await.unwrap();
    assert_eq!(kept.len(), JOB_LINES_KEPT);
    assert_eq!((kept[0].number, kept[0].text.as_str()), (5, "0"));
    assert!(store.job_log(id + 1, 0, 9).await.unwrap().is_empty());
}

pub async fn the_history_keeps_the_newest_finished_jobs_of_a_kind(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let mut of_train = Vec::new();
    for i in 0..6 {
        let key = Some(format!("k{i}"));
        let id = submit(store.as_ref(), NewJob { key, ..train("A") }).await;
        let lease = take(store.as_ref(), at(i)).await.unwrap().lease();
        store.log(lease, vec!["line".into()], at(i)).await.unwrap();
        let outcomes = [succeeded(), failed(None), Outcome::Cancelled];
        let outcome = outcomes[i as usize % 3].clone();
        store.finish(lease, outcome, at(i)).await.unwrap();
        of_train.push(id);
    }
    let score = NewJob {
        kind: JobKind::Score,
        ..train("A")
    };
    let score = submit(store.as_ref(), score).await;
    let lease = take(store.as_ref(), at(9)).await.unwrap().lease();
    store.finish(lease, succeeded(), at(9)).await.unwrap();
    let running = submit(store.as_ref(), train("B")).await;
    let held = take(store.as_ref(), at(10)).await.unwrap().lease();
    let waiting = submit(store.as_ref(), train("C")).await;
    assert_eq!(store.prune(JobKind::Train, 6).await.unwrap(), 0);
    assert_eq!(store.prune(JobKind::Train, 2).await.unwrap(), 4);
    assert_eq!(store.prune(JobKind::Train, 2).await.unwrap(), 0);
    let all = JobQuery {
        limit: 99,
        ..JobQuery::default()
    };
    let left = [waiting, running, score, of_train[5], of_train[4]];
    assert_eq!(ids(store.as_ref(), all).await, left);
    assert!(store.job_log(of_train[0], 0, 9).await.unwrap().is_empty());
    assert_eq!(store.job_log(of_train[5], 0, 9).await.unwrap().len(), 1);
    assert_eq!(store.job(of_train[3]).await.unwrap(), None);
    let renewed = store.renew(held, None, at(11), MINUTE).await.unwrap();
    assert_eq!(renewed, Renewed::Held { cancel: false });
    // A key is forgotten with its job, and an id is never given again.
    let again = NewJob {
        key: Some("k0".into()),
        payload: json!("another"),
        ..train("A")
    };
    assert!(submit(store.as_ref(), again).await > waiting);
    assert_eq!(store.prune(JobKind::Train, 0).await.unwrap(), 2);
}

pub async fn what_cannot_be_a_job_is_refused(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let keyed = |key: String| NewJob {
        key: Some(key),
        ..train("A")
    };
    let bad = [
        keyed(String::new()),
        keyed("x".repeat(201)),
        NewJob {
            max_attempts: 0,
            ..train("A")
        },
        NewJob {
            run_at: Timestamp::from_micros(i64::MAX),
            ..train("A")
        },
        NewJob {
            payload: json!("x".repeat(MOST_JOB_BYTES)),
            ..train("A")
        },
    ];
    for job in bad {
        let refused = store
            .submit(vec![train("B"), job], at(0))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
    assert_eq!(take(store.as_ref(), at(9)).await, None);
    submit(store.as_ref(), train("A")).await;
    let taken = take(store.as_ref(), at(0)).await.unwrap();
    let too_long = Outcome::Succeeded {
        result: json!("x".repeat(MOST_JOB_BYTES)),
        publication: None,
    };
    let never = failed(Some(Timestamp::from_micros(i64::MIN)));
    for outcome in [too_long, never] {
        let refused = store
            .finish(taken.lease(), outcome, at(1))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
    assert_eq!(store.job(taken.id).await.unwrap().unwrap(), taken);
}

pub async fn a_queue_that_is_full_refuses_jobs_and_keeps_those_it_has(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let some = |n: usize| (0..n).map(|_| train("A")).collect::<Vec<_>>();
    store
        .submit(some(MOST_WAITING_JOBS - 1), at(0))
        .await
        .unwrap();
    let refused = store.submit(some(2), at(0)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    store.submit(some(1), at(0)).await.unwrap();
    let first = take(store.as_ref(), at(0)).await.unwrap();
    store.submit(some(1), at(0)).await.unwrap();
    store.submit(some(1), at(0)).await.unwrap_err();
    let all = JobQuery {
        limit: usize::MAX,
        ..JobQuery::default()
    };
    let ids = ids(store.as_ref(), all).await;
    assert_eq!(ids.len(), MOST_WAITING_JOBS + 1);
    assert_eq!(ids.last(), Some(&first.id));
}
