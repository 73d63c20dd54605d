//! Whether closes are fit to learn from.
//!
//! Model: every fault is found and told at once, so that a person mends them in one go. A gap is a run of bars that
//! should be there by the days of trading; a split is a jump by about a whole or a simple ratio, far beyond what the
//! closes do otherwise, after which they stay there.
//! What it does not do: mend anything, or tell a split from a crash to half the price: whoever knows that the closes
//! are adjusted says so ([`CheckRules::adjusted`]).

use market::Timestamp;
use serde::{Deserialize, Serialize};

use super::{days::TradingDays, series::Series};
use crate::calendar::Calendars;

/// What is allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckRules {
    /// Bars that may be missing in a row.
    pub max_missing_bars: usize,
    /// The share of all bars that may be missing, from 0 to 1.
    pub max_missing_share: f64,
    /// Bars that may be missing at the end.
    pub max_late_bars: usize,
    /// The closes are adjusted for splits, or a jump is real: none is looked for.
    pub adjusted: bool,
}

impl Default for CheckRules {
    fn default() -> Self {
        Self {
            max_missing_bars: 5,
            max_missing_share: 0.05,
            max_late_bars: 3,
            adjusted: false,
        }
    }
}

/// Why closes are not fit to learn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum DataFault {
    /// Too few of them.
    #[error("there are {rows} closes, and at least {needed} are needed: {why}")]
    TooFewRows {
        /// How many there are.
        rows: usize,
        /// How many it takes.
        needed: usize,
        /// What for.
        why: String,
    },
    /// Bars are missing in a row.
    #[error(
        "{missing} bars are missing between {after} and {before}, and at most {most} may be in a row"
    )]
    Gap {
        /// The bar before the gap.
        after: Timestamp,
        /// The bar behind it.
        before: Timestamp,
        /// How many are missing; the count ends at 10,000.
        missing: usize,
        /// How many may be.
        most: usize,
    },
    /// Too many are missing in all.
    #[error("{missing} bars are missing beside {rows}, and at most {most_percent} % may be")]
    Sparse {
        /// How many are missing.
        missing: usize,
        /// How many there are.
        rows: usize,
        /// How many may be missing, in percent.
        most_percent: f64,
    },
    /// A jump as a split makes it.
    #[error(
        "the close goes from {before} to {after} at {at}, as a {ratio} split does it: train on prices that are \
         adjusted, or say that they are"
    )]
    Split {
        /// The first bar behind it.
        at: Timestamp,
        /// The close before.
        before: f64,
        /// The close after.
        after: f64,
        /// The split, for instance `2:1`; `1:10` for a reverse one.
        ratio: String,
    },
    /// The last close is too long ago.
    #[error(
        "the last close is that of {last}, and by {as_of} {late} bars should have come since: at most {most} may be late"
    )]
    Stale {
        /// The start of the last bar.
        last: Timestamp,
        /// When it was looked.
        as_of: Timestamp,
        /// How many are missing; the count ends at 10,000.
        late: usize,
        /// How many may be.
        most: usize,
    },
    /// A close that is no number, or none that can be.
    #[error("the close at {at} is {value}: expected a number above 0")]
    NotAPrice {
        /// The start of its bar.
        at: Timestamp,
        /// What it is, as text.
        value: String,
    },
    /// A bar that does not come after the one before.
    #[error("the bar at {at} does not come after the one before it, at {before}")]
    OutOfOrder {
        /// Its start.
        at: Timestamp,
        /// The start of the one before.
        before: Timestamp,
    },
    /// All closes are the same.
    #[error("all {rows} closes are {value}: there is nothing to forecast")]
    Constant {
        /// How many.
        rows: usize,
        /// The value.
        value: f64,
    },
    /// The days of trading are not known for all of it.
    #[error("{detail}")]
    NoCalendar {
        /// What is not known.
        detail: String,
    },
    /// The year's held-out origins begin before the closes do.
    #[error(
        "the held-out origins of this year of gates begin at {began}, and {found} of the {needed} closes up to there \
         are in the store"
    )]
    YearNotCovered {
        /// The first origin.
        began: Timestamp,
        /// Closes up to it.
        found: usize,
        /// Closes that the first fit needs.
        needed: usize,
    },
}

/// Counting missing bars ends there.
const COUNTED: usize = 10_000;

