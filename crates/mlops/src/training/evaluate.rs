//! A model on the held-out origins: its losses, its interval, and its measures.
//!
//! Model: one [`Walk`]; of each origin the mean absolute error over the steps ahead is its loss, or the mean pinball loss
//! ([`JudgedBy`]), in logarithms where models are fitted to them, so that a year in which prices double is not judged by its end alone. The measures are
//! those of the live scores ([`crate::scores`]), in the same units.

use std::ops::Range;

use forecast::{
    ForecastModel, History, Level, Training,
    backtest::{Control, Walk, WalkStep},
    metrics::{naive_scale, pinball},
};
use serde::{Deserialize, Serialize};

use super::{recipe::JudgedBy, series::Series};
use crate::{
    gate::CoverageCount,
    scores::{RollingScores, ScoredStep},
};

/// What a model was in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The yardstick.
    Naive,
    /// What is served.
    Champion,
    /// What may be.
    Candidate,
}

/// A model on the held-out origins. None where nothing could be measured. Errors are those of logarithms where the
/// recipe fits logarithms: 0.01 is about 1 % of the price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelMeasures {
    /// Its reference.
    pub model: String,
    /// What it was.
    pub role: Role,
    /// Origins at which it gave a forecast.
    pub origins: usize,
    /// Origins at which it gave none.
    pub failures: usize,
    /// Why it gave none where it first did not.
    pub failure: Option<String>,
    /// Mean loss.
    pub loss: Option<f64>,
    /// Mean absolute scaled error.
    pub mase: Option<f64>,
    /// 1 − error/error of naive.
    pub skill_against_naive: Option<f64>,
    /// Mean continuous ranked probability score, from the median and the bounds at 80 and 95 %.
    pub crps: Option<f64>,
    /// Mean pinball loss of those five quantiles.
    pub pinball: Option<f64>,
    /// Share of outcomes inside the 80 % interval, from 0 to 1.
    pub coverage_80: Option<f64>,
    /// Share of outcomes inside the 95 % interval, from 0 to 1.
    pub coverage_95: Option<f64>,
    /// Fits.
    pub fits: usize,
    /// Milliseconds of a fit with its calibration, in the mean; none without a clock.
    pub fit_ms: Option<f64>,
    /// Milliseconds of a forecast, 99th percentile; none without a clock.
    pub forecast_p99_ms: Option<f64>,
}

/// A model after its walk.
pub(super) struct Walked {
    pub loss: Vec<f64>,
    pub coverage_95: CoverageCount,
    pub measures: ModelMeasures,
    /// Origins that lie in what it was trained on before: it has no loss there.
    pub purged: usize,
}

/// The levels that are judged.
pub(super) const LEVELS: [Level; 2] = Level::DEFAULT;
const PROBABILITIES: [f64; 5] = [0.025, 0.1, 0.5, 0.9, 0.975];

