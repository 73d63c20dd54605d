//! The one door to the store in a process.
//!
//! Model: writes of ticks happen in the order they came in: the append, then the fan-out to `/live`
//! and to the observers (see [`crate::observers`]), so that both see what is stored in order. Both fan-outs
//! only take note and never wait. Appends that wait for the one before them are given to the store together, in order,
//! so that many small writes share its commit and a slow commit holds up nobody twice. A write goes
//! on when its caller is dropped (an HTTP client that hangs up): what is stored is always published.
//!
//! Writes that wait are held by their callers, who get no answer meanwhile; how many there are is
//! the metric `tickcast_sink_waiting_writes`.
//!
//! An append that fails may have stored its rows all the same. The symbols of such a batch are
//! remembered, and before the next publication of one the store is asked what it has that was never
//! published.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc, Mutex as StdMutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use futures::{StreamExt as _, stream::FuturesOrdered};
use market::{Bar, Interval, Reject, Symbol, Tick, Timestamp};
use store::{Appended, BarQuery, PriceReader, RejectReport, StorePorts, StoredTick};
use tokio::sync::{Mutex, oneshot};

use crate::{
    PipelineError, Result,
    clock::MarketClock,
    dead_letters::Drops,
    live::{LiveHub, every_interval, newest_bars},
    observers::{Observers, Origin, StoredRows},
    stats::Counters,
};

/// Ticks that are read at once to find what was stored and not published.
const RECOVERY_TICKS: usize = 5_000;
/// Appends that are given to the store together take no further one once they have so many ticks.
const GROUP_TICKS: usize = 8_192;
/// Letters that are given to the store together at most.
const LETTERS_AT_ONCE: usize = 256;
/// Appends that are given to the store together at most.
const GROUP_WRITES: usize = 128;

/// The one door to the store in a process. Cheap to clone.
#[derive(Clone)]
pub struct Sink {
    inner: Arc<Inner>,
}

struct Inner {
    store: StorePorts,
    live: LiveHub,
    /// Whether readers see what is stored here, in order of storage; not in a process without
    /// readers, nor where they see the topic.
    shows_ticks: bool,
    observers: Observers,
    market: Arc<MarketClock>,
    counters: Arc<Counters>,
    /// Symbols of which the store may hold ticks that were not published.
    gate: Mutex<BTreeSet<Symbol>>,
    /// Writes of ticks that wait for the gate, in order.
    waiting: StdMutex<VecDeque<Write>>,
    closed: AtomicBool,
    drops: Drops,
}

/// A write of ticks that waits.
struct Write {
    ticks: Vec<Tick>,
    received: Option<Instant>,
    origin: Origin,
    answer: oneshot::Sender<Result<Appended>>,
}

