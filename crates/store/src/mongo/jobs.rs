//! Jobs: submitted, taken, renewed, finished, cancelled, pruned.
//!
//! Every change names the state and the attempt that it goes from, so that of two one is made.

use std::{collections::HashMap, time::Duration};

use futures::TryStreamExt;
use market::Timestamp;
use mongodb::bson::{Bson, Document, doc};

use super::{
    Inner,
    job_documents::{JobDocument, LineDocument, held, progress_text},
    schema::duplicates,
    training::{TRIES, contended, document, read},
};
use crate::{
    Finished, JOB_LINE_CHARS, JOB_LINES_KEPT, Job, JobKind, JobState, Lease, MOST_WAITING_JOBS,
    NewJob, Outcome, Progress, Published, Renewed, Result, StoreError, Submitted, check,
};

/// Keys, or jobs to be removed, that one call names at most.
const AT_ONCE: usize = 1_000;
/// The states in which a job is finished.
const FINISHED: [&str; 3] = ["succeeded", "failed", "cancelled"];

impl Inner {
    /// See [`crate::JobStore::submit`]. Where another process makes a job of the same key at the same moment, its
    /// insert and ours decide; if that is a conflict, what this call has inserted is taken back.
    pub(super) async fn submit(&self, jobs: Vec<NewJob>, now: Timestamp) -> Result<Vec<Submitted>> {
        check::jobs(&jobs)?;
        let _turn = self.training.turn.lock().await;
        for _ in 0..TRIES {
            if let Some(submitted) = self.try_submit(&jobs, now).await? {
                return Ok(submitted);
            }
        }
        Err(contended("the queue of jobs"))
    }

    async fn jobs_by_key(&self, jobs: &[NewJob]) -> Result<HashMap<String, JobDocument>> {
        let keys = jobs.iter().filter_map(|job| job.key.as_deref());
        let ids: Vec<String> = keys.map(|key| JobDocument::id(Some(key), 0)).collect();
        let mut found = HashMap::new();
        for ids in ids.chunks(AT_ONCE) {
            let of_ids = doc! { "_id": { "$in": ids.to_vec() } };
            let mut cursor = self.training.jobs.find(of_ids).await?;
            while let Some(job) = cursor.try_next().await? {
                let job: JobDocument = read(job)?;
                found.insert(job.id.clone(), job);
            }
        }
        Ok(found)
    }

    /// `None`: another process was first with a key, look again.
    async fn try_submit(&self, jobs: &[NewJob], now: Timestamp) -> Result<Option<Vec<Submitted>>> {
        let mut there = self.jobs_by_key(jobs).await?;
        let known = there.len();
        let missing = jobs.len().saturating_sub(known);
        let mut numbers = match missing {
            0 => 0..0,
            _ => {
                let first = self.next_numbers("job", missing).await?;
                first..i64::MAX
            }
        };
        let mut answers = Vec::with_capacity(jobs.len());
        let mut new: Vec<JobDocument> = Vec::new();
        for job in jobs {
            let key = job.key.as_deref();
            if let Some(key) = key
                && let Some(found) = there.get(&JobDocument::id(Some(key), 0))
            {
                if found.kind != job.kind || !check::same_json(&found.payload, &job.payload) {
                    return Err(check::other_job(key, found.number));
                }
                answers.push(Submitted::AlreadyThere(found.number));
                continue;
            }
            let number = numbers.next().unwrap_or_default();
            let document = JobDocument::new(job.clone(), number, now);
            if key.is_some() {
                there.insert(document.id.clone(), document.clone());
            }
            answers.push(Submitted::New(number));
            new.push(document);
        }
        if new.is_empty() {
            return Ok(Some(answers));
        }
        let waiting = self
            .training
            .jobs
            .count_documents(doc! { "state": JobState::Queued.as_str() })
            .await?;
        if waiting + new.len() as u64 > MOST_WAITING_JOBS as u64 {
            return Err(check::queue_is_full());
        }
        let documents = self.training.jobs.clone_with_type::<JobDocument>();
        let inserted = documents.insert_many(&new).ordered(false).await;
        let others = duplicates(inserted)?;
        if others.is_empty() {
            return Ok(Some(answers));
        }
        let ours = (0..new.len()).filter(|place| !others.contains(place));
        let ours: Vec<i64> = ours.map(|place| new[place].number).collect();
        for numbers in ours.chunks(AT_ONCE) {
            let untouched = doc! { "number": { "$in": numbers.to_vec() }, "attempt": 0_i64 };
            self.training.jobs.delete_many(untouched).await?;
        }
        Ok(None)
    }

