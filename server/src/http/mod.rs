//! HTTP: the routes and what they share.

pub mod alarms;
pub mod audit;
pub mod bodies;
pub mod content_encoding;
pub mod dead_letters;
pub mod errors;
pub mod guard;
pub mod headers;
pub mod health;
pub mod hosts;
pub mod jobs;
mod json_body;
pub mod login;
mod login_page;
pub mod models;
pub mod openapi;
pub mod openbb;
pub mod ops;
pub mod pipeline_status;
pub mod predict;
pub mod problem;
pub mod push;
pub mod query;
pub mod rates;
pub mod routes;
pub mod same_origin;
pub mod serving;
pub mod site;
pub mod state;
pub mod telemetry;
pub mod trace;
pub mod ws;

use std::sync::Arc;

use ::serving::Serving;
use app::{api::backend::Backend, ssr::desk::Desk};
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef, Request, State},
    http::{HeaderValue, header, request},
    middleware,
    routing::{any, get, post},
};
use leptos::prelude::{LeptosOptions, provide_context, use_context};
use leptos_axum::{LeptosRoutes, generate_route_list};
use metrics_exporter_prometheus::PrometheusHandle;
use mlops::registered::RegisteredModels;
use pipeline::Pipeline;
use store::{DatabasePorts, DeadLetterLog};
use tokio_util::task::TaskTracker;
use tower_http::{compression::CompressionLayer, set_header::SetResponseHeaderLayer};

use self::{
    bodies::Bodies,
    guard::{Gate, Grant},
    ops::OpsState,
    rates::Rates,
};
use crate::{backend::ServerBackend, config::Config, desk::ServerDesk, wiring::Training};

/// What every handler can reach.
#[derive(Clone)]
pub struct AppState {
    /// The stages.
    pub pipeline: Arc<Pipeline>,
    /// Forecasts.
    pub serving: Arc<Serving>,
    /// The dead letters, for reads.
    pub dead_letters: Arc<dyn DeadLetterLog>,
    /// Jobs, the model registry and what else a database has.
    pub database: DatabasePorts,
    /// The worker of this process, if it has one.
    pub training: Option<Arc<Training>>,
    /// The registry's models, loaded.
    pub registered: RegisteredModels,
    /// The server as the pages see it.
    pub backend: Arc<ServerBackend>,
    /// The training loop as the pages see it.
    pub desk: Arc<ServerDesk>,
    /// What stands before every handler.
    pub gate: Arc<Gate>,
    /// Where the front end lies.
    pub leptos: LeptosOptions,
    /// The front end's build by name.
    pub build: Arc<str>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// The WebSocket tasks, which axum's graceful shutdown does not wait for.
    pub sockets: TaskTracker,
    /// How often a client may ask for what costs.
    pub rates: Rates,
    /// Rows of one push that are kept as dead letters.
    pub push_rejects: usize,
}

impl FromRef<AppState> for OpsState {
    fn from_ref(state: &AppState) -> Self {
        Self {
            pipeline: Arc::clone(&state.pipeline),
            serving: Some(Arc::clone(&state.serving)),
            metrics: state.metrics.clone(),
            training: state.training.clone(),
        }
    }
}

impl FromRef<AppState> for LeptosOptions {
    fn from_ref(state: &AppState) -> Self {
        state.leptos.clone()
    }
}

/// Every route.
pub fn router(state: AppState, config: &Config) -> Router {
    let limits = &config.limits;
    let pages = generate_route_list(app::App);
    let (backend, desk) = (Arc::clone(&state.backend), Arc::clone(&state.desk));
    let context = move || {
        headers::page_policy();
        // Who asks goes with what is asked.
        let request = use_context::<request::Parts>();
        let grant = request.and_then(|parts| parts.extensions.get::<Grant>().cloned());
        let desk: Arc<dyn Desk> = Arc::new(desk.on_behalf_of(grant.clone()));
        provide_context(desk);
        let backend: Arc<dyn Backend> = Arc::new(backend.on_behalf_of(grant));
        provide_context(backend);
    };
    let build = Arc::clone(&state.build);
    let shell = move || app::shell(&build);
    let router = Router::new()
        .merge(ops::routes())
        .merge(openapi::routes())
        .route("/api/ticks", post(push::ticks))
        .route("/api/deadletters", get(dead_letters::list))
        .route("/api/deadletters/replay", post(dead_letters::replay))
        .route("/api/deadletters/discard", post(dead_letters::discard))
        .route("/api/audit", get(audit::list))
        .route("/api/jobs", get(jobs::list).post(jobs::submit))
        .route("/api/jobs/{id}", get(jobs::show))
        .route("/api/jobs/{id}/log", get(jobs::log))
        .route("/api/jobs/{id}/cancel", post(jobs::cancel))
        .route("/api/alarms", get(alarms::list))
        .route("/api/models", get(models::list))
        .route("/api/models/{name}/versions", get(models::versions))
        .route(
            "/api/models/{name}/versions/{version}",
            get(models::version),
        )
        .route(
            "/api/models/{name}/versions/{version}/archive",
            post(models::archive),
        )
        .route("/api/models/{name}/verdicts", get(models::verdicts))
        .route(
            "/api/models/{name}/aliases/{alias}",
            get(models::history).post(models::move_alias),
        )
        .route("/login", get(login::page).post(login::login))
        .route("/logout", post(login::logout))
        .route("/predict", post(predict::predict))
        .route("/state", get(state::state))
        .route("/widgets.json", get(openbb::widgets))
        .route("/apps.json", get(openbb::apps))
        .route("/openbb/symbols", get(openbb::symbols))
        .route("/openbb/watchlist", get(openbb::watchlist))
        .route("/openbb/forecast", get(openbb::forecast))
        .route("/openbb/scoreboard", get(openbb::scoreboard))
        .route("/live", get(ws::live))
        .route("/forecast", get(ws::forecast))
        // What is asked for here is asked for by programs: no page for them.
        .route("/api/{*path}", any(errors::not_found))
        .leptos_routes_with_context(&state, pages, context.clone(), shell)
        .fallback(move |state: State<AppState>, request: Request| {
            site::file_or_not_found(state, context.clone(), request)
        })
        .method_not_allowed_fallback(errors::method_not_allowed)
        .layer(middleware::map_response(errors::of_server_functions))
        // The bodies are bounded before they come to a handler.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(
            Bodies::new(limits),
            bodies::collect,
        ))
        .layer(middleware::from_fn_with_state(
            state.rates.clone(),
            rates::limit,
        ));
    let router = state
        .gate
        .guard(router)
        .layer(middleware::from_fn_with_state(
            openbb::Origins::new(&config.web.openbb_origins),
            openbb::cors,
        ))
        // Without a build in its address a file's name stays from build to build: a browser must ask whether it changed.
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache"),
        ))
        .layer(CompressionLayer::new());
    trace::around(errors::catch_panics(router), config.log.access).with_state(state)
}
