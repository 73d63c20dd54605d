//! The choice of orders: Hyndman & Khandakar (2008), J. Stat. Software 27(3).
//!
//! Model: the number of differences comes from tests (see [`super::unit_root`]); the orders from a
//! stepwise walk that moves to neighbours with a lower AICc (and looks a little further before it
//! stops), or from a full search. Every candidate is fitted by exact maximum likelihood, never by the
//! conditional approximation, so AICc is compared like with like. As in R, candidates with a root
//! within 1 % of the unit circle are refused. On a long seasonal series with missing values candidates
//! are ranked on the interpolated series and the best three are fitted exactly.
//! Does not: choose a transformation, or which regressors to use.

use std::collections::HashMap;

use super::estimate::{Optimum, Search, spread};
use super::fitted::{FittedArima, Method};
use super::order::{ArimaOrder, Constant, MAX_SEASON_STEPS};
use super::polynomial::difference;
use super::problem::{HEAVY, Problem};
use super::score::score;
use super::unit_root::{differences, seasonal_differences, without};
use crate::decompose::interpolate;
use crate::error::{Error, Result};
use crate::least_squares::{COARSE, FINE};
use crate::model::Model;
use crate::series::check_series;

/// Automatic choice of a seasonal ARIMA model. [`AutoArima::new`] has R's defaults.
///
/// ```
/// use forecast::arima::AutoArima;
/// use forecast::{FittedModel, Level, Model};
///
/// let y: Vec<f64> = (0..40).map(|t| f64::from(t) + f64::from(t * 7 % 5)).collect();
/// let fitted = AutoArima::new(1).fit(&y)?;
/// println!("{} {:?}", fitted.name(), fitted.forecast(5, &Level::DEFAULT)?.mean);
/// # Ok::<(), forecast::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoArima {
    /// Steps in a season; 1 for none.
    pub season: usize,
    /// Largest p and q.
    pub most: usize,
    /// Largest P and Q.
    pub most_seasonal: usize,
    /// Largest p + q + P + Q in a full search.
    pub most_total: usize,
    /// Walk stepwise (true) or try all orders (false).
    pub stepwise: bool,
}

impl AutoArima {
    /// The stepwise search with p, q ≤ 5 and P, Q ≤ 2.
    #[must_use]
    pub const fn new(season: usize) -> Self {
        Self {
            season,
            most: 5,
            most_seasonal: 2,
            most_total: 5,
            stepwise: true,
        }
    }

    /// The same, trying every combination of orders with p + q + P + Q ≤ 5.
    #[must_use]
    pub const fn full(self) -> Self {
        Self {
            stepwise: false,
            ..self
        }
    }
}

/// Most candidates of a stepwise walk.
const MOST_STEPS: usize = 150;

impl Model for AutoArima {
    type Fitted = FittedArima;

    fn name(&self) -> String {
        "auto-arima".to_owned()
    }

    fn fit(&self, y: &[f64]) -> Result<FittedArima> {
        self.fit_with(y, &[])
    }
}

impl AutoArima {
    /// As [`Model::fit`], with exogenous regressors: one column each, as long as the series, all
    /// finite. The differences are those of what is left of the series without them.
    ///
    /// # Errors
    /// As there, and for regressors that do not fit the series.
    pub fn fit_with(&self, y: &[f64], regressors: &[Vec<f64>]) -> Result<FittedArima> {
        if self.season == 0 || self.season > MAX_SEASON_STEPS {
            let reason = format!(
                "expected 1 to {MAX_SEASON_STEPS} steps, got {}",
                self.season
            );
            return Err(Error::argument("season", reason));
        }
        check_series("auto-arima", y, 2)?;
        let lead = y.iter().take_while(|v| v.is_nan()).count();
        if !regressors.is_empty() {
            // Says what is wrong with one before anything is made of it.
            Problem::new(y, regressors, ArimaOrder::new(0, 0, 0))?;
        }
        let left = without(y, regressors);
        let mut walk = Walk::new(self, y, &left[lead..], regressors)?;
        if let Some(fitted) = walk.degenerate(y)? {
            return Ok(fitted);
        }
        if self.stepwise {
            walk.stepwise();
        } else {
            walk.full();
        }
        walk.conclude(y)
    }
}

