//! The picture of a chart page: what of the page's data the price chart draws.
//!
//! What it does not do: draw; the `chart` crate does.

use chart::{PastForecast, PriceChart, PriceStyle, View};
use market::Timestamp;

use crate::api::chart_page::ChartData;

/// The size of the chart as the server draws it for a wide screen, in CSS pixels.
pub const WIDE: (u32, u32) = (960, 440);
/// The same for a narrow one.
pub const NARROW: (u32, u32) = (366, 340);

/// Past forecasts in the chart's shape.
pub fn past(data: &ChartData) -> Vec<PastForecast> {
    data.record
        .past
        .iter()
        .map(|p| PastForecast {
            target: p.target,
            mean: p.mean,
            lower: p.lower,
            upper: p.upper,
        })
        .collect()
}

/// The chart of `data`, with as many of the latest bars as can be told apart in `view`.
pub fn price_chart<'a>(
    data: &'a ChartData,
    past: &'a [PastForecast],
    view: View,
) -> PriceChart<'a> {
    let bars = data.bars.as_slice();
    PriceChart {
        symbol: data.query.symbol.as_str(),
        interval: data.interval,
        bars,
        fans: data.fan.iter().collect(),
        past,
        champions: &data.champions,
        style: PriceStyle::Candles,
        cursor: None,
        empty_message: if data.live {
            "Waiting for the first bar"
        } else {
            "No bars of this interval"
        },
        view,
    }
}

/// The decimals that prices of the page are written with.
pub fn price_decimals(data: &ChartData) -> u32 {
    price_chart(data, &[], View::default()).price_decimals()
}

/// The chart's index of the bar or of the forecast step that starts at `start`.
pub fn index_of(data: &ChartData, start: Timestamp) -> Option<usize> {
    let bars = data.bars.as_slice();
    let last = bars.last()?.start;
    if start <= last {
        return bars.binary_search_by_key(&start, |b| b.start).ok();
    }
    let ahead = data
        .fan
        .iter()
        .flat_map(|f| &f.targets)
        .filter(|t| **t > last);
    Some(bars.len() + ahead.take_while(|t| **t < start).count())
}
