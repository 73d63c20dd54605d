//! Draws what a price chart says of forecasts: the live fan, past forecasts, and where they failed.

use market::Fan;
use plotters::{prelude::DrawingBackend, style::text_anchor::HPos};

use crate::{
    PastForecast, Rect, Result, Role,
    numbers::usable,
    price::drawable,
    price_draw::Painter,
    surface::{FONT_PX, Ink, text_width_px},
};

/// The role of the `n`-th fan.
pub(crate) fn fan_role(n: usize) -> Role {
    if n == 0 {
        Role::Fan
    } else {
        Role::series(n - 1)
    }
}

impl<DB: DrawingBackend> Painter<'_, '_, DB> {
    /// Who was champion: each below the bars that began in its time, the last one below the fan too.
    pub(crate) fn champions(&self) -> Result<()> {
        let (l, bars) = (&self.l, self.chart.bars);
        let mut end = l.bars + l.steps;
        for (n, (from, name)) in self.chart.champions.iter().enumerate().rev() {
            let begin = bars.partition_point(|bar| bar.start < *from);
            if begin >= end {
                continue;
            }
            let x = l.x_of(begin as f64 - 0.5).max(l.champions.x);
            let part = Rect {
                x,
                width: (l.x_of(end as f64 - 0.5) - x - 1.0).max(0.5),
                height: l.champions.height - 3.0,
                ..l.champions
            };
            self.s
                .rect(part, Ink(Role::Fan, 0.12 + 0.12 * (n % 2) as f64))?;
            let y = part.y + part.height / 2.0;
            let width = text_width_px(name, FONT_PX);
            if width + 6.0 < part.width {
                self.s
                    .text(name, (x + 4.0, y), HPos::Left, FONT_PX, Role::Text)?;
            } else if n == 0 && x - 4.0 - width >= l.champions.x {
                // Nobody stands before the first one.
                self.s
                    .text(name, (x - 4.0, y), HPos::Right, FONT_PX, Role::Text)?;
            }
            end = begin;
        }
        Ok(())
    }

    pub(crate) fn past(&self) -> Result<()> {
        let l = &self.l;
        let mut shown: Vec<(f64, &PastForecast)> = self
            .chart
            .past
            .iter()
            .filter(|p| usable(p.mean) && usable(p.lower) && usable(p.upper))
            .filter_map(|p| Some((self.chart.index_of_bar(p.target)?, p)))
            .collect();
        shown.sort_by(|a, b| a.0.total_cmp(&b.0));
        shown.dedup_by(|a, b| a.0 == b.0);
        // A band wherever they stand side by side.
        let runs = || shown.chunk_by(|a, b| b.0 - a.0 < 1.5);
        for run in runs() {
            let half = l.slot_px / 2.0;
            let (first, last) = (run[0], run[run.len() - 1]);
            let edge = |pick: fn(&PastForecast) -> f64| {
                let mut points = vec![(l.x_of(first.0) - half, l.y_of(pick(first.1)))];
                points.extend(run.iter().map(|(i, p)| (l.x_of(*i), l.y_of(pick(p)))));
                points.push((l.x_of(last.0) + half, l.y_of(pick(last.1))));
                points
            };
            let mut outline = edge(|p| p.upper);
            outline.extend(edge(|p| p.lower).into_iter().rev());
            self.s.polygon(&outline, Ink(Role::Past, 0.14))?;
        }
        for run in runs() {
            let means: Vec<_> = run
                .iter()
                .map(|(i, p)| (l.x_of(*i), l.y_of(p.mean)))
                .collect();
            self.s.line(&means, 1.0, Ink(Role::Past, 0.75))?;
        }
        if l.slot_px >= 5.0 {
            for (i, p) in &shown {
                self.s.dot((l.x_of(*i), l.y_of(p.mean)), 1.5, Role::Past)?;
            }
        }
        Ok(())
    }

    /// Marks the outcomes that fell outside the interval they were forecast with.
    pub(crate) fn misses(&self) -> Result<()> {
        for p in self.chart.past {
            if !(usable(p.lower) && usable(p.upper)) {
                continue;
            }
            let Some(index) = self.chart.index_of_bar(p.target) else {
                continue;
            };
            let bar = &self.chart.bars[index as usize];
            if drawable(bar) && (bar.close < p.lower || bar.close > p.upper) {
                let at = (self.l.x_of(index), self.l.y_of(bar.close));
                self.s.dot(at, 2.8, Role::Miss)?;
            }
        }
        Ok(())
    }

    pub(crate) fn fan(&self, fan: &Fan, n: usize) -> Result<()> {
        let l = &self.l;
        let role = fan_role(n);
        let at = |step: usize, value: Option<&f64>| {
            let value = value.copied().filter(|v| usable(*v))?;
            Some((l.x_of(self.chart.index_of(fan, step)?), l.y_of(value)))
        };
        // The fan opens from the close that it was made at.
        let origin = self
            .chart
            .index_of_bar(fan.origin)
            .filter(|_| usable(fan.origin_close))
            .map(|i| (l.x_of(i), l.y_of(fan.origin_close)));
        let steps = 0..fan.targets.len();
        if n == 0 {
            let widest = fan.bands.len().saturating_sub(1);
            for (b, band) in fan.bands.iter().enumerate().rev() {
                let sides: Vec<_> = steps
                    .clone()
                    .filter_map(|i| Some((at(i, band.lower.get(i))?, at(i, band.upper.get(i))?)))
                    .collect();
                let mut outline: Vec<_> = origin.into_iter().collect();
                outline.extend(sides.iter().map(|(_, upper)| *upper));
                outline.extend(sides.iter().rev().map(|(lower, _)| *lower));
                if sides.len() == 1 && origin.is_none() {
                    // A fan of one step that opens nowhere: a bar as wide as its slot.
                    let ((x, low), (_, high)) = sides[0];
                    let half = l.slot_px / 2.0;
                    outline = vec![
                        (x - half, high),
                        (x + half, high),
                        (x + half, low),
                        (x - half, low),
                    ];
                }
                let opacity = if b == widest && widest > 0 {
                    0.16
                } else {
                    0.24
                };
                self.s.polygon(&outline, Ink(role, opacity))?;
            }
        }
        let mut mean: Vec<_> = origin.into_iter().collect();
        mean.extend(steps.filter_map(|i| at(i, fan.mean.get(i))));
        self.s.line(&mean, 1.7, role)
    }
}
