//! Jobs: who has which, until when, and what becomes of them, under a clock that goes on and back.

use std::time::Duration;

use market::Timestamp;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use serde_json::json;
use store::{
    Finished, Job, JobKind, JobQuery, JobState, Lease, NewJob, Outcome, Published, Renewed,
    Submitted,
};

use super::{Reference, holds};
use crate::suite::{Database, START, StoreUnderTest};

const KINDS: [JobKind; 2] = [JobKind::Train, JobKind::Score];
const LEASE: i64 = 60;

/// A job of the model: what the store says, and since when its wait or lease runs. `job.id` is its place from 1.
#[derive(Clone, Debug)]
struct Kept {
    job: Job,
    since: i64,
    removed: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Jobs {
    /// In seconds after [`START`].
    now: i64,
    jobs: Vec<Kept>,
}

#[derive(Clone, Debug)]
pub enum Call {
    Submit(Vec<NewJob>),
    Take(Vec<JobKind>),
    /// Of the jobs that were ever submitted this one, by an attempt that is so many behind the present one.
    Renew(usize, u32),
    Finish(usize, u32, End),
    Cancel(usize),
    Prune(JobKind, usize),
    /// Seconds, on or back.
    Clock(i64),
    Reopen,
}

#[derive(Clone, Copy, Debug)]
pub enum End {
    Succeeded,
    Failed(Option<i64>),
    Cancelled,
}

fn at(seconds: i64) -> Timestamp {
    START.plus_micros(seconds * 1_000_000)
}

fn seconds(at: Timestamp) -> i64 {
    at.micros_since(START) / 1_000_000
}

impl Jobs {
    /// What [`store::JobStore::submit`] answers, by places; `None` for a conflict.
    fn submit(&mut self, new: &[NewJob]) -> Option<Vec<(usize, bool)>> {
        let mut after = self.jobs.clone();
        let mut answers = Vec::new();
        for one in new {
            let same_key =
                |kept: &Kept| !kept.removed && one.key.is_some() && kept.job.key == one.key;
            if let Some(place) = after.iter().position(same_key) {
                if (after[place].job.kind, &after[place].job.payload) != (one.kind, &one.payload) {
                    return None;
                }
                answers.push((place, false));
                continue;
            }
            answers.push((after.len(), true));
            after.push(Kept {
                job: Job {
                    id: after.len() as i64 + 1,
                    kind: one.kind,
                    payload: one.payload.clone(),
                    key: one.key.clone(),
                    priority: one.priority,
                    state: JobState::Queued,
                    attempt: 0,
                    max_attempts: one.max_attempts,
                    submitted_by: one.submitted_by.clone(),
                    submitted_at: at(self.now),
                    run_at: one.run_at,
                    started_at: None,
                    finished_at: None,
                    worker: None,
                    lease_until: None,
                    progress: None,
                    result: None,
                    error: None,
                    cancel_requested: false,
                    lost_leases: 0,
                },
                since: self.now,
                removed: false,
            });
        }
        self.jobs = after;
        Some(answers)
    }

    /// The place of the job that is taken.
    fn take(&mut self, kinds: &[JobKind]) -> Option<usize> {
        self.mend_times();
        loop {
            let now = at(self.now);
            let due = |kept: &Kept| match kept.job.state {
                JobState::Queued => kept.job.run_at <= now,
                JobState::Running => kept.job.lease_until.is_some_and(|until| until <= now),
                _ => false,
            };
            let place = (0..self.jobs.len())
                .filter(|place| {
                    let kept = &self.jobs[*place];
                    !kept.removed && kinds.contains(&kept.job.kind) && due(kept)
                })
                .min_by_key(|place| {
                    let job = &self.jobs[*place].job;
                    (-i64::from(job.priority), job.run_at, job.id)
                })?;
            let job = &mut self.jobs[place].job;
            if job.state == JobState::Running {
                job.lost_leases += 1;
                let lost = job.lost_leases;
                if job.cancel_requested || job.attempt >= job.max_attempts {
                    job.lease_until = None;
                    job.finished_at = Some(now);
                    if job.cancel_requested {
                        job.state = JobState::Cancelled;
                    } else {
                        let times = if lost == 1 { "time" } else { "times" };
                        job.state = JobState::Failed;
                        job.error =
                            Some(format!("lease lost {lost} {times}, and no attempt is left"));
                    }
                    continue;
                }
            }
            job.state = JobState::Running;
            job.attempt += 1;
            job.worker = Some("w".into());
            job.started_at = Some(now);
            job.lease_until = Some(at(self.now + LEASE));
            self.jobs[place].since = self.now;
            return Some(place);
        }
    }

    fn mend_times(&mut self) {
        for kept in self.jobs.iter_mut().filter(|kept| kept.since > self.now) {
            let back = (self.now - kept.since) * 1_000_000;
            match kept.job.state {
                JobState::Queued => kept.job.run_at = kept.job.run_at.plus_micros(back),
                JobState::Running => {
                    kept.job.lease_until =
                        kept.job.lease_until.map(|until| until.plus_micros(back));
                }
                _ => continue,
            }
            kept.since = self.now;
        }
    }

