//! What stands in the SVG of a price chart: structure, not pixels.

use std::collections::BTreeMap;

use chart::{Drawing, PastForecast, PriceChart, PriceLayout, PriceStyle, Theme, View};
use market::{Interval, Timestamp};

use crate::fixtures::{bar, bars, fan, paths, texts};

#[test]
fn the_svg_scales_and_speaks_to_screen_readers() {
    let bars = bars(60, Interval::M1);
    let svg = PriceChart::new("A<B&C", Interval::M1, &bars)
        .to_svg()
        .unwrap();
    let xml = roxmltree::Document::parse(&svg).unwrap();
    let root = xml.root_element();
    assert_eq!(root.attribute("viewBox"), Some("0 0 720 400"));
    assert_eq!(root.attribute("role"), Some("img"));
    let child = |name| {
        root.children()
            .find(|n| n.has_tag_name(name))
            .unwrap()
            .text()
            .unwrap()
    };
    assert_eq!(child("title"), "A<B&C 1m prices");
    assert_eq!(
        child("desc"),
        "60 bars of 1m from 6 May 2024 10:00 to 6 May 2024 10:59, lowest 98.00, highest 108.00, last close 102.00."
    );
    assert!(
        xml.descendants()
            .all(|n| n.attribute("id").is_none() && n.attribute("style").is_none())
    );
}

#[test]
fn every_bar_has_one_body_and_one_volume() {
    let bars = bars(60, Interval::M1);
    let svg = PriceChart::new("TEST", Interval::M1, &bars)
        .to_svg()
        .unwrap();
    let mut widths: BTreeMap<(bool, String), usize> = BTreeMap::new();
    for (opacity, d) in paths(&svg, "up").into_iter().chain(paths(&svg, "down")) {
        for shape in d.split('z') {
            let width = shape
                .split_once('h')
                .map(|(_, rest)| rest.split('v').next().unwrap());
            if let Some(width) = width {
                *widths
                    .entry((opacity.is_empty(), width.to_owned()))
                    .or_default() += 1;
            }
        }
    }
    let body = "7".to_owned();
    assert_eq!(widths[&(true, body.clone())], 60, "{widths:?}");
    assert_eq!(widths[&(false, body)], 60, "{widths:?}");
}

#[test]
fn a_fan_has_a_lighter_area_per_wider_level_and_a_mean() {
    let bars = bars(60, Interval::M1);
    let live = fan(&bars, 59, 12);
    let chart = PriceChart {
        fans: vec![&live],
        ..PriceChart::new("TEST", Interval::M1, &bars)
    };
    let svg = chart.to_svg().unwrap();
    let opacities: Vec<_> = paths(&svg, "fan").into_iter().map(|(o, _)| o).collect();
    assert_eq!(&opacities[..3], ["0.16", "0.24", ""]);
    assert_eq!(chart.layout().steps, 12);
    assert!(svg.contains("12 steps ahead"));
    for label in ["naive", "80 %", "95 %"] {
        assert!(texts(&svg).iter().any(|t| t == label), "{label}");
    }
}

#[test]
fn an_outcome_outside_its_interval_is_marked() {
    let bars = bars(20, Interval::M1);
    let forecast = |i: usize, half: f64| PastForecast {
        target: bars[i].start,
        mean: bars[i].close + 1.0,
        lower: bars[i].close + 1.0 - half,
        upper: bars[i].close + 1.0 + half,
    };
    let marks = |past: &[PastForecast]| {
        let chart = PriceChart {
            past,
            ..PriceChart::new("TEST", Interval::M1, &bars)
        };
        let found = paths(&chart.to_svg().unwrap(), "miss");
        found
            .iter()
            .filter(|(_, d)| d.contains('a'))
            .map(|(_, d)| d.matches('M').count())
            .sum::<usize>()
    };
    assert_eq!(marks(&[forecast(3, 2.0), forecast(4, 2.0)]), 0);
    assert_eq!(
        marks(&[forecast(3, 0.5), forecast(4, 2.0), forecast(9, 0.5)]),
        2
    );
}

#[test]
fn a_chart_of_120_bars_with_everything_on_it_is_small() {
    let bars = bars(120, Interval::S1);
    let live = fan(&bars, 119, 24);
    let past: Vec<_> = (0..119)
        .filter_map(|i| PastForecast::from_fan(&fan(&bars, i, 1), 1, 80.0))
        .collect();
    assert_eq!(past.len(), 119);
    let chart = PriceChart {
        fans: vec![&live],
        past: &past,
        view: View::sized(1400, 600),
        ..PriceChart::new("TEST", Interval::S1, &bars)
    };
    let size = chart.to_svg().unwrap().len();
    assert!(size < 30_000, "{size}");
}