/// The moves of the walk in (p, q, P, Q), in the order that they are tried.
const MOVES: [[isize; 4]; 16] = [
    [0, 0, -1, 0],
    [0, 0, 0, -1],
    [0, 0, 1, 0],
    [0, 0, 0, 1],
    [0, 0, -1, -1],
    [0, 0, -1, 1],
    [0, 0, 1, -1],
    [0, 0, 1, 1],
    [-1, 0, 0, 0],
    [0, -1, 0, 0],
    [1, 0, 0, 0],
    [0, 1, 0, 0],
    [-1, -1, 0, 0],
    [-1, 1, 0, 0],
    [1, -1, 0, 0],
    [1, 1, 0, 0],
];

/// The search over one series.
struct Walk<'a> {
    regressors: &'a [Vec<f64>],
    most_p: usize,
    most_q: usize,
    most_seasonal_p: usize,
    most_seasonal_q: usize,
    most_total: usize,
    base: ArimaOrder,
    /// The problem without and, where one is allowed, with a constant.
    problems: Vec<Problem>,
    /// Candidates are ranked on the interpolated series: the exact filter would take too long.
    interpolated: bool,
    tried: HashMap<ArimaOrder, f64>,
    found: Vec<(f64, ArimaOrder, Optimum)>,
    search: Search,
}

/// Observations from which the test for a unit root decides. It hardly ever rejects with fewer: a walk
/// would be taken for noise around a mean, and the 95 % interval of the next step would hold 86 %.
const TESTABLE: usize = 15;

impl<'a> Walk<'a> {
    /// A walk over `whole`; the differences are taken from `y`, which is what its regressors leave.
    fn new(
        model: &AutoArima,
        whole: &[f64],
        y: &[f64],
        regressors: &'a [Vec<f64>],
    ) -> Result<Self> {
        let present = y.iter().filter(|v| !v.is_nan()).count();
        let season = if model.season < y.len() {
            model.season
        } else {
            1
        };
        let seasonal_d = seasonal_differences(y, season);
        let seasonal = ArimaOrder::new(0, 0, 0).seasonal(0, seasonal_d, 0, season);
        let d = if present < TESTABLE {
            1
        } else {
            differences(&difference(y, &seasonal), 2)
        };
        let base = ArimaOrder { d, ..seasonal };
        // With missing values every evaluation is a full Kalman filter.
        let state = base.lost() + (model.most_seasonal + 1) * season;
        let interpolated = present < y.len() && state * state * y.len() > HEAVY;
        let filled = if interpolated {
            interpolate(whole, season)
        } else {
            Vec::new()
        };
        let data = if interpolated { &filled } else { whole };
        let problems = problems(data, regressors, base)?;
        let third = present / 3;
        let mut most = model.most.min(third);
        let most_seasonal = if season > 1 {
            model.most_seasonal.min(third / season)
        } else {
            0
        };
        if season > 1 && model.most_seasonal > 0 {
            most = most.min(season - 1);
        }
        Ok(Self {
            regressors,
            most_p: most,
            most_q: most,
            most_seasonal_p: most_seasonal,
            most_seasonal_q: most_seasonal,
            most_total: model.most_total,
            base,
            problems,
            interpolated,
            tried: HashMap::new(),
            found: Vec::new(),
            search: Search::default(),
        })
    }

    /// A series that a constant or nothing explains without error.
    fn degenerate(&mut self, y: &[f64]) -> Result<Option<FittedArima>> {
        let mut exact = if self.interpolated {
            problems(y, self.regressors, self.base)?
        } else {
            Vec::new()
        };
        let exact = if self.interpolated {
            &mut exact
        } else {
            &mut self.problems
        };
        for problem in exact {
            if problem.is_degenerate() {
                return FittedArima::degenerate(problem, Method::Ml, self.regressors.len())
                    .map(Some);
            }
        }
        Ok(None)
    }

    fn problem(&mut self, order: &ArimaOrder) -> Option<&mut Problem> {
        let index = usize::from(order.constant != Constant::None);
        let problem = self.problems.get_mut(index)?;
        problem.reorder(*order);
        Some(problem)
    }