    /// Waits and leases that began after now begin anew: the clock has gone back.
    async fn mend_times(&self, now: Timestamp) -> Result<()> {
        let jobs = &self.training.jobs;
        for (state, since, until) in [
            (JobState::Queued, "queued_at_us", "run_at_us"),
            (JobState::Running, "leased_at_us", "lease_until_us"),
        ] {
            let later = doc! { "state": state.as_str(), since: { "$gt": now.as_micros() } };
            let found: Vec<Document> = jobs.find(later).await?.try_collect().await?;
            for job in found {
                let id = job.get_str("_id").map_err(super::fault::foreign)?;
                let time = |field| job.get_i64(field).map_err(super::fault::foreign);
                let wait = time(until)? - time(since)?;
                let as_it_was = doc! { "_id": id, "state": state.as_str(), since: time(since)? };
                let mended = doc! { since: now.as_micros(), until: now.as_micros() + wait };
                jobs.update_one(as_it_was, doc! { "$set": mended }).await?;
            }
        }
        Ok(())
    }

    /// The next job of these kinds: queued and due, or running with a lease that has ended.
    async fn next_job(&self, kinds: &[JobKind], now: Timestamp) -> Result<Option<JobDocument>> {
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        let in_order = doc! { "priority": -1, "run_at_us": 1, "number": 1 };
        let mut best: Option<JobDocument> = None;
        for (state, until) in [
            (JobState::Queued, "run_at_us"),
            (JobState::Running, "lease_until_us"),
        ] {
            let due = doc! {
                "state": state.as_str(),
                "kind": { "$in": kinds.clone() },
                until: { "$lte": now.as_micros() },
            };
            let found = self
                .training
                .jobs
                .find_one(due)
                .sort(in_order.clone())
                .await?;
            let found: Option<JobDocument> = found.map(read).transpose()?;
            best = best
                .into_iter()
                .chain(found)
                .min_by_key(|job| (-job.priority, job.run_at_us, job.number));
        }
        Ok(best)
    }

