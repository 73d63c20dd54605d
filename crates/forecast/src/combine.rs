//! Combinations of models: equal or given weights.
//!
//! Model: point forecasts are averaged with the weights, and so are the bounds of the intervals and
//! the standard deviations (averaging quantiles keeps the shape of the members' distributions;
//! Lichtendahl, Grushka-Cockayne & Winkler 2013, Management Science 59(7)). A member that cannot be
//! fitted is left out and the weights of the others are scaled up; the name says who is in it.
//! Does not: estimate the weights.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fit::{FitOptions, Fitted, check_season, fit_plain};
use crate::model::{FittedModel, Parameter, Summary};
use crate::output::{Forecast, Interval, Level, check_request};
use crate::series::{check_value, nullable};
use crate::spec::ModelSpec;
use crate::theta::ThetaKind;

/// A weighted combination of models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Combination {
    members: Vec<Member>,
}

/// A model and its weight; a theta method may be of another kind than the options say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Member {
    spec: ModelSpec,
    theta: Option<ThetaKind>,
    weight: f64,
}

impl Combination {
    /// The mean of the members' forecasts.
    #[must_use]
    pub fn mean(members: &[ModelSpec]) -> Self {
        let member = |spec: &ModelSpec| Member {
            spec: *spec,
            theta: None,
            weight: 1.0,
        };
        Self {
            members: members.iter().map(member).collect(),
        }
    }

    /// A weighted mean; weights need not sum to 1.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is no member, or a weight is negative or not finite, or all
    /// are 0.
    pub fn weighted(members: &[(ModelSpec, f64)]) -> Result<Self> {
        let total: f64 = members.iter().map(|(_, weight)| weight).sum();
        let legal = members.iter().all(|(_, weight)| *weight >= 0.0) && total.is_finite();
        if !legal || total <= 0.0 {
            let reason = "expected at least one member and weights that are not negative";
            return Err(Error::argument("weights", reason));
        }
        let member = |(spec, weight): &(ModelSpec, f64)| Member {
            spec: *spec,
            theta: None,
            weight: *weight,
        };
        Ok(Self {
            members: members.iter().map(member).collect(),
        })
    }

    /// The combination that `combo` means: the mean of auto-arima, ets and both theta methods, the
    /// optimised and the standard one.
    #[must_use]
    pub fn standard() -> Self {
        let member = |spec, theta| Member {
            spec,
            theta,
            weight: 1.0,
        };
        Self {
            members: vec![
                member(ModelSpec::AutoArima, None),
                member(ModelSpec::Ets, None),
                member(ModelSpec::Theta, Some(ThetaKind::Optimised)),
                member(ModelSpec::Theta, Some(ThetaKind::Standard)),
            ],
        }
    }

