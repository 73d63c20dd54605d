//! The interval of a message's bars that do not say theirs, by the spacing of all of them.
//!
//! What it does not do: merge bars into longer ones, as the reader of files does; bars of a length that is
//! not kept are refused.

use std::collections::BTreeMap;

use market::Interval;

use super::{Scalar, build, row};
use crate::file::{
    spacing::{self, Track, length},
    time::Moment,
};

/// The interval of the bars in `rows`, symbol by symbol.
///
/// # Errors
/// Why it cannot be inferred, for a person.
pub fn interval_of(rows: &[&[u8]]) -> Result<Interval, String> {
    let mut moments: BTreeMap<String, Vec<Moment>> = BTreeMap::new();
    let mut has_clocks = false;
    for bytes in rows {
        let Ok(raw) = row::parse(bytes) else {
            continue;
        };
        if let (Scalar::Text(symbol), Some(moment)) =
            (&raw.symbol, build::moment_of(&raw.time, raw.time_unit))
        {
            has_clocks |= !build::is_date(&raw.time);
            moments
                .entry(symbol.trim().to_ascii_uppercase())
                .or_default()
                .push(moment);
        }
    }
    let mut tracks = Vec::new();
    for (symbol, mut moments) in moments {
        moments.sort_by_key(|moment| moment.instant);
        let mut all = moments.into_iter();
        if let Some(mut track) = all.next().map(Track::new) {
            all.for_each(|moment| track.add(moment));
            tracks.push((symbol, track));
        }
    }
    let tracks = tracks.iter().map(|(symbol, track)| (symbol.clone(), track));
    let found = spacing::of_file(tracks, has_clocks).map_err(|open| open.why)?;
    if found.rows_per_bar() > 1 {
        return Err(format!(
            "its bars are {} long, which is no interval that is kept",
            length(found.spacing)
        ));
    }
    Ok(found.interval)
}
