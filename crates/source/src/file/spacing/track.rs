//! The rows of one symbol: the distances between neighbours, and what they say.

use super::{DAY, HOUR, MINUTE, SECOND, length};
use crate::file::time::Moment;

/// Lengths that bars come in, in microseconds.
const LENGTHS: [i64; 21] = [
    SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    3 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    20 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    4 * HOUR,
    6 * HOUR,
    8 * HOUR,
    12 * HOUR,
    DAY,
];

/// So many different distances are counted one by one.
const MOST: usize = 48;

/// Counts of distances.
#[derive(Clone, Debug, Default)]
pub(super) struct Distances {
    counts: Vec<(i64, u64)>,
    others: u64,
    divisor: i64,
}

impl Distances {
    fn add(&mut self, distance: i64) {
        self.divisor = gcd(self.divisor, distance);
        match self.counts.iter().position(|(d, _)| *d == distance) {
            Some(at) => {
                self.counts[at].1 += 1;
                // The usual one is found first.
                if at > 0 && self.counts[at].1 > self.counts[at - 1].1 {
                    self.counts.swap(at, at - 1);
                }
            }
            None if self.counts.len() < MOST => self.counts.push((distance, 1)),
            None => self.others += 1,
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.others + self.counts.iter().map(|(_, n)| n).sum::<u64>()
    }

    fn count(&self, distance: i64) -> u64 {
        self.counts
            .iter()
            .find(|(d, _)| *d == distance)
            .map_or(0, |(_, n)| *n)
    }

    /// The most frequent distance; of equally frequent ones the shortest.
    fn usual(&self) -> i64 {
        self.counts
            .iter()
            .max_by_key(|(d, n)| (*n, -*d))
            .map_or(0, |(d, _)| *d)
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The rows of one symbol.
#[derive(Clone, Debug)]
pub struct Track {
    last: Moment,
    pub(super) rows: u64,
    /// Between instants, in microseconds.
    pub(super) instants: Distances,
    /// Between dates, in days.
    days: Distances,
    /// Neighbours on successive trading days.
    next_days: u64,
    /// Neighbours on one date.
    same_dates: u64,
    /// The earliest and the latest time of day, and both with the day's border at noon.
    clocks: (i64, i64),
    clocks_at_noon: (i64, i64),
}

impl Track {
    /// With its first row.
    pub fn new(first: Moment) -> Self {
        let (clock, noon) = clocks(first);
        Self {
            last: first,
            rows: 1,
            instants: Distances::default(),
            days: Distances::default(),
            next_days: 0,
            same_dates: 0,
            clocks: (clock, clock),
            clocks_at_noon: (noon, noon),
        }
    }

    /// The last row that was taken in.
    pub const fn last(&self) -> Moment {
        self.last
    }

    /// Takes in the neighbour of the last row. One of the same instant is the same bar.
    pub fn add(&mut self, moment: Moment) {
        let distance = moment
            .instant
            .saturating_sub(self.last.instant)
            .saturating_abs();
        self.rows += 1;
        if distance == 0 {
            return;
        }
        self.instants.add(distance);
        let (from, to) = (self.last.date() / DAY, moment.date() / DAY);
        match (to - from).abs() {
            0 => self.same_dates += 1,
            days => {
                self.days.add(days);
                self.next_days += u64::from(trading_days(from.min(to), from.max(to)) <= 1);
            }
        }
        let (clock, noon) = clocks(moment);
        self.clocks = (self.clocks.0.min(clock), self.clocks.1.max(clock));
        self.clocks_at_noon = (
            self.clocks_at_noon.0.min(noon),
            self.clocks_at_noon.1.max(noon),
        );
        self.last = moment;
    }

    pub(super) fn spacing(&self, has_clocks: bool) -> Spacing {
        let pairs = self.instants.total();
        if pairs == 0 {
            return if has_clocks {
                Spacing::Unknown("there is one row only".into())
            } else {
                Spacing::Every(DAY)
            };
        }
        if self.same_dates == 0 {
            if self.clocks.1 - self.clocks.0 <= HOUR {
                return self.of_days();
            }
            if self.clocks_at_noon.1 - self.clocks_at_noon.0 <= HOUR {
                return Spacing::NeedsZone;
            }
        }
        self.of_clocks(pairs)
    }

    fn of_days(&self) -> Spacing {
        let pairs = self.days.total();
        let usual = self.days.usual();
        let share = |n: u64| n as f64 / pairs as f64;
        let long = match usual {
            7 => Some("a week"),
            28..=31 => Some("a month"),
            90..=92 => Some("a quarter"),
            365 | 366 => Some("a year"),
            _ => None,
        };
        match long {
            Some(name) if share(self.days.count(usual)) >= 0.25 || pairs < 4 => {
                if share(self.next_days) >= 0.25 {
                    Spacing::Unknown(format!("some rows are a day apart, others {name}"))
                } else {
                    Spacing::Longer(name)
                }
            }
            // Months have four lengths.
            _ if (28..=31).map(|d| self.days.count(d)).sum::<u64>() * 2 > pairs => {
                Spacing::Longer("a month")
            }
            _ if share(self.next_days) >= 0.25 => Spacing::Every(DAY),
            _ => Spacing::Unknown(format!("its rows are mostly {usual} days apart")),
        }
    }

    fn of_clocks(&self, pairs: u64) -> Spacing {
        let distances = &self.instants;
        let share = |n: u64| n as f64 / pairs as f64;
        let usual = distances.usual();
        // All are multiples of one that occurs.
        let divisor = distances.divisor;
        let found = if LENGTHS.contains(&divisor) && share(distances.count(divisor)) >= 0.05 {
            Some(divisor)
        } else {
            // But for a few: the last row of a feed often bears the time of its last trade.
            let on_grid: u64 = distances
                .counts
                .iter()
                .filter(|(d, _)| d % usual.max(1) == 0)
                .map(|(_, n)| n)
                .sum();
            let few = pairs - on_grid <= 2 || share(on_grid) >= 0.95;
            (LENGTHS.contains(&usual) && few && share(distances.count(usual)) >= 0.5)
                .then_some(usual)
        };
        let Some(found) = found else {
            return Spacing::Unknown(format!(
                "its rows are mostly {} apart, and not all a multiple of it",
                length(usual)
            ));
        };
        // A second distance as frequent, and far from the first, is a second kind of bars.
        let second = distances
            .counts
            .iter()
            .filter(|(d, n)| *d >= 5 * found && share(*n) >= 0.2 && LENGTHS.contains(d))
            .max_by_key(|(_, n)| *n);
        match second {
            Some((other, _)) => Spacing::Unknown(format!(
                "some rows are {} apart, others {}",
                length(found),
                length(*other)
            )),
            None => Spacing::Every(found),
        }
    }

    /// Whether nearly all neighbours are so far apart.
    pub(super) fn keeps_to(&self, distance: i64) -> bool {
        let pairs = self.instants.total();
        let kept = if distance == DAY {
            self.next_days
        } else {
            self.instants.count(distance)
        };
        pairs >= 4 && kept * 5 >= pairs * 4
    }
}

fn clocks(moment: Moment) -> (i64, i64) {
    let clock = moment.clock();
    (clock, (clock + DAY / 2) % DAY)
}

/// How many trading days lie between two days since the epoch, the later included: Saturdays and
/// Sundays are none.
fn trading_days(from: i64, to: i64) -> i64 {
    // 1970-01-01 was a Thursday: with Monday as 0 the weekday is (day + 3) mod 7.
    let until = |day: i64| {
        let day = day + 3;
        day.div_euclid(7) * 5 + day.rem_euclid(7).min(5)
    };
    let weekend = |day: i64| (day + 3).rem_euclid(7) > 4;
    if weekend(from) || weekend(to) {
        // A market that trades at weekends has no others.
        return to - from;
    }
    until(to) - until(from)
}

/// How far apart the rows of a symbol are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spacing {
    Every(i64),
    /// Longer than a day.
    Longer(&'static str),
    /// Daily, but the days begin at midnight of a zone that is not known.
    NeedsZone,
    Unknown(String),
}
