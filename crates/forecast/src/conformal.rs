//! Conformal intervals on top of any model: split, and adaptive online.
//!
//! Model: *split* (Vovk, Gammerman & Shafer 2005; per horizon as in Stankevičiūtė, Alaa & van der
//! Schaar 2021) takes the ⌈(n + 1)·p⌉-th smallest absolute error of past forecasts at each step as
//! the half width; *adaptive* (Gibbs & Candès 2021; the quantile tracker of Angelopoulos, Candès &
//! Tibshirani 2023) moves a multiple of the model's own standard deviation up after every miss and
//! down after every hit, so that long-run coverage comes right whatever the data do. In both the
//! fan never narrows with the horizon, and a wider level never lies inside a narrower one. Of a model
//! of logarithms both measure errors as logarithms, and the bands are multiples of the forecast.
//! Does not: change point forecasts.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::distribution::normal_quantile;
use crate::error::{Error, Result};
use crate::fit::FitOptions;
use crate::output::{Forecast, Interval, Level, check_request};
use crate::provider::ForecastModel;
use crate::transform::{Point, log_moments};

/// Split conformal intervals: errors of past forecasts, sorted, for every step ahead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitConformal {
    /// `scores[h]` are absolute errors h + 1 steps ahead, ascending.
    scores: Vec<Vec<f64>>,
    /// Errors of logarithms: the band is multiplicative.
    log: bool,
}

impl SplitConformal {
    /// From absolute errors by step ahead; NaN are left out.
    ///
    /// # Errors
    /// [`Error::Argument`] when a step has no error.
    pub fn from_errors(mut errors: Vec<Vec<f64>>, log: bool) -> Result<Self> {
        for (step, scores) in errors.iter_mut().enumerate() {
            scores.retain(|v| v.is_finite());
            scores.iter_mut().for_each(|v| *v = v.abs());
            scores.sort_by(f64::total_cmp);
            if scores.is_empty() {
                return Err(Error::argument(
                    "errors",
                    format!("none for step {}", step + 1),
                ));
            }
        }
        Ok(Self {
            scores: errors,
            log,
        })
    }

    /// Forecasts from `origins` past origins, one step apart and each fitted to what was known
    /// then, and keeps their errors. With [`FitOptions::log`] errors are those of logarithms.
    ///
    /// # Errors
    /// Too short a series, or what the model refuses.
    pub fn calibrate(
        model: &dyn ForecastModel,
        y: &[f64],
        options: &FitOptions,
        horizon: usize,
        origins: usize,
    ) -> Result<Self> {
        let mut errors = vec![Vec::with_capacity(origins); horizon];
        for end in ends(y, horizon, origins)? {
            let forecast = model
                .fit(&y[..end].into(), options)?
                .forecast(horizon, &[])?;
            for (step, value) in forecast.mean.iter().enumerate() {
                let actual = y[end + step];
                errors[step].push(if options.log {
                    libm::log(actual) - libm::log(*value)
                } else {
                    actual - value
                });
            }
        }
        Self::from_errors(errors, options.log)
    }

    /// Half widths at `level`, one per step.
    ///
    /// # Errors
    /// [`Error::Argument`] when there are too few errors for the level: p/(1 − p) are needed.
    pub fn half_widths(&self, level: Level) -> Result<Vec<f64>> {
        let p = Level::new(level.0)?.0 / 100.0;
        let mut widest: f64 = 0.0;
        self.scores
            .iter()
            .map(|scores| {
                let n = scores.len();
                let rank = ((n + 1) as f64 * p - 1e-9).ceil() as usize;
                if rank > n {
                    let reason = format!("{level} % needs more than {n} past errors");
                    return Err(Error::argument("level", reason));
                }
                widest = widest.max(scores[rank.max(1) - 1]);
                Ok(widest)
            })
            .collect()
    }