    /// Fits every member.
    ///
    /// # Errors
    /// The first member's error when none can be fitted.
    pub fn fit(&self, y: &[f64], options: &FitOptions) -> Result<FittedCombination> {
        check_season(options)?;
        let plain = FitOptions {
            log: false,
            ..options.clone()
        };
        let mut members = Vec::new();
        let mut first_error = None;
        for Member {
            spec,
            theta,
            weight,
        } in &self.members
        {
            if *spec == ModelSpec::Combo {
                return Err(Error::Unsupported {
                    what: "a combination inside one".to_owned(),
                });
            }
            let own = FitOptions {
                theta: theta.unwrap_or(options.theta),
                ..plain.clone()
            };
            // The grid of the prices widens the combination, not its members.
            match fit_plain(*spec, y, &own) {
                Ok(fitted) => members.push((fitted, *weight)),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        if members.is_empty() {
            return Err(first_error.unwrap_or(Error::argument("members", "expected at least one")));
        }
        let total: f64 = members.iter().map(|(_, weight)| weight).sum();
        let mut residuals = vec![0.0; y.len()];
        for (member, weight) in &mut members {
            *weight /= total;
            for (sum, residual) in residuals.iter_mut().zip(member.level_residuals(y)) {
                *sum += *weight * residual;
            }
        }
        Ok(FittedCombination { members, residuals })
    }
}

/// A fitted combination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedCombination {
    /// Members and their weights, which sum to 1.
    members: Vec<(Fitted, f64)>,
    #[serde(with = "nullable")]
    residuals: Vec<f64>,
}

impl FittedCombination {
    /// The fitted members and their weights.
    #[must_use]
    pub fn members(&self) -> &[(Fitted, f64)] {
        &self.members
    }
}

/// The weighted mean of forecasts of the same horizon and levels.
///
/// # Errors
/// [`Error::Argument`] when there is none, or when their horizons or levels differ.
pub fn combine(name: String, forecasts: &[(Forecast, f64)]) -> Result<Forecast> {
    let Some((first, _)) = forecasts.first() else {
        return Err(Error::argument("forecasts", "expected at least one"));
    };
    let alike = |other: &Forecast| {
        other.mean.len() == first.mean.len()
            && other.intervals.len() == first.intervals.len()
            && other
                .intervals
                .iter()
                .zip(&first.intervals)
                .all(|(a, b)| a.level == b.level)
    };
    if !forecasts.iter().all(|(forecast, _)| alike(forecast)) {
        return Err(Error::argument(
            "forecasts",
            "horizons and levels must agree",
        ));
    }
    let total: f64 = forecasts.iter().map(|(_, weight)| weight).sum();
    let average = |pick: &dyn Fn(&Forecast) -> &[f64]| -> Vec<f64> {
        let mut sum = vec![0.0; first.mean.len()];
        for (forecast, weight) in forecasts {
            for (sum, value) in sum.iter_mut().zip(pick(forecast)) {
                *sum += weight / total * value;
            }
        }
        sum
    };
    let sd = if forecasts.iter().all(|(forecast, _)| forecast.sd.is_some()) {
        Some(average(&|forecast| {
            forecast.sd.as_deref().unwrap_or_default()
        }))
    } else {
        None
    };
    let intervals = (0..first.intervals.len())
        .map(|i| Interval {
            level: first.intervals[i].level,
            lower: average(&|forecast| &forecast.intervals[i].lower),
            upper: average(&|forecast| &forecast.intervals[i].upper),
        })
        .collect();
    Forecast {
        mean: average(&|forecast| &forecast.mean),
        sd,
        intervals,
        model: name,
    }
    .checked()
}

impl FittedModel for FittedCombination {
    fn name(&self) -> String {
        let names: Vec<String> = self
            .members
            .iter()
            .map(|(member, _)| member.name())
            .collect();
        format!("combo[{}]", names.join(", "))
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        check_request(horizon, levels)?;
        let forecasts = self
            .members
            .iter()
            .map(|(member, weight)| Ok((member.forecast(horizon, levels)?, *weight)))
            .collect::<Result<Vec<_>>>()?;
        combine(self.name(), &forecasts)
    }

    fn update(&mut self, y: f64) -> Result<()> {
        check_value(self.residuals.len(), y)?;
        // Smoothing can refuse a value, so it goes first: then no member has moved yet.
        for smoothing in [true, false] {
            for (member, _) in &mut self.members {
                if matches!(member, Fitted::Ets(_)) == smoothing {
                    member.update(y)?;
                }
            }
        }
        Ok(())
    }

    fn summary(&self) -> Summary {
        let params = self
            .members
            .iter()
            .map(|(member, weight)| Parameter::new(format!("weight {}", member.name()), *weight))
            .collect();
        Summary {
            model: self.name(),
            params,
            observations: self.residuals.iter().filter(|v| !v.is_nan()).count(),
            ljung_box: crate::diagnostics::ljung_box(&self.residuals, 1, 0),
            ..Summary::default()
        }
    }

    fn residuals(&self) -> &[f64] {
        &self.residuals
    }
}
