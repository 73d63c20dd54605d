//! The forecasting core as a wasm module of its own, for the worker beside it (`worker.js`).
//!
//! Model: one function from a series and a choice of model to JSON: `{"answer": …}` in the form of
//! the command line's `forecast --format json` ([`forecast::Answer`]), or `{"error":
//! {"kind","message"}}`. It is compiled for speed, apart from the page's bundle, and is loaded only
//! when a forecast is asked of it.
//!
//! What it does not do: keep anything between calls, or use threads.

use forecast::{Answer, ErrorKind, FitOptions, FittedModel, Level, ModelSpec};
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
/// none; `log` fits the logarithms. Returns JSON (see the file's head).
#[wasm_bindgen]
#[must_use]
pub fn forecast(
    values: &[f64],
    model: &str,
    horizon: usize,
    levels: &[f64],
    season: usize,
    log: bool,
) -> String {
    let options = FitOptions {
        season,
        log,
        ..FitOptions::default()
    };
    match answer(values, model, horizon, levels, &options) {
        Ok(text) => text,
        Err(refusal) => written(&Reply::Error(refusal)),
    }
}

fn answer(
    values: &[f64],
    model: &str,
    horizon: usize,
    levels: &[f64],
    options: &FitOptions,
) -> Result<String, Refusal> {
    let spec: ModelSpec = model.parse()?;
    let levels = Level::ascending(levels)?;
    let began_ms = now_ms();
    let fitted = spec.fit_owned(values, options)?;
    let forecast = fitted.forecast(horizon, &levels)?;
    let summary = fitted.summary();
    let seconds = (now_ms() - began_ms) / 1_000.0;
    Ok(written(&Reply::Answer(Answer {
        id: None,
        summary: &summary,
        forecast: &forecast,
        seconds,
    })))
}

/// Writing to memory fails only where a map's key is no string, and all of ours are.
fn written(reply: &Reply) -> String {
    serde_json::to_string(reply).unwrap_or_else(|_| {
        r#"{"error":{"kind":"internal","message":"the answer could not be written"}}"#.to_owned()
    })
}
