//! The readings of one champion: its errors since a time against those it would have made before, and what came in
//! since against what came in before.
//!
//! Model: everything is a number without a unit. An error is |ln(outcome/forecast)| of one step, in multiples of the
//! mean of the reference, so that the tolerance of [`PageHinkley`] means the same for every series; an input is the
//! change of a log price. The reference of the errors is made by walking the model through the closes that came before:
//! fitted to the first of them, it forecasts each of the others before it takes it.
//! What it does not do: read a store, or decide (see [`super::alarms()`]).

use forecast::{FitOptions, ForecastModel, History, Level};
use serde::{Deserialize, Serialize};

use super::{Calibrator, InputProfile, Kind, PageHinkley, PageHinkleyConfig, Reading, fault};
use crate::Result;

/// How a champion is watched.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchOptions {
    /// Errors of the reference, and inputs of it.
    pub reference: usize,
    /// Closes that the walk through the reference begins with a fit to.
    pub window: usize,
    /// Inputs of now that are compared.
    pub inputs: usize,
    /// Bins of the inputs.
    pub bins: usize,
    /// The test of the errors.
    pub errors: PageHinkleyConfig,
    /// The bootstrap of both.
    pub calibrator: Calibrator,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            reference: 500,
            window: 250,
            inputs: 50,
            bins: 5,
            errors: PageHinkleyConfig::default(),
            calibrator: Calibrator::default(),
        }
    }
}

impl WatchOptions {
    /// Closes before the time since when a champion is watched that are wanted.
    #[must_use]
    pub const fn reference_closes(&self) -> usize {
        self.reference + self.window + 1
    }
}

/// An error as it is watched. NaN where either is no price.
#[must_use]
pub fn error_of(outcome: f64, forecast: f64) -> f64 {
    if outcome > 0.0 && forecast > 0.0 {
        (outcome / forecast).ln().abs()
    } else {
        f64::NAN
    }
}

/// The errors that a model would have made on the closes behind the first `window` of them, one step ahead.
///
/// # Errors
/// The model's; too few closes.
pub fn walked(
    model: &dyn ForecastModel,
    options: &FitOptions,
    (times_ms, closes): (&[i64], &[f64]),
    window: usize,
) -> Result<Vec<f64>> {
    let (Some(first), Some(times)) = (closes.get(..window), times_ms.get(..window)) else {
        return Err(fault(format!(
            "{} closes before it is watched: more than {window} are needed",
            closes.len()
        )));
    };
    let told = |e: forecast::Error| fault(e.to_string());
    let history = History::from(first).with_times(Some(times));
    let mut state = model.fit(&history, options).map_err(told)?;
    let mut errors = Vec::with_capacity(closes.len() - window);
    for close in &closes[window..] {
        let said = state.forecast(1, &[Level(80.0)]).map_err(told)?;
        errors.push(error_of(
            *close,
            said.mean.first().copied().unwrap_or(f64::NAN),
        ));
        state.update(*close).map_err(told)?;
    }
    Ok(errors)
}

/// The reading of the errors; none before there are enough of them.
///
/// # Errors
/// A reference that is too short, or never errs.
pub fn errors(
    symbol: &str,
    reference: &[f64],
    live: &[f64],
    per_day: f64,
    options: &WatchOptions,
) -> Result<Option<Reading>> {
    let finite: Vec<f64> = reference
        .iter()
        .copied()
        .filter(|e| e.is_finite())
        .collect();
    let mean = finite.iter().sum::<f64>() / finite.len() as f64;
    if mean.is_nan() || mean <= 0.0 {
        return Err(fault("the reference has no errors"));
    }
    let scaled: Vec<f64> = finite.iter().map(|error| error / mean).collect();
    let mut test = PageHinkley::new(options.errors);
    let mut statistic = None;
    for error in live {
        statistic = test.update(error / mean);
    }
    let Some(statistic) = statistic else {
        return Ok(None);
    };
    let calibration = options.calibrator.page_hinkley(&scaled, options.errors)?;
    Ok(Some(Reading {
        symbol: symbol.to_owned(),
        kind: Kind::Errors,
        statistic,
        rate: (calibration.rate(statistic) * per_day).min(1.0),
    }))
}

