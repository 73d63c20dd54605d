//! The price chart's data: bars, the live fan, past forecasts; and what stands at a position.
//!
//! Model: the axis is ordinal. Bar `i` stands at index `i`, whatever the time since the one before;
//! the steps of the fan after the last bar go on from there. [`PriceLayout`] knows the geometry,
//! [`PriceChart::read`] what a reader at an index should be told.

use market::{Bar, Fan, Interval, Timestamp};
use plotters::{coord::Shift, drawing::DrawingArea, prelude::DrawingBackend};

use crate::{
    Drawing, PriceLayout, Result, View,
    numbers::{format_price, price_decimals, usable},
    price_draw,
    time_axis::format_time,
};

/// The latest bars, in which the step of the prices is looked for.
const STEP_BARS: usize = 200;

/// How prices are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriceStyle {
    /// Open, high, low and close of each bar; a line where they would be too thin to see.
    #[default]
    Candles,
    /// The closes.
    Line,
}

/// A forecast of one bar's close made earlier: one step, or always the same number of steps, ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PastForecast {
    /// The start of the bar that was forecast.
    pub target: Timestamp,
    /// The point forecast of its close.
    pub mean: f64,
    /// Lower bound of its interval.
    pub lower: f64,
    /// Upper bound of its interval.
    pub upper: f64,
}

impl PastForecast {
    /// What a fan says of its step `step`, from 1, with its interval at `level` percent. `None`
    /// when the fan has no such step or level.
    pub fn from_fan(fan: &Fan, step: usize, level: f64) -> Option<Self> {
        let i = step.checked_sub(1)?;
        let band = fan.bands.iter().find(|b| (b.level - level).abs() < 1e-9)?;
        Some(Self {
            target: *fan.targets.get(i)?,
            mean: *fan.mean.get(i)?,
            lower: *band.lower.get(i)?,
            upper: *band.upper.get(i)?,
        })
    }
}

/// Prices, what is forecast, and what was.
#[derive(Clone, Debug)]
pub struct PriceChart<'a> {
    /// The symbol's name.
    pub symbol: &'a str,
    /// The bars' length.
    pub interval: Interval,
    /// The bars, oldest first.
    pub bars: &'a [Bar],
    /// Live fans. The first is drawn with its bands, the others by their means.
    pub fans: Vec<&'a Fan>,
    /// Past forecasts, in any order; those of bars that are not shown are left out.
    pub past: &'a [PastForecast],
    /// Who was champion from a time on, oldest first: a band below the times. Empty: none.
    pub champions: &'a [(Timestamp, String)],
    /// Candles or a line.
    pub style: PriceStyle,
    /// A position to mark: an index as [`PriceLayout::locate`] gives it.
    pub cursor: Option<usize>,
    /// Shown when there is no bar.
    pub empty_message: &'a str,
    /// Size and colours.
    pub view: View,
}

/// What stands at an index of a price chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading<'a> {
    /// The start of the bar.
    pub start: Timestamp,
    /// The same, as the chart writes times.
    pub time: String,
    /// The bar; `None` after the last.
    pub bar: Option<&'a Bar>,
    /// What the first live fan says of it.
    pub fan: Option<FanReading>,
    /// What was forecast of it.
    pub past: Option<PastForecast>,
}

/// One step of a fan.
#[derive(Clone, Debug, PartialEq)]
pub struct FanReading {
    /// The step, from 1.
    pub step: usize,
    /// The point forecast.
    pub mean: f64,
    /// Level in percent, lower and upper bound; narrowest first.
    pub bands: Vec<(f64, f64, f64)>,
}

impl<'a> PriceChart<'a> {
    /// Candles alone, in the default view.
    pub fn new(symbol: &'a str, interval: Interval, bars: &'a [Bar]) -> Self {
        Self {
            symbol,
            interval,
            bars,
            fans: Vec::new(),
            past: &[],
            champions: &[],
            style: PriceStyle::Candles,
            cursor: None,
            empty_message: "No prices yet",
            view: View::default(),
        }
    }

    /// The decimals that its prices are written with: those of the step of its latest bars.
    pub fn price_decimals(&self) -> u32 {
        let latest = &self.bars[self.bars.len().saturating_sub(STEP_BARS)..];
        price_decimals(latest.iter().flat_map(|b| [b.open, b.high, b.low, b.close]))
    }

    /// Where everything lies, in CSS pixels from the chart's upper left corner.
    pub fn layout(&self) -> PriceLayout {
        PriceLayout::new(self)
    }

    /// The index at a horizontal position in CSS pixels: below `bars.len()` a bar, from there on
    /// steps of the fan. `None` outside.
    pub fn locate(&self, x_px: f64) -> Option<usize> {
        self.layout().locate(x_px)
    }

