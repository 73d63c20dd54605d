//! What a backtest found.
//!
//! Model: measures are means over all scored steps of all folds in which the model worked; scaled
//! errors divide by the in-sample error of (seasonal) naive of the same fold; folds whose past does
//! not vary have no scale and are left out of MASE and RMSSE. CRPS and pinball loss come from the
//! quantiles that the intervals at 11 fixed levels give. Skill and the tests compare with naive over the folds in
//! which both worked; p-values are corrected after Holm over all models compared.
//! Does not: hold a single "accuracy".

use serde::{Deserialize, Serialize};

use super::compare::{DieboldMariano, diebold_mariano, holm};
use super::run::{Backtest, QUANTILE_LEVELS};
use crate::error::Error;
use crate::metrics::{coverage, crps_quantiles, interval_score, mae, pinball, rmse, smape, width};
use crate::output::{Forecast, Level};

/// One fold of one model.
#[derive(Debug)]
pub(crate) struct Fold {
    pub origin: usize,
    pub actual: Vec<f64>,
    pub forecast: Result<Forecast, Error>,
    pub scale: f64,
    pub square_scale: f64,
    pub seconds: Option<f64>,
}

/// Coverage and width at one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelMeasures {
    /// Nominal coverage in percent.
    pub level: Level,
    /// Share of actual values inside, 0 to 1.
    pub coverage: Option<f64>,
    /// Mean width in the units of the series.
    pub width: Option<f64>,
    /// Mean interval (Winkler) score; lower is better.
    pub score: Option<f64>,
    /// Mean pinball loss of the two bounds.
    pub pinball: Option<f64>,
}

/// The measures of one model; None where nothing could be measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Measures {
    /// Mean absolute error in the units of the series.
    pub mae: Option<f64>,
    /// Root mean squared error in the units of the series.
    pub rmse: Option<f64>,
    /// Mean absolute scaled error.
    pub mase: Option<f64>,
    /// Root mean squared scaled error.
    pub rmsse: Option<f64>,
    /// Symmetric mean absolute percentage error, 0 to 200.
    pub smape: Option<f64>,
    /// Mean pinball loss over the bounds of 11 fixed levels, whatever levels are asked for.
    pub pinball: Option<f64>,
    /// Continuous ranked probability score in the units of the series.
    pub crps: Option<f64>,
    /// 1 − MAE / MAE of naive, over common folds.
    pub skill: Option<f64>,
    /// 1 − CRPS / CRPS of naive, over common folds.
    pub crps_skill: Option<f64>,
    /// Coverage and width by level.
    pub levels: Vec<LevelMeasures>,
}

/// Measures of one step ahead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepMeasures {
    /// Steps ahead, from 1 (behind the gap).
    pub step: usize,
    /// Mean absolute error.
    pub mae: Option<f64>,
    /// Coverage by level, in the order of the levels asked for.
    pub coverage: Vec<Option<f64>>,
}

/// The score of one fold: errors over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldScore {
    /// Number of observations before the origin.
    pub origin: usize,
    /// Mean absolute error; None when the model failed here or nothing came.
    pub mae: Option<f64>,
    /// Mean CRPS.
    pub crps: Option<f64>,
    /// Why the model failed here.
    pub error: Option<String>,
}

/// In words that a page can show: how a model did against naive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Lower absolute error, significant at 5 % after Holm's correction.
    Better,
    /// Higher absolute error, significant at 5 % after Holm's correction.
    Worse,
    /// No significant difference, or too few folds to tell.
    Undecided,
}

/// One model's row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelReport {
    /// Name of the model.
    pub model: String,
    /// True for a baseline that was added.
    pub baseline: bool,
    /// Measures over everything.
    pub measures: Measures,
    /// Test of absolute errors against naive; None for naive itself and where it cannot be made.
    pub against_naive: Option<DieboldMariano>,
    /// Its p-value after Holm's correction over all models compared.
    pub p_holm: Option<f64>,
    /// The verdict against naive.
    pub verdict: Verdict,
    /// Measures by step ahead.
    pub steps: Vec<StepMeasures>,
    /// Scores by origin, oldest first.
    pub folds: Vec<FoldScore>,
    /// Number of folds in which the model failed.
    pub failures: usize,
    /// Seconds spent in the model over all folds, when there was a clock.
    pub seconds: Option<f64>,
}

