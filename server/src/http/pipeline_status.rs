//! `GET /api/pipeline`: the stages of this process with their rates, the lag of the consumers, and
//! the dead letters by reason.

use axum::{Json, extract::State};
use pipeline::{PipelineStats, Role};
use serde::Serialize;
use serving::ServingStats;
use store::{DroppedCount, ReasonCount};

use super::{ops::OpsState, problem::Result};

/// The answer.
#[derive(Debug, Serialize)]
pub struct Status {
    /// What this process does; the stages of others are theirs to tell of.
    role: Role,
    /// The topic.
    topic: String,
    /// The consumer group that stores.
    group: String,
    /// The stages.
    stages: StageStats,
    /// In the store, of all processes.
    dead_letters: Vec<ReasonCount>,
    /// Those that were not kept, because their source had its quota.
    dropped_dead_letters: Vec<DroppedCount>,
    /// What is missing for this process to work, and why.
    missing: Vec<Missing>,
}

/// The stages of the pipeline, and forecasting beside them.
#[derive(Debug, Serialize)]
struct StageStats {
    #[serde(flatten)]
    pipeline: PipelineStats,
    #[serde(flatten)]
    serving: ServingStats,
}

/// A dependency that does not answer.
#[derive(Debug, Serialize)]
pub struct Missing {
    what: &'static str,
    why: String,
}

/// The handler. While the store is away the dead letters are left out, and `missing` says so.
pub async fn status(State(state): State<OpsState>) -> Result<Json<Status>> {
    let pipeline = &state.pipeline;
    let missing = pipeline.missing().await;
    let (dead_letters, dropped_dead_letters) = if missing.iter().any(|(what, _)| *what == "store") {
        (Vec::new(), Vec::new())
    } else {
        (
            pipeline.dead_letter_counts().await?,
            pipeline.dropped_dead_letters().await?,
        )
    };
    let config = pipeline.config();
    let serving = state.serving.as_ref().map(|serving| serving.stats());
    let mut stages = StageStats {
        pipeline: pipeline.stats().await,
        serving: serving.unwrap_or_default(),
    };
    // Both ask the store.
    stages.pipeline.store_errors += stages.serving.store_errors;
    Ok(Json(Status {
        role: pipeline.role(),
        topic: config.topic.clone(),
        group: config.group.clone(),
        stages,
        dead_letters,
        dropped_dead_letters,
        missing: missing
            .into_iter()
            .map(|(what, why)| Missing { what, why })
            .collect(),
    }))
}
