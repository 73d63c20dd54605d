//! The two traits that every model implements, and the summary of a fit.
//!
//! Model: fit → fitted → forecast by type. A [`Model`] is a choice of parameters that knows
//! nothing of data; fitting it gives a [`FittedModel`], the only thing that can forecast. A fitted
//! model takes one more observation without a refit.
//! Does not: choose a model (see [`crate::ModelSpec`]) or judge one (see [`crate::backtest`]).

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::history::Observation;
use crate::output::{Forecast, Level};

/// A model that can be fitted to a series.
pub trait Model {
    /// What fitting gives.
    type Fitted: FittedModel;

    /// The model's name in the grammar of [`crate::ModelSpec`].
    fn name(&self) -> String;

    /// Fits the model to `y`: oldest first, equally spaced, NaN for a missing value.
    ///
    /// # Errors
    /// Too few observations, a value that is not finite, or numbers that break down.
    fn fit(&self, y: &[f64]) -> Result<Self::Fitted>;
}

/// A model fitted to a series: forecasts, and takes further observations.
pub trait FittedModel: std::fmt::Debug + Send + Sync {
    /// Name of what was fitted, orders included.
    fn name(&self) -> String;

    /// Forecasts the `horizon` steps after the last observation, with a band at every level.
    ///
    /// # Errors
    /// A horizon of zero, a level outside (0, 100), or a forecast that is not finite.
    fn forecast(&self, horizon: usize, levels: &[Level]) -> Result<Forecast>;

    /// Takes the next observation (NaN: missing) into the state. Parameters that were searched for
    /// stay as fitted; the baselines end where a fit to the longer series does, to the last bit. The
    /// cost does not grow with the length of the series.
    ///
    /// # Errors
    /// A value that is not finite.
    fn update(&mut self, y: f64) -> Result<()>;

    /// As [`Self::update`], with what is known of the step beside its value, for a model that reads it.
    ///
    /// # Errors
    /// As there.
    fn observe(&mut self, next: Observation) -> Result<()> {
        self.update(next.value)
    }

    /// Parameters and criteria of the fit.
    fn summary(&self) -> Summary;

    /// One-step errors on the series fitted, NaN where there is none. Updates do not extend them.
    fn residuals(&self) -> &[f64];
}

/// One estimated number of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Name as R prints it (`ar1`, `sma1`, `intercept`, `drift`) or as the paper calls it.
    pub name: String,
    /// Estimate.
    pub value: f64,
    /// Standard error, where there is one.
    pub se: Option<f64>,
}

impl Parameter {
    /// One without a standard error.
    #[must_use]
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            value,
            se: None,
        }
    }
}

/// What a fit found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Name of the fitted model.
    pub model: String,
    /// Estimated parameters.
    pub params: Vec<Parameter>,
    /// Number of non-missing observations used in the fit.
    pub observations: usize,
    /// Variance of the one-step errors (degrees of freedom as R's forecast package).
    pub sigma2: Option<f64>,
    /// Maximised log-likelihood.
    pub loglik: Option<f64>,
    /// Akaike's information criterion.
    pub aic: Option<f64>,
    /// AIC corrected for small samples.
    pub aicc: Option<f64>,
    /// Bayesian information criterion.
    pub bic: Option<f64>,
    /// Test of the residuals for autocorrelation, where there are enough of them.
    pub ljung_box: Option<crate::diagnostics::LjungBox>,
}
