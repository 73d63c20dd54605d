//! The interval of a file's bars, found from the spacing of all its rows, symbol by symbol.
//!
//! Model: a [`Track`] takes in the moments of one symbol in the order of time (either way) and counts the
//! distances between neighbours. Days are told apart first: a symbol that has no two rows on one date,
//! all at one time of day (give or take the hour that summer time moves it), has bars of days or longer,
//! and their distance is counted in trading days. Of anything else the distance that the others are
//! multiples of is the interval, if it is one that bars come in. [`of_file`] takes the symbols together.
//!
//! What it does not do: decide on a single row, on rows at odd distances, on symbols that disagree: then
//! it says why, and the caller asks.

use market::Interval;

use super::time::Moment;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

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
struct Distances {
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

    fn total(&self) -> u64 {
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
    rows: u64,
    /// Between instants, in microseconds.
    instants: Distances,
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

    fn spacing(&self, has_clocks: bool) -> Spacing {
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
    fn keeps_to(&self, distance: i64) -> bool {
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

/// A length in words: `30m`, `4h`, `45s`.
pub fn length(us: i64) -> String {
    for (unit, name) in [(DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")] {
        if us % unit == 0 {
            return format!("{}{name}", us / unit);
        }
    }
    format!("{}ms", us as f64 / 1_000.0)
}

/// How far apart the rows of a symbol are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Spacing {
    Every(i64),
    /// Longer than a day.
    Longer(&'static str),
    /// Daily, but the days begin at midnight of a zone that is not known.
    NeedsZone,
    Unknown(String),
}

/// The interval of a file's bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// How far apart the rows are, in microseconds.
    pub spacing: i64,
    /// The interval under which the bars are kept: the spacing itself, or the shortest that is a
    /// multiple of it.
    pub interval: Interval,
}

impl Found {
    fn of(spacing: i64) -> Option<Self> {
        Interval::ALL
            .into_iter()
            .find(|i| i.micros() >= spacing && i.micros() % spacing == 0)
            .map(|interval| Self { spacing, interval })
    }

    /// How many rows a bar is made of at most.
    pub const fn rows_per_bar(self) -> i64 {
        self.interval.micros() / self.spacing
    }
}

/// What the rows leave open, for a person, and the option that decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The option.
    pub option: &'static str,
    /// Why it is needed.
    pub why: String,
}

/// The interval of all symbols' bars; `has_clocks`: whether times of day are written.
///
/// # Errors
/// What is to be asked for.
pub fn of_file<'a>(
    tracks: impl Iterator<Item = (String, &'a Track)>,
    has_clocks: bool,
) -> Result<Found, Open> {
    let mut sure: Vec<(String, &Track, i64)> = Vec::new();
    let mut open: Option<Open> = None;
    let mut of_one_row = 0;
    let mut longer: Option<Open> = None;
    for (name, track) in tracks {
        let ask = |option, why| Open { option, why };
        let of = if name.is_empty() {
            String::new()
        } else {
            format!(" of {name}")
        };
        let asked = match track.spacing(has_clocks) {
            Spacing::Every(spacing) if track.instants.total() == 0 => {
                of_one_row = spacing;
                continue;
            }
            Spacing::Every(spacing) => {
                sure.push((name, track, spacing));
                continue;
            }
            Spacing::Longer(name) => {
                let asked = ask(
                    "--interval",
                    format!(
                        "its bars{of} are {name} long, and the longest that are kept are of a day: 1d \
                         keeps each as the bar of its date"
                    ),
                );
                if track.rows >= 5 {
                    longer.get_or_insert_with(|| asked.clone());
                }
                asked
            }
            Spacing::NeedsZone => ask(
                "--time-zone",
                format!(
                    "its days{of} begin at midnight of a zone with summer time, and the times are \
                     written in another"
                ),
            ),
            Spacing::Unknown(why) => ask(
                "--interval",
                format!("the interval of its bars{of} cannot be told: {why}"),
            ),
        };
        // One row of a symbol says nothing; the others' do.
        if track.rows > 1 || open.is_none() {
            open = Some(asked);
        }
    }
    let Some((first, _, shortest)) = sure.iter().min_by_key(|(_, _, spacing)| *spacing).cloned()
    else {
        return match (open, Found::of(of_one_row.max(1))) {
            (None, Some(found)) if of_one_row > 0 => Ok(found),
            (Some(open), _) => Err(open),
            (None, _) => Err(Open {
                option: "--interval",
                why: "there is no row whose time can be read".into(),
            }),
        };
    };
    // Bars of a week beside those of a day are no quiet days.
    if let Some(open) = longer.or(open.filter(|open| open.option == "--time-zone")) {
        return Err(open);
    }
    let other = sure
        .iter()
        .find(|(_, track, spacing)| *spacing != shortest && track.keeps_to(*spacing));
    if let Some((name, _, spacing)) = other {
        return Err(Open {
            option: "--interval",
            why: format!(
                "the rows of {first} are {} apart, those of {name} {}",
                length(shortest),
                length(*spacing)
            ),
        });
    }
    Found::of(shortest).ok_or_else(|| Open {
        option: "--interval",
        why: format!(
            "its bars are {} long, which is no part of a longer one",
            length(shortest)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(texts: &[&str]) -> Vec<Moment> {
        texts
            .iter()
            .map(|text| {
                let us = text.parse::<market::Timestamp>().unwrap().as_micros();
                let offset = match text.get(19..).filter(|o| o.len() == 6) {
                    Some(offset) => i64::from(super::super::time::text::offset(offset).unwrap()),
                    None => 0,
                };
                Moment {
                    instant: us,
                    civil: us + offset * SECOND,
                }
            })
            .collect()
    }

    fn track(moments: &[Moment]) -> Track {
        let mut track = Track::new(moments[0]);
        moments[1..].iter().for_each(|moment| track.add(*moment));
        track
    }

    fn found(texts: &[&str]) -> Result<(i64, Interval), String> {
        let track = track(&moments(texts));
        let has_clocks = texts.iter().any(|t| t.len() > 10);
        of_file([(String::new(), &track)].into_iter(), has_clocks)
            .map(|found| (found.spacing, found.interval))
            .map_err(|open| format!("{}: {}", open.option, open.why))
    }

    fn every(minutes: i64, count: i64) -> Vec<Moment> {
        let start: market::Timestamp = "2026-06-01T22:00:00Z".parse().unwrap();
        (0..count)
            .map(|i| start.as_micros() + i * minutes * MINUTE)
            .map(|us| Moment {
                instant: us,
                civil: us,
            })
            .collect()
    }

    #[test]
    fn intervals_of_clocks_are_found_also_over_midnight_and_with_gaps() {
        for (minutes, interval) in [
            (1, Interval::M1),
            (5, Interval::M5),
            (15, Interval::M15),
            (60, Interval::H1),
        ] {
            let mut all = every(minutes, 30);
            let whole = of_file([("A".into(), &track(&all))].into_iter(), true).unwrap();
            assert_eq!(whole.interval, interval);
            // Some bars had no trades.
            all.retain(|m| (m.instant / MINUTE / minutes) % 7 != 3);
            let gaps = of_file([("A".into(), &track(&all))].into_iter(), true).unwrap();
            assert_eq!(gaps.interval, interval);
        }
    }

    #[test]
    fn lengths_that_are_not_kept_become_bars_of_the_next_that_is() {
        for (minutes, interval) in [(3, Interval::M15), (30, Interval::H1), (240, Interval::D1)] {
            let all = every(minutes, 60);
            let found = of_file([(String::new(), &track(&all))].into_iter(), true).unwrap();
            assert_eq!(
                (found.spacing, found.interval),
                (minutes * MINUTE, interval)
            );
        }
    }

    #[test]
    fn days_are_days_whatever_offset_and_summer_time_stand_behind_them() {
        let daily = Ok((DAY, Interval::D1));
        assert_eq!(found(&["2026-06-01", "2026-06-02", "2026-06-03"]), daily);
        assert_eq!(
            found(&[
                "2026-03-05 00:00:00-05:00",
                "2026-03-06 00:00:00-05:00",
                "2026-03-09 00:00:00-04:00",
            ]),
            daily
        );
        assert_eq!(
            found(&["2026-03-06T05:00:00Z", "2026-03-09T04:00:00Z"]),
            daily
        );
        assert_eq!(found(&["2026-06-05", "2026-06-08"]), daily);
        assert_eq!(found(&["2026-06-08", "2026-06-05", "2026-06-04"]), daily);
        assert_eq!(found(&["2026-11-25"]), daily);
        // Midnight in London, written in UTC: the 29th of March would be there twice or never.
        let london = found(&[
            "2026-03-27T00:00:00Z",
            "2026-03-29T23:00:00Z",
            "2026-03-30T23:00:00Z",
        ]);
        assert!(london.unwrap_err().starts_with("--time-zone"));
    }

    #[test]
    fn what_the_rows_leave_open_is_asked_for() {
        let asked = |texts: &[&str], part: &str| {
            let open = found(texts).unwrap_err();
            assert!(
                open.starts_with("--interval") && open.contains(part),
                "{open}"
            );
        };
        asked(&["2026-06-01 09:30:00"], "one row only");
        asked(&["2026-06-01", "2026-06-08", "2026-06-15"], "a week long");
        asked(&["2026-01-01", "2026-02-01", "2026-03-01"], "a month long");
        asked(
            &[
                "2026-06-01 09:30:00",
                "2026-06-01 09:31:10",
                "2026-06-01 09:35:00",
            ],
            "apart",
        );
        // A minute's bars, and then days'.
        let mut mixed = every(1, 10);
        mixed.extend(every(24 * 60, 12).iter().map(|m| Moment {
            instant: m.instant + 10 * DAY,
            civil: m.civil + 10 * DAY,
        }));
        let open = of_file([("A".into(), &track(&mixed))].into_iter(), true).unwrap_err();
        assert!(open.why.contains("1m apart, others 1d"), "{}", open.why);
    }

    #[test]
    fn symbols_that_disagree_are_named_and_quiet_ones_agree() {
        let (minutes, hours) = (track(&every(1, 50)), track(&every(60, 50)));
        let open = of_file(
            [("FAST".into(), &minutes), ("SLOW".into(), &hours)].into_iter(),
            true,
        )
        .unwrap_err();
        assert!(
            open.why.contains("FAST") && open.why.contains("SLOW"),
            "{}",
            open.why
        );
        let quiet = track(&moments(&[
            "2026-06-01 22:03:00",
            "2026-06-01 22:20:00",
            "2026-06-02 01:07:00",
        ]));
        let one = track(&moments(&["2026-06-01 22:03:00"]));
        let found = of_file(
            [
                ("FAST".into(), &minutes),
                ("QUIET".into(), &quiet),
                ("ONE".into(), &one),
            ]
            .into_iter(),
            true,
        );
        assert_eq!(found.unwrap().interval, Interval::M1);
    }
}
