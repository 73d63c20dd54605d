//! Fitted models that go from bar to bar.
//!
//! Model: what a model says at a bar follows from the closes alone. It is fitted to the window that
//! ends before the last *refit point*, points of time that lie [`REFIT_BARS`] bars apart and are the
//! same for every process, is calibrated on it, and takes every close since into its state. So a fan can be
//! made again from the stored bars, and a process that has just started says what one that ran all the time
//! would. The baselines end where a fit to all these closes does, to the last bit; parameters that
//! were searched for stay until the next refit point. A model that is too young for this (its closes
//! before the refit point are too few for it), or that refuses a close, is fitted to all of them.
//! States are kept so that a new bar costs an update, not a fit, and so that everybody who asks of one
//! origin gets one answer. One is used only when the closes it has seen are still those of the store: a bar
//! that was corrected or came late means a new fit.
//!
//! What it does not do: keep more than [`MOST_KEPT`] states; those beyond are fitted when needed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use forecast::{
    CalibrationOptions, FitOptions, FittedModel, ForecastModel, History, Level, ModelRef, Served,
    ServedState,
};
use market::{Interval, Symbol, Timestamp};
use xxhash_rust::xxh3::Xxh3;

/// Bars between two refit points.
pub(crate) const REFIT_BARS: usize = 50;
/// States kept at most. One has the size of its window: some ten kilobytes.
const MOST_KEPT: usize = 8_192;

/// A series of bars.
pub(crate) type Key = (Symbol, Interval);

/// The closes that a model sees.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TrainingWindow {
    values: Vec<f64>,
    /// The starts of their bars, in milliseconds since 1970 UTC.
    times_ms: Vec<i64>,
    /// How many of them it is fitted to; it is updated with the others.
    fitted: usize,
    /// The start of the first of them, and of the last that it is fitted to.
    range: (Timestamp, Timestamp),
    /// The start of the last of them.
    last: Timestamp,
    /// Of the bits of all of them.
    digest: u64,
}

impl TrainingWindow {
    /// From closes with their times, oldest first: `window` before the last refit point, and all
    /// since.
    pub(crate) fn new(
        starts: &[Timestamp],
        mut values: Vec<f64>,
        interval: Interval,
        window: usize,
    ) -> Self {
        let span = interval.micros() * REFIT_BARS as i64;
        let latest = starts.last().map_or(0, |start| start.as_micros());
        let refit = latest.div_euclid(span) * span;
        let before = starts.partition_point(|start| start.as_micros() < refit);
        let (surplus, fitted) = if before < REFIT_BARS {
            (0, values.len())
        } else {
            let surplus = before.saturating_sub(window);
            (surplus, before - surplus)
        };
        values.drain(..surplus);
        let start = |at: usize| starts.get(at).copied().unwrap_or(Timestamp::MIN);
        Self {
            digest: digest(&values),
            values,
            times_ms: starts
                .iter()
                .skip(surplus)
                .map(|start| start.as_millis())
                .collect(),
            fitted,
            last: starts.last().copied().unwrap_or(Timestamp::MIN),
            range: (start(surplus), start((surplus + fitted).max(1) - 1)),
        }
    }

    /// The closes.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    /// Whether the first of them is no later than this time.
    pub(crate) fn begins_by(&self, time_ms: i64) -> bool {
        self.times_ms.first().is_some_and(|first| *first <= time_ms)
    }

    /// How many closes there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }
}

/// How a model is fitted and calibrated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recipe {
    pub fit: FitOptions,
    pub calibration: CalibrationOptions,
}

/// A fitted model and which closes it has seen. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct CachedModel {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: ServedState,
    /// How many of the closes it was fitted to.
    fitted: usize,
    /// How many it has seen.
    taken: usize,
    /// Of their bits.
    digest: u64,
    /// The starts of the first and the last bar that it was fitted to.
    range: (Timestamp, Timestamp),
    /// When it was fitted.
    fitted_at: Timestamp,
    /// How long its fit took, in seconds.
    seconds: f64,
    /// What was asked of it last, and its answer: readers of one page ask the same.
    last: Mutex<Option<Asked>>,
}

