//! From bars to the series a model sees, and from a forecast to a fan.

use forecast::{FitOptions, Forecast, ForecastModel, Level, ModelRef};
use market::{
    Bar, Interval, Symbol, Timestamp,
    wire::{Band, Fan},
};

use super::updated::{Seen, State, Step};
use crate::config::ForecastConfig;

/// The closes of bars, oldest first, equally spaced: the last `window` of them, each with the start of
/// its bar or of its empty bucket. An intraday bucket without a bar carries the close before it
/// forward, at most `max_carried` in a row; a longer gap is a closed market and leaves none. Days are
/// taken as they are.
pub(crate) fn timed_closes(
    bars: &[Bar],
    interval: Interval,
    window: usize,
    max_carried: usize,
) -> (Vec<Timestamp>, Vec<f64>) {
    let mut starts = Vec::with_capacity(bars.len());
    let mut closes = Vec::with_capacity(bars.len());
    let mut before: Option<&Bar> = None;
    for bar in bars {
        if let (Some(before), false) = (before, interval == Interval::D1) {
            let buckets = bar.start.micros_since(before.start) / interval.micros();
            let carried = usize::try_from(buckets - 1).unwrap_or(0);
            if carried <= max_carried {
                closes.extend(std::iter::repeat_n(before.close, carried));
                let bucket = |n| before.start.plus_micros(interval.micros() * n);
                starts.extend((1..buckets).map(bucket));
            }
        }
        closes.push(bar.close);
        starts.push(bar.start);
        before = Some(bar);
    }
    let first = closes.len().saturating_sub(window);
    (starts.split_off(first), closes.split_off(first))
}

/// Levels as the core takes them, narrowest first, each once.
pub(crate) fn levels(percent: &[f64]) -> Vec<Level> {
    let mut percent = percent.to_vec();
    percent.sort_by(f64::total_cmp);
    percent.dedup();
    percent.into_iter().map(Level).collect()
}

/// The intervals of a forecast as they travel.
pub(crate) fn bands(forecast: &mut Forecast) -> Vec<Band> {
    std::mem::take(&mut forecast.intervals)
        .into_iter()
        .map(|band| Band {
            level: band.level.0,
            lower: band.lower,
            upper: band.upper,
        })
        .collect()
}

/// Whether an interval has no width: the closes seen say nothing of how far the price may move, as when they
/// are all the same. A promise of 95 % that is a single price would be false.
pub(crate) fn has_no_width(forecast: &Forecast) -> bool {
    let flat = |band: &forecast::Interval| {
        let (lower, upper) = (band.lower.first(), band.upper.first());
        lower.zip(upper).is_none_or(|(lower, upper)| upper <= lower)
    };
    forecast.intervals.iter().any(flat)
}

/// A closed bar to forecast from, with what a model sees.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub symbol: Symbol,
    pub interval: Interval,
    pub start: Timestamp,
    pub close: f64,
    pub seen: Seen,
}

impl Origin {
    /// The starts of the bars to forecast.
    pub(crate) fn targets(&self, horizon: usize) -> Vec<Timestamp> {
        (1..=u32::try_from(horizon).unwrap_or(u32::MAX))
            .map(|step| self.interval.step_after(self.start, step))
            .collect()
    }

    /// Makes the fan of one model, from its kept state where that is still right; `made_at` is set by
    /// who records it.
    pub(crate) fn fan(
        &self,
        name: &ModelRef,
        model: &dyn ForecastModel,
        kept: Option<State>,
        config: &ForecastConfig,
    ) -> forecast::Result<(Fan, State, Step)> {
        let horizon = config.horizon(self.interval);
        let options = FitOptions {
            season: self.interval.default_season(),
            log: config.log,
            ..FitOptions::default()
        };
        let (state, step) = State::at(&self.seen, kept, model, &options)?;
        let mut forecast = state.model().forecast(horizon, &levels(&config.levels))?;
        if has_no_width(&forecast) {
            return Err(forecast::Error::Numeric {
                model: name.to_string(),
                reason: "the closes do not tell how far the price may move".to_owned(),
            });
        }
        let fan = Fan {
            symbol: self.symbol.clone(),
            interval: self.interval,
            model: name.to_string(),
            origin: self.start,
            origin_close: self.close,
            made_at: Timestamp::MIN,
            targets: self.targets(horizon),
            bands: bands(&mut forecast),
            mean: forecast.mean,
        };
        Ok((fan, state, step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(interval: Interval, start_s: i64, close: f64) -> Bar {
        let tick = market::Tick {
            symbol: "ABC".parse().unwrap(),
            ts: Timestamp::from_secs(start_s),
            seq: 1,
            price: close,
            size: 1.0,
        };
        Bar::from_tick(&tick, interval)
    }

    #[test]
    fn minutes_without_a_trade_carry_the_last_close_forward() {
        let m1 = |s, c| bar(Interval::M1, s, c);
        let bars = [m1(0, 1.0), m1(60, 2.0), m1(240, 3.0)];
        let closes =
            |bars: &[Bar], interval, window, most| timed_closes(bars, interval, window, most).1;
        assert_eq!(closes(&bars, Interval::M1, 9, 9), [1.0, 2.0, 2.0, 2.0, 3.0]);
        assert_eq!(closes(&bars, Interval::M1, 2, 9), [2.0, 3.0]);
        assert_eq!(closes(&bars, Interval::M1, 9, 1), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_carried_close_has_the_start_of_its_bucket() {
        let m1 = |s, c| bar(Interval::M1, s, c);
        let bars = [m1(0, 1.0), m1(180, 2.0)];
        let (starts, closes) = timed_closes(&bars, Interval::M1, 3, 9);
        let seconds: Vec<i64> = starts.iter().map(|t| t.as_secs()).collect();
        assert_eq!((seconds, closes), (vec![60, 120, 180], vec![1.0, 1.0, 2.0]));
    }

    #[test]
    fn days_are_taken_as_they_are() {
        let d1 = |day: i64, c| bar(Interval::D1, day * 86_400, c);
        let bars = [d1(1, 1.0), d1(4, 2.0)];
        assert_eq!(timed_closes(&bars, Interval::D1, 9, 9).1, [1.0, 2.0]);
    }
}
