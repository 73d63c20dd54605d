//! The documents of the registry and the outbox.

use std::collections::BTreeMap;

use market::Timestamp;
use serde::{Deserialize, Serialize};

use super::training::{json, text};
use crate::{
    AliasChange, Change, Message, MessageState, NewMessage, NewVerdict, NewVersion, Result, Topic,
    Verdict, Version,
    publication::{self, PlannedMove, Present},
};

fn count(n: i64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// A model name, in `stock_data_models`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ModelDocument {
    #[serde(rename = "_id")]
    pub id: String,
    pub name: String,
    /// What its name is looked for in.
    pub search: String,
    /// How many publications it has had; 0 while the first is on its way.
    pub revision: i64,
    pub versions: i64,
    pub aliases: BTreeMap<String, i64>,
}

impl ModelDocument {
    pub(super) fn new(name: &str) -> Self {
        Self {
            id: name.to_owned(),
            name: name.to_owned(),
            search: name.to_lowercase(),
            revision: 0,
            versions: 0,
            aliases: BTreeMap::new(),
        }
    }

    pub(super) fn aliases(&self) -> BTreeMap<String, u32> {
        let aliases = self.aliases.iter();
        aliases
            .map(|(alias, to)| (alias.clone(), count(*to)))
            .collect()
    }

    pub(super) fn present(&self) -> Present {
        Present {
            versions: count(self.versions),
            aliases: self.aliases(),
        }
    }
}

/// Who changed something.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ChangeDocument {
    pub by: String,
    pub at_us: Timestamp,
    pub why: String,
}

impl From<&Change> for ChangeDocument {
    fn from(change: &Change) -> Self {
        Self {
            by: change.by.clone(),
            at_us: change.at,
            why: change.why.clone(),
        }
    }
}

impl From<ChangeDocument> for Change {
    fn from(change: ChangeDocument) -> Self {
        Self {
            by: change.by,
            at: change.at_us,
            why: change.why,
        }
    }
}

/// What becomes of a version that is put away or taken back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ArchiveDocument {
    /// Its `_id`.
    pub version: String,
    pub change: Option<ChangeDocument>,
}

/// A version, in `stock_data_model_versions`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct VersionDocument {
    #[serde(rename = "_id")]
    pub id: String,
    pub number: i64,
    pub name: String,
    pub version: i64,
    pub search: String,
    pub is_archived: bool,
    pub archived: Option<ChangeDocument>,
    /// The revision of the model in which that was last changed.
    pub archive_revision: i64,
    pub reference: String,
    pub created_by: String,
    pub created_at_us: Timestamp,
    pub note: String,
    pub job: Option<i64>,
    /// As JSON, like those below.
    pub lineage: String,
    pub measures: String,
    pub artefacts: String,
}

impl VersionDocument {
    pub(super) fn id(name: &str, version: i64) -> String {
        format!("{name}|{version}")
    }

    pub(super) fn new(
        new: &NewVersion,
        number: i64,
        version: u32,
        job: Option<i64>,
        now: Timestamp,
    ) -> Result<Self> {
        Ok(Self {
            id: Self::id(&new.name, version.into()),
            number,
            name: new.name.clone(),
            version: version.into(),
            search: publication::search_text(new),
            is_archived: false,
            archived: None,
            archive_revision: 0,
            reference: new.reference.clone(),
            created_by: new.created_by.clone(),
            created_at_us: now,
            note: new.note.clone(),
            job,
            lineage: text(&new.lineage)?,
            measures: text(&new.measures)?,
            artefacts: text(&new.artefacts)?,
        })
    }

    pub(super) fn into_version(self, aliases: &BTreeMap<String, i64>) -> Result<Version> {
        let ours = aliases.iter().filter(|(_, to)| **to == self.version);
        Ok(Version {
            id: self.number,
            version: count(self.version),
            reference: self.reference,
            lineage: json(&self.lineage)?,
            measures: json(&self.measures)?,
            artefacts: json(&self.artefacts)?,
            created_by: self.created_by,
            created_at: self.created_at_us,
            note: self.note,
            job: self.job,
            archived: self.archived.map(Into::into),
            aliases: ours.map(|(alias, _)| alias.clone()).collect(),
            name: self.name,
        })
    }
}