/// What is known of an append before it is done.
struct Shown {
    symbols: BTreeSet<Symbol>,
    /// Its newest tick, of those that are news.
    newest: Option<Timestamp>,
    received: Option<Instant>,
    origin: Origin,
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

impl Sink {
    pub(crate) fn new(
        store: StorePorts,
        live: LiveHub,
        shows_ticks: bool,
        observers: Observers,
        market: Arc<MarketClock>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                live,
                shows_ticks,
                observers,
                market,
                counters,
                gate: Mutex::default(),
                waiting: StdMutex::default(),
                closed: AtomicBool::new(false),
                drops: Drops::default(),
            }),
        }
    }

    /// Stores ticks, then shows them to readers and observers; returns when they are stored.
    /// `received`: when the process got the oldest of them, by its monotonic clock.
    ///
    /// # Errors
    /// The store's: then none or all of them are stored; write them again. Closed after shutdown.
    pub async fn write(&self, ticks: Vec<Tick>, received: Option<Instant>) -> Result<Appended> {
        self.spawn_write(ticks, received, Origin::Live).await
    }

    /// As [`Self::write`], for ticks of the past: they do not move the market clock.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_history(&self, ticks: Vec<Tick>) -> Result<Appended> {
        self.spawn_write(ticks, None, Origin::Historical).await
    }

    /// Stores bars that came as bars, then shows them; returns how many were written.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_bars(&self, bars: Vec<Bar>) -> Result<usize> {
        self.spawn_write_bars(bars, Origin::Live).await
    }

    /// As [`Self::write_bars`], for bars of the past: they do not move the market clock.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_history_bars(&self, bars: Vec<Bar>) -> Result<usize> {
        self.spawn_write_bars(bars, Origin::Historical).await
    }

    /// The bars that are stored, from the one that starts at `first` to the one that starts at `last`;
    /// none of a store that cannot be read.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn stored_bars(
        &self,
        symbol: &Symbol,
        interval: Interval,
        first: Timestamp,
        last: Timestamp,
    ) -> Result<Vec<Bar>> {
        let query = BarQuery {
            symbol: symbol.clone(),
            interval,
            from: first,
            until: last.plus_micros(1),
            limit: usize::MAX,
        };
        match self.inner.reader() {
            Some(reader) => Ok(reader.bars(&query).await?),
            None => Ok(Vec::new()),
        }
    }

    /// Puts rows aside as dead letters; says which were not kept, because their source has its quota.
    ///
    /// # Errors
    /// The store's: then some may be written; see [`store::DeadLetterLog::reject`].
    pub async fn reject(&self, rejects: Vec<Reject>) -> Result<RejectReport> {
        if rejects.is_empty() {
            return Ok(RejectReport::default());
        }
        let at = self.inner.market.wall();
        let mut rejects = rejects.into_iter();
        let mut done = RejectReport::default();
        loop {
            // Ticks are stored between two batches of letters.
            let batch: Vec<Reject> = rejects.by_ref().take(LETTERS_AT_ONCE).collect();
            if batch.is_empty() {
                self.inner.drops.note(&done);
                return Ok(done);
            }
            let count = batch.len();
            let of_batch = self
                .inner
                .store
                .dead_letters
                .reject(batch, at)
                .await
                .inspect_err(|_| self.inner.counters.store_errors.add(1))?;
            self.inner.counters.rejected.add(count);
            done.add(of_batch);
        }
    }

    /// Refuses everything from now on, and waits for the write that is under way, until `deadline`.
    /// Returns whether it has ended.
    pub(crate) async fn close(&self, deadline: tokio::time::Instant) -> bool {
        self.inner.closed.store(true, Ordering::Release);
        tokio::time::timeout_at(deadline, self.inner.gate.lock())
            .await
            .is_ok()
    }

    async fn spawn_write(
        &self,
        ticks: Vec<Tick>,
        received: Option<Instant>,
        origin: Origin,
    ) -> Result<Appended> {
        if ticks.is_empty() {
            return Ok(Appended::default());
        }
        let (answer, answered) = oneshot::channel();
        self.inner.waiting().push_back(Write {
            ticks,
            received,
            origin,
            answer,
        });
        let inner = Arc::clone(&self.inner);
        // A task for each write: as many groups are written as there are writes at most, so none is
        // left waiting.
        tokio::spawn(async move { inner.write_group().await });
        answered.await.map_err(|_| PipelineError::Closed)?
    }

    async fn spawn_write_bars(&self, bars: Vec<Bar>, origin: Origin) -> Result<usize> {
        if bars.is_empty() {
            return Ok(0);
        }
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.write_bars(bars, origin).await })
            .await
            .map_err(|_| PipelineError::Closed)?
    }
}

