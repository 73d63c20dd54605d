//! A forecast of a series as it is kept and drawn: the fan.
//!
//! What it does not do: forecast.

use serde::{Deserialize, Serialize};

use crate::{Interval, Symbol, Timestamp};

/// One forecast of one model from one origin: the fan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Fan {
    /// The symbol.
    pub symbol: Symbol,
    /// The bars' length.
    pub interval: Interval,
    /// The model, as the `forecast` crate writes it: `naive`, `arima(1,1,1)`.
    pub model: String,
    /// The start of the last closed bar that the model saw.
    #[serde(rename = "origin_us")]
    pub origin: Timestamp,
    /// The close of that bar.
    pub origin_close: f64,
    /// When it was made, by the server's wall clock.
    #[serde(rename = "made_at_us")]
    pub made_at: Timestamp,
    /// The starts of the bars forecast; one per step.
    #[serde(rename = "targets_us")]
    pub targets: Vec<Timestamp>,
    /// Point forecasts of their closes; one per step.
    pub mean: Vec<f64>,
    /// Prediction intervals, narrowest first.
    pub bands: Vec<Band>,
}

/// A prediction interval over the steps of a fan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Band {
    /// Nominal coverage, percent.
    pub level: f64,
    /// Lower bounds; one per step.
    pub lower: Vec<f64>,
    /// Upper bounds; one per step.
    pub upper: Vec<f64>,
}
