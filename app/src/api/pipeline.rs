//! How the pipeline stands, for the Pipeline page: stages with their rates, the consumers' lag, dead
//! letters.

use market::{DroppedCount, ReasonCount, RejectReason, Timestamp};
use protocol::{SourceStatus, TopicFlow};
use serde::{Deserialize, Serialize};

/// How the pipeline stands, as this process sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineStatus {
    /// What this process does: `serve`, or one of `ingest`, `consume`, `web`, whose others are in
    /// processes of their own.
    pub role: String,
    /// The topic.
    pub topic: String,
    /// The consumer group that stores.
    pub group: String,
    /// Where this process takes its prices from.
    pub sources: Vec<SourceStatus>,
    /// The stages of this process, in the order of the flow.
    pub stages: Vec<StageRate>,
    /// Records on the bus that are not stored yet; absent when the bus does not say.
    pub lag_records: Option<u64>,
    /// What goes over the topic; absent while the bus has not said enough.
    pub flow: Option<TopicFlow>,
    /// Readers of `/live` connected to this process.
    pub live_readers: usize,
    /// What this process misses to do its work, and why: (what, why).
    pub missing: Vec<(String, String)>,
    /// Dead letters in the store, of all processes.
    pub dead_letters: Vec<ReasonCount>,
    /// Dead letters that were not kept, because their source had its quota.
    pub dropped: Vec<DroppedCount>,
}

/// How many dead letters the page lists at once.
pub const LETTERS_SHOWN: usize = 50;

/// What a stage has done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRate {
    /// What is counted: `received`, `published`, `stored`, `duplicates`, `rejected`, `followed`,
    /// `live messages`, `forecasts`.
    pub name: String,
    /// Since the start of the process.
    pub total: u64,
    /// Over the last ten seconds.
    pub per_second: f64,
}

/// A row that could not be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetterLine {
    /// Its number; the next page begins after the last one's.
    pub id: i64,
    /// When it was put aside.
    pub at: Timestamp,
    /// Why.
    pub reason: RejectReason,
    /// What exactly, for a person.
    pub detail: String,
    /// Where it came from.
    pub origin: String,
    /// The row as it came, at most its first 500 characters.
    pub row: String,
}
