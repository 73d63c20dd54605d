//! What a scoring is given.

use market::{Interval, Symbol, Timestamp};
use serde::{Deserialize, Serialize};
use store::JobKind;

use super::{Payload, PayloadError, current_version, within};

/// The scores of a symbol's live forecasts, by model and step, over the last forecasts of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScorePayload {
    /// The version of this format.
    #[serde(default = "current_version")]
    pub version: u32,
    /// The symbol.
    pub symbol: Symbol,
    /// The length of the bars.
    pub interval: Interval,
    /// Only this model, by its name in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Origins before this time; all when absent.
    #[serde(default, rename = "as_of_us", skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// Forecasts that are looked at, the latest of all models together.
    #[serde(default = "usual_forecasts")]
    pub forecasts: usize,
}

const fn usual_forecasts() -> usize {
    2_000
}

impl Payload for ScorePayload {
    const KIND: JobKind = JobKind::Score;

    fn check(&self) -> Result<(), PayloadError> {
        within("forecasts", self.forecasts, 1, 100_000)
    }
}
