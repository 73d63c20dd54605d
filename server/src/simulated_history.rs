//! The past of the simulated exchange, so that the first page is not empty and a restart leaves no
//! hole: bars from the last one stored (at most as far back as configured) up to now.
//!
//! The exchange's prices are a function of its seed and of time, so these are the bars of the same
//! path that the trades go on from. What it does not do: make ticks of the past.

use std::{collections::BTreeMap, sync::Arc};

use market::{Interval, Symbol, Timestamp};
use pipeline::{Clock as _, Pipeline, SystemClock};
use source::sim::Market;
use store::Store;
use tracing::{info, warn};

use crate::{config::Config, wiring};

/// Bars per symbol and interval at most.
const MOST_BARS: usize = 3_000;

/// What is stored before anything new comes in.
///
/// # Errors
/// The store's.
pub async fn known(store: &Arc<dyn Store>) -> store::Result<BTreeMap<Symbol, Timestamp>> {
    Ok(store
        .instruments()
        .await?
        .into_iter()
        .map(|i| (i.symbol, i.last))
        .collect())
}

/// Fills the past in the background: the web server need not wait for it.
pub fn backfill(config: &Config, known: BTreeMap<Symbol, Timestamp>, pipeline: &Arc<Pipeline>) {
    let back = i64::try_from(config.simulate.history.as_micros()).unwrap_or(i64::MAX);
    let options = wiring::market_options(config);
    let pipeline = Arc::clone(pipeline);
    tokio::spawn(async move {
        let now = SystemClock.now();
        let earliest = now.plus_micros(-back);
        let mut market = match Market::new(options) {
            Ok(market) => market,
            Err(e) => return warn!("no history of the simulated exchange: {e}"),
        };
        let mut count = 0;
        // One interval after the other, what the first page shows before the rest.
        for interval in ORDER {
            let known = known.clone();
            let made = tokio::task::spawn_blocking(move || {
                let mut bars = Vec::new();
                for (listing, symbol) in market.symbols().to_vec().iter().enumerate() {
                    let from = match (known.get(symbol), interval) {
                        (Some(last), _) => (*last).max(earliest),
                        // A day and a half makes no chart of days: those reach further back.
                        (None, Interval::D1) => now.plus_micros(-DAYS * Interval::D1.micros()),
                        (None, _) => earliest,
                    };
                    let most = if interval == Interval::S1 {
                        600
                    } else {
                        MOST_BARS
                    };
                    bars.extend(market.bars(listing, interval, from, now, most));
                }
                (market, bars)
            });
            let bars = match made.await {
                Ok((back, bars)) => {
                    market = back;
                    bars
                }
                Err(e) => return warn!("no history of the simulated exchange: {e}"),
            };
            match pipeline.sink.write_history_bars(bars).await {
                Ok(written) => count += written,
                Err(e) => return warn!("no history of the simulated exchange: {e}"),
            }
        }
        info!("{count} bars of the simulated exchange's past are stored");
    });
}

/// The intervals, in the order in which they are filled.
const ORDER: [Interval; 6] = [
    Interval::S1,
    Interval::M1,
    Interval::M5,
    Interval::M15,
    Interval::H1,
    Interval::D1,
];

/// Daily bars of the first start.
const DAYS: i64 = 60;