    /// The forecast with conformal bands in place of its own.
    ///
    /// # Errors
    /// A horizon longer than the calibration's, or a level that it cannot give.
    pub fn apply(&self, forecast: &Forecast, levels: &[Level]) -> Result<Forecast> {
        let horizon = forecast.mean.len();
        if horizon > self.scores.len() {
            let reason = format!("calibrated for {} steps, got {horizon}", self.scores.len());
            return Err(Error::argument("horizon", reason));
        }
        let intervals = levels
            .iter()
            .map(|&level| {
                let half = self.half_widths(level)?;
                let bound = |sign: f64| {
                    let bound = |(mean, half): (&f64, &f64)| {
                        if self.log {
                            mean * libm::exp(sign * half)
                        } else {
                            mean + sign * half
                        }
                    };
                    forecast.mean.iter().zip(&half).map(bound).collect()
                };
                Ok(Interval {
                    level,
                    lower: bound(-1.0),
                    upper: bound(1.0),
                })
            })
            .collect::<Result<_>>()?;
        let model = format!("{}+conformal", forecast.model);
        Forecast {
            mean: forecast.mean.clone(),
            sd: None,
            intervals,
            model,
        }
        .checked()
    }
}

/// Ends of the pasts that a calibration forecasts from, oldest first, one step apart.
fn ends(y: &[f64], horizon: usize, origins: usize) -> Result<std::ops::RangeInclusive<usize>> {
    check_request(horizon, &[])?;
    let needed = horizon.saturating_add(origins).saturating_add(1);
    if origins == 0 || y.len() < needed {
        let reason = format!(
            "{origins} origins need {needed} observations, got {}",
            y.len()
        );
        return Err(Error::argument("origins", reason));
    }
    let last = y.len() - horizon;
    Ok(last + 1 - origins..=last)
}

/// Scores remembered to size the steps of the tracker.
const REMEMBERED: usize = 100;

/// Outcomes that the normal quantile counts as while the first outcomes come.
const PRIOR_OUTCOMES: f64 = 20.0;

/// Adaptive conformal intervals: tracks, per level and step ahead, the multiple of the model's
/// standard deviation that covers as often as the level says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveConformal {
    levels: Vec<Level>,
    rate: f64,
    /// Which point forecasts of a model of logarithms are; none for a model of the series itself.
    log: Option<Point>,
    /// `multiples[level][step]`.
    multiples: Vec<Vec<f64>>,
    /// Latest standardised scores by step.
    recent: Vec<VecDeque<f64>>,
    /// So many scores of a step give its multiples by themselves, as split conformal has them.
    warm_up: usize,
}

