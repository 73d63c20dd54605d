//! The live feed of a process that does not store: it reads the whole topic on its own, in no
//! consumer group, and shows what it reads.
//!
//! Model: a tick's position is made of where its message stands in the topic (see [`positions`]), so it
//! is the same in every process that follows, and a reader may resume at another one behind a load
//! balancer. Doubles are dropped by key. Bars begin with what the store has and take the ticks on
//! (see [`bars`]). What a reader has missed and memory no longer holds is read from the topic again
//! (see [`replay`]).
//!
//! At the start the last messages of each partition are read first: they fill the memory for
//! resumes and the keys that tell doubles. Until then readers wait for their snapshots.
//!
//! What it does not do: store, forecast, notice partitions that are added while it runs.

mod bars;
mod positions;
mod replay;
mod watermarks;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bus::{Delivery, Position, TopicLog};
use market::{Bar, Interval, Symbol, Tick, Timestamp};
use store::{BarQuery, PriceReader, StoredTick};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{bars::Bars, positions::Positions, replay::Replay, watermarks::Watermarks};
use crate::{
    Clock, LiveHub, PipelineConfig, PipelineError, Result,
    backoff::Backoff,
    clock::MarketClock,
    decode::Decode,
    live::{Backlog, Known, every_interval, newest_bars},
    stats::Counters,
};

/// Messages of each partition that are read first.
const WARM_UP: u64 = 2_000;
/// Rows taken in one go: less than a symbol's inbox in the hub holds.
const BATCH_ROWS: usize = 4_000;
/// How long a poll waits.
const POLL: Duration = Duration::from_millis(250);
/// Polls without a record after which the end is reached, whatever the bounds said.
const QUIET_POLLS: u32 = 12;
/// How often doubtful bars are compared with the store's.
const COMPARE_EVERY: Duration = Duration::from_secs(1);
/// Symbols whose bars are compared in one round at most.
const COMPARED_AT_ONCE: usize = 256;
/// How long a reader's subscription waits for the warm-up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stored bars to look at: of an interval, from here, to before there.
type Span = (Interval, Timestamp, Timestamp);

/// Follows the topic. Cheap to clone.
#[derive(Clone)]
pub(crate) struct TopicTail {
    inner: Arc<Inner>,
}

struct Inner {
    log: Arc<dyn TopicLog>,
    topic: String,
    decode: Decode,
    store: Arc<dyn PriceReader>,
    market: Arc<MarketClock>,
    counters: Arc<Counters>,
    backoff_ms: (u64, u64),
    replay: Replay,
    watermarks: Watermarks,
    positions: Mutex<Positions>,
    /// The bars of the symbols that somebody has subscribed to.
    bars: Mutex<HashMap<Symbol, Bars>>,
    ready: watch::Sender<bool>,
}

impl TopicTail {
    pub(crate) fn new(
        config: &PipelineConfig,
        log: Arc<dyn TopicLog>,
        store: Arc<dyn PriceReader>,
        clock: Arc<dyn Clock>,
        market: Arc<MarketClock>,
        counters: Arc<Counters>,
    ) -> Self {
        let decode = Decode {
            rules: Arc::new(config.rules()),
            clock,
        };
        Self {
            inner: Arc::new(Inner {
                watermarks: Watermarks::new(Arc::clone(&log), config.topic.clone()),
                replay: Replay::new(Arc::clone(&log), config.topic.clone(), decode.clone()),
                log,
                topic: config.topic.clone(),
                decode,
                store,
                market,
                counters,
                backoff_ms: (config.consume.backoff_min_ms, config.consume.backoff_max_ms),
                positions: Mutex::default(),
                bars: Mutex::default(),
                ready: watch::Sender::new(false),
            }),
        }
    }

    /// Whether the last messages have been read, so that readers get their snapshots.
    pub(crate) fn is_ready(&self) -> bool {
        *self.inner.ready.borrow()
    }

    /// Follows until cancelled.
    pub(crate) async fn run(self, hub: LiveHub, cancel: CancellationToken) {
        let comparing = tokio::spawn(compare(
            Arc::clone(&self.inner),
            hub.clone(),
            cancel.child_token(),
        ));
        let mut backoff = Backoff::new(self.inner.backoff_ms.0, self.inner.backoff_ms.1);
        while !cancel.is_cancelled() {
            let ended = tokio::select! {
                ended = self.inner.read(&hub, &mut backoff) => ended,
                () = cancel.cancelled() => break,
            };
            if let Err(e) = ended {
                self.inner.counters.bus_errors.add(1);
                tracing::warn!(error = %e, "tailing the topic begins anew");
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(backoff.next_wait()) => {}
            }
        }
        // It ends with the same token.
        let _ = comparing.await;
    }
}