/// Walks a model through the closes.
///
/// # Errors
/// Cancelled; a layout that cannot be.
pub(super) fn walk(
    layout: &Walk,
    series: &Series,
    times_ms: &[i64],
    model: &dyn ForecastModel,
    (role, judged_by): (Role, JudgedBy),
    control: Control<'_>,
) -> forecast::Result<Walked> {
    let history = History::from(series.closes()).with_times(Some(times_ms));
    let steps = layout.run(&history, model, control)?;
    let unit = |value: f64| {
        if layout.options.log {
            value.ln()
        } else {
            value
        }
    };
    let closes: Vec<f64> = series.closes().iter().map(|close| unit(*close)).collect();
    let mut scores = RollingScores::new(steps.len() * layout.horizon);
    let (mut loss, mut coverage_95) = (Vec::with_capacity(steps.len()), CoverageCount::default());
    let (mut losses_of_quantiles, mut purged, mut failure) = (Vec::new(), 0, None);
    let mut scale = (0..0, f64::NAN);
    for step in &steps {
        if scale.0 != step.fitted_to {
            let fitted_to = step.fitted_to.clone();
            scale = (
                fitted_to.clone(),
                naive_scale(&closes[fitted_to], layout.options.season),
            );
        }
        let outcomes = step.origin..step.origin + layout.horizon;
        if is_known(model.training(), times_ms[outcomes.start]) {
            purged += 1;
            loss.push(f64::NAN);
            continue;
        }
        match scored(step, outcomes, &closes, scale.1, unit) {
            Ok(ahead) => {
                let of_step = match judged_by {
                    JudgedBy::Points => ScoredStep::error,
                    JudgedBy::Quantiles => mean_pinball,
                };
                loss.push(ahead.iter().map(of_step).sum::<f64>() / ahead.len() as f64);
                for one in ahead {
                    let [low, high] = one.interval_95;
                    coverage_95.outcomes += 1;
                    coverage_95.inside += u64::from(one.outcome >= low && one.outcome <= high);
                    losses_of_quantiles.push(mean_pinball(&one));
                    scores.push(one);
                }
            }
            Err(why) => {
                loss.push(f64::NAN);
                failure.get_or_insert(why);
            }
        }
    }
    let measured = scores.scores();
    let there = loss.iter().filter(|loss| !loss.is_nan()).count();
    let fits: Vec<f64> = steps.iter().filter_map(|step| step.fit_seconds).collect();
    let measures = ModelMeasures {
        model: model.name(),
        role,
        origins: there,
        failures: loss.len() - there - purged,
        failure,
        loss: mean(loss.iter().copied().filter(|loss| !loss.is_nan())),
        mase: measured.mase,
        skill_against_naive: measured.skill_against_naive,
        crps: measured.crps,
        pinball: mean(losses_of_quantiles.into_iter()),
        coverage_80: measured.coverage_80,
        coverage_95: measured.coverage_95,
        fits: steps.len().div_ceil(layout.refit_every),
        fit_ms: mean(fits.into_iter()).map(|seconds| 1_000.0 * seconds),
        forecast_p99_ms: percentile_99(&steps).map(|seconds| 1_000.0 * seconds),
    };
    Ok(Walked {
        loss,
        coverage_95,
        measures,
        purged,
    })
}

/// Whether a model was trained on what happened at a time, or may have been.
fn is_known(training: Training, outcome_ms: i64) -> bool {
    match training {
        Training::AtFit => false,
        Training::Before { until_ms } => until_ms.is_none_or(|until| outcome_ms <= until),
    }
}

/// The steps ahead of an origin beside what came.
fn scored(
    step: &WalkStep,
    outcomes: Range<usize>,
    closes: &[f64],
    scale: f64,
    unit: impl Fn(f64) -> f64,
) -> Result<Vec<ScoredStep>, String> {
    let forecast = step.forecast.as_ref().map_err(ToString::to_string)?;
    let band = |level: Level, ahead: usize| {
        let band = forecast.interval(level);
        let bounds = band.map(|band| [unit(band.lower[ahead]), unit(band.upper[ahead])]);
        bounds.unwrap_or([f64::NAN; 2])
    };
    let naive = closes[step.origin - 1];
    let ahead: Vec<ScoredStep> = outcomes
        .enumerate()
        .map(|(ahead, at)| ScoredStep {
            outcome: closes[at],
            point: unit(forecast.mean[ahead]),
            naive,
            scale,
            interval_80: band(LEVELS[0], ahead),
            interval_95: band(LEVELS[1], ahead),
        })
        .collect();
    // The logarithm of a forecast that is not above 0 is none.
    if ahead.iter().any(|one| !one.error().is_finite()) {
        return Err("a forecast that is not above 0".to_owned());
    }
    Ok(ahead)
}

fn mean_pinball(step: &ScoredStep) -> f64 {
    let ([low_95, high_95], [low_80, high_80]) = (step.interval_95, step.interval_80);
    let quantiles = [low_95, low_80, step.point, high_80, high_95];
    let losses = PROBABILITIES
        .iter()
        .zip(quantiles)
        .map(|(p, quantile)| pinball(&[step.outcome], &[quantile], *p));
    losses.sum::<f64>() / PROBABILITIES.len() as f64
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0usize), |(sum, n), value| (sum + value, n + 1));
    (n > 0)
        .then(|| sum / n as f64)
        .filter(|mean| mean.is_finite())
}

/// The smallest time that 99 % of the forecasts did not exceed.
fn percentile_99(steps: &[WalkStep]) -> Option<f64> {
    let mut times: Vec<f64> = steps
        .iter()
        .filter_map(|step| step.forecast_seconds)
        .collect();
    times.sort_by(f64::total_cmp);
    let rank = (times.len() * 99).div_ceil(100);
    times.get(rank.checked_sub(1)?).copied()
}
