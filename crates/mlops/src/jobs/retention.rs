//! What a retention is given.

use serde::{Deserialize, Serialize};
use store::JobKind;

use super::{Payload, PayloadError, current_version, within};

/// Removes finished jobs, and puts old versions away. Prices are removed by age where they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionPayload {
    /// The version of this format.
    #[serde(default = "current_version")]
    pub version: u32,
    /// Finished jobs of each kind that are kept, the newest.
    #[serde(default = "usual_jobs")]
    pub keep_jobs: usize,
    /// Versions of each name that stay, the newest; older ones that no alias points at are archived. None are when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_versions: Option<usize>,
}

const fn usual_jobs() -> usize {
    10_000
}

impl Payload for RetentionPayload {
    const KIND: JobKind = JobKind::Retention;

    fn check(&self) -> Result<(), PayloadError> {
        within("keep_jobs", self.keep_jobs, 1, 10_000_000)?;
        match self.keep_versions {
            Some(keep) => within("keep_versions", keep, 1, 1_000_000),
            None => Ok(()),
        }
    }
}
