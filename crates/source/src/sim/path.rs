//! The price of a symbol at every second, as a pure function of seed, symbol and second.
//!
//! Model: three levels, each a bridge between the points of the one above, so that any hour can be
//! made without the seconds before it.
//! 1. Days since 2010: log price mean-reverts slowly to the base price; the return's variance follows
//!    GARCH(1,1) (Bollerslev, J. Econometrics 31, 1986: h' = ω + α r² + β h), with rare jumps.
//! 2. Hours of the day: increments of uneven variance (busy and quiet hours), shifted so that they
//!    add up to the day's return, in proportion to their variance.
//! 3. Seconds of the hour: GARCH(1,1) again, with jumps, bridged likewise; plus a weak wave of one
//!    hour's period, so that a seasonal model has something small to find.
//!
//! A bridge whose end point is itself drawn with the right variance is a random walk to whoever does
//! not know the end point: the market cannot be forecast much better than by its last price.
//!
//! What it does not do: closing hours, weekends, correlation between symbols.

use std::{collections::VecDeque, sync::Arc};

use super::{
    listing::Listing,
    noise::{Noise, Purpose},
};

/// Seconds in a day.
const DAY: i64 = 86_400;
/// Seconds in an hour.
pub const HOUR: i64 = 3_600;
/// 2010-01-01, in days since 1970: the exchange's first day.
const FIRST_DAY: i64 = 14_610;
/// The exchange's first second.
pub const FIRST_SECOND: i64 = FIRST_DAY * DAY;
/// So many hours of a symbol are kept.
const KEPT_HOURS: usize = 6;
/// Amplitude of the hourly wave, in log price.
const WAVE: f64 = 4e-4;

/// Prices at the borders of an hour's seconds: 3,601 values, the last being the next hour's first.
pub type HourPath = Arc<[f64]>;

/// The price path of one symbol, with the parts made so far.
#[derive(Debug)]
pub struct Path {
    seed: u64,
    symbol: u64,
    listing: Listing,
    /// Log price relative to the base at the start of each day, and the day's variance.
    days: Vec<(f64, f64)>,
    hours: VecDeque<(i64, HourPath)>,
}

impl Path {
    pub fn new(seed: u64, symbol: usize, listing: Listing) -> Self {
        Self {
            seed,
            symbol: symbol as u64,
            listing,
            days: Vec::new(),
            hours: VecDeque::new(),
        }
    }

    /// Prices of the hour that begins at `hour * 3600`; before the first day, those of its start.
    pub fn hour(&mut self, hour: i64) -> HourPath {
        let hour = hour.max(FIRST_DAY * 24);
        if let Some((_, path)) = self.hours.iter().find(|(h, _)| *h == hour) {
            return path.clone();
        }
        let path = self.make_hour(hour);
        if self.hours.len() == KEPT_HOURS {
            self.hours.pop_front();
        }
        self.hours.push_back((hour, path.clone()));
        path
    }

    /// Extends the days so that `day` has a next one.
    fn reach(&mut self, day: i64) {
        let wanted = usize::try_from(day - FIRST_DAY).unwrap_or(0) + 2;
        let mean = self.listing.daily_volatility * self.listing.daily_volatility;
        if self.days.is_empty() {
            self.days.push((0.0, mean));
        }
        while self.days.len() < wanted {
            let at = self.days.len();
            let (x, h) = self.days[at - 1];
            let mut noise = Noise::new(self.seed, Purpose::Days, self.symbol, at as i64);
            let mut r = libm::sqrt(h) * noise.normal();
            if noise.happens(1.0 / 90.0) {
                r += 2.5 * self.listing.daily_volatility * noise.normal();
            }
            let h = (0.03 * mean + 0.07 * r * r + 0.90 * h).clamp(0.1 * mean, 12.0 * mean);
            self.days.push((x * (1.0 - 1.0 / 400.0) + r, h));
        }
    }

    fn make_hour(&mut self, hour: i64) -> HourPath {
        let day = hour.div_euclid(24);
        self.reach(day);
        let at = usize::try_from(day - FIRST_DAY).unwrap_or(0);
        let (start, variance) = self.days[at];
        let change = self.days[at + 1].0 - start;

        let mut noise = Noise::new(self.seed, Purpose::Hours, self.symbol, day);
        let shares: [f64; 24] = std::array::from_fn(|h| {
            activity(h as f64 / 24.0 * DAY as f64 + 1_800.0) * libm::exp(0.4 * noise.normal())
        });
        let total: f64 = shares.iter().sum();
        let variances = shares.map(|s| variance * s / total);
        let mut steps = variances.map(|v| libm::sqrt(v) * noise.normal());
        bridge(&mut steps, &variances, change);
        let of_day = usize::try_from(hour.rem_euclid(24)).unwrap_or(0);
        let from = start + steps[..of_day].iter().sum::<f64>();

        let steps = self.make_seconds(hour, variances[of_day], steps[of_day]);
        let mut log = from;
        let mut path = Vec::with_capacity(HOUR as usize + 1);
        path.push(self.listing.base_price * libm::exp(log));
        for (second, step) in (1..).zip(steps) {
            log += step;
            let wave = WAVE * libm::sin(std::f64::consts::TAU * f64::from(second) / HOUR as f64);
            path.push(self.listing.base_price * libm::exp(log + wave));
        }
        path.into()
    }

    fn make_seconds(&self, hour: i64, variance: f64, change: f64) -> Vec<f64> {
        let mut noise = Noise::new(self.seed, Purpose::Seconds, self.symbol, hour);
        let mean = variance / HOUR as f64;
        let mut h = mean * libm::exp(0.5 * noise.normal());
        let mut steps = Vec::with_capacity(HOUR as usize);
        let mut variances = Vec::with_capacity(HOUR as usize);
        for _ in 0..HOUR {
            let mut r = libm::sqrt(h) * noise.normal();
            variances.push(h);
            h = (0.01 * mean + 0.05 * r * r + 0.94 * h).min(25.0 * mean);
            if noise.happens(1.0 / 2_400.0) {
                r += 12.0 * libm::sqrt(mean) * noise.normal();
            }
            steps.push(r);
        }
        bridge(&mut steps, &variances, change);
        steps
    }
}

/// Shifts increments so that they add up to `change`, each in proportion to its variance.
fn bridge(steps: &mut [f64], variances: &[f64], change: f64) {
    let excess = change - steps.iter().sum::<f64>();
    let total: f64 = variances.iter().sum();
    for (step, v) in steps.iter_mut().zip(variances) {
        *step += excess * v / total;
    }
}

/// How busy the market is at a second of the day, 1 on average: a U over each of four sessions of
/// six hours.
pub fn activity(second_of_day: f64) -> f64 {
    let session = second_of_day / (6.0 * HOUR as f64);
    let x = 2.0 * (session - libm::floor(session)) - 1.0;
    // The integral of x² over [-1, 1] is 2/3, so the mean is 0.6 + 1.2/3 = 1.
    0.6 + 1.2 * x * x
}
