//! The closes of stored symbols as a model sees them: of closed bars only, equally spaced.
//!
//! Model: [`SeriesReader::closes`] reads so many of them; [`SeriesReader::origin`] reads the newest closed bar
//! with the window that served models are fitted to, and keeps it, so that a forecast on request costs no
//! read of the store. What is kept is right until a bar in it is corrected or the next one closes. A process
//! that stores sees both ([`SeriesReader::observe`]); one that others store for reads again after a moment.
//!
//! What it does not do: fit anything.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use forecast::{ForecastModel, Training};
use market::{Bar, Interval, Symbol, Timestamp, timed_closes};
use pipeline::MarketClock;
use store::{BarQuery, PriceReader};

use crate::{
    Result, ServingError,
    contenders::is_registered,
    model_cache::{Key, REFIT_BARS, TrainingWindow},
    origin::Origin,
};

/// Origins kept at most. One has the size of its window: a few kilobytes.
const MOST_KEPT: usize = 4_096;

/// Bars that a version of the registry may lie behind at most, to be gone on from.
const MOST_BEHIND: usize = 10_000;

/// For how long an origin is right in a process that does not see what is stored.
const UNSEEN_FOR: Duration = Duration::from_millis(250);

/// Reads closes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SeriesReader {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn PriceReader>,
    market: Arc<MarketClock>,
    /// Empty buckets in a row that carry the close before them at most.
    max_carried_bars: usize,
    /// Closes that a served model is fitted to at most.
    window_bars: usize,
    /// Whether this process sees every bar that is stored.
    observes: bool,
    kept: Mutex<Origins>,
}

#[derive(Debug, Default)]
struct Origins {
    kept: HashMap<Key, Kept>,
    /// What is being read: by how many, and the first bar that has changed meanwhile.
    reading: HashMap<Key, (usize, Option<Timestamp>)>,
}

/// An origin, and what has been seen since.
#[derive(Debug)]
struct Kept {
    origin: Arc<Origin>,
    /// The first bar behind it that has come since.
    newer: Option<Timestamp>,
    read_at: Instant,
}

/// Closes with their times, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Closes {
    pub starts: Vec<Timestamp>,
    pub values: Vec<f64>,
}