    /// The lease of a job's attempt that is so many behind the present one; whether it is held.
    fn lease(&self, place: usize, behind: u32) -> Option<(Lease, bool)> {
        let kept = self.jobs.get(place)?;
        let attempt = kept.job.attempt.checked_sub(behind)?;
        let held = behind == 0 && kept.job.state == JobState::Running && !kept.removed;
        Some((
            Lease {
                job: place as i64,
                attempt,
            },
            held,
        ))
    }

    fn finish(&mut self, place: usize, end: End) -> JobState {
        let (now, since) = (at(self.now), self.now);
        let job = &mut self.jobs[place].job;
        job.lease_until = None;
        job.finished_at = Some(now);
        match end {
            End::Succeeded => {
                job.state = JobState::Succeeded;
                job.result = Some(json!("done"));
                job.error = None;
            }
            End::Cancelled => job.state = JobState::Cancelled,
            End::Failed(retry) => {
                job.error = Some("failed".into());
                job.state = match retry {
                    _ if job.cancel_requested => JobState::Cancelled,
                    Some(retry) if job.attempt < job.max_attempts => {
                        job.run_at = at(self.now + retry);
                        job.finished_at = None;
                        JobState::Queued
                    }
                    _ => JobState::Failed,
                };
            }
        }
        let state = job.state;
        self.jobs[place].since = since;
        state
    }

    fn cancel(&mut self, place: usize) -> Option<JobState> {
        let now = at(self.now);
        let kept = self.jobs.get_mut(place).filter(|kept| !kept.removed)?;
        match kept.job.state {
            JobState::Queued => {
                kept.job.state = JobState::Cancelled;
                kept.job.finished_at = Some(now);
                kept.job.cancel_requested = true;
            }
            JobState::Running => kept.job.cancel_requested = true,
            _ => {}
        }
        Some(kept.job.state)
    }

    fn prune(&mut self, kind: JobKind, keep: usize) -> u64 {
        let old = self
            .jobs
            .iter_mut()
            .rev()
            .filter(|kept| !kept.removed && kept.job.kind == kind && kept.job.state.is_finished())
            .skip(keep);
        old.map(|kept| kept.removed = true).count() as u64
    }
}

fn some_jobs(now: i64) -> impl Strategy<Value = Vec<NewJob>> {
    let one = (
        prop::sample::select(KINDS.to_vec()),
        0..2_u8,
        prop::option::weighted(0.4, 0..3_u8),
        -1..2_i32,
        -20..90_i64,
        1..4_u32,
    );
    let new = move |(kind, payload, key, priority, wait, max_attempts)| NewJob {
        kind,
        payload: json!({ "n": payload }),
        key: Option::<u8>::map(key, |key| key.to_string()),
        priority,
        run_at: at(now + wait),
        max_attempts,
        submitted_by: "ann".into(),
    };
    prop::collection::vec(one.prop_map(new), 1..4)
}

pub struct JobQueue;

impl ReferenceStateMachine for JobQueue {
    type State = Jobs;
    type Transition = Call;

    fn init_state() -> BoxedStrategy<Jobs> {
        Just(Jobs::default()).boxed()
    }

    fn transitions(state: &Jobs) -> BoxedStrategy<Call> {
        let place = || 0..state.jobs.len().max(1);
        let behind = || prop_oneof![4 => Just(0_u32), 1 => Just(1_u32)];
        let kind = || prop::sample::select(KINDS.to_vec());
        let end = prop_oneof![
            2 => Just(End::Succeeded),
            2 => prop::option::weighted(0.8, 0..60_i64).prop_map(End::Failed),
            1 => Just(End::Cancelled),
        ];
        prop_oneof![
            3 => some_jobs(state.now).prop_map(Call::Submit),
            6 => prop::collection::vec(kind(), 1..3).prop_map(Call::Take),
            2 => (place(), behind()).prop_map(|(place, behind)| Call::Renew(place, behind)),
            4 => (place(), behind(), end).prop_map(|(p, behind, end)| Call::Finish(p, behind, end)),
            1 => place().prop_map(Call::Cancel),
            1 => (kind(), 0..2_usize).prop_map(|(kind, keep)| Call::Prune(kind, keep)),
            3 => prop_oneof![3 => 1..100_i64, 1 => -300..0_i64].prop_map(Call::Clock),
            1 => Just(Call::Reopen),
        ]
        .boxed()
    }

