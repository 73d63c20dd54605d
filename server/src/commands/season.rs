//! The season of a series that names none: that of the interval at which its times lie, the same as on
//! the pages and for a stored symbol.
//!
//! Trades, of which several may bear one time, lie at no interval: each is an observation, and there is no season.
//!
//! What it does not do: look for seasons in the values.

use market::{Interval, Timestamp};

use super::series_input::Series;

/// The season asked for; else that of the series' interval; else none.
pub fn of(asked: Option<usize>, series: &Series) -> usize {
    let interval = || interval_of(series).map_or(1, Interval::default_season);
    asked.unwrap_or_else(interval)
}

fn interval_of(series: &Series) -> Option<Interval> {
    let times: &[Timestamp] = series.times.as_deref()?;
    Interval::of_times(times).filter(|_| !are_trades(times))
}

/// Whether a time comes more than once; the rows of a series are in the order of time.
fn are_trades(times: &[Timestamp]) -> bool {
    times.windows(2).any(|pair| pair[0] == pair[1])
}

/// Says on standard error which seasons were found in the times where none was asked for.
pub fn note(asked: Option<usize>, series: &[Series]) {
    if asked.is_some() {
        return;
    }
    if series
        .iter()
        .any(|one| one.times.as_deref().is_some_and(are_trades))
    {
        eprintln!(
            "tickcast: rows of one time are taken as trades: each is an observation, and there is no season; --season names one"
        );
    }
    let mut said = Vec::new();
    for one in series {
        let interval = interval_of(one);
        if said.contains(&interval) {
            continue;
        }
        said.push(interval);
        if let Some(interval) = interval {
            eprintln!(
                "tickcast: season {}, since the times lie {interval} apart; --season names another",
                interval.default_season()
            );
        }
    }
}