/// What a backtest found: one row per model, in the order asked, baselines behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The layout.
    pub layout: Backtest,
    /// The rows.
    pub models: Vec<ModelReport>,
}

impl Report {
    /// The row of a model by name.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&ModelReport> {
        self.models.iter().find(|row| row.model == name)
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values
        .filter(|v| v.is_finite())
        .fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
    if n == 0 { None } else { finite(sum / n as f64) }
}

/// CRPS of each step of a fold, from the bounds at the fixed levels.
fn crps_of(actual: &[f64], forecast: &Forecast) -> Vec<f64> {
    let level = |i: usize| forecast.intervals[i].level;
    let mut bands: Vec<usize> = (0..forecast.intervals.len())
        .filter(|i| QUANTILE_LEVELS.contains(&level(*i).0))
        .collect();
    bands.sort_by(|a, b| level(*b).0.total_cmp(&level(*a).0));
    let upper: Vec<f64> = bands
        .iter()
        .map(|i| level(*i).upper_probability())
        .collect();
    let mut probabilities: Vec<f64> = upper.iter().map(|p| 1.0 - p).collect();
    probabilities.extend(upper.iter().rev());
    actual
        .iter()
        .enumerate()
        .map(|(h, actual)| {
            let lower = bands.iter().map(|i| forecast.intervals[*i].lower[h]);
            let upper = bands.iter().rev().map(|i| forecast.intervals[*i].upper[h]);
            let quantiles: Vec<f64> = lower.chain(upper).collect();
            crps_quantiles(*actual, &probabilities, &quantiles)
        })
        .collect()
}

fn pinball_of(actual: &[f64], forecast: &Forecast) -> f64 {
    let (mut sum, mut bands) = (0.0, 0usize);
    for band in &forecast.intervals {
        if QUANTILE_LEVELS.contains(&band.level.0) {
            let p = band.level.upper_probability();
            sum += 0.5 * (pinball(actual, &band.upper, p) + pinball(actual, &band.lower, 1.0 - p));
            bands += 1;
        }
    }
    sum / bands as f64
}

/// Turns folds into a report.
pub(crate) fn summarise(
    layout: &Backtest,
    names: &[String],
    asked: usize,
    folds: Vec<Vec<Fold>>,
    overlap: usize,
) -> Report {
    let mut models: Vec<ModelReport> = names
        .iter()
        .zip(&folds)
        .enumerate()
        .map(|(index, (name, folds))| row(layout, name, index >= asked, folds))
        .collect();
    let naive: Option<Vec<FoldScore>> = models
        .iter()
        .find(|row| row.model == "naive")
        .map(|row| row.folds.clone());
    if let Some(naive) = naive {
        let losses = |folds: &[FoldScore], crps: bool| -> Vec<f64> {
            let pick = |fold: &FoldScore| if crps { fold.crps } else { fold.mae };
            folds
                .iter()
                .map(|fold| pick(fold).unwrap_or(f64::NAN))
                .collect()
        };
        for row in &mut models {
            let skill = |crps: bool| {
                let (own, theirs) = (losses(&row.folds, crps), losses(&naive, crps));
                let both = || {
                    own.iter()
                        .zip(&theirs)
                        .filter(|(a, b)| (*a + *b).is_finite())
                };
                let reference = mean(both().map(|(_, b)| *b))?;
                let loss = mean(both().map(|(a, _)| *a))?;
                finite(1.0 - loss / reference)
            };
            row.measures.skill = skill(false);
            row.measures.crps_skill = skill(true);
            if row.model != "naive" {
                let own = losses(&row.folds, false);
                row.against_naive = diebold_mariano(&own, &losses(&naive, false), overlap);
            }
        }
        let tested: Vec<usize> = (0..models.len())
            .filter(|i| models[*i].against_naive.is_some())
            .collect();
        let raw: Vec<f64> = tested
            .iter()
            .map(|i| models[*i].against_naive.map_or(1.0, |test| test.p_value))
            .collect();
        for (index, p) in tested.into_iter().zip(holm(&raw)) {
            let row = &mut models[index];
            row.p_holm = Some(p);
            if p < 0.05 {
                let lower = row.against_naive.is_some_and(|test| test.statistic < 0.0);
                row.verdict = if lower {
                    Verdict::Better
                } else {
                    Verdict::Worse
                };
            }
        }
    }
    Report {
        layout: layout.clone(),
        models,
    }
}

