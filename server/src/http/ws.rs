//! The WebSockets `/live` and `/forecast`: each socket is a session of the pipeline and two pumps.
//! What is said on them is `market::wire`.
//!
//! What it does not do: queue. A session's queue is the pipeline's, bounded, and a reader that stays
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
use market::ErrorKind;
use pipeline::{ForecastSession, Frame, LiveSession};
use tracing::debug;

use super::{AppState, errors, problem::Result};

/// How long a reader that was cut off may take to read why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The largest message that a reader may send, in bytes: a series of 100,000 numbers fits.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// What a connection holds for reading and for writing, in bytes. The defaults are 128 KiB each:
/// with thousands of readers, who say little and are told a few kilobytes at a time, that is memory
/// for nothing.
const READ_BUFFER: usize = 8 * 1024;
const WRITE_BUFFER: usize = 32 * 1024;

type Upgrade = std::result::Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// `GET /live`.
pub async fn live(State(state): State<AppState>, upgrade: Upgrade) -> Result<Response> {
    let upgrade = upgrade.map_err(|e| errors::no_upgrade(&e))?;
    let tasks = state.sockets.clone();
    Ok(upgrade
        .max_message_size(MAX_MESSAGE)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .on_upgrade(async move |socket| {
            let session = state.pipeline.live.connect();
            tasks.track_future(pump(socket, session)).await;
        }))
}

/// `GET /forecast`.
pub async fn forecast(State(state): State<AppState>, upgrade: Upgrade) -> Result<Response> {
    let upgrade = upgrade.map_err(|e| errors::no_upgrade(&e))?;
    let tasks = state.sockets.clone();
    Ok(upgrade
        .max_message_size(MAX_MESSAGE)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .on_upgrade(async move |socket| {
            let session = state.pipeline.forecasts.connect();
            tasks.track_future(pump(socket, session)).await;
        }))
}

/// A session of either hub: text in, frames out.
trait Session: Send + Sync + 'static {
    /// Takes a message of the reader.
    fn take(&self, text: &str);
    /// The next frame for the reader; cancel-safe.
    fn next(&self) -> impl Future<Output = Frame> + Send;
    /// A frame that is there already.
    fn try_next(&self) -> Option<Frame>;
    /// Returns once the session is over, whether or not the reader has read why.
    fn ended(&self) -> impl Future<Output = ()> + Send;
}

macro_rules! session {
    ($session:ty) => {
        impl Session for $session {
            fn take(&self, text: &str) {
                match serde_json::from_str(text) {
                    Ok(request) => self.request(request),
                    Err(e) => self.refuse(ErrorKind::Invalid, format!("not a request: {e}")),
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
    };
}

session!(LiveSession);
session!(ForecastSession);

/// Moves messages both ways until either side ends.
async fn pump<S: Session>(socket: WebSocket, session: S) {
    let (sink, mut incoming) = socket.split();
    let read = async {
        while let Some(message) = incoming.next().await {
            match message {
                Ok(Message::Text(text)) => session.take(&text),
                Ok(Message::Binary(_)) => session.take("a binary message"),
                // axum answers pings itself.
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Close(_)) => return,
                Err(e) => {
                    debug!("a reader's socket failed: {e}");
                    return;
                }
            }
        }
    };
    let mut write = pin!(write(sink, &session));
    tokio::select! {
        () = read => {}
        () = &mut write => {}
        // A write that is stuck on a reader that takes nothing must not outlive its session.
        () = session.ended() => {
            let _ = tokio::time::timeout(LAST_WORDS, write).await;
        }
    }
}

async fn write<S: Session>(mut sink: SplitSink<WebSocket, Message>, session: &S) {
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
