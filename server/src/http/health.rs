//! Health and metrics.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use market::ErrorKind;
use serde_json::json;

use super::{ops::OpsState, problem::Problem, telemetry};

/// Warnings of one answer at most.
const MOST_WARNINGS: usize = 20;

/// `GET /healthz`: the process answers; with what is to be looked at, if anything is.
#[utoipa::path(
    get,
    path = "/healthz",
    summary = "Whether the process answers",
    tag = "health",
    responses((status = 200, description = "The process answers", body = serde_json::Value), Problem),
)]
pub async fn alive(State(state): State<OpsState>) -> Json<serde_json::Value> {
    let overdue = state.training.map(|training| training.overdue().all());
    let warnings: Vec<String> = overdue
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .take(MOST_WARNINGS)
        .collect();
    if warnings.is_empty() {
        return Json(json!({ "status": "ok" }));
    }
    Json(json!({ "status": "ok", "warnings": warnings }))
}

/// `GET /readyz`: what it depends on answers too, or 503 with what is missing and why.
#[utoipa::path(
    get,
    path = "/readyz",
    summary = "Whether what it depends on answers",
    tag = "health",
    responses((status = 200, description = "What it depends on answers too", body = serde_json::Value), Problem),
)]
pub async fn ready(State(state): State<OpsState>) -> Response {
    let missing = state.pipeline.missing().await;
    let Some((first, _)) = missing.first() else {
        return Json(json!({ "status": "ready" })).into_response();
    };
    let parts: Vec<String> = missing
        .iter()
        .map(|(what, why)| format!("{what}: {why}"))
        .collect();
    Problem::new(ErrorKind::Unavailable, parts.join("; "))
        .field(*first)
        .into_response()
}

/// `GET /metrics`: Prometheus text.
#[utoipa::path(
    get,
    path = "/metrics",
    summary = "Metrics for Prometheus",
    tag = "health",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain; version=0.0.4; charset=utf-8"), Problem),
)]
pub async fn metrics(State(state): State<OpsState>) -> Response {
    let role = state.pipeline.role().as_str();
    metrics::gauge!("tickcast_process_info", "role" => role, "version" => env!("CARGO_PKG_VERSION"))
        .set(1.0);
    // All of them set gauges; a dependency that is away leaves the last values.
    state.pipeline.stats().await;
    let counts = async {
        state.pipeline.dead_letter_counts().await?;
        state.pipeline.dropped_dead_letters().await
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), counts).await;
    let text = telemetry::render(&state.metrics);
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}
