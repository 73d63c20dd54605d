//! What a drift statistic does when nothing has changed.
//!
//! Model: the reference is resampled in blocks of random length (the stationary bootstrap, Politis & Romano 1994, JASA
//! 89(428)), so that bad days that come together stay together; each path of `days` days gives the highest that the
//! statistic gets. The share of paths that get above m is 1 − e^(−r·days), which gives r(m), the rate of false
//! alarms a day at the threshold m. Above the 90th percentile of the paths an exponential is fitted to the excess:
//! that is how these maxima fall off (Siegmund 1985, Sequential Analysis), and it is needed, since many symbols ask
//! for thresholds that no bootstrap of reasonable size has reached.
//! What it does not do: notice that the reference itself had drifted.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};

use super::{InputProfile, PageHinkley, PageHinkleyConfig, fault};
use crate::Result;

/// The least reference.
const LEAST: usize = 60;

/// How the bootstrap goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calibrator {
    /// Paths.
    pub paths: usize,
    /// Days of each.
    pub days: usize,
    /// The same seed gives the same threshold.
    pub seed: u64,
}

impl Default for Calibrator {
    fn default() -> Self {
        Self {
            paths: 1_000,
            days: 250,
            seed: 1,
        }
    }
}

/// The distribution of the highest value in a stretch of days without drift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Days of each path.
    pub days: usize,
    /// The highest value of each path, ascending.
    pub maxima: Vec<f64>,
}

/// The share of paths above which the tail is the fitted one.
const TAIL: f64 = 0.1;

impl Calibrator {
    /// For [`PageHinkley`] on a stream like the reference.
    ///
    /// # Errors
    /// Too short a reference, or days too few for the test to say anything.
    pub fn page_hinkley(
        &self,
        reference: &[f64],
        config: PageHinkleyConfig,
    ) -> Result<Calibration> {
        let reference = self.usable(reference)?;
        if (self.days as u64) < 2 * config.least_values {
            return Err(fault(format!(
                "{} days are too few where nothing is said before {}",
                self.days, config.least_values
            )));
        }
        self.run(|resample| {
            let mut test = PageHinkley::new(config);
            (0..self.days)
                .filter_map(|_| test.update(reference[resample.place(reference.len())]))
                .fold(0.0, f64::max)
        })
    }

    /// For the PSI of the last `window` values, taken each day.
    ///
    /// # Errors
    /// Too short a reference; a window of fewer than ten values a bin.
    pub fn psi(
        &self,
        reference: &[f64],
        profile: &InputProfile,
        window: usize,
    ) -> Result<Calibration> {
        let reference = self.usable(reference)?;
        if window < 10 * profile.shares.len() {
            return Err(fault(format!(
                "a window of {window} values for {} bins: at least 10 a bin are needed",
                profile.shares.len()
            )));
        }
        self.run(|resample| {
            let mut bins = Vec::with_capacity(window + self.days);
            let mut counts = vec![0u64; profile.shares.len()];
            let mut highest: f64 = 0.0;
            for day in 0..window + self.days {
                let bin = profile.bin(reference[resample.place(reference.len())]);
                bins.push(bin);
                counts[bin] += 1;
                if day >= window {
                    counts[bins[day - window]] -= 1;
                    highest = highest.max(profile.psi_of_counts(&counts).unwrap_or(0.0));
                }
            }
            highest
        })
    }

    fn usable(&self, reference: &[f64]) -> Result<Vec<f64>> {
        let reference: Vec<f64> = reference
            .iter()
            .copied()
            .filter(|v| v.is_finite())
            .collect();
        if reference.len() < LEAST {
            return Err(fault(format!(
                "a reference of {} values: at least {LEAST} are needed",
                reference.len()
            )));
        }
        if self.paths < 100 {
            return Err(fault(format!(
                "{} paths: at least 100 are needed",
                self.paths
            )));
        }
        Ok(reference)
    }

    fn run(&self, mut path: impl FnMut(&mut Resample) -> f64) -> Result<Calibration> {
        let mut resample = Resample {
            rng: ChaCha8Rng::seed_from_u64(self.seed),
            at: None,
        };
        let mut maxima: Vec<f64> = (0..self.paths)
            .map(|_| {
                resample.at = None;
                path(&mut resample)
            })
            .collect();
        maxima.sort_by(f64::total_cmp);
        if maxima[0] == maxima[maxima.len() - 1] {
            return Err(fault("the reference never changes"));
        }
        Ok(Calibration {
            days: self.days,
            maxima,
        })
    }
}

/// Places in the reference, in blocks whose length is geometric with mean n^(1/3).
struct Resample {
    rng: ChaCha8Rng,
    at: Option<usize>,
}

impl Resample {
    fn uniform(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    fn place(&mut self, n: usize) -> usize {
        let ends = self.uniform() < 1.0 / (n as f64).cbrt();
        let place = match self.at {
            Some(at) if !ends => (at + 1) % n,
            _ => ((self.uniform() * n as f64) as usize).min(n - 1),
        };
        self.at = Some(place);
        place
    }
}

impl Calibration {
    /// False alarms a day, if the alarm were given from this statistic on; at most 1.
    #[must_use]
    pub fn rate(&self, statistic: f64) -> f64 {
        let above = self.above(statistic);
        // With all paths above, the rate is not known, and is high.
        let rate = -(-above).ln_1p() / self.days as f64;
        rate.min(1.0)
    }

    /// The threshold that gives one false alarm in so many days.
    ///
    /// # Errors
    /// Fewer days than one.
    pub fn threshold(&self, false_alarm_days: f64) -> Result<f64> {
        if false_alarm_days.is_nan() || false_alarm_days < 1.0 {
            return Err(fault(format!(
                "one false alarm in {false_alarm_days} days: at least 1"
            )));
        }
        let above = -(-(self.days as f64) / false_alarm_days).exp_m1();
        let (from, excess) = self.tail();
        if above < TAIL {
            return Ok(from + excess * (TAIL / above).ln());
        }
        let place = ((1.0 - above) * self.maxima.len() as f64) as usize;
        Ok(self.maxima[place.min(self.maxima.len() - 1)])
    }

    /// The share of paths that get as high.
    fn above(&self, statistic: f64) -> f64 {
        let (from, excess) = self.tail();
        if statistic >= from {
            return TAIL * (-(statistic - from) / excess).exp();
        }
        let below = self.maxima.partition_point(|highest| *highest < statistic);
        ((self.maxima.len() - below) as f64 / self.maxima.len() as f64).max(TAIL)
    }

    /// Where the tail begins, and its mean excess.
    fn tail(&self) -> (f64, f64) {
        let n = self.maxima.len();
        let place = n - (TAIL * n as f64) as usize;
        let from = self.maxima[place.min(n - 1)];
        let tail = &self.maxima[place.min(n - 1)..];
        let excess = tail.iter().map(|m| m - from).sum::<f64>() / tail.len() as f64;
        (from, excess.max(f64::MIN_POSITIVE))
    }
}
