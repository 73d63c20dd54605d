//! Rows that are pushed from outside, taken so that the answer can say what became of them.
//!
//! Where this process stores, they are stored through its sink. Where others do, they are published
//! on the bus like any rows, so that the consumers keep their order and every follower shows them;
//! then the store is looked at until it has them, or until there is no time left: what the bus has
//! taken is not lost, the answer only cannot say yet that it is stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{EventBus, Payload, Record};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use market::{Bar, Reject, Symbol, Tick, TickKey, Timestamp};
use store::PriceReader;

use crate::{DeadLetterOutlet, Result, Sink, backoff::Backoff, dead_letters};

/// How long the answer waits for the store.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the store is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long the look before publishing may take.
const LOOK_BEFORE: Duration = Duration::from_secs(1);
/// Symbols that are looked for at the same time.
const SYMBOLS_AT_ONCE: usize = 8;
/// Ticks that one look reads at most.
const TICKS_AT_ONCE: usize = 50_000;
/// Rows of one record at most.
const RECORD_ROWS: usize = 1_000;

/// What became of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Rows that are in the store now and were not before.
    pub stored: usize,
    /// Rows that were there already. Of bars, where others store, that is not known: they count as stored.
    pub duplicates: usize,
    /// Rows that the bus has taken and the store does not have yet.
    pub on_the_way: usize,
}

impl std::ops::AddAssign for Pushed {
    fn add_assign(&mut self, other: Self) {
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.on_the_way += other.on_the_way;
    }
}

/// Stores rows here.
pub(crate) async fn store(
    sink: &Sink,
    ticks: Vec<Tick>,
    bars: Vec<Bar>,
    received: Instant,
) -> Result<Pushed> {
    let count = bars.len();
    let appended = sink.write(ticks, Some(received)).await?;
    let written = sink.write_bars(bars).await?;
    Ok(Pushed {
        stored: appended.stored.len() + written,
        duplicates: appended.duplicates + count.saturating_sub(written),
        on_the_way: 0,
    })
}

/// Publishes rejected rows. A bus that is away is waited for no longer than the answer may
/// take.
pub(crate) async fn publish_rejects(outlet: Option<&dyn DeadLetterOutlet>, rejects: Vec<Reject>) {
    let rejects: Vec<_> = rejects.into_iter().map(|r| (None, r)).collect();
    let mut backoff = Backoff::new(20, 1_000);
    let published = dead_letters::publish(outlet, &rejects, &mut backoff);
    if tokio::time::timeout(PATIENCE, published).await.is_err() {
        tracing::warn!("the bus is away: the topic of dead letters lacks some that the store has");
    }
}

/// Publishes rows and waits until the store has the ticks. Bars are stored with the message that
/// follows them at the latest and are not waited for: one that the store has may be refused rightly.
pub(crate) async fn publish(
    bus: &Arc<dyn EventBus>,
    topic: &str,
    store: &dyn PriceReader,
    ticks: Vec<Tick>,
    bars: Vec<Bar>,
    received: Instant,
) -> Result<Pushed> {
    let rows = ticks.len();
    let count = bars.len();
    let mut missing: BTreeMap<Symbol, BTreeSet<TickKey>> = BTreeMap::new();
    for tick in &ticks {
        let keys = missing.entry(tick.symbol.clone()).or_default();
        keys.insert(tick.key());
    }
    // A store that is away does not keep the bus from taking them: then it is not known.
    let looking = leave_out_stored(store, &mut missing);
    let _ = tokio::time::timeout(LOOK_BEFORE, looking).await;
    let doubles = rows - missing.values().map(BTreeSet::len).sum::<usize>();
    let records = records(ticks, bars, received);
    bus.publish(topic, records).await?;
    // Of the whole push: one of many batches must not wait for each of them anew.
    let deadline = received + PATIENCE;
    while !missing.is_empty() && Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
        leave_out_stored(store, &mut missing).await?;
    }
    let on_the_way = missing.values().map(BTreeSet::len).sum();
    Ok(Pushed {
        stored: rows - doubles - on_the_way + count,
        duplicates: doubles,
        on_the_way,
    })
}

/// Leaves out what the store has.
async fn leave_out_stored(
    store: &dyn PriceReader,
    missing: &mut BTreeMap<Symbol, BTreeSet<TickKey>>,
) -> Result<()> {
    let asked: Vec<(Symbol, Timestamp, Timestamp)> = missing
        .iter()
        .filter_map(|(symbol, keys)| {
            let until = keys.last()?.ts.plus_micros(1);
            Some((symbol.clone(), keys.first()?.ts, until))
        })
        .collect();
    let found: Vec<Vec<Tick>> = stream::iter(asked)
        .map(|(symbol, from, until)| async move {
            store.ticks(&symbol, from, until, TICKS_AT_ONCE).await
        })
        .buffer_unordered(SYMBOLS_AT_ONCE)
        .try_collect()
        .await?;
    for tick in found.into_iter().flatten() {
        if let Some(keys) = missing.get_mut(&tick.symbol) {
            keys.remove(&tick.key());
        }
    }
    missing.retain(|_, keys| !keys.is_empty());
    Ok(())
}

fn records(ticks: Vec<Tick>, bars: Vec<Bar>, received: Instant) -> Vec<Record> {
    let mut ticks_of: BTreeMap<Symbol, Vec<Tick>> = BTreeMap::new();
    for tick in ticks {
        ticks_of.entry(tick.symbol.clone()).or_default().push(tick);
    }
    let mut bars_of: BTreeMap<Symbol, Vec<Bar>> = BTreeMap::new();
    for bar in bars {
        bars_of.entry(bar.symbol.clone()).or_default().push(bar);
    }
    let record = |symbol: &Symbol, payload| Record {
        key: symbol.to_string(),
        source: "push".into(),
        source_offset: None,
        received,
        payload,
    };
    let mut records = Vec::new();
    for (symbol, ticks) in ticks_of {
        for part in ticks.chunks(RECORD_ROWS) {
            records.push(record(&symbol, Payload::Ticks(part.into())));
        }
    }
    for (symbol, bars) in bars_of {
        for part in bars.chunks(RECORD_ROWS) {
            records.push(record(&symbol, Payload::Bars(part.into())));
        }
    }
    records
}