impl AdaptiveConformal {
    /// Starts at the normal quantiles. `rate` is the learning rate relative to the largest recent
    /// score; 0.05 to 0.1 is usual.
    ///
    /// # Errors
    /// A level outside (0, 100), a horizon of 0, or a rate outside (0, 1].
    pub fn new(levels: &[Level], horizon: usize, rate: f64) -> Result<Self> {
        check_request(horizon, levels)?;
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(Error::argument(
                "rate",
                format!("expected above 0, at most 1, got {rate}"),
            ));
        }
        let start = |level: &Level| vec![normal_quantile(level.upper_probability()); horizon];
        Ok(Self {
            levels: levels.to_vec(),
            rate,
            log: None,
            multiples: levels.iter().map(start).collect(),
            recent: vec![VecDeque::new(); horizon],
            warm_up: 0,
        })
    }

    /// For a model of logarithms whose forecasts, back in the units of the series, are this point of
    /// their distribution ([`FitOptions::log`] and [`FitOptions::point`]). Errors are those of
    /// logarithms, and bands lie around the median: the lower bound stays positive.
    #[must_use]
    pub fn log(self, point: Point) -> Self {
        Self {
            log: Some(point),
            ..self
        }
    }

    /// Takes the first `scores` of each step (100 at most) as split conformal does, and tracks from there: a slow
    /// rate then starts where it belongs, whatever the model thinks of itself.
    #[must_use]
    pub fn warm_up(self, scores: usize) -> Self {
        Self {
            warm_up: scores.min(REMEMBERED),
            ..self
        }
    }

    /// Starts from what `origins` past origins teach, one step apart and each fitted to what was
    /// known then.
    ///
    /// # Errors
    /// As [`Self::new`]; too short a series, or what the model refuses.
    pub fn calibrate(
        model: &dyn ForecastModel,
        y: &[f64],
        options: &FitOptions,
        levels: &[Level],
        horizon: usize,
        origins: usize,
        rate: f64,
    ) -> Result<Self> {
        let mut adaptive = Self::new(levels, horizon, rate)?;
        adaptive.log = options.log.then_some(options.point);
        for end in ends(y, horizon, origins)? {
            let forecast = model
                .fit(&y[..end].into(), options)?
                .forecast(horizon, &[])?;
            adaptive.learn(&forecast, &y[end..end + horizon]);
        }
        Ok(adaptive)
    }

    /// Learns from the outcomes of a forecast, first step first: NaN, or an end before the
    /// horizon's, where there is none. A forecast without standard deviations teaches nothing.
    pub fn learn(&mut self, forecast: &Forecast, actual: &[f64]) {
        let Some(sd) = &forecast.sd else { return };
        for (step, actual) in actual.iter().enumerate().take(sd.len()) {
            self.observe(step, *actual, forecast.mean[step], sd[step]);
        }
    }

    /// Whether it has seen an outcome at every step: before, its multiples are guesses.
    pub(crate) fn has_learnt(&self) -> bool {
        self.recent.iter().all(|scores| !scores.is_empty())
    }

    /// Where the bands of a forecast lie around, and in which standard deviation they are measured.
    fn moments(&self, mean: f64, sd: f64) -> (f64, f64) {
        match self.log {
            Some(point) => log_moments(mean, sd, point),
            None => (mean, sd),
        }
    }

    /// Learns from the outcome of a forecast `step` (from 0) steps ahead that had this mean and
    /// standard deviation. A missing outcome or an unusable deviation teaches nothing.
    pub fn observe(&mut self, step: usize, actual: f64, mean: f64, sd: f64) {
        let (centre, sd) = self.moments(mean, sd);
        let actual = if self.log.is_some() {
            libm::log(actual)
        } else {
            actual
        };
        let score = (actual - centre).abs() / sd;
        let Some(recent) = self.recent.get_mut(step).filter(|_| score.is_finite()) else {
            return;
        };
        recent.push_back(score);
        if recent.len() > REMEMBERED {
            recent.pop_front();
        }
        if recent.len() <= self.warm_up && recent.len() < REMEMBERED {
            let mut sorted: Vec<f64> = recent.iter().copied().collect();
            sorted.sort_by(f64::total_cmp);
            // Forecasts `h` steps ahead from origins one step apart share their errors: `h` count as one.
            let independent = sorted.len() as f64 / (step + 1) as f64;
            let trust = independent / (independent + PRIOR_OUTCOMES);
            for (level, multiples) in self.levels.iter().zip(&mut self.multiples) {
                let normal = normal_quantile(level.upper_probability());
                let rank = ((sorted.len() + 1) as f64 * level.0 / 100.0 - 1e-9).ceil() as usize;
                let largest = sorted.last().copied().unwrap_or(0.0);
                // Too few for the level: the normal quantile, unless one was beyond it already.
                let beyond = normal.max(largest);
                let found = sorted.get(rank.max(1) - 1).copied().unwrap_or(beyond);
                multiples[step] = normal + trust * (found - normal);
            }
            return;
        }
        let largest = recent.iter().fold(0.0, |a: f64, v| a.max(*v));
        for (level, multiples) in self.levels.iter().zip(&mut self.multiples) {
            let miss = 1.0 - level.0 / 100.0;
            let missed = f64::from(u8::from(score > multiples[step]));
            multiples[step] = (multiples[step] + self.rate * largest * (missed - miss)).max(0.0);
        }
    }

    /// The forecast with adapted bands in place of its own, at the levels that are tracked.
    ///
    /// # Errors
    /// A forecast without standard deviations or with a longer horizon than this was made for.
    pub fn apply(&self, forecast: &Forecast) -> Result<Forecast> {
        if forecast.mean.len() > self.recent.len() {
            let (most, got) = (self.recent.len(), forecast.mean.len());
            let reason = format!("made for {most} steps, got {got}");
            return Err(Error::argument("horizon", reason));
        }
        self.apply_at(forecast, &self.levels)
    }

    /// The forecast with adapted bands at any levels. Between two levels that are tracked the multiple is
    /// that of the normal distribution times what the two need in proportion; beyond them, and for steps
    /// beyond those that are tracked, what the nearest needs.
    ///
    /// # Errors
    /// A forecast without standard deviations.
    pub fn apply_at(&self, forecast: &Forecast, levels: &[Level]) -> Result<Forecast> {
        let Some(sd) = &forecast.sd else {
            let what = "adaptive intervals without standard deviations".to_owned();
            return Err(Error::Unsupported { what });
        };
        let (centre, sd): (Vec<f64>, Vec<f64>) = forecast
            .mean
            .iter()
            .zip(sd)
            .map(|(mean, sd)| self.moments(*mean, *sd))
            .unzip();
        // From the narrowest level to the widest, so that bands nest.
        let mut order: Vec<usize> = (0..levels.len()).collect();
        order.sort_by(|a, b| levels[*a].0.total_cmp(&levels[*b].0));
        let mut inner = vec![0.0; sd.len()];
        let mut intervals: Vec<Option<Interval>> = vec![None; levels.len()];
        for index in order {
            let level = Level::new(levels[index].0)?;
            let mut widest: f64 = 0.0;
            for (step, sd) in sd.iter().enumerate() {
                widest = widest.max(self.multiple(level, step) * sd).max(inner[step]);
                inner[step] = widest;
            }
            let bound = |sign: f64| {
                let bound = |(centre, half): (&f64, &f64)| {
                    let bound = centre + sign * half;
                    if self.log.is_some() {
                        libm::exp(bound)
                    } else {
                        bound
                    }
                };
                centre.iter().zip(&inner).map(bound).collect()
            };
            intervals[index] = Some(Interval {
                level,
                lower: bound(-1.0),
                upper: bound(1.0),
            });
        }
        Forecast {
            mean: forecast.mean.clone(),
            sd: forecast.sd.clone(),
            intervals: intervals.into_iter().flatten().collect(),
            model: format!("{}+adaptive", forecast.model),
        }
        .checked()
    }

    /// The multiple of the standard deviation at a level, `step` (from 0) steps ahead.
    fn multiple(&self, level: Level, step: usize) -> f64 {
        let step = step.min(self.recent.len() - 1);
        if let Some(at) = self.levels.iter().position(|known| *known == level) {
            return self.multiples[at][step];
        }
        let z = |level: Level| normal_quantile(level.upper_probability());
        let ratio = |at: usize| self.multiples[at][step] / z(self.levels[at]);
        let nearest = |inside: &dyn Fn(&Level) -> bool, sign: f64| {
            let candidates = (0..self.levels.len()).filter(|at| inside(&self.levels[*at]));
            candidates
                .max_by(|a, b| (sign * self.levels[*a].0).total_cmp(&(sign * self.levels[*b].0)))
        };
        let below = nearest(&|known| known.0 < level.0, 1.0);
        let above = nearest(&|known| known.0 > level.0, -1.0);
        let ratio = match (below, above) {
            (Some(below), Some(above)) => {
                let (from, to) = (z(self.levels[below]), z(self.levels[above]));
                let part = (z(level) - from) / (to - from);
                ratio(below) + part * (ratio(above) - ratio(below))
            }
            (Some(only), None) | (None, Some(only)) => ratio(only),
            (None, None) => 1.0,
        };
        ratio * z(level)
    }
}

#[cfg(test)]
mod tests;
