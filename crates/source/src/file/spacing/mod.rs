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

mod track;

use market::Interval;

use self::track::Spacing;
pub use self::track::Track;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A length in words: `30m`, `4h`, `45s`.
pub fn length(us: i64) -> String {
    for (unit, name) in [(DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")] {
        if us % unit == 0 {
            return format!("{}{name}", us / unit);
        }
    }
    format!("{}ms", us as f64 / 1_000.0)
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
mod tests;
