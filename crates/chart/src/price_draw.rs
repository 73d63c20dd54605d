//! Draws a price chart, back to front: grid, past forecasts, fan, volume, prices, labels.
//!
//! Shapes of one colour are drawn together: the SVG backend writes them as one path.

use plotters::{
    coord::Shift, drawing::DrawingArea, prelude::DrawingBackend, style::text_anchor::HPos,
};

use crate::{
    PriceChart, PriceLayout, PriceStyle, Rect, Result, Role,
    numbers::{compact, level, usable},
    price::drawable,
    price_forecast::fan_role,
    surface::{FONT_PX, Ink, Surface, bold_width_px, text_width_px},
    time_axis::{Civil, clock_name, time_ticks},
};

/// Below this width of a slot a candle shows nothing, and a line is drawn.
const MIN_CANDLE_SLOT_PX: f64 = 2.0;
const BADGE_PX: f64 = 17.0;

pub(crate) fn draw<DB: DrawingBackend>(
    chart: &PriceChart<'_>,
    area: &DrawingArea<DB, Shift>,
) -> Result<()> {
    let view = chart.view;
    let p = Painter {
        s: Surface::new(area, view.width_px(), view.ratio(), view.theme),
        l: chart.layout(),
        chart,
    };
    let whole = Rect {
        x: 0.0,
        y: 0.0,
        width: view.width_px(),
        height: view.height_px(),
    };
    p.s.rect(whole, Role::Background)?;
    if chart.last_drawn().is_none() {
        return p.empty();
    }
    p.price_axis()?;
    p.time_axis()?;
    p.champions()?;
    p.past()?;
    for (n, fan) in chart.fans.iter().enumerate().rev() {
        p.fan(fan, n)?;
    }
    p.volume()?;
    if chart.style == PriceStyle::Candles && p.l.slot_px >= MIN_CANDLE_SLOT_PX {
        p.candles()?;
    } else {
        p.close_line()?;
    }
    p.misses()?;
    p.badges()?;
    p.header()?;
    p.cursor()
}

pub(crate) struct Painter<'p, 'a, DB: DrawingBackend> {
    pub(crate) s: Surface<'p, DB>,
    pub(crate) l: PriceLayout,
    pub(crate) chart: &'p PriceChart<'a>,
}

impl<DB: DrawingBackend> Painter<'_, '_, DB> {
    fn empty(&self) -> Result<()> {
        let r = self.l.price;
        for i in 0..=4 {
            let y = r.y + r.height * f64::from(i) / 4.0;
            self.s
                .horizontal(r.x, r.right(), y, self.s.hairline(), Role::Grid)?;
        }
        self.heading()?;
        let middle = (r.x + r.width / 2.0, r.y + r.height / 2.0);
        self.s.text(
            self.chart.empty_message,
            middle,
            HPos::Center,
            13.0,
            Role::Muted,
        )
    }

    /// The heights of the badges on the price axis: the last price, then the end of the fan.
    fn badge_heights(&self) -> (Option<f64>, Option<f64>) {
        let r = self.l.price;
        let half = BADGE_PX / 2.0;
        let inside = |y: f64| y.clamp(r.y + half, (r.bottom() - half).max(r.y + half));
        let last = self
            .chart
            .last_drawn()
            .map(|(_, b)| inside(self.l.y_of(b.close)));
        let fan = self.fan_end().map(|mean| {
            let y = inside(self.l.y_of(mean));
            match last {
                Some(at) if (y - at).abs() < BADGE_PX + 1.0 => {
                    let above = at - BADGE_PX - 1.0;
                    let below = at + BADGE_PX + 1.0;
                    if (y < at && above >= r.y + half) || below > r.bottom() - half {
                        above
                    } else {
                        below
                    }
                }
                _ => y,
            }
        });
        (last, fan)
    }

    fn fan_end(&self) -> Option<f64> {
        let fan = self.chart.fans.first()?;
        let ahead = self.l.steps > 0;
        fan.mean.iter().rev().copied().find(|m| ahead && usable(*m))
    }

    fn price_axis(&self) -> Result<()> {
        let (l, s) = (&self.l, &self.s);
        let r = l.price;
        for tick in &l.ticks {
            s.horizontal(r.x, r.right(), l.y_of(*tick), s.hairline(), Role::Grid)?;
        }
        let (last, fan) = self.badge_heights();
        for tick in &l.ticks {
            let y = l.y_of(*tick);
            let near = |badge: Option<f64>| badge.is_some_and(|b| (b - y).abs() < BADGE_PX * 0.85);
            if !near(last) && !near(fan) && y >= r.y + 4.0 && y <= r.bottom() - 2.0 {
                s.text(
                    &l.label(*tick),
                    (r.right() + 7.0, y),
                    HPos::Left,
                    FONT_PX,
                    Role::Muted,
                )?;
            }
        }
        Ok(())
    }

