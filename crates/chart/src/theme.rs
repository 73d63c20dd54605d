//! Colours by role, light and dark.
//!
//! Drawing code names a [`Role`], never a colour. The canvas gets the theme's colour; the SVG gets
//! `var(--chart-role, #colour)`, so that one SVG made on the server serves both themes: the page
//! sets the custom properties ([`Theme::css_declarations`]) and the colours of the theme that the
//! SVG was made with are the fallback.
//!
//! Text and every role that carries meaning keep the contrast of WCAG 2.2 AA against the
//! background: 4.5 to 1. Up and down are teal and red, of different lightness, so that they stay
//! apart for most colour-blind readers.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Theme {
    /// Dark on white.
    #[default]
    Light,
    /// Light on near-black.
    Dark,
}

/// What a colour is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Behind everything.
    Background,
    /// Headings and values.
    Text,
    /// Tick labels.
    Muted,
    /// Grid lines and frames; carries no meaning.
    Grid,
    /// A bar that closed at or above its open.
    Up,
    /// A bar that closed below its open.
    Down,
    /// The price line; the first series of other charts.
    Price,
    /// The live forecast.
    Fan,
    /// Past forecasts.
    Past,
    /// An outcome outside its interval.
    Miss,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 10] = [
        Self::Background,
        Self::Text,
        Self::Muted,
        Self::Grid,
        Self::Up,
        Self::Down,
        Self::Price,
        Self::Fan,
        Self::Past,
        Self::Miss,
    ];

    /// The roles that tell several series of one chart apart, in order of use.
    pub const SERIES: [Self; 6] = [
        Self::Price,
        Self::Past,
        Self::Fan,
        Self::Up,
        Self::Miss,
        Self::Muted,
    ];

    /// The custom property's name without `--chart-`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Text => "text",
            Self::Muted => "muted",
            Self::Grid => "grid",
            Self::Up => "up",
            Self::Down => "down",
            Self::Price => "price",
            Self::Fan => "fan",
            Self::Past => "past",
            Self::Miss => "miss",
        }
    }

    /// The role of the `n`-th series; the roles repeat after the sixth.
    pub const fn series(n: usize) -> Self {
        Self::SERIES[n % Self::SERIES.len()]
    }
}

impl Theme {
    /// The colour of a role: red, green, blue.
    pub const fn rgb(self, role: Role) -> (u8, u8, u8) {
        match self {
            Self::Light => match role {
                Role::Background => (0xff, 0xff, 0xff),
                Role::Text => (0x17, 0x20, 0x2a),
                Role::Muted => (0x52, 0x5f, 0x6d),
                Role::Grid => (0xe3, 0xe8, 0xed),
                Role::Up => (0x00, 0x7a, 0x6c),
                Role::Down => (0xcc, 0x2f, 0x3c),
                Role::Price => (0x1d, 0x5f, 0xc4),
                Role::Fan => (0x6a, 0x3f, 0xc8),
                Role::Past => (0x8a, 0x5d, 0x00),
                Role::Miss => (0xb8, 0x3a, 0x00),
            },
            Self::Dark => match role {
                Role::Background => (0x10, 0x15, 0x1b),
                Role::Text => (0xe8, 0xed, 0xf2),
                Role::Muted => (0x9a, 0xa7, 0xb4),
                Role::Grid => (0x22, 0x2b, 0x35),
                Role::Up => (0x2b, 0xb8, 0xa3),
                Role::Down => (0xf4, 0x6a, 0x6f),
                Role::Price => (0x6c, 0xa8, 0xff),
                Role::Fan => (0xb3, 0x9b, 0xff),
                Role::Past => (0xe0, 0xb0, 0x4a),
                Role::Miss => (0xff, 0x8b, 0x4a),
            },
        }
    }

    /// The role that has this colour in the theme. Every role's colour is its own.
    pub fn role_of(self, rgb: (u8, u8, u8)) -> Option<Role> {
        Role::ALL.into_iter().find(|role| self.rgb(*role) == rgb)
    }

    /// The custom properties of the theme: `--chart-up:#007a6c;…`, for a rule of the style sheet.
    pub fn css_declarations(self) -> String {
        let mut css = String::new();
        for role in Role::ALL {
            let (r, g, b) = self.rgb(role);
            // Writing to a String cannot fail.
            let _ = write!(css, "--chart-{}:#{r:02x}{g:02x}{b:02x};", role.name());
        }
        css
    }

    pub(crate) const fn color(self, role: Role) -> RGBColor {
        let (r, g, b) = self.rgb(role);
        RGBColor(r, g, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance((r, g, b): (u8, u8, u8)) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.040_45 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    #[test]
    fn every_role_with_a_meaning_has_the_contrast_of_wcag_aa() {
        for theme in [Theme::Light, Theme::Dark] {
            let ground = luminance(theme.rgb(Role::Background));
            for role in Role::ALL {
                if matches!(role, Role::Background | Role::Grid) {
                    continue;
                }
                let ink = luminance(theme.rgb(role));
                let ratio = (ink.max(ground) + 0.05) / (ink.min(ground) + 0.05);
                assert!(ratio >= 4.5, "{theme:?} {role:?} {ratio:.2}");
            }
        }
    }

    #[test]
    fn every_colour_tells_its_role() {
        for theme in [Theme::Light, Theme::Dark] {
            for role in Role::ALL {
                assert_eq!(theme.role_of(theme.rgb(role)), Some(role));
            }
        }
    }

    #[test]
    fn the_style_sheet_names_every_role() {
        let css = Theme::Dark.css_declarations();
        assert!(css.starts_with("--chart-background:#10151b;"));
        assert_eq!(css.matches("--chart-").count(), Role::ALL.len());
    }
}
