//! What every role answers about itself: health, metrics, the state of its stages.

use std::sync::Arc;

use axum::{Router, extract::FromRef, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use pipeline::Pipeline;
use serving::Serving;

use super::{errors, guard::Gate, health, pipeline_status, trace};
use crate::wiring::Training;

/// What these handlers reach.
#[derive(Clone)]
pub struct OpsState {
    /// The stages.
    pub pipeline: Arc<Pipeline>,
    /// Forecasts, where this process makes or shows them.
    pub serving: Option<Arc<Serving>>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// The training loop, where this process has a part in it.
    pub training: Option<Arc<Training>>,
}

/// The routes alone, for a process that has no others; `share` of the requests are logged.
pub fn router(state: OpsState, gate: &Arc<Gate>, share: f64) -> Router {
    let router = routes::<OpsState>()
        .fallback(errors::not_found)
        .method_not_allowed_fallback(errors::method_not_allowed);
    trace::around(errors::catch_panics(gate.guard(router)), share).with_state(state)
}

/// The routes.
pub fn routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    OpsState: FromRef<S>,
{
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/pipeline", get(pipeline_status::status))
}
