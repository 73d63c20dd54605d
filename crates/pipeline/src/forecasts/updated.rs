//! Fitted models that go from bar to bar.
//!
//! Model: what a model says at a bar follows from the closes alone. It is fitted to the window that
//! ends before the last *refit point*, points of time that lie [`REFIT_BARS`] bars apart and are the
//! same for every process, and takes every close since into its state. So a fan can be made again
//! from the stored bars, and a process that has just started says what one that ran all the time
//! would. The baselines end where a fit to all these closes does, to the last bit; parameters that
//! were searched for stay until the next refit point. A model that is too young for this (its closes
//! before the refit point are too few for it), or that refuses a close, is fitted to all of them.
//! States are kept so that a new bar costs an update, not a fit. One is used only when the closes it
//! has seen are still those of the store: a bar that was corrected or came late means a new fit.
//!
//! What it does not do: keep more than [`MOST_KEPT`] states; those beyond are fitted when needed.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use forecast::{FitOptions, FittedModel, ForecastModel, ModelRef, ModelState};
use market::{Interval, Symbol, Timestamp};

use super::follow::Key;

/// Bars between two refit points.
pub(super) const REFIT_BARS: usize = 50;
/// States kept at most. One has the size of its window: a few kilobytes.
const MOST_KEPT: usize = 8_192;

/// The closes that a model sees.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    values: Vec<f64>,
    /// How many of them it is fitted to; it is updated with the others.
    fitted: usize,
}

impl Seen {
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
        if before < REFIT_BARS {
            let fitted = values.len();
            return Self { values, fitted };
        }
        let surplus = before.saturating_sub(window);
        values.drain(..surplus);
        Self {
            values,
            fitted: before - surplus,
        }
    }
}

/// A fitted model and which closes it has seen.
#[derive(Clone, Debug)]
pub(crate) struct State {
    model: Box<dyn ModelState>,
    /// How many of the closes it was fitted to.
    fitted: usize,
    /// How many it has seen.
    taken: usize,
    /// Of their bits.
    digest: u64,
}

/// What became of a state at an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A kept state took the new closes.
    Updated,
    /// It was fitted.
    Fitted,
}

