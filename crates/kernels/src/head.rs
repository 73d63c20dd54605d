//! The quantile head: from what the last linear layer gives to quantiles that cannot cross, the pinball
//! loss on them, and its gradient.
//!
//! Model: of each step ahead the layer gives one number per level. The middle level is taken as it is;
//! going outwards each further quantile lies a positive gap away, the gap being the squareplus
//! (x + √(x² + 4))/2 of the number (Barron 2021, "Squareplus: a softplus-like algebraic rectifier":
//! only a square root, so the same bits on every platform). The result is stretched by the step's growth
//! (√step: a random walk then looks alike at every horizon) and by the scale of the window, and moved to
//! its centre. The loss is the mean pinball loss over steps, levels and windows (Koenker & Bassett 1978),
//! each step divided by its growth, so that no horizon outweighs the others.
//! Does not: know what the units are; see crate `neural` for the windows.

use crate::error::{Error, Result};

/// How the spread of the targets grows with the step ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Growth {
    /// Alike at each step.
    Even,
    /// As √step, the growth of a random walk.
    #[default]
    SquareRoot,
}

/// Levels and horizon of a network's forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantileHead {
    horizon: usize,
    levels: Vec<f32>,
    growth: Growth,
    middle: usize,
}

/// Centre and scale of a sequence: quantile = centre + scale·(what the network says).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Added last.
    pub centre: f32,
    /// Positive.
    pub scale: f32,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            centre: 0.0,
            scale: 1.0,
        }
    }
}

impl QuantileHead {
    /// The deciles, which CRPS is estimated from, and the bounds of 95 %.
    pub const LEVELS: [f32; 11] = [0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975];

    /// The longest horizon, in steps.
    pub const LONGEST: usize = 1_024;

    /// A head for `horizon` steps and these levels (probabilities, rising).
    ///
    /// # Errors
    /// [`Error::Config`] for a horizon outside 1 to [`Self::LONGEST`], or levels that are none, not rising
    /// or outside (0, 1).
    pub fn new(horizon: usize, levels: &[f32], growth: Growth) -> Result<Self> {
        if horizon == 0 || horizon > Self::LONGEST {
            let reason = format!("expected 1 to {}, got {horizon}", Self::LONGEST);
            return Err(Error::config("horizon", reason));
        }
        let rising = levels.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = levels.iter().all(|p| *p > 0.0 && *p < 1.0);
        if levels.is_empty() || levels.len() > 99 || !rising || !inside {
            let reason = "expected 1 to 99 rising probabilities between 0 and 1";
            return Err(Error::config("levels", reason));
        }
        let distance = |p: &f32| (p - 0.5).abs();
        let mut middle = 0;
        for (q, level) in levels.iter().enumerate() {
            if distance(level) < distance(&levels[middle]) {
                middle = q;
            }
        }
        Ok(Self {
            horizon,
            levels: levels.to_vec(),
            growth,
            middle,
        })
    }

    /// Steps ahead.
    #[must_use]
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// Probabilities, rising.
    #[must_use]
    pub fn levels(&self) -> &[f32] {
        &self.levels
    }

    /// Growth of the spread.
    #[must_use]
    pub fn growth(&self) -> Growth {
        self.growth
    }

    /// Index of the level next to a half.
    #[must_use]
    pub fn middle(&self) -> usize {
        self.middle
    }

