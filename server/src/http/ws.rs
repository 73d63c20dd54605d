//! The WebSockets `/live` and `/forecast`: each socket is a session (of the pipeline, of serving) and two pumps.
//! What is said on them is `protocol`.
//!
//! What it does not do: queue. A session's queue is its hub's, bounded, and a reader that stays
//! behind is cut off there.

use std::{pin::pin, time::Duration};

use axum::{
    extract::{
        State,
        ws::{
            CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade,
            rejection::WebSocketUpgradeRejection,
        },
    },
    response::Response,
};
use futures::{SinkExt as _, StreamExt as _, stream::SplitSink};
use governor::DefaultDirectRateLimiter;
use market::{ErrorKind, excerpt};
use pipeline::{Frame, LiveSession};
use protocol::ForecastRequest;
use serving::ForecastSession;
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};
use tracing::debug;

use super::{
    AppState, errors,
    problem::{Problem, Result},
    rates::{self, Kind, Rates},
    serving::{Client, Peer},
};

/// How long a reader that was cut off may take to read why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The largest message that a reader may send, in bytes. Longer series go to `POST /predict`.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// What a connection holds for reading and for writing, in bytes. The defaults are 128 KiB each:
/// with thousands of readers, who say little and are told a few kilobytes at a time, that is memory
/// for nothing.
const READ_BUFFER: usize = 8 * 1024;
const WRITE_BUFFER: usize = 32 * 1024;

/// The most that is held for writing, in bytes: room for any one message. The default has no bound.
const MAX_WRITE_BUFFER: usize = 8 * 1024 * 1024;

/// RFC 6455, 7.4.1: a protocol error, data that is not what its type says, a message that is too big.
const PROTOCOL: u16 = 1002;
const INVALID: u16 = 1007;
const SIZE: u16 = 1009;

type Upgrade = std::result::Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// `GET /live`.
pub async fn live(State(state): State<AppState>, peer: Peer, upgrade: Upgrade) -> Result<Response> {
    let hub = state.pipeline.live.clone();
    open(&state, peer, upgrade, move |_| hub.connect())
}

/// `GET /forecast`.
pub async fn forecast(
    State(state): State<AppState>,
    peer: Peer,
    upgrade: Upgrade,
) -> Result<Response> {
    let hub = state.serving.forecasts.clone();
    open(&state, peer, upgrade, move |client| {
        hub.connect().on_behalf_of(client.map(Client::address))
    })
}

fn open<S: Session>(
    state: &AppState,
    peer: Peer,
    upgrade: Upgrade,
    connect: impl FnOnce(Option<Client>) -> S + Send + 'static,
) -> Result<Response> {
    let upgrade = upgrade.map_err(|e| errors::no_upgrade(&e))?;
    let tasks = state.sockets.clone();
    let reader = Reader {
        messages: state.rates.messages(),
        rates: state.rates.clone(),
        client: Client::of_peer(peer),
    };
    Ok(upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .on_upgrade(async move |socket| {
            let session = connect(reader.client);
            tasks.track_future(pump(socket, session, reader)).await;
        }))
}

/// Whose messages they are, and how often they may come.
struct Reader {
    messages: Option<DefaultDirectRateLimiter>,
    rates: Rates,
    client: Option<Client>,
}

impl Reader {
    /// Waits until the next message may be taken: who sends faster is read no faster, so that the kernel
    /// holds him back.
    async fn may_go_on(&self) {
        if let Some(messages) = &self.messages {
            messages.until_ready().await;
        }
    }

    /// Whether one more forecast may be asked for; else what is wrong.
    fn prediction(&self) -> std::result::Result<(), Problem> {
        let Some(client) = self.client else {
            return Ok(());
        };
        let checked = self.rates.check(Kind::Prediction, client);
        checked.map_err(|wait| rates::refusal(Kind::Prediction, wait))
    }
}

/// A session of either hub: text in, frames out.
trait Session: Send + Sync + 'static {
    /// Takes a message of the reader.
    fn take(&self, text: &str, reader: &Reader);
    /// The next frame for the reader; cancel-safe.
    fn next(&self) -> impl Future<Output = Frame> + Send;
    /// A frame that is there already.
    fn try_next(&self) -> Option<Frame>;
    /// Returns once the session is over, whether or not the reader has read why.
    fn ended(&self) -> impl Future<Output = ()> + Send;
}

