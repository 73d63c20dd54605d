//! The closes of a stored symbol as a model sees them: of closed bars only, equally spaced.
//!
//! What it does not do: fit anything.

use std::sync::Arc;

use market::{Interval, Symbol, Timestamp};
use store::{BarQuery, PriceReader};

use crate::{PipelineError, Result, clock::MarketClock, forecasts::timed_closes};

/// Reads closes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct StoredCloses {
    pub store: Arc<dyn PriceReader>,
    pub market: Arc<MarketClock>,
    /// Empty buckets in a row that carry the close before them at most.
    pub max_carried_bars: usize,
}

/// Closes with their times, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Closes {
    pub starts: Vec<Timestamp>,
    pub values: Vec<f64>,
    /// The start of the last bar.
    pub last: Timestamp,
}

impl StoredCloses {
    /// The latest `window` closes of the closed bars.
    ///
    /// # Errors
    /// Not found without one; the store's.
    pub(crate) async fn read(
        &self,
        symbol: &Symbol,
        interval: Interval,
        window: usize,
    ) -> Result<Closes> {
        let window = window.max(1);
        let query = BarQuery {
            symbol: symbol.clone(),
            interval,
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            limit: window + 1,
        };
        let mut bars = self.store.bars(&query).await?;
        if bars.last().is_some_and(|bar| self.market.is_going_on(bar)) {
            bars.pop();
        }
        let Some(last) = bars.last().map(|bar| bar.start) else {
            return Err(PipelineError::NotFound {
                field: "symbol",
                what: format!("a closed {interval} bar of {symbol}"),
            });
        };
        let (starts, values) = timed_closes(&bars, interval, window, self.max_carried_bars);
        Ok(Closes {
            starts,
            values,
            last,
        })
    }
}
