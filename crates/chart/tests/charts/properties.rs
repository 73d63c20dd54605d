//! Whatever the numbers, a chart is well-formed, without a number that is none, and nothing panics.

use chart::{
    AcfChart, CoverageChart, CoveragePoint, CoverageSeries, Drawing, ErrorSeries, ErrorsChart,
    PastForecast, PriceChart, PriceStyle, Theme, View,
};
use market::{Band, Fan, Interval, Timestamp};
use proptest::prelude::*;

use crate::fixtures::bar;

/// Any double: ordinary ones, tiny, huge, infinite, NaN.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 50.0..150.0f64,
        1 => 0.9999e9..1.0001e9f64,
        1 => 0.9e-6..1.1e-6f64,
        1 => prop::num::f64::ANY,
        1 => prop_oneof![Just(0.0), Just(-0.0), Just(f64::MAX), Just(f64::MIN), Just(f64::MIN_POSITIVE), Just(f64::INFINITY), Just(f64::NAN)],
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        4 => (0..2_000_000_000i64).prop_map(Timestamp::from_secs),
        1 => any::<i64>().prop_map(Timestamp::from_micros),
    ]
}

fn view() -> impl Strategy<Value = View> {
    (
        0..2000u32,
        0..1200u32,
        number(),
        any::<bool>(),
        any::<i32>(),
    )
        .prop_map(
            |(width, height, device_pixel_ratio, dark, utc_offset_minutes)| View {
                width,
                height,
                device_pixel_ratio,
                theme: if dark { Theme::Dark } else { Theme::Light },
                utc_offset_minutes,
            },
        )
}

fn interval() -> impl Strategy<Value = Interval> {
    prop::sample::select(&Interval::ALL[..])
}

fn fan(interval: Interval) -> impl Strategy<Value = Fan> {
    let numbers = || prop::collection::vec(number(), 0..8);
    (
        time(),
        number(),
        prop::collection::vec(time(), 0..8),
        numbers(),
        prop::collection::vec((number(), numbers(), numbers()), 0..4),
    )
        .prop_map(move |(origin, origin_close, targets, mean, bands)| Fan {
            symbol: "TEST".parse().unwrap(),
            interval,
            model: "a<&\">\u{0}".into(),
            origin,
            origin_close,
            made_at: origin,
            targets,
            mean,
            bands: bands
                .into_iter()
                .map(|(level, lower, upper)| Band {
                    level,
                    lower,
                    upper,
                })
                .collect(),
        })
}

fn check(svg: &str) -> Result<(), TestCaseError> {
    let xml = roxmltree::Document::parse(svg);
    prop_assert!(xml.is_ok(), "{:?} in {svg}", xml.err());
    for wrong in ["NaN", "inf", "Infinity"] {
        prop_assert!(!svg.contains(wrong), "{wrong} in {svg}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_price_chart_of_anything_is_well_formed(
        interval in interval(),
        rows in prop::collection::vec((time(), [number(), number(), number(), number()], number()), 0..40),
        sorted in any::<bool>(),
        fans in prop::collection::vec(fan(Interval::M1), 0..3),
        past in prop::collection::vec((0..40usize, number(), number(), number()), 0..10),
        line in any::<bool>(),
        cursor in prop::option::of(0..60usize),
        view in view(),
        x in number(),
    ) {
        let mut bars: Vec<_> = rows.iter().map(|(t, prices, volume)| bar(interval, *t, *prices, *volume)).collect();
        if sorted {
            bars.sort_by_key(|b| b.start);
            bars.dedup_by_key(|b| b.start);
        }
        let mut fans = fans;
        if let (Some(fan), Some(last)) = (fans.first_mut(), bars.last()) {
            // One fan that does go on from the bars.
            fan.origin = last.start;
            fan.targets = (1..6).map(|i| last.start.plus_micros(i * 1_000_000)).collect();
        }
        let past: Vec<_> = past
            .into_iter()
            .filter_map(|(i, mean, lower, upper)| {
                Some(PastForecast { target: bars.get(i)?.start, mean, lower, upper })
            })
            .collect();
        let chart = PriceChart {
            fans: fans.iter().collect(),
            past: &past,
            style: if line { PriceStyle::Line } else { PriceStyle::Candles },
            cursor,
            view,
            ..PriceChart::new("A<&B", interval, &bars)
        };
        check(&chart.to_svg().unwrap())?;
        if let Some(index) = chart.locate(x) {
            prop_assert!(index < chart.layout().bars + chart.layout().steps);
        }
        for index in [0, 1, bars.len(), bars.len() + 3, usize::MAX] {
            let _ = chart.read(index);
        }
    }

    #[test]
    fn the_charts_of_quality_are_well_formed_of_anything(
        levels in prop::collection::vec((number(), prop::collection::vec((any::<u32>(), any::<u64>(), any::<u64>()), 0..10)), 0..4),
        series in prop::collection::vec(prop::collection::vec((time(), number()), 0..30), 0..8),
        values in prop::collection::vec(number(), 0..40),
        observations in any::<usize>(),
        interval in interval(),
        times in any::<bool>(),
        view in view(),
    ) {
        let levels: Vec<_> = levels
            .into_iter()
            .map(|(level, points)| CoverageSeries {
                level,
                points: points
                    .into_iter()
                    .map(|(step, count, inside)| CoveragePoint { step, count, inside })
                    .collect(),
            })
            .collect();
        check(&CoverageChart { model: "a<b", levels: &levels, view }.to_svg().unwrap())?;
        let series: Vec<_> = series
            .into_iter()
            .map(|points| ErrorSeries { model: "a<b", points })
            .collect();
        check(&ErrorsChart { measure: "MAE", interval: times.then_some(interval), series: &series, view }.to_svg().unwrap())?;
        check(&AcfChart { of: "a<b", values: &values, observations, view }.to_svg().unwrap())?;
    }
}