#[derive(Clone, Debug)]
struct Asked {
    horizon: usize,
    levels: Vec<Level>,
    answer: Arc<Served>,
}

/// What became of a state at an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresh {
    /// A kept state was right as it was.
    Current,
    /// A kept state took the new closes.
    Updated,
    /// It was fitted.
    Fitted,
}

impl CachedModel {
    /// The state after the closes of a window, from a kept one where that is still right.
    pub(crate) fn at(
        window: &TrainingWindow,
        kept: Option<Self>,
        model: &dyn ForecastModel,
        recipe: &Recipe,
        now: Timestamp,
    ) -> forecast::Result<(Self, Refresh)> {
        let kept = match kept {
            Some(kept) if kept.is_current(window) => return Ok((kept, Refresh::Current)),
            Some(kept) if kept.is_beginning_of(window) => Some(kept),
            _ => None,
        };
        let (state, refresh) = match kept {
            Some(kept) => (Ok(kept), Refresh::Updated),
            None => (
                Self::fit(window, window.fitted, model, recipe, now),
                Refresh::Fitted,
            ),
        };
        match state.and_then(|state| state.updated(window)) {
            Ok(state) => Ok((state, refresh)),
            // Too few closes before the refit point, or one since that the model cannot take.
            Err(forecast::Error::Cancelled) => Err(forecast::Error::Cancelled),
            Err(_) if window.fitted < window.values.len() => {
                let all = window.values.len();
                Ok((Self::fit(window, all, model, recipe, now)?, Refresh::Fitted))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether it has seen exactly the closes of a window.
    pub(crate) fn is_current(&self, window: &TrainingWindow) -> bool {
        let inner = &self.inner;
        inner.taken == window.values.len() && inner.digest == window.digest
    }

    fn is_beginning_of(&self, window: &TrainingWindow) -> bool {
        let inner = &self.inner;
        let begin = window.values.get(..inner.taken);
        inner.fitted == window.fitted && begin.is_some_and(|b| digest(b) == inner.digest)
    }

    /// A forecast from the state; the same one is made once.
    pub(crate) fn forecast(
        &self,
        horizon: usize,
        levels: &[Level],
    ) -> forecast::Result<Arc<Served>> {
        if let Some(asked) = &*self.last()
            && asked.horizon == horizon
            && asked.levels == levels
        {
            return Ok(Arc::clone(&asked.answer));
        }
        let answer = Arc::new(self.inner.state.forecast(horizon, levels)?);
        *self.last() = Some(Asked {
            horizon,
            levels: levels.to_vec(),
            answer: Arc::clone(&answer),
        });
        Ok(answer)
    }

    fn last(&self) -> MutexGuard<'_, Option<Asked>> {
        let last = &self.inner.last;
        last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fitted model.
    pub(crate) fn fitted(&self) -> &dyn FittedModel {
        self.inner.state.fitted()
    }

    /// The state as bytes, for a browser.
    pub(crate) fn save(&self) -> forecast::Result<Vec<u8>> {
        self.inner.state.save()
    }

    /// How long its fit took, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.inner.seconds
    }

    /// When it was fitted, by the wall clock.
    pub(crate) fn fitted_at(&self) -> Timestamp {
        self.inner.fitted_at
    }

    /// The starts of the first and the last bar that it was fitted to.
    pub(crate) fn fitted_range(&self) -> (Timestamp, Timestamp) {
        self.inner.range
    }

    /// How many closes it was fitted to.
    pub(crate) fn fitted_observations(&self) -> usize {
        self.inner.fitted
    }

    /// What tells this state from every other of the series and model: equal for equal closes, in every process.
    pub(crate) fn version(&self) -> String {
        format!("{:016x}-{}", self.inner.digest, self.inner.fitted)
    }

    fn fit(
        window: &TrainingWindow,
        count: usize,
        model: &dyn ForecastModel,
        recipe: &Recipe,
        now: Timestamp,
    ) -> forecast::Result<Self> {
        let values = &window.values[..count];
        let began = Instant::now();
        let history = History::from(values).with_times(window.times_ms.get(..count));
        let state = ServedState::fit(model, &history, &recipe.fit, &recipe.calibration)?;
        Ok(Self::new(Inner {
            state,
            fitted: count,
            taken: count,
            digest: digest(values),
            // All of them, where it is too young at the refit point.
            range: if count == window.fitted {
                window.range
            } else {
                (window.range.0, window.last)
            },
            fitted_at: now,
            seconds: began.elapsed().as_secs_f64(),
            last: Mutex::default(),
        }))
    }

    fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    fn updated(self, window: &TrainingWindow) -> forecast::Result<Self> {
        let inner = &self.inner;
        if inner.taken == window.values.len() {
            return Ok(self);
        }
        let mut state = inner.state.clone();
        for value in &window.values[inner.taken..] {
            state.update(*value)?;
        }
        Ok(Self::new(Inner {
            state,
            fitted: inner.fitted,
            taken: window.values.len(),
            digest: window.digest,
            range: inner.range,
            fitted_at: inner.fitted_at,
            seconds: inner.seconds,
            last: Mutex::default(),
        }))
    }
}

/// Of the bits of values; the same on every machine and in every version.
fn digest(values: &[f64]) -> u64 {
    let mut hasher = Xxh3::new();
    for value in values {
        hasher.update(&value.to_bits().to_le_bytes());
    }
    hasher.digest()
}

/// A model of a series.
type Place = (Key, ModelRef);

/// Held by who makes a state.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// The kept states, by series and model, shared by all who forecast. Two generations: what is not asked for
/// while the younger one fills up is dropped with the older.
#[derive(Debug, Default)]
pub(crate) struct ModelCache {
    generations: Mutex<Generations>,
    /// Who is making the state of a series and model: others wait for it.
    making: Mutex<HashMap<Place, Turn>>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Place, CachedModel>,
    old: HashMap<Place, CachedModel>,
}

impl ModelCache {
    fn generations(&self) -> MutexGuard<'_, Generations> {
        let generations = &self.generations;
        generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state kept of a series and model.
    pub(crate) fn get(&self, key: &Key, model: &ModelRef) -> Option<CachedModel> {
        let at = (key.clone(), model.clone());
        let mut generations = self.generations();
        if let Some(state) = generations.young.get(&at) {
            return Some(state.clone());
        }
        let state = generations.old.remove(&at)?;
        generations.put(at, state.clone());
        Some(state)
    }

    /// Keeps a state.
    pub(crate) fn put(&self, key: Key, model: ModelRef, state: CachedModel) {
        self.generations().put((key, model), state);
    }

    /// Keeps nothing of these symbols any more.
    pub(crate) fn forget(&self, symbols: &[Symbol]) {
        let mut generations = self.generations();
        let Generations { young, old } = &mut *generations;
        for generation in [young, old] {
            generation.retain(|((symbol, _), _), _| !symbols.contains(symbol));
        }
    }

    /// The right to make a state of a series and model, one at a time.
    pub(crate) async fn turn(
        &self,
        key: &Key,
        model: &ModelRef,
    ) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let making = &self.making;
            let mut making = making.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody holds or waits for these.
            making.retain(|_, turn| Arc::strong_count(turn) > 1);
            let turn = making.entry((key.clone(), model.clone())).or_default();
            Arc::clone(turn)
        };
        turn.lock_owned().await
    }
}

impl Generations {
    fn put(&mut self, at: Place, state: CachedModel) {
        if self.young.len() >= MOST_KEPT / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(at, state);
    }
}

#[cfg(test)]
mod tests;