/// Everything that is wrong with closes, as of a time; empty when they are good. Whether they are enough is asked by
/// whoever knows what for.
#[must_use]
pub fn check(
    series: &Series,
    rules: &CheckRules,
    days: &TradingDays,
    calendars: &Calendars,
    as_of: Timestamp,
) -> Vec<DataFault> {
    let mut faults = Vec::new();
    let (starts, closes) = (series.starts(), series.closes());
    let unusable = |close: &f64| !(close.is_finite() && *close > 0.0);
    if let Some(place) = closes.iter().position(unusable) {
        faults.push(DataFault::NotAPrice {
            at: starts[place],
            value: closes[place].to_string(),
        });
    }
    if let Some(pair) = starts.windows(2).find(|pair| pair[0] >= pair[1]) {
        faults.push(DataFault::OutOfOrder {
            at: pair[1],
            before: pair[0],
        });
    }
    // The rest is about prices in order.
    let (Some(last), Some(value), true) = (starts.last(), closes.first(), faults.is_empty()) else {
        return faults;
    };
    if let Err(e) = missing(series, rules, days, calendars, as_of, *last, &mut faults) {
        faults.push(DataFault::NoCalendar {
            detail: e.to_string(),
        });
    }
    if closes.iter().all(|close| close == value) {
        faults.push(DataFault::Constant {
            rows: closes.len(),
            value: *value,
        });
    }
    if !rules.adjusted {
        faults.extend(split(series));
    }
    faults
}

fn missing(
    series: &Series,
    rules: &CheckRules,
    days: &TradingDays,
    calendars: &Calendars,
    as_of: Timestamp,
    last: Timestamp,
    faults: &mut Vec<DataFault>,
) -> crate::Result<()> {
    let interval = series.interval();
    let between = |after, until| days.expected(calendars, interval, after, until, COUNTED);
    let mut all = 0;
    let mut widest: Option<(usize, Timestamp, Timestamp)> = None;
    for pair in series.starts().windows(2) {
        let missing = between(pair[0], pair[1])?;
        all += missing;
        if missing > widest.map_or(rules.max_missing_bars, |(most, ..)| most) {
            widest = Some((missing, pair[0], pair[1]));
        }
    }
    if let Some((missing, after, before)) = widest {
        faults.push(DataFault::Gap {
            after,
            before,
            missing,
            most: rules.max_missing_bars,
        });
    }
    let rows = series.len();
    if all as f64 > rules.max_missing_share * (rows + all) as f64 {
        faults.push(DataFault::Sparse {
            missing: all,
            rows,
            most_percent: 100.0 * rules.max_missing_share,
        });
    }
    let late = between(last, as_of)?;
    if late > rules.max_late_bars {
        faults.push(DataFault::Stale {
            last,
            as_of,
            late,
            most: rules.max_late_bars,
        });
    }
    Ok(())
}

/// New shares for an old one, as companies split: a smaller ratio cannot be told from news.
const RATIOS: [(u32, u32); 20] = [
    (3, 2),
    (2, 1),
    (5, 2),
    (3, 1),
    (4, 1),
    (5, 1),
    (6, 1),
    (7, 1),
    (8, 1),
    (9, 1),
    (10, 1),
    (12, 1),
    (15, 1),
    (20, 1),
    (25, 1),
    (30, 1),
    (40, 1),
    (50, 1),
    (100, 1),
    (1000, 1),
];

/// How far a jump may be from the ratio, as a difference of logarithms.
const NEAR: f64 = 0.03;
/// A split is so many times the usual move of a bar.
const FAR_BEYOND: f64 = 10.0;
/// Closes on either side whose median must have moved likewise.
const AROUND: usize = 5;

/// The first jump that looks like a split.
fn split(series: &Series) -> Option<DataFault> {
    let closes = series.closes();
    let moves: Vec<f64> = closes.windows(2).map(|w| (w[1] / w[0]).ln()).collect();
    let usual = median(moves.iter().map(|m| m.abs()));
    (0..moves.len()).find_map(|place| {
        let jump = moves[place];
        if jump.abs() <= FAR_BEYOND * usual {
            return None;
        }
        let (new, old) = RATIOS.into_iter().find(|(new, old)| {
            let size = (f64::from(*new) / f64::from(*old)).ln();
            (jump.abs() - size).abs() < NEAR
        })?;
        let before = median(closes[..=place].iter().rev().take(AROUND).copied());
        let after = median(closes[place + 1..].iter().take(AROUND).copied());
        // A single wrong price comes back.
        if ((after / before).ln() - jump).abs() > 3.0 * NEAR {
            return None;
        }
        let ratio = if jump < 0.0 {
            format!("{new}:{old}")
        } else {
            format!("{old}:{new}")
        };
        Some(DataFault::Split {
            at: series.starts()[place + 1],
            before: closes[place],
            after: closes[place + 1],
            ratio,
        })
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
