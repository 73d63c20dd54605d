//! The model registry: versions of named models, aliases with their history, and what the gate said.
//!
//! Model: a name has versions 1, 2, 3 …, which never change but for being archived. An alias (`champion`)
//! points at one version of a name or at none; every move of one is kept, with who, when and why, so that "who
//! was champion at that time" is a question with an answer. Verdicts are kept, refusals too.
//!
//! A [`Publication`] is what changes together: a verdict, a version, moves of aliases and messages to others,
//! all of one model name. It is given with a job's completion, or by hand.
//!
//! Does not: load a model, or judge one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use market::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::outbox::NewMessage;
use crate::Result;

/// What a version was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Lineage {
    /// Start of the first row.
    #[serde(rename = "from_us")]
    pub from: Timestamp,
    /// End of the last row.
    #[serde(rename = "until_us")]
    pub until: Timestamp,
    /// How many rows.
    pub rows: u64,
    /// SHA-256 of the rows, in hexadecimal digits.
    pub sha256: String,
    /// The version of the program.
    pub code_version: String,
    /// The seed of everything drawn.
    pub seed: u64,
    /// The version of the same name that it goes on from.
    pub parent: Option<u32>,
}

/// A file of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Artefact {
    /// What it is called in the version: a relative path.
    pub path: String,
    /// SHA-256 of its content, in hexadecimal digits: its key in [`super::Artefacts`].
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// A version to be registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewVersion {
    /// The model's name: 1 to 128 of letters, digits and `. _ - = ^ / : ( ) + , ~`.
    pub name: String,
    /// The text by which a model provider loads it.
    pub reference: String,
    /// What it was made from.
    pub lineage: Lineage,
    /// How good it is, in numbers.
    pub measures: Value,
    /// Its files. They must be in the store before.
    pub artefacts: Vec<Artefact>,
    /// Who made it.
    pub created_by: String,
    /// What to know of it.
    pub note: String,
}

/// Who changed something, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// Who.
    pub by: String,
    /// When.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

/// A registered version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Version {
    /// The store's id over all names, in the order of registration.
    pub id: i64,
    /// The model's name.
    pub name: String,
    /// Its number within the name, from 1.
    pub version: u32,
    /// The text by which a model provider loads it.
    pub reference: String,
    /// What it was made from.
    pub lineage: Lineage,
    /// How good it is, in numbers.
    pub measures: Value,
    /// Its files.
    pub artefacts: Vec<Artefact>,
    /// Who made it.
    pub created_by: String,
    /// When.
    #[serde(rename = "created_at_us")]
    pub created_at: Timestamp,
    /// What to know of it.
    pub note: String,
    /// The job that made it.
    pub job: Option<i64>,
    /// By whom it was put away, if it was.
    pub archived: Option<Change>,
    /// The aliases that point at it now, sorted.
    pub aliases: Vec<String>,
}

/// Where an alias shall point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AliasTarget {
    /// At the version of the same publication.
    New,
    /// At this one.
    Version(u32),
    /// At none.
    Nobody,
}

/// A move of an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasMove {
    /// The model's name.
    pub name: String,
    /// The alias: 1 to 64 of `a-z 0-9 _ -`; not `latest`, nor `v` and a number.
    pub alias: String,
    /// Where it shall point.
    pub to: AliasTarget,
    /// Where it must point before, if that matters: compare and set. `Some(None)`: at none.
    pub expected: Option<Option<u32>>,
    /// Who moves it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// A move of an alias that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AliasChange {
    /// The store's id, in the order in which they were made.
    pub id: i64,
    /// The model's name.
    pub name: String,
    /// The alias.
    pub alias: String,
    /// Where it pointed before.
    pub from: Option<u32>,
    /// Where it points since.
    pub to: Option<u32>,
    /// Who, when, why. The time is never before that of the alias' move before, whatever the clock says.
    pub change: Change,
    /// The job that moved it.
    pub job: Option<i64>,
}

/// What the gate said of a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewVerdict {
    /// The model's name.
    pub name: String,
    /// The champion's version then.
    pub champion: Option<u32>,
    /// Whether the candidate took its place.
    pub promoted: bool,
    /// How much of the name's error budget it cost.
    pub budget_spent: f64,
    /// How often the gate was asked within a year, this time included.
    pub tries_this_year: u32,
    /// The numbers that it decided by.
    pub numbers: Value,
    /// The decision in words.
    pub words: String,
    /// When.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
}

