//! Which symbols there are, and their latest state.
//!
//! A document per symbol says which intervals it has bars of and whether it has ticks; it is
//! written once for each of these, and this process remembers what it has written.

use std::sync::PoisonError;

use futures::{StreamExt, TryStreamExt, stream};
use market::{Interval, Symbol};
use mongodb::bson::{Document, doc};

use super::{Inner, fault};
use crate::{Instrument, Result};

/// Symbols looked up at the same time.
const AT_ONCE: usize = 8;

/// The field that says that a symbol has, or had, ticks.
pub(super) const HAS_TICKS: &str = "has_ticks";

/// The field that says that a symbol has bars of the interval.
pub(super) const fn field(interval: Interval) -> &'static str {
    match interval {
        Interval::S1 => "has_1s",
        Interval::M1 => "has_1m",
        Interval::M5 => "has_5m",
        Interval::M15 => "has_15m",
        Interval::H1 => "has_1h",
        Interval::D1 => "has_1d",
    }
}

impl Inner {
    /// Takes note of what a symbol has.
    pub(super) async fn note(&self, symbol: &Symbol, field: &'static str) -> Result<()> {
        let entry = (symbol.clone(), field);
        let noted = || {
            self.names
                .noted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if noted().contains(&entry) {
            return Ok(());
        }
        self.symbols
            .update_one(
                doc! { "_id": symbol.as_str() },
                doc! { "$set": { field: true } },
            )
            .upsert(true)
            .await?;
        noted().insert(entry);
        Ok(())
    }

    /// Every symbol that has anything, by name.
    pub(super) async fn symbols(&self) -> Result<Vec<(Symbol, Document)>> {
        let documents: Vec<Document> = self
            .symbols
            .find(doc! {})
            .sort(doc! { "_id": 1 })
            .await?
            .try_collect()
            .await?;
        documents
            .into_iter()
            .map(|d| {
                let name = d.get_str("_id").map_err(fault::foreign)?;
                Ok((name.parse().map_err(fault::foreign)?, d))
            })
            .collect()
    }

    /// See [`crate::BarStore::instruments`]: a few look-ups per symbol, however much is stored.
    pub(super) async fn instruments(&self) -> Result<Vec<Instrument>> {
        let symbols = self.symbols().await?;
        let found: Vec<Option<Instrument>> = stream::iter(symbols)
            .map(|(symbol, document)| self.instrument(symbol, document))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn instrument(&self, symbol: Symbol, document: Document) -> Result<Option<Instrument>> {
        let has = |field: &str| document.get_bool(field).unwrap_or(false);
        let intervals: Vec<Interval> = Interval::ALL
            .into_iter()
            .filter(|i| has(field(*i)))
            .collect();
        let Some(shortest) = intervals.first() else {
            return Ok(None);
        };
        let newest = if has(HAS_TICKS) {
            self.newest_tick(&symbol).await?
        } else {
            None
        };
        // The bar that holds the newest tick is there by its key; only where a later one came as a
        // bar, or there are no ticks, must it be looked for.
        let since = newest
            .as_ref()
            .map_or(i64::MIN, |t| shortest.start_of(t.ts_us).as_micros());
        let filter = doc! { "symbol": symbol.as_str(), "interval": shortest.as_str() };
        let mut latest = self.latest_bars(filter, since, i64::MAX, 1).await?;
        // Retention may have taken the last bar of an interval.
        let Some(latest) = latest.pop() else {
            return Ok(None);
        };
        Ok(Some(Instrument {
            last_price: latest.close,
            last: newest.map_or(latest.start, |t| t.ts_us),
            bars_only: !has(HAS_TICKS),
            symbol,
            intervals,
        }))
    }
}