#[test]
fn one_svg_serves_both_themes() {
    let bars = bars(60, Interval::M1);
    let svg = |theme| {
        let view = View {
            theme,
            ..View::default()
        };
        PriceChart {
            view,
            ..PriceChart::new("TEST", Interval::M1, &bars)
        }
        .to_svg()
        .unwrap()
    };
    // Without the fall-back colours the two are the same text.
    let bare = |svg: String| {
        let mut parts = svg.split(",#");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| text + &part[6..])
    };
    assert_ne!(svg(Theme::Light), svg(Theme::Dark));
    assert_eq!(bare(svg(Theme::Light)), bare(svg(Theme::Dark)));
    assert!(!bare(svg(Theme::Light)).contains('#'));
}

#[test]
fn the_same_chart_gives_the_same_bytes() {
    let bars = bars(60, Interval::M1);
    let svg = || {
        PriceChart::new("TEST", Interval::M1, &bars)
            .to_svg()
            .unwrap()
    };
    assert_eq!(svg(), svg());
}

#[test]
fn labels_are_those_of_the_interval_and_the_readers_clock() {
    let days = bars(120, Interval::D1);
    let svg = PriceChart::new("TEST", Interval::D1, &days)
        .to_svg()
        .unwrap();
    assert!(texts(&svg).iter().any(|t| t == "Jul"), "{:?}", texts(&svg));
    let seconds = bars(120, Interval::S1);
    let view = View {
        utc_offset_minutes: 120,
        ..View::default()
    };
    let chart = PriceChart {
        view,
        ..PriceChart::new("TEST", Interval::S1, &seconds)
    };
    let svg = chart.to_svg().unwrap();
    assert!(
        texts(&svg).iter().any(|t| t == "12:00:30"),
        "{:?}",
        texts(&svg)
    );
    assert!(
        texts(&svg).iter().any(|t| t == "6 May 2024, UTC+2"),
        "{:?}",
        texts(&svg)
    );
}