    /// See [`crate::JobStore::take`].
    pub(super) async fn take(
        &self,
        kinds: &[JobKind],
        worker: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Job>> {
        let _turn = self.training.turn.lock().await;
        self.mend_times(now).await?;
        for _ in 0..TRIES.max(u32::try_from(MOST_WAITING_JOBS).unwrap_or(u32::MAX)) {
            let Some(job) = self.next_job(kinds, now).await? else {
                return Ok(None);
            };
            let is_lost = job.state == JobState::Running;
            // As it was found: a worker that has renewed its lease meanwhile keeps it.
            let as_it_was = doc! {
                "_id": &job.id,
                "state": job.state.as_str(),
                "attempt": job.attempt,
                "cancel": job.cancel,
                "lease_until_us": job.lease_until_us.map(Timestamp::as_micros),
            };
            let lost = job.lost_leases + i64::from(is_lost);
            let end = if !is_lost {
                None
            } else if job.cancel {
                Some((JobState::Cancelled, job.error.clone()))
            } else if job.attempt >= job.max_attempts {
                let lost = u32::try_from(lost).unwrap_or(u32::MAX);
                Some((JobState::Failed, Some(check::no_attempt_left(lost))))
            } else {
                None
            };
            let mut set = match &end {
                Some((state, error)) => ended(*state, error.as_deref(), None, now),
                None => doc! {
                    "state": JobState::Running.as_str(),
                    "attempt": job.attempt + 1,
                    "worker": worker,
                    "started_at_us": now.as_micros(),
                    "leased_at_us": now.as_micros(),
                    "lease_until_us": check::lease_end(now, lease_for).as_micros(),
                    "progress": null,
                },
            };
            set.insert("lost_leases", lost);
            let taken = self.change(&self.training.jobs, as_it_was, doc! { "$set": set });
            let Some(taken) = taken.await? else {
                continue;
            };
            if is_lost {
                let attempt = u32::try_from(job.attempt).unwrap_or(u32::MAX);
                let line = check::lost_lease(attempt, job.worker.as_deref());
                let only = doc! { "_id": &job.id };
                self.add_lines(only, attempt, &[line], now).await?;
            }
            if end.is_none() {
                return read::<JobDocument>(taken)?.into_job().map(Some);
            }
        }
        Err(contended("the queue of jobs"))
    }

    /// See [`crate::JobStore::renew`].
    pub(super) async fn renew(
        &self,
        lease: Lease,
        progress: Option<Progress>,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Renewed> {
        let _turn = self.training.turn.lock().await;
        let mut set = doc! {
            "leased_at_us": now.as_micros(),
            "lease_until_us": check::lease_end(now, lease_for).as_micros(),
        };
        if let Some(progress) = &progress {
            set.insert("progress", progress_text(progress)?);
        }
        let renewed = self.change(&self.training.jobs, held(lease), doc! { "$set": set });
        let renewed: Option<JobDocument> = renewed.await?.map(read).transpose()?;
        Ok(renewed.map_or(Renewed::Lost, |job| Renewed::Held { cancel: job.cancel }))
    }

    /// See [`crate::JobStore::log`].
    pub(super) async fn log(&self, lease: Lease, lines: &[String], now: Timestamp) -> Result<bool> {
        let _turn = self.training.turn.lock().await;
        self.add_lines(held(lease), lease.attempt, lines, now).await
    }

    /// Adds lines to the job that the filter finds, if there is one. Their numbers are taken first.
    async fn add_lines(
        &self,
        only: Document,
        attempt: u32,
        lines: &[String],
        now: Timestamp,
    ) -> Result<bool> {
        let count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
        let more = doc! { "$inc": { "lines": count } };
        let Some(job) = self.change(&self.training.jobs, only, more).await? else {
            return Ok(false);
        };
        let job: JobDocument = read(job)?;
        let kept = i64::try_from(JOB_LINES_KEPT).unwrap_or(i64::MAX);
        let oldest = job.lines - kept + 1;
        let new: Vec<Document> = (job.lines - count + 1..)
            .zip(lines)
            .filter(|(number, _)| *number >= oldest)
            .map(|(number, line)| {
                document(&LineDocument {
                    id: format!("{}|{number}", job.number),
                    job: job.number,
                    number,
                    attempt: attempt.into(),
                    at_us: now,
                    text: line.chars().take(JOB_LINE_CHARS).collect(),
                })
            })
            .collect::<Result<_>>()?;
        let all = &self.training.job_lines;
        if !new.is_empty() {
            all.insert_many(new).await?;
        }
        if oldest > 1 {
            let old = doc! { "job": job.number, "number": { "$lt": oldest } };
            all.delete_many(old).await?;
        }
        Ok(true)
    }

    /// See [`crate::JobStore::finish`].
    pub(super) async fn finish(
        &self,
        lease: Lease,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Finished> {
        let name = check::outcome(&outcome)?;
        let _turn = self.training.turn.lock().await;
        if let Outcome::Succeeded {
            result,
            publication: Some(publication),
        } = &outcome
        {
            let result = result.to_string();
            let published = self
                .complete(lease, &result, publication, name.as_deref(), now)
                .await?;
            return Ok(
                published.map_or(Finished::Lost, |published| Finished::Done {
                    state: JobState::Succeeded,
                    published,
                }),
            );
        }
        for _ in 0..TRIES {
            let found = self.training.jobs.find_one(held(lease)).await?;
            let Some(found) = found else {
                return Ok(Finished::Lost);
            };
            let job = read::<JobDocument>(found)?.into_job()?;
            let (state, mut set) = match &outcome {
                Outcome::Succeeded { result, .. } => {
                    let result = result.to_string();
                    let state = JobState::Succeeded;
                    (state, ended(state, None, Some(&result), now))
                }
                Outcome::Failed { error, retry_at } => {
                    let state = check::state_after_failure(&job, retry_at.is_some());
                    (state, ended(state, Some(error), None, now))
                }
                Outcome::Cancelled => {
                    let state = JobState::Cancelled;
                    (state, ended(state, job.error.as_deref(), None, now))
                }
            };
            if let (
                JobState::Queued,
                Outcome::Failed {
                    retry_at: Some(retry_at),
                    ..
                },
            ) = (state, &outcome)
            {
                set.insert("run_at_us", retry_at.as_micros());
                set.insert("queued_at_us", now.as_micros());
                set.insert("finished_at_us", Bson::Null);
            }
            let mut as_it_was = held(lease);
            as_it_was.insert("cancel", job.cancel_requested);
            let finished = self.change(&self.training.jobs, as_it_was, doc! { "$set": set });
            if finished.await?.is_some() {
                let published = Published::default();
                return Ok(Finished::Done { state, published });
            }
        }
        Err(contended(&format!("job {}", lease.job)))
    }

    /// See [`crate::JobStore::cancel`].
    pub(super) async fn cancel(&self, id: i64, now: Timestamp) -> Result<JobState> {
        let _turn = self.training.turn.lock().await;
        for _ in 0..TRIES {
            let job = self.job_document(id).await?;
            let job = job.ok_or_else(|| StoreError::NotFound {
                what: format!("job {id}"),
            })?;
            let (state, mut set) = match job.state {
                JobState::Queued => {
                    let state = JobState::Cancelled;
                    (state, ended(state, job.error.as_deref(), None, now))
                }
                JobState::Running => (JobState::Running, Document::new()),
                finished => return Ok(finished),
            };
            set.insert("cancel", true);
            let as_it_was = doc! {
                "_id": &job.id, "state": job.state.as_str(), "attempt": job.attempt,
            };
            let cancelled = self.change(&self.training.jobs, as_it_was, doc! { "$set": set });
            if cancelled.await?.is_some() {
                return Ok(state);
            }
        }
        Err(contended(&format!("job {id}")))
    }

    /// See [`crate::JobStore::prune`].
    pub(super) async fn prune(&self, kind: JobKind, keep: usize) -> Result<u64> {
        let _turn = self.training.turn.lock().await;
        let over = doc! { "kind": kind.as_str(), "state": { "$in": FINISHED.to_vec() } };
        let found: Vec<Document> = self
            .training
            .jobs
            .find(over)
            .sort(doc! { "number": -1 })
            .skip(keep as u64)
            .projection(doc! { "number": 1 })
            .await?
            .try_collect()
            .await?;
        let numbers = found.iter().map(|job| job.get_i64("number"));
        let numbers: Vec<i64> = numbers
            .collect::<std::result::Result<_, _>>()
            .map_err(super::fault::foreign)?;
        // What these have published is brought to its end before they are forgotten.
        self.settle(None).await?;
        let mut removed = 0;
        for numbers in numbers.chunks(AT_ONCE) {
            let these = doc! { "number": { "$in": numbers.to_vec() } };
            removed += self.training.jobs.delete_many(these).await?.deleted_count;
            let lines = doc! { "job": { "$in": numbers.to_vec() } };
            self.training.job_lines.delete_many(lines).await?;
        }
        Ok(removed)
    }
}

/// What a job is set to that does not run any more.
pub(super) fn ended(
    state: JobState,
    error: Option<&str>,
    result: Option<&str>,
    now: Timestamp,
) -> Document {
    doc! {
        "state": state.as_str(),
        "error": error,
        "result": result,
        "finished_at_us": now.as_micros(),
        "leased_at_us": null,
        "lease_until_us": null,
    }
}
