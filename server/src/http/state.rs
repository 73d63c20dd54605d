//! `GET /state`: the state of a model of a stored series, as bytes, for a browser that is to forecast without the
//! server.

use axum::{
    extract::{Query, State},
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use market::{Interval, Symbol};
use serde::Deserialize;

use super::{
    AppState,
    problem::Result,
    serving::{Client, Peer},
};

/// The start of the last bar that the state has seen, in microseconds since 1970 UTC.
const ORIGIN: HeaderName = HeaderName::from_static("x-tickcast-origin-us");

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateQuery {
    symbol: Symbol,
    interval: Interval,
    model: String,
}

/// The handler.
pub async fn state(
    State(state): State<AppState>,
    peer: Peer,
    Query(query): Query<StateQuery>,
) -> Result<Response> {
    let client = Client::of_peer(peer).map(Client::address);
    let predictor = state.serving.predictor.on_behalf_of(client);
    let found = predictor.state(&query.symbol, query.interval, &query.model);
    let (origin, bytes) = found.await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (ORIGIN, origin.as_micros().to_string()),
    ];
    Ok((headers, bytes).into_response())
}