/// A move of an alias, in `stock_data_alias_moves`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MoveDocument {
    #[serde(rename = "_id")]
    pub number: i64,
    pub name: String,
    pub alias: String,
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub at_us: Timestamp,
    pub by: String,
    pub why: String,
    pub job: Option<i64>,
}

impl MoveDocument {
    pub(super) fn new(
        name: &str,
        one: PlannedMove,
        number: i64,
        at: Timestamp,
        job: Option<i64>,
    ) -> Self {
        Self {
            number,
            name: name.to_owned(),
            alias: one.alias,
            from: one.from.map(Into::into),
            to: one.to.map(Into::into),
            at_us: at,
            by: one.by,
            why: one.why,
            job,
        }
    }

    pub(super) fn into_change(self) -> AliasChange {
        AliasChange {
            id: self.number,
            name: self.name,
            alias: self.alias,
            from: self.from.map(count),
            to: self.to.map(count),
            change: Change {
                by: self.by,
                at: self.at_us,
                why: self.why,
            },
            job: self.job,
        }
    }
}

/// A verdict, in `stock_data_verdicts`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct VerdictDocument {
    #[serde(rename = "_id")]
    pub id: i64,
    pub number: i64,
    pub name: String,
    pub champion: Option<i64>,
    pub promoted: bool,
    pub budget_spent: f64,
    pub tries: i64,
    pub at_us: Timestamp,
    pub version: Option<i64>,
    pub job: Option<i64>,
    pub words: String,
    /// As JSON.
    pub numbers: String,
}

impl VerdictDocument {
    pub(super) fn new(
        new: &NewVerdict,
        number: i64,
        version: Option<u32>,
        job: Option<i64>,
    ) -> Result<Self> {
        Ok(Self {
            id: number,
            number,
            name: new.name.clone(),
            champion: new.champion.map(Into::into),
            promoted: new.promoted,
            budget_spent: new.budget_spent,
            tries: new.tries_this_year.into(),
            at_us: new.at,
            version: version.map(Into::into),
            job,
            words: new.words.clone(),
            numbers: text(&new.numbers)?,
        })
    }

    pub(super) fn into_verdict(self) -> Result<Verdict> {
        Ok(Verdict {
            id: self.number,
            verdict: NewVerdict {
                name: self.name,
                champion: self.champion.map(count),
                promoted: self.promoted,
                budget_spent: self.budget_spent,
                tries_this_year: count(self.tries),
                numbers: json(&self.numbers)?,
                words: self.words,
                at: self.at_us,
            },
            version: self.version.map(count),
            job: self.job,
        })
    }
}

/// A message, in `stock_data_outbox`. Its `_id` is made of topic and key: so a key is there once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MessageDocument {
    #[serde(rename = "_id")]
    pub id: String,
    pub number: i64,
    pub topic: Topic,
    pub state: MessageState,
    pub key: String,
    pub queued_at_us: Timestamp,
    pub failures: i64,
    pub failed_at_us: Option<Timestamp>,
    pub retry_at_us: Option<Timestamp>,
    pub error: Option<String>,
    /// As JSON.
    pub payload: String,
}

impl MessageDocument {
    pub(super) fn new(new: &NewMessage, number: i64, now: Timestamp) -> Self {
        Self {
            id: format!("{}|{}", new.topic.as_str(), new.key),
            number,
            topic: new.topic,
            state: MessageState::Waiting,
            key: new.key.clone(),
            queued_at_us: now,
            failures: 0,
            failed_at_us: None,
            retry_at_us: None,
            error: None,
            payload: new.payload.to_string(),
        }
    }

    pub(super) fn into_message(self) -> Result<Message> {
        Ok(Message {
            id: self.number,
            message: NewMessage {
                topic: self.topic,
                payload: json(&self.payload)?,
                key: self.key,
            },
            queued_at: self.queued_at_us,
            state: self.state,
            failures: count(self.failures),
            retry_at: self.retry_at_us,
            error: self.error,
        })
    }
}
