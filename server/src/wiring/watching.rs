//! Looks at what is served: jobs that look for drift, trainings that are overdue, and who is told of both.
//!
//! Model: as with trainings, every process submits a look that is due under the same key, so that the store makes one job
//! of it. A model is overdue when its schedule's time after its last round has passed by [`WatchingConfig::overdue`]; a
//! round that refuses to promote is a training as any other.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use market::{Symbol, Timestamp};
use mlops::{
    jobs::{Payload as _, TrainPayload, WatchPayload},
    schedule::Schedule,
    webhook::{Webhook, WebhookOptions, event},
    worker::CHAMPION,
};
use pipeline::{Clock as _, SystemClock};
use serde::Serialize;
use store::{DatabasePorts, VersionQuery};
use tracing::{info, warn};

use super::training::{LOOK, next_due};
use crate::{
    config::{TrainingConfig, WatchingConfig},
    error::{CommandError, Result},
};

/// How often the registry is asked what was trained.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// A model whose training has not come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OverdueTraining {
    /// The model's name.
    pub name: String,
    /// What its last round knew; none: it was never trained.
    #[serde(rename = "last_us")]
    pub last: Option<Timestamp>,
    /// When the next one was due.
    #[serde(rename = "due_us")]
    pub due: Timestamp,
}

impl std::fmt::Display for OverdueTraining {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, last, due } = self;
        match last {
            Some(last) => write!(
                f,
                "no training of {name} since {last}: one was due at {due}"
            ),
            None => write!(f, "no training of {name} yet: one was due at {due}"),
        }
    }
}

/// The models whose training is overdue. Cheap to clone: clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct Overdue(Arc<RwLock<Vec<OverdueTraining>>>);

impl Overdue {
    /// All of them now.
    pub fn all(&self) -> Vec<OverdueTraining> {
        let all = self.0.read();
        all.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, all: Vec<OverdueTraining>) {
        metrics::gauge!("tickcast_training_overdue").set(all.len() as f64);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

/// Who sends to the webhook, if there is one.
pub fn webhook(
    config: &WatchingConfig,
    database: &DatabasePorts,
    by: String,
) -> Result<Option<Webhook>> {
    let Some(hook) = &config.webhook else {
        return Ok(None);
    };
    let mut options = WebhookOptions::new(hook.url.clone(), hook.secret.clone(), by);
    options.allow_private = hook.allow_private;
    let (outbox, clock) = (Arc::clone(&database.outbox), Arc::new(|| SystemClock.now()));
    let webhook = Webhook::new(outbox, options, clock);
    let webhook = webhook.map_err(|e| CommandError::input(format!("webhook.url: {e}")))?;
    Ok(Some(webhook))
}

/// Submits looks when their time has come, until it is dropped.
pub async fn look(schedule: Schedule, payload: WatchPayload, database: DatabasePorts) {
    let mut last = SystemClock.now();
    loop {
        tokio::time::sleep(LOOK).await;
        let (fire, _) = next_due(&schedule, last, "champions are not looked at any more").await;
        match submit(&schedule, &payload, &database, fire).await {
            Ok(()) => last = fire,
            Err(e) => warn!(%fire, "a look for drift cannot be submitted: {e}"),
        }
    }
}

async fn submit(
    schedule: &Schedule,
    payload: &WatchPayload,
    database: &DatabasePorts,
    fire: Timestamp,
) -> Result<()> {
    let any = VersionQuery {
        alias: Some(CHAMPION.to_owned()),
        limit: 1,
        ..VersionQuery::default()
    };
    if database.registry.versions(&any).await?.is_empty() {
        return Ok(());
    }
    let now = SystemClock.now();
    let payload = WatchPayload {
        as_of: Some(fire),
        ..payload.clone()
    };
    let by = schedule.spec().to_string();
    let job = payload.job(now, &by);
    let mut job = job.map_err(|e| CommandError::input(e.to_string()))?;
    job.key = Some(format!("watch:{fire}"));
    database.jobs.submit(vec![job], now).await?;
    Ok(())
}

/// Finds trainings that have not come, until it is dropped.
pub struct Lookout {
    /// The trainings.
    pub training: TrainingConfig,
    /// When they are.
    pub schedule: Schedule,
    /// How long after its time one is overdue.
    pub grace: Duration,
    /// Whether somebody is told.
    pub tells: bool,
    /// Where rounds are.
    pub database: DatabasePorts,
    /// What is found.
    pub overdue: Overdue,
}

impl Lookout {
    /// Looks until it is dropped.
    pub async fn run(self) {
        let started = SystemClock.now();
        loop {
            match self.find(started).await {
                Ok(found) => {
                    self.tell(&found).await;
                    self.overdue.put(found);
                }
                Err(e) => warn!("what was trained last cannot be read: {e}"),
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    async fn find(&self, started: Timestamp) -> Result<Vec<OverdueTraining>> {
        let symbols = super::training::symbols(&self.training, &self.database).await?;
        let now = SystemClock.now();
        let mut found = Vec::new();
        for symbol in symbols {
            let name = self.name(symbol);
            let verdicts = self
                .database
                .registry
                .verdicts(Some(&name), None, 1)
                .await?;
            let last = verdicts.first().map(|verdict| verdict.verdict.at);
            let due = match self.schedule.next_after(last.unwrap_or(started)) {
                Ok(fire) => fire.at,
                // The calendar ends: the scheduler says so.
                Err(_) => continue,
            };
            let late_us = u64::try_from(now.micros_since(due)).unwrap_or(0);
            if Duration::from_micros(late_us) > self.grace {
                found.push(OverdueTraining { name, last, due });
            }
        }
        Ok(found)
    }

    fn name(&self, symbol: Symbol) -> String {
        let payload = TrainPayload {
            symbol,
            ..self.training.payload.clone()
        };
        payload.name()
    }

    /// Tells of those that were not overdue before.
    async fn tell(&self, found: &[OverdueTraining]) {
        let known = self.overdue.all();
        let new: Vec<&OverdueTraining> = found.iter().filter(|one| !known.contains(one)).collect();
        for one in &new {
            warn!("{one}");
        }
        if new.is_empty() || !self.tells {
            return;
        }
        let now = SystemClock.now();
        let message = |one: &&OverdueTraining| {
            // Every process finds it: the second message of a key is not kept while the first is.
            let key = format!("training:{}:{}", one.name, one.due.as_micros());
            event(key, "training", "overdue", now, one)
        };
        let messages = new.iter().map(message).collect();
        if let Err(e) = self.database.outbox.enqueue(messages, now).await {
            warn!("nobody can be told of trainings that are overdue: {e}");
        } else {
            info!(models = new.len(), "told of trainings that are overdue");
        }
    }
}