    /// Numbers per sequence: steps times levels, the levels of a step side by side.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.horizon * self.levels.len()
    }

    /// Spread of step `step`, counted from 0, against that of the first.
    #[must_use]
    pub fn spread(&self, step: usize) -> f32 {
        match self.growth {
            Growth::Even => 1.0,
            Growth::SquareRoot => ((step + 1) as f32).sqrt(),
        }
    }

    /// The quantiles of a step as a product: its numbers in a row, the middle as it is and the gaps positive, times
    /// this matrix of level × level (ones and minus ones), are its quantiles. For those that have matrices and no
    /// loops; [`Self::quantiles`] does not use it.
    #[must_use]
    pub fn outwards(&self) -> Vec<f32> {
        let (levels, middle) = (self.levels.len(), self.middle);
        let mut matrix = vec![0.0; levels * levels];
        for to in 0..levels {
            matrix[middle * levels + to] = 1.0;
            for gap in middle + 1..=to {
                matrix[gap * levels + to] = 1.0;
            }
            for gap in to..middle {
                matrix[gap * levels + to] = -1.0;
            }
        }
        matrix
    }

    /// Turns the layer's numbers of one sequence into its quantiles, in place.
    pub fn quantiles(&self, raw: &mut [f32], place: Place) {
        for (step, q) in raw.chunks_exact_mut(self.levels.len()).enumerate() {
            let stretch = self.spread(step) * place.scale;
            let middle = q[self.middle];
            let (below, rest) = q.split_at_mut(self.middle);
            let (at, above) = rest.split_at_mut(1);
            at[0] = place.centre + stretch * middle;
            let mut sum = middle;
            for gap in above {
                sum += squareplus(*gap);
                *gap = place.centre + stretch * sum;
            }
            sum = middle;
            for gap in below.iter_mut().rev() {
                sum -= squareplus(*gap);
                *gap = place.centre + stretch * sum;
            }
        }
    }

    /// The pinball loss of one sequence, a sum; with `weight` the gradient of `weight` times it
    /// replaces the layer's numbers.
    pub fn loss(&self, raw: &mut [f32], targets: &[f32], place: Place, weight: f32) -> f64 {
        let mut loss = 0.0;
        for ((step, q), target) in raw
            .chunks_exact_mut(self.levels.len())
            .enumerate()
            .zip(targets)
        {
            let spread = self.spread(step);
            let stretch = spread * place.scale;
            // Loss and slope at one quantile; the slope is with regard to the position before stretching.
            let mut at = |position: f32, level: f32| {
                let error = target - (place.centre + stretch * position);
                let (cost, slope) = if error >= 0.0 {
                    (level * error, -level)
                } else {
                    ((level - 1.0) * error, 1.0 - level)
                };
                loss += f64::from(cost / spread);
                slope * place.scale * weight
            };
            let middle = q[self.middle];
            let mut total = at(middle, self.levels[self.middle]);
            // Outwards to the positions, then back: the slope of a gap is the sum of those beyond it.
            let mut sum = middle;
            let mut slopes = [0.0f32; 100];
            for i in self.middle + 1..q.len() {
                sum += squareplus(q[i]);
                slopes[i] = at(sum, self.levels[i]);
            }
            let mut beyond = 0.0;
            for i in (self.middle + 1..q.len()).rev() {
                beyond += slopes[i];
                q[i] = beyond * squareplus_slope(q[i]);
            }
            total += beyond;
            sum = middle;
            for i in (0..self.middle).rev() {
                sum -= squareplus(q[i]);
                slopes[i] = at(sum, self.levels[i]);
            }
            beyond = 0.0;
            for i in 0..self.middle {
                beyond += slopes[i];
                q[i] = -beyond * squareplus_slope(q[i]);
            }
            q[self.middle] = total + beyond;
        }
        loss
    }

    /// The pinball loss of the quantiles of one sequence, a sum over steps and levels, each step divided by
    /// its growth.
    #[must_use]
    pub fn pinball(&self, quantiles: &[f32], targets: &[f32]) -> f64 {
        let steps = quantiles.chunks_exact(self.levels.len());
        let mut loss = 0.0;
        for ((step, q), target) in steps.enumerate().zip(targets) {
            let spread = self.spread(step);
            for (q, level) in q.iter().zip(&self.levels) {
                let error = target - q;
                let cost = (level * error).max((level - 1.0) * error);
                loss += f64::from(cost / spread);
            }
        }
        loss
    }

    /// Biases with which an untrained network says what a random walk with steps of standard deviation
    /// `deviation` would do: training starts from naive with normal quantiles.
    #[must_use]
    pub fn normal_biases(&self, deviation: f32) -> Vec<f32> {
        let z: Vec<f32> = self
            .levels
            .iter()
            .map(|p| normal_quantile(*p) * deviation)
            .collect();
        let gap = |near: f32, far: f32| {
            let gap = (far - near).abs().max(1e-3);
            gap - 1.0 / gap
        };
        let step: Vec<f32> = (0..z.len())
            .map(|i| match i.cmp(&self.middle) {
                std::cmp::Ordering::Equal => z[i],
                std::cmp::Ordering::Less => gap(z[i + 1], z[i]),
                std::cmp::Ordering::Greater => gap(z[i - 1], z[i]),
            })
            .collect();
        step.repeat(self.horizon)
    }
}

