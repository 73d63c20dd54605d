//! Charts of prices and of how good their forecasts are, drawn with plotters: as SVG on the server
//! (feature `svg`), on an HTML canvas in the browser (feature `canvas`), by the same code.
//!
//! Model: a chart is plain data that borrows what it shows, and a [`View`]: [`PriceChart`],
//! [`CoverageChart`], [`ErrorsChart`], [`AcfChart`]. [`Drawing`] draws it. Colours have roles, which
//! the SVG leaves to the page's style sheet ([`Theme::css_declarations`]).
//!
//! The crate is pure: no clock, no randomness, no I/O; the same chart gives the same bytes. Numbers
//! that cannot be drawn (NaN, infinite, beyond 1e100) are left out; nothing here panics on data.
//!
//! What it does not do: events and animation, the numbers that it shows (`forecast` makes them),
//! time zones with daylight saving (the caller gives the offset in minutes).

mod acf;
mod coverage;
mod drawing;
mod error;
mod errors;
mod frame;
mod numbers;
mod price;
mod price_draw;
mod price_forecast;
mod price_layout;
mod surface;
#[cfg(feature = "svg")]
mod svg;
mod theme;
mod time_axis;

pub use acf::AcfChart;
pub use coverage::{CoverageChart, CoveragePoint, CoverageSeries};
pub use drawing::{Drawing, View};
pub use error::{ChartError, Result};
pub use errors::{ErrorSeries, ErrorsChart};
pub use numbers::{format_price, price_decimals};
pub use price::{FanReading, PastForecast, PriceChart, PriceStyle, Reading};
pub use price_layout::PriceLayout;
pub use surface::Rect;
pub use theme::{Role, Theme};
pub use time_axis::format_time;
