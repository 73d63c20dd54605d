//! See [`crate::TickRetention`] and [`crate::BarRetention`].
//!
//! Model: symbol by symbol along the index on symbol and time: no index on time alone is needed, and
//! no run holds up the writers for long.
//!
//! Up to when anything was removed stands in the meta collection, and is written before it is: bars
//! that start earlier may lack what they are made of (see the module `fold`). It is one time for
//! ticks and bars of all symbols: where it says too much, a bar's fold still has all that the bar has.
//!
//! Of days, the newest that is made of ticks stays besides the newest: the symbol's newest tick is
//! found by it.

use market::{Interval, Timestamp};
use mongodb::bson::{Document, doc};
use serde::{Deserialize, Serialize};

use super::{Inner, documents::BarDocument, schema::is_duplicate};
use crate::{Removed, Result};

/// The `_id` of what is kept in the meta collection.
const REMOVED: &str = "removed";

/// Up to when ticks or bars were removed, in the meta collection.
#[derive(Serialize, Deserialize)]
struct RemovedDocument {
    #[serde(rename = "_id")]
    id: String,
    before_us: Timestamp,
}

impl Inner {
    /// Ticks and bars of before this time may have been removed.
    pub(super) async fn removed_before(&self) -> Result<Timestamp> {
        let meta = self.meta.clone_with_type::<RemovedDocument>();
        let found = meta.find_one(doc! { "_id": REMOVED }).await?;
        Ok(found.map_or(Timestamp::MIN, |document| document.before_us))
    }

    /// To be called before anything is removed. The time never goes back.
    async fn tell_removal(&self, before: Timestamp) -> Result<()> {
        let raise = || {
            let later = doc! { "$max": { "before_us": before.as_micros() } };
            let only = doc! { "_id": REMOVED };
            self.meta.update_one(only, later).upsert(true)
        };
        match raise().await {
            // Another process was the first at the same moment.
            Err(error) if is_duplicate(&error) => raise().await?,
            other => other?,
        };
        Ok(())
    }

    pub(super) async fn newest_bar(&self, filter: Document) -> Result<Option<BarDocument>> {
        let newest_first = doc! { "start_us": -1 };
        Ok(self.bars.find_one(filter).sort(newest_first).await?)
    }

    pub(super) async fn remove_ticks(&self, before: Timestamp) -> Result<Removed> {
        self.tell_removal(before).await?;
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
        self.tell_removal(before).await?;
        let mut removed = Removed::default();
        for (symbol, _) in self.symbols().await? {
            removed.symbols += 1;
            let all = doc! { "symbol": symbol.as_str(), "interval": interval.as_str() };
            let Some(newest) = self.newest_bar(all.clone()).await? else {
                continue;
            };
            let end = before.min(newest.start_us);
            let mut old = doc! { "$lt": end.as_micros() };
            if interval == Interval::D1 {
                let mut of_ticks = all.clone();
                of_ticks.insert("trades", doc! { "$gt": 0_i64 });
                if let Some(day) = self.newest_bar(of_ticks).await? {
                    old.insert("$ne", day.start_us.as_micros());
                }
            }
            let mut range = all;
            range.insert("start_us", old);
            removed.rows += self.bars.delete_many(range).await?.deleted_count;
        }
        Ok(removed)
    }
}
