//! The series that `forecast` and `backtest` read: from a file of any kind that `import` reads, or from
//! standard input. How is told in [`source::file::series`].

use std::path::Path;

use pipeline::{Clock as _, SystemClock};
use source::file::{
    input::Input,
    series::{self, SeriesOptions},
};

use super::reading::ReadingArgs;
use crate::{error::Result, terminal, wiring};

pub use source::file::series::Series;

/// Reads the series of `column`, split by the column `id` if given, in order of first appearance, and says on
/// standard error what was decided of them.
///
/// # Errors
/// A file that cannot be read, or that does not have such series.
pub fn read(
    input: &Path,
    column: Option<&str>,
    id: Option<&str>,
    reading: &ReadingArgs,
) -> Result<Vec<Series>> {
    let (series, notes) = table(input, column, id, reading)?;
    for note in &notes {
        terminal::complain(note);
    }
    Ok(series)
}

fn table(
    input: &Path,
    column: Option<&str>,
    id: Option<&str>,
    reading: &ReadingArgs,
) -> Result<(Vec<Series>, Vec<String>)> {
    let options = SeriesOptions {
        column: column.map(ToOwned::to_owned),
        id: id.map(ToOwned::to_owned),
        reading: reading.options(SystemClock.now()),
    };
    let read = Input::open(input)
        .and_then(|input| series::read(input, &options))
        .map_err(wiring::from_source)?;
    Ok((read.series, read.notes))
}

/// The volume of each step of each series, from another column of the same file, where somebody wants it; none where a
/// series of it does not go with that of the values. Why there are none at all is said on standard error.
pub fn volumes(
    wanted: bool,
    (input, column, id): (&Path, &str, Option<&str>),
    reading: &ReadingArgs,
    series: &[Series],
) -> Vec<Option<Vec<f64>>> {
    if !wanted {
        return vec![None; series.len()];
    }
    let none = |why: &dyn std::fmt::Display| {
        terminal::complain(format_args!("no volumes: {why}"));
        vec![None; series.len()]
    };
    if input == Path::new("-") {
        return none(&"standard input cannot be read twice, name a file");
    }
    let mut all = match table(input, Some(column), id, reading) {
        Ok((all, _)) => all,
        Err(e) => return none(&e),
    };
    let of = |one: &Series| {
        let place = all.iter().position(|other| other.id == one.id)?;
        let found = all.swap_remove(place);
        (found.values.len() == one.values.len() && found.times == one.times).then_some(found.values)
    };
    series.iter().map(of).collect()
}

/// The start of each step of a series in milliseconds since 1970 UTC, where it has times.
pub fn times_ms(series: &Series) -> Option<Vec<i64>> {
    let ms = |time: &market::Timestamp| time.as_micros().div_euclid(1_000);
    Some(series.times.as_ref()?.iter().map(ms).collect())
}

/// A whole number from one up.
///
/// # Errors
/// What was expected.
pub fn from_one(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("expected a whole number from 1 up".into()),
    }
}

/// A whole number from zero up.
///
/// # Errors
/// What was expected.
pub fn from_zero(text: &str) -> std::result::Result<usize, String> {
    text.parse()
        .map_err(|_| "expected a whole number from 0 up".into())
}