impl SeriesReader {
    pub(crate) fn new(
        store: Arc<dyn PriceReader>,
        market: Arc<MarketClock>,
        max_carried_bars: usize,
        window_bars: usize,
        observes: bool,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                market,
                max_carried_bars,
                window_bars: window_bars.max(1),
                observes,
                kept: Mutex::default(),
            }),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Origins> {
        let kept = &self.inner.kept;
        kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of bars that have changed. Cheap; never waits.
    pub(crate) fn observe(&self, bars: &[Bar]) {
        let mut origins = self.kept();
        let Origins { kept, reading } = &mut *origins;
        if kept.is_empty() && reading.is_empty() {
            return;
        }
        let earlier = |known: Option<Timestamp>, start| Some(known.map_or(start, |k| k.min(start)));
        for bar in bars {
            let key = (bar.symbol.clone(), bar.interval);
            if let Some((_, changed)) = reading.get_mut(&key) {
                *changed = earlier(*changed, bar.start);
            }
            match kept.get_mut(&key) {
                Some(one) if bar.start > one.origin.start => {
                    one.newer = earlier(one.newer, bar.start);
                }
                Some(_) => drop(kept.remove(&key)),
                None => {}
            }
        }
    }

    /// Keeps nothing of these symbols any more.
    pub(crate) fn forget(&self, symbols: &[Symbol]) {
        self.kept()
            .kept
            .retain(|(symbol, _), _| !symbols.contains(symbol));
    }

    /// The latest `window` closes of the closed bars.
    ///
    /// # Errors
    /// Not found without one; the store's.
    pub(crate) async fn closes(
        &self,
        symbol: &Symbol,
        interval: Interval,
        window: usize,
    ) -> Result<Closes> {
        let (bars, _) = self.closed_bars(symbol, interval, window.max(1)).await?;
        if bars.is_empty() {
            return Err(none(symbol, interval));
        }
        let most = self.inner.max_carried_bars;
        let (starts, values) = timed_closes(&bars, interval, window, most);
        Ok(Closes { starts, values })
    }

    /// The newest closed bar of a series with the window that served models are fitted to.
    ///
    /// # Errors
    /// Not found without one; the store's.
    pub(crate) async fn origin(&self, symbol: &Symbol, interval: Interval) -> Result<Arc<Origin>> {
        if let Some(origin) = self.kept_origin(symbol, interval) {
            return Ok(origin);
        }
        let inner = &self.inner;
        let limit = inner.window_bars + REFIT_BARS;
        let read_at = Instant::now();
        // What changes while the store is read may or may not be in what is read.
        let reading = Reading::begin(self, (symbol.clone(), interval));
        let (bars, going_on) = self.closed_bars(symbol, interval, limit).await?;
        let changed = reading.end();
        let Some(last) = bars.last() else {
            return Err(none(symbol, interval));
        };
        let (starts, values) = timed_closes(&bars, interval, usize::MAX, inner.max_carried_bars);
        let origin = Arc::new(Origin {
            symbol: symbol.clone(),
            interval,
            start: last.start,
            close: last.close,
            bars: bars.iter().map(|bar| bar.start).collect(),
            window: TrainingWindow::new(&starts, values, interval, inner.window_bars),
        });
        let newer = [going_on, changed].into_iter().flatten().min();
        if newer.is_none_or(|newer| newer > origin.start) {
            self.keep(&origin, newer, read_at);
        }
        Ok(origin)
    }

    /// The same origin with a window that a model can go on from: a version of the registry takes the closes behind
    /// the last bar that it has seen, which the usual window may begin after. Those of [`MOST_BEHIND`] bars are read.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn reaching(
        &self,
        origin: Arc<Origin>,
        model: &dyn ForecastModel,
    ) -> Result<Arc<Origin>> {
        let Training::Before {
            until_ms: Some(last),
        } = model.training()
        else {
            return Ok(origin);
        };
        if !is_registered(&model.name()) || origin.window.begins_by(last) {
            return Ok(origin);
        }
        let inner = &self.inner;
        let query = BarQuery {
            symbol: origin.symbol.clone(),
            interval: origin.interval,
            from: Timestamp::from_millis(last),
            until: origin.start.plus_micros(1),
            limit: MOST_BEHIND,
        };
        let bars = inner.store.bars(&query).await?;
        let (starts, values) =
            timed_closes(&bars, origin.interval, usize::MAX, inner.max_carried_bars);
        let window = TrainingWindow::new(&starts, values, origin.interval, usize::MAX);
        Ok(Arc::new(Origin {
            window,
            ..Origin::clone(&origin)
        }))
    }

    fn keep(&self, origin: &Arc<Origin>, newer: Option<Timestamp>, read_at: Instant) {
        let mut origins = self.kept();
        let kept = &mut origins.kept;
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        let key = (origin.symbol.clone(), origin.interval);
        let one = Kept {
            origin: Arc::clone(origin),
            newer,
            read_at,
        };
        kept.insert(key, one);
    }

    /// The origin kept, where it is still right.
    fn kept_origin(&self, symbol: &Symbol, interval: Interval) -> Option<Arc<Origin>> {
        let origins = self.kept();
        let one = origins.kept.get(&(symbol.clone(), interval))?;
        let now = self.inner.market.now();
        let right = if self.inner.observes {
            one.newer.is_none_or(|newer| interval.end_of(newer) > now)
        } else {
            one.read_at.elapsed() < UNSEEN_FOR
        };
        right.then(|| Arc::clone(&one.origin))
    }

    /// The latest closed bars, oldest first, and the start of the first bar that goes on.
    async fn closed_bars(
        &self,
        symbol: &Symbol,
        interval: Interval,
        limit: usize,
    ) -> Result<(Vec<Bar>, Option<Timestamp>)> {
        let query = BarQuery {
            symbol: symbol.clone(),
            interval,
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            limit: limit + 1,
        };
        let mut bars = self.inner.store.bars(&query).await?;
        let mut going_on = None;
        while let Some(bar) = bars.pop_if(|bar| self.inner.market.is_going_on(bar)) {
            going_on = Some(bar.start);
        }
        let surplus = bars.len().saturating_sub(limit);
        bars.drain(..surplus);
        Ok((bars, going_on))
    }
}

/// A read of the store that is under way. What changes meanwhile is noted until it is dropped.
struct Reading<'a> {
    reader: &'a SeriesReader,
    key: Key,
}

impl<'a> Reading<'a> {
    fn begin(reader: &'a SeriesReader, key: Key) -> Self {
        reader.kept().reading.entry(key.clone()).or_default().0 += 1;
        Self { reader, key }
    }

    /// The start of the first bar that has changed since another read of the series began, or this one.
    fn end(self) -> Option<Timestamp> {
        self.reader.kept().reading.get(&self.key)?.1
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut origins = self.reader.kept();
        if let Some((readers, _)) = origins.reading.get_mut(&self.key) {
            *readers -= 1;
            if *readers == 0 {
                origins.reading.remove(&self.key);
            }
        }
    }
}

fn none(symbol: &Symbol, interval: Interval) -> ServingError {
    ServingError::NotFound {
        field: "symbol",
        what: format!("a closed {interval} bar of {symbol}"),
    }
}
