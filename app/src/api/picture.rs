//! The chart as SVG, in the page that the server sends, so that it shows before the wasm arrives.
//!
//! In the browser there is none: hydration leaves the server's picture in place until the canvas
//! covers it.

use super::chart_page::ChartData;

/// The chart as an `<svg>` element of the given size; nothing in the browser.
#[cfg(feature = "ssr")]
pub fn svg(data: &ChartData, (width, height): (u32, u32)) -> String {
    use chart::Drawing as _;

    let past = crate::scene::past(data);
    let chart = crate::scene::price_chart(data, &past, chart::View::sized(width, height));
    // A chart that cannot be drawn leaves its place empty; the table below has the numbers.
    chart.to_svg().unwrap_or_default()
}

/// The chart as an `<svg>` element of the given size; nothing in the browser.
#[cfg(not(feature = "ssr"))]
pub fn svg(_data: &ChartData, _size: (u32, u32)) -> String {
    String::new()
}
