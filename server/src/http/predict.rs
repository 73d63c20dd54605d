//! `POST /predict`: a forecast of a stored symbol, or of a series in the body.

use axum::{
    Json,
    extract::{State, rejection::BytesRejection},
    http::HeaderMap,
};
use bytes::Bytes;
use forecast::ModelRef;
use market::{ErrorKind, excerpt};
use mlops::registered::SCHEME;
use protocol::{PredictRequest, Prediction};

use super::{
    AppState, json_body,
    problem::{Problem, Result},
    serving::{Client, Peer},
};

/// The handler.
#[utoipa::path(
    post,
    path = "/predict",
    summary = "Forecast a stored symbol or a series",
    tag = "forecasts",
    request_body(
        content = PredictRequest,
        description = "A stored symbol, or a series",
        example = json!({"symbol": "AAPL", "interval": "1d", "model": "ets", "horizon": 5})
    ),
    responses((status = 200, description = "The forecast", body = Prediction), Problem),
)]
pub async fn predict(
    State(state): State<AppState>,
    peer: Peer,
    headers: HeaderMap,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<Json<Prediction>> {
    let request: PredictRequest = json_body::read(&headers, body, expected)?;
    // A version that is asked for by its number is loaded first; whatever else is wrong, the predictor says.
    let reference = request.model.as_deref().map(str::parse::<ModelRef>);
    if let Some(Ok(reference)) = reference
        && reference.scheme() == Some(SCHEME)
    {
        let missing = |e: forecast::Error| {
            Problem::new(ErrorKind::NotFound, excerpt(&e.to_string())).field("model")
        };
        state
            .registered
            .prepare(&reference)
            .await
            .map_err(missing)?;
    }
    let client = Client::of_peer(peer).map(Client::address);
    let predictor = state.serving.predictor.on_behalf_of(client);
    Ok(Json(predictor.predict(request).await?))
}

/// What belongs into a field.
pub fn expected(field: &str) -> Option<&'static str> {
    Some(match field {
        "id" => "a whole number from 0",
        "symbol" => "a symbol such as AAPL",
        "interval" => "one of 1s, 1m, 5m, 15m, 1h, 1d",
        "series" => "numbers, or null where one is missing",
        "model" => "a model's name",
        "horizon" => "a whole number from 1 to 1000",
        "levels" => "percentages between 0 and 100",
        "season" => "a whole number from 1",
        _ => return None,
    })
}
