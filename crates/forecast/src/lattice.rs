//! Prices on a grid of ticks that mostly stand still.
//!
//! Model: where a third of the steps or more are zero and the others are whole ticks, the outcome of a
//! few steps takes few values, and a continuous interval ends between two of them: at 80 % of zero
//! steps the 95 % interval of a walk ends 0.9 ticks off and holds 80 %. The continuity correction
//! widens the interval by half a tick on each side, as a binomial is compared with a normal.
//! Does not: change the mean or the standard deviation, or round bounds to ticks.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::fit::Fitted;
use crate::model::{FittedModel, Summary};
use crate::output::{Forecast, Level};
use crate::series::step_rounding;

/// Share of zero steps from which the correction is made.
const STANDING: f64 = 1.0 / 3.0;

/// Steps that must have been seen.
const NEEDED: usize = 10;

/// A model of prices on a grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedLattice {
    inner: Box<Fitted>,
    tick: f64,
}

impl FittedLattice {
    pub(crate) fn new(inner: Fitted, tick: f64) -> Self {
        Self {
            inner: Box::new(inner),
            tick,
        }
    }

    /// The model of the prices as they are.
    pub(crate) fn inner(&self) -> &Fitted {
        &self.inner
    }
}

/// The tick of a series that mostly stands still on a grid: the size of its smallest step that is not
/// zero, where all are whole multiples of it.
pub(crate) fn tick(y: &[f64]) -> Option<f64> {
    let present: Vec<f64> = y.iter().copied().filter(|v| !v.is_nan()).collect();
    let rounding = step_rounding(&present);
    let steps: Vec<f64> = present.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
    let moved = || steps.iter().copied().filter(|step| *step > rounding);
    let standing = steps.len() - moved().count();
    if steps.len() < NEEDED || (standing as f64) < STANDING * steps.len() as f64 {
        return None;
    }
    let smallest = moved().fold(f64::INFINITY, f64::min);
    let whole = |step: f64| {
        let ticks = step / smallest;
        (ticks - ticks.round()).abs() < 1e-3
    };
    (smallest.is_finite() && moved().all(whole)).then_some(smallest)
}

impl FittedModel for FittedLattice {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> Result<Forecast> {
        let mut forecast = self.inner.forecast(horizon, levels)?;
        for band in &mut forecast.intervals {
            for bound in &mut band.lower {
                // What was positive stays so: half a tick is more than half the lowest bound there.
                let positive = if *bound > 0.0 {
                    0.5 * *bound
                } else {
                    f64::NEG_INFINITY
                };
                *bound = (*bound - 0.5 * self.tick).max(positive);
            }
            for bound in &mut band.upper {
                *bound += 0.5 * self.tick;
            }
        }
        forecast.checked()
    }

    fn update(&mut self, y: f64) -> Result<()> {
        self.inner.update(y)
    }

    fn summary(&self) -> Summary {
        self.inner.summary()
    }

    fn residuals(&self) -> &[f64] {
        self.inner.residuals()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_found_where_a_third_of_the_steps_are_zero() {
        let y: Vec<f64> = (0..40).map(|t| 4.0 + 0.01 * f64::from(t / 2 % 5)).collect();
        let found = tick(&y).unwrap();
        assert!((found - 0.01).abs() < 1e-9, "{found}");
    }

    #[test]
    fn neither_moving_prices_nor_steps_off_a_grid_nor_a_constant_have_a_tick() {
        let moving: Vec<f64> = (0..40).map(|t| 4.0 + 0.01 * f64::from(t % 5)).collect();
        assert_eq!(tick(&moving), None);
        let uneven: Vec<f64> = (0..40)
            .map(|t| 4.0 + 0.01 * f64::from(t / 2).powf(1.3))
            .collect();
        assert_eq!(tick(&uneven), None);
        assert_eq!(tick(&[4.0; 40]), None);
    }
}
