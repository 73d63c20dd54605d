//! Leases: who has a job, until when, and what becomes of one that nobody was heard of in time.

use store::{Finished, JobKind, JobState, Lease, NewJob, Outcome, Renewed};

use super::{
    PLENTY, StoreUnderTest,
    jobs::{MINUTE, at, done, failed, finish, job, submit, succeeded, take, train},
};

pub async fn a_lease_that_ended_is_taken_again_and_its_holder_can_do_nothing(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    submit(store.as_ref(), train("A")).await;
    let first = take(store.as_ref(), at(0)).await.unwrap();
    assert_eq!(take(store.as_ref(), at(59)).await, None);
    let second = take(store.as_ref(), at(60)).await.unwrap();
    assert_eq!(
        (second.id, second.attempt, second.lost_leases),
        (first.id, 2, 1)
    );
    let lost = first.lease();
    let renewed = store.renew(lost, None, at(61), MINUTE).await.unwrap();
    assert_eq!(renewed, Renewed::Lost);
    assert!(!store.log(lost, vec!["late".into()], at(61)).await.unwrap());
    for outcome in [succeeded(), failed(None), Outcome::Cancelled] {
        assert_eq!(
            finish(store.as_ref(), lost, outcome, at(61)).await,
            Finished::Lost
        );
    }
    assert_eq!(job(store.as_ref(), first.id).await, second);
    // Nor can one that never was.
    for lease in [
        Lease {
            job: first.id,
            attempt: 3,
        },
        Lease {
            job: 999,
            attempt: 1,
        },
    ] {
        assert_eq!(
            finish(store.as_ref(), lease, succeeded(), at(61)).await,
            Finished::Lost
        );
    }
    let ended = finish(store.as_ref(), second.lease(), succeeded(), at(62)).await;
    assert_eq!(ended, done(JobState::Succeeded));
}

pub async fn a_lease_that_is_renewed_is_kept_and_one_that_nobody_took_goes_on(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    submit(store.as_ref(), train("A")).await;
    let lease = take(store.as_ref(), at(0)).await.unwrap().lease();
    let renew = async |now: i64| store.renew(lease, None, at(now), MINUTE).await.unwrap();
    assert_eq!(renew(50).await, Renewed::Held { cancel: false });
    assert_eq!(take(store.as_ref(), at(100)).await, None);
    assert_eq!(renew(500).await, Renewed::Held { cancel: false });
    assert_eq!(take(store.as_ref(), at(559)).await, None);
    let ended = finish(store.as_ref(), lease, succeeded(), at(9_999)).await;
    assert_eq!(ended, done(JobState::Succeeded));
    assert_eq!(renew(9_999).await, Renewed::Lost);
}

pub async fn a_job_that_lost_its_last_lease_fails_with_the_reason(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let two = NewJob {
        max_attempts: 2,
        ..train("A")
    };
    let id = submit(store.as_ref(), two).await;
    let behind = submit(store.as_ref(), train("B")).await;
    take(store.as_ref(), at(0)).await.unwrap();
    assert_eq!(take(store.as_ref(), at(60)).await.unwrap().id, id);
    assert_eq!(take(store.as_ref(), at(120)).await.unwrap().id, behind);
    let lost = job(store.as_ref(), id).await;
    assert_eq!(
        (lost.state, lost.attempt, lost.lost_leases),
        (JobState::Failed, 2, 2)
    );
    assert_eq!(
        lost.error.as_deref(),
        Some("lease lost 2 times, and no attempt is left")
    );
    assert_eq!((lost.finished_at, lost.lease_until), (Some(at(120)), None));
}

pub async fn a_clock_that_goes_back_makes_no_job_wait_and_takes_none_from_its_worker(
    side: &dyn StoreUnderTest,
) {
    const YEAR: i64 = 365 * 86_400;
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    // Under a clock that is a year ahead: one job runs, one waits, one is to be tried again in 30 s.
    let ahead = |kind| NewJob {
        kind,
        run_at: at(YEAR),
        ..train("A")
    };
    let jobs = vec![
        ahead(JobKind::Train),
        ahead(JobKind::Score),
        ahead(JobKind::Backtest),
    ];
    let ids = store.submit(jobs, at(YEAR)).await.unwrap();
    let of = async |kind, now: i64| store.take(&[kind], "w", at(now), MINUTE).await.unwrap();
    let running = of(JobKind::Train, YEAR).await.unwrap();
    let retried = of(JobKind::Backtest, YEAR).await.unwrap();
    let retry = failed(Some(at(YEAR + 31)));
    finish(store.as_ref(), retried.lease(), retry, at(YEAR + 1)).await;
    // The clock is put right.
    assert_eq!(of(JobKind::Score, 5).await.unwrap().id, ids[1].id());
    assert_eq!(of(JobKind::Train, 5).await, None);
    assert_eq!(of(JobKind::Backtest, 34).await, None);
    assert_eq!(of(JobKind::Backtest, 35).await.unwrap().id, ids[2].id());
    // The worker that lives goes on; one that died is missed a lease later, not a year.
    assert_eq!(of(JobKind::Train, 64).await, None);
    let renewed = store.renew(running.lease(), None, at(64), MINUTE);
    assert_eq!(renewed.await.unwrap(), Renewed::Held { cancel: false });
    assert_eq!(of(JobKind::Train, 123).await, None);
    let again = of(JobKind::Train, 124).await.unwrap();
    assert_eq!((again.id, again.attempt), (ids[0].id(), 2));
}
