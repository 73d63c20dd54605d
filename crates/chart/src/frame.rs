//! The frame of the charts of forecast quality: heading, legend, linear axes, grid.
//!
//! Model: values on the y axis with round labels on the left; on the x axis whole numbers (steps,
//! lags) or bars in their order, labelled by the caller.

use plotters::{
    coord::Shift, drawing::DrawingArea, prelude::DrawingBackend, style::text_anchor::HPos,
};

use crate::{
    Rect, Result, Role, View,
    numbers::{fixed, ticks},
    surface::{FONT_PX, Ink, Surface, bold_width_px, text_width_px},
};

const HEADER_PX: f64 = 26.0;
const LEGEND_PX: f64 = 18.0;
const X_AXIS_PX: f64 = 22.0;
const X_TITLE_PX: f64 = 15.0;

/// What is to be framed.
pub(crate) struct FrameSpec<'a> {
    pub heading: &'a str,
    /// What the x axis counts; empty for none.
    pub x_title: &'a str,
    /// The range of x; one slot around it is left free.
    pub x: (f64, f64),
    /// The range of y.
    pub y: (f64, f64),
    /// Follows each label of y: ` %`.
    pub y_unit: &'a str,
    pub legend: &'a [(String, Ink)],
}

/// A frame with its coordinates.
pub(crate) struct Frame<'a, DB: DrawingBackend> {
    pub s: Surface<'a, DB>,
    pub plot: Rect,
    x: (f64, f64),
    y: (f64, f64),
}

impl<'a, DB: DrawingBackend> Frame<'a, DB> {
    /// Draws background, heading, legend and the axis of y.
    pub(crate) fn new(
        area: &'a DrawingArea<DB, Shift>,
        view: View,
        spec: &FrameSpec<'_>,
    ) -> Result<Self> {
        let (width, height) = (view.width_px(), view.height_px());
        let s = Surface::new(area, width, view.ratio(), view.theme);
        let whole = Rect {
            x: 0.0,
            y: 0.0,
            width,
            height,
        };
        s.rect(whole, Role::Background)?;
        let left = 6.0;
        s.bold(
            spec.heading,
            (left + 2.0, HEADER_PX / 2.0),
            HPos::Left,
            12.0,
            Role::Text,
        )?;
        let mut top = HEADER_PX;
        // The legend goes beside the heading where there is room, else into lines of its own.
        let entry_px = |text: &str| 13.0 + text_width_px(text, FONT_PX) + 12.0;
        let legend_px: f64 = spec.legend.iter().map(|(text, _)| entry_px(text)).sum();
        let beside = left + 2.0 + bold_width_px(spec.heading, 12.0) + 16.0;
        let mut at = (beside, HEADER_PX / 2.0);
        if beside + legend_px > width && !spec.legend.is_empty() {
            at = (left + 2.0, HEADER_PX + LEGEND_PX / 2.0 - 3.0);
            top += LEGEND_PX;
        }
        for (text, ink) in spec.legend {
            if at.0 + entry_px(text) - 12.0 > width && at.0 > left + 2.0 {
                at = (left + 2.0, at.1 + LEGEND_PX);
                top += LEGEND_PX;
            }
            let swatch = Rect {
                x: s.snap(at.0),
                y: s.snap(at.1 - 4.0),
                width: 9.0,
                height: 8.0,
            };
            s.rect(swatch, *ink)?;
            s.text(text, (at.0 + 13.0, at.1), HPos::Left, FONT_PX, Role::Muted)?;
            at.0 += entry_px(text);
        }
        let under = X_AXIS_PX
            + if spec.x_title.is_empty() {
                0.0
            } else {
                X_TITLE_PX
            };
        let plot_height = (height - top - under).max(10.0);
        let y_ticks = ticks(spec.y.0, spec.y.1, (plot_height / 38.0).max(2.0) as usize);
        let labels: Vec<String> = y_ticks
            .values
            .iter()
            .map(|v| fixed(*v, y_ticks.decimals) + spec.y_unit)
            .collect();
        let axis = labels
            .iter()
            .map(|l| text_width_px(l, FONT_PX))
            .fold(20.0, f64::max)
            + 12.0;
        let axis = axis.min(width * 0.4);
        let plot = Rect {
            x: axis,
            y: top,
            width: (width - axis - 12.0).max(10.0),
            height: plot_height,
        };
        let frame = Self {
            s,
            plot,
            x: spec.x,
            y: spec.y,
        };
        for (value, label) in y_ticks.values.iter().zip(&labels) {
            let y = frame.y_of(*value);
            frame
                .s
                .horizontal(plot.x, plot.right(), y, frame.s.hairline(), Role::Grid)?;
            let y = y.clamp(plot.y + 4.0, plot.bottom() - 3.0);
            frame
                .s
                .text(label, (plot.x - 6.0, y), HPos::Right, FONT_PX, Role::Muted)?;
        }
        if !spec.x_title.is_empty() {
            let at = (plot.x + plot.width / 2.0, height - X_TITLE_PX / 2.0 - 2.0);
            frame
                .s
                .text(spec.x_title, at, HPos::Center, FONT_PX, Role::Muted)?;
        }
        Ok(frame)
    }

    /// The distance between x and x + 1.
    pub(crate) fn slot_px(&self) -> f64 {
        self.plot.width / (self.x.1 - self.x.0 + 1.0).max(1.0)
    }

    pub(crate) fn x_of(&self, x: f64) -> f64 {
        self.plot.x + (x - self.x.0 + 0.5) * self.slot_px()
    }

    /// The height of a value; at the edge when it lies outside.
    pub(crate) fn y_of(&self, y: f64) -> f64 {
        let share = (self.y.1 - y) / (self.y.1 - self.y.0);
        self.plot.y + share.clamp(0.0, 1.0) * self.plot.height
    }

    /// Labels under the plot; those given must not overlap.
    pub(crate) fn x_labels<'t>(
        &self,
        labels: impl IntoIterator<Item = (f64, &'t str)>,
    ) -> Result<()> {
        let y = self.plot.bottom() + X_AXIS_PX / 2.0 + 1.0;
        for (x, label) in labels {
            self.s
                .text(label, (self.x_of(x), y), HPos::Center, FONT_PX, Role::Muted)?;
        }
        Ok(())
    }

    /// Labels at round whole numbers.
    pub(crate) fn whole_labels(&self) -> Result<()> {
        let (low, high) = self.x;
        let room = text_width_px(&fixed(high, 0), FONT_PX) + 12.0;
        let most = (self.plot.width / room).max(1.0);
        let step = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]
            .into_iter()
            .find(|step| (high - low) / step <= most)
            .unwrap_or(10_000.0);
        let mut labels = Vec::new();
        let mut x = (low / step).ceil() * step;
        while x <= high && labels.len() < 1000 {
            labels.push((x, fixed(x, 0)));
            x += step;
        }
        self.x_labels(labels.iter().map(|(x, text)| (*x, text.as_str())))
    }

    /// A message instead of data.
    pub(crate) fn message(&self, text: &str) -> Result<()> {
        let middle = (
            self.plot.x + self.plot.width / 2.0,
            self.plot.y + self.plot.height / 2.0,
        );
        self.s.text(text, middle, HPos::Center, 13.0, Role::Muted)
    }
}
