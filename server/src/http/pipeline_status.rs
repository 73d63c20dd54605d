//! `GET /api/pipeline`: the stages of this process with their rates, the lag of the consumers, and
//! the dead letters by reason.

use axum::{Json, extract::State};
use protocol::{MissingPart, PipelineAnswer, StageStats};

use super::{
    ops::OpsState,
    problem::{Problem, Result},
};

/// The handler. While the store is away the dead letters are left out, and `missing` says so.
#[utoipa::path(
    get,
    path = "/api/pipeline",
    summary = "How the pipeline stands",
    tag = "operations",
    responses((status = 200, description = "The stages of this process, the lag, dead letters by reason", body = PipelineAnswer), Problem),
)]
pub async fn status(State(state): State<OpsState>) -> Result<Json<PipelineAnswer>> {
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
    Ok(Json(PipelineAnswer {
        role: pipeline.role(),
        topic: config.topic.clone(),
        group: config.group.clone(),
        stages,
        dead_letters,
        dropped_dead_letters,
        missing: missing
            .into_iter()
            .map(|(what, why)| MissingPart {
                what: what.to_owned(),
                why,
            })
            .collect(),
    }))
}
