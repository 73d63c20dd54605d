//! Mean and sum of squared deviations, one value at a time.
//!
//! Model: Welford (1962), Technometrics 4(3). A fit takes the values in order, as updates do, so both
//! end at the same numbers to the last bit.
//! Does not: forget values.

use serde::{Deserialize, Serialize};

/// Running moments of the values observed; missing ones are left out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Moments {
    pub count: usize,
    pub mean: f64,
    squares: f64,
}

impl Moments {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut moments = Self::default();
        for value in values {
            moments.observe(value);
        }
        moments
    }

    pub fn observe(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        self.count += 1;
        let ahead = value - self.mean;
        self.mean += ahead / self.count as f64;
        self.squares += ahead * (value - self.mean);
    }

    /// The variance with n − 1 degrees of freedom; NaN of fewer than two values.
    pub fn variance(&self) -> f64 {
        self.squares / (self.count as f64 - 1.0)
    }
}
