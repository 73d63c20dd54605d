//! How often outcomes fell inside their prediction intervals, by steps ahead, against what the
//! intervals promised.
//!
//! Model: each level has a dashed line at its nominal coverage and a point per step at the observed
//! one, with the Wilson score interval at 95 % (E. B. Wilson, 1927) for the number of outcomes: a
//! level whose whiskers miss its dashed line is miscalibrated, not merely unlucky. Outcomes of
//! overlapping forecasts depend on each other, so the whiskers are rather too short than too long.

use plotters::{coord::Shift, drawing::DrawingArea, prelude::DrawingBackend};

use crate::{
    Drawing, Result, Role, View,
    frame::{Frame, FrameSpec},
    numbers::{fixed, level},
    surface::Ink,
};

/// Observed coverage at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoveragePoint {
    /// Steps ahead, from 1.
    pub step: u32,
    /// Outcomes.
    pub count: u64,
    /// Outcomes inside the interval.
    pub inside: u64,
}

impl CoveragePoint {
    /// The share inside; `None` without outcomes.
    pub fn share(&self) -> Option<f64> {
        (self.count > 0).then(|| self.inside.min(self.count) as f64 / self.count as f64)
    }

    /// The Wilson score interval at 95 % of the share; `None` without outcomes.
    pub fn wilson_95(&self) -> Option<(f64, f64)> {
        const Z: f64 = 1.959_964;
        let share = self.share()?;
        let n = self.count as f64;
        let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let middle = share + Z * Z / (2.0 * n);
        let scale = 1.0 + Z * Z / n;
        Some((
            ((middle - spread) / scale).max(0.0),
            ((middle + spread) / scale).min(1.0),
        ))
    }
}

/// The coverage of one level.
#[derive(Clone, Debug, PartialEq)]
pub struct CoverageSeries {
    /// Nominal coverage, percent.
    pub level: f64,
    /// By step, ascending.
    pub points: Vec<CoveragePoint>,
}

/// Coverage by steps ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct CoverageChart<'a> {
    /// Whose forecasts: the model's name.
    pub model: &'a str,
    /// One per level.
    pub levels: &'a [CoverageSeries],
    /// Size and colours.
    pub view: View,
}

impl CoverageChart<'_> {
    fn points(&self) -> impl Iterator<Item = &CoveragePoint> {
        self.levels
            .iter()
            .flat_map(|l| &l.points)
            .filter(|p| p.count > 0)
    }
}

impl Drawing for CoverageChart<'_> {
    fn view(&self) -> View {
        self.view
    }

    fn title(&self) -> String {
        format!("Coverage of {}", self.model)
    }

    fn description(&self) -> String {
        if self.points().next().is_none() {
            return "No outcomes yet.".into();
        }
        let mut text = String::from("Share of outcomes inside their interval by steps ahead.");
        for series in self.levels {
            text += &format!(" {} %:", level(series.level));
            for p in &series.points {
                if let Some(share) = p.share() {
                    text += &format!(
                        " step {}, {} % of {};",
                        p.step,
                        fixed(share * 100.0, 1),
                        p.count
                    );
                }
            }
        }
        text
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Result<()> {
        let nominal = |s: &CoverageSeries| s.level.clamp(0.0, 100.0);
        let mut low: f64 = 100.0;
        for series in self.levels {
            low = low.min(nominal(series));
        }
        for (lower, _) in self.points().filter_map(CoveragePoint::wilson_95) {
            low = low.min(lower * 100.0);
        }
        let low = ((low - 4.0) / 5.0).floor().max(0.0) * 5.0;
        let steps = self.points().map(|p| f64::from(p.step));
        let last = steps.fold(1.0, f64::max);
        let legend: Vec<(String, Ink)> = self
            .levels
            .iter()
            .enumerate()
            .map(|(n, s)| (format!("{} %", level(s.level)), Role::series(n).into()))
            .collect();
        let frame = Frame::new(
            area,
            self.view,
            &FrameSpec {
                heading: &self.title(),
                x_title: "steps ahead",
                x: (1.0, last),
                y: (low.min(95.0), 100.0),
                y_unit: " %",
                legend: &legend,
            },
        )?;
        frame.whole_labels()?;
        if self.points().next().is_none() {
            return frame.message("No outcomes yet");
        }
        for (n, series) in self.levels.iter().enumerate() {
            let (s, role) = (&frame.s, Role::series(n));
            let y = frame.y_of(nominal(series));
            s.dashed_horizontal(frame.plot.x, frame.plot.right(), y, role)?;
            // Whiskers of several levels stand side by side.
            let shift = (n as f64 - (self.levels.len() as f64 - 1.0) / 2.0)
                * (frame.slot_px() * 0.2).min(6.0);
            let x_of = |p: &CoveragePoint| frame.x_of(f64::from(p.step)) + shift;
            let mut line = Vec::new();
            for p in &series.points {
                if let (Some(share), Some((lower, upper))) = (p.share(), p.wilson_95()) {
                    let x = x_of(p);
                    s.vertical(
                        x,
                        frame.y_of(upper * 100.0),
                        frame.y_of(lower * 100.0),
                        1.0,
                        Ink(role, 0.7),
                    )?;
                    line.push((x, frame.y_of(share * 100.0)));
                }
            }
            s.line(&line, 1.5, role)?;
            if frame.slot_px() >= 6.0 || line.len() == 1 {
                for point in line {
                    s.dot(point, 2.5, role)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_of_ten_have_the_wilson_interval_of_the_formula() {
        // The formula by hand in Python 3 floats: 0.49016247, 0.94331785.
        let (lower, upper) = CoveragePoint {
            step: 1,
            count: 10,
            inside: 8,
        }
        .wilson_95()
        .unwrap();
        assert!((lower - 0.490_162).abs() < 1e-5, "{lower}");
        assert!((upper - 0.943_318).abs() < 1e-5, "{upper}");
    }
}