    /// AICc of a candidate, infinite when it is refused; each is fitted once.
    fn criterion(&mut self, order: ArimaOrder) -> f64 {
        if let Some(known) = self.tried.get(&order) {
            return *known;
        }
        let value = match self.fit(order) {
            Some((value, optimum)) => {
                self.found.push((value, order, optimum));
                value
            }
            None => f64::INFINITY,
        };
        self.tried.insert(order, value);
        value
    }

    fn fit(&mut self, order: ArimaOrder) -> Option<(f64, Optimum)> {
        let mut search = std::mem::take(&mut self.search);
        let mut starts = vec![vec![0.0; order.coefficients()]];
        if order.p > 1 && order.q > 1 && order.season == 1 {
            // Two terms on both sides: several optima are the rule. (With a season the walk has more
            // ways around a poor one, and a fit costs more.)
            starts.extend(spread(&order));
        }
        let lowest = self.tried.values().copied().fold(f64::INFINITY, f64::min);
        let problem = self.problem(&order)?;
        let mut best: Option<(f64, Optimum)> = None;
        for start in starts {
            let found = search.from(problem, &start, COARSE, false);
            let value = found.as_ref().and_then(|found| score(problem, found));
            if let (Some(value), Some(found)) = (value, found)
                && best.as_ref().is_none_or(|(lowest, _)| value < *lowest)
            {
                best = Some((value, found));
            }
            // More starts are for who takes the lead. Measured on 200 series of prices: the mean AICc is
            // 0.27 higher than with all starts for all, in less than half the time.
            if best.as_ref().is_some_and(|(value, _)| *value >= lowest) {
                break;
            }
        }
        self.search = search;
        best
    }

    fn start(&self, p: usize, q: usize, seasonal_p: usize, seasonal_q: usize) -> ArimaOrder {
        ArimaOrder {
            p: p.min(self.most_p),
            q: q.min(self.most_q),
            seasonal_p: seasonal_p.min(self.most_seasonal_p),
            seasonal_q: seasonal_q.min(self.most_seasonal_q),
            constant: self.constant(),
            ..self.base
        }
    }

    fn constant(&self) -> Constant {
        self.problems
            .last()
            .map_or(Constant::None, |problem| problem.order.constant)
    }

    fn stepwise(&mut self) {
        let mut best = self.start(2, 2, 1, 1);
        let mut lowest = self.criterion(best);
        let mut starts = vec![
            self.start(0, 0, 0, 0),
            self.start(1, 0, 1, 0),
            self.start(0, 1, 0, 1),
            self.start(0, 0, 0, 0).with(Constant::None),
        ];
        starts.dedup();
        for start in starts {
            let value = self.criterion(start);
            if value < lowest {
                (best, lowest) = (start, value);
            }
        }
        while self.tried.len() < MOST_STEPS {
            let next = MOVES
                .into_iter()
                .find_map(|step| self.improve(best, step, lowest));
            let next = next.or_else(|| {
                let constant = self.constant();
                let other = if best.constant == constant {
                    Constant::None
                } else {
                    constant
                };
                let order = best.with(other);
                let value = self.criterion(order);
                (value < lowest).then_some((order, value))
            });
            match next.or_else(|| self.second_look(best, lowest)) {
                Some(found) => (best, lowest) = found,
                None => break,
            }
        }
    }

    /// Where no neighbour is better: the best of all seasonal orders with these plain ones, and of
    /// all small plain orders with these seasonal ones, with and without the constant.
    fn second_look(&mut self, from: ArimaOrder, lowest: f64) -> Option<(ArimaOrder, f64)> {
        let mut orders = Vec::new();
        for first in 0..=2 {
            for second in 0..=2 {
                let (seasonal_p, seasonal_q) = (first, second);
                if first <= self.most_seasonal_p && second <= self.most_seasonal_q {
                    orders.push(ArimaOrder {
                        seasonal_p,
                        seasonal_q,
                        ..from
                    });
                }
                if first <= self.most_p && second <= self.most_q {
                    orders.push(ArimaOrder {
                        p: first,
                        q: second,
                        ..from
                    });
                }
            }
        }
        let other = if from.constant == Constant::None {
            self.constant()
        } else {
            Constant::None
        };
        for index in 0..orders.len() {
            let order = orders[index];
            if order.seasonal_p == from.seasonal_p && order.seasonal_q == from.seasonal_q {
                orders.push(order.with(other));
            }
        }
        let mut best = None;
        let mut value = lowest;
        for order in orders {
            let found = self.criterion(order);
            if found < value {
                (best, value) = (Some(order), found);
            }
        }
        best.map(|order| (order, value))
    }

