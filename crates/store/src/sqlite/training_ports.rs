//! The ports of the training loop on the SQLite side: each call is a command of the writer, one read of a
//! reader connection, or work on the folder of artefacts.

use std::time::Duration;

use async_trait::async_trait;
use market::Timestamp;

use super::{SqliteStore, artefacts, job_rows, jobs, outbox, publish, registry};
use crate::{
    AliasChange, Artefact, Artefacts, Budget, Change, Finished, Job, JobKind, JobLine, JobQuery,
    JobState, JobStore, Lease, Message, MessageState, ModelRegistry, ModelSummary, NewJob,
    NewMessage, Outbox, Outcome, Progress, Publication, Published, Renewed, Result, Submitted,
    Topic, Verdict, Version, VersionQuery, blocking::blocking, check, publication,
};

impl SqliteStore {
    /// Refuses a version whose contents are not there.
    async fn refuse_missing(&self, publication: Option<&Publication>) -> Result<()> {
        let files = publication.and_then(|p| p.version.as_ref());
        let files: Vec<Artefact> = files.map(|v| v.artefacts.clone()).unwrap_or_default();
        if files.is_empty() {
            return Ok(());
        }
        let dir = self.inner.data_dir.clone();
        blocking(move || artefacts::refuse_missing(&dir, &files)).await
    }
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn submit(&self, jobs: Vec<NewJob>, now: Timestamp) -> Result<Vec<Submitted>> {
        check::jobs(&jobs)?;
        self.write(jobs.len(), move |writer| jobs::submit(writer, &jobs, now))
            .await
    }

