//! What the fit behind a forecast found, for whoever shows it.
//!
//! Does not: format or draw; [`crate::Answer`] is the form for programs.

use crate::diagnostics::autocorrelations;
use crate::fit::FitOptions;
use crate::model::{FittedModel, Summary};

/// What the fit behind a forecast found.
///
/// ```
/// use forecast::{FitOptions, FitReport, ModelSpec};
/// let y: Vec<f64> = (0..40).map(|t| 100.0 + (f64::from(t) / 3.0).sin()).collect();
/// let options = FitOptions::default();
/// let fitted = "arima(1,1,0)".parse::<ModelSpec>()?.fit(&y, &options)?;
/// let report = FitReport::new(&*fitted, &options, 0.01);
/// assert_eq!(report.summary.model, "arima(1,1,0)");
/// assert!(report.acf.len() >= 10 && report.residuals <= 40);
/// # Ok::<(), forecast::Error>(())
/// ```
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
    /// How long the fit took, in seconds.
    pub seconds: f64,
}

impl FitReport {
    /// Of a fitted model, the options that it was fitted with, and how long that took.
    #[must_use]
    pub fn new(fitted: &dyn FittedModel, options: &FitOptions, seconds: f64) -> Self {
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
