//! The interval of a file's bars: as the rows say it, as they are spaced, or as it was asked for.

use market::Interval;

use super::{config, surveyor::Surveyor};
use crate::{
    Result,
    file::{
        FileOptions,
        layout::Layout,
        spacing::{self, Found, length},
        table::Table,
    },
};

impl Surveyor<'_> {
    /// Whether there is a column of intervals, and every one in it is known.
    pub(super) fn all_say_their_interval(
        &self,
        table: &dyn Table,
        layout: &Layout,
    ) -> Result<bool> {
        let Some(column) = layout.interval else {
            return Ok(false);
        };
        let mut said = 0;
        for seen in &self.seen {
            let Some(at) = seen.name.iter().rposition(|b| *b == 0) else {
                continue;
            };
            let text = String::from_utf8_lossy(&seen.name[at + 1..]);
            if text.is_empty() {
                continue;
            }
            if interval_named(&text).is_none() {
                return Err(config(
                    "--interval",
                    format!(
                        "{:?} says {text:?}, which is none of the intervals that are kept (1s, 1m, 5m, \
                         15m, 1h, 1d)",
                        table.columns()[column].name
                    ),
                ));
            }
            said += 1;
        }
        Ok(said == self.seen.len())
    }

    pub(super) fn interval(&self, options: &FileOptions, notes: &mut Vec<String>) -> Result<Found> {
        let tracks = self.seen.iter().filter_map(|seen| {
            let name: Vec<u8> = seen.name.iter().copied().take_while(|b| *b != 0).collect();
            Some((
                String::from_utf8_lossy(&name).into_owned(),
                seen.track.as_ref()?,
            ))
        });
        let has_clocks = self.times.is_clocked() || self.evidence.has_clocks();
        let found = spacing::of_file(tracks, has_clocks);
        let Some(asked) = options.interval else {
            let found = found.map_err(|open| config(open.option, open.why))?;
            if found.rows_per_bar() > 1 {
                notes.push(format!(
                    "the rows are {} apart, which is no interval that is kept: {} of them make a bar of {}",
                    length(found.spacing),
                    found.rows_per_bar(),
                    found.interval
                ));
            }
            return Ok(found);
        };
        let kept = Found {
            spacing: asked.micros(),
            interval: asked,
        };
        match found {
            Ok(found) if found.spacing < asked.micros() => {
                if asked.micros() % found.spacing != 0 {
                    return Err(config(
                        "--interval",
                        format!(
                            "the rows are {} apart, and {asked} is no multiple of it",
                            length(found.spacing)
                        ),
                    ));
                }
                notes.push(format!(
                    "the rows are {} apart: up to {} of them make a bar of {asked}, as asked",
                    length(found.spacing),
                    asked.micros() / found.spacing
                ));
                Ok(Found {
                    spacing: found.spacing,
                    interval: asked,
                })
            }
            Ok(found) if found.spacing > asked.micros() => {
                notes.push(format!(
                    "the rows are {} apart, and kept as bars of {asked}, as asked",
                    length(found.spacing)
                ));
                Ok(kept)
            }
            _ => Ok(kept),
        }
    }
}

/// An interval as tools write it: `1m`, `D` (Stooq), `5` (minutes), `1min`, `60min`, `1Day`.
pub fn interval_named(text: &str) -> Option<Interval> {
    if let Ok(interval) = text.parse() {
        return Some(interval);
    }
    let text = text.trim().to_ascii_lowercase();
    let minutes = |n: &str| match n {
        "1" => Some(Interval::M1),
        "5" => Some(Interval::M5),
        "15" => Some(Interval::M15),
        "60" => Some(Interval::H1),
        "1440" => Some(Interval::D1),
        _ => None,
    };
    match text.as_str() {
        "d" | "day" | "daily" | "1day" | "day_1" | "d1" => Some(Interval::D1),
        "h1" | "1hour" | "hour" | "hourly" => Some(Interval::H1),
        _ => minutes(
            text.trim_end_matches("minute")
                .trim_end_matches("min")
                .trim_start_matches('m'),
        ),
    }
}
