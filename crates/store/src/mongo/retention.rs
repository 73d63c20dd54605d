//! See [`crate::Retention`].
//!
//! Model: symbol by symbol along the index on symbol and time: no index on time alone is needed, and
//! no run holds up the writers for long.

use market::{Interval, Timestamp};
use mongodb::bson::doc;

use super::{Inner, documents::BarDocument};
use crate::{Removed, Result};

impl Inner {
    pub(super) async fn remove_ticks(&self, before: Timestamp) -> Result<Removed> {
        let mut removed = Removed::default();
        for (symbol, _) in self.symbols().await? {
            removed.symbols += 1;
            let mut range = doc! {
                "symbol": symbol.as_str(),
                "ts_us": { "$lt": before.as_micros() },
            };
            match self.newest_tick(&symbol).await? {
                Some(newest) if newest.ts_us < before => {
                    range.insert("_id", doc! { "$ne": newest.id });
                }
                Some(_) => {}
                // Without it nobody can tell which one has to stay.
                None => continue,
            }
            removed.rows += self.ticks.delete_many(range).await?.deleted_count;
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
            removed.symbols += 1;
            let all = doc! { "symbol": symbol.as_str(), "interval": interval.as_str() };
            let newest: Option<BarDocument> = self
                .bars
                .find_one(all.clone())
                .sort(doc! { "start_us": -1 })
                .await?;
            let Some(newest) = newest else { continue };
            let end = before.min(newest.start_us);
            let mut range = all;
            range.insert("start_us", doc! { "$lt": end.as_micros() });
            removed.rows += self.bars.delete_many(range).await?.deleted_count;
        }
        Ok(removed)
    }
}
