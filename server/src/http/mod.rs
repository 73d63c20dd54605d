//! HTTP: the routes and what they share.

pub mod dead_letters;
pub mod errors;
pub mod health;
mod json_body;
pub mod ops;
pub mod pipeline_status;
pub mod predict;
pub mod problem;
pub mod push;
pub mod same_origin;
pub mod ws;

use std::sync::Arc;

use app::api::backend::Backend;
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    http::{HeaderValue, header},
    middleware,
    routing::{any, get, post},
};
use leptos::prelude::{LeptosOptions, provide_context};
use leptos_axum::{LeptosRoutes, file_and_error_handler_with_context, generate_route_list};
use metrics_exporter_prometheus::PrometheusHandle;
use pipeline::Pipeline;
use store::Store;
use tokio_util::task::TaskTracker;
use tower_http::{compression::CompressionLayer, set_header::SetResponseHeaderLayer};

use self::ops::OpsState;

/// The largest body of a post, in bytes.
pub const MAX_BODY: usize = 32 * 1024 * 1024;

/// What every handler can reach.
#[derive(Clone)]
pub struct AppState {
    /// The stages.
    pub pipeline: Arc<Pipeline>,
    /// The store, for reads.
    pub store: Arc<dyn Store>,
    /// The server as the pages see it.
    pub backend: Arc<dyn Backend>,
    /// Where the front end lies.
    pub leptos: LeptosOptions,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// The WebSocket tasks, which axum's graceful shutdown does not wait for.
    pub sockets: TaskTracker,
}

impl FromRef<AppState> for OpsState {
    fn from_ref(state: &AppState) -> Self {
        Self {
            pipeline: Arc::clone(&state.pipeline),
            metrics: state.metrics.clone(),
        }
    }
}

impl FromRef<AppState> for LeptosOptions {
    fn from_ref(state: &AppState) -> Self {
        state.leptos.clone()
    }
}

/// Every route.
pub fn router(state: AppState, allowed_origins: &[String]) -> Router {
    let pages = generate_route_list(app::App);
    let backend = Arc::clone(&state.backend);
    let context = move || provide_context(Arc::clone(&backend));
    let options = state.leptos.clone();
    let shell = move || app::shell(options.clone());
    let router = Router::new()
        .merge(ops::routes())
        .route("/api/ticks", post(push::ticks))
        .route("/api/deadletters", get(dead_letters::list))
        .route("/api/deadletters/replay", post(dead_letters::replay))
        .route("/predict", post(predict::predict))
        .route("/live", get(ws::live))
        .route("/forecast", get(ws::forecast))
        // What is asked for here is asked for by programs: no page for them.
        .route("/api/{*path}", any(errors::not_found))
        .leptos_routes_with_context(&state, pages, context.clone(), shell)
        .fallback(file_and_error_handler_with_context::<AppState, _>(
            context,
            app::shell,
        ))
        .method_not_allowed_fallback(errors::method_not_allowed)
        .layer(middleware::map_response(errors::of_server_functions))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(
            allowed_origins.to_vec().into(),
            same_origin::check,
        ))
        // The bundle keeps its name from build to build: a browser must ask whether it changed.
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache"),
        ))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(CompressionLayer::new());
    errors::catch_panics(router).with_state(state)
}
