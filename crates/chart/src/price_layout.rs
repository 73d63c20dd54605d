//! The geometry of a price chart: panels, slots of bars, the range of prices.
//!
//! Model: a header on top, the price panel, the volume panel where there is volume and room, the
//! time axis below, the price axis on the right. Slots are of one width, at most 28 pixels; the last
//! slot stands at the right edge. The range holds every bar; the fan may widen it only so far, so
//! that a wild forecast does not flatten the prices, and is cut off at the edge.

use crate::{
    PriceChart, Rect,
    numbers::{Ticks, fixed, ticks, usable},
    price::drawable,
    surface::{FONT_PX, bold_width_px, text_width_px},
};

/// The widest slot of a bar, in CSS pixels.
const MAX_SLOT_PX: f64 = 28.0;
/// Where the prices begin below the upper edge, and the axis of times above the lower one.
const HEADER_PX: f64 = 26.0;
const TIME_AXIS_PX: f64 = 22.0;
/// The band of champions below it, where there is one.
const CHAMPIONS_PX: f64 = 18.0;

/// Where the parts of a [`PriceChart`] lie, in CSS pixels from its upper left corner.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceLayout {
    /// The panel of prices.
    pub price: Rect,
    /// The panel of volumes; absent when there is no volume or no room.
    pub volume: Option<Rect>,
    /// The labels of prices.
    pub price_axis: Rect,
    /// The labels of times.
    pub time_axis: Rect,
    /// The band of champions below them; of no height where there is none.
    pub champions: Rect,
    /// The middle of the slot at index 0.
    pub first_x: f64,
    /// The distance from one slot's middle to the next.
    pub slot_px: f64,
    /// The number of bars.
    pub bars: usize,
    /// The number of steps of the fan after the last bar.
    pub steps: usize,
    /// The price at the panel's lower edge.
    pub low: f64,
    /// The price at the panel's upper edge.
    pub high: f64,
    /// The decimals of the price labels.
    pub decimals: u32,
    pub(crate) ticks: Vec<f64>,
}

impl PriceLayout {
    pub(crate) fn new(chart: &PriceChart<'_>) -> Self {
        let (width, height) = (chart.view.width_px(), chart.view.height_px());
        let header = if height >= 140.0 { HEADER_PX } else { 4.0 };
        let band = if chart.champions.is_empty() {
            0.0
        } else {
            CHAMPIONS_PX
        };
        let inner = (height - header - TIME_AXIS_PX - band).max(10.0);
        let with_volume = height >= 200.0
            && chart
                .bars
                .iter()
                .any(|b| usable(b.volume) && b.volume > 0.0);
        let volume_height = if with_volume {
            (inner * 0.17).round()
        } else {
            0.0
        };
        let gap = if with_volume { 6.0 } else { 0.0 };
        let price_height = inner - volume_height - gap;

        let (low, high) = range(chart);
        let Ticks { values, decimals } = ticks(low, high, (price_height / 38.0).max(2.0) as usize);
        // As the prices are quoted, or finer where the labels lie closer than that.
        let decimals = decimals.max(chart.price_decimals());
        let axis_width = price_axis_width(&values, decimals, low, high).min(width * 0.4);

        let left = 6.0;
        let price = Rect {
            x: left,
            y: header,
            width: (width - left - axis_width).max(10.0),
            height: price_height,
        };
        let volume = with_volume.then_some(Rect {
            y: price.bottom() + gap,
            height: volume_height,
            ..price
        });
        let (bars, steps) = (chart.bars.len(), chart.steps_ahead());
        let slots = (bars + steps).max(1) as f64;
        let slot_px = (price.width / (slots + 0.5)).min(MAX_SLOT_PX);
        Self {
            price,
            volume,
            price_axis: Rect {
                x: price.right(),
                width: axis_width,
                ..price
            },
            time_axis: Rect {
                y: height - TIME_AXIS_PX - band,
                height: TIME_AXIS_PX,
                ..price
            },
            champions: Rect {
                y: height - band,
                height: band,
                ..price
            },
            first_x: price.right() - slot_px * (slots - 0.25),
            slot_px,
            bars,
            steps,
            low,
            high,
            decimals,
            ticks: values,
        }
    }

