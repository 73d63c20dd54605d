//! What a training run has to say to MLflow, and what else goes there.
//!
//! Model: a [`Record`] is complete: it is made once, when the run is over, and kept in the outbox until it is
//! delivered. Its job id is what makes sending it twice the same as sending it once.
//! Does not: hold the bytes of artefacts, which are in the store under their SHA-256.

use std::collections::{BTreeMap, BTreeSet};

use market::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Artefact, NewMessage, Topic};

use super::{
    error::{MlflowError, Result},
    limits, wire,
};

/// Tag of a run and of a version: the job that made it.
pub const JOB_TAG: &str = "tickcast.job";
/// Tag of a run: SHA-256 of the record.
pub const RECORD_TAG: &str = "tickcast.record";
/// Tag of a run: it was sent as a whole. Its value is `yes`.
pub const DELIVERED_TAG: &str = "tickcast.delivered";
/// Start of the tag that holds the SHA-256 of an artefact; its path follows.
pub const SHA256_TAG: &str = "tickcast.sha256.";
/// Start of the tag that holds a name as it was before [`limits::key`]; the key follows.
pub const NAME_TAG: &str = "tickcast.name.";
/// Tag of a registered model: its name here.
pub const MODEL_TAG: &str = "tickcast.model";

/// Characters of the path of an artefact: with [`SHA256_TAG`] before it, it is the key of a tag.
const PATH_CHARS: usize = 200;
/// Characters of a job id.
const JOB_CHARS: usize = 200;

/// What a training run has to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Name of the experiment; it is made if it is not there, and restored if it was deleted.
    pub experiment: String,
    /// What the run is called in MLflow's lists. Need not be unique.
    pub run_name: String,
    /// The job that the run was: 1 to 200 of letters, digits and `. _ : / + @ -`, unique within the experiment.
    pub job: String,
    /// How it ended.
    pub status: RunStatus,
    /// When it began.
    #[serde(rename = "started_at_us")]
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(rename = "finished_at_us")]
    pub finished_at: Timestamp,
    /// What it was given. Symbols and other texts may be values; see [`limits::key`] for names.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// What was measured, by step.
    #[serde(default)]
    pub metrics: Vec<Metric>,
    /// What else is to be known. Names that begin with `tickcast.` are its own; those that begin with `mlflow.`
    /// mean something to MLflow (`mlflow.note.content` is the description of the run).
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The files. Their content is in the store.
    #[serde(default)]
    pub artefacts: Vec<Artefact>,
    /// The version that came of it, if one did.
    #[serde(default)]
    pub registered: Option<Registered>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunStatus {
    /// It came to its end.
    Finished,
    /// It did not.
    Failed,
    /// It was cancelled.
    Killed,
}

impl RunStatus {
    /// MLflow's word. It takes any other without a sign, and changes nothing.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }
}

/// A measured value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// What was measured; see [`limits::key`].
    pub name: String,
    /// The step of the training: an epoch, an origin.
    pub step: i64,
    /// When.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
    /// How much. Need not be finite: MLflow keeps NaN, and infinities as ±1.797e308.
    #[serde(with = "wire::number")]
    pub value: f64,
}

/// A version of a registered model, made of a run's artefacts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The model's name here; see [`limits::model_name`].
    pub model: String,
    /// The folder among the artefacts whose files are the model. What is beside it belongs to the run alone.
    pub folder: String,
    /// What to know of the version.
    pub note: String,
    /// Aliases that point at it from now on; see [`alias`].
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// An alias moved without a run: a roll-back, an archived version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasMoved {
    /// The model's name here.
    pub model: String,
    /// The alias; see [`alias`].
    pub alias: String,
    /// Job id of the run whose version it points at from now on. None: it points at none.
    pub to: Option<String>,
}

/// What goes to MLflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Update {
    /// A run.
    Run(Box<Record>),
    /// An alias.
    Alias(AliasMoved),
}

impl From<Record> for Update {
    fn from(record: Record) -> Self {
        Self::Run(Box::new(record))
    }
}

impl From<AliasMoved> for Update {
    fn from(moved: AliasMoved) -> Self {
        Self::Alias(moved)
    }
}

impl Update {
    /// The message for the outbox, to be published with what it tells of. `key` is unique among what goes to
    /// MLflow: the job id does for a run.
    ///
    /// # Errors
    /// Record: it could not be sent whatever the server says.
    pub fn message(&self, key: impl Into<String>) -> Result<NewMessage> {
        match self {
            Self::Run(record) => record.check()?,
            Self::Alias(moved) => {
                alias(&moved.alias)?;
                moved.to.as_deref().map_or(Ok(()), check_job)?;
            }
        }
        Ok(NewMessage {
            topic: Topic::Mlflow,
            payload: serde_json::to_value(self).map_err(|e| refused(e.to_string()))?,
            key: key.into(),
        })
    }

