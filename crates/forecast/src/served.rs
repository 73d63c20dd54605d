//! What is served of a model: its state, and the calibration that goes with it.
//!
//! Model: a [`ServedState`] is fitted to a history, takes one value after the other, and forecasts with
//! intervals that past outcomes have calibrated ([`crate::conformal`]). The calibration is made once, with
//! the fit: the model is fitted to the history without its last values and goes through these one by one,
//! forecasting before each; then the model is fitted to all of it. From then on each value that comes is an
//! outcome, too. All of it follows from the values alone, so that a server, another server and a browser that
//! got the bytes say the same to the last bit.
//! Does not: decide when a model is fitted anew.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::conformal::{AdaptiveConformal, SplitConformal};
use crate::error::{Error, Result};
use crate::fit::FitOptions;
use crate::history::{History, Observation};
use crate::model::FittedModel;
use crate::output::{Forecast, Interval, Level, check_request};
use crate::provider::{ForecastModel, ModelState};

/// How intervals are calibrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calibration {
    /// The model's own intervals.
    None,
    /// Split conformal: quantiles of the errors of past forecasts.
    Split,
    /// Adaptive conformal: multiples of the model's standard deviation that move with every outcome.
    #[default]
    Adaptive,
}

impl Calibration {
    /// Every one, in the order that help texts list them.
    pub const ALL: [Self; 3] = [Self::None, Self::Split, Self::Adaptive];

    /// Its name in settings and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Split => "split",
            Self::Adaptive => "adaptive",
        }
    }

    /// How many fits a calibrated state takes: one more, on the history without its end, where there is a calibration.
    #[must_use]
    pub const fn fits(self) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Split | Self::Adaptive => 2.0,
        }
    }
}

impl std::fmt::Display for Calibration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Calibration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            Error::argument(
                "calibration",
                format!("expected none, split or adaptive, got `{text}`"),
            )
        })
    }
}

/// How a state is calibrated. The default is what is served where nothing else is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CalibrationOptions {
    /// The method.
    pub method: Calibration,
    /// Steps ahead that are calibrated; steps beyond them take what the last of these needs.
    pub horizon: usize,
    /// Past forecasts that the calibration starts from, at most; a third of a short history.
    pub origins: usize,
    /// Outcomes of a step that give its first adaptive multiples by themselves; 100 at most.
    pub warm_up: usize,
    /// How far one outcome moves an adaptive multiple, relative to the largest recent score.
    pub rate: f64,
}

/// The most steps that are calibrated: each is a tracker of its own.
const MOST_STEPS: usize = 60;

impl CalibrationOptions {
    /// The options that everybody uses who forecasts so many steps ahead.
    #[must_use]
    pub fn new(method: Calibration, horizon: usize) -> Self {
        Self {
            method,
            horizon: horizon.clamp(1, MOST_STEPS),
            ..Self::default()
        }
    }
}

impl Default for CalibrationOptions {
    fn default() -> Self {
        Self {
            method: Calibration::default(),
            horizon: 10,
            origins: 250,
            warm_up: 99,
            rate: 0.03,
        }
    }
}

/// Levels whose multiples are tracked; others lie between them.
const LEVELS: [Level; 3] = [Level(50.0), Level(80.0), Level(95.0)];

/// Errors of past forecasts from which split calibration gives intervals at all.
const FEWEST_ERRORS: usize = 20;

/// A forecast as it is served.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// The forecast with calibrated intervals.
    pub forecast: Forecast,
    /// The model's own intervals at the same levels.
    pub own: Vec<Interval>,
    /// What the intervals of the forecast are: [`Calibration::None`] where there are too few outcomes yet.
    pub calibration: Calibration,
}

/// A model's state with its calibration.
///
/// ```
/// use forecast::{CalibrationOptions, FitOptions, Level, Providers, ServedState};
/// let y: Vec<f64> = (0..200).map(|t| 100.0 + f64::from(t * 7919 % 13)).collect();
/// let model = Providers::classical().parse("theta")?;
/// let options = CalibrationOptions::default();
/// let mut state = ServedState::fit(&*model, &(&y).into(), &FitOptions::default(), &options)?;
/// state.update(104.0)?;
/// let copy = ServedState::load(&*model, &state.save()?)?;
/// let levels = [Level(80.0)];
/// assert_eq!(copy.forecast(5, &levels)?, state.forecast(5, &levels)?);
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ServedState {
    state: Box<dyn ModelState>,
    calibrator: Option<Calibrator>,
}

