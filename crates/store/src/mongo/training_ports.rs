//! The ports of the training loop on the MongoDB side.

use std::time::Duration;

use async_trait::async_trait;
use market::Timestamp;

use super::MongoStore;
use crate::{
    AliasChange, Artefacts, Budget, Change, Finished, Job, JobKind, JobLine, JobQuery, JobState,
    JobStore, Lease, Message, MessageState, ModelRegistry, ModelSummary, NewJob, NewMessage,
    Outbox, Outcome, Progress, Publication, Published, Renewed, Result, Submitted, Topic, Verdict,
    Version, VersionQuery, publication,
};

#[async_trait]
impl JobStore for MongoStore {
    async fn submit(&self, jobs: Vec<NewJob>, now: Timestamp) -> Result<Vec<Submitted>> {
        self.inner.noted(self.inner.submit(jobs, now).await)
    }

    async fn take(
        &self,
        kinds: &[JobKind],
        worker: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Option<Job>> {
        self.inner
            .noted(self.inner.take(kinds, worker, now, lease_for).await)
    }

    async fn renew(
        &self,
        lease: Lease,
        progress: Option<Progress>,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Renewed> {
        self.inner
            .noted(self.inner.renew(lease, progress, now, lease_for).await)
    }

    async fn log(&self, lease: Lease, lines: Vec<String>, now: Timestamp) -> Result<bool> {
        self.inner.noted(self.inner.log(lease, &lines, now).await)
    }

    async fn finish(&self, lease: Lease, outcome: Outcome, now: Timestamp) -> Result<Finished> {
        self.inner
            .noted(self.inner.finish(lease, outcome, now).await)
    }

    async fn cancel(&self, id: i64, now: Timestamp) -> Result<JobState> {
        self.inner.noted(self.inner.cancel(id, now).await)
    }

    async fn job(&self, id: i64) -> Result<Option<Job>> {
        self.inner.job(id).await
    }

    async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>> {
        self.inner.jobs(query).await
    }

    async fn job_log(&self, id: i64, after: u64, limit: usize) -> Result<Vec<JobLine>> {
        self.inner.job_log(id, after, limit).await
    }

    async fn prune(&self, kind: JobKind, keep: usize) -> Result<u64> {
        self.inner.noted(self.inner.prune(kind, keep).await)
    }
}

#[async_trait]
impl ModelRegistry for MongoStore {
    async fn publish(&self, publication: Publication, now: Timestamp) -> Result<Published> {
        self.inner
            .noted(self.inner.publish(&publication, now).await)
    }

    async fn version(&self, name: &str, version: u32) -> Result<Option<Version>> {
        self.inner.version(name, version).await
    }

    async fn by_alias(&self, name: &str, alias: &str) -> Result<Option<Version>> {
        self.inner.by_alias(name, alias).await
    }

    async fn versions(&self, query: &VersionQuery) -> Result<Vec<Version>> {
        self.inner.versions(query).await
    }

    async fn models(
        &self,
        contains: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ModelSummary>> {
        self.inner.models(contains, after, limit).await
    }

    async fn archive(&self, name: &str, version: u32, change: Option<Change>) -> Result<()> {
        self.inner
            .noted(self.inner.archive(name, version, change.as_ref()).await)
    }

    async fn alias_at(&self, name: &str, alias: &str, at: Timestamp) -> Result<Option<u32>> {
        self.inner.alias_at(name, alias, at).await
    }

    async fn alias_history(
        &self,
        name: &str,
        alias: &str,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<AliasChange>> {
        self.inner
            .alias_history(name, alias, (from, until), limit)
            .await
    }

    async fn verdicts(
        &self,
        name: Option<&str>,
        before_id: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Verdict>> {
        self.inner.verdicts(name, before_id, limit).await
    }

    async fn budget(&self, name: &str, since: Timestamp) -> Result<Budget> {
        self.inner.budget(name, since).await
    }
}

#[async_trait]
impl Artefacts for MongoStore {
    async fn put(&self, content: Vec<u8>) -> Result<String> {
        self.inner.noted(self.inner.put_artefact(&content).await)
    }

    async fn get(&self, sha256: &str) -> Result<Vec<u8>> {
        publication::sha256(sha256)?;
        self.inner.artefact(sha256).await
    }

    async fn has(&self, sha256: &str) -> Result<bool> {
        publication::sha256(sha256)?;
        Ok(self.inner.artefact_length(sha256).await?.is_some())
    }
}

#[async_trait]
impl Outbox for MongoStore {
    async fn enqueue(&self, messages: Vec<NewMessage>, now: Timestamp) -> Result<()> {
        self.inner.noted(self.inner.enqueue(&messages, now).await)
    }

    async fn claim(
        &self,
        topic: Topic,
        by: &str,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<Message>> {
        self.inner
            .noted(self.inner.claim(topic, by, now, lease_for, limit).await)
    }

    async fn delivered(&self, id: i64) -> Result<()> {
        self.inner.noted(self.inner.delivered(id).await)
    }

    async fn failed(
        &self,
        id: i64,
        error: &str,
        retry_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        self.inner
            .noted(self.inner.failed(id, error, retry_at, now).await)
    }

    async fn messages(
        &self,
        topic: Topic,
        state: MessageState,
        before_id: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        self.inner.messages(topic, state, before_id, limit).await
    }
}
