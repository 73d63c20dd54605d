//! `/openapi.json` describes what programs may ask for; `/docs` shows it, and tries it out.
//!
//! Model: OpenAPI 3.1, made by utoipa from the messages and the handlers themselves. The page is Swagger UI, whose
//! files are in the program: nothing is fetched from elsewhere.
//!
//! What it does not do: describe the WebSockets, whose messages are `LiveRequest`, `LiveMessage`, `ForecastRequest`
//! and `ForecastMessage` of `crates/protocol`, nor what the pages ask for.

use axum::{
    Json, Router,
    http::{HeaderValue, header},
    routing::get,
};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::{
    Modify, OpenApi as _,
    openapi::{
        OpenApi,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    alarms, audit, dead_letters, health, jobs, models, openbb, pipeline_status, predict,
    problem::Problem, push, state,
};

/// Where the description is.
pub const DESCRIPTION: &str = "/openapi.json";

/// Swagger UI draws its icons from data, hides one drawing by a style of its own, and asks this server alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self' 'unsafe-hashes' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tickcast",
        description = "Stock prices as they happen, forecasts of them, and how good those were. Errors are \
                       problem documents (RFC 9457). Live prices and forecasts come over the WebSockets /live and /forecast."
    ),
    paths(
        health::alive,
        health::ready,
        health::metrics,
        push::ticks,
        predict::predict,
        state::state,
        jobs::submit,
        jobs::list,
        jobs::show,
        jobs::log,
        jobs::cancel,
        alarms::list,
        models::list,
        models::versions,
        models::version,
        models::verdicts,
        models::history,
        models::move_alias,
        models::archive,
        dead_letters::list,
        dead_letters::discard,
        dead_letters::replay,
        pipeline_status::status,
        audit::list,
        openbb::widgets,
        openbb::apps,
        openbb::symbols,
        openbb::watchlist,
        openbb::forecast,
        openbb::scoreboard,
    ),
    components(schemas(Problem)),
    modifiers(&Tokens)
)]
struct Description;

/// A token is asked for where one was made.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, description: &mut OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("Made by `tickcast token new`; not asked for on loopback".into());
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        let token = SecurityRequirement::new::<_, [&str; 0], &str>("token", []);
        // With or without.
        description.security = Some(vec![SecurityRequirement::default(), token]);
    }
}

/// The description.
pub fn description() -> OpenApi {
    Description::openapi()
}

/// The routes.
pub fn routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let described = description();
    let page = SwaggerUi::new("/docs").config(Config::new([DESCRIPTION]).validator_url("none"));
    let policy = HeaderValue::from_static(POLICY);
    Router::from(page)
        .layer(SetResponseHeaderLayer::overriding(
            header::CONTENT_SECURITY_POLICY,
            policy,
        ))
        .route(DESCRIPTION, get(async move || Json(described.clone())))
}
