//! What every chart is: one drawing, two outputs.
//!
//! Model: a chart is plain data with a [`View`]. [`Drawing::draw`] draws it on any plotters backend;
//! [`Drawing::to_svg`] and `draw_on_canvas` bring the backend along. The same view and data give the
//! same picture on both.
//!
//! What it does not do: animate, listen to the pointer, or know the time.

use plotters::{coord::Shift, drawing::DrawingArea, prelude::DrawingBackend};

use crate::{Result, Theme};

/// The size of a chart and how it is to be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Width in CSS pixels; taken as 80 to 10,000.
    pub width: u32,
    /// Height in CSS pixels; taken as 60 to 10,000.
    pub height: u32,
    /// Device pixels to a CSS pixel: the browser's `devicePixelRatio`, 1 for the SVG.
    pub device_pixel_ratio: f64,
    /// The colours.
    pub theme: Theme,
    /// Minutes that the clock of the labels is ahead of UTC: 0 shows UTC.
    pub utc_offset_minutes: i32,
}

impl Default for View {
    /// 720 by 400 pixels, light, UTC.
    fn default() -> Self {
        Self {
            width: 720,
            height: 400,
            device_pixel_ratio: 1.0,
            theme: Theme::Light,
            utc_offset_minutes: 0,
        }
    }
}

impl View {
    /// A view of a size, otherwise as [`View::default`].
    pub fn sized(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            ..Self::default()
        }
    }

    pub(crate) fn width_px(&self) -> f64 {
        f64::from(self.width.clamp(80, 10_000))
    }

    pub(crate) fn height_px(&self) -> f64 {
        f64::from(self.height.clamp(60, 10_000))
    }

    pub(crate) fn ratio(&self) -> f64 {
        if self.device_pixel_ratio.is_finite() {
            self.device_pixel_ratio.clamp(0.5, 8.0)
        } else {
            1.0
        }
    }
}

/// A chart that can be drawn.
pub trait Drawing {
    /// Its size and colours.
    fn view(&self) -> View;

    /// A short name: the SVG's `<title>`.
    fn title(&self) -> String;

    /// What the chart shows, in a few sentences: the SVG's `<desc>`, a canvas's `aria-label`.
    fn description(&self) -> String;

    /// Draws on any plotters backend. The area's width is taken as the view's width, whatever its
    /// number of units.
    ///
    /// # Errors
    /// When the backend fails.
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Result<()>;

    /// The chart as an `<svg>` element: with a `viewBox`, `role="img"`, `<title>` and `<desc>`,
    /// without ids, scripts or style elements; colours as `var(--chart-…, #hex)`.
    ///
    /// # Errors
    /// None in practice: the backend writes to a string.
    #[cfg(feature = "svg")]
    fn to_svg(&self) -> Result<String> {
        use plotters::prelude::IntoDrawingArea as _;

        let view = self.view();
        let (width, height) = (view.width_px() as u32, view.height_px() as u32);
        let mut backend = crate::svg::SvgBackend::new(width, height, view.theme);
        self.draw(&(&mut backend).into_drawing_area())?;
        Ok(backend.finish(&self.title(), &self.description()))
    }

    /// Draws on a canvas; gives it `width` and `height` in device pixels when they differ. Its size
    /// on the page is left to the style sheet.
    ///
    /// # Errors
    /// When the canvas gives no 2D context, or the context fails.
    #[cfg(feature = "canvas")]
    fn draw_on_canvas(&self, canvas: web_sys::HtmlCanvasElement) -> Result<()> {
        use plotters::prelude::IntoDrawingArea as _;

        let view = self.view();
        let device = |px: f64| (px * view.ratio()).round() as u32;
        let (width, height) = (device(view.width_px()), device(view.height_px()));
        // Setting a size, even the same, clears the canvas and gives its memory anew.
        if canvas.width() != width {
            canvas.set_width(width);
        }
        if canvas.height() != height {
            canvas.set_height(height);
        }
        let backend = plotters_canvas::CanvasBackend::with_canvas_object(canvas)
            .ok_or(crate::ChartError::Context)?;
        self.draw(&backend.into_drawing_area())
    }
}
