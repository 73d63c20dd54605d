//! Whether prediction intervals keep their promise: how often they held, how sure that is, and a word.
//!
//! Model: the share of outcomes inside, with the Wilson score interval at 95 % (E. B. Wilson 1927;
//! recommended for shares near 0 and 1 and for small counts by Brown, Cai & DasGupta 2001, Statistical
//! Science 16(2)). Clopper–Pearson's would never cover less than it says, and covers up to 99 % where it
//! says 95: intervals that do not hold would be found out late.
//!
//! The interval counts only what is independent. Forecasts `h` steps ahead that are made `s < h` steps
//! apart share steps, so a miss is followed by misses. Errors of such forecasts are a moving average of
//! order h/s − 1, whose autocorrelations fall in a straight line from 1 to 0 over h/s forecasts: the mean
//! of n of them varies as that of n·s/h independent ones does. Hits and misses are correlated no more
//! than the errors are, so the count is rather too small than too large.
//!
//! Does not: judge the distribution inside the interval (see [`crate::metrics`]), or whether misses come
//! in clusters.

use crate::distribution::normal_quantile;

/// Fewer independent outcomes than this, and nothing is said: with 30 of them and a true coverage of
/// 80 %, the share lies between 65 % and 95 % in 19 of 20 cases.
pub const ENOUGH_OUTCOMES: u64 = 30;

/// The confidence of [`Coverage::bounds`], as a share.
pub const CONFIDENCE: f64 = 0.95;

/// How many outcomes lay inside an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coverage {
    /// What the interval promises, as a share: 0.8.
    pub nominal: f64,
    /// Outcomes.
    pub count: u64,
    /// The share of them inside, 0 to 1.
    pub share: f64,
    /// How many independent outcomes they are worth; see [`independent`].
    pub independent: u64,
}

/// What can be said of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// There are too few outcomes.
    TooEarly,
    /// The promise is within the bounds of the share.
    Holds,
    /// More lie inside than promised.
    TooWide,
    /// Fewer lie inside than promised.
    TooNarrow,
}

impl Holds {
    /// In words: `holds`, `too wide`, `too narrow`, `too early to say`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooEarly => "too early to say",
            Self::Holds => "holds",
            Self::TooWide => "too wide",
            Self::TooNarrow => "too narrow",
        }
    }
}

/// How many independent outcomes `count` outcomes are worth whose forecasts look `horizon` steps ahead
/// and are made `step` steps apart: all of them where forecasts do not overlap.
///
/// ```
/// assert_eq!(forecast::calibration::independent(297, 10, 1), 29);
/// assert_eq!(forecast::calibration::independent(40, 5, 5), 40);
/// ```
#[must_use]
pub fn independent(count: u64, horizon: u64, step: u64) -> u64 {
    if step >= horizon {
        return count;
    }
    let worth = u128::from(count) * u128::from(step) / u128::from(horizon);
    u64::try_from(worth).unwrap_or(count)
}

impl Coverage {
    /// The bounds of the true share at [`CONFIDENCE`]; (0, 1) without outcomes.
    #[must_use]
    pub fn bounds(&self) -> (f64, f64) {
        wilson(self.share, self.independent as f64, CONFIDENCE)
    }

    /// What can be said.
    #[must_use]
    pub fn holds(&self) -> Holds {
        let (lower, upper) = self.bounds();
        match self.independent {
            few if few < ENOUGH_OUTCOMES => Holds::TooEarly,
            _ if lower > self.nominal => Holds::TooWide,
            _ if upper < self.nominal => Holds::TooNarrow,
            _ => Holds::Holds,
        }
    }
}

