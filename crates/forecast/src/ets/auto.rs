//! The choice of form by AICc.
//!
//! Model: every sensible form is fitted and the lowest AICc wins; the winner is searched again from
//! more starts. Ties go to the earlier, simpler form. A form that needs positive values and whose own
//! forecasts do not stay positive over the next steps contradicts itself and is refused.
//! Does not: choose a transformation.

use super::fitted::FittedEts;
use super::form::{ErrorForm, EtsForm, SeasonForm, TrendForm};
use super::objective::Smoothable;
use crate::error::{Error, Result};
use crate::least_squares::LeastSquares;
use crate::model::Model;

/// Longest season that is smoothed, in steps: every one of them is a state to estimate.
pub const LONGEST_SEASON: usize = 24;

/// Exponential smoothing with the form chosen by AICc.
///
/// ```
/// use forecast::ets::AutoEts;
/// use forecast::{FittedModel, Model};
///
/// let y: Vec<f64> = (0..40).map(|t| f64::from(t) + f64::from(t * 7 % 5)).collect();
/// let fitted = AutoEts { season: 1 }.fit(&y)?;
/// println!("{}: {:?}", fitted.form(), fitted.forecast(3, &[])?.mean);
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoEts {
    /// Steps in a season; 1 for none, and seasons above 24 steps are left out.
    pub season: usize,
}

impl Model for AutoEts {
    type Fitted = FittedEts;

    fn name(&self) -> String {
        "ets".to_owned()
    }

    fn fit(&self, y: &[f64]) -> Result<FittedEts> {
        if self.season == 0 {
            return Err(Error::argument("season", "expected at least 1 step, got 0"));
        }
        let season = if self.season > LONGEST_SEASON {
            1
        } else {
            self.season
        };
        let data = Smoothable::new(y, season)?;
        let lead = y.iter().take_while(|v| v.is_nan()).count();
        if data.constant {
            return data.conclude_constant(lead);
        }
        let mut search = LeastSquares::default();
        let mut found: Vec<(f64, EtsForm, f64, Vec<f64>)> = Vec::new();
        for form in forms(season > 1 && data.present > 2 * season, data.positive) {
            if let Some((value, x)) = data.fit(form, &mut search, false)
                && let Some(aicc) = data.aicc(form, value)
                && data.stays_positive(form, &x)
            {
                found.push((aicc, form, value, x));
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Some((_, form, value, x)) = found.into_iter().next() else {
            return Err(Error::TooShort {
                model: self.name(),
                needed: 6,
                got: data.present,
            });
        };
        let better = data
            .fit(form, &mut search, true)
            .filter(|(lower, _)| *lower < value);
        let (value, x) = better.unwrap_or((value, x));
        data.conclude(form, value, &x, lead)
    }
}

/// The forms that suit the series, simplest first.
fn forms(seasonal: bool, positive: bool) -> Vec<EtsForm> {
    let mut found = Vec::new();
    for season in [
        SeasonForm::None,
        SeasonForm::Additive,
        SeasonForm::Multiplicative,
    ] {
        for trend in [TrendForm::None, TrendForm::Additive, TrendForm::Damped] {
            for error in [ErrorForm::Additive, ErrorForm::Multiplicative] {
                let form = EtsForm::new(error, trend, season);
                let mixed = error == ErrorForm::Additive && season == SeasonForm::Multiplicative;
                let fits = (seasonal || season == SeasonForm::None)
                    && (positive || !form.needs_positive())
                    && !mixed;
                if fits {
                    found.push(form);
                }
            }
        }
    }
    found
}