    /// The neighbour one move away, if it is better; when it is refused (roots near 1), the one
    /// behind it is looked at, so that a refused model is no wall.
    fn improve(
        &mut self,
        from: ArimaOrder,
        step: [isize; 4],
        lowest: f64,
    ) -> Option<(ArimaOrder, f64)> {
        let mut order = from;
        for _ in 0..2 {
            order = self.moved(order, step)?;
            let value = self.criterion(order);
            if value < lowest {
                return Some((order, value));
            }
            if value.is_finite() {
                return None;
            }
        }
        None
    }

    fn moved(&self, order: ArimaOrder, step: [isize; 4]) -> Option<ArimaOrder> {
        let within = |value: usize, step: isize, most: usize| {
            value
                .checked_add_signed(step)
                .filter(|moved| *moved <= most)
        };
        Some(ArimaOrder {
            p: within(order.p, step[0], self.most_p)?,
            q: within(order.q, step[1], self.most_q)?,
            seasonal_p: within(order.seasonal_p, step[2], self.most_seasonal_p)?,
            seasonal_q: within(order.seasonal_q, step[3], self.most_seasonal_q)?,
            ..order
        })
    }

    fn full(&mut self) {
        let constant = self.constant();
        for p in 0..=self.most_p {
            for q in 0..=self.most_q {
                for seasonal_p in 0..=self.most_seasonal_p {
                    for seasonal_q in 0..=self.most_seasonal_q {
                        if p + q + seasonal_p + seasonal_q > self.most_total {
                            continue;
                        }
                        let order = ArimaOrder {
                            p,
                            q,
                            seasonal_p,
                            seasonal_q,
                            ..self.base
                        };
                        self.criterion(order);
                        if constant != Constant::None {
                            self.criterion(order.with(constant));
                        }
                    }
                }
            }
        }
    }

    /// The best candidate, searched again from many starts.
    fn conclude(mut self, y: &[f64]) -> Result<FittedArima> {
        let fault = || Error::numeric("auto-arima", "no model could be fitted");
        let mut search = std::mem::take(&mut self.search);
        if self.interpolated {
            self.problems = problems(y, self.regressors, self.base)?;
            self.found.sort_by(|a, b| a.0.total_cmp(&b.0));
            let best: Vec<_> = self.found.drain(..).take(3).collect();
            for (_, order, optimum) in best {
                let problem = self.problem(&order).ok_or_else(fault)?;
                if let Some(exact) = search.from(problem, &optimum.x, COARSE, false)
                    && let Some(value) = score(problem, &exact)
                {
                    self.found.push((value, order, exact));
                }
            }
        }
        self.found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (value, order, optimum) = self.found.first().cloned().ok_or_else(fault)?;
        let count = self.regressors.len();
        let problem = self.problem(&order).ok_or_else(fault)?;
        let better = search
            .thorough(problem, std::slice::from_ref(&optimum.x), false)
            .filter(|found| score(problem, found).is_some_and(|score| score <= value));
        let best = match better {
            Some(found) => found,
            None => search
                .from(problem, &optimum.x, FINE, false)
                .filter(|found| score(problem, found).is_some())
                .unwrap_or(optimum),
        };
        FittedArima::conclude(problem, &best, Method::Ml, count)
    }
}

/// The problems of a walk: without a constant and, where the differences allow one, with it.
fn problems(y: &[f64], regressors: &[Vec<f64>], base: ArimaOrder) -> Result<Vec<Problem>> {
    let mut problems = vec![Problem::new(y, regressors, base)?];
    let constant = match base.d + base.seasonal_d {
        0 => Constant::Mean,
        1 => Constant::Drift,
        _ => Constant::None,
    };
    if constant != Constant::None
        && let Ok(problem) = Problem::new(y, regressors, base.with(constant))
    {
        problems.push(problem);
    }
    Ok(problems)
}
