//! The bus between source and store: a port, [`EventBus`], and its in-process side.
//!
//! Contract, the same for every side and checked by one suite (`tests/contract/suite.rs`):
//! - A record is delivered to every consumer group at least once, and to one consumer of a group at
//!   a time.
//! - Records of one key come in the order they were published.
//! - What a group has committed does not come again; what it has polled and not committed comes
//!   again when the consumer is dropped or dies. So: store first, then commit.
//! - The bus is bounded: [`EventBus::publish`] waits while the slowest group is a full capacity
//!   behind.
//!
//! What it does not do: decode rows (a record may carry bytes as they came), store them.

mod error;
#[cfg(feature = "kafka")]
pub mod kafka;
mod memory;
mod port;

pub use error::{BusError, Result};
pub use memory::{MemoryBus, MemoryBusOptions};
pub use port::{
    Bounds, Consumer, Delivery, EventBus, GroupLag, Payload, Position, Record, TopicLog,
};
