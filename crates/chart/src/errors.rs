//! Errors of several models over time.
//!
//! Model: the axis holds the times at which any model has an error, side by side, as the price chart
//! does with its bars. A model's line breaks where it has none.

use market::{Interval, Timestamp};
use plotters::{coord::Shift, drawing::DrawingArea, prelude::DrawingBackend};

use crate::{
    Drawing, Result, Role, View,
    frame::{Frame, FrameSpec},
    numbers::{format_size, usable},
    price_draw::thinned,
    surface::Ink,
    time_axis::{number_ticks, time_ticks},
};

/// The errors of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorSeries<'a> {
    /// The model's name.
    pub model: &'a str,
    /// Time and error, in order of time.
    pub points: Vec<(Timestamp, f64)>,
}

/// Errors over time, a line per model.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorsChart<'a> {
    /// What is shown: `Mean absolute error, 1 step ahead`.
    pub measure: &'a str,
    /// The length of the bars that were forecast: tells how times are written. `None` where there are
    /// no times: then a point's microseconds are its number, and are written as such.
    pub interval: Option<Interval>,
    /// One per model, in the order of their colours.
    pub series: &'a [ErrorSeries<'a>],
    /// Size and colours.
    pub view: View,
}

impl ErrorsChart<'_> {
    fn values(&self) -> impl Iterator<Item = f64> {
        let points = self.series.iter().flat_map(|s| &s.points);
        points.map(|(_, error)| *error).filter(|e| usable(*e))
    }
}

impl Drawing for ErrorsChart<'_> {
    fn view(&self) -> View {
        self.view
    }

    fn title(&self) -> String {
        self.measure.into()
    }

    fn description(&self) -> String {
        let mut text = String::new();
        for series in self.series {
            let last = series.points.iter().rev().find(|(_, e)| usable(*e));
            if let Some((_, error)) = last {
                text += &format!("{}: {} lately. ", series.model, format_size(*error));
            }
        }
        if text.is_empty() {
            text.push_str("No errors yet.");
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Result<()> {
        let low = self.values().fold(0.0, f64::min);
        let high = self.values().fold(low, f64::max);
        let span = if high > low { high - low } else { 1.0 };
        let mut times: Vec<Timestamp> = self
            .series
            .iter()
            .flat_map(|s| s.points.iter().map(|(t, _)| *t))
            .collect();
        times.sort_unstable();
        times.dedup();
        let legend: Vec<(String, Ink)> = self
            .series
            .iter()
            .enumerate()
            .map(|(n, s)| (s.model.to_owned(), Role::series(n).into()))
            .collect();
        let frame = Frame::new(
            area,
            self.view,
            &FrameSpec {
                heading: self.measure,
                x_title: "",
                x: (0.0, times.len().saturating_sub(1) as f64),
                y: (
                    if low < 0.0 { low - span * 0.06 } else { 0.0 },
                    high.max(low) + span * 0.06,
                ),
                y_unit: "",
                legend: &legend,
            },
        )?;
        if self.values().next().is_none() {
            return frame.message("No errors yet");
        }
        let slot = frame.slot_px();
        let room = (frame.plot.x + slot / 2.0 - 2.0, slot / 2.0 + 10.0);
        let ticks = match self.interval {
            Some(interval) => {
                time_ticks(&times, interval, self.view.utc_offset_minutes, slot, room)
            }
            None => number_ticks(&times, slot),
        };
        for tick in &ticks {
            let x = frame.x_of(tick.index as f64);
            frame.s.vertical(
                x,
                frame.plot.y,
                frame.plot.bottom(),
                frame.s.hairline(),
                Role::Grid,
            )?;
        }
        frame.x_labels(ticks.iter().map(|t| (t.index as f64, t.label.as_str())))?;
        for (n, series) in self.series.iter().enumerate() {
            let role = Role::series(n);
            for run in series.points.split(|(_, e)| !usable(*e)) {
                let line: Vec<_> = run
                    .iter()
                    .filter_map(|(t, e)| {
                        let index = times.binary_search(t).ok()?;
                        Some((frame.x_of(index as f64), frame.y_of(*e)))
                    })
                    .collect();
                if let [point] = line.as_slice() {
                    frame.s.dot(*point, 2.5, role)?;
                }
                frame.s.line(&thinned(&line), 1.5, role)?;
            }
        }
        Ok(())
    }
}