#[test]
fn no_two_labels_of_times_or_prices_stand_on_each_other() {
    for interval in Interval::ALL {
        for n in [1, 2, 9, 40, 120, 390, 2000] {
            for width in [358, 720, 1400] {
                let bars = bars(n, interval);
                let live = fan(&bars, n as usize - 1, 12);
                let chart = PriceChart {
                    fans: vec![&live],
                    view: View::sized(width, 360),
                    ..PriceChart::new("TEST", interval, &bars)
                };
                let svg = chart.to_svg().unwrap();
                let layout = chart.layout();
                let xml = roxmltree::Document::parse(&svg).unwrap();
                let mut times: Vec<(f64, usize)> = Vec::new();
                let mut prices: Vec<f64> = Vec::new();
                for node in xml.descendants().filter(|n| n.has_tag_name("text")) {
                    let at = |a| node.attribute(a).unwrap().parse::<f64>().unwrap();
                    if at("y") > layout.time_axis.y {
                        times.push((at("x"), node.text().unwrap().chars().count()));
                    } else if at("x") > layout.price.right() && at("y") > layout.price.y {
                        prices.push(at("y"));
                    }
                }
                assert!(!times.is_empty(), "{interval} {n} {width}");
                times.sort_by(|a, b| a.0.total_cmp(&b.0));
                for pair in times.windows(2) {
                    let need = (pair[0].1 + pair[1].1) as f64 / 2.0 * 6.0;
                    assert!(
                        pair[1].0 - pair[0].0 >= need,
                        "{interval} {n} {width} {times:?}"
                    );
                }
                prices.sort_by(f64::total_cmp);
                for pair in prices.windows(2) {
                    assert!(
                        pair[1] - pair[0] >= 9.0,
                        "{interval} {n} {width} {prices:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn without_a_bar_the_frame_says_so() {
    for bars in [
        vec![],
        vec![bar(
            Interval::M1,
            Timestamp::default(),
            [f64::NAN; 4],
            f64::NAN,
        )],
    ] {
        let chart = PriceChart {
            empty_message: "Waiting for TEST",
            ..PriceChart::new("TEST", Interval::M1, &bars)
        };
        let svg = chart.to_svg().unwrap();
        assert!(texts(&svg).iter().any(|t| t == "Waiting for TEST"));
        assert_eq!(chart.description(), "Waiting for TEST");
    }
    let empty = PriceChart::new("TEST", Interval::M1, &[]);
    assert_eq!(empty.locate(300.0), None);
    assert_eq!(empty.read(0), None);
}

#[test]
fn a_position_is_read_back_as_the_bar_or_step_that_stands_there() {
    let bars = bars(60, Interval::D1);
    let live = fan(&bars, 58, 5);
    let past = [PastForecast::from_fan(&fan(&bars, 9, 1), 1, 95.0).unwrap()];
    let chart = PriceChart {
        fans: vec![&live],
        past: &past,
        view: View::sized(358, 300),
        ..PriceChart::new("TEST", Interval::D1, &bars)
    };
    let layout = chart.layout();
    // The fan's first step is the last bar, which is still open.
    assert_eq!((layout.bars, layout.steps), (60, 4));
    for index in 0..64 {
        assert_eq!(chart.locate(layout.x_of(index as f64)), Some(index));
    }
    assert_eq!(chart.locate(layout.x_of(-1.0)), None);
    assert_eq!(chart.locate(layout.price.right() + 1.0), None);
    assert_eq!(chart.locate(f64::NAN), None);

    let bar = chart.read(10).unwrap();
    assert_eq!((bar.bar, bar.past), (Some(&bars[10]), Some(past[0])));
    let open = chart.read(59).unwrap();
    assert_eq!((open.bar, open.fan.unwrap().step), (Some(&bars[59]), 1));
    let step = chart.read(61).unwrap();
    assert_eq!(step.bar, None);
    let fan = step.fan.unwrap();
    assert_eq!((fan.step, fan.bands.len()), (3, 2));
    assert_eq!(step.start, live.targets[2]);
    assert_eq!(chart.read(64), None);

    let price = layout.price_at(layout.y_of(103.0));
    assert!((price - 103.0).abs() < 1e-9);
}

#[test]
fn a_wild_fan_does_not_flatten_the_prices() {
    let bars = bars(120, Interval::M1);
    let mut live = fan(&bars, 119, 3);
    live.bands[1].upper = vec![1e12; 3];
    let chart = PriceChart {
        fans: vec![&live],
        ..PriceChart::new("TEST", Interval::M1, &bars)
    };
    let layout = chart.layout();
    assert!(layout.high < 130.0, "{}", layout.high);
    assert!(PriceLayout::bars_that_fit(358, 12) < PriceLayout::bars_that_fit(1200, 12));
}

#[test]
fn many_bars_become_a_line_of_few_points() {
    let bars = bars(20_000, Interval::S1);
    let chart = PriceChart {
        style: PriceStyle::Candles,
        view: View::sized(358, 300),
        ..PriceChart::new("TEST", Interval::S1, &bars)
    };
    let line = paths(&chart.to_svg().unwrap(), "price");
    assert_eq!(line.len(), 1);
    assert!(line[0].1.len() < 20_000, "{}", line[0].1.len());
}

#[test]
fn champions_stand_below_the_times_each_under_the_bars_of_its_time() {
    let bars = bars(60, Interval::M1);
    let champions = [
        (bars[0].start, "naive".to_owned()),
        (bars[30].start, "theta".to_owned()),
        // Of a time after the last bar: it has none to stand under.
        (bars[59].end(), "ets".to_owned()),
    ];
    let chart = PriceChart {
        champions: &champions,
        ..PriceChart::new("TEST", Interval::M1, &bars)
    };
    let (with, without) = (
        chart.layout(),
        PriceChart {
            champions: &[],
            ..chart.clone()
        }
        .layout(),
    );
    assert_eq!(without.champions.height, 0.0);
    assert_eq!(with.champions.bottom(), without.time_axis.bottom());
    assert_eq!(with.time_axis.bottom(), with.champions.y);
    let svg = chart.to_svg().unwrap();
    for name in ["naive", "theta"] {
        assert!(svg.contains(&format!(">{name}<")), "{name}");
    }
    assert!(!svg.contains(">ets<"));
    let live = fan(&bars, 59, 20);
    let svg = PriceChart {
        fans: vec![&live],
        ..chart
    }
    .to_svg()
    .unwrap();
    assert!(svg.contains(">ets<"), "it is whose fan that is");
}

#[test]
fn the_first_champions_name_stands_before_a_narrow_part_only_where_the_chart_has_room() {
    let bars = bars(60, Interval::M1);
    let drawn = |first: usize| {
        let champions = [
            (bars[first].start, "auto-arima".to_owned()),
            (bars[first + 1].start, "theta".to_owned()),
        ];
        let chart = PriceChart {
            champions: &champions,
            ..PriceChart::new("TEST", Interval::M1, &bars)
        };
        let svg = chart.to_svg().unwrap();
        assert!(svg.contains(">theta<"), "{first}");
        svg.contains(">auto-arima<")
    };
    assert!(!drawn(0), "it would lie left of the chart");
    assert!(!drawn(2), "its beginning would lie left of the chart");
    assert!(drawn(30));
}