    /// Reads a message from the outbox.
    ///
    /// # Errors
    /// Record: it is none of these.
    pub fn read(message: &NewMessage) -> Result<Self> {
        serde_json::from_value(message.payload.clone())
            .map_err(|e| refused(format!("the message {} is no update: {e}", message.key)))
    }
}

impl Record {
    /// Whether it can be sent at all.
    ///
    /// # Errors
    /// Record: what cannot be.
    pub fn check(&self) -> Result<()> {
        match self.experiment.chars().count() {
            1..=limits::NAME_CHARS => {}
            n => {
                return Err(refused(format!(
                    "the name of its experiment has {n} characters"
                )));
            }
        }
        check_job(&self.job)?;
        let times = [self.started_at, self.finished_at];
        let measured = self.metrics.iter().map(|metric| metric.at);
        if let Some(before) = times
            .into_iter()
            .chain(measured)
            .find(|at| at.as_millis() < 0)
        {
            return Err(refused(format!(
                "MLflow has no time before 1970, such as {before}"
            )));
        }
        if let Some(own) = self.tags.keys().find(|key| is_own(key)) {
            return Err(refused(format!("the tag {own:?} is not for others to set")));
        }
        let mut paths = BTreeSet::new();
        for file in &self.artefacts {
            check_path(&file.path)?;
            if file.sha256.len() != 64 || !file.sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(refused(format!("{:?} is no SHA-256", file.sha256)));
            }
            if !paths.insert(&file.path) {
                return Err(refused(format!("it has {:?} twice", file.path)));
            }
        }
        if let Some(registered) = &self.registered {
            check_path(&registered.folder)?;
            if self.in_folder(&registered.folder).next().is_none() {
                return Err(refused(format!(
                    "it has no file in {:?}",
                    registered.folder
                )));
            }
            for name in &registered.aliases {
                alias(name)?;
            }
        }
        Ok(())
    }

    /// The files in a folder, with their paths in it.
    pub(super) fn in_folder<'a>(
        &'a self,
        folder: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Artefact)> {
        self.artefacts.iter().filter_map(move |file| {
            let path = file.path.strip_prefix(folder)?.strip_prefix('/')?;
            Some((path, file))
        })
    }

    /// SHA-256 of what it says.
    pub(super) fn sha256(&self) -> Result<String> {
        let text = serde_json::to_vec(self).map_err(|e| refused(e.to_string()))?;
        Ok(limits::sha256(&text))
    }
}

/// An alias as MLflow has it: lower case, because MLflow tells `Champion` from `champion`.
///
/// # Errors
/// Record: not 1 to 64 of `a-z 0-9 _ -`, or `latest`, or `v` and a number, which mean something else to it.
///
/// ```
/// use mlops::mlflow::alias;
///
/// assert_eq!(alias("Champion").unwrap(), "champion");
/// assert!(alias("latest").is_err());
/// assert!(alias("V12").is_err());
/// ```
pub fn alias(text: &str) -> Result<String> {
    let alias = text.to_ascii_lowercase();
    let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
    if !(1..=64).contains(&alias.len()) || !alias.chars().all(allowed) {
        let expected = "expected 1 to 64 of a-z, 0-9, _ and -";
        return Err(refused(format!(
            "{:?} is no alias: {expected}",
            market::excerpt(text)
        )));
    }
    let number = alias.strip_prefix('v').unwrap_or_default();
    if alias == "latest" || (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())) {
        return Err(refused(format!(
            "MLflow keeps the alias {alias:?} for itself"
        )));
    }
    Ok(alias)
}

pub(super) fn check_job(job: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._:/+@-".contains(c);
    if (1..=JOB_CHARS).contains(&job.len()) && job.chars().all(allowed) {
        return Ok(());
    }
    let expected = "expected 1 to 200 letters, digits and . _ : / + @ -";
    Err(refused(format!(
        "{:?} is no job id: {expected}",
        market::excerpt(job)
    )))
}

fn is_own(key: &str) -> bool {
    key.starts_with("tickcast.") || key == "mlflow.runName"
}

/// A path that is the same in an address, in a folder of any system, and in the key of a tag.
fn check_path(path: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let parts_are_names = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if path.len() <= PATH_CHARS && path.chars().all(allowed) && parts_are_names {
        return Ok(());
    }
    let expected = "expected a relative path of at most 200 letters, digits and . _ - /";
    Err(refused(format!(
        "{:?} is no artefact's path: {expected}",
        market::excerpt(path)
    )))
}

pub(super) const fn refused(detail: String) -> MlflowError {
    MlflowError::Record { detail }
}