fn row(layout: &Backtest, name: &str, baseline: bool, folds: &[Fold]) -> ModelReport {
    let worked: Vec<(&Fold, &Forecast)> = folds
        .iter()
        .filter_map(|fold| fold.forecast.as_ref().ok().map(|forecast| (fold, forecast)))
        .collect();
    let actual: Vec<f64> = worked
        .iter()
        .flat_map(|(fold, _)| fold.actual.clone())
        .collect();
    let point: Vec<f64> = worked.iter().flat_map(|(_, f)| f.mean.clone()).collect();
    let band = |level: Level, lower: bool| -> Vec<f64> {
        worked
            .iter()
            .filter_map(|(_, forecast)| forecast.interval(level))
            .flat_map(|band| {
                if lower {
                    band.lower.clone()
                } else {
                    band.upper.clone()
                }
            })
            .collect()
    };
    let bands: Vec<(Level, Vec<f64>, Vec<f64>)> = layout
        .levels
        .iter()
        .map(|level| (*level, band(*level, true), band(*level, false)))
        .collect();
    let levels = bands
        .iter()
        .map(|(level, lower, upper)| {
            let p = level.upper_probability();
            let bounds = pinball(&actual, upper, p) + pinball(&actual, lower, 1.0 - p);
            LevelMeasures {
                level: *level,
                coverage: finite(coverage(&actual, lower, upper)),
                width: finite(width(lower, upper)),
                score: finite(interval_score(&actual, lower, upper, level.0)),
                pinball: finite(0.5 * bounds),
            }
        })
        .collect();
    let scaled = |power: bool| {
        mean(
            worked
                .iter()
                .filter(|(fold, _)| fold.scale > 0.0)
                .map(|(fold, forecast)| {
                    if power {
                        let root = rmse(&fold.actual, &forecast.mean);
                        root * root / fold.square_scale
                    } else {
                        mae(&fold.actual, &forecast.mean) / fold.scale
                    }
                }),
        )
    };
    let scores: Vec<FoldScore> = folds
        .iter()
        .map(|fold| match &fold.forecast {
            Ok(forecast) => FoldScore {
                origin: fold.origin,
                mae: finite(mae(&fold.actual, &forecast.mean)),
                crps: mean(crps_of(&fold.actual, forecast).into_iter()),
                error: None,
            },
            Err(error) => FoldScore {
                origin: fold.origin,
                mae: None,
                crps: None,
                error: Some(error.to_string()),
            },
        })
        .collect();
    let steps = (0..layout.horizon)
        .map(|step| {
            let at = |values: &[f64]| -> Vec<f64> {
                values
                    .iter()
                    .skip(step)
                    .step_by(layout.horizon)
                    .copied()
                    .collect()
            };
            let actual = at(&actual);
            StepMeasures {
                step: step + 1,
                mae: finite(mae(&actual, &at(&point))),
                coverage: bands
                    .iter()
                    .map(|(_, lower, upper)| finite(coverage(&actual, &at(lower), &at(upper))))
                    .collect(),
            }
        })
        .collect();
    let measures = Measures {
        mae: finite(mae(&actual, &point)),
        rmse: finite(rmse(&actual, &point)),
        mase: scaled(false),
        rmsse: scaled(true).map(f64::sqrt),
        smape: finite(smape(&actual, &point)),
        pinball: mean(
            worked
                .iter()
                .map(|(fold, forecast)| pinball_of(&fold.actual, forecast)),
        ),
        crps: mean(scores.iter().filter_map(|fold| fold.crps)),
        skill: None,
        crps_skill: None,
        levels,
    };
    ModelReport {
        model: name.to_owned(),
        baseline,
        measures,
        against_naive: None,
        p_holm: None,
        verdict: Verdict::Undecided,
        steps,
        failures: scores.iter().filter(|fold| fold.error.is_some()).count(),
        folds: scores,
        seconds: folds.iter().map(|fold| fold.seconds).sum(),
    }
}
