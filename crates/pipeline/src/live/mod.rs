//! `/live`: ticks and bars from the store to any number of readers.
//!
//! Model: whoever has stored ticks calls [`LiveHub::publish`], which only notes them down per symbol
//! (a few nanoseconds a tick). A task of the hub delivers: per symbol, what came within a few
//! milliseconds becomes one message, serialised once, and a reference to it goes into the queue of
//! each reader. A reader is a [`LiveSession`], whatever its transport.
//!
//! Sequence numbers are positions in the store, or, in a process that follows the topic on its own,
//! in the topic; so that a reader can resume across restarts of the server: from the ticks kept in
//! memory, else from the backlog (the store, the topic), else with a new snapshot.
//!
//! What it does not do: WebSockets, authentication.

mod backlog;
mod bars;
mod hub;
mod message;
mod outbox;
mod session;
mod topic;
mod work;

pub(crate) use backlog::{Backlog, Known, Stored, every_interval, newest_bars};
pub use hub::LiveHub;
pub use message::Frame;
pub use message::message_text;
pub use outbox::{GOING_AWAY, POLICY};
pub use session::LiveSession;
