//! The messages of the WebSockets `/live` and `/forecast` and of `POST /predict`, as JSON.
//!
//! `/live`: the client sends [`LiveRequest`]s, the server answers with [`LiveMessage`]s: after a
//! subscription one [`LiveMessage::Snapshot`] per symbol, then deltas. A delta's `seq` is the
//! position of its last tick in the symbol's order of storage. A client that reconnects sends the
//! last `seq` it has seen for each symbol as `resume` and gets the deltas after it: none twice, none
//! missing, across restarts of the server too. When too much has happened since, it gets a new
//! snapshot instead (`reset`).
//!
//! What it does not do: name transport limits; those are the server's (see docs).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Bar, ErrorKind, Interval, Symbol, Tick, Timestamp};

/// What a client of `/live` may send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum LiveRequest {
    /// Adds symbols and intervals to the subscription.
    Subscribe {
        /// The symbols; each gets its ticks.
        symbols: Vec<Symbol>,
        /// The intervals whose bars are sent for each symbol.
        #[serde(default)]
        intervals: Vec<Interval>,
        /// The last `seq` seen of a symbol, to go on from there.
        #[serde(default)]
        resume: BTreeMap<Symbol, u64>,
    },
    /// Removes symbols.
    Unsubscribe {
        /// The symbols.
        symbols: Vec<Symbol>,
    },
    /// Asks for a [`LiveMessage::Pong`]: to measure the way there and back.
    Ping {
        /// Comes back as it is.
        id: u64,
    },
}

/// What the server of `/live` sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LiveMessage {
    /// First on every connection.
    Hello {
        /// The server's version.
        version: String,
        /// A heartbeat or another message comes at least this often.
        heartbeat_ms: u64,
        /// Whether the prices are made up.
        simulated: bool,
    },
    /// The state of one symbol; deltas follow.
    Snapshot {
        /// The symbol.
        symbol: Symbol,
        /// The position of the last tick that the snapshot holds; 0 when there is none.
        seq: u64,
        /// The last tick by key.
        last: Option<Tick>,
        /// The latest bar of each subscribed interval.
        bars: Vec<Bar>,
        /// True when it stands in for deltas that could no longer be sent one by one.
        reset: bool,
    },
    /// Ticks that were stored since the last message of the symbol, in order of storage.
    Ticks {
        /// The symbol.
        symbol: Symbol,
        /// The position of the last of them.
        seq: u64,
        /// The ticks.
        ticks: Vec<Tick>,
        /// Microseconds from the arrival of the oldest of them at the server to this message, by a
        /// monotonic clock; absent when they come from the store.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        age_us: Option<u64>,
    },
    /// Where a bar stands now.
    Bar {
        /// The position of the last tick of the symbol when the bar was so.
        seq: u64,
        /// The bar.
        bar: Bar,
        /// Whether the bar's time is over. A late tick may still correct it.
        closed: bool,
    },
    /// For a reader that fell behind: the latest state in place of what was left out.
    Latest {
        /// The symbol.
        symbol: Symbol,
        /// The position of the last tick.
        seq: u64,
        /// The last tick stored.
        tick: Tick,
        /// How many ticks were left out.
        skipped: u64,
    },
    /// Sent when there was nothing else to send.
    Heartbeat {
        /// The server's wall clock.
        #[serde(rename = "now_us")]
        now: Timestamp,
    },
    /// Answers a ping.
    Pong {
        /// The ping's.
        id: u64,
    },
    /// A request could not be served; the connection stays.
    Error {
        /// The kind.
        kind: ErrorKind,
        /// For a person.
        detail: String,
    },
    /// The last message before the server closes.
    Bye {
        /// Why.
        reason: String,
    },
}

/// One forecast of one model from one origin: the fan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
pub struct Band {
    /// Nominal coverage, percent.
    pub level: f64,
    /// Lower bounds; one per step.
    pub lower: Vec<f64>,
    /// Upper bounds; one per step.
    pub upper: Vec<f64>,
}

/// A request for a forecast: of a stored symbol, or of a series in the body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// What a client of `/forecast` may send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ForecastRequest {
    /// Asks for the fans of symbols as they are made; the latest come at once.
    Subscribe {
        /// The symbols.
        symbols: Vec<Symbol>,
        /// The intervals.
        intervals: Vec<Interval>,
    },
    /// Ends the fans of symbols.
    Unsubscribe {
        /// The symbols.
        symbols: Vec<Symbol>,
    },
    /// Asks for one forecast now.
    Predict(PredictRequest),
    /// Asks for a [`ForecastMessage::Pong`].
    Ping {
        /// Comes back as it is.
        id: u64,
    },
}

/// What the server of `/forecast` sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ForecastMessage {
    /// A new fan of a subscribed symbol.
    Fan(Fan),
    /// The answer to a predict request.
    Prediction(Prediction),
    /// Sent when there was nothing else to send.
    Heartbeat {
        /// The server's wall clock.
        #[serde(rename = "now_us")]
        now: Timestamp,
    },
    /// Answers a ping.
    Pong {
        /// The ping's.
        id: u64,
    },
    /// A request could not be served; the connection stays.
    Error {
        /// The request's id, where it had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// The kind.
        kind: ErrorKind,
        /// For a person.
        detail: String,
    },
    /// The last message before the server closes.
    Bye {
        /// Why.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_reads_as_documented() {
        let text =
            r#"{"op":"subscribe","symbols":["aapl"],"intervals":["1m"],"resume":{"AAPL":7}}"#;
        let LiveRequest::Subscribe {
            symbols,
            intervals,
            resume,
        } = serde_json::from_str(text).unwrap()
        else {
            panic!("not a subscription");
        };
        assert_eq!(symbols[0].as_str(), "AAPL");
        assert_eq!(intervals, [Interval::M1]);
        assert_eq!(resume.values().copied().collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn a_misspelt_field_of_a_predict_request_is_refused() {
        assert!(serde_json::from_str::<PredictRequest>(r#"{"horizn":3}"#).is_err());
    }
}