    fn time_axis(&self) -> Result<()> {
        let (l, s) = (&self.l, &self.s);
        let bottom = l.time_axis.y;
        let times: Vec<_> = (0..l.bars + l.steps)
            .map_while(|i| self.chart.time_at(i))
            .collect();
        let room = (
            l.first_x - 2.0,
            // Labels may stand under the price axis, too.
            self.chart.view.width_px() - 2.0 - l.x_of((l.bars + l.steps).saturating_sub(1) as f64),
        );
        let ticks = time_ticks(
            &times,
            self.chart.interval,
            self.chart.view.utc_offset_minutes,
            l.slot_px,
            room,
        );
        for tick in &ticks {
            let x = l.x_of(tick.index as f64);
            s.vertical(x, l.price.y, bottom, s.hairline(), Role::Grid)?;
        }
        s.horizontal(l.price.x, l.price.right(), bottom, s.hairline(), Role::Grid)?;
        for major in [false, true] {
            for tick in ticks.iter().filter(|t| t.major == major) {
                let at = (
                    l.x_of(tick.index as f64),
                    bottom + l.time_axis.height / 2.0 + 1.0,
                );
                if major {
                    s.bold(&tick.label, at, HPos::Center, FONT_PX, Role::Text)?;
                } else {
                    s.text(&tick.label, at, HPos::Center, FONT_PX, Role::Muted)?;
                }
            }
        }
        Ok(())
    }

    fn volume(&self) -> Result<()> {
        let Some(panel) = self.l.volume else {
            return Ok(());
        };
        let volume = |b: &market::Bar| {
            if usable(b.volume) {
                b.volume.max(0.0)
            } else {
                0.0
            }
        };
        let most = self.chart.bars.iter().map(volume).fold(0.0, f64::max);
        let width = self.body_px();
        for up in [true, false] {
            let ink = Ink(if up { Role::Up } else { Role::Down }, 0.45);
            for (i, bar) in self.chart.bars.iter().enumerate() {
                if (bar.close >= bar.open) != up || volume(bar) <= 0.0 {
                    continue;
                }
                let top =
                    panel.bottom() - (volume(bar) / most * panel.height).max(self.s.hairline());
                self.s
                    .vertical(self.l.x_of(i as f64), top, panel.bottom(), width, ink)?;
            }
        }
        self.s.text(
            &compact(most),
            (panel.right() + 7.0, panel.y + 5.0),
            HPos::Left,
            FONT_PX,
            Role::Muted,
        )
    }

    /// The thickness of wicks: one CSS pixel in whole device pixels.
    fn wick_px(&self) -> f64 {
        self.s.hairline().max(self.s.snap(1.0))
    }

    /// The width of bodies: about 70 % of a slot, in device pixels of the wick's parity, so that the
    /// wick stands in the middle.
    fn body_px(&self) -> f64 {
        let dot = self.s.hairline();
        let wick = (self.wick_px() / dot).round();
        let mut body = (self.l.slot_px * 0.72 / dot).floor();
        if (body - wick) % 2.0 != 0.0 {
            body -= 1.0;
        }
        body.max(wick) * dot
    }

    fn candles(&self) -> Result<()> {
        let (l, s) = (&self.l, &self.s);
        let (wick, body) = (self.wick_px(), self.body_px());
        for up in [true, false] {
            let role = if up { Role::Up } else { Role::Down };
            for (i, bar) in self.chart.bars.iter().enumerate() {
                if !drawable(bar) || (bar.close >= bar.open) != up {
                    continue;
                }
                let x = l.x_of(i as f64);
                let left = s.snap(x - wick / 2.0);
                let high = bar.high.max(bar.open).max(bar.close);
                let low = bar.low.min(bar.open).min(bar.close);
                let (high, low) = (s.snap(l.y_of(high)), s.snap(l.y_of(low)));
                let top = s.snap(l.y_of(bar.open.max(bar.close)));
                let bottom = s.snap(l.y_of(bar.open.min(bar.close))).max(top + wick);
                if high < top || low > bottom {
                    let stick = Rect {
                        x: left,
                        y: high,
                        width: wick,
                        height: low.max(bottom) - high,
                    };
                    s.rect(stick, role)?;
                }
                if body > wick || bottom - top >= low - high {
                    let r = Rect {
                        x: left - (body - wick) / 2.0,
                        y: top,
                        width: body,
                        height: bottom - top,
                    };
                    s.rect(r, role)?;
                }
            }
        }
        Ok(())
    }

    fn close_line(&self) -> Result<()> {
        let l = &self.l;
        let mut runs: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
        for (i, bar) in self.chart.bars.iter().enumerate() {
            match runs.last_mut() {
                Some(run) if usable(bar.close) => run.push((l.x_of(i as f64), l.y_of(bar.close))),
                _ => runs.push(Vec::new()),
            }
        }
        for run in runs {
            match run.as_slice() {
                [] => {}
                [point] => self.s.dot(*point, 2.0, Role::Price)?,
                points => self.s.line(&thinned(points), 1.5, Role::Price)?,
            }
        }
        Ok(())
    }