impl Session for LiveSession {
    fn take(&self, text: &str, _: &Reader) {
        match serde_json::from_str(text) {
            Ok(request) => self.request(request),
            Err(e) => self.refuse(ErrorKind::Invalid, not_a_request(&e)),
        }
    }

    fn next(&self) -> impl Future<Output = Frame> + Send {
        self.next()
    }

    fn try_next(&self) -> Option<Frame> {
        self.try_next()
    }

    fn ended(&self) -> impl Future<Output = ()> + Send {
        self.ended()
    }
}

impl Session for ForecastSession {
    fn take(&self, text: &str, reader: &Reader) {
        match serde_json::from_str(text) {
            Ok(ForecastRequest::Predict(request)) => match reader.prediction() {
                Ok(()) => self.request(ForecastRequest::Predict(request)),
                Err(problem) => self.refuse_request(request.id, problem.kind, problem.detail),
            },
            Ok(request) => self.request(request),
            Err(e) => self.refuse(ErrorKind::Invalid, not_a_request(&e)),
        }
    }

    fn next(&self) -> impl Future<Output = Frame> + Send {
        self.next()
    }

    fn try_next(&self) -> Option<Frame> {
        self.try_next()
    }

    fn ended(&self) -> impl Future<Output = ()> + Send {
        self.ended()
    }
}

/// serde's words for a value may hold all of it.
fn not_a_request(error: &serde_json::Error) -> String {
    format!("not a request: {}", excerpt(&error.to_string()))
}

/// Moves messages both ways until either side ends.
async fn pump<S: Session>(socket: WebSocket, session: S, reader: Reader) {
    let (mut sink, mut incoming) = socket.split();
    let read = async {
        while let Some(message) = incoming.next().await {
            match message {
                Ok(Message::Text(text)) => session.take(&text, &reader),
                Ok(Message::Binary(_)) => session.take("a binary message", &reader),
                // axum answers pings itself.
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                // The library answers it with its own code, when it is asked for the next message.
                Ok(Message::Close(_)) => continue,
                Err(e) => {
                    debug!("a reader's socket failed: {e}");
                    return close_code(e).map(|(code, reason)| CloseFrame {
                        code,
                        reason: Utf8Bytes::from_static(reason),
                    });
                }
            }
            reader.may_go_on().await;
        }
        None
    };
    let close = {
        let mut write = pin!(write(&mut sink, &session));
        tokio::select! {
            close = read => close,
            () = &mut write => None,
            // A write that is stuck on a reader that takes nothing must not outlive its session.
            () = session.ended() => {
                let _ = tokio::time::timeout(LAST_WORDS, write).await;
                None
            }
        }
    };
    let goodbye = async {
        if let Some(close) = close {
            metrics::counter!("tickcast_ws_closed_for_fault_total", "code" => close.code.to_string())
                .increment(1);
            let _ = sink.send(Message::Close(Some(close))).await;
        }
    };
    let _ = tokio::time::timeout(LAST_WORDS, goodbye).await;
}

/// The code that RFC 6455 has for what a reader did wrong; none when the connection itself is gone.
fn close_code(error: axum::Error) -> Option<(u16, &'static str)> {
    let error = error.into_inner().downcast::<tungstenite::Error>().ok()?;
    match *error {
        tungstenite::Error::Capacity(_) => Some((SIZE, "a message may have 65536 bytes")),
        tungstenite::Error::Utf8(_) => Some((INVALID, "a text is not UTF-8")),
        tungstenite::Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake
            | ProtocolError::SendAfterClosing
            | ProtocolError::ReceivedAfterClosing,
        ) => None,
        tungstenite::Error::Protocol(_) | tungstenite::Error::AttackAttempt => {
            Some((PROTOCOL, "not the WebSocket protocol"))
        }
        _ => None,
    }
}

async fn write<S: Session>(sink: &mut SplitSink<WebSocket, Message>, session: &S) {
    loop {
        // What is ready goes out in one flush: at high rates a system call per message is what costs.
        let mut frame = Some(session.next().await);
        while let Some(next) = frame {
            let (message, last) = match next {
                Frame::Text(text) => match Utf8Bytes::try_from(text) {
                    Ok(text) => (Message::Text(text), false),
                    Err(_) => return,
                },
                Frame::Close { code, reason } => {
                    let close = CloseFrame {
                        code,
                        reason: reason.into(),
                    };
                    (Message::Close(Some(close)), true)
                }
            };
            if sink.feed(message).await.is_err() {
                return;
            }
            if last {
                let _ = sink.close().await;
                return;
            }
            frame = session.try_next();
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}
