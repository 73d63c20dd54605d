//! Where `/live` finds what it does not hold itself: the state of a symbol before the process, and
//! ticks older than those kept in memory.
//!
//! Two sides: the store, whose order of storage is then the order of the feed ([`Stored`]), and the
//! topic, which a web process follows on its own (`crate::tail`).

use std::sync::Arc;

use async_trait::async_trait;
use market::{Bar, Interval, Symbol, Tick, Timestamp};
use store::{BarQuery, PriceReader, StoredTick};

use crate::Result;

/// What is known of a symbol before anything of it is sent.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Everything up to this position is in what is known; 0 leaves what the topic holds.
    pub seq: u64,
    /// The last tick by key.
    pub last: Option<Tick>,
    /// The newest bar of each interval that has one.
    pub bars: Vec<Bar>,
}

/// See the module.
#[async_trait]
pub(crate) trait Backlog: Send + Sync + 'static {
    /// What is known of a symbol; asked once before its first reader is attached.
    async fn known(&self, symbol: &Symbol) -> Result<Known>;

    /// The ticks of a symbol after a position, in order of the feed, at most `limit`; `None` when
    /// they can no longer be had one by one.
    async fn ticks_after(
        &self,
        symbol: &Symbol,
        position: u64,
        limit: usize,
    ) -> Result<Option<Vec<StoredTick>>>;

    /// Stored bars, one answer to each query.
    async fn bars_of(&self, queries: &[BarQuery]) -> Result<Vec<Vec<Bar>>>;

    /// Asked of a position beyond everything that was shown here: whether it will be reached, because
    /// this process has not read so far yet. False of one that nothing leads to.
    async fn reaches(&self, _symbol: &Symbol, _position: u64) -> Result<bool> {
        Ok(false)
    }
}

/// The store as the backlog; nothing where it cannot be read.
pub(crate) struct Stored(pub Option<Arc<dyn PriceReader>>);

#[async_trait]
impl Backlog for Stored {
    async fn known(&self, symbol: &Symbol) -> Result<Known> {
        let Some(store) = &self.0 else {
            return Ok(Known::default());
        };
        let latest = store.latest_tick(symbol).await?;
        Ok(Known {
            seq: latest.as_ref().map_or(0, |t| t.position),
            last: latest.map(|t| t.tick),
            bars: newest_bars(&**store, &every_interval(symbol)).await?,
        })
    }

    async fn ticks_after(
        &self,
        symbol: &Symbol,
        position: u64,
        limit: usize,
    ) -> Result<Option<Vec<StoredTick>>> {
        Ok(match &self.0 {
            Some(store) => Some(store.ticks_after(symbol, position, limit).await?),
            None => Some(Vec::new()),
        })
    }

    async fn bars_of(&self, queries: &[BarQuery]) -> Result<Vec<Vec<Bar>>> {
        Ok(match &self.0 {
            Some(store) => store.bars_of(queries).await?,
            None => vec![Vec::new(); queries.len()],
        })
    }
}

/// The newest stored bar of each series that has one.
pub(crate) async fn newest_bars(
    store: &dyn PriceReader,
    series: &[(Symbol, Interval)],
) -> store::Result<Vec<Bar>> {
    let newest = |(symbol, interval): &(Symbol, Interval)| BarQuery {
        symbol: symbol.clone(),
        interval: *interval,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        limit: 1,
    };
    let queries: Vec<BarQuery> = series.iter().map(newest).collect();
    Ok(store
        .bars_of(&queries)
        .await?
        .into_iter()
        .flatten()
        .collect())
}

/// Every series of a symbol.
pub(crate) fn every_interval(symbol: &Symbol) -> [(Symbol, Interval); Interval::ALL.len()] {
    Interval::ALL.map(|interval| (symbol.clone(), interval))
}
