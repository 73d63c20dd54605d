//! A symbol's rows from the oldest to the newest, a page at a time, through the port.
//!
//! Model: the ports answer with the *latest* rows of a range, so a range is asked for that is short
//! enough to be answered whole: one that turns out too full is halved, after a sparse one the next is
//! twice as long. Nothing but the end of the last range has to be remembered to go on.

use market::{Bar, Interval, Symbol, Tick, Timestamp};

use super::Kind;
use crate::{BarQuery, PriceReader, Result};

/// Rows that a range may have, about.
const PAGE_ROWS: usize = 20_000;
/// The length of the first range.
const FIRST_US: i64 = 3_600_000_000;
/// No range is longer: about a century.
const LONGEST_US: i64 = 3_200_000_000_000_000;

/// Rows of one symbol.
#[derive(Debug)]
pub(super) enum Page {
    Ticks(Vec<Tick>),
    Bars(Vec<Bar>),
}

impl Page {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Ticks(ticks) => ticks.len(),
            Self::Bars(bars) => bars.len(),
        }
    }
}

/// The rows of one symbol in `[next, end)`.
pub(super) struct Pages<'a> {
    store: &'a dyn PriceReader,
    symbol: Symbol,
    kind: Kind,
    /// Everything before it was given.
    pub(super) next: Timestamp,
    end: Timestamp,
    /// The first range that was not empty began here.
    first: Option<Timestamp>,
    length_us: i64,
}

impl<'a> Pages<'a> {
    pub(super) async fn new(
        store: &'a dyn PriceReader,
        symbol: Symbol,
        kind: Kind,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Self> {
        let last = match kind {
            Kind::Ticks => store.latest_tick(&symbol).await?.map(|t| t.tick.ts),
            Kind::Bars(interval) => {
                let query = query(&symbol, interval, Timestamp::MIN, Timestamp::MAX, 1);
                store.bars(&query).await?.last().map(|b| b.start)
            }
        };
        // No price is older than 1900.
        let from = from.max(Timestamp::from_secs(-2_208_988_800));
        let end = last.map_or(from, |last| until.min(last.plus_micros(1)));
        Ok(Self {
            store,
            symbol,
            kind,
            next: from,
            end,
            first: None,
            length_us: FIRST_US,
        })
    }

    /// How much of the time from the first row on is read, 0 to 1.
    pub(super) fn share(&self) -> f64 {
        let Some(first) = self.first.filter(|first| *first < self.end) else {
            return 0.0;
        };
        let (read, all) = (self.next.micros_since(first), self.end.micros_since(first));
        read.max(0) as f64 / all as f64
    }

    /// The next rows; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Page>> {
        while self.next < self.end {
            let until = self.end.min(self.next.plus_micros(self.length_us));
            let mut page = self.read(until, PAGE_ROWS + 1).await?;
            if page.len() > PAGE_ROWS {
                if self.length_us > 1 {
                    self.length_us = (self.length_us / 2).max(1);
                    continue;
                }
                // More rows of one microsecond than a page has.
                page = self.read(until, usize::MAX).await?;
            }
            if page.len() > 0 {
                self.first = self.first.or(Some(self.next));
            }
            self.next = until;
            if page.len() < PAGE_ROWS / 4 {
                self.length_us = (self.length_us * 2).min(LONGEST_US);
            }
            if page.len() > 0 {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    async fn read(&self, until: Timestamp, limit: usize) -> Result<Page> {
        let (store, symbol, from) = (self.store, &self.symbol, self.next);
        match self.kind {
            Kind::Ticks => {
                let ticks = store.ticks(symbol, from, until, limit).await?;
                Ok(Page::Ticks(ticks))
            }
            Kind::Bars(interval) => {
                let query = query(symbol, interval, from, until, limit);
                Ok(Page::Bars(store.bars(&query).await?))
            }
        }
    }
}

fn query(
    symbol: &Symbol,
    interval: Interval,
    from: Timestamp,
    until: Timestamp,
    limit: usize,
) -> BarQuery {
    BarQuery {
        symbol: symbol.clone(),
        interval,
        from,
        until,
        limit,
    }
}
