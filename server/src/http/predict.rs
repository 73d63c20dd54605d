//! `POST /predict`: a forecast of a stored symbol, or of a series in the body.

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
};
use market::{
    ErrorKind,
    wire::{PredictRequest, Prediction},
};

use super::{
    AppState,
    problem::{Problem, Result},
};

/// The handler.
pub async fn predict(
    State(state): State<AppState>,
    request: std::result::Result<Json<PredictRequest>, JsonRejection>,
) -> Result<Json<Prediction>> {
    let Json(request) = request.map_err(|e| {
        Problem::new(ErrorKind::Invalid, e.body_text())
            .with_status(e.status())
            .field("body")
    })?;
    Ok(Json(state.pipeline.predictor.predict(request).await?))
}
