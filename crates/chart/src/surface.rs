//! Drawing in CSS pixels on any plotters backend.
//!
//! plotters' backends take whole numbers. A [`Surface`] scales CSS pixels to the backend's units: a
//! canvas has `device_pixel_ratio` of them to a pixel, the SVG ten, so that curves stay smooth.
//! Horizontal and vertical edges snap to device pixels and are drawn as filled rectangles, because a
//! stroked hairline blurs on a canvas.
//!
//! Text is measured by an estimate. Without its font features plotters measures a text by its
//! number of bytes, and in the browser by adding an element to the page and reading its size, which
//! lays the page out anew for every label; neither is used.

use plotters::{
    coord::Shift,
    drawing::DrawingArea,
    element::{Circle, PathElement, Polygon, Rectangle},
    prelude::{Color as _, DrawingBackend},
    style::{
        FontDesc, FontFamily, FontStyle, RGBAColor, ShapeStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::{ChartError, Result, Role, Theme};

/// The fonts of every chart, on the canvas and as the SVG's fallback.
pub(crate) const FONT_FAMILY: &str = "system-ui,sans-serif";
/// The size of labels in CSS pixels.
pub(crate) const FONT_PX: f64 = 11.0;

/// A rectangle in CSS pixels, from the upper left corner of the chart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Rect {
    /// The right edge.
    pub fn right(&self) -> f64 {
        self.x + self.width
    }

    /// The lower edge.
    pub fn bottom(&self) -> f64 {
        self.y + self.height
    }
}

/// A role's colour and its opacity.
#[derive(Clone, Copy)]
pub(crate) struct Ink(pub Role, pub f64);

impl From<Role> for Ink {
    fn from(role: Role) -> Self {
        Self(role, 1.0)
    }
}

/// How wide a text is in CSS pixels at a font size: an estimate that errs on the wide side.
pub(crate) fn text_width_px(text: &str, size_px: f64) -> f64 {
    let ems: f64 = text
        .chars()
        .map(|c| match c {
            '.' | ',' | ':' | '\'' | 'i' | 'j' | 'l' | '|' | ' ' | 'I' | '·' => 0.36,
            'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.95,
            'A'..='Z' => 0.74,
            '\u{2e80}'.. => 1.1,
            _ => 0.64,
        })
        .sum();
    ems * size_px
}

/// How wide a bold text is.
pub(crate) fn bold_width_px(text: &str, size_px: f64) -> f64 {
    text_width_px(text, size_px) * 1.1
}

pub(crate) struct Surface<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    units_per_px: f64,
    device_pixel_ratio: f64,
    theme: Theme,
}

impl<'a, DB: DrawingBackend> Surface<'a, DB> {
    pub(crate) fn new(
        area: &'a DrawingArea<DB, Shift>,
        width_px: f64,
        device_pixel_ratio: f64,
        theme: Theme,
    ) -> Self {
        let (width, _) = area.dim_in_pixel();
        Self {
            area,
            units_per_px: f64::from(width) / width_px,
            device_pixel_ratio,
            theme,
        }
    }

    /// One device pixel, in CSS pixels.
    pub(crate) fn hairline(&self) -> f64 {
        1.0 / self.device_pixel_ratio
    }

    /// The nearest edge between device pixels.
    pub(crate) fn snap(&self, px: f64) -> f64 {
        (px * self.device_pixel_ratio).round() / self.device_pixel_ratio
    }

    // Far outside any screen, and far inside i32 whatever the scale. NaN becomes 0.
    fn units(&self, px: f64) -> i32 {
        (px * self.units_per_px).round().clamp(-1e6, 1e6) as i32
    }

    fn point(&self, (x, y): (f64, f64)) -> (i32, i32) {
        (self.units(x), self.units(y))
    }

    fn rgba(&self, Ink(role, opacity): Ink) -> RGBAColor {
        self.theme.color(role).mix(opacity)
    }

    /// A filled rectangle, as it is given.
    pub(crate) fn rect(&self, r: Rect, ink: impl Into<Ink>) -> Result<()> {
        let corners = [self.point((r.x, r.y)), self.point((r.right(), r.bottom()))];
        let style = self.rgba(ink.into()).filled();
        self.area
            .draw(&Rectangle::new(corners, style))
            .map_err(refused)
    }