impl Inner {
    fn positions(&self) -> MutexGuard<'_, Positions> {
        self.positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn bars(&self) -> MutexGuard<'_, HashMap<Symbol, Bars>> {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, hub: &LiveHub, backoff: &mut Backoff) -> Result<()> {
        if !self.log.is_whole(&self.topic).await? {
            return Err(PipelineError::Bus(bus::BusError::Unavailable {
                detail: format!("a partition of {} has no leader", self.topic),
            }));
        }
        let bounds = self.log.bounds(&self.topic).await?;
        let from: Vec<Position> = {
            let mut positions = self.positions();
            bounds
                .iter()
                .map(|b| {
                    let begin = b.next.saturating_sub(WARM_UP).max(b.oldest);
                    let next = positions.next.entry(b.partition).or_insert(begin);
                    if *next < b.oldest {
                        tracing::error!(
                            partition = b.partition,
                            lost = b.oldest - *next,
                            "records were removed from the topic before they were read: readers miss them"
                        );
                        *next = b.oldest;
                    }
                    Position {
                        partition: b.partition,
                        offset: *next,
                    }
                })
                .collect()
        };
        let targets: BTreeMap<u32, u64> = bounds.iter().map(|b| (b.partition, b.next)).collect();
        let mut consumer = self.log.read_from(&self.topic, &from).await?;
        let mut quiet = 0;
        loop {
            if !*self.ready.borrow() && (quiet >= QUIET_POLLS || self.has_read(&targets)) {
                self.ready.send_replace(true);
            }
            let deliveries = consumer.poll(BATCH_ROWS, POLL).await?;
            if deliveries.is_empty() {
                quiet += 1;
                continue;
            }
            quiet = 0;
            backoff.reset();
            let full = deliveries
                .iter()
                .map(|d| d.record.payload.rows())
                .sum::<usize>();
            self.show(hub, deliveries);
            if full >= BATCH_ROWS / 2 {
                // A long way to catch up: the hub delivers before more is put into its inboxes.
                tokio::time::sleep(hub.config().coalesce().max(Duration::from_millis(1)) * 2).await;
            }
        }
    }

    fn has_read(&self, targets: &BTreeMap<u32, u64>) -> bool {
        let positions = self.positions();
        targets
            .iter()
            .all(|(partition, target)| positions.next.get(partition).is_some_and(|n| n >= target))
    }

    fn show(&self, hub: &LiveHub, deliveries: Vec<Delivery>) {
        let mut ticks: BTreeMap<Symbol, (Vec<StoredTick>, Instant)> = BTreeMap::new();
        let mut came_as_bars: BTreeMap<Symbol, Vec<Bar>> = BTreeMap::new();
        let mut newest = None;
        let mut first_seen = BTreeSet::new();
        let (mut shown, mut doubles) = (0, 0);
        // Held over publishing: whoever asks for what is known of a symbol meanwhile must find it
        // either before these ticks or after them.
        let mut positions = self.positions();
        for delivery in deliveries {
            let (at, received) = (delivery.position, delivery.record.received);
            let rows = self.decode.rows(delivery);
            for (index, tick) in rows.ticks.iter().enumerate() {
                if !positions.has_seen(&tick.symbol) {
                    first_seen.insert(tick.symbol.clone());
                }
                let Some(stored) = positions.take(at, index, tick) else {
                    doubles += 1;
                    continue;
                };
                shown += 1;
                newest = newest.max(Some(tick.ts));
                match ticks.get_mut(&tick.symbol) {
                    Some((of_symbol, oldest)) => {
                        of_symbol.push(stored);
                        *oldest = received.min(*oldest);
                    }
                    None => {
                        ticks.insert(tick.symbol.clone(), (vec![stored], received));
                    }
                }
            }
            for bar in rows.bars {
                newest = newest.max(Some(bar.start));
                came_as_bars
                    .entry(bar.symbol.clone())
                    .or_default()
                    .push(bar);
            }
            positions.next.insert(at.partition, at.offset + 1);
        }
        if let Some(newest) = newest {
            self.market.observe(newest);
        }
        self.counters.followed.add(shown);
        self.counters.followed_doubles.add(doubles);
        let now = Instant::now();
        let mut held = self.bars();
        for symbol in first_seen {
            // Somebody waits for a symbol that was not in the store either: its bars begin here.
            if hub.knows(&symbol) && !held.contains_key(&symbol) {
                held.insert(symbol, Bars::new(&[], None, now));
            }
        }
        for (symbol, (stored, received)) in ticks {
            let mut changed = Vec::new();
            if let Some(bars) = held.get_mut(&symbol) {
                let ticks: Vec<Tick> = stored.iter().map(|s| s.tick.clone()).collect();
                for tick in &ticks {
                    bars.push(tick, now);
                }
                changed = bars.touched(&ticks);
            }
            hub.publish_symbol(&symbol, stored, changed, Some(received));
        }
        for (symbol, bars) in came_as_bars {
            hub.note_bars(&symbol);
            if let Some(held) = held.get_mut(&symbol) {
                for bar in &bars {
                    held.push_bar(bar, now);
                }
            }
        }
    }
}