    async fn take(
        &self,
        kinds: &[JobKind],
        worker: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Job>> {
        let (kinds, worker) = (kinds.to_vec(), worker.to_owned());
        let take = move |w: &mut _| jobs::take(w, &kinds, &worker, now, lease_for);
        self.write(1, take).await
    }

    async fn renew(
        &self,
        lease: Lease,
        progress: Option<Progress>,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Renewed> {
        let renew = move |w: &mut _| jobs::renew(w, lease, progress.as_ref(), now, lease_for);
        self.write(1, renew).await
    }

    async fn log(&self, lease: Lease, lines: Vec<String>, now: Timestamp) -> Result<bool> {
        let rows = lines.len();
        self.write(rows, move |writer| jobs::log(writer, lease, &lines, now))
            .await
    }

    async fn finish(&self, lease: Lease, outcome: Outcome, now: Timestamp) -> Result<Finished> {
        check::outcome(&outcome)?;
        if let Outcome::Succeeded { publication, .. } = &outcome {
            self.refuse_missing(publication.as_deref()).await?;
        }
        let finish = move |w: &mut _| jobs::finish(w, lease, &outcome, now);
        self.write(1, finish).await
    }

    async fn cancel(&self, id: i64, now: Timestamp) -> Result<JobState> {
        self.write(1, move |writer| jobs::cancel(writer, id, now))
            .await
    }

    async fn job(&self, id: i64) -> Result<Option<Job>> {
        self.read(move |conn| job_rows::job(conn, id)).await
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>> {
        let query = query.clone();
        self.read(move |conn| job_rows::jobs(conn, &query)).await
    }

    async fn job_log(&self, id: i64, after: u64, limit: usize) -> Result<Vec<JobLine>> {
        self.read(move |conn| job_rows::lines(conn, id, after, limit))
            .await
    }

    async fn prune(&self, kind: JobKind, keep: usize) -> Result<u64> {
        let mut pruned = 0;
        loop {
            let some = move |w: &mut _| jobs::prune(w, kind, keep);
            let removed = self.write(jobs::PRUNED_AT_ONCE, some).await?;
            pruned += removed as u64;
            if removed < jobs::PRUNED_AT_ONCE {
                return Ok(pruned);
            }
        }
    }
}

#[async_trait]
impl ModelRegistry for SqliteStore {
    async fn publish(&self, publication: Publication, now: Timestamp) -> Result<Published> {
        publication::check(&publication)?;
        self.refuse_missing(Some(&publication)).await?;
        self.write(1, move |w| publish::write(&w.conn, &publication, None, now))
            .await
    }

    async fn version(&self, name: &str, version: u32) -> Result<Option<Version>> {
        let name = name.to_owned();
        self.read(move |conn| registry::version(conn, &name, version))
            .await
    }

    async fn by_alias(&self, name: &str, alias: &str) -> Result<Option<Version>> {
        let (name, alias) = (name.to_owned(), alias.to_owned());
        self.read(move |conn| registry::by_alias(conn, &name, &alias))
            .await
    }

    async fn versions(&self, query: &VersionQuery) -> Result<Vec<Version>> {
        let query = query.clone();
        self.read(move |conn| registry::versions(conn, &query))
            .await
    }

    async fn models(
        &self,
        contains: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ModelSummary>> {
        let (contains, after) = (contains.map(str::to_owned), after.map(str::to_owned));
        self.read(move |conn| registry::models(conn, contains.as_deref(), after.as_deref(), limit))
            .await
    }

    async fn archive(&self, name: &str, version: u32, change: Option<Change>) -> Result<()> {
        let name = name.to_owned();
        self.write(1, move |w| {
            publish::archive(&w.conn, &name, version, change.as_ref())
        })
        .await
    }

    async fn alias_at(&self, name: &str, alias: &str, at: Timestamp) -> Result<Option<u32>> {
        let (name, alias) = (name.to_owned(), alias.to_owned());
        self.read(move |conn| registry::alias_at(conn, &name, &alias, at))
            .await
    }

    async fn alias_history(
        &self,
        name: &str,
        alias: &str,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<AliasChange>> {
        let (name, alias) = (name.to_owned(), alias.to_owned());
        self.read(move |conn| registry::alias_history(conn, &name, &alias, (from, until), limit))
            .await
    }

    async fn verdicts(
        &self,
        name: Option<&str>,
        before_id: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Verdict>> {
        let name = name.map(str::to_owned);
        self.read(move |conn| registry::verdicts(conn, name.as_deref(), before_id, limit))
            .await
    }

    async fn budget(&self, name: &str, since: Timestamp) -> Result<Budget> {
        let name = name.to_owned();
        self.read(move |conn| registry::budget(conn, &name, since))
            .await
    }
}

#[async_trait]
impl Artefacts for SqliteStore {
    async fn put(&self, content: Vec<u8>) -> Result<String> {
        let dir = self.inner.data_dir.clone();
        blocking(move || artefacts::put(&dir, &content)).await
    }

    async fn get(&self, sha256: &str) -> Result<Vec<u8>> {
        publication::sha256(sha256)?;
        let (dir, sha256) = (self.inner.data_dir.clone(), sha256.to_owned());
        blocking(move || artefacts::get(&dir, &sha256)).await
    }

    async fn has(&self, sha256: &str) -> Result<bool> {
        publication::sha256(sha256)?;
        let (dir, sha256) = (self.inner.data_dir.clone(), sha256.to_owned());
        blocking(move || Ok(artefacts::length(&dir, &sha256)?.is_some())).await
    }
}

#[async_trait]
impl Outbox for SqliteStore {
    async fn enqueue(&self, messages: Vec<NewMessage>, now: Timestamp) -> Result<()> {
        publication::messages(&messages)?;
        let rows = messages.len();
        self.write(rows, move |w| outbox::enqueue(&w.conn, &messages, now))
            .await
    }

    async fn claim(
        &self,
        topic: Topic,
        by: &str,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let by = by.to_owned();
        self.write(1, move |w| {
            outbox::claim(&w.conn, topic, &by, now, lease_for, limit)
        })
        .await
    }

    async fn delivered(&self, id: i64) -> Result<()> {
        self.write(1, move |w| outbox::delivered(&w.conn, id)).await
    }

    async fn failed(
        &self,
        id: i64,
        error: &str,
        retry_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        let error = error.to_owned();
        self.write(1, move |w| {
            outbox::failed(&w.conn, id, &error, retry_at, now)
        })
        .await
    }

    async fn messages(
        &self,
        topic: Topic,
        state: MessageState,
        before_id: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        self.read(move |conn| outbox::messages(conn, topic, state, before_id, limit))
            .await
    }
}
