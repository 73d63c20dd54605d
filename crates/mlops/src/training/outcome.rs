//! What a round ends with.

use forecast::{CalibrationOptions, FitOptions, ModelRef};
use market::{Interval, Symbol, Timestamp};
use serde::{Deserialize, Serialize};

use super::{evaluate::ModelMeasures, recipe::JudgedBy, series};
use crate::gate::{ErrorBudget, Verdict};

/// What is done with the champion of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A candidate becomes champion.
    Promote,
    /// The champion stays, fitted to the new closes.
    Refresh,
    /// Everything stays as it is.
    Keep,
    /// The champion is worse than naive, which is served from now on.
    ServeNaive,
}

/// A candidate that was not judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its reference.
    pub model: String,
    /// Why.
    pub reason: String,
}

/// What a model was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The start of the first bar.
    pub from: Timestamp,
    /// The end of the last.
    pub until: Timestamp,
    /// Closes.
    pub rows: usize,
    /// Their hash ([`super::Series::sha256`]).
    pub sha256: String,
    /// The version of the program.
    pub code_version: String,
    /// The seed.
    pub seed: u64,
    /// The version that was champion before.
    pub parent: Option<u32>,
}

/// A round with all its numbers: what is kept of it, refusals too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// The model name.
    pub model: String,
    /// The symbol.
    pub symbol: Symbol,
    /// The length of the bars.
    pub interval: Interval,
    /// What was known.
    pub as_of: Timestamp,
    /// What the losses of its verdicts are.
    #[serde(default)]
    pub judged_by: JudgedBy,
    /// The champion before.
    pub champion: Option<ModelRef>,
    /// What is done.
    pub action: Action,
    /// The reference of the model that is champion after it; none while naive is served.
    pub served: Option<ModelRef>,
    /// The verdict on each candidate.
    pub verdicts: Vec<Verdict>,
    /// The round as a paragraph for a person.
    pub words: String,
    /// The error budget after it. The next round goes on from it.
    pub budget: Option<ErrorBudget>,
    /// How much of the year's bound on false promotions the verdicts can have used, beyond what earlier ones had.
    pub budget_spent: f64,
    /// Naive, the champion and the candidates on the held-out origins.
    pub measures: Vec<ModelMeasures>,
    /// Candidates that were not judged.
    pub left_out: Vec<LeftOut>,
    /// What it was held on.
    pub lineage: Lineage,
}

impl Round {
    /// The measures of the model that is champion after it, else of naive.
    #[must_use]
    pub fn served_measures(&self) -> Option<&ModelMeasures> {
        let name = self.served.as_ref().map_or("naive", ModelRef::as_str);
        self.measures.iter().find(|one| one.model == name)
    }
}

/// A file of a model.
#[derive(Clone, PartialEq, Eq)]
pub struct ArtefactFile {
    /// Its name.
    pub path: String,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl ArtefactFile {
    pub(super) fn new(path: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            path: path.into(),
            sha256: series::sha256(&bytes),
            bytes,
        }
    }
}

impl std::fmt::Debug for ArtefactFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.bytes.len();
        write!(f, "{} ({bytes} bytes, {})", self.path, self.sha256)
    }
}

/// The file with the [`Manifest`], as JSON.
pub const MANIFEST_FILE: &str = "model.json";
/// The file with the [`forecast::ServedState`].
pub const STATE_FILE: &str = "state.bin";

/// What has to be known to load a state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format.
    pub format: u32,
    /// The model whose state it is.
    pub reference: ModelRef,
    /// Whose closes it has seen.
    pub symbol: Symbol,
    /// The length of their bars.
    pub interval: Interval,
    /// The start of the last bar that it has seen.
    pub last: Timestamp,
    /// How it was fitted.
    pub options: FitOptions,
    /// How it was calibrated.
    pub calibration: CalibrationOptions,
}

impl Manifest {
    /// The version that this build writes and reads.
    pub const FORMAT: u32 = 1;
}

/// A model that was fitted to be served.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Its reference: what it is the next time, too.
    pub reference: ModelRef,
    /// Its files: the manifest, the state, and what the model brings itself ([`forecast::ForecastModel::files`]).
    pub files: Vec<ArtefactFile>,
}

/// What a round ends with.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The round.
    pub round: Round,
    /// The model for a new version; none where nothing is promoted or fitted anew.
    pub trained: Option<Trained>,
}
