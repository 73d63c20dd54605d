//! One row per model over many series.
//!
//! Model: what has no unit is averaged over the series in which it could be measured, each series
//! counting the same; failures and seconds are summed. What has the unit of its series is left
//! empty, and so is a test: series are rarely independent.
//! Does not: pool the folds.

use super::report::{LevelMeasures, Measures, ModelReport, Report, Verdict};

/// The rows over `reports`, for the models of the first. Skill is the mean of the series' skills.
#[must_use]
pub fn overall(reports: &[&Report]) -> Vec<ModelReport> {
    let Some(first) = reports.first() else {
        return Vec::new();
    };
    let row = |model: &ModelReport| {
        let rows: Vec<&ModelReport> = reports
            .iter()
            .filter_map(|report| report.model(&model.model))
            .collect();
        let mean = |of: &dyn Fn(&ModelReport) -> Option<f64>| {
            let values: Vec<f64> = rows.iter().filter_map(|row| of(row)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let levels = model.measures.levels.iter().enumerate();
        let levels = levels.map(|(at, level)| LevelMeasures {
            level: level.level,
            coverage: mean(&|row| row.measures.levels.get(at)?.coverage),
            width: None,
            score: None,
            pinball: None,
        });
        ModelReport {
            model: model.model.clone(),
            baseline: model.baseline,
            measures: Measures {
                mase: mean(&|row| row.measures.mase),
                rmsse: mean(&|row| row.measures.rmsse),
                smape: mean(&|row| row.measures.smape),
                skill: mean(&|row| row.measures.skill),
                crps_skill: mean(&|row| row.measures.crps_skill),
                levels: levels.collect(),
                ..Measures::default()
            },
            against_naive: None,
            p_holm: None,
            verdict: Verdict::Undecided,
            steps: Vec::new(),
            folds: Vec::new(),
            failures: rows.iter().map(|row| row.failures).sum(),
            seconds: rows
                .iter()
                .any(|row| row.seconds.is_some())
                .then(|| rows.iter().filter_map(|row| row.seconds).sum()),
        }
    };
    first.models.iter().map(row).collect()
}