impl State {
    /// The state after the closes of `seen`, from a kept one where that is still right.
    pub(crate) fn at(
        seen: &Seen,
        kept: Option<Self>,
        model: &dyn ForecastModel,
        options: &FitOptions,
    ) -> forecast::Result<(Self, Step)> {
        let right = |state: &Self| {
            let begin = seen.values.get(..state.taken);
            state.fitted == seen.fitted && begin.is_some_and(|b| digest(b) == state.digest)
        };
        let (state, step) = match kept.filter(right) {
            Some(state) => (Ok(state), Step::Updated),
            None => (Self::fit(seen, seen.fitted, model, options), Step::Fitted),
        };
        match state.and_then(|state| state.updated(seen)) {
            Ok(state) => Ok((state, step)),
            // Too few closes before the refit point, or one since that the model cannot take.
            Err(_) if seen.fitted < seen.values.len() => {
                let all = seen.values.len();
                Ok((Self::fit(seen, all, model, options)?, Step::Fitted))
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn model(&self) -> &dyn FittedModel {
        &*self.model
    }

    fn fit(
        seen: &Seen,
        count: usize,
        model: &dyn ForecastModel,
        options: &FitOptions,
    ) -> forecast::Result<Self> {
        let values = &seen.values[..count];
        Ok(Self {
            model: model.fit(&values.into(), options)?,
            fitted: count,
            taken: count,
            digest: digest(values),
        })
    }

    fn updated(mut self, seen: &Seen) -> forecast::Result<Self> {
        for value in &seen.values[self.taken..] {
            self.model.update(*value)?;
        }
        self.taken = seen.values.len();
        self.digest = digest(&seen.values);
        Ok(self)
    }
}

fn digest(values: &[f64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for value in values {
        value.to_bits().hash(&mut hasher);
    }
    hasher.finish()
}

/// The kept states, by series and model. Two generations: what is not asked for while the younger
/// one fills up is dropped with the older.
#[derive(Debug, Default)]
pub(super) struct Kept {
    young: HashMap<(Key, ModelRef), State>,
    old: HashMap<(Key, ModelRef), State>,
}

impl Kept {
    /// Hands a state over; what becomes of it is put back.
    pub(super) fn take(&mut self, key: &Key, model: &ModelRef) -> Option<State> {
        let at = (key.clone(), model.clone());
        let young = self.young.remove(&at);
        young.or_else(|| self.old.remove(&at))
    }

    pub(super) fn put(&mut self, key: Key, model: ModelRef, state: State) {
        if self.young.len() >= MOST_KEPT / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert((key, model), state);
    }

    pub(super) fn forget(&mut self, symbols: &[Symbol]) {
        for generation in [&mut self.young, &mut self.old] {
            generation.retain(|((symbol, _), _), _| !symbols.contains(symbol));
        }
    }
}

#[cfg(test)]
mod tests {
    use forecast::{Level, ModelSpec};

    use super::*;

    /// Closes of minutes from the hundredth on.
    fn minutes(count: usize) -> (Vec<Timestamp>, Vec<f64>) {
        let mut state = 9u64;
        let mut price = 100.0;
        (0..count)
            .map(|minute| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(3);
                price += (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
                let start = Timestamp::from_secs(60 * (100 + minute as i64));
                (start, price)
            })
            .unzip()
    }

    fn seen(count: usize) -> Seen {
        let (starts, values) = minutes(count);
        Seen::new(&starts, values, Interval::M1, 120)
    }

    fn fan(state: &State) -> forecast::Forecast {
        state.model().forecast(5, &Level::DEFAULT).unwrap()
    }

    fn options(log: bool) -> FitOptions {
        FitOptions {
            season: 4,
            log,
            ..FitOptions::default()
        }
    }

    #[test]
    fn the_baselines_that_are_updated_say_what_a_fresh_fit_says_to_the_last_bit() {
        for log in [false, true] {
            for model in [
                ModelSpec::Naive,
                ModelSpec::Drift,
                ModelSpec::SeasonalNaive,
                ModelSpec::Mean,
            ] {
                let mut kept = None;
                let mut updates = 0;
                for count in 130..270 {
                    let seen = seen(count);
                    let (state, step) = State::at(&seen, kept, &model, &options(log)).unwrap();
                    updates += usize::from(step == Step::Updated);
                    let fresh = model.fit(&seen.values, &options(log)).unwrap();
                    assert_eq!(
                        fan(&state),
                        fresh.forecast(5, &Level::DEFAULT).unwrap(),
                        "{model} {log} {count}"
                    );
                    kept = Some(state);
                }
                // Fitted at the first bar and at the refit points 300 and 350 minutes in.
                assert_eq!(updates, 140 - 4, "{model} {log}");
            }
        }
    }

    #[test]
    fn a_kept_state_says_what_a_process_that_has_just_started_says() {
        for name in [
            "ets",
            "theta",
            "arima(1,1,1)",
            "auto-arima",
            "garch",
            "combo",
        ] {
            let model: ModelSpec = name.parse().unwrap();
            let mut kept = None;
            for count in 180..206 {
                let seen = seen(count);
                let (state, _) = State::at(&seen, kept, &model, &options(true)).unwrap();
                if count % 5 == 0 {
                    let (started, _) = State::at(&seen, None, &model, &options(true)).unwrap();
                    assert_eq!(fan(&started), fan(&state), "{name} {count}");
                }
                kept = Some(state);
            }
        }
    }

    #[test]
    fn a_corrected_history_means_a_new_fit() {
        let before = seen(140);
        let (kept, _) = State::at(&before, None, &ModelSpec::Drift, &options(false)).unwrap();
        let mut after = seen(141);
        after.values[60] += 1.0;
        let at = |kept| State::at(&after, kept, &ModelSpec::Drift, &options(false)).unwrap();
        let (corrected, step) = at(Some(kept));
        assert_eq!(step, Step::Fitted);
        assert_eq!(fan(&corrected), fan(&at(None).0));
    }

    #[test]
    fn a_window_lies_before_the_refit_point_and_a_young_series_is_fitted_whole() {
        let young = seen(70);
        assert_eq!((young.fitted, young.values.len()), (50, 70));
        assert_eq!(seen(49).fitted, 49);
        let grown = seen(249);
        // 200 closes before the refit point, of which the window keeps 120; 49 since.
        assert_eq!((grown.fitted, grown.values.len()), (120, 169));
        let next = seen(251);
        assert_eq!((next.fitted, next.values.len()), (120, 121));
    }

    #[test]
    fn a_model_that_is_too_young_at_the_refit_point_is_fitted_to_all() {
        let options = FitOptions {
            season: 60,
            ..options(false)
        };
        let seen = seen(90);
        let (state, step) = State::at(&seen, None, &ModelSpec::SeasonalNaive, &options).unwrap();
        assert_eq!((step, state.fitted), (Step::Fitted, 90));
        let again = State::at(&seen, Some(state), &ModelSpec::SeasonalNaive, &options).unwrap();
        assert_eq!(again.1, Step::Fitted);
    }

    #[test]
    fn no_more_states_are_kept_than_the_bound_and_those_in_use_stay() {
        let seen = seen(60);
        let (state, _) = State::at(&seen, None, &ModelSpec::Naive, &options(false)).unwrap();
        let mut kept = Kept::default();
        let naive = ModelRef::from(ModelSpec::Naive);
        let key = |n: usize| (format!("S{n}").parse().unwrap(), Interval::M1);
        for n in 0..3 * MOST_KEPT {
            kept.put(key(n), naive.clone(), state.clone());
            let used = kept.take(&key(0), &naive);
            kept.put(key(0), naive.clone(), used.unwrap());
            assert!(kept.young.len() + kept.old.len() <= MOST_KEPT);
        }
        kept.forget(&[key(0).0]);
        assert!(kept.take(&key(0), &naive).is_none());
    }
}