/// A verdict that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verdict {
    /// The store's id, in the order in which they came.
    pub id: i64,
    /// What the gate said.
    #[serde(flatten)]
    pub verdict: NewVerdict,
    /// The version that was registered with it.
    pub version: Option<u32>,
    /// The job that asked.
    pub job: Option<i64>,
}

/// What the verdicts of a name have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The sum of what they spent.
    pub spent: f64,
    /// How many they are.
    pub tries: u64,
}

/// What changes together. Everything in it is of one model name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Publication {
    /// What the gate said.
    pub verdict: Option<NewVerdict>,
    /// A version to register.
    pub version: Option<NewVersion>,
    /// Aliases to move, in this order, each at most once.
    pub aliases: Vec<AliasMove>,
    /// Messages to others.
    pub outbox: Vec<NewMessage>,
}

impl From<NewVersion> for Publication {
    fn from(version: NewVersion) -> Self {
        Self {
            version: Some(version),
            ..Self::default()
        }
    }
}

impl From<AliasMove> for Publication {
    fn from(to: AliasMove) -> Self {
        Self {
            aliases: vec![to],
            ..Self::default()
        }
    }
}

/// What a publication became.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The number of the new version.
    pub version: Option<u32>,
    /// The id of the verdict.
    pub verdict: Option<i64>,
}

/// Which versions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionQuery {
    /// Of one name.
    pub name: Option<String>,
    /// Whose name, reference or note holds this text, in whatever case.
    pub contains: Option<String>,
    /// That this alias points at now.
    pub alias: Option<String>,
    /// Only those that are archived, or only those that are not.
    pub archived: Option<bool>,
    /// With ids below this one: the next page.
    pub before_id: Option<i64>,
    /// How many at most.
    pub limit: usize,
}

/// A model name, summed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelSummary {
    /// The name.
    pub name: String,
    /// The number of its newest version: how many it has.
    pub versions: u32,
    /// Where its aliases point.
    pub aliases: BTreeMap<String, u32>,
}

/// Keeps model versions, aliases and verdicts.
#[async_trait]
pub trait ModelRegistry: Send + Sync {
    /// Writes a publication that no job makes: all of it or nothing.
    ///
    /// # Errors
    /// Invalid: a name or alias that cannot be, an alias to a version that is not in it, several names, an
    /// artefact whose content is not in the store. NotFound: an alias to a version that is not there.
    /// Conflict: an alias does not point where it is expected to, or shall point at an archived version.
    /// Unavailable or internal: then it may be there as a whole.
    async fn publish(&self, publication: Publication, now: Timestamp) -> Result<Published>;

    /// A version of a name.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn version(&self, name: &str, version: u32) -> Result<Option<Version>>;

    /// The version that an alias points at now.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn by_alias(&self, name: &str, alias: &str) -> Result<Option<Version>>;

    /// Versions, the newest first.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn versions(&self, query: &VersionQuery) -> Result<Vec<Version>>;

    /// Names after `after` that hold the text in whatever case, in their order, at most `limit`. A name of
    /// which only verdicts are kept has 0 versions.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn models(
        &self,
        contains: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ModelSummary>>;

    /// Puts a version away, or takes it back (`None`).
    ///
    /// # Errors
    /// NotFound. Conflict: an alias points at it. Unavailable or internal.
    async fn archive(&self, name: &str, version: u32, change: Option<Change>) -> Result<()>;

    /// The version that an alias pointed at, at a time.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn alias_at(&self, name: &str, alias: &str, at: Timestamp) -> Result<Option<u32>>;

    /// The moves of an alias in [from, until), oldest first, at most `limit` of the latest.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn alias_history(
        &self,
        name: &str,
        alias: &str,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<AliasChange>>;

    /// Verdicts with ids below `before_id`, of one name if given, the newest first, at most `limit`.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn verdicts(
        &self,
        name: Option<&str>,
        before_id: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Verdict>>;

    /// What the verdicts of a name from `since` on have cost.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn budget(&self, name: &str, since: Timestamp) -> Result<Budget>;
}
