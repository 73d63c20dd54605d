//! A plotters backend that writes compact SVG with the theme's custom properties.
//!
//! Model: consecutive shapes of one style become subpaths of one `<path>`, consecutive texts of one
//! style one `<g>`: 120 candles with their volume are four paths. Colours are written as
//! `var(--chart-role,#hex)` in presentation attributes, which no content security policy blocks.
//! plotters' own SVG backend writes an element with seven attributes per shape and the bare colour,
//! and makes text smaller by 1.24 than the canvas backend does.
//!
//! Coordinates are tenths of a CSS pixel.

use std::{convert::Infallible, fmt::Write as _};

use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontStyle, FontTransform,
    text_anchor::{HPos, VPos},
};

use crate::{Theme, surface::FONT_FAMILY};

/// Backend units to a CSS pixel.
const UNITS: i32 = 10;

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// What is open at the end of the output.
#[derive(PartialEq)]
enum Open {
    Nothing,
    /// A path whose `d` is open; its other attributes.
    Path(String),
    /// A group of texts; its attributes.
    Texts(String),
}

pub(crate) struct SvgBackend {
    out: String,
    open: Open,
    width: u32,
    height: u32,
    theme: Theme,
}

impl SvgBackend {
    pub(crate) fn new(width: u32, height: u32, theme: Theme) -> Self {
        Self {
            out: String::with_capacity(16 * 1024),
            open: Open::Nothing,
            width,
            height,
            theme,
        }
    }

    pub(crate) fn finish(mut self, title: &str, description: &str) -> String {
        self.close();
        let (w, h) = (self.width, self.height);
        let mut svg = String::with_capacity(self.out.len() + 512);
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" role=\"img\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" font-family=\"{FONT_FAMILY}\" stroke-linejoin=\"round\"><title>"
        );
        escape(&mut svg, title);
        svg.push_str("</title><desc>");
        escape(&mut svg, description);
        svg.push_str("</desc>");
        svg.push_str(&self.out);
        svg.push_str("</svg>");
        svg
    }

    fn close(&mut self) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Path(_) => self.out.push_str("\"/>"),
            Open::Texts(_) => self.out.push_str("</g>"),
        }
    }

    fn continue_path(&mut self, attributes: String) {
        let open = Open::Path(attributes);
        if self.open == open {
            return;
        }
        self.close();
        if let Open::Path(attributes) = &open {
            let _ = write!(self.out, "<path {attributes} d=\"");
        }
        self.open = open;
    }

    fn paint(&self, attribute: &str, color: BackendColor) -> String {
        let (r, g, b) = color.rgb;
        let mut text = match self.theme.role_of(color.rgb) {
            Some(role) => format!(
                "{attribute}=\"var(--chart-{},#{r:02x}{g:02x}{b:02x})\"",
                role.name()
            ),
            None => format!("{attribute}=\"#{r:02x}{g:02x}{b:02x}\""),
        };
        if color.alpha < 1.0 {
            let _ = write!(
                text,
                " {attribute}-opacity=\"{}\"",
                (color.alpha * 100.0).round() / 100.0
            );
        }
        text
    }

    /// Starts or continues a path that is filled or stroked. False when nothing would show.
    fn begin<S: BackendStyle>(&mut self, style: &S, fill: bool) -> bool {
        let color = style.color();
        if color.alpha <= 0.0 {
            return false;
        }
        let attributes = if fill {
            self.paint("fill", color)
        } else {
            let width = i32::try_from(style.stroke_width()).unwrap_or(i32::MAX);
            let mut text = self.paint("stroke", color);
            text.push_str(" fill=\"none\" stroke-width=\"");
            number(&mut text, width);
            text.push('"');
            text
        };
        self.continue_path(attributes);
        true
    }

    /// A subpath: absolute start, relative lines, which are shorter.
    fn subpath(&mut self, points: impl IntoIterator<Item = BackendCoord>, closed: bool) {
        let mut at: Option<BackendCoord> = None;
        for (x, y) in points {
            match at {
                None => {
                    self.out.push('M');
                    number(&mut self.out, x);
                    separated(&mut self.out, y);
                }
                Some((x0, y0)) => {
                    let (dx, dy) = (x - x0, y - y0);
                    match (dx, dy) {
                        (0, 0) => {}
                        (dx, 0) => {
                            self.out.push('h');
                            number(&mut self.out, dx);
                        }
                        (0, dy) => {
                            self.out.push('v');
                            number(&mut self.out, dy);
                        }
                        (dx, dy) => {
                            self.out.push('l');
                            number(&mut self.out, dx);
                            separated(&mut self.out, dy);
                        }
                    }
                }
            }
            at = Some((x, y));
        }
        if closed && at.is_some() {
            self.out.push('z');
        }
    }
}

