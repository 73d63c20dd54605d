//! The forms of exponential smoothing and their names.
//!
//! Model: a triple (error, trend, season), written as R does: `ETS(M,Ad,M)`.
//! Does not: hold parameters.

use serde::{Deserialize, Serialize};

/// How the error enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorForm {
    /// y = ŷ + e.
    Additive,
    /// y = ŷ·(1 + e); the series must be positive.
    Multiplicative,
}

/// The trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TrendForm {
    /// None.
    None,
    /// A line.
    Additive,
    /// A line that flattens by the factor φ per step.
    Damped,
}

/// The season.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SeasonForm {
    /// None.
    None,
    /// Added to the level.
    Additive,
    /// Multiplies the level; the series must be positive.
    Multiplicative,
}

/// A form of exponential smoothing.
///
/// ```
/// use forecast::ets::{ErrorForm, EtsForm, SeasonForm, TrendForm};
///
/// let form = EtsForm::new(ErrorForm::Multiplicative, TrendForm::Damped, SeasonForm::None);
/// assert_eq!(form.to_string(), "ets(M,Ad,N)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EtsForm {
    /// Error.
    pub error: ErrorForm,
    /// Trend.
    pub trend: TrendForm,
    /// Season.
    pub season: SeasonForm,
}

impl EtsForm {
    /// A form from its parts.
    #[must_use]
    pub const fn new(error: ErrorForm, trend: TrendForm, season: SeasonForm) -> Self {
        Self {
            error,
            trend,
            season,
        }
    }

    /// True when the form needs positive observations.
    #[must_use]
    pub const fn needs_positive(&self) -> bool {
        matches!(self.error, ErrorForm::Multiplicative)
            || matches!(self.season, SeasonForm::Multiplicative)
    }

    /// Number of smoothing parameters: α, and β, φ, γ where they are.
    #[must_use]
    pub const fn smoothing(&self) -> usize {
        let trend = match self.trend {
            TrendForm::None => 0,
            TrendForm::Additive => 1,
            TrendForm::Damped => 2,
        };
        1 + trend
            + if matches!(self.season, SeasonForm::None) {
                0
            } else {
                1
            }
    }

    /// Number of free initial states: level, slope, and a season less one.
    #[must_use]
    pub const fn states(&self, season: usize) -> usize {
        let slope = if matches!(self.trend, TrendForm::None) {
            0
        } else {
            1
        };
        let seasonal = if matches!(self.season, SeasonForm::None) {
            0
        } else {
            season - 1
        };
        1 + slope + seasonal
    }
}

impl std::fmt::Display for EtsForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let error = match self.error {
            ErrorForm::Additive => "A",
            ErrorForm::Multiplicative => "M",
        };
        let trend = match self.trend {
            TrendForm::None => "N",
            TrendForm::Additive => "A",
            TrendForm::Damped => "Ad",
        };
        let season = match self.season {
            SeasonForm::None => "N",
            SeasonForm::Additive => "A",
            SeasonForm::Multiplicative => "M",
        };
        write!(f, "ets({error},{trend},{season})")
    }
}