    fn apply(mut state: Jobs, call: &Call) -> Jobs {
        match call {
            Call::Submit(jobs) => drop(state.submit(jobs)),
            Call::Take(kinds) => drop(state.take(kinds)),
            Call::Renew(place, behind) => {
                if let Some((_, true)) = state.lease(*place, *behind) {
                    let now = state.now;
                    state.jobs[*place].job.lease_until = Some(at(now + LEASE));
                    state.jobs[*place].since = now;
                }
            }
            Call::Finish(place, behind, end) => {
                if let Some((_, true)) = state.lease(*place, *behind) {
                    state.finish(*place, *end);
                }
            }
            Call::Cancel(place) => drop(state.cancel(*place)),
            Call::Prune(kind, keep) => drop(state.prune(*kind, *keep)),
            Call::Clock(by) => state.now += by,
            Call::Reopen => {}
        }
        state
    }
}

/// The ids that the store has given, by place; from the keys of the log that every job of the model has.
async fn ids(store: &dyn Database, state: &Jobs) -> Vec<i64> {
    let all = JobQuery {
        limit: usize::MAX,
        ..JobQuery::default()
    };
    let mut found = store.jobs(&all).await.unwrap();
    found.reverse();
    let mut found = found.into_iter().map(|job| job.id);
    // Removed ones have no id any more: 0, which no job has.
    let of = |kept: &Kept| match kept.removed {
        true => 0,
        false => found.next().unwrap_or(0),
    };
    state.jobs.iter().map(of).collect()
}

impl Reference for JobQueue {
    fn reopens(call: &Call) -> bool {
        matches!(call, Call::Reopen)
    }

    async fn call(store: &dyn Database, before: &Jobs, after: &Jobs, call: &Call) {
        let now = at(before.now);
        let ids = ids(store, before).await;
        let lease_for = Duration::from_secs(LEASE as u64);
        let of = |lease: Lease| Lease {
            job: ids[lease.job as usize],
            ..lease
        };
        match call {
            Call::Submit(jobs) => {
                let submitted = store.submit(jobs.clone(), now).await;
                let Some(expected) = before.clone().submit(jobs) else {
                    let refused = submitted.unwrap_err();
                    assert_eq!(refused.kind(), market::ErrorKind::Conflict);
                    return;
                };
                let submitted = submitted.unwrap();
                assert_eq!(submitted.len(), expected.len());
                for (answer, (place, new)) in submitted.into_iter().zip(expected) {
                    assert_eq!(matches!(answer, Submitted::New(_)), new);
                    if let Some(id) = ids.get(place) {
                        assert_eq!(answer.id(), *id);
                    }
                }
            }
            Call::Take(kinds) => {
                let taken = store.take(kinds, "w", now, lease_for).await.unwrap();
                let place = before.clone().take(kinds);
                let expected = place.map(|place| Job {
                    id: ids[place],
                    ..after.jobs[place].job.clone()
                });
                assert_eq!(taken, expected);
            }
            Call::Renew(place, behind) => {
                if let Some((lease, held)) = before.lease(*place, *behind) {
                    let renewed = store.renew(of(lease), None, now, lease_for).await;
                    let cancel = before.jobs[*place].job.cancel_requested;
                    let expected = if held {
                        Renewed::Held { cancel }
                    } else {
                        Renewed::Lost
                    };
                    assert_eq!(renewed.unwrap(), expected);
                }
            }
            Call::Finish(place, behind, end) => {
                if let Some((lease, held)) = before.lease(*place, *behind) {
                    let outcome = match end {
                        End::Succeeded => Outcome::Succeeded {
                            result: json!("done"),
                            publication: None,
                        },
                        End::Failed(retry) => Outcome::Failed {
                            error: "failed".into(),
                            retry_at: retry.map(|retry| at(before.now + retry)),
                        },
                        End::Cancelled => Outcome::Cancelled,
                    };
                    let finished = store.finish(of(lease), outcome, now).await.unwrap();
                    let expected = match held {
                        true => Finished::Done {
                            state: before.clone().finish(*place, *end),
                            published: Published::default(),
                        },
                        false => Finished::Lost,
                    };
                    assert_eq!(finished, expected);
                }
            }
            Call::Cancel(place) => {
                if let Some(id) = ids.get(*place) {
                    let cancelled = store.cancel(*id, now).await.ok();
                    assert_eq!(cancelled, before.clone().cancel(*place));
                }
            }
            Call::Prune(kind, keep) => {
                let pruned = store.prune(*kind, *keep).await.unwrap();
                assert_eq!(pruned, before.clone().prune(*kind, *keep));
            }
            Call::Clock(_) | Call::Reopen => {}
        }
    }

    async fn compare(store: &dyn Database, state: &Jobs) {
        let all = JobQuery {
            limit: usize::MAX,
            ..JobQuery::default()
        };
        let found = store.jobs(&all).await.unwrap();
        assert!(found.is_sorted_by(|a, b| a.id > b.id));
        let expected: Vec<&Job> = state
            .jobs
            .iter()
            .rev()
            .filter(|kept| !kept.removed)
            .map(|kept| &kept.job)
            .collect();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let expected = Job {
                id: found.id,
                ..expected.clone()
            };
            assert_eq!(found, &expected, "{} s after", seconds(found.submitted_at));
        }
    }
}

pub async fn jobs_are_those_of_the_model(side: &dyn StoreUnderTest) {
    holds::<JobQueue>(side).await;
}
