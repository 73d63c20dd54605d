//! How the pipeline stands, for the Pipeline page: stages with their rates, the consumers' lag, dead
//! letters.

use market::{RejectReason, Timestamp};
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
    pub sources: Vec<SourceLine>,
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
    pub dead_letters: Vec<DeadLetterCount>,
    /// Dead letters that were not kept, because their source had its quota.
    pub dropped: Vec<DroppedLetters>,
}

/// What the Pipeline page shows, as the server wrote it: two pieces of HTML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineBoard {
    /// How the stages stand.
    pub stages: String,
    /// Dead letters.
    pub letters: String,
}

/// How many dead letters the page lists at once.
pub const LETTERS_SHOWN: usize = 50;

/// A source, and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceLine {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: SourceState,
    /// Rows that it has handed over, good and bad.
    pub rows: u64,
    /// Rows of it that could not be used.
    pub rejected: u64,
    /// The newest time that it has handed over.
    pub newest: Option<Timestamp>,
    /// How often it went on past something that rows may be missing because of.
    pub warnings: u64,
    /// The last of them, in words.
    pub warning: Option<String>,
}

/// How a source stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceState {
    /// It has not handed anything over yet.
    Starting,
    /// It hands rows over.
    Running,
    /// It failed, and is started again after a wait.
    Waiting {
        /// What it said.
        error: String,
        /// How long the wait is.
        retry_ms: u64,
    },
    /// It has come to its end.
    Finished,
    /// It failed, and trying again would not mend it: a wrong key, say.
    Failed {
        /// What it said.
        error: String,
    },
    /// The pipeline has stopped it.
    Stopped,
}

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

/// What goes over the topic, of all processes: messages, which hold one row or more. Over the last
/// ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopicFlow {
    /// Messages published to it per second.
    pub published_per_second: f64,
    /// Messages per second that the group which stores is through with.
    pub taken_per_second: f64,
}

/// How many dead letters there are of a reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetterCount {
    /// The reason.
    pub reason: RejectReason,
    /// How many wait.
    pub open: u64,
    /// How many were replayed.
    pub replayed: u64,
}

/// How many dead letters of a source and reason were not kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DroppedLetters {
    /// The source.
    pub source: String,
    /// The reason.
    pub reason: RejectReason,
    /// How many.
    pub dropped: u64,
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

/// What a replay did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaySummary {
    /// Letters whose rows are in the store now.
    pub replayed: u64,
    /// Letters that still cannot be used.
    pub still_bad: u64,
}