#[async_trait]
impl Backlog for TopicTail {
    async fn known(&self, symbol: &Symbol) -> Result<Known> {
        let inner = &self.inner;
        let mut ready = inner.ready.subscribe();
        tokio::time::timeout(PATIENCE, ready.wait_for(|ready| *ready))
            .await
            .map_err(|_| bus::BusError::Unavailable {
                detail: "the topic is still being read".into(),
            })?
            .map_err(|_| PipelineError::Closed)?;
        let last = inner.store.latest_tick(symbol).await?.map(|t| t.tick);
        let stored = newest_bars(&*inner.store, &every_interval(symbol)).await?;
        let mut positions = inner.positions();
        if last.is_none() && stored.is_empty() && !positions.has_seen(symbol) {
            // Nobody knows it: nothing is remembered of it either.
            return Ok(Known::default());
        }
        let newest = positions.newest(symbol).max(last.as_ref().map(Tick::key));
        // The store may be ahead of what has been read here: a snapshot must not hold a tick that
        // is still to be sent.
        let last = last.filter(|_| !positions.has_seen(symbol));
        let bars = Bars::new(&stored, newest, Instant::now());
        inner.bars().insert(symbol.clone(), bars);
        Ok(Known {
            seq: positions.settle(symbol, &*inner.log),
            last,
            bars: stored,
        })
    }

    async fn ticks_after(
        &self,
        symbol: &Symbol,
        position: u64,
        limit: usize,
    ) -> Result<Option<Vec<StoredTick>>> {
        let Some(home) = self.inner.positions().home(symbol, &*self.inner.log) else {
            return Ok(None);
        };
        self.inner
            .replay
            .ticks_after(symbol, home, position, limit)
            .await
    }

    async fn bars_of(&self, queries: &[BarQuery]) -> Result<Vec<Vec<Bar>>> {
        Ok(self.inner.store.bars_of(queries).await?)
    }

    async fn reaches(&self, symbol: &Symbol, position: u64) -> Result<bool> {
        let inner = &self.inner;
        let offset = positions::offset_after(position.saturating_sub(1));
        let read = {
            let positions = inner.positions();
            let Some(home) = positions.home(symbol, &*inner.log) else {
                return Ok(false);
            };
            let next = positions.next.get(&home).copied().unwrap_or(0);
            (next <= offset).then_some(home)
        };
        let Some(home) = read else {
            return Ok(false);
        };
        inner.watermarks.hold(home, offset).await.ok_or_else(|| {
            PipelineError::Bus(bus::BusError::Unavailable {
                detail: "how far the topic reaches cannot be asked".into(),
            })
        })
    }
}

/// Compares doubtful bars with the store's until cancelled.
async fn compare(inner: Arc<Inner>, hub: LiveHub, cancel: CancellationToken) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(COMPARE_EVERY) => {}
        }
        let now = Instant::now();
        let spans: Vec<(Symbol, Vec<Span>)> = inner
            .bars()
            .iter_mut()
            .map(|(symbol, bars)| (symbol.clone(), bars.doubtful(now)))
            .filter(|(_, spans)| !spans.is_empty())
            .take(COMPARED_AT_ONCE)
            .collect();
        for (symbol, spans) in spans {
            if cancel.is_cancelled() {
                return;
            }
            if let Err(e) = compare_one(&inner, &hub, &symbol, spans).await {
                inner.counters.store_errors.add(1);
                tracing::warn!(%symbol, error = %e, "bars cannot be compared with the store's");
                break;
            }
        }
    }
}

async fn compare_one(
    inner: &Inner,
    hub: &LiveHub,
    symbol: &Symbol,
    spans: Vec<Span>,
) -> Result<()> {
    let queries: Vec<BarQuery> = spans
        .into_iter()
        .map(|(interval, from, until)| BarQuery {
            symbol: symbol.clone(),
            interval,
            from,
            until,
            limit: 64,
        })
        .collect();
    for stored in inner.store.bars_of(&queries).await? {
        let mut bars = inner.bars();
        let Some(held) = bars.get_mut(symbol) else {
            return Ok(());
        };
        let changed: Vec<Bar> = stored.iter().filter_map(|bar| held.compare(bar)).collect();
        // Under the lock: a tick that comes now must not be overtaken by an older bar.
        hub.publish_symbol(symbol, Vec::new(), changed, None);
    }
    Ok(())
}
