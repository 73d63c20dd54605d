//! Series while they are read: which of them were asked for, and the order of their values.

use market::Timestamp;

use super::{Series, SeriesOptions, columns::Columns, config};
use crate::{
    Result,
    file::{price_levels::PriceLevels, table::Table},
};

/// A series as it is read.
#[derive(Default)]
pub(super) struct Growing {
    pub(super) values: Vec<f64>,
    pub(super) times: Vec<Option<Timestamp>>,
    pub(super) rows: Vec<u64>,
}

/// The series that were asked for; several that nobody chose from are refused.
pub(super) fn choose(
    table: &dyn Table,
    columns: &Columns,
    series: Vec<(String, Growing)>,
    options: &SeriesOptions,
) -> Result<Vec<(String, Growing)>> {
    if options.id.is_some() && options.reading.symbol.is_none() {
        return Ok(series);
    }
    let names = |series: &[(String, Growing)]| {
        let shown: Vec<&str> = series.iter().take(5).map(|(id, _)| id.as_str()).collect();
        let more = if series.len() > 5 { ", …" } else { "" };
        format!("{}{more}", shown.join(", "))
    };
    if let Some(symbol) = &options.reading.symbol
        && (columns.id.is_some() || columns.values.iter().any(|(_, of)| of.is_some()))
    {
        let there = names(&series);
        let mut chosen: Vec<(String, Growing)> = series
            .into_iter()
            .filter(|(id, _)| id.trim().eq_ignore_ascii_case(symbol.as_str()))
            .collect();
        if chosen.is_empty() {
            return Err(config(
                "--symbol",
                format!("there are no rows of {symbol}: there are {there}"),
            ));
        }
        if options.id.is_none() {
            chosen.iter_mut().for_each(|(id, _)| id.clear());
        }
        return Ok(chosen);
    }
    // A number of its own for each row tells no series apart.
    if series.len() > 1 && columns.id.is_some() && series.iter().all(|(_, s)| s.values.len() == 1) {
        let mut all = Growing::default();
        for (_, one) in series {
            all.values.extend(one.values);
            all.times.extend(one.times);
            all.rows.extend(one.rows);
        }
        return Ok(vec![(String::new(), all)]);
    }
    if series.len() == 1 {
        let mut only = series;
        only.iter_mut().for_each(|(id, _)| id.clear());
        return Ok(only);
    }
    let column = columns
        .id
        .map_or("Ticker", |at| table.columns()[at].name.as_str());
    Err(config(
        "--id",
        format!(
            "the column {column:?} tells {} series apart ({}): --id {column} takes each of them, --symbol \
             one",
            series.len(),
            names(&series)
        ),
    ))
}

/// Sorts a series by its times, where each row has one.
pub(super) fn sort(
    id: String,
    growing: Growing,
    columns: &Columns,
    conflicts: &mut Vec<(u64, u64)>,
    levels: &mut PriceLevels,
    notes: &mut Vec<String>,
) -> Series {
    let Growing {
        values,
        times,
        rows,
    } = growing;
    let known: Option<Vec<Timestamp>> = if columns.time.is_some() {
        times.iter().copied().collect()
    } else {
        None
    };
    let Some(times) = known else {
        if columns.time.is_some() {
            notes.push(
                "some times cannot be read: the rows are taken in the order of the file".into(),
            );
        }
        return Series {
            id,
            values,
            times: None,
        };
    };
    let mut order: Vec<usize> = (0..values.len()).collect();
    if !times.is_sorted() {
        let falls = times.windows(2).all(|w| w[0] >= w[1]);
        if falls {
            // Rows of one time stand the other way round as well.
            order.reverse();
            notes.push("the rows are newest first: they are taken in the order of time".into());
        } else {
            notes.push("the rows are not in the order of time: they are sorted by it".into());
        }
        order.sort_by_key(|at| times[*at]);
    }
    if columns.bare_prices {
        for at in &order {
            levels.see(times[*at].as_micros(), values[*at], rows[*at]);
        }
    }
    if !columns.may_repeat {
        let repeats = order.windows(2).filter(|pair| {
            let (a, b) = (pair[0], pair[1]);
            times[a] == times[b] && values[a].to_bits() != values[b].to_bits()
        });
        for pair in repeats.take(32usize.saturating_sub(conflicts.len())) {
            let (a, b) = (rows[pair[0]], rows[pair[1]]);
            conflicts.push((a.min(b), a.max(b)));
        }
    }
    Series {
        id,
        values: order.iter().map(|at| values[*at]).collect(),
        times: Some(order.iter().map(|at| times[*at]).collect()),
    }
}
