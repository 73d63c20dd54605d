//! Walking a model through a series as it is served: fitted now and then, and updated in between.
//!
//! Model: from a first origin on, a forecast is made every `step` values. At every `refit_every`-th origin, counted from
//! the first, the model is fitted and calibrated anew to the window that ends there; between those it takes the values
//! as they come ([`ServedState::update`]). So a forecast at an origin follows from the values before it and from where
//! the walk began, and stays the same however far the series goes on. A fit at each origin ([`super::Backtest`]) costs
//! as many fits as origins; this costs one for `refit_every` of them.
//! Does not: score, read clocks (pass one in [`Control`]).

use serde::{Deserialize, Serialize};

use super::run::Control;
use crate::cancel::CancelToken;
use crate::error::{Error, Result};
use crate::fit::FitOptions;
use crate::history::History;
use crate::output::{Forecast, Level, check_request};
use crate::provider::ForecastModel;
use crate::served::{CalibrationOptions, ServedState};

/// How a series is walked through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Walk {
    /// Values before the first origin.
    pub first: usize,
    /// Values between origins.
    pub step: usize,
    /// Steps forecast from each origin.
    pub horizon: usize,
    /// Origins from one fit to the next.
    pub refit_every: usize,
    /// Values that a fit sees at most, the latest.
    pub window: usize,
    /// Levels of the intervals.
    pub levels: Vec<Level>,
    /// How the model is fitted.
    pub options: FitOptions,
    /// How its intervals are calibrated.
    pub calibration: CalibrationOptions,
}

/// What an origin gave.
#[derive(Debug, Clone, PartialEq)]
pub struct WalkStep {
    /// Values before the origin.
    pub origin: usize,
    /// The forecast of the steps after it; or why there is none.
    pub forecast: Result<Forecast>,
    /// The values that the last fit saw.
    pub fitted_to: std::ops::Range<usize>,
    /// Seconds of a fit with its calibration, where there was one here and a clock.
    pub fit_seconds: Option<f64>,
    /// Seconds of the forecast alone, where there was a clock.
    pub forecast_seconds: Option<f64>,
}

impl Walk {
    /// The origins in a series of `n` values whose outcomes are all in it.
    #[must_use]
    pub fn origins(&self, n: usize) -> usize {
        match n.checked_sub(self.first + self.horizon) {
            Some(rest) => rest / self.step.max(1) + 1,
            None => 0,
        }
    }

    /// Walks `model` through `history`, oldest origin first. A model that fails at a fit has no forecast until the
    /// next one; that is no error of the walk.
    ///
    /// # Errors
    /// A layout that cannot be or does not fit the series; [`Error::Cancelled`].
    ///
    /// ```
    /// use forecast::{CalibrationOptions, FitOptions, Level, Providers, backtest::{Control, Walk}};
    /// let y: Vec<f64> = (0..90).map(|t| 100.0 + f64::from(t * 7919 % 13)).collect();
    /// let walk = Walk {
    ///     first: 60, step: 1, horizon: 1, refit_every: 10, window: 60, levels: vec![Level(95.0)],
    ///     options: FitOptions::default(), calibration: CalibrationOptions::default(),
    /// };
    /// let theta = Providers::classical().parse("theta")?;
    /// assert_eq!(walk.run(&(&y).into(), &*theta, Control::default())?.len(), 30);
    /// # Ok::<(), forecast::Error>(())
    /// ```
    pub fn run(
        &self,
        history: &History<'_>,
        model: &dyn ForecastModel,
        control: Control<'_>,
    ) -> Result<Vec<WalkStep>> {
        let origins = self.check(history.values.len())?;
        let walk = || self.walk(history, model, origins, control);
        match control.cancel {
            Some(token) => token.scope(walk),
            None => walk(),
        }
    }

    fn check(&self, n: usize) -> Result<usize> {
        check_request(self.horizon, &self.levels)?;
        for (name, value) in [
            ("first", self.first),
            ("step", self.step),
            ("refit_every", self.refit_every),
            ("window", self.window),
        ] {
            if value == 0 {
                return Err(Error::argument(name, "expected at least 1, got 0"));
            }
        }
        let origins = self.origins(n);
        if origins == 0 {
            let needed = self.first + self.horizon;
            let reason = format!("the first origin needs {needed} values, got {n}");
            return Err(Error::argument("first", reason));
        }
        Ok(origins)
    }

    fn walk(
        &self,
        history: &History<'_>,
        model: &dyn ForecastModel,
        origins: usize,
        control: Control<'_>,
    ) -> Result<Vec<WalkStep>> {
        let seconds = || control.clock.map(|clock| clock());
        let since = |began: Option<f64>| seconds().zip(began).map(|(now, began)| now - began);
        let mut steps = Vec::with_capacity(origins);
        let mut fitted_to = 0..0;
        let mut state: Result<ServedState> = Err(Error::Cancelled);
        for number in 0..origins {
            if control.cancel.is_some_and(CancelToken::is_cancelled) {
                return Err(Error::Cancelled);
            }
            let origin = self.first + number * self.step;
            let mut fit_seconds = None;
            if number.is_multiple_of(self.refit_every) {
                fitted_to = origin.saturating_sub(self.window)..origin;
                let began = seconds();
                let past = history.range(fitted_to.clone());
                state = ServedState::fit(model, &past, &self.options, &self.calibration);
                fit_seconds = since(began);
            } else {
                let mut came = history.range(origin - self.step..origin).observations();
                state = state.and_then(|mut state| {
                    came.try_for_each(|next| state.observe(next))?;
                    Ok(state)
                });
            }
            let began = seconds();
            let forecast = match &state {
                Ok(state) => state.forecast(self.horizon, &self.levels),
                Err(e) => Err(e.clone()),
            };
            let forecast_seconds = since(began);
            steps.push(WalkStep {
                origin,
                forecast: forecast.map(|served| served.forecast),
                fitted_to: fitted_to.clone(),
                fit_seconds,
                forecast_seconds,
            });
            if let Some(progress) = control.progress {
                progress(number + 1, origins);
            }
        }
        // A fit that was stopped looks like one that failed.
        if control.cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(Error::Cancelled);
        }
        Ok(steps)
    }
}
