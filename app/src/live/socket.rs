//! One WebSocket that is made again for as long as the page is open.
//!
//! Model: after a close the next attempt waits 0.25 s, 0.5 s, 1 s … 10 s, times a random share of
//! 50 to 100 %, so that a restarted server is not met by every browser at once. A connection from
//! which nothing came for two heartbeats is stale; after four it is given up and made again, as is an
//! attempt that nobody answers. The browser's `online` event ends any wait.
//!
//! What it does not do: know the messages.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use leptos::{leptos_dom::helpers::TimeoutHandle, prelude::*};
use wasm_bindgen::{JsCast, prelude::Closure};
use web_sys::{MessageEvent, WebSocket};

use super::Connection;

const FIRST_WAIT_MS: f64 = 250.0;
const LONGEST_WAIT_MS: f64 = 10_000.0;
/// Failed attempts in a row after which the server counts as away.
const ATTEMPTS_UNTIL_OFFLINE: u32 = 3;
/// The least time that an attempt has, however often the server sends a heartbeat.
const LEAST_ATTEMPT_MS: f64 = 5_000.0;

thread_local! {
    /// How often the page's server sends something, on every socket, once it has said so on one.
    static HEARTBEAT_MS: Cell<f64> = const { Cell::new(5_000.0) };
}

/// What happens on a socket.
pub(super) enum Event<'a> {
    /// The connection is open: subscriptions must be sent.
    Open,
    /// A message.
    Text(&'a str),
    /// The state changed.
    State(Connection),
}