impl Inner {
    fn reader(&self) -> Option<&dyn PriceReader> {
        self.store
            .database
            .as_ref()
            .map(|database| &*database.prices)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Write>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writes that go to the store together: those that waited longest.
    fn next_group(&self) -> Vec<Write> {
        let mut waiting = self.waiting();
        let mut group: Vec<Write> = Vec::new();
        let mut ticks = 0;
        while group.len() < GROUP_WRITES && ticks < GROUP_TICKS {
            let Some(write) = waiting.pop_front() else {
                break;
            };
            ticks += write.ticks.len();
            group.push(write);
        }
        metrics::gauge!("tickcast_sink_waiting_writes").set(waiting.len() as f64);
        group
    }

    /// Writes what waits, or as much of it as goes together. Nothing may, when the write that this
    /// was called for went with those before it.
    async fn write_group(&self) {
        let mut uncertain = self.gate.lock().await;
        let group = self.next_group();
        if self.closed.load(Ordering::Acquire) {
            for write in group {
                // The caller may have gone.
                let _ = write.answer.send(Err(PipelineError::Closed));
            }
            return;
        }
        // The store gets them in this order and answers in it.
        let mut appends: FuturesOrdered<_> = group
            .into_iter()
            .map(|write| {
                let symbols = symbols_of(&write.ticks);
                let newest = match write.origin {
                    Origin::Live => write.ticks.iter().map(|t| t.ts).max(),
                    Origin::Historical => None,
                };
                let append = self.store.prices.append(write.ticks);
                let shown = Shown {
                    symbols,
                    newest,
                    received: write.received,
                    origin: write.origin,
                };
                async move { (append.await, shown, write.answer) }
            })
            .collect();
        while let Some((appended, shown, answer)) = appends.next().await {
            let written = match appended {
                Ok(appended) => {
                    self.show(&appended, &shown, &mut uncertain).await;
                    Ok(appended)
                }
                Err(e) => {
                    self.counters.store_errors.add(1);
                    if self.shows_ticks {
                        uncertain.extend(shown.symbols);
                    }
                    Err(e.into())
                }
            };
            let _ = answer.send(written);
        }
    }

    /// Tells the market clock, the readers and the observers of what was stored, in this order.
    async fn show(&self, appended: &Appended, shown: &Shown, uncertain: &mut BTreeSet<Symbol>) {
        let received = shown.received;
        if let Some(newest) = shown.newest {
            self.market.observe(newest);
        }
        self.counters.stored.add(appended.stored.len());
        self.counters.duplicates.add(appended.duplicates);
        let doubtful: Vec<Symbol> = shown.symbols.intersection(uncertain).cloned().collect();
        if !self.shows_ticks {
            // The topic is what readers see, or there are none.
        } else if doubtful.is_empty() {
            self.live.publish(appended, received);
        } else {
            self.publish_recovered(appended, received, &doubtful, uncertain)
                .await;
        }
        self.observers.stored(StoredRows {
            bars: &appended.bars,
            origin: shown.origin,
        });
    }

    /// Publishes an append of which some symbols may have older ticks that were never published.
    async fn publish_recovered(
        &self,
        appended: &Appended,
        received: Option<Instant>,
        doubtful: &[Symbol],
        uncertain: &mut BTreeSet<Symbol>,
    ) {
        for symbol in doubtful {
            // What was published last, before this append: nothing was sent of it since.
            let published = match self.live.published(symbol).await {
                Ok(Some(published)) => published,
                // Nobody can have been sent anything of it: then it begins with this append.
                Ok(None) => match appended.stored.iter().find(|t| t.tick.symbol == *symbol) {
                    Some(first) => first.position - 1,
                    None => {
                        uncertain.remove(symbol);
                        continue;
                    }
                },
                Err(e) => {
                    tracing::warn!(%symbol, error = %e, "cannot read what its readers know");
                    continue;
                }
            };
            match self.unpublished(symbol, published).await {
                Ok(ticks) => {
                    let bars = self.newest_bars(&every_interval(symbol)).await;
                    self.live.publish_symbol(symbol, ticks, bars, received);
                    uncertain.remove(symbol);
                }
                // Its readers wait until a later write finds it all.
                Err(e) => {
                    tracing::warn!(%symbol, error = %e, "cannot read what was stored and not published");
                }
            }
        }
        let mut certain = appended.clone();
        certain
            .stored
            .retain(|t| !doubtful.contains(&t.tick.symbol));
        certain.bars.retain(|b| !doubtful.contains(&b.symbol));
        self.live.publish(&certain, received);
    }

    async fn unpublished(&self, symbol: &Symbol, published: u64) -> Result<Vec<StoredTick>> {
        let mut after = published;
        let mut found = Vec::new();
        let Some(reader) = self.reader() else {
            return Ok(found);
        };
        loop {
            let ticks = reader.ticks_after(symbol, after, RECOVERY_TICKS).await?;
            let full = ticks.len() == RECOVERY_TICKS;
            match ticks.last() {
                Some(last) => after = last.position,
                None => return Ok(found),
            }
            found.extend(ticks);
            if !full {
                return Ok(found);
            }
        }
    }

    async fn write_bars(&self, bars: Vec<Bar>, origin: Origin) -> Result<usize> {
        let _one_at_a_time = self.gate.lock().await;
        if self.closed.load(Ordering::Acquire) {
            return Err(PipelineError::Closed);
        }
        let written = self
            .store
            .prices
            .put_bars(bars.clone())
            .await
            .inspect_err(|_| self.counters.store_errors.add(1))?;
        if let (Origin::Live, Some(newest)) = (origin, bars.iter().map(|b| b.start).max()) {
            // The start, not the end: the bar may still be going on.
            self.market.observe(newest);
        }
        self.counters.bars_written.add(written);
        let mut touched: Vec<(Symbol, Interval)> = bars
            .iter()
            .filter(|b| self.live.knows(&b.symbol))
            .map(|b| (b.symbol.clone(), b.interval))
            .collect();
        touched.sort_unstable();
        touched.dedup();
        if let Origin::Live = origin {
            bars.iter().for_each(|bar| self.live.note_bars(&bar.symbol));
        }
        // Ticks may have come that the bar does not cover: what the store has is shown, not what came.
        let newest = self.newest_bars(&touched).await;
        for of_symbol in newest.chunk_by(|a, b| a.symbol == b.symbol) {
            if let Some(first) = of_symbol.first() {
                let shown = of_symbol.to_vec();
                self.live
                    .publish_symbol(&first.symbol, Vec::new(), shown, None);
            }
        }
        self.observers.stored(StoredRows {
            bars: &bars,
            origin,
        });
        Ok(written)
    }

    async fn newest_bars(&self, series: &[(Symbol, Interval)]) -> Vec<Bar> {
        let Some(reader) = self.reader() else {
            return Vec::new();
        };
        newest_bars(reader, series).await.unwrap_or_else(|e| {
            tracing::warn!(series = series.len(), error = %e, "cannot read the newest bars");
            Vec::new()
        })
    }
}

/// The symbols of ticks, each cloned once: of a thousand ticks they are few.
fn symbols_of(ticks: &[Tick]) -> BTreeSet<Symbol> {
    let mut symbols = BTreeSet::new();
    for tick in ticks {
        if !symbols.contains(&tick.symbol) {
            symbols.insert(tick.symbol.clone());
        }
    }
    symbols
}
