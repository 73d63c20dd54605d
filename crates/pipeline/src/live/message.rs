//! A message of `/live` as text, made once and shared by every reader, with what the queues must
//! know of it to fold it away.

use std::sync::Arc;

use bytes::Bytes;
use market::{Bar, Interval, Symbol, Tick, Timestamp};
use protocol::LiveMessage;

/// What a session gives to its transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A text message: JSON, hence valid UTF-8.
    Text(Bytes),
    /// Close the connection; comes again when asked again.
    Close {
        /// The WebSocket status code.
        code: u16,
        /// The reason, at most 123 bytes.
        reason: String,
    },
}

/// A message, serialised.
#[derive(Debug)]
pub(crate) struct Message {
    pub text: Bytes,
    pub kind: Kind,
}

/// What a message is, as far as queues care.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Answers and greetings: never folded away.
    Control,
    /// Ticks of a symbol.
    Ticks {
        symbol: Symbol,
        seq: u64,
        /// How many.
        count: u64,
        /// The last of them in order of storage.
        last: Tick,
    },
    /// A bar of a symbol.
    Bar {
        symbol: Symbol,
        interval: Interval,
        start: Timestamp,
    },
}

/// The JSON of a message. These types have nothing that JSON cannot say: on the impossible failure
/// the text is an error message of the protocol.
pub fn message_text<T: serde::Serialize>(message: &T) -> Bytes {
    match serde_json::to_vec(message) {
        Ok(json) => json.into(),
        Err(e) => {
            tracing::error!(error = %e, "a message could not be serialised");
            Bytes::from_static(
                br#"{"type":"error","kind":"internal","detail":"a message could not be written"}"#,
            )
        }
    }
}

pub(crate) fn control(message: &LiveMessage) -> Arc<Message> {
    Arc::new(Message {
        text: message_text(message),
        kind: Kind::Control,
    })
}

/// A message of ticks; `None` when there are none.
pub(crate) fn ticks(
    symbol: &Symbol,
    seq: u64,
    ticks: Vec<Tick>,
    age_us: Option<u64>,
) -> Option<Arc<Message>> {
    let last = ticks.last()?.clone();
    let kind = Kind::Ticks {
        symbol: symbol.clone(),
        seq,
        count: ticks.len() as u64,
        last,
    };
    let text = message_text(&LiveMessage::Ticks {
        symbol: symbol.clone(),
        seq,
        ticks,
        age_us,
    });
    Some(Arc::new(Message { text, kind }))
}

pub(crate) fn bar(seq: u64, bar: Bar, closed: bool) -> Arc<Message> {
    let kind = Kind::Bar {
        symbol: bar.symbol.clone(),
        interval: bar.interval,
        start: bar.start,
    };
    let text = message_text(&LiveMessage::Bar { seq, bar, closed });
    Arc::new(Message { text, kind })
}
