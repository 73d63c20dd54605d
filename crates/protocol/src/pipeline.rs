//! How the pipeline stands: what `GET /api/pipeline` answers, and what the Pipeline page is written from.

use market::{DroppedCount, ReasonCount, Timestamp};
use serde::{Deserialize, Serialize};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Serve,
    /// Source to bus.
    Ingest,
    /// Bus to store, and what is made of what it stores.
    Consume,
    /// Readers.
    Web,
}

impl Role {
    /// Whether it stores what the bus brings.
    pub const fn consumes(self) -> bool {
        matches!(self, Self::Serve | Self::Consume)
    }

    /// Whether it serves readers.
    pub const fn has_readers(self) -> bool {
        matches!(self, Self::Serve | Self::Web)
    }

    /// The name of the command.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Ingest => "ingest",
            Self::Consume => "consume",
            Self::Web => "web",
        }
    }
}

/// What a counter says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rate {
    /// Since the start of the process.
    pub total: u64,
    /// Over the last ten seconds.
    pub per_second: f64,
}

impl std::ops::AddAssign for Rate {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.per_second += other.per_second;
    }
}

/// How a source stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SourceState {
    /// It has not handed anything over yet.
    Starting,
    /// It hands rows over.
    Running,
    /// It failed, or its provider does; it is tried again after a wait.
    Waiting {
        /// What it said.
        error: String,
        /// How long the wait is.
        retry_ms: u64,
    },
    /// It has come to its end.
    Finished,
    /// It failed in a way that trying again does not mend.
    Failed {
        /// What it said.
        error: String,
    },
    /// The pipeline has stopped it.
    Stopped,
}

/// A source and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// How it stands.
    #[serde(flatten)]
    pub state: SourceState,
    /// Rows that it has handed over, good and bad.
    pub rows: u64,
    /// Rows of it that could not be used.
    pub rejected: u64,
    /// The newest timestamp that it has handed over.
    #[serde(rename = "newest_us")]
    pub newest: Option<Timestamp>,
    /// How often it went on past something that rows may be missing because of.
    pub warnings: u64,
    /// The last of them, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// The pipeline stage by stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineStats {
    /// The sources.
    pub sources: Vec<SourceStatus>,
    /// Rows that sources handed over, good and bad.
    pub received: Rate,
    /// Rows that the bus took.
    pub published: Rate,
    /// Ticks stored.
    pub stored: Rate,
    /// Ticks that were there already.
    pub duplicates: Rate,
    /// Bars written that came as bars.
    pub bars_written: Rate,
    /// Rejected rows.
    pub rejected: Rate,
    /// Calls of the store that failed and were, or will be, tried again.
    pub store_errors: Rate,
    /// Calls of the bus that failed and were, or will be, tried again.
    pub bus_errors: Rate,
    /// Records on the bus that are not stored yet; `None` when the bus does not say.
    pub bus_lag_records: Option<u64>,
    /// What goes over the topic, of all processes; `None` while two answers of the bus are not there.
    pub topic_flow: Option<TopicFlow>,
    /// Ticks read from the topic for `/live`, in a process that follows it on its own.
    pub followed: Rate,
    /// `/live`.
    pub live: LiveStats,
}

/// What goes over a topic, whichever processes publish and store: messages, which hold one row or
/// more. Over the last ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TopicFlow {
    /// Messages published to it per second.
    pub published_per_second: f64,
    /// Messages per second that the group which stores has committed.
    pub taken_per_second: f64,
}

/// `/live`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiveStats {
    /// Readers connected.
    pub sessions: usize,
    /// Messages put into readers' queues.
    pub messages: Rate,
    /// The longest queue of a reader.
    pub deepest_queue: usize,
    /// How often a queue was full and folded into the latest state.
    pub conflations: Rate,
    /// Ticks left out that way.
    pub skipped_ticks: Rate,
    /// Readers cut off.
    pub cut_offs: Rate,
}

/// What is served, kind by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServingStats {
    /// Forecasts at closed bars.
    pub forecasts: ForecastStats,
    /// Forecasts on request.
    pub predictions: PredictStats,
    /// Backtests on request.
    pub backtests: BacktestStats,
    /// Calls of the store that failed and were, or will be, tried again.
    #[serde(skip)]
    pub store_errors: Rate,
}

/// Forecasts at closed bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ForecastStats {
    /// Readers of `/forecast` connected.
    pub sessions: usize,
    /// Symbols and intervals followed.
    pub series: usize,
    /// Fans computed.
    pub made: Rate,
    /// Those for which the model was fitted; for the others a kept one took the new bars.
    pub fitted: Rate,
    /// Fans written to the ledger.
    pub recorded: Rate,
    /// Fans that came after their outcome could be known: not shown, not recorded.
    pub too_late: Rate,
    /// Closed bars passed over because a newer one had closed.
    pub skipped: Rate,
    /// Fits that were refused or broke down (too few bars, as a rule).
    pub failed: Rate,
    /// Steps scored.
    pub scored: Rate,
}

/// Forecasts on request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PredictStats {
    /// Being computed now.
    pub in_flight: usize,
    /// Answered.
    pub answered: Rate,
    /// Refused because too many were being computed.
    pub refused: Rate,
}

/// Backtests on request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BacktestStats {
    /// Being computed now.
    pub in_flight: usize,
    /// Ended with a report.
    pub finished: Rate,
    /// Refused because too many were being computed.
    pub refused: Rate,
    /// Stopped because somebody asked, or because nobody waited for them any more.
    pub stopped: Rate,
}

/// What `GET /api/pipeline` answers.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineAnswer {
    /// What this process does; the stages of others are theirs to tell of.
    pub role: Role,
    /// The topic.
    pub topic: String,
    /// The consumer group that stores.
    pub group: String,
    /// The stages.
    pub stages: StageStats,
    /// In the store, of all processes.
    pub dead_letters: Vec<ReasonCount>,
    /// Those that were not kept, because their source had its quota.
    pub dropped_dead_letters: Vec<DroppedCount>,
    /// What is missing for this process to work, and why.
    pub missing: Vec<MissingPart>,
}

/// The stages of the pipeline, and forecasting beside them.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StageStats {
    /// The stages.
    #[serde(flatten)]
    pub pipeline: PipelineStats,
    /// Forecasting.
    #[serde(flatten)]
    pub serving: ServingStats,
}

/// A dependency that does not answer.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MissingPart {
    /// What: `store`, `bus`.
    pub what: String,
    /// Why.
    pub why: String,
}
