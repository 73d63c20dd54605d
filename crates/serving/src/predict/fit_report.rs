//! What the fit behind a forecast found.

use forecast::{FitOptions, FittedModel, Summary, diagnostics::autocorrelations};

/// What the fit behind a forecast found.
#[derive(Clone, Debug, PartialEq)]
pub struct FitReport {
    /// Parameters and criteria; of the logarithms where [`Self::log`] says so.
    pub summary: Summary,
    /// Whether the model was fitted to logarithms.
    pub log: bool,
    /// The season that it was offered, in steps; 1 for none.
    pub season: usize,
    /// How many residuals there are.
    pub residuals: usize,
    /// Their autocorrelations at lags 1, 2, …; empty when they do not vary.
    pub acf: Vec<f64>,
    /// How long the fit took.
    pub seconds: f64,
}

impl FitReport {
    pub(super) fn new(fitted: &dyn FittedModel, options: &FitOptions, seconds: f64) -> Self {
        let summary = fitted.summary();
        let residuals = fitted.residuals();
        let count = residuals.iter().filter(|e| !e.is_nan()).count();
        // As many as R's acf() shows, and all that the test looks at.
        let usual = (10.0 * (count.max(1) as f64).log10()) as usize;
        let tested = summary.ljung_box.map_or(0, |test| test.lags);
        let lags = usual.max(tested).min(count.saturating_sub(1));
        Self {
            acf: autocorrelations(residuals, lags),
            residuals: count,
            summary,
            log: options.log,
            season: options.season,
            seconds,
        }
    }
}
