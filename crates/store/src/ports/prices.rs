//! Prices: ticks, and the bars that are made of them or came as bars. Two ports, since a sink of files
//! takes prices and answers no reads.

use async_trait::async_trait;
use market::{Bar, Interval, Symbol, Tick, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Result;

/// A stored tick and its position in the order of storage.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTick {
    /// Grows with every tick stored, over all symbols; from 1.
    pub position: u64,
    /// The tick.
    pub tick: Tick,
}

/// What an append did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Appended {
    /// The ticks that were not there before, in order of storage.
    pub stored: Vec<StoredTick>,
    /// How many were there already.
    pub duplicates: usize,
    /// The bars that changed, as they stand now, sorted by symbol, interval and start.
    pub bars: Vec<Bar>,
}

/// A symbol that the store has prices of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instrument {
    /// The symbol.
    pub symbol: Symbol,
    /// The close of its latest bar (of the shortest interval that has one).
    pub last_price: f64,
    /// The time of the latest tick, or the start of the latest bar where it only has bars.
    #[serde(rename = "last_us")]
    pub last: Timestamp,
    /// The intervals that it has bars of, shortest first.
    pub intervals: Vec<Interval>,
    /// Whether it was imported or replayed rather than live: true when it has no ticks.
    pub bars_only: bool,
}

/// A symbol as a list of prices shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct InstrumentQuote {
    /// The symbol and its last price.
    pub instrument: Instrument,
    /// The close that the change of the day is measured against: of the last daily bar before the day
    /// of the last price.
    pub previous_close: Option<f64>,
}

impl Instrument {
    /// The start of the day of the last price: the bar with the previous close starts before it.
    pub(crate) fn day(&self) -> Timestamp {
        Interval::D1.start_of(self.last)
    }
}

/// Where a page of symbols ended: the next one begins after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolPlace {
    /// Whether its name begins with the text searched for; true without a text.
    pub begins: bool,
    /// Whether it has no ticks.
    pub bars_only: bool,
    /// The symbol.
    pub symbol: Symbol,
}

/// Which symbols to list: those whose names begin with the text first, then those that hold it
/// elsewhere; of both, those with ticks before those without, each by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SymbolQuery {
    /// A part of the name, upper case as symbols are; empty lists all.
    pub text: String,
    /// Only what comes after it.
    pub after: Option<SymbolPlace>,
    /// At most so many.
    pub limit: usize,
}

/// A page of symbols.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SymbolPage {
    /// In the order of the query.
    pub quotes: Vec<InstrumentQuote>,
    /// Where the next page begins; absent when this is the last one.
    pub next: Option<SymbolPlace>,
}

impl SymbolQuery {
    /// The parts of the list that the query still has to go through, in order: (begins, without ticks,
    /// after this name). A text lists those that hold it elsewhere too.
    pub(crate) fn parts(&self) -> Vec<(bool, bool, String)> {
        let all = [(true, false), (true, true), (false, false), (false, true)];
        let (from, name) = match &self.after {
            Some(place) => ((!place.begins, place.bars_only), place.symbol.to_string()),
            None => ((false, false), String::new()),
        };
        all.into_iter()
            .filter(|(begins, _)| *begins || !self.text.is_empty())
            .filter(|(begins, bars_only)| (!begins, *bars_only) >= from)
            .map(|(begins, bars_only)| {
                let first = (!begins, bars_only) == from;
                let after = if first { name.clone() } else { String::new() };
                (begins, bars_only, after)
            })
            .collect()
    }
}

/// Which bars to read: half-open in time, oldest first in the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct BarQuery {
    /// The symbol.
    pub symbol: Symbol,
    /// The interval.
    pub interval: Interval,
    /// Starts at or after.
    pub from: Timestamp,
    /// Starts before.
    pub until: Timestamp,
    /// At most so many: the latest of the range.
    pub limit: usize,
}

/// Takes prices in.
#[async_trait]
pub trait PriceWriter: Send + Sync {
    /// Stores ticks and corrects their bars, as one. Duplicates, in the store or in the batch, are
    /// dropped.
    ///
    /// # Errors
    /// Unavailable or internal: then none or all of the batch is stored; append it again. Invalid:
    /// a price or size that is not finite, a sequence above 2^63 - 1; then none is stored.
    async fn append(&self, ticks: Vec<Tick>) -> Result<Appended>;

    /// Stores bars that came as bars; one that is there under the same (symbol, interval, start) is
    /// replaced. What a bar covers (from its first to its last key) is told by it alone, whatever ticks
    /// there are of it, before or after; ticks outside of that are merged into it ([`market::Bar`] has
    /// the rule). They are kept with `trades` = 0, whatever they say.
    /// Returns how many were written.
    ///
    /// # Errors
    /// Unavailable or internal: then none or all of the batch is stored. Invalid: a number that is
    /// not finite; then none is stored.
    async fn put_bars(&self, bars: Vec<Bar>) -> Result<usize>;
}

/// Reads prices. What a page needs of many symbols or intervals is one call.
#[async_trait]
pub trait PriceReader: Send + Sync {
    /// The ticks of `symbol` stored after `position`, in order of storage, at most `limit`.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn ticks_after(
        &self,
        symbol: &Symbol,
        position: u64,
        limit: usize,
    ) -> Result<Vec<StoredTick>>;

    /// The ticks of `symbol` in `[from, until)`, by key, at most `limit`: the latest of the range.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn ticks(
        &self,
        symbol: &Symbol,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Tick>>;

    /// The tick of `symbol` with the greatest key, with the greatest position of the symbol.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn latest_tick(&self, symbol: &Symbol) -> Result<Option<StoredTick>>;

    /// The bars of each query, oldest first; as many answers as there are queries, in their order.
    ///
    /// # Errors
    /// Unavailable or internal: then of none.
    async fn bars_of(&self, queries: &[BarQuery]) -> Result<Vec<Vec<Bar>>>;

    /// The bars of one query, oldest first.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn bars(&self, query: &BarQuery) -> Result<Vec<Bar>> {
        let found = self.bars_of(std::slice::from_ref(query)).await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Every symbol that has bars, by name. For what must go through all of them: a page asks for
    /// [`Self::symbols`].
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn instruments(&self) -> Result<Vec<Instrument>>;

    /// A page of the symbols that have bars. Costs as much as it lists; of a text that names do not
    /// begin with, a look at every name besides.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn symbols(&self, query: &SymbolQuery) -> Result<SymbolPage>;

    /// Those of the symbols that have bars, in the order asked for.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn quotes(&self, symbols: &[Symbol]) -> Result<Vec<InstrumentQuote>>;

    /// One symbol, where it has bars.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn quote(&self, symbol: &Symbol) -> Result<Option<InstrumentQuote>> {
        Ok(self.quotes(std::slice::from_ref(symbol)).await?.pop())
    }
}
