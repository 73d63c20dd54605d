//! Skill and coverage over time: at each outcome, those of the last thirty outcomes that do not depend on each other.
//!
//! Model: live forecasts are made at every bar, so that of forecasts `h` steps ahead `h` that follow each other count as
//! one; the window is thirty times as long. Naive forecasts the close at the origin.

use forecast::calibration::ENOUGH_OUTCOMES;
use market::Timestamp;

use crate::api::ScoredFan;

/// A step of a forecast and what came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The start of the bar that was forecast.
    pub at: Timestamp,
    /// Absolute error.
    pub error: f64,
    /// Naive's.
    pub naive: f64,
    /// Whether it lay inside the narrower and the wider interval.
    pub inside: [bool; 2],
}

/// The outcomes of a step (from 1) of forecasts, oldest first; those of forecasts without two intervals are left out.
pub fn outcomes(past: &[ScoredFan], step: usize) -> Vec<Outcome> {
    let of = |scored: &ScoredFan| {
        let at = step.checked_sub(1)?;
        let (fan, actual) = (&scored.fan, *scored.actuals.get(at)?);
        let [narrow, wide] = fan.bands.get(..2)? else {
            return None;
        };
        let inside = |band: &market::Band| {
            Some(actual >= *band.lower.get(at)? && actual <= *band.upper.get(at)?)
        };
        Some(Outcome {
            at: *fan.targets.get(at)?,
            error: (actual - fan.mean.get(at)?).abs(),
            naive: (actual - fan.origin_close).abs(),
            inside: [inside(narrow)?, inside(wide)?],
        })
    };
    past.iter().filter_map(of).collect()
}

/// Of every window of outcomes a number, at the time of its last one.
fn windows(
    outcomes: &[Outcome],
    step: usize,
    of: impl Fn(&[Outcome]) -> f64,
) -> Vec<(Timestamp, f64)> {
    let length = step.max(1) * ENOUGH_OUTCOMES as usize;
    let windows = outcomes.windows(length);
    windows
        .filter_map(|window| Some((window.last()?.at, of(window))))
        .collect()
}

/// 1 − error/error of naive, in percent; not a number where naive never erred.
pub fn skill(outcomes: &[Outcome], step: usize) -> Vec<(Timestamp, f64)> {
    windows(outcomes, step, |window| {
        let error: f64 = window.iter().map(|one| one.error).sum();
        let naive: f64 = window.iter().map(|one| one.naive).sum();
        if naive > 0.0 {
            100.0 * (1.0 - error / naive)
        } else {
            f64::NAN
        }
    })
}

/// The share inside the narrower (0) or the wider (1) interval, in percent.
pub fn coverage(outcomes: &[Outcome], step: usize, level: usize) -> Vec<(Timestamp, f64)> {
    windows(outcomes, step, |window| {
        let inside = window.iter().filter(|one| one.inside[level]).count();
        100.0 * inside as f64 / window.len() as f64
    })
}

#[cfg(test)]
mod tests {
    use market::{Band, Fan, Interval};

    use super::*;

    /// A forecast of 10 from a close of 9, with the intervals 9 to 11 and 8 to 12, and what came.
    fn scored(at: i64, actual: f64) -> ScoredFan {
        let band = |level, lower, upper| Band {
            level,
            lower: vec![lower],
            upper: vec![upper],
        };
        ScoredFan {
            fan: Fan {
                symbol: "A".parse().unwrap(),
                interval: Interval::M1,
                model: "theta".into(),
                origin: Timestamp::from_secs(at * 60),
                origin_close: 9.0,
                made_at: Timestamp::from_secs(at * 60 + 60),
                targets: vec![Timestamp::from_secs(at * 60 + 60)],
                mean: vec![10.0],
                bands: vec![band(80.0, 9.0, 11.0), band(95.0, 8.0, 12.0)],
            },
            actuals: vec![actual],
        }
    }

    #[test]
    fn a_window_is_as_computed_by_hand_and_too_few_say_nothing() {
        // Twenty outcomes of 11 (error 1, naive 2, inside both), ten of 12 (2, 3, inside the wider alone).
        let mut past: Vec<_> = (0..20).map(|n| scored(n, 11.0)).collect();
        past.extend((20..29).map(|n| scored(n, 12.0)));
        assert_eq!(skill(&outcomes(&past, 1), 1), []);
        past.push(scored(29, 12.0));
        let outcomes = outcomes(&past, 1);
        let at = Timestamp::from_secs(30 * 60);
        let (when, found) = skill(&outcomes, 1)[0];
        assert_eq!(when, at);
        assert!(
            (found - 100.0 * (1.0 - 40.0 / 70.0)).abs() < 1e-9,
            "{found}"
        );
        let (_, narrow) = coverage(&outcomes, 1, 0)[0];
        assert!((narrow - 200.0 / 3.0).abs() < 1e-9, "{narrow}");
        assert_eq!(coverage(&outcomes, 1, 1), [(at, 100.0)]);
        // Two steps ahead two outcomes count as one.
        assert_eq!(skill(&outcomes, 2), []);
    }

    #[test]
    fn steps_without_an_outcome_are_left_out() {
        let mut open = scored(1, 11.0);
        open.actuals.clear();
        assert_eq!(outcomes(&[open, scored(2, 11.0)], 1).len(), 1);
        assert_eq!(outcomes(&[scored(2, 11.0)], 2), []);
        assert_eq!(outcomes(&[scored(2, 11.0)], 0), []);
    }
}
