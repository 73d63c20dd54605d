//! Which symbols there are, and their latest state.
//!
//! A document per symbol says which intervals it has bars of and whether it has ticks; it is
//! written once for each of these, and this process remembers what it has written.

use std::{collections::HashMap, sync::PoisonError};

use futures::{StreamExt, TryStreamExt, stream};
use market::{Interval, Symbol};
use mongodb::bson::{Bson, Document, doc};

use super::{Inner, fault, limit_of};
use crate::{
    Instrument, InstrumentQuote, Result, StoreError, SymbolPage, SymbolPlace, SymbolQuery,
};

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

fn named(document: Document) -> Result<(Symbol, Document)> {
    let name = document.get_str("_id").map_err(fault::foreign)?;
    Ok((name.parse().map_err(fault::foreign)?, document))
}

/// What finds a part of the list of symbols, see [`SymbolQuery::parts`].
fn filter(text: &str, begins: bool, bars_only: bool, after: &str) -> Document {
    let some: Vec<Document> = Interval::ALL.map(|i| doc! { field(i): true }).into();
    let ticks = if bars_only {
        Bson::Null
    } else {
        Bson::Boolean(true)
    };
    let mut all = vec![doc! { "_id": { "$gt": after } }, doc! { "$or": some }];
    // Symbols are ASCII: nothing that begins with the text sorts behind this.
    let end = format!("{text}\u{10ffff}");
    if begins && !text.is_empty() {
        all.push(doc! { "_id": { "$gte": text, "$lt": end } });
    } else if !begins {
        // Without a look ahead, which not every server has.
        all.push(doc! { "$or": [{ "_id": { "$lt": text } }, { "_id": { "$gte": end } }] });
        all.push(doc! { "_id": { "$regex": literal(text) } });
    }
    doc! { HAS_TICKS: ticks, "$and": all }
}

/// A pattern that holds a text as it is.
pub(super) fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
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
        documents.into_iter().map(named).collect()
    }

    /// See [`crate::PriceReader::instruments`]: a few look-ups per symbol, however much is stored.
    pub(super) async fn instruments(&self) -> Result<Vec<Instrument>> {
        let symbols = self.symbols().await?;
        let found: Vec<Option<Instrument>> = stream::iter(symbols)
            .map(|(symbol, document)| self.instrument(symbol, document))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// See [`crate::PriceReader::quotes`].
    pub(super) async fn quotes(&self, symbols: &[Symbol]) -> Result<Vec<InstrumentQuote>> {
        let names: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
        let documents: Vec<Document> = self
            .symbols
            .find(doc! { "_id": { "$in": names } })
            .await?
            .try_collect()
            .await?;
        let found: HashMap<Symbol, Document> =
            documents.into_iter().map(named).collect::<Result<_>>()?;
        let asked: Vec<(Symbol, Document)> = symbols
            .iter()
            .filter_map(|symbol| Some((symbol.clone(), found.get(symbol)?.clone())))
            .collect();
        let quotes: Vec<Option<InstrumentQuote>> = stream::iter(asked)
            .map(|(symbol, document)| self.quote(symbol, document))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(quotes.into_iter().flatten().collect())
    }

    /// See [`crate::PriceReader::symbols`].
    pub(super) async fn symbol_page(&self, query: &SymbolQuery) -> Result<SymbolPage> {
        let mut page = SymbolPage::default();
        for (begins, bars_only, after) in query.parts() {
            // One more than there is room for tells whether there is a next page.
            let room = query.limit - page.quotes.len() + 1;
            let filter = filter(&query.text, begins, bars_only, &after);
            let documents: Vec<Document> = self
                .symbols
                .find(filter)
                .sort(doc! { "_id": 1 })
                .limit(limit_of(room).unwrap_or(1))
                .await?
                .try_collect()
                .await?;
            let named: Vec<(Symbol, Document)> =
                documents.into_iter().map(named).collect::<Result<_>>()?;
            let more = named.len() == room;
            let mut found: Vec<(Symbol, Option<InstrumentQuote>)> = stream::iter(named)
                .take(room - 1)
                .map(|(symbol, document)| async move {
                    let quote = self.quote(symbol.clone(), document).await?;
                    Ok::<_, StoreError>((symbol, quote))
                })
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            let last = found.last().map(|(symbol, _)| symbol.clone());
            let some = found.drain(..).filter_map(|(_, quote)| quote);
            page.quotes.extend(some);
            if more {
                let place = |symbol| SymbolPlace {
                    begins,
                    bars_only,
                    symbol,
                };
                let end = page.quotes.last().map(|quote| &quote.instrument);
                page.next = match last {
                    Some(last) => Some(place(last)),
                    // The parts before have filled the page: the next one begins with this part.
                    None => end.map(|end| SymbolPlace {
                        begins: end.symbol.as_str().starts_with(&query.text),
                        bars_only: end.bars_only,
                        symbol: end.symbol.clone(),
                    }),
                };
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// A symbol of its document, with its previous close.
    async fn quote(&self, symbol: Symbol, document: Document) -> Result<Option<InstrumentQuote>> {
        let Some(instrument) = self.instrument(symbol, document).await? else {
            return Ok(None);
        };
        let filter = doc! {
            "symbol": instrument.symbol.as_str(),
            "interval": Interval::D1.as_str(),
        };
        let before = instrument.day().as_micros().saturating_sub(1);
        let bar = self.latest_bars(filter, i64::MIN, before, 1).await?;
        Ok(Some(InstrumentQuote {
            previous_close: bar.first().map(|bar| bar.close),
            instrument,
        }))
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