impl ServedState {
    /// Fits a model to a history and calibrates it. A history that is too short to be calibrated on, or a model
    /// that gives no standard deviation, keeps the model's own intervals.
    ///
    /// # Errors
    /// Whatever the model refuses of the whole history; options that cannot be.
    pub fn fit(
        model: &dyn ForecastModel,
        history: &History<'_>,
        options: &FitOptions,
        calibration: &CalibrationOptions,
    ) -> Result<Self> {
        check_request(calibration.horizon, &[])?;
        let calibrator = Calibrator::new(model, history, options, calibration)?;
        Ok(Self {
            state: model.fit(history, options)?,
            calibrator,
        })
    }

    /// Takes the next value (NaN: missing): an outcome of the forecasts before, then part of the state.
    ///
    /// # Errors
    /// A value that the model cannot take; the state is then as before.
    pub fn update(&mut self, y: f64) -> Result<()> {
        self.observe(y.into())
    }

    /// As [`Self::update`], with what is known of the step beside its value.
    ///
    /// # Errors
    /// As there.
    pub fn observe(&mut self, next: Observation) -> Result<()> {
        let before = self.calibrator.as_ref().map(|c| c.forecast(&*self.state));
        self.state.observe(next)?;
        if let Some((calibrator, before)) = self.calibrator.as_mut().zip(before) {
            calibrator.take(before, next.value);
        }
        Ok(())
    }

    /// Forecasts the `horizon` steps after the last value.
    ///
    /// # Errors
    /// A horizon of zero, a level outside (0, 100), or a forecast that is not finite.
    pub fn forecast(&self, horizon: usize, levels: &[Level]) -> Result<Served> {
        let own = self.state.forecast(horizon, levels)?;
        let calibrated = match &self.calibrator {
            Some(calibrator) => calibrator.apply(&own, levels)?,
            None => None,
        };
        Ok(match calibrated {
            Some((intervals, calibration)) => Served {
                own: own.intervals.clone(),
                forecast: Forecast { intervals, ..own }.checked()?,
                calibration,
            },
            None => Served {
                own: own.intervals.clone(),
                forecast: own,
                calibration: Calibration::None,
            },
        })
    }

    /// The model.
    #[must_use]
    pub fn fitted(&self) -> &dyn FittedModel {
        &*self.state
    }

    /// The state as bytes.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be written.
    pub fn save(&self) -> Result<Vec<u8>> {
        let saved = Saved {
            state: self.state.save()?,
            calibrator: self.calibrator.clone(),
        };
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        postcard::to_extend(&saved, bytes)
            .map_err(|e| Error::state(format!("cannot be written: {e}")))
    }

    /// The state that [`Self::save`] wrote of this model.
    ///
    /// # Errors
    /// [`Error::State`]: no such state, one of another version, or a damaged one.
    pub fn load(model: &dyn ForecastModel, bytes: &[u8]) -> Result<Self> {
        let Some((version, body)) = bytes.strip_prefix(&MAGIC).and_then(<[u8]>::split_first) else {
            return Err(Error::state("these bytes are none"));
        };
        if *version != VERSION {
            let reason = format!("version {version}, and this build reads version {VERSION}");
            return Err(Error::state(reason));
        }
        let saved: Saved =
            postcard::from_bytes(body).map_err(|e| Error::state(format!("damaged: {e}")))?;
        Ok(Self {
            state: model.load(&saved.state)?,
            calibrator: saved.calibrator,
        })
    }
}

const MAGIC: [u8; 4] = *b"TCSS";
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Saved {
    state: Vec<u8>,
    calibrator: Option<Calibrator>,
}

/// Learns from outcomes how wide intervals have to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Calibrator {
    tracker: Tracker,
    horizon: usize,
    /// Forecasts whose outcomes have not all come, the newest first: the one at `i` has seen `i` of them.
    open: VecDeque<Open>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Tracker {
    Split {
        /// The latest errors by step, of logarithms where `log` says so.
        errors: Vec<VecDeque<f64>>,
        most: usize,
        log: bool,
    },
    Adaptive(AdaptiveConformal),
}

