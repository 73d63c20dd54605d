//! The messages of the WebSocket `/forecast`, as JSON.

use market::{ErrorKind, Fan, Interval, Symbol, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{PredictRequest, Prediction};

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