    /// The start of the bar at an index; after the last bar, of the one that the fan expects.
    pub fn time_at(&self, index: usize) -> Option<Timestamp> {
        if let Some(bar) = self.bars.get(index) {
            return Some(bar.start);
        }
        let last = self.bars.last()?.start;
        let ahead = index - self.bars.len();
        let expected = self
            .fans
            .iter()
            .find_map(|fan| fan.targets.iter().filter(|t| **t > last).nth(ahead));
        let step = u32::try_from(ahead + 1).ok()?;
        Some(
            expected
                .copied()
                .unwrap_or_else(|| self.interval.step_after(last, step)),
        )
    }

    /// What stands at an index, for a crosshair or a screen reader. `None` when there is neither a
    /// bar nor a step of a fan.
    pub fn read(&self, index: usize) -> Option<Reading<'a>> {
        let start = self.time_at(index)?;
        let bar = self.bars.get(index);
        let fan = self.fans.first().and_then(|fan| {
            let i = fan.targets.iter().position(|t| *t == start)?;
            Some(FanReading {
                step: i + 1,
                mean: *fan.mean.get(i)?,
                bands: fan
                    .bands
                    .iter()
                    .filter_map(|b| Some((b.level, *b.lower.get(i)?, *b.upper.get(i)?)))
                    .collect(),
            })
        });
        if bar.is_none() && fan.is_none() {
            return None;
        }
        Some(Reading {
            start,
            time: format_time(start, self.interval, self.view.utc_offset_minutes),
            bar,
            fan,
            past: self.past.iter().find(|p| p.target == start).copied(),
        })
    }

    /// The index at which a fan's target stands: a bar's own, between bars where it has none, after
    /// the last one by count. `None` before the first bar.
    pub(crate) fn index_of(&self, fan: &Fan, step: usize) -> Option<f64> {
        let target = *fan.targets.get(step)?;
        let last = self.bars.last()?.start;
        if target > last {
            let ahead = fan.targets[..=step].iter().filter(|t| **t > last).count();
            return Some((self.bars.len() - 1 + ahead) as f64);
        }
        self.index_of_bar(target).or_else(|| {
            let next = self.bars.partition_point(|b| b.start < target);
            (next > 0).then_some(next as f64 - 0.5)
        })
    }

    /// The index of the bar that starts at `start`.
    pub(crate) fn index_of_bar(&self, start: Timestamp) -> Option<f64> {
        self.bars
            .binary_search_by_key(&start, |b| b.start)
            .ok()
            .map(|i| i as f64)
    }

    /// How many steps of the fans lie after the last bar.
    pub(crate) fn steps_ahead(&self) -> usize {
        let Some(last) = self.bars.last() else {
            return 0;
        };
        self.fans
            .iter()
            .map(|fan| {
                let drawn = fan.targets.len().min(fan.mean.len());
                fan.targets[..drawn]
                    .iter()
                    .filter(|t| **t > last.start)
                    .count()
            })
            .max()
            .unwrap_or(0)
    }

    /// The last bar that can be drawn.
    pub(crate) fn last_drawn(&self) -> Option<(usize, &'a Bar)> {
        self.bars
            .iter()
            .enumerate()
            .rev()
            .find(|(_, b)| drawable(b))
    }
}

/// Whether all four prices of a bar can be drawn.
pub(crate) fn drawable(bar: &Bar) -> bool {
    [bar.open, bar.high, bar.low, bar.close]
        .into_iter()
        .all(usable)
}

impl Drawing for PriceChart<'_> {
    fn view(&self) -> View {
        self.view
    }

    fn title(&self) -> String {
        format!("{} {} prices", self.symbol, self.interval)
    }

    fn description(&self) -> String {
        let Some((_, last)) = self.last_drawn() else {
            return self.empty_message.into();
        };
        let time = |ts| format_time(ts, self.interval, self.view.utc_offset_minutes);
        let decimals = self.price_decimals();
        let format_price = |price| format_price(price, decimals);
        let shown = || self.bars.iter().filter(|b| drawable(b));
        let low = shown().map(|b| b.low).fold(f64::INFINITY, f64::min);
        let high = shown().map(|b| b.high).fold(f64::NEG_INFINITY, f64::max);
        let first = shown().next().unwrap_or(last);
        let mut text = format!(
            "{} bars of {} from {} to {}, lowest {}, highest {}, last close {}.",
            shown().count(),
            self.interval,
            time(first.start),
            time(last.start),
            format_price(low),
            format_price(high),
            format_price(last.close),
        );
        for fan in &self.fans {
            let Some((i, mean)) = fan.mean.iter().enumerate().rev().find(|(_, m)| usable(**m))
            else {
                continue;
            };
            text += &format!(
                " Forecast by {}, {} steps ahead: {}",
                fan.model,
                i + 1,
                format_price(*mean)
            );
            for band in &fan.bands {
                if let (Some(lower), Some(upper)) = (band.lower.get(i), band.upper.get(i)) {
                    text += &format!(
                        ", {} % between {} and {}",
                        crate::numbers::level(band.level),
                        format_price(*lower),
                        format_price(*upper)
                    );
                }
            }
            text.push('.');
        }
        text
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Result<()> {
        price_draw::draw(self, area)
    }
}
