//! Writes every chart at phone and desk width, light and dark, as SVG files into a folder, to be
//! looked at: `cargo run -p chart --features svg --example gallery -- /tmp/gallery`.

use std::{error::Error, fs, path::Path};

use chart::{
    AcfChart, CoverageChart, CoveragePoint, CoverageSeries, Drawing, ErrorSeries, ErrorsChart,
    PastForecast, PriceChart, PriceStyle, Theme, View,
};
use market::{Band, Bar, Fan, Interval, Tick, Timestamp};
use testing::SplitMix64;

/// A step of a walk that is the same every time, of variance 1/3.
fn step(random: &mut SplitMix64) -> f64 {
    random.normal() / 3f64.sqrt()
}

fn bars(
    n: u32,
    start: &str,
    interval: Interval,
    price: f64,
    volatility: f64,
) -> Result<Vec<Bar>, Box<dyn Error>> {
    let mut walk = SplitMix64::new(7);
    let start: Timestamp = start.parse()?;
    let mut tick = Tick {
        symbol: "TICK".parse()?,
        ts: start,
        seq: 0,
        price,
        size: 1.0,
    };
    let mut bars = Vec::new();
    for i in 0..n {
        tick.ts = interval.step_after(start, i);
        tick.seq = 0;
        tick.size = 500.0 + 4000.0 * step(&mut walk).abs();
        let mut bar = Bar::from_tick(&tick, interval);
        for seq in 1..8 {
            tick.seq = seq;
            tick.size = 500.0 + 4000.0 * step(&mut walk).abs();
            tick.price += step(&mut walk) * volatility;
            bar.push(&tick);
        }
        bars.push(bar);
    }
    Ok(bars)
}

fn fan(bars: &[Bar], origin: usize, steps: u32, model: &str) -> Fan {
    let bar = &bars[origin];
    let sd = 1.6 * (bars[0].high - bars[0].low);
    let spread = |z: f64, sign: f64| {
        (1..=steps)
            .map(|h| bar.close + sign * z * sd * f64::from(h).sqrt())
            .collect()
    };
    Fan {
        symbol: bar.symbol.clone(),
        interval: bar.interval,
        model: model.into(),
        origin: bar.start,
        origin_close: bar.close,
        made_at: bar.end(),
        targets: (1..=steps)
            .map(|h| bar.interval.step_after(bar.start, h))
            .collect(),
        mean: vec![bar.close; steps as usize],
        bands: [(80.0, 1.2816), (95.0, 1.96)]
            .map(|(level, z)| Band {
                level,
                lower: spread(z, -1.0),
                upper: spread(z, 1.0),
            })
            .to_vec(),
    }
}

fn coverage(nominal: f64) -> CoverageSeries {
    let points = (1..=12).map(|step| CoveragePoint {
        step,
        count: 240 - 15 * u64::from(step),
        inside: ((240 - 15 * u64::from(step)) as f64 * nominal / 100.0
            * (0.99 - 0.006 * f64::from(step))) as u64,
    });
    CoverageSeries {
        level: nominal,
        points: points.collect(),
    }
}

fn write(folder: &Path, name: &str, chart: &impl Drawing) -> Result<(), Box<dyn Error>> {
    let svg = chart.to_svg()?;
    fs::write(folder.join(name).with_extension("svg"), &svg)?;
    println!("{name}: {} bytes", svg.len());
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: gallery FOLDER")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    for (width, height) in [(358, 320), (1200, 520)] {
        for theme in [Theme::Light, Theme::Dark] {
            let view = View {
                theme,
                ..View::sized(width, height)
            };
            let name = |chart: &str| format!("{chart}-{width}-{theme:?}").to_lowercase();
            let minutes = bars(120, "2024-05-06T22:40:00Z", Interval::M1, 173.1, 0.08)?;
            let live = fan(&minutes, 118, 12, "naive");
            let past: Vec<PastForecast> = (60..118)
                .filter_map(|i| PastForecast::from_fan(&fan(&minutes, i, 1, "naive"), 1, 80.0))
                .collect();
            let price = PriceChart {
                fans: vec![&live],
                past: &past,
                view,
                ..PriceChart::new("TICK", Interval::M1, &minutes)
            };
            write(folder, &name("minutes"), &price)?;
            let days = bars(400, "2012-03-01", Interval::D1, 41.0, 0.5)?;
            let live = fan(&days, 399, 24, "seasonal-naive");
            let drift = fan(&days, 380, 44, "drift");
            let price = PriceChart {
                fans: vec![&live, &drift],
                style: if width < 500 {
                    PriceStyle::Candles
                } else {
                    PriceStyle::Line
                },
                cursor: Some(300),
                view,
                ..PriceChart::new("AAPL", Interval::D1, &days)
            };
            write(folder, &name("days"), &price)?;
            let seconds = bars(30, "2024-05-06T10:00:07Z", Interval::S1, 1.2e-6, 1e-9)?;
            let live = fan(&seconds, 29, 8, "naive");
            let price = PriceChart {
                fans: vec![&live],
                view,
                ..PriceChart::new("TINY", Interval::S1, &seconds)
            };
            write(folder, &name("seconds"), &price)?;
            let empty = PriceChart {
                view,
                ..PriceChart::new("NONE", Interval::H1, &[])
            };
            write(folder, &name("empty"), &empty)?;

            let small = View {
                theme,
                ..View::sized(width, 260)
            };
            let coverage = CoverageChart {
                model: "naive",
                levels: &[coverage(80.0), coverage(95.0)],
                view: small,
            };
            write(folder, &name("coverage"), &coverage)?;
            let models = ["naive", "drift", "seasonal-naive", "arima(1,1,1)"];
            let series: Vec<_> = models
                .into_iter()
                .zip(1u8..)
                .map(|(model, n)| {
                    let mut walk = SplitMix64::new(u64::from(n));
                    let error = |b: &Bar| {
                        (
                            b.start,
                            (0.2 + 0.1 * f64::from(n) + 0.1 * step(&mut walk)).abs(),
                        )
                    };
                    ErrorSeries {
                        model,
                        points: days.iter().map(error).collect(),
                    }
                })
                .collect();
            let errors = ErrorsChart {
                measure: "Mean absolute error, 1 step ahead",
                interval: Some(Interval::D1),
                series: &series,
                view: small,
            };
            write(folder, &name("errors"), &errors)?;
            let mut walk = SplitMix64::new(3);
            let values: Vec<f64> = (0..30).map(|_| step(&mut walk) * 0.12).collect();
            let acf = AcfChart {
                of: "residuals of naive",
                values: &values,
                observations: 400,
                view: small,
            };
            write(folder, &name("acf"), &acf)?;
        }
    }
    Ok(())
}
