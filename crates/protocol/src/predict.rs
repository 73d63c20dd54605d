//! What `POST /predict` takes and answers; `/forecast` carries the same.

use market::{Band, Interval, Symbol, Timestamp};
use serde::{Deserialize, Serialize};

/// A request for a forecast: of a stored symbol, or of a series in the body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PredictRequest {
    /// Comes back as it is; tells answers on a WebSocket apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// A stored symbol; together with `interval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<Symbol>,
    /// The bars whose closes are forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// A series of one's own, oldest first; null is a missing value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Vec<Option<f64>>>,
    /// The model; `naive` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The number of steps; 1 to 1,000.
    pub horizon: u32,
    /// Levels of the intervals in percent; 80 and 95 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<Vec<f64>>,
    /// The season in steps for seasonal models; the interval's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<u32>,
}

/// The answer to a [`PredictRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Prediction {
    /// The request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// The model.
    pub model: String,
    /// How many values it saw.
    pub observations: usize,
    /// Point forecasts; one per step.
    pub mean: Vec<f64>,
    /// Prediction intervals, narrowest first.
    pub bands: Vec<Band>,
    /// The model's own intervals at the same levels, where those of `bands` are calibrated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_bands: Vec<Band>,
    /// How `bands` are calibrated: `none`, `split` or `adaptive`.
    pub calibration: String,
    /// The starts of the bars forecast, when a symbol was asked for.
    #[serde(rename = "targets_us", default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Timestamp>,
    /// Where it was made from, when a symbol was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<PredictionOrigin>,
}

/// Where a forecast of a stored symbol was made from, and by which state of its model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PredictionOrigin {
    /// The start of the last closed bar that the model saw.
    #[serde(rename = "start_us")]
    pub start: Timestamp,
    /// The close of that bar.
    pub close: f64,
    /// What tells the state from every other of the series and model; equal for equal closes, in every process.
    pub state: String,
    /// When the model was fitted, by the server's wall clock.
    #[serde(rename = "fitted_at_us")]
    pub fitted_at: Timestamp,
    /// The start of the first bar that it was fitted to.
    #[serde(rename = "fitted_from_us")]
    pub fitted_from: Timestamp,
    /// The start of the last bar that it was fitted to; it was updated with those since.
    #[serde(rename = "fitted_to_us")]
    pub fitted_to: Timestamp,
    /// How many values it was fitted to.
    pub fitted_observations: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_of_a_predict_request_is_refused() {
        assert!(serde_json::from_str::<PredictRequest>(r#"{"horizn":3}"#).is_err());
    }
}
