//! `GET /state`: the state of a model of a stored series, as bytes, for a browser that is to forecast without the
//! server.

use axum::{
    extract::State,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use market::{Interval, Symbol};

use super::{
    AppState,
    problem::{Problem, Result},
    query::{Parameters, Raw},
    serving::{Client, Peer},
};

/// The start of the last bar that the state has seen, in microseconds since 1970 UTC.
const ORIGIN: HeaderName = HeaderName::from_static("x-tickcast-origin-us");

/// The handler.
#[utoipa::path(
    get,
    path = "/state",
    summary = "The fitted state of a model",
    tag = "forecasts",
    params(
        ("symbol" = Symbol, Query, description = "A stored symbol"),
        ("interval" = Interval, Query, description = "The bars"),
        ("model" = String, Query, description = "The model"),
    ),
    responses((status = 200, description = "The fitted state of a model of a series, as bytes", body = Vec<u8>, content_type = "application/octet-stream"), Problem),
)]
pub async fn state(State(state): State<AppState>, peer: Peer, raw: Raw) -> Result<Response> {
    let mut parameters = Parameters::of(raw)?;
    let symbol: Symbol = parameters.need("symbol", "a symbol such as AAPL")?;
    let interval: Interval = parameters.need("interval", "one of 1s, 1m, 5m, 15m, 1h, 1d")?;
    let model: String = parameters.need("model", "a model's name")?;
    parameters.end()?;
    let client = Client::of_peer(peer).map(Client::address);
    let predictor = state.serving.predictor.on_behalf_of(client);
    let found = predictor.state(&symbol, interval, &model);
    let (origin, bytes) = found.await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (ORIGIN, origin.as_micros().to_string()),
    ];
    Ok((headers, bytes).into_response())
}
