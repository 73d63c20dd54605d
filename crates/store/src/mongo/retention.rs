//! Retention by age: run it as a job, daily say.

use market::{Interval, Timestamp};
use mongodb::bson::doc;

use super::Inner;
use crate::Result;

/// What a retention run removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The symbols looked at.
    pub symbols: usize,
    /// The documents removed.
    pub documents: u64,
}

impl Inner {
    /// Symbol by symbol along the index on symbol and time: no index on time alone is needed, and no run holds
    /// up the writers for long.
    pub(super) async fn remove_ticks(&self, before: Timestamp) -> Result<Removed> {
        let mut removed = Removed::default();
        for (symbol, _) in self.symbols().await? {
            let range = doc! {
                "symbol": symbol.as_str(),
                "ts_us": { "$lt": before.as_micros() },
            };
            removed.documents += self.ticks.delete_many(range).await?.deleted_count;
            removed.symbols += 1;
        }
        Ok(removed)
    }

    pub(super) async fn remove_bars(
        &self,
        interval: Interval,
        before: Timestamp,
    ) -> Result<Removed> {
        let mut removed = Removed::default();
        for (symbol, _) in self.symbols().await? {
            let range = doc! {
                "symbol": symbol.as_str(),
                "interval": interval.as_str(),
                "start_us": { "$lt": before.as_micros() },
            };
            removed.documents += self.bars.delete_many(range).await?.deleted_count;
            removed.symbols += 1;
        }
        Ok(removed)
    }
}
