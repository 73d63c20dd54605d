//! The messages of the WebSocket `/live`, as JSON.
//!
//! The client sends [`LiveRequest`]s, the server answers with [`LiveMessage`]s: after a
//! subscription one [`LiveMessage::Snapshot`] per symbol, then deltas. A delta's `seq` is the
//! position of its last tick in the symbol's order of storage. A client that reconnects sends the
//! last `seq` it has seen for each symbol as `resume` and gets the deltas after it: none twice, none
//! missing, across restarts of the server too. When too much has happened since, it gets a new
//! snapshot instead (`reset`).

use std::collections::BTreeMap;

use market::{Bar, ErrorKind, Interval, Symbol, Tick, Timestamp};
use serde::{Deserialize, Serialize};

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
}
