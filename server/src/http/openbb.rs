//! A backend for OpenBB Workspace: `/widgets.json` says which widgets there are, and the routes below
//! `/openbb/` answer them with flat rows.
//!
//! Model: the widgets' description is a file beside this one, compiled in. Its pages run on an origin of
//! OpenBB's, so that what they may read is named by `web.openbb_origins` (CORS); of nothing else here does
//! another origin's page see anything.
//!
//! What it does not do: draw; OpenBB does, from the rows.

use app::api::backend::Backend as _;
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use market::{ErrorKind, Fan, Interval, Symbol};
use serde::Serialize;
use tower::{Layer as _, ServiceExt as _};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::ToSchema;

use super::{
    AppState,
    problem::{Problem, Result},
    query::{Parameters, Raw},
};

/// The widgets, as OpenBB Workspace reads them.
const WIDGETS: &str = include_str!("openbb_widgets.json");

/// The most symbols of one answer.
const MAX_SYMBOLS: usize = 200;

/// Who may read these routes from a page of another origin.
#[derive(Clone)]
pub struct Origins(CorsLayer);

impl Origins {
    /// Lets the pages of these origins read.
    pub fn new(origins: &[String]) -> Self {
        let origins = origins.iter().filter_map(|o| HeaderValue::try_from(o).ok());
        Self(
            CorsLayer::new()
                .allow_origin(AllowOrigin::list(origins))
                .allow_methods([Method::GET])
                .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT])
                // A page of the internet that asks a machine of this network.
                .allow_private_network(true),
        )
    }
}

/// The middleware: a preflight carries no token, so that it is answered before one is asked for.
pub async fn cors(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path != "/widgets.json" && path != "/apps.json" && !path.starts_with("/openbb/") {
        return next.run(request).await;
    }
    let Ok(response) = origins.0.layer(next).oneshot(request).await;
    response
}

/// `GET /widgets.json`.
#[utoipa::path(
    get,
    path = "/widgets.json",
    summary = "Widgets for OpenBB Workspace",
    tag = "OpenBB",
    responses((status = 200, description = "The widgets, as OpenBB Workspace reads them", body = serde_json::Value), Problem),
)]
pub async fn widgets() -> ([(header::HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, "application/json")], WIDGETS)
}

/// `GET /apps.json`: no dashboards of our own.
#[utoipa::path(
    get,
    path = "/apps.json",
    summary = "Dashboards for OpenBB Workspace",
    tag = "OpenBB",
    responses((status = 200, description = "Dashboards: none", body = Vec<serde_json::Value>), Problem),
)]
pub async fn apps() -> Json<[(); 0]> {
    Json([])
}

/// What a widget asks about; daily bars where it does not say.
fn asked(raw: Raw) -> Result<(Symbol, Interval)> {
    let mut parameters = Parameters::of(raw)?;
    let symbol = parameters.need("symbol", "a symbol such as AAPL")?;
    let interval = parameters.read("interval", "one of 1s, 1m, 5m, 15m, 1h, 1d")?;
    Ok((symbol, interval.unwrap_or(Interval::D1)))
}

/// A choice of a widget's parameter.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WidgetChoice)]
pub struct Choice {
    label: String,
    value: String,
}

/// `GET /openbb/symbols`: what there are prices of.
#[utoipa::path(
    get,
    path = "/openbb/symbols",
    summary = "Choices of symbols",
    tag = "OpenBB",
    responses((status = 200, description = "What there are prices of", body = Vec<Choice>), Problem),
)]
pub async fn symbols(State(state): State<AppState>) -> Result<Json<Vec<Choice>>> {
    let (found, _) = state.backend.symbols("", "", MAX_SYMBOLS).await?;
    let choice = |name: String| Choice {
        label: name.clone(),
        value: name,
    };
    Ok(Json(
        found
            .into_iter()
            .map(|s| choice(s.symbol.to_string()))
            .collect(),
    ))
}

/// A line of the watchlist.
#[derive(Debug, Serialize, ToSchema)]
pub struct WatchlistRow {
    symbol: Symbol,
    last: f64,
    /// Against the close before.
    change: Option<f64>,
    /// Percent.
    change_percent: Option<f64>,
    time: String,
    simulated: bool,
}