impl DrawingBackend for &mut SvgBackend {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        let units = UNITS.unsigned_abs();
        (self.width * units, self.height * units)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        self.draw_rect((x, y), (x + 1, y + 1), &color, true)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (x0, y0): BackendCoord,
        (x1, y1): BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        if self.begin(style, fill) {
            self.subpath([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], true);
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        if self.begin(style, false) {
            self.subpath(path, false);
        }
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        if self.begin(style, true) {
            self.subpath(path, true);
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        if self.begin(style, fill) {
            let r = i32::try_from(radius).unwrap_or(i32::MAX / 4);
            self.out.push('M');
            number(&mut self.out, x - r);
            separated(&mut self.out, y);
            for dx in [2 * r, -2 * r] {
                self.out.push('a');
                number(&mut self.out, r);
                separated(&mut self.out, r);
                self.out.push_str(" 0 1 0");
                separated(&mut self.out, dx);
                self.out.push_str(" 0");
            }
            self.out.push('z');
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Drawn {
        let color = style.color();
        if color.alpha <= 0.0 {
            return Ok(());
        }
        let mut attributes = self.paint("fill", color);
        attributes.push_str(" font-size=\"");
        number(&mut attributes, style.size().round() as i32);
        attributes.push('"');
        match style.anchor().h_pos {
            HPos::Left => {}
            HPos::Center => attributes.push_str(" text-anchor=\"middle\""),
            HPos::Right => attributes.push_str(" text-anchor=\"end\""),
        }
        match style.style() {
            FontStyle::Normal => {}
            FontStyle::Bold => attributes.push_str(" font-weight=\"600\""),
            FontStyle::Oblique | FontStyle::Italic => {
                attributes.push_str(" font-style=\"italic\"");
            }
        }
        let open = Open::Texts(attributes);
        if self.open != open {
            self.close();
            if let Open::Texts(attributes) = &open {
                let _ = write!(self.out, "<g {attributes}>");
            }
            self.open = open;
        }
        self.out.push_str("<text x=\"");
        number(&mut self.out, x);
        self.out.push_str("\" y=\"");
        number(&mut self.out, y);
        self.out.push_str(match style.anchor().v_pos {
            VPos::Top => "\" dy=\".76em",
            VPos::Center => "\" dy=\".35em",
            VPos::Bottom => "\" dy=\"-.24em",
        });
        let degrees = match style.transform() {
            FontTransform::None => 0,
            FontTransform::Rotate90 => 90,
            FontTransform::Rotate180 => 180,
            FontTransform::Rotate270 => 270,
        };
        if degrees != 0 {
            let _ = write!(self.out, "\" transform=\"rotate({degrees} ");
            number(&mut self.out, x);
            separated(&mut self.out, y);
            self.out.push(')');
        }
        self.out.push_str("\">");
        escape(&mut self.out, text);
        self.out.push_str("</text>");
        Ok(())
    }
}

/// Tenths as a decimal number without needless digits: 125 is `12.5`, 5 is `.5`.
fn number(out: &mut String, tenths: i32) {
    if tenths < 0 {
        out.push('-');
    }
    let size = tenths.unsigned_abs();
    let (whole, tenth) = (size / 10, size % 10);
    if whole > 0 || tenth == 0 {
        let _ = write!(out, "{whole}");
    }
    if tenth > 0 {
        let _ = write!(out, ".{tenth}");
    }
}

/// A number after another one; a minus sign separates by itself.
fn separated(out: &mut String, tenths: i32) {
    if tenths >= 0 {
        out.push(' ');
    }
    number(out, tenths);
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            // Not allowed in XML, whatever the spelling.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenths_are_written_short() {
        for (tenths, text) in [
            (0, "0"),
            (5, ".5"),
            (-5, "-.5"),
            (120, "12"),
            (-1234, "-123.4"),
        ] {
            let mut out = String::new();
            number(&mut out, tenths);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn markup_in_a_text_is_escaped() {
        let mut out = String::new();
        escape(&mut out, "<b>\"&\u{7}");
        assert_eq!(out, "&lt;b&gt;&quot;&amp; ");
    }
}
