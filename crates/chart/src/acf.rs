//! Autocorrelations by lag, with the bounds between which those of white noise lie.
//!
//! Model: a bar per lag from 1; the bounds are ±1.96/√n (G. E. P. Box and G. M. Jenkins, 1970), for
//! each lag by itself: of 20 lags of white noise one lies outside on average. Bars outside are drawn
//! in another colour.

use plotters::{coord::Shift, drawing::DrawingArea, prelude::DrawingBackend};

use crate::{
    Drawing, Rect, Result, Role, View,
    frame::{Frame, FrameSpec},
    numbers::fixed,
    surface::Ink,
};

/// Autocorrelations by lag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AcfChart<'a> {
    /// Of what: `Residuals of naive`.
    pub of: &'a str,
    /// The autocorrelations at lags 1, 2, …; -1 to 1.
    pub values: &'a [f64],
    /// How many observations they were computed from.
    pub observations: usize,
    /// Size and colours.
    pub view: View,
}

impl AcfChart<'_> {
    /// The bound of white noise at 95 %: 1.96/√n, at most 1.
    pub fn bound(&self) -> f64 {
        (1.959_964 / (self.observations.max(1) as f64).sqrt()).min(1.0)
    }

    fn outside(&self) -> impl Iterator<Item = (usize, f64)> {
        let bound = self.bound();
        let lags = self.values.iter().copied().enumerate();
        lags.filter(move |(_, v)| v.abs() > bound)
            .map(|(i, v)| (i + 1, v))
    }
}

impl Drawing for AcfChart<'_> {
    fn view(&self) -> View {
        self.view
    }

    fn title(&self) -> String {
        format!("Autocorrelation: {}", self.of)
    }

    fn description(&self) -> String {
        if self.values.is_empty() {
            return "No observations yet.".into();
        }
        let bound = fixed(self.bound(), 3);
        let mut text = format!(
            "Lags 1 to {} from {} observations; white noise stays within {bound} of zero.",
            self.values.len(),
            self.observations
        );
        let outside: Vec<String> = self
            .outside()
            .map(|(lag, v)| format!("{} at lag {lag}", fixed(v, 3)))
            .collect();
        if outside.is_empty() {
            text += " No lag is outside.";
        } else {
            text += &format!(" Outside: {}.", outside.join(", "));
        }
        text
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Result<()> {
        let drawn = || {
            let lags = self.values.iter().enumerate();
            lags.filter(|(_, v)| v.is_finite())
                .map(|(i, v)| (i as f64 + 1.0, v.clamp(-1.0, 1.0)))
        };
        let bound = self.bound();
        let most = drawn().map(|(_, v)| v.abs()).fold(bound, f64::max);
        let reach = (most * 1.15).clamp(0.05, 1.0);
        let frame = Frame::new(
            area,
            self.view,
            &FrameSpec {
                heading: &self.title(),
                x_title: "lag",
                x: (1.0, self.values.len().max(1) as f64),
                y: (-reach, reach),
                y_unit: "",
                legend: &[],
            },
        )?;
        frame.whole_labels()?;
        if drawn().next().is_none() {
            return frame.message("No observations yet");
        }
        let (s, plot) = (&frame.s, frame.plot);
        let (upper, lower) = (frame.y_of(bound), frame.y_of(-bound));
        let band = Rect {
            y: upper,
            height: lower - upper,
            ..plot
        };
        s.rect(band, Ink(Role::Price, 0.1))?;
        for y in [upper, lower] {
            s.dashed_horizontal(plot.x, plot.right(), y, Role::Price)?;
        }
        let width = s
            .snap((frame.slot_px() * 0.5).clamp(1.0, 10.0))
            .max(s.hairline());
        let zero = frame.y_of(0.0);
        for outside in [false, true] {
            let role = if outside { Role::Miss } else { Role::Price };
            for (lag, value) in drawn().filter(|(_, v)| (v.abs() > bound) == outside) {
                let y = frame.y_of(value);
                s.vertical(frame.x_of(lag), zero.min(y), zero.max(y), width, role)?;
            }
        }
        s.horizontal(plot.x, plot.right(), zero, s.hairline(), Role::Muted)
    }
}
