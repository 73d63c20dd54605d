//! What an administrator does to the models of the registry by hand: promotion, roll-back, archiving. The same for the API
//! of HTTP and for the pages.
//!
//! Model: a version becomes the champion only after it was loaded, its files held to their hashes; then the alias moves,
//! compare and set where the caller says what it saw; then this process serves it. Each act is in the audit log, whatever
//! came of it.
//!
//! What it does not do: ask for the role; the routes have.

use std::net::IpAddr;

use app::api::ApiError;
use market::{ErrorKind, Timestamp, excerpt};
use mlops::{registered::RegisteredModels, worker::messages_of_move};
use pipeline::{Clock as _, SystemClock};
use serde_json::json;
use store::{
    AliasMove, AliasTarget, Change, DatabasePorts, NewMessage, Publication, Topic, Version,
};

use crate::access::{
    Who,
    audit::{Act, AuditLog},
};

/// Who does something, and to what.
pub struct ByHand<'a> {
    /// The registry.
    pub database: &'a DatabasePorts,
    /// What is served of it.
    pub registered: &'a RegisteredModels,
    /// Where it is written down.
    pub audit: &'a AuditLog,
    /// Whom it is told.
    pub tells: &'a [Topic],
    /// Who.
    pub who: &'a Who,
    /// From where.
    pub from: Option<IpAddr>,
}

impl ByHand<'_> {
    /// Lets an alias point at a version, or at none; where `expected` is given, only if it points there now.
    ///
    /// # Errors
    /// Invalid: no reason. Not found: no such version. Conflict: it cannot be loaded, is archived, or the alias points
    /// elsewhere than expected. Else what the store says.
    pub async fn move_alias(
        &self,
        name: &str,
        alias: &str,
        version: Option<u32>,
        expected: Option<Option<u32>>,
        why: &str,
    ) -> Result<(), ApiError> {
        let why = reason(why)?;
        let (to, job) = match version {
            None => (AliasTarget::Nobody, None),
            Some(version) => {
                let loaded = self.load(name, version).await?;
                (AliasTarget::Version(version), loaded.job)
            }
        };
        let now = SystemClock.now();
        let to = AliasMove {
            name: name.to_owned(),
            alias: alias.to_owned(),
            to,
            expected,
            by: self.who.to_string(),
            why: why.clone(),
        };
        let registry = &self.database.registry;
        let publication = Publication {
            outbox: self.messages(&to, job, now).await?,
            ..Publication::from(to)
        };
        let done = registry.publish(publication, now).await;
        let what = json!({
            "model": name, "alias": alias, "version": version, "why": why,
            "error": done.as_ref().err().map(ToString::to_string),
        });
        self.audit
            .record(now, Act::Promotion, self.who, self.from, what);
        done?;
        self.registered.refresh().await?;
        Ok(())
    }

    /// What others are told of a move to what a job has made, in the transaction that makes it.
    async fn messages(
        &self,
        moved: &AliasMove,
        job: Option<i64>,
        now: Timestamp,
    ) -> Result<Vec<NewMessage>, ApiError> {
        if self.tells.is_empty() {
            return Ok(Vec::new());
        }
        let made_by = match job {
            Some(id) => self.database.jobs.job(id).await?,
            None => None,
        };
        messages_of_move(self.tells, moved, made_by.as_ref(), now).map_err(|e| {
            let detail = excerpt(&e.to_string()).into_owned();
            ApiError::new(ErrorKind::Invalid, detail).field("alias")
        })
    }

    /// Puts a version away, or takes it back.
    ///
    /// # Errors
    /// Invalid: no reason. Not found. Conflict: an alias points at it. Else what the store says.
    pub async fn archive(
        &self,
        name: &str,
        version: u32,
        archived: bool,
        why: &str,
    ) -> Result<Version, ApiError> {
        let now = SystemClock.now();
        let change = match archived {
            false => None,
            true => Some(Change {
                by: self.who.to_string(),
                at: now,
                why: reason(why)?,
            }),
        };
        find(self.database, name, version).await?;
        let registry = &self.database.registry;
        let done = registry.archive(name, version, change).await;
        let what = json!({
            "model": name, "version": version, "archived": archived, "why": why,
            "error": done.as_ref().err().map(ToString::to_string),
        });
        self.audit
            .record(now, Act::Archiving, self.who, self.from, what);
        done?;
        find(self.database, name, version).await
    }

    /// Loads a version: what cannot be loaded cannot be served.
    async fn load(&self, name: &str, version: u32) -> Result<Version, ApiError> {
        let found = find(self.database, name, version).await?;
        let invalid = |e: forecast::Error| {
            let detail = excerpt(&e.to_string()).into_owned();
            ApiError::new(ErrorKind::Conflict, detail).field("version")
        };
        let reference = format!("models:/{name}/{version}")
            .parse()
            .map_err(invalid)?;
        self.registered.prepare(&reference).await.map_err(invalid)?;
        Ok(found)
    }
}

/// A version of a name.
///
/// # Errors
/// Not found. Else what the store says.
pub async fn find(database: &DatabasePorts, name: &str, version: u32) -> Result<Version, ApiError> {
    let found = database.registry.version(name, version).await?;
    found.ok_or_else(|| {
        let detail = format!("{} has no version {version}", excerpt(name));
        ApiError::not_found(detail).field("version")
    })
}

/// Why something is changed by hand: it is kept for ever.
fn reason(why: &str) -> Result<String, ApiError> {
    let why = why.trim();
    if why.is_empty() || why.chars().count() > 500 {
        let detail = "why: expected the reason in 1 to 500 characters".to_owned();
        return Err(ApiError::invalid(detail).field("why"));
    }
    Ok(why.to_owned())
}