/// A forecast that waits for its outcomes; without standard deviations where the model has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Open {
    mean: Vec<f64>,
    sd: Vec<f64>,
}

impl Calibrator {
    /// Goes through the end of a history. None where it is too short.
    fn new(
        model: &dyn ForecastModel,
        history: &History<'_>,
        options: &FitOptions,
        calibration: &CalibrationOptions,
    ) -> Result<Option<Self>> {
        let horizon = calibration.horizon;
        let tracker = match calibration.method {
            Calibration::None => return Ok(None),
            Calibration::Split => Tracker::Split {
                errors: vec![VecDeque::new(); horizon],
                most: calibration.origins,
                log: options.log,
            },
            Calibration::Adaptive => {
                let adaptive = AdaptiveConformal::new(&LEVELS, horizon, calibration.rate)?
                    .warm_up(calibration.warm_up);
                Tracker::Adaptive(if options.log {
                    adaptive.log(options.point)
                } else {
                    adaptive
                })
            }
        };
        let mut calibrator = Self {
            tracker,
            horizon,
            open: VecDeque::new(),
        };
        let n = history.values.len();
        let begin = n - calibration.origins.min(n / 3);
        let state = match model.fit(&history.range(0..begin), options) {
            Ok(state) => state,
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            // What the whole history is good for is found out by fitting it.
            Err(_) => return Ok(Some(calibrator)),
        };
        let mut state = state;
        for next in history.range(begin..n).observations() {
            let before = calibrator.forecast(&*state);
            if state.observe(next).is_err() {
                break;
            }
            calibrator.take(before, next.value);
        }
        Ok(Some(calibrator))
    }

    /// What the model says before the next outcome; nothing where it cannot.
    fn forecast(&self, state: &dyn ModelState) -> Option<Open> {
        let forecast = state.forecast(self.horizon, &[]).ok()?;
        Some(Open {
            mean: forecast.mean,
            sd: forecast.sd.unwrap_or_default(),
        })
    }

    /// Takes an outcome of `before` and of the forecasts that wait.
    fn take(&mut self, before: Option<Open>, y: f64) {
        let before = before.unwrap_or(Open {
            mean: Vec::new(),
            sd: Vec::new(),
        });
        self.open.push_front(before);
        self.open.truncate(self.horizon);
        for (step, open) in self.open.iter().enumerate() {
            let Some(mean) = open.mean.get(step) else {
                continue;
            };
            match &mut self.tracker {
                Tracker::Adaptive(adaptive) => {
                    if let Some(sd) = open.sd.get(step) {
                        adaptive.observe(step, y, *mean, *sd);
                    }
                }
                Tracker::Split { errors, most, log } => {
                    let error = if *log {
                        libm::log(y) - libm::log(*mean)
                    } else {
                        y - mean
                    };
                    if error.is_finite() {
                        errors[step].push_back(error.abs());
                        if errors[step].len() > *most {
                            errors[step].pop_front();
                        }
                    }
                }
            }
        }
    }

    /// Calibrated intervals at these levels; none where past outcomes do not give them.
    fn apply(
        &self,
        forecast: &Forecast,
        levels: &[Level],
    ) -> Result<Option<(Vec<Interval>, Calibration)>> {
        match &self.tracker {
            Tracker::Adaptive(adaptive) => {
                if forecast.sd.is_none() || !adaptive.has_learnt() {
                    return Ok(None);
                }
                let adapted = adaptive.apply_at(forecast, levels)?;
                Ok(Some((adapted.intervals, Calibration::Adaptive)))
            }
            Tracker::Split { errors, log, .. } => {
                let steps = forecast.mean.len();
                if steps > errors.len() || errors[..steps].iter().any(|e| e.len() < FEWEST_ERRORS) {
                    return Ok(None);
                }
                let errors = errors[..steps].iter().map(|e| e.iter().copied().collect());
                let split = SplitConformal::from_errors(errors.collect(), *log)?;
                match split.apply(forecast, levels) {
                    Ok(split) => Ok(Some((split.intervals, Calibration::Split))),
                    // Too few errors for the level: which levels can be, the model's own forecast has said.
                    Err(Error::Argument { name: "level", .. }) => Ok(None),
                    Err(e) => Err(e),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