    fn badges(&self) -> Result<()> {
        let (last, fan) = self.badge_heights();
        let Some((_, bar)) = self.chart.last_drawn() else {
            return Ok(());
        };
        let r = self.l.price;
        let role = if bar.close >= bar.open {
            Role::Up
        } else {
            Role::Down
        };
        if let (Some(y), Some(mean)) = (fan, self.fan_end()) {
            self.badge(y, &self.l.label(mean), Role::Fan)?;
        }
        if let Some(y) = last {
            self.s
                .dashed_horizontal(r.x, r.right(), self.l.y_of(bar.close), role)?;
            self.badge(y, &self.l.label(bar.close), role)?;
        }
        Ok(())
    }

    fn badge(&self, y: f64, text: &str, role: Role) -> Result<()> {
        let axis = self.l.price_axis;
        let s = &self.s;
        let r = Rect {
            x: s.snap(axis.x + 2.0),
            y: s.snap(y - BADGE_PX / 2.0),
            width: s.snap(axis.width - 3.0),
            height: BADGE_PX,
        };
        s.rect(r, role)?;
        s.bold(
            text,
            (axis.x + 7.0, r.y + BADGE_PX / 2.0),
            HPos::Left,
            FONT_PX,
            Role::Background,
        )
    }

    /// The symbol and interval; the position after them.
    fn heading(&self) -> Result<f64> {
        let r = self.l.price;
        if r.y < 20.0 {
            return Ok(f64::INFINITY);
        }
        let text = format!("{} · {}", self.chart.symbol, self.chart.interval);
        self.s
            .bold(&text, (r.x + 2.0, r.y / 2.0), HPos::Left, 12.0, Role::Text)?;
        Ok(r.x + 2.0 + bold_width_px(&text, 12.0) + 14.0)
    }

    fn header(&self) -> Result<()> {
        let mut x = self.heading()?;
        let y = self.l.price.y / 2.0;
        let right = self.chart.view.width_px() - 6.0;
        let mut entries: Vec<(String, Ink)> = Vec::new();
        for (n, fan) in self.chart.fans.iter().enumerate() {
            entries.push((fan.model.clone(), fan_role(n).into()));
            if n == 0 {
                let widest = fan.bands.len().saturating_sub(1);
                for (b, band) in fan.bands.iter().enumerate() {
                    let opacity = if b == widest && widest > 0 { 0.22 } else { 0.5 };
                    entries.push((format!("{} %", level(band.level)), Ink(Role::Fan, opacity)));
                }
            }
        }
        if !self.chart.past.is_empty() {
            let narrow = self.chart.view.width < 500;
            let name = if narrow { "past" } else { "past forecasts" };
            entries.push((name.into(), Role::Past.into()));
            entries.push(("missed".into(), Role::Miss.into()));
        }
        for (text, ink) in entries {
            let width = text_width_px(&text, FONT_PX);
            if x + 14.0 + width > right {
                break;
            }
            let swatch = Rect {
                x: self.s.snap(x),
                y: self.s.snap(y - 4.0),
                width: 9.0,
                height: 8.0,
            };
            self.s.rect(swatch, ink)?;
            self.s
                .text(&text, (x + 13.0, y), HPos::Left, FONT_PX, Role::Muted)?;
            x += 13.0 + width + 12.0;
        }
        let caption = self.caption();
        if x + text_width_px(&caption, FONT_PX) <= right {
            self.s
                .text(&caption, (right, y), HPos::Right, FONT_PX, Role::Muted)?;
        }
        Ok(())
    }

    /// The day or days shown, and the clock of the labels.
    fn caption(&self) -> String {
        let offset = self.chart.view.utc_offset_minutes;
        let (Some(first), Some(last)) = (self.chart.bars.first(), self.chart.bars.last()) else {
            return String::new();
        };
        let first = Civil::new(first.start, offset).date();
        let last = Civil::new(last.start, offset).date();
        let days = if first == last {
            first
        } else {
            format!("{first} – {last}")
        };
        match self.chart.interval {
            market::Interval::D1 => days,
            _ => format!("{days}, {}", clock_name(offset)),
        }
    }

    fn cursor(&self) -> Result<()> {
        let Some(index) = self
            .chart
            .cursor
            .filter(|i| *i < self.l.bars + self.l.steps)
        else {
            return Ok(());
        };
        let (l, s) = (&self.l, &self.s);
        let x = l.x_of(index as f64);
        s.dashed_vertical(x, l.price.y, l.time_axis.y, Role::Muted)?;
        let value = self.chart.read(index).and_then(|r| {
            r.bar
                .map(|b| b.close)
                .or(r.fan.map(|f| f.mean))
                .filter(|v| usable(*v))
        });
        if let Some(value) = value {
            s.dot((x, l.y_of(value)), 3.5, Role::Text)?;
        }
        Ok(())
    }
}

/// At most four points to a pixel column: first, lowest, highest, last.
pub(crate) fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut out = Vec::new();
    for column in points.chunk_by(|a, b| a.0.floor() == b.0.floor()) {
        if column.len() <= 4 {
            out.extend_from_slice(column);
            continue;
        }
        let by_height = |i: &&(f64, f64), j: &&(f64, f64)| i.1.total_cmp(&j.1);
        out.extend(column.first());
        out.extend(column.iter().max_by(by_height));
        out.extend(column.iter().min_by(by_height));
        out.extend(column.last());
    }
    out
}
