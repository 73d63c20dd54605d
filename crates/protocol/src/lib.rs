//! What server and clients say to each other: every message defined once, one file a topic.
//!
//! Model: pure data with serde, so that the server, the page and the workers in the browser read and write the
//! same. With the feature `openapi` each message describes itself for `/openapi.json`.
//!
//! What it does not do: name transport limits, or check values; those are the server's (see docs).

mod dead_letters;
mod forecast;
mod live;
mod pipeline;
mod predict;
mod push;

pub use dead_letters::{DeadLetterPage, Discarded, Replayed};
pub use forecast::{ForecastMessage, ForecastRequest};
pub use live::{LiveMessage, LiveRequest};
pub use pipeline::{
    BacktestStats, ForecastStats, LiveStats, MissingPart, PipelineAnswer, PipelineStats,
    PredictStats, Rate, Role, ServingStats, SourceState, SourceStatus, StageStats, TopicFlow,
};
pub use predict::{PredictRequest, Prediction, PredictionOrigin};
pub use push::{Pushed, RejectedRow};
