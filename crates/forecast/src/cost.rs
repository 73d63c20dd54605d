//! What a fit is going to cost, before it starts.
//!
//! Model: a count of floating-point operations from what is known beforehand: the number of observations,
//! the orders, the season, whether values are missing. It counts what the search does as a rule (starts,
//! iterations, evaluations) times what one evaluation does, so it is an order of size and not a
//! promise: a search may end early or go on to its limit.
//! Does not: measure, or know the machine; [`Cost::seconds`] is for a core of the size of 2026.

use crate::arima::{ArimaOrder, HEAVY, Method};
use crate::ets::LONGEST_SEASON;
use crate::fit::FitOptions;
use crate::spec::ModelSpec;

/// Operations of one core in a second, where the loops are long: measured with the example `cost`.
const OPERATIONS_PER_SECOND: f64 = 1e9;

/// What a fit costs, about.
///
/// ```
/// use forecast::{FitOptions, ModelSpec};
///
/// let cost = |model: &str, n| {
///     let spec: ModelSpec = model.parse().unwrap();
///     spec.cost(n, false, &FitOptions::default()).seconds()
/// };
/// assert!(cost("naive", 1_000) < cost("auto-arima", 1_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Floating-point operations.
    pub operations: f64,
    /// The largest buffers, in bytes.
    pub bytes: f64,
}

impl Cost {
    /// How long a core takes, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.operations / OPERATIONS_PER_SECOND
    }

    fn and(self, other: Self) -> Self {
        Self {
            operations: self.operations + other.operations,
            bytes: self.bytes.max(other.bytes),
        }
    }
}

/// The cost of fitting `spec` to `n` values, and of a forecast from it.
pub(crate) fn cost(spec: ModelSpec, n: usize, missing: bool, options: &FitOptions) -> Cost {
    let season = options.season.max(1);
    match spec {
        ModelSpec::Naive | ModelSpec::Drift | ModelSpec::SeasonalNaive | ModelSpec::Mean => {
            linear(n, 50.0)
        }
        ModelSpec::Ets => ets(n, season),
        // Two starts of a search in three parameters; the season is taken out first.
        ModelSpec::Theta => linear(n, 500.0 + 50.0 * season as f64),
        // Three starts for each of two distributions, of some 200 evaluations, with logarithms in them.
        ModelSpec::Garch => linear(n, 6.0 * 200.0 * 40.0),
        ModelSpec::Arima(order) => arima(&order, n, missing, options.method_weight()),
        ModelSpec::AutoArima => auto_arima(n, missing, season, options.full_search),
        ModelSpec::Combo => [ModelSpec::AutoArima, ModelSpec::Ets, ModelSpec::Theta]
            .into_iter()
            .map(|member| cost(member, n, missing, options))
            .fold(linear(n, 4_000.0), Cost::and),
    }
}

impl FitOptions {
    /// How many starts the search of a fixed ARIMA model has.
    const fn method_weight(&self) -> f64 {
        match self.arima {
            Method::Ml => 10.0,
            Method::CssMl => 4.0,
            Method::Css => 5.0,
        }
    }
}

fn linear(n: usize, each: f64) -> Cost {
    Cost {
        operations: n as f64 * each,
        bytes: n as f64 * 64.0,
    }
}

fn ets(n: usize, season: usize) -> Cost {
    let season = if season > LONGEST_SEASON { 1 } else { season };
    let forms = if season > 1 { 15.0 } else { 6.0 };
    let parameters = 4.0 + season as f64;
    // Most forms end early; a step of the recursion is some twenty operations.
    let evaluations = 0.25 * (forms + 10.0) * ITERATIONS * (parameters + 2.0);
    linear(n, evaluations * (20.0 + parameters))
}

/// Iterations of a search in the mean.
const ITERATIONS: f64 = 12.0;

fn arima(order: &ArimaOrder, n: usize, missing: bool, starts: f64) -> Cost {
    let k = order.coefficients() as f64;
    let evaluations = starts * ITERATIONS * (k + 2.0) + 4.0 * k * k;
    evaluation(order, n, missing, evaluations)
}

/// The order that stands for the walk: its largest are rarely met and cost most, and of a walk with a
/// season most candidates have none.
fn auto_arima(n: usize, missing: bool, season: usize, full: bool) -> Cost {
    let seasonal = if season > 1 && 2 * season < n { 2 } else { 0 };
    let order = ArimaOrder::new(2, 1, 2).seasonal(seasonal.min(1), 1, seasonal, season);
    let candidates = match (full, seasonal > 0) {
        (false, false) => 40.0,
        (false, true) => 10.0,
        (true, false) => 80.0,
        (true, true) => 60.0,
    };
    // Heavy filters are avoided: missing values are filled in.
    let state = order.lost() + 3 * season;
    let missing = missing && state * state * n <= HEAVY;
    let k = order.coefficients() as f64;
    evaluation(&order, n, missing, candidates * ITERATIONS * (k + 2.0))
}

/// So many evaluations of the likelihood, and the filter at the end.
fn evaluation(order: &ArimaOrder, n: usize, missing: bool, evaluations: f64) -> Cost {
    let p = (order.p + order.seasonal_p * order.season) as f64;
    let q = (order.q + order.seasonal_q * order.season) as f64;
    let r = p.max(q + 1.0);
    let state = r + order.lost() as f64;
    let n = n as f64;
    // The full filter changes a covariance of state × state values at every step.
    let full = 6.0 * n * state * state;
    let fast = 3.0 * p * p + 2.0 * p * q + 2.0 * q + n * (10.0 + 8.0 * r.min(60.0));
    let each = if missing { full } else { fast };
    Cost {
        operations: evaluations * each + full,
        bytes: 8.0 * (0.5 * p * p + 3.0 * state * state + 20.0 * n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(name: &str, n: usize, missing: bool, season: usize) -> f64 {
        let spec: ModelSpec = name.parse().unwrap();
        let options = FitOptions {
            season,
            ..FitOptions::default()
        };
        spec.cost(n, missing, &options).seconds()
    }

    #[test]
    fn a_cost_grows_with_the_observations_the_orders_the_season_and_missing_values() {
        for name in [
            "naive",
            "ets",
            "theta",
            "garch",
            "arima(1,1,1)",
            "auto-arima",
            "combo",
        ] {
            assert!(
                seconds(name, 5_000, false, 1) > 5.0 * seconds(name, 500, false, 1),
                "{name}"
            );
            assert!(
                seconds(name, 500, false, 12) >= seconds(name, 500, false, 1),
                "{name}"
            );
            assert!(
                seconds(name, 500, true, 12) >= seconds(name, 500, false, 12),
                "{name}"
            );
        }
        let by_order = [
            "naive",
            "arima(1,1,1)",
            "arima(3,1,3)",
            "arima(1,1,1)(1,1,1)[24]",
            "arima(1,1,1)(2,1,2)[168]",
            "arima(24,1,24)(24,1,24)[400]",
        ]
        .map(|name| seconds(name, 2_000, false, 1));
        assert!(by_order.is_sorted_by(|a, b| a < b), "{by_order:?}");
    }

    #[test]
    fn the_buffers_of_a_long_season_are_known() {
        let spec: ModelSpec = "arima(24,1,24)(24,1,24)[400]".parse().unwrap();
        let cost = spec.cost(20_000, false, &FitOptions::default());
        assert!(cost.bytes > 1e9, "{cost:?}");
        let small = ModelSpec::AutoArima.cost(500, false, &FitOptions::default());
        assert!(small.bytes < 1e6, "{small:?}");
    }
}