type Handler = Box<dyn Fn(&Socket, Event<'_>)>;

struct Inner {
    path: &'static str,
    handler: Handler,
    /// The connection or the attempt at one; none while the next attempt waits.
    socket: RefCell<Option<Open>>,
    attempts: Cell<u32>,
    wait: Cell<Option<TimeoutHandle>>,
    /// When the last message came or, after it, when the connection was begun or opened.
    last_message_ms: Cell<f64>,
    state: Cell<Connection>,
}

/// An open connection with the closures that the browser calls.
struct Open {
    socket: WebSocket,
    _message: Closure<dyn FnMut(MessageEvent)>,
    _plain: [Closure<dyn FnMut()>; 2],
}

/// A handle to the socket.
#[derive(Clone)]
pub(super) struct Socket(Rc<Inner>);

impl Socket {
    /// Connects to a path of the page's own server.
    pub(super) fn open(path: &'static str, handler: impl Fn(&Self, Event<'_>) + 'static) -> Self {
        let socket = Self(Rc::new(Inner {
            path,
            handler: Box::new(handler),
            socket: RefCell::new(None),
            attempts: Cell::new(0),
            wait: Cell::new(None),
            last_message_ms: Cell::new(now_ms()),
            state: Cell::new(Connection::Connecting),
        }));
        socket.connect();
        let watched = socket.clone();
        set_interval(move || watched.watch(), Duration::from_secs(1));
        for name in ["online", "offline"] {
            let socket = socket.clone();
            // The page keeps its sockets until it is closed, and so their listeners.
            std::mem::forget(window_event_listener_untyped(name, move |_| {
                if is_online() {
                    socket.reconnect();
                } else {
                    socket.set_state(Connection::Offline);
                }
            }));
        }
        socket
    }

    /// Sends a message; false when there is no open connection.
    pub(super) fn send<T: serde::Serialize>(&self, message: &T) -> bool {
        let open = self.0.socket.borrow();
        let Some(open) = open
            .as_ref()
            .filter(|o| o.socket.ready_state() == WebSocket::OPEN)
        else {
            return false;
        };
        serde_json::to_string(message).is_ok_and(|text| open.socket.send_with_str(&text).is_ok())
    }

    /// Takes the server's word on how often it sends something.
    pub(super) fn set_heartbeat_ms(heartbeat_ms: u64) {
        HEARTBEAT_MS.set((heartbeat_ms as f64).clamp(250.0, 120_000.0));
    }

    fn connect(&self) {
        self.drop_connection();
        if let Some(wait) = self.0.wait.take() {
            wait.clear();
        }
        self.0.last_message_ms.set(now_ms());
        let place = location();
        let (Ok(protocol), Ok(host)) = (place.protocol(), place.host()) else {
            return;
        };
        let scheme = if protocol == "https:" { "wss" } else { "ws" };
        let url = format!("{scheme}://{host}{}", self.0.path);
        let Ok(socket) = WebSocket::new(&url) else {
            self.closed();
            return;
        };
        let this = self.clone();
        let message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(text) = event.data().as_string() {
                this.0.last_message_ms.set(now_ms());
                this.set_state(Connection::Live);
                (this.0.handler)(&this, Event::Text(&text));
            }
        });
        let this = self.clone();
        let opened = Closure::<dyn FnMut()>::new(move || {
            this.0.attempts.set(0);
            this.0.last_message_ms.set(now_ms());
            (this.0.handler)(&this, Event::Open);
        });
        let this = self.clone();
        let closed = Closure::<dyn FnMut()>::new(move || this.closed());
        socket.set_onmessage(Some(message.as_ref().unchecked_ref()));
        socket.set_onopen(Some(opened.as_ref().unchecked_ref()));
        socket.set_onclose(Some(closed.as_ref().unchecked_ref()));
        *self.0.socket.borrow_mut() = Some(Open {
            socket,
            _message: message,
            _plain: [opened, closed],
        });
    }

    /// Closes without a word to `closed`.
    fn drop_connection(&self) {
        if let Some(open) = self.0.socket.borrow_mut().take() {
            open.socket.set_onmessage(None);
            open.socket.set_onopen(None);
            open.socket.set_onclose(None);
            // Closing a socket that is closed already is no fault.
            let _ = open.socket.close();
            // This may run inside one of the closures: they go when it is over.
            set_timeout(move || drop(open), Duration::ZERO);
        }
    }

    fn reconnect(&self) {
        self.0.attempts.set(0);
        self.connect();
    }

    /// The connection broke or could not be made.
    fn closed(&self) {
        self.drop_connection();
        let attempts = self.0.attempts.get() + 1;
        self.0.attempts.set(attempts);
        if attempts >= ATTEMPTS_UNTIL_OFFLINE || !is_online() {
            self.set_state(Connection::Offline);
        } else if self.0.state.get() == Connection::Live {
            self.set_state(Connection::Stale);
        }
        let longest = FIRST_WAIT_MS * f64::from(1u32 << (attempts - 1).min(16));
        let wait_ms = longest.min(LONGEST_WAIT_MS) * (0.5 + js_sys::Math::random() / 2.0);
        let this = self.clone();
        let wait = set_timeout_with_handle(
            move || this.connect(),
            Duration::from_millis(wait_ms as u64),
        );
        self.0.wait.set(wait.ok());
    }

    /// Runs every second: says when nothing comes any more. Offline too: a browser without a network may
    /// still have a server on its own machine.
    fn watch(&self) {
        let state = self
            .0
            .socket
            .borrow()
            .as_ref()
            .map(|o| o.socket.ready_state());
        let Some(state) = state else {
            return;
        };
        let least = match state {
            WebSocket::CONNECTING => LEAST_ATTEMPT_MS,
            _ => 0.0,
        };
        let silent_ms = now_ms() - self.0.last_message_ms.get();
        let heartbeat_ms = HEARTBEAT_MS.get();
        if silent_ms > least.max(4.0 * heartbeat_ms) {
            self.closed();
        } else if silent_ms > 2.0 * heartbeat_ms && self.0.state.get() == Connection::Live {
            self.set_state(Connection::Stale);
        }
    }

    fn set_state(&self, state: Connection) {
        if self.0.state.replace(state) != state {
            (self.0.handler)(self, Event::State(state));
        }
    }
}

fn is_online() -> bool {
    window().navigator().on_line()
}

/// The browser's monotonic clock.
pub(super) fn now_ms() -> f64 {
    window().performance().map_or(0.0, |p| p.now())
}
