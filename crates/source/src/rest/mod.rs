//! Prices by polling a provider's REST interface.
//!
//! Checkpoint semantics: for each stream (each symbol of a provider that is asked for one at a time,
//! else the provider) the source keeps where to go on: a cursor, or the time of the latest row. It
//! moves only after the pipeline has taken the page ([`crate::SourceSink::send`]), and each new one
//! is published on [`RestSource::checkpoints`], so that a caller can keep it and start from it; each batch
//! also carries the position before it ([`SourceOffset`]), for a source that goes on from a topic. A
//! provider without cursors is asked from the time of the last row on, inclusive: that row comes
//! again, and is left out.
//!
//! Model: [`Provider`] says how to ask and page, [`Mapping`] how to read; [`Backoff`],
//! [`retry_after`] and [`RateLimit`] say when to ask next.
//!
//! What it does not do: WebSocket feeds, OAuth.

mod check;
mod conditions;
mod duplicates;
mod fetch;
mod mapping;
mod offset;
mod options;
mod pace;
mod path;
mod poll;
mod presets;
mod presets_more;
mod provider;
mod read;
mod stream;

pub use conditions::{Condition, Conditions, Literal};
pub use mapping::{Answer, Fields, Mapping, Received, Shape, Unusable};
pub use offset::{Checkpoint, SourceOffset, StreamPosition};
pub use options::RestOptions;
pub use pace::{Backoff, RateLimit, retry_after};
pub use poll::RestSource;
pub use provider::{Ask, Credential, Paging, Provider, Secret, TimeFormat};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_shapes;