/// (x + √(x² + 4))/2 without cancellation for negative x.
fn squareplus(x: f32) -> f32 {
    let root = (x * x + 4.0).sqrt();
    if x >= 0.0 {
        0.5 * (x + root)
    } else {
        2.0 / (root - x)
    }
}

fn squareplus_slope(x: f32) -> f32 {
    squareplus(x) / (x * x + 4.0).sqrt()
}

/// Quantile of the standard normal distribution to four digits (Hastings; Abramowitz & Stegun 26.2.23):
/// enough for a start.
fn normal_quantile(p: f32) -> f32 {
    let tail = p.min(1.0 - p);
    let t = (-2.0 * f64::from(tail).ln() as f32).sqrt();
    let z = t
        - (2.515_517 + t * (0.802_853 + t * 0.010_328))
            / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    if p == 0.5 { 0.0 } else { z.copysign(p - 0.5) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    fn head() -> QuantileHead {
        QuantileHead::new(3, &QuantileHead::LEVELS, Growth::SquareRoot).unwrap()
    }

    #[test]
    fn quantiles_never_cross_whatever_the_layer_says() {
        let head = head();
        let mut random = Random::new(7);
        for size in [0.1, 1.0, 30.0, 1e4] {
            let mut raw: Vec<f32> = (0..head.outputs())
                .map(|_| random.uniform(-size, size))
                .collect();
            head.quantiles(
                &mut raw,
                Place {
                    centre: 3.0,
                    scale: 0.2,
                },
            );
            for step in raw.chunks(11) {
                assert!(step.windows(2).all(|pair| pair[0] <= pair[1]), "{step:?}");
            }
        }
    }

    #[test]
    fn the_product_with_the_matrix_gives_the_same_quantiles() {
        let head = head();
        let (k, m) = (head.levels().len(), head.middle());
        let mut random = Random::new(9);
        let mut raw: Vec<f32> = (0..k).map(|_| random.uniform(-2.0, 2.0)).collect();
        let mut row: Vec<f32> = raw.iter().map(|x| squareplus(*x)).collect();
        row[m] = raw[m];
        let matrix = head.outwards();
        let product: Vec<f32> = (0..k)
            .map(|to| (0..k).map(|i| row[i] * matrix[i * k + to]).sum())
            .collect();
        head.quantiles(&mut raw, Place::default());
        for (got, right) in product.iter().zip(&raw) {
            assert!((got - right).abs() < 1e-5, "{product:?} {raw:?}");
        }
    }

    #[test]
    fn an_untrained_head_says_what_a_random_walk_does() {
        let head = head();
        let mut raw = head.normal_biases(1.0);
        head.quantiles(&mut raw, Place::default());
        for (step, q) in raw.chunks(11).enumerate() {
            let spread = ((step + 1) as f32).sqrt();
            assert!((q[0] + 1.959_96 * spread).abs() < 2e-3, "{q:?}");
            assert!((q[9] - 1.281_55 * spread).abs() < 2e-3, "{q:?}");
            assert_eq!(q[5], 0.0);
        }
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let head = head();
        let mut random = Random::new(3);
        let place = Place {
            centre: 0.4,
            scale: 1.7,
        };
        let raw: Vec<f32> = (0..33).map(|_| random.uniform(-2.0, 2.0)).collect();
        let targets = [0.3f32, -1.9, 2.2];
        let mut gradient = raw.clone();
        head.loss(&mut gradient, &targets, place, 1.0);
        for i in 0..raw.len() {
            let at = |by: f32| {
                let mut moved = raw.clone();
                moved[i] += by;
                head.loss(&mut moved, &targets, place, 1.0)
            };
            let slope = ((at(1e-3) - at(-1e-3)) / 2e-3) as f32;
            assert!(
                (slope - gradient[i]).abs() < 2e-2 * (1.0 + slope.abs()),
                "{i}: {slope} {}",
                gradient[i]
            );
        }
    }

    #[test]
    fn levels_and_horizon_are_checked() {
        for levels in [
            &[][..],
            &[0.5, 0.5],
            &[0.0, 0.5],
            &[0.9, 0.1],
            &[0.5, f32::NAN],
        ] {
            assert!(
                QuantileHead::new(1, levels, Growth::Even).is_err(),
                "{levels:?}"
            );
        }
        assert!(QuantileHead::new(0, &[0.5], Growth::Even).is_err());
    }
}
