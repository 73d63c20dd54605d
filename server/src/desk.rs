//! The training loop as the pages see it: the app's `Desk` over the store and what is served.

use std::sync::Arc;

use app::{
    api::ApiError,
    ssr::desk::{CHAMPION, Desk, LoopFacts},
};
use async_trait::async_trait;
use market::{Interval, Symbol, Timestamp};
use mlops::{
    jobs::{TrainPayload, train_jobs},
    registered::RegisteredModels,
};
use pipeline::{Clock as _, SystemClock};
use store::{
    AliasChange, DatabasePorts, Job, JobLine, JobQuery, ModelSummary, Topic, Verdict, Version,
    VersionQuery,
};

use crate::{
    access::{Role, Who, audit::AuditLog},
    by_hand::ByHand,
    config::TrainingConfig,
    http::guard::Grant,
    wiring::Training,
};

/// The most rows of one answer.
const MOST: usize = 5_000;

/// The app's `Desk`.
#[derive(Clone)]
pub struct ServerDesk {
    database: DatabasePorts,
    registered: RegisteredModels,
    training: Option<Arc<Training>>,
    config: Arc<TrainingConfig>,
    audit: AuditLog,
    /// Whom an alias that is moved by hand is told.
    tells: Vec<Topic>,
    /// On whose behalf; what is asked by nobody may only read.
    grant: Option<Grant>,
}

impl ServerDesk {
    /// Over a store and what is served of it.
    pub fn new(
        database: DatabasePorts,
        registered: RegisteredModels,
        training: Option<Arc<Training>>,
        config: TrainingConfig,
        audit: AuditLog,
        tells: Vec<Topic>,
    ) -> Self {
        Self {
            database,
            registered,
            training,
            config: Arc::new(config),
            audit,
            tells,
            grant: None,
        }
    }

    /// The same for whoever asks.
    pub fn on_behalf_of(&self, grant: Option<Grant>) -> Self {
        Self {
            grant,
            ..self.clone()
        }
    }

    /// The routes have asked for the role already; a page that is rendered has none of its own.
    fn needs(&self, role: Role) -> Result<&Grant, ApiError> {
        Grant::needed(self.grant.as_ref(), role)
    }

    /// What somebody does by hand.
    pub(crate) fn by_hand<'a>(&'a self, grant: &'a Grant) -> ByHand<'a> {
        ByHand {
            database: &self.database,
            registered: &self.registered,
            audit: &self.audit,
            tells: &self.tells,
            who: &grant.who,
            from: Some(grant.from),
        }
    }
}

#[async_trait]
impl Desk for ServerDesk {
    fn facts(&self) -> LoopFacts {
        LoopFacts {
            schedule: self.config.schedule.clone(),
            calendars: self.config.calendars.clone(),
            symbols: self.config.symbols.clone(),
            interval: self.config.payload.interval,
            works: self.training.is_some() && self.config.jobs > 0,
            lease: self.config.lease,
        }
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn served(&self, name: &str) -> Result<Option<Version>, String> {
        let reference = format!("models:/{name}@{CHAMPION}");
        let reference = reference
            .parse()
            .map_err(|e: forecast::Error| e.to_string())?;
        if !self.registered.points_somewhere(&reference) {
            return Ok(None);
        }
        let model = self.registered.model(&reference);
        model
            .map(|model| Some(model.version().clone()))
            .map_err(|e| e.to_string())
    }

    async fn models(
        &self,
        find: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ModelSummary>, ApiError> {
        let found = self.database.registry.models(find, after, limit.min(MOST));
        found.await.map_err(ApiError::from)
    }

    async fn versions(&self, query: VersionQuery) -> Result<Vec<Version>, ApiError> {
        let found = self.database.registry.versions(&query).await;
        found.map_err(ApiError::from)
    }

    async fn version(&self, name: &str, version: u32) -> Result<Option<Version>, ApiError> {
        let found = self.database.registry.version(name, version).await;
        found.map_err(ApiError::from)
    }

    async fn verdicts(
        &self,
        name: &str,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Verdict>, ApiError> {
        let registry = &self.database.registry;
        let found = registry.verdicts(Some(name), before, limit.min(MOST));
        found.await.map_err(ApiError::from)
    }

    async fn champions(
        &self,
        name: &str,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<AliasChange>, ApiError> {
        let registry = &self.database.registry;
        let found = registry.alias_history(name, CHAMPION, from, until, limit.min(MOST));
        found.await.map_err(ApiError::from)
    }

    async fn champion_at(&self, name: &str, at: Timestamp) -> Result<Option<u32>, ApiError> {
        let found = self.database.registry.alias_at(name, CHAMPION, at).await;
        found.map_err(ApiError::from)
    }

    async fn jobs(&self, query: JobQuery) -> Result<Vec<Job>, ApiError> {
        self.database
            .jobs
            .jobs(&query)
            .await
            .map_err(ApiError::from)
    }

    async fn job(&self, id: i64) -> Result<Option<Job>, ApiError> {
        self.database.jobs.job(id).await.map_err(ApiError::from)
    }

    async fn job_log(&self, id: i64, after: u64, limit: usize) -> Result<Vec<JobLine>, ApiError> {
        let found = self.database.jobs.job_log(id, after, limit.min(MOST)).await;
        found.map_err(ApiError::from)
    }

    async fn move_champion(
        &self,
        name: &str,
        version: Option<u32>,
        expected: Option<u32>,
        why: &str,
    ) -> Result<(), ApiError> {
        let grant = self.needs(Role::Admin)?;
        let hand = self.by_hand(grant);
        hand.move_alias(name, CHAMPION, version, Some(expected), why)
            .await
    }

    async fn archive(
        &self,
        name: &str,
        version: u32,
        archived: bool,
        why: &str,
    ) -> Result<(), ApiError> {
        let grant = self.needs(Role::Admin)?;
        let hand = self.by_hand(grant);
        hand.archive(name, version, archived, why).await.map(drop)
    }

    async fn train(&self, symbols: &[Symbol], interval: Interval) -> Result<Vec<i64>, ApiError> {
        let by: &Who = &self.needs(Role::Write)?.who;
        let payload = TrainPayload {
            interval,
            ..self.config.payload.clone()
        };
        let now = SystemClock.now();
        let jobs = train_jobs(&payload, symbols, None, now, &by.to_string())
            .map_err(|e| ApiError::invalid(e.to_string()).field(&e.field))?;
        let submitted = self.database.jobs.submit(jobs, now).await;
        let submitted = submitted.map_err(ApiError::from)?;
        if let Some(training) = &self.training {
            training.wake();
        }
        Ok(submitted.iter().map(|one| one.id()).collect())
    }

    async fn cancel(&self, id: i64) -> Result<(), ApiError> {
        self.needs(Role::Write)?;
        let cancelled = self.database.jobs.cancel(id, SystemClock.now()).await;
        cancelled.map(drop).map_err(ApiError::from)
    }
}
