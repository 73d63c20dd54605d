//! The Page–Hinkley test: has the mean of a stream changed?
//!
//! Model: Page (1954), Biometrika 41; as `river.drift.PageHinkley` 0.26.1 computes it, number by number: the sum of
//! deviations from the running mean, less a tolerance, with a slow forgetting, and how far it has risen from its
//! lowest point (or fallen from its highest).
//! What it does not do: choose a threshold (see [`super::Calibration`]).

use serde::{Deserialize, Serialize};

/// Which changes count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A mean that grows: errors.
    #[default]
    Up,
    /// A mean that falls.
    Down,
    /// Either.
    Both,
}

/// How the test goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PageHinkleyConfig {
    /// Nothing is said before so many values.
    pub least_values: u64,
    /// A change of the mean so small is not one; in the units of the stream.
    pub tolerance: f64,
    /// What is kept of the sums at each value.
    pub keep: f64,
    /// Which changes count.
    pub direction: Direction,
}

impl Default for PageHinkleyConfig {
    fn default() -> Self {
        Self {
            least_values: 30,
            tolerance: 0.005,
            keep: 0.9999,
            direction: Direction::Up,
        }
    }
}

/// A stream that is watched. It can be kept between two values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageHinkley {
    config: PageHinkleyConfig,
    values: u64,
    mean: f64,
    rising: f64,
    lowest: Option<f64>,
    falling: f64,
    highest: f64,
}

impl PageHinkley {
    /// Nothing seen yet.
    #[must_use]
    pub const fn new(config: PageHinkleyConfig) -> Self {
        Self {
            config,
            values: 0,
            mean: 0.0,
            rising: 0.0,
            lowest: None,
            falling: 0.0,
            // river starts here, and below 0: the first deviation is the tolerance, above either.
            highest: -1.0,
        }
    }

    /// Takes a value; gives the statistic, none before there are enough of them. A NaN changes nothing.
    pub fn update(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return self.statistic();
        }
        let PageHinkleyConfig {
            tolerance, keep, ..
        } = self.config;
        self.values += 1;
        self.mean += (value - self.mean) / self.values as f64;
        let deviation = value - self.mean;
        self.rising = keep * self.rising + deviation - tolerance;
        self.falling = keep * self.falling + deviation + tolerance;
        self.lowest = Some(self.lowest.map_or(self.rising, |low| low.min(self.rising)));
        self.highest = self.highest.max(self.falling);
        self.statistic()
    }

    /// How far the sum has moved the wrong way.
    #[must_use]
    pub fn statistic(&self) -> Option<f64> {
        if self.values < self.config.least_values {
            return None;
        }
        let risen = self.rising - self.lowest?;
        let fallen = self.highest - self.falling;
        Some(match self.config.direction {
            Direction::Up => risen,
            Direction::Down => fallen,
            Direction::Both => risen.max(fallen),
        })
    }

    /// Forgets everything: after an alarm.
    pub const fn reset(&mut self) {
        *self = Self::new(self.config);
    }
}