/// The reading of the inputs; none before there are enough of them.
///
/// # Errors
/// A reference that is too short, or of one value.
pub fn inputs(
    symbol: &str,
    reference: &[f64],
    live: &[f64],
    per_day: f64,
    options: &WatchOptions,
) -> Result<Option<Reading>> {
    if live.len() < options.inputs {
        return Ok(None);
    }
    let profile = InputProfile::of(reference, options.bins)?;
    let now = &live[live.len() - options.inputs..];
    let Some(statistic) = profile.psi(now) else {
        return Ok(None);
    };
    let calibration = options
        .calibrator
        .psi(reference, &profile, options.inputs)?;
    Ok(Some(Reading {
        symbol: symbol.to_owned(),
        kind: Kind::Inputs,
        statistic,
        rate: (calibration.rate(statistic) * per_day).min(1.0),
    }))
}

/// The changes of log prices from one close to the next; NaN where one is no price.
#[must_use]
pub fn changes(closes: &[f64]) -> Vec<f64> {
    let change = |pair: &[f64]| match pair {
        [before, after] if *before > 0.0 && *after > 0.0 => (after / before).ln(),
        _ => f64::NAN,
    };
    closes.windows(2).map(change).collect()
}

#[cfg(test)]
mod tests {
    use forecast::ModelSpec;

    use super::*;

    fn noise(n: usize, scale: f64) -> Vec<f64> {
        // A fixed sequence without a pattern that the models know.
        (0..n)
            .map(|i| scale * (((i * 7_919 + 13) % 1_009) as f64 / 1_009.0 - 0.5))
            .collect()
    }

    fn closes(steps: &[f64]) -> Vec<f64> {
        let mut price: f64 = 100.0;
        steps
            .iter()
            .map(|step| {
                price *= step.exp();
                price
            })
            .collect()
    }

    #[test]
    fn the_errors_of_a_walk_of_naive_are_the_changes() {
        let closes = closes(&noise(40, 0.02));
        let times: Vec<i64> = (0..40).collect();
        let options = FitOptions::default();
        let errors = walked(&ModelSpec::Naive, &options, (&times, &closes), 10).unwrap();
        let changes = changes(&closes);
        assert_eq!(errors.len(), 30);
        for (error, change) in errors.iter().zip(&changes[9..]) {
            assert!((error - change.abs()).abs() < 1e-12, "{error} {change}");
        }
        assert!(walked(&ModelSpec::Naive, &options, (&times, &closes), 41).is_err());
    }

    #[test]
    fn errors_that_have_doubled_and_changes_that_have_are_rare_and_those_as_before_are_not() {
        let options = WatchOptions::default();
        let before = noise(500, 0.02);
        let errors_before: Vec<f64> = before.iter().map(|e| e.abs()).collect();
        let read = |factor: f64| {
            let now: Vec<f64> = noise(90, 0.02 * factor);
            let now_errors: Vec<f64> = now.iter().map(|e| e.abs()).collect();
            let of_errors = errors("A", &errors_before, &now_errors, 1.0, &options);
            let of_inputs = inputs("A", &before, &now, 1.0, &options);
            (
                of_errors.unwrap().unwrap().rate,
                of_inputs.unwrap().unwrap().rate,
            )
        };
        let (errors_same, inputs_same) = read(1.0);
        assert!(
            errors_same > 0.004 && inputs_same > 0.004,
            "{errors_same} {inputs_same}"
        );
        let (_, inputs_doubled) = read(3.0);
        assert!(inputs_doubled < 1e-3, "{inputs_doubled}");
        // A mean that grows in the middle of the stream.
        let mut grown: Vec<f64> = errors_before[..60].to_vec();
        grown.extend(errors_before[60..120].iter().map(|e| 4.0 * e));
        let reading = errors("A", &errors_before, &grown, 1.0, &options);
        let reading = reading.unwrap().unwrap();
        assert!(reading.rate < 1e-3, "{reading:?}");
        assert_eq!(
            errors("A", &errors_before, &grown[..20], 1.0, &options).unwrap(),
            None
        );
        assert!(errors("A", &[0.0; 100], &grown, 1.0, &options).is_err());
    }
}