/// `GET /openbb/watchlist`.
#[utoipa::path(
    get,
    path = "/openbb/watchlist",
    summary = "The watchlist widget",
    tag = "OpenBB",
    responses((status = 200, description = "The last prices", body = Vec<WatchlistRow>), Problem),
)]
pub async fn watchlist(State(state): State<AppState>) -> Result<Json<Vec<WatchlistRow>>> {
    let (found, _) = state.backend.symbols("", "", MAX_SYMBOLS).await?;
    let row = |line: app::api::InstrumentSummary| {
        let change = line.previous_close.map(|close| line.last_price - close);
        let of_close = |change: f64| line.previous_close.map(|close| 100.0 * change / close);
        WatchlistRow {
            symbol: line.symbol,
            last: line.last_price,
            change,
            change_percent: change.and_then(of_close).filter(|p| p.is_finite()),
            time: line.last.to_string(),
            simulated: line.simulated,
        }
    };
    Ok(Json(found.into_iter().map(row).collect()))
}

/// A step of a forecast.
#[derive(Debug, Serialize, ToSchema)]
pub struct ForecastRow {
    time: String,
    model: String,
    origin: String,
    forecast: f64,
    lower_80: Option<f64>,
    upper_80: Option<f64>,
    lower_95: Option<f64>,
    upper_95: Option<f64>,
}

/// `GET /openbb/forecast?symbol=&interval=`: the latest live fans, a row for each model and step.
#[utoipa::path(
    get,
    path = "/openbb/forecast",
    summary = "The forecast widget",
    tag = "OpenBB",
    params(
        ("symbol" = Symbol, Query, description = "A stored symbol"),
        ("interval" = Option<Interval>, Query, description = "The bars; daily ones when absent"),
    ),
    responses((status = 200, description = "The latest live fans, a row for each model and step", body = Vec<ForecastRow>), Problem),
)]
pub async fn forecast(State(state): State<AppState>, raw: Raw) -> Result<Json<Vec<ForecastRow>>> {
    let (symbol, interval) = asked(raw)?;
    exists(&state, &symbol).await?;
    let fans = state.backend.latest_fans(symbol, interval).await;
    Ok(Json(fans?.iter().flat_map(forecast_rows).collect()))
}

fn forecast_rows(fan: &Fan) -> impl Iterator<Item = ForecastRow> + '_ {
    let bound = |level: f64, step: usize| {
        let band = fan.bands.iter().find(|band| band.level == level)?;
        Some((*band.lower.get(step)?, *band.upper.get(step)?))
    };
    let steps = fan.targets.iter().zip(&fan.mean).enumerate();
    steps.map(move |(step, (target, mean))| {
        let (in_80, in_95) = (bound(80.0, step), bound(95.0, step));
        ForecastRow {
            time: target.to_string(),
            model: fan.model.clone(),
            origin: fan.origin.to_string(),
            forecast: *mean,
            lower_80: in_80.map(|b| b.0),
            upper_80: in_80.map(|b| b.1),
            lower_95: in_95.map(|b| b.0),
            upper_95: in_95.map(|b| b.1),
        }
    })
}

/// The live record of a model at a step.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoreboardRow {
    model: String,
    step: u32,
    outcomes: u64,
    mae: f64,
    /// Above 0 is better than naive; percent.
    skill_percent: Option<f64>,
    /// Percent of the outcomes.
    inside_80: Option<f64>,
    inside_95: Option<f64>,
}

/// `GET /openbb/scoreboard?symbol=&interval=`: what became of the live forecasts.
#[utoipa::path(
    get,
    path = "/openbb/scoreboard",
    summary = "The scoreboard widget",
    tag = "OpenBB",
    params(
        ("symbol" = Symbol, Query, description = "A stored symbol"),
        ("interval" = Option<Interval>, Query, description = "The bars; daily ones when absent"),
    ),
    responses((status = 200, description = "What became of the live forecasts", body = Vec<ScoreboardRow>), Problem),
)]
pub async fn scoreboard(
    State(state): State<AppState>,
    raw: Raw,
) -> Result<Json<Vec<ScoreboardRow>>> {
    let (symbol, interval) = asked(raw)?;
    exists(&state, &symbol).await?;
    let scores = state.backend.scoreboard(symbol, interval).await;
    let row = |score: app::api::ModelScore| {
        let inside = |level: f64| {
            let found = score.coverage.iter().find(|(of, _)| *of == level)?;
            Some(100.0 * found.1)
        };
        ScoreboardRow {
            inside_80: inside(80.0),
            inside_95: inside(95.0),
            model: score.model,
            step: score.step,
            outcomes: score.count,
            mae: score.mae,
            skill_percent: score.skill.map(|skill| 100.0 * skill),
        }
    };
    Ok(Json(scores?.into_iter().map(row).collect()))
}

/// A symbol without prices is one that is not there: no empty table.
async fn exists(state: &AppState, symbol: &Symbol) -> Result<()> {
    let found = state.backend.instrument(symbol.clone()).await?;
    if found.is_none() {
        let detail = format!("there are no prices of {symbol}");
        return Err(Problem::new(ErrorKind::NotFound, detail).field("symbol"));
    }
    Ok(())
}
