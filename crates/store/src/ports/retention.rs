//! Removal by age. The ledger is not in reach of it. The newest tick of a symbol and the newest bar of
//! each of its intervals stay, whatever their age: they say that there is such a symbol, and where it
//! stands.

use async_trait::async_trait;
use market::{Interval, Timestamp};
use serde::Serialize;

use crate::Result;

/// What a retention run removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The symbols looked at.
    pub symbols: usize,
    /// The rows removed. On servers of MongoDB's protocol a bar has one for each process that stored ticks of it.
    pub rows: u64,
}

/// Removal of ticks by age.
#[async_trait]
pub trait TickRetention: Send + Sync {
    /// Removes ticks older than `before`. Their bars stay as they are; a tick that old which comes
    /// again is a new one, and counts in its bars once more: keep ticks for longer than the bus
    /// keeps records.
    ///
    /// # Errors
    /// Unavailable or internal: then some are removed; call it again.
    async fn remove_ticks(&self, before: Timestamp) -> Result<Removed>;
}

/// Removal of bars by age.
#[async_trait]
pub trait BarRetention: Send + Sync {
    /// Removes bars of an interval that start before `before`.
    ///
    /// # Errors
    /// As [`TickRetention::remove_ticks`].
    async fn remove_bars(&self, interval: Interval, before: Timestamp) -> Result<Removed>;
}
