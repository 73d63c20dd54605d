//! What server and clients say to each other: every message defined once, one file a topic.
//!
//! Model: pure data with serde, so that the server, the page and the workers in the browser read and write the
//! same. With the feature `openapi` each message describes itself for `/openapi.json`.
//!
//! What it does not do: name transport limits, or check values; those are the server's (see docs).

mod forecast;
mod live;
mod predict;

pub use forecast::{ForecastMessage, ForecastRequest};
pub use live::{LiveMessage, LiveRequest};
pub use predict::{PredictRequest, Prediction, PredictionOrigin};
