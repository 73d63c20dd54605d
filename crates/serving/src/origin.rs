//! From bars to the series a model sees, and from a forecast to a fan.

use forecast::{CalibrationOptions, FitOptions, Forecast, Level, ModelRef};
use market::{Band, Fan, Interval, Symbol, Timestamp};

use crate::{
    config::ForecastConfig,
    model_cache::{CachedModel, Key, Recipe, TrainingWindow},
};

/// Levels as the core takes them, narrowest first, each once.
pub(crate) fn levels(percent: &[f64]) -> Vec<Level> {
    let mut percent = percent.to_vec();
    percent.sort_by(f64::total_cmp);
    percent.dedup();
    percent.into_iter().map(Level).collect()
}

/// The intervals of a forecast as they travel.
pub(crate) fn bands(intervals: &[forecast::Interval]) -> Vec<Band> {
    intervals
        .iter()
        .map(|band| Band {
            level: band.level.0,
            lower: band.lower.clone(),
            upper: band.upper.clone(),
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
    /// The starts of the bars behind the window, oldest first.
    pub bars: Vec<Timestamp>,
    pub window: TrainingWindow,
}

impl Origin {
    /// The series that it is of.
    pub(crate) fn key(&self) -> Key {
        (self.symbol.clone(), self.interval)
    }

    /// When its bar ended.
    pub(crate) fn end(&self) -> Timestamp {
        self.interval.end_of(self.start)
    }

    /// The starts of the bars to forecast.
    pub(crate) fn targets(&self, horizon: usize) -> Vec<Timestamp> {
        (1..=u32::try_from(horizon).unwrap_or(u32::MAX))
            .map(|step| self.interval.step_after(self.start, step))
            .collect()
    }

    /// Makes the fan of a model from its state at this origin; `made_at` is set by who records it.
    ///
    /// # Errors
    /// The model's; numeric where the closes do not tell how far the price may move.
    pub(crate) fn fan(
        &self,
        name: &ModelRef,
        state: &CachedModel,
        config: &ForecastConfig,
    ) -> forecast::Result<Fan> {
        let horizon = config.horizon(self.interval);
        let served = state.forecast(horizon, &levels(&config.levels))?;
        if has_no_width(&served.forecast) {
            return Err(forecast::Error::Numeric {
                model: name.to_string(),
                reason: "the closes do not tell how far the price may move".to_owned(),
            });
        }
        Ok(Fan {
            symbol: self.symbol.clone(),
            interval: self.interval,
            model: name.to_string(),
            origin: self.start,
            origin_close: self.close,
            made_at: Timestamp::MIN,
            targets: self.targets(horizon),
            bands: bands(&served.forecast.intervals),
            mean: served.forecast.mean.clone(),
        })
    }
}

/// How a model of stored closes is fitted and calibrated.
pub(crate) fn recipe(config: &ForecastConfig, interval: Interval) -> Recipe {
    Recipe {
        fit: FitOptions {
            season: interval.default_season(),
            log: config.log,
            ..FitOptions::default()
        },
        calibration: CalibrationOptions::new(config.calibration, config.horizon(interval)),
    }
}
