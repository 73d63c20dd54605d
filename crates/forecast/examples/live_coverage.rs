//! How often served intervals hold, by model and steps ahead, with the calibrations beside each other.
//!
//! Reads lines `id,value` (oldest first) from standard input and does with each series what a server does:
//! fits to a window at every fiftieth value, updates with each value between, forecasts before each.
//!
//!     zcat data/stocks-daily.csv.gz | python3 -c '…' | cargo run --release -p forecast --example live_coverage

use std::collections::BTreeMap;
use std::io::BufRead;

use forecast::{Calibration, CalibrationOptions, FitOptions, Level, Providers, ServedState};

const WINDOW: usize = 500;
const REFIT: usize = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let models = arguments
        .first()
        .map_or("naive,drift,theta,ets", String::as_str);
    let season: usize = arguments.get(1).map_or(Ok(5), |s| s.parse())?;
    let steps: Vec<usize> = arguments
        .get(2)
        .map_or("1,5,20", String::as_str)
        .split(',')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let rate: f64 = arguments.get(3).map_or(Ok(0.03), |s| s.parse())?;
    let origins: usize = arguments.get(4).map_or(Ok(200), |s| s.parse())?;
    let warm_up: usize = arguments.get(5).map_or(Ok(99), |s| s.parse())?;
    let mut series: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let Some((id, value)) = line.split_once(',') else {
            continue;
        };
        if let Ok(value) = value.parse() {
            series.entry(id.to_owned()).or_default().push(value);
        }
    }
    let horizon = steps.iter().copied().max().unwrap_or(1);
    let providers = Providers::classical();
    println!("model        calibration  step  origins   80 %  width    95 %  width");
    for name in models
        .split('|')
        .flat_map(|m| m.split(", "))
        .flat_map(|m| m.split(','))
    {
        let model = providers.parse(name)?;
        for method in Calibration::ALL {
            let calibration = CalibrationOptions {
                method,
                horizon,
                origins,
                warm_up,
                rate,
            };
            let options = FitOptions {
                season,
                log: true,
                ..FitOptions::default()
            };
            // By step: how many, and of each level how many held and how wide in percent of the price.
            let mut sums = vec![[0.0f64; 5]; steps.len()];
            for y in series.values() {
                let mut state = None;
                for at in WINDOW..y.len() {
                    if (at - WINDOW).is_multiple_of(REFIT) {
                        let past = &y[at - WINDOW..at];
                        state =
                            ServedState::fit(&*model, &past.into(), &options, &calibration).ok();
                    }
                    let Some(state) = state.as_mut() else {
                        continue;
                    };
                    let said = state.forecast(horizon, &Level::DEFAULT)?.forecast;
                    for (sum, step) in sums.iter_mut().zip(&steps) {
                        let Some(actual) = y.get(at + step - 1) else {
                            continue;
                        };
                        sum[0] += 1.0;
                        for (level, band) in said.intervals.iter().enumerate() {
                            let (lower, upper) = (band.lower[step - 1], band.upper[step - 1]);
                            sum[1 + 2 * level] +=
                                f64::from(u8::from(lower <= *actual && *actual <= upper));
                            sum[2 + 2 * level] += 100.0 * (upper - lower) / y[at - 1];
                        }
                    }
                    state.update(y[at])?;
                }
            }
            for (sum, step) in sums.iter().zip(&steps) {
                let share = |v: f64| v / sum[0];
                println!(
                    "{name:<12} {method:<12} {step:>4} {:>8} {:>6.1} {:>6.2}  {:>6.1} {:>6.2}",
                    sum[0],
                    100.0 * share(sum[1]),
                    share(sum[2]),
                    100.0 * share(sum[3]),
                    share(sum[4])
                );
            }
        }
    }
    Ok(())
}
