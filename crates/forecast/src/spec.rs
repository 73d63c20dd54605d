//! The names of models, as the command line, the server and the browser take them.
//!
//! Model: a [`ModelSpec`] is a parsed name; it is read and written as that name everywhere (serde
//! included) and is the dynamic entry point: [`ModelSpec::fit`] turns a name and a series into a
//! fitted model.
//! Does not: cover the neural models; they live in their own crate.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::arima::ArimaOrder;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::fit::{FitOptions, Fitted};
use crate::model::FittedModel;

/// A model by name.
///
/// ```
/// use forecast::ModelSpec;
/// let spec: ModelSpec = "arima(1,1,1)+drift".parse()?;
/// assert_eq!(spec.to_string(), "arima(1,1,1)+drift");
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelSpec {
    /// `naive`: the last value.
    Naive,
    /// `drift`: the random walk with drift.
    Drift,
    /// `snaive`: the last value of the same season; the season comes from [`FitOptions`].
    SeasonalNaive,
    /// `mean`: the mean of the series.
    Mean,
    /// `ets`: exponential smoothing, form chosen by AICc.
    Ets,
    /// `theta`: the theta method, optimised unless [`FitOptions::theta`] says otherwise.
    Theta,
    /// `arima(p,d,q)(P,D,Q)[m]` with an optional constant.
    Arima(ArimaOrder),
    /// `auto-arima`: orders by Hyndman & Khandakar.
    AutoArima,
    /// `garch`: a random walk with drift whose returns have GARCH(1,1) variance.
    Garch,
    /// `combo`: the mean of auto-arima, ets and both theta methods.
    Combo,
}

impl ModelSpec {
    /// What every other model has to do better than.
    pub const BASELINES: [ModelSpec; 3] = [Self::Naive, Self::Drift, Self::SeasonalNaive];

    /// Every model whose name takes no orders, in the order that help texts list them.
    pub const NAMED: [ModelSpec; 9] = [
        Self::Naive,
        Self::Drift,
        Self::SeasonalNaive,
        Self::Mean,
        Self::Ets,
        Self::Theta,
        Self::AutoArima,
        Self::Garch,
        Self::Combo,
    ];

    /// Fits the model to `y` (oldest first, equally spaced, NaN for missing).
    ///
    /// # Errors
    /// Whatever the model refuses: too few observations, values that are not finite (or not
    /// positive with [`FitOptions::log`]), numbers that break down; [`Error::Cancelled`] within a
    /// [`crate::CancelToken::scope`].
    pub fn fit(&self, y: &[f64], options: &FitOptions) -> Result<Box<dyn FittedModel>> {
        Ok(Box::new(self.fit_owned(y, options)?))
    }

    /// What fitting the model to `observations` values costs, about; `missing`: whether some of them are
    /// NaN.
    #[must_use]
    pub fn cost(&self, observations: usize, missing: bool, options: &FitOptions) -> Cost {
        crate::cost::cost(*self, observations, missing, options)
    }

    /// The longest season that the model can use, in steps; none where [`FitOptions::season`] is nothing to it.
    pub(crate) fn longest_season(self) -> Option<usize> {
        match self {
            Self::Naive | Self::Drift | Self::Mean | Self::Arima(_) | Self::Garch => None,
            Self::SeasonalNaive | Self::Theta | Self::AutoArima => {
                Some(crate::arima::MAX_SEASON_STEPS)
            }
            // The combination smooths, too.
            Self::Ets | Self::Combo => Some(crate::ets::LONGEST_SEASON),
        }
    }

    /// As [`Self::fit`], giving the concrete type that can be saved with serde.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn fit_owned(&self, y: &[f64], options: &FitOptions) -> Result<Fitted> {
        crate::fit::fit(*self, y, options)
    }
}

impl std::fmt::Display for ModelSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Naive => "naive",
            Self::Drift => "drift",
            Self::SeasonalNaive => "snaive",
            Self::Mean => "mean",
            Self::Ets => "ets",
            Self::Theta => "theta",
            Self::Arima(order) => return order.fmt(f),
            Self::AutoArima => "auto-arima",
            Self::Garch => "garch",
            Self::Combo => "combo",
        })
    }
}

const EXPECTED: &str = "naive, drift, snaive, mean, ets, theta, arima(p,d,q), \
                        arima(p,d,q)(P,D,Q)[m], either with +mean or +drift, auto-arima, garch or combo";

impl std::str::FromStr for ModelSpec {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self> {
        let name = input.trim();
        if name.starts_with("arima") {
            return name.parse().map(Self::Arima);
        }
        Self::NAMED
            .into_iter()
            .find(|spec| spec.to_string() == name)
            .ok_or_else(|| Error::parse(input, EXPECTED))
    }
}

impl Serialize for ModelSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ModelSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_itself() {
        for name in [
            "naive",
            "drift",
            "snaive",
            "mean",
            "ets",
            "theta",
            "auto-arima",
            "garch",
            "combo",
            "arima(1,1,1)",
            "arima(0,1,1)(0,1,1)[12]",
            "arima(2,0,0)+mean",
            "arima(0,1,0)+drift",
            "arima(1,0,0)(0,1,1)[4]+drift",
        ] {
            let spec: ModelSpec = name.parse().unwrap();
            assert_eq!(spec.to_string(), name);
            let json = serde_json::to_string(&spec).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<ModelSpec>(&json).unwrap(), spec);
        }
    }

    #[test]
    fn a_season_that_no_order_uses_is_left_out() {
        let spec: ModelSpec = "arima(1,0,0)(0,0,0)[4]+mean".parse().unwrap();
        assert_eq!(spec, "arima(1,0,0)+mean".parse().unwrap());
    }

    #[test]
    fn anything_else_is_refused_with_what_was_expected() {
        for name in [
            "",
            "Naive",
            "arima",
            "arima(1,1)",
            "arima(1,1,1,1)",
            "arima(1,1,1)(0,1,1)",
            "arima(1,1,1)(0,1,1)[0]",
            "arima(1,1,1)(0,1,1)[1]",
            "arima(1,1,1)+mean",
            "arima(1,2,1)+drift",
            "arima(1,1,1)+mean+drift",
            "arima(-1,1,1)",
            "arima(99999999999999999999,1,1)",
            "arima(99,1,1)",
            "arima(1, 1, 1)",
            "auto_arima",
        ] {
            assert!(name.parse::<ModelSpec>().is_err(), "{name}");
        }
    }
}
