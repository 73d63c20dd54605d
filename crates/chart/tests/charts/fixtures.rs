//! Bars and fans, and what to read from an SVG.

use market::{Band, Bar, Fan, Interval, Tick, Timestamp};

/// A bar of open, high, low and close.
pub fn bar(interval: Interval, start: Timestamp, prices: [f64; 4], volume: f64) -> Bar {
    let tick = Tick {
        symbol: "TEST".parse().unwrap(),
        ts: start,
        seq: 0,
        price: 1.0,
        size: volume,
    };
    let [open, high, low, close] = prices;
    Bar {
        open,
        high,
        low,
        close,
        ..Bar::from_tick(&tick, interval)
    }
}

/// `n` bars from 2024-05-06 that go up and down in turn.
pub fn bars(n: u32, interval: Interval) -> Vec<Bar> {
    let start: Timestamp = "2024-05-06T10:00:00Z".parse().unwrap();
    (0..n)
        .map(|i| {
            let open = 100.0 + f64::from(i % 7);
            let close = if i % 2 == 0 { open + 1.0 } else { open - 1.0 };
            bar(
                interval,
                interval.step_after(interval.start_of(start), i),
                [open, open + 2.0, open - 2.0, close],
                10.0,
            )
        })
        .collect()
}

/// A fan of `steps` from the bar at `origin`.
pub fn fan(bars: &[Bar], origin: usize, steps: u32) -> Fan {
    let bar = &bars[origin];
    let edge = |sign: f64, z: f64| {
        (1..=steps)
            .map(|h| bar.close + sign * z * f64::from(h).sqrt())
            .collect()
    };
    Fan {
        symbol: bar.symbol.clone(),
        interval: bar.interval,
        model: "naive".into(),
        origin: bar.start,
        origin_close: bar.close,
        made_at: bar.end(),
        targets: (1..=steps)
            .map(|h| bar.interval.step_after(bar.start, h))
            .collect(),
        mean: vec![bar.close; steps as usize],
        bands: [(80.0, 1.28), (95.0, 1.96)]
            .map(|(level, z)| Band {
                level,
                lower: edge(-1.0, z),
                upper: edge(1.0, z),
            })
            .to_vec(),
    }
}

pub fn texts(svg: &str) -> Vec<String> {
    let xml = roxmltree::Document::parse(svg).unwrap();
    xml.descendants()
        .filter(|n| n.has_tag_name("text"))
        .filter_map(|n| n.text().map(str::to_owned))
        .collect()
}

/// The `d` of every path of a paint, by its opacity.
pub fn paths(svg: &str, role: &str) -> Vec<(String, String)> {
    let xml = roxmltree::Document::parse(svg).unwrap();
    xml.descendants()
        .filter(|n| n.has_tag_name("path"))
        .filter(|n| {
            let is = |a| {
                n.attribute(a)
                    .is_some_and(|v| v.starts_with(&format!("var(--chart-{role},")))
            };
            is("fill") || is("stroke")
        })
        .map(|n| {
            let text = |a| n.attribute(a).unwrap_or_default().to_owned();
            (text("fill-opacity"), text("d"))
        })
        .collect()
}
