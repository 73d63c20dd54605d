//! The season of a series that names none: that of the interval at which its times lie, the same as on
//! the pages and for a stored symbol.
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
    Interval::of_times(times)
}

/// Says on standard error which seasons were found in the times where none was asked for.
pub fn note(asked: Option<usize>, series: &[Series]) {
    if asked.is_some() {
        return;
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
