//! The rows of a file in the order of play, from a thread of their own, in bounded memory.
//!
//! Model: the file is read twice. The first reading keeps nothing and finds whether the rows stand
//! in the order of time, and their span. When they do, the second reading hands them on as they are
//! read. As soon as one does not, the first reading ends and the second sorts the rows in temporary
//! files (see [`super::sort`]). Rows that cannot be used have no place in time: they go along with
//! their neighbours, or before everything when the file has to be sorted.
//!
//! Each batch handed on holds ticks in order and bars in order; no row of a later batch comes before
//! one of an earlier. What it does not do: notice that the file is changed between the readings.

use std::ops::ControlFlow;

use market::{Bar, Interval, Tick, Timestamp};
use tokio::sync::mpsc::Sender;

use super::{
    play::{ReplayOptions, ReplayTimes, Speed},
    sort::{RUN_ROWS, Row, Sorter, shift_bar, shift_tick},
};
use crate::{Decoded, Result, file::PriceFile};

/// Reads the file to its end, or until nobody takes the batches. Blocking.
pub(super) fn read(options: &ReplayOptions, batches: &Sender<Decoded>) -> Result<()> {
    let file = PriceFile::open(&options.path, options.reading.clone())?;
    match survey(&file, batches)? {
        ControlFlow::Break(()) => Ok(()),
        ControlFlow::Continue(Some(span)) => stream(&file, span.shift(options), batches),
        ControlFlow::Continue(None) => {
            tracing::info!(
                file = %options.path.display(),
                "the file is not in the order of time: it is sorted before it is played"
            );
            sorted(&file, options, batches)
        }
    }
}

/// What the rows span.
#[derive(Debug, Default)]
struct Span {
    /// The first and the last time at which a row was known.
    times: Option<(Timestamp, Timestamp)>,
    /// The longest bar, in microseconds.
    longest: i64,
}

impl Span {
    fn add(&mut self, known_at: Timestamp, length: i64) {
        let (first, last) = self.times.unwrap_or((known_at, known_at));
        self.times = Some((first.min(known_at), last.max(known_at)));
        self.longest = self.longest.max(length);
    }

    fn add_all(&mut self, rows: &Decoded) {
        for tick in &rows.ticks {
            self.add(tick.ts, 1);
        }
        for bar in &rows.bars {
            self.add(bar.end(), bar.interval.micros());
        }
    }

    /// How far to move every row, in microseconds.
    fn shift(&self, options: &ReplayOptions) -> i64 {
        let (ReplayTimes::ShiftedToNow, Some((first, last))) = (options.times, self.times) else {
            return 0;
        };
        let now = (options.clock)();
        let target = match options.speed {
            Speed::Max => now.micros_since(last),
            Speed::Times(times) if times >= 1.0 => {
                let length = last.micros_since(first) as f64 / times;
                now.plus_micros(length as i64).micros_since(last)
            }
            Speed::Times(_) => now.micros_since(first),
        };
        // Days move by whole weeks, so that Fridays stay Fridays.
        let grain = if self.longest == Interval::D1.micros() {
            7 * self.longest
        } else {
            self.longest
        };
        target.div_euclid(grain) * grain
    }
}

/// The span of a file in the order of time; nothing when it is not in that order.
fn survey(file: &PriceFile, batches: &Sender<Decoded>) -> Result<ControlFlow<(), Option<Span>>> {
    let mut span = Span::default();
    let mut in_order = true;
    file.read_while(&mut |_| {}, |rows| {
        let first = [
            rows.ticks.first().map(|t| t.ts),
            rows.bars.first().map(Bar::end),
        ];
        let earliest = first.into_iter().flatten().min();
        let last = span.times.map(|(_, last)| last);
        in_order = rows.ticks.is_sorted_by_key(|t| t.ts)
            && rows.bars.is_sorted_by_key(Bar::end)
            && earliest.is_none_or(|at| last.is_none_or(|last| last <= at));
        span.add_all(&rows);
        Ok(if in_order && !batches.is_closed() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    })?;
    Ok(if batches.is_closed() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(in_order.then_some(span))
    })
}

fn stream(file: &PriceFile, us: i64, batches: &Sender<Decoded>) -> Result<()> {
    file.read_while(&mut |_| {}, |mut rows| {
        shift(&mut rows.ticks, &mut rows.bars, us);
        Ok(hand_on(rows, batches))
    })?;
    Ok(())
}

fn sorted(file: &PriceFile, options: &ReplayOptions, batches: &Sender<Decoded>) -> Result<()> {
    let mut sorter = Sorter::new(RUN_ROWS);
    let mut span = Span::default();
    file.read_while(&mut |_| {}, |rows| {
        span.add_all(&rows);
        for tick in rows.ticks {
            sorter.push(Row::Tick(tick))?;
        }
        for bar in rows.bars {
            sorter.push(Row::Bar(bar))?;
        }
        let rejects = Decoded {
            rejects: rows.rejects,
            ..Decoded::default()
        };
        Ok(hand_on(rejects, batches))
    })?;
    if batches.is_closed() {
        return Ok(());
    }
    let us = span.shift(options);
    let most = options.reading.batch_rows.max(1);
    let mut rows = sorter.finish()?.peekable();
    while rows.peek().is_some() {
        let mut batch = Decoded::default();
        for row in rows.by_ref().take(most) {
            match row? {
                Row::Tick(tick) => batch.ticks.push(tick),
                Row::Bar(bar) => batch.bars.push(bar),
            }
        }
        shift(&mut batch.ticks, &mut batch.bars, us);
        if hand_on(batch, batches).is_break() {
            return Ok(());
        }
    }
    Ok(())
}

fn shift(ticks: &mut [Tick], bars: &mut [Bar], us: i64) {
    if us != 0 {
        ticks.iter_mut().for_each(|tick| shift_tick(tick, us));
        bars.iter_mut().for_each(|bar| shift_bar(bar, us));
    }
}

/// Waits for room; breaks when nobody takes batches any more.
fn hand_on(rows: Decoded, batches: &Sender<Decoded>) -> ControlFlow<()> {
    let taken = if rows.rows() == 0 {
        !batches.is_closed()
    } else {
        batches.blocking_send(rows).is_ok()
    };
    if taken {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}