    /// The middle of the slot at an index, which may lie between two.
    pub fn x_of(&self, index: f64) -> f64 {
        self.first_x + index * self.slot_px
    }

    /// The height of a price; at the panel's edge when it lies outside.
    pub fn y_of(&self, price: f64) -> f64 {
        let share = (self.high - price) / (self.high - self.low);
        // A NaN becomes the lower edge.
        let share = if share >= 0.0 {
            share.min(1.0)
        } else {
            f64::from(u8::from(share.is_nan()))
        };
        self.price.y + share * self.price.height
    }

    /// The price at a height.
    pub fn price_at(&self, y_px: f64) -> f64 {
        self.high - (y_px - self.price.y) / self.price.height * (self.high - self.low)
    }

    /// The index at a horizontal position: a bar's, then the fan's. `None` beside them.
    pub fn locate(&self, x_px: f64) -> Option<usize> {
        let index = ((x_px - self.first_x) / self.slot_px).round();
        let slots = self.bars + self.steps;
        (index >= 0.0 && index < slots as f64 && x_px <= self.price.right())
            .then_some(index as usize)
    }

    /// How many bars of a readable width fit beside `steps` steps of a fan into a chart of `width`
    /// pixels.
    pub fn bars_that_fit(width: u32, steps: usize) -> usize {
        // 5 pixels: a body of three, a wick of one, a gap.
        let slots = f64::from(width.saturating_sub(70)) / 5.0;
        (slots as usize).saturating_sub(steps).max(20)
    }

    /// The text of a price on the axis, or between its labels.
    pub fn label(&self, price: f64) -> String {
        fixed(price, self.decimals)
    }
}

fn price_axis_width(ticks: &[f64], decimals: u32, low: f64, high: f64) -> f64 {
    let mut width: f64 = 34.0;
    for tick in ticks {
        width = width.max(text_width_px(&fixed(*tick, decimals), FONT_PX));
    }
    // The badges of the last price and of the fan's end are bold.
    for price in [low, high] {
        let text = fixed(price, decimals);
        width = width.max(bold_width_px(&text, FONT_PX));
    }
    width + 14.0
}

/// The lowest and the highest of values; `None` without one.
fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .filter(|v| usable(*v))
        .fold(None, |range, v| match range {
            None => Some((v, v)),
            Some((low, high)) => Some((low.min(v), high.max(v))),
        })
}

fn range(chart: &PriceChart<'_>) -> (f64, f64) {
    let bars = chart.bars.iter().filter(|b| drawable(b));
    let Some((low, high)) = extent(bars.flat_map(|b| [b.open, b.high, b.low, b.close])) else {
        return (0.0, 1.0);
    };
    let fans = chart.fans.iter().take(1).flat_map(|fan| {
        let bands = fan
            .bands
            .iter()
            .flat_map(|b| b.lower.iter().chain(&b.upper));
        bands.chain(&fan.mean).copied()
    });
    let others = chart
        .fans
        .iter()
        .skip(1)
        .flat_map(|f| f.mean.iter().copied());
    let past = chart
        .past
        .iter()
        .filter(|p| chart.index_of_bar(p.target).is_some())
        .flat_map(|p| [p.mean, p.lower, p.upper]);
    let (mut low, mut high) = match extent(fans.chain(others).chain(past)) {
        None => (low, high),
        Some((l, h)) => {
            // Few bars say little about the range of prices: then the fan may say more.
            let span = (high - low).max(low.abs() * 1e-3);
            let room = span * (1.0 + 20.0 / chart.bars.len().max(1) as f64);
            (low.min(l.max(low - room)), high.max(h.min(high + room)))
        }
    };
    // Constant prices, and those that floating point can hardly tell apart, get a range around them.
    let size = low.abs().max(high.abs());
    if high - low <= size * 1e-9 {
        let pad = if size > 1e-90 { size * 1e-3 } else { 1.0 };
        low -= pad;
        high += pad;
    }
    let pad = (high - low) * 0.06;
    (low - pad, high + pad)
}