    /// A horizontal line of `thickness` whose middle is near `y`.
    pub(crate) fn horizontal(
        &self,
        x0: f64,
        x1: f64,
        y: f64,
        thickness: f64,
        ink: impl Into<Ink>,
    ) -> Result<()> {
        let r = Rect {
            x: self.snap(x0),
            y: self.snap(y - thickness / 2.0),
            width: self.snap(x1) - self.snap(x0),
            height: thickness,
        };
        self.rect(r, ink)
    }

    /// A vertical line of `thickness` whose middle is near `x`.
    pub(crate) fn vertical(
        &self,
        x: f64,
        y0: f64,
        y1: f64,
        thickness: f64,
        ink: impl Into<Ink>,
    ) -> Result<()> {
        let r = Rect {
            x: self.snap(x - thickness / 2.0),
            y: self.snap(y0),
            width: thickness,
            height: self.snap(y1) - self.snap(y0),
        };
        self.rect(r, ink)
    }

    /// A dashed horizontal hairline.
    pub(crate) fn dashed_horizontal(
        &self,
        x0: f64,
        x1: f64,
        y: f64,
        ink: impl Into<Ink>,
    ) -> Result<()> {
        let ink = ink.into();
        let mut x = x0;
        while x < x1 {
            self.horizontal(x, (x + 3.0).min(x1), y, self.hairline(), ink)?;
            x += 7.0;
        }
        Ok(())
    }

    /// A dashed vertical hairline.
    pub(crate) fn dashed_vertical(
        &self,
        x: f64,
        y0: f64,
        y1: f64,
        ink: impl Into<Ink>,
    ) -> Result<()> {
        let ink = ink.into();
        let mut y = y0;
        while y < y1 {
            self.vertical(x, y, (y + 3.0).min(y1), self.hairline(), ink)?;
            y += 7.0;
        }
        Ok(())
    }

    /// A line through points.
    pub(crate) fn line(
        &self,
        points: &[(f64, f64)],
        thickness_px: f64,
        ink: impl Into<Ink>,
    ) -> Result<()> {
        if points.len() < 2 {
            return Ok(());
        }
        let points: Vec<_> = points.iter().map(|p| self.point(*p)).collect();
        let style = ShapeStyle {
            color: self.rgba(ink.into()),
            filled: false,
            stroke_width: self.units(thickness_px).max(1).unsigned_abs(),
        };
        self.area
            .draw(&PathElement::new(points, style))
            .map_err(refused)
    }

    /// A filled polygon.
    pub(crate) fn polygon(&self, points: &[(f64, f64)], ink: impl Into<Ink>) -> Result<()> {
        if points.len() < 3 {
            return Ok(());
        }
        let points: Vec<_> = points.iter().map(|p| self.point(*p)).collect();
        self.area
            .draw(&Polygon::new(points, self.rgba(ink.into())))
            .map_err(refused)
    }

    /// A filled disc.
    pub(crate) fn dot(&self, at: (f64, f64), radius_px: f64, ink: impl Into<Ink>) -> Result<()> {
        let style = self.rgba(ink.into()).filled();
        self.area
            .draw(&Circle::new(
                self.point(at),
                self.units(radius_px).max(1),
                style,
            ))
            .map_err(refused)
    }

    /// A text; its middle line lies at `at.1`.
    pub(crate) fn text(
        &self,
        text: &str,
        at: (f64, f64),
        align: HPos,
        size_px: f64,
        role: Role,
    ) -> Result<()> {
        self.styled_text(text, at, align, size_px, role, FontStyle::Normal)
    }

    /// A bold text; its middle line lies at `at.1`.
    pub(crate) fn bold(
        &self,
        text: &str,
        at: (f64, f64),
        align: HPos,
        size_px: f64,
        role: Role,
    ) -> Result<()> {
        self.styled_text(text, at, align, size_px, role, FontStyle::Bold)
    }

    fn styled_text(
        &self,
        text: &str,
        at: (f64, f64),
        align: HPos,
        size_px: f64,
        role: Role,
        weight: FontStyle,
    ) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let style = TextStyle {
            font: FontDesc::new(
                FontFamily::Name(FONT_FAMILY),
                size_px * self.units_per_px,
                weight,
            ),
            color: self.theme.color(role).to_backend_color(),
            pos: Pos::new(align, VPos::Center),
        };
        self.area
            .draw_text(text, &style, self.point(at))
            .map_err(refused)
    }
}

fn refused(error: impl std::fmt::Display) -> ChartError {
    ChartError::Surface {
        detail: error.to_string(),
    }
}
