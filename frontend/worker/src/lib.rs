//! The forecasting core as a wasm module of its own, for the worker beside it (`worker.js`).
//!
//! Model: from a series and a choice of model, or from a state of the server, to JSON: `{"answer": …}` in the form of
//! the command line's `forecast --format json` ([`forecast::Answer`]), or `{"error":
//! {"kind","message"}}`. It is compiled for speed, apart from the page's bundle, and is loaded only
//! when a forecast is asked of it.
//!
//! What it does not do: keep anything between calls, or use threads.

use forecast::{Answer, CalibrationOptions, ErrorKind, FitOptions, Level, ModelSpec, ServedState};
use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// Milliseconds of the browser's monotonic clock.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn now_ms() -> f64;
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Reply<'a> {
    Answer(Answer<'a>),
    Error(Refusal),
}

#[derive(Serialize)]
struct Refusal {
    kind: &'static str,
    message: String,
}

impl From<forecast::Error> for Refusal {
    fn from(error: forecast::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Invalid => "invalid",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Numeric => "numeric",
            ErrorKind::Cancelled => "cancelled",
            _ => "internal",
        };
        Self {
            kind,
            message: error.to_string(),
        }
    }
}

/// Fits `model` (a name as the command line takes it) to `values` (oldest first, NaN for a missing
/// one) and forecasts `horizon` steps with bands at `levels` percent. `season` is in steps, 1 for
/// none; `log` fits the logarithms; `calibration` is none, split or adaptive. Returns JSON (see the file's head).
#[wasm_bindgen]
#[must_use]
pub fn forecast(
    values: &[f64],
    model: &str,
    horizon: usize,
    levels: &[f64],
    season: usize,
    log: bool,
    calibration: &str,
) -> String {
    let options = FitOptions {
        season,
        log,
        ..FitOptions::default()
    };
    let fit = || {
        let spec: ModelSpec = model.parse()?;
        let calibration = CalibrationOptions::new(calibration.parse()?, horizon);
        ServedState::fit(&spec, &values.into(), &options, &calibration)
    };
    answer(fit, horizon, levels)
}

/// Forecasts by a state that the server has handed out (`GET /state`), after the `values` that have come since.
/// Returns JSON as [`forecast()`].
#[wasm_bindgen]
#[must_use]
pub fn forecast_by_state(
    state: &[u8],
    model: &str,
    values: &[f64],
    horizon: usize,
    levels: &[f64],
) -> String {
    let load = || {
        let spec: ModelSpec = model.parse()?;
        let mut state = ServedState::load(&spec, state)?;
        for value in values {
            state.update(*value)?;
        }
        Ok(state)
    };
    answer(load, horizon, levels)
}

fn answer(
    state: impl FnOnce() -> forecast::Result<ServedState>,
    horizon: usize,
    levels: &[f64],
) -> String {
    let began_ms = now_ms();
    let made = Level::ascending(levels).and_then(|levels| {
        let state = state()?;
        let forecast = state.forecast(horizon, &levels)?.forecast;
        Ok((forecast, state.fitted().summary()))
    });
    match made {
        Ok((forecast, summary)) => written(&Reply::Answer(Answer {
            id: None,
            summary: &summary,
            forecast: &forecast,
            seconds: (now_ms() - began_ms) / 1_000.0,
        })),
        Err(error) => written(&Reply::Error(error.into())),
    }
}

/// Writing to memory fails only where a map's key is no string, and all of ours are.
fn written(reply: &Reply) -> String {
    serde_json::to_string(reply).unwrap_or_else(|_| {
        r#"{"error":{"kind":"internal","message":"the answer could not be written"}}"#.to_owned()
    })
}