/// The Wilson score interval of a share seen in `count` independent trials, at a confidence given as a
/// share; (0, 1) without trials.
///
/// ```
/// let (lower, upper) = forecast::calibration::wilson(0.8, 100.0, 0.95);
/// assert!(lower > 0.70 && upper < 0.87);
/// ```
#[must_use]
pub fn wilson(share: f64, count: f64, confidence: f64) -> (f64, f64) {
    if count <= 0.0 || !share.is_finite() {
        return (0.0, 1.0);
    }
    let share = share.clamp(0.0, 1.0);
    let z = normal_quantile(0.5 + 0.5 * confidence);
    let middle = share + z * z / (2.0 * count);
    let spread = z * (share * (1.0 - share) / count + z * z / (4.0 * count * count)).sqrt();
    let scale = 1.0 + z * z / count;
    (
        ((middle - spread) / scale).max(0.0),
        ((middle + spread) / scale).min(1.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe (1998), Statistics in Medicine 17(8), table I, method 3: the score interval without
    /// correction for continuity, to four places.
    #[test]
    fn wilson_intervals_are_those_of_newcombes_table() {
        for (inside, count, lower, upper) in [
            (81.0, 263.0, 0.2553, 0.3662),
            (15.0, 148.0, 0.0624, 0.1605),
            (0.0, 20.0, 0.0, 0.1611),
            (1.0, 29.0, 0.0061, 0.1718),
        ] {
            let (low, high) = wilson(inside / count, count, 0.95);
            assert!((low - lower).abs() < 6e-5, "{inside}/{count}: {low}");
            assert!((high - upper).abs() < 6e-5, "{inside}/{count}: {high}");
            // Inside and outside are the same question.
            let (left, right) = wilson(1.0 - inside / count, count, 0.95);
            assert!((1.0 - right - low).abs() < 1e-12 && (1.0 - left - high).abs() < 1e-12);
        }
        assert_eq!(wilson(0.5, 0.0, 0.95), (0.0, 1.0));
    }

    fn coverage(nominal: f64, share: f64, count: u64, horizon: u64) -> Coverage {
        Coverage {
            nominal,
            count,
            share,
            independent: independent(count, horizon, 1),
        }
    }

    #[test]
    fn an_interval_that_held_297_of_297_is_too_wide_for_80_percent_unless_they_overlap() {
        assert_eq!(coverage(0.8, 1.0, 297, 1).holds(), Holds::TooWide);
        assert_eq!(coverage(0.95, 1.0, 297, 1).holds(), Holds::TooWide);
        assert_eq!(coverage(0.95, 1.0, 297, 9).holds(), Holds::Holds);
        assert_eq!(coverage(0.8, 1.0, 297, 10).holds(), Holds::TooEarly);
        assert_eq!(coverage(0.95, 0.85, 297, 1).holds(), Holds::TooNarrow);
        assert_eq!(coverage(0.8, 0.78, 412, 5).holds(), Holds::Holds);
        assert_eq!(coverage(0.8, f64::NAN, 0, 1).holds(), Holds::TooEarly);
    }

    /// A random walk's own intervals are right. Where ten steps overlap, counting every outcome would
    /// call them wrong again and again; counting the independent ones does so in no more than one
    /// case of twenty.
    #[test]
    fn intervals_that_are_right_are_called_right_though_their_forecasts_overlap() {
        let mut random = testing::SplitMix64::new(2_026);
        let (runs, count, horizon) = (400, 600_usize, 10_usize);
        let half = normal_quantile(0.9) * (horizon as f64).sqrt();
        let (mut wrong, mut wrong_by_all) = (0, 0);
        for _ in 0..runs {
            let mut walk = vec![0.0];
            for _ in 0..count + horizon {
                walk.push(walk[walk.len() - 1] + random.normal());
            }
            let inside = (0..count)
                .filter(|&at| (walk[at + horizon] - walk[at]).abs() <= half)
                .count();
            let seen = coverage(0.8, inside as f64 / count as f64, count as u64, 10);
            let by_all = Coverage {
                independent: seen.count,
                ..seen
            };
            wrong += usize::from(seen.holds() != Holds::Holds);
            wrong_by_all += usize::from(by_all.holds() != Holds::Holds);
        }
        assert!(wrong <= runs / 20, "{wrong} of {runs}");
        assert!(wrong_by_all > runs / 5, "{wrong_by_all} of {runs}");
    }
}
