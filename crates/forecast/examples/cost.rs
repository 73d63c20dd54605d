//! Prints what fits were estimated to take beside what they took: `cargo run --release -p forecast --example
//! cost`. The estimate decides which requests are taken, so it should be right to a factor of four or so.

use std::time::Instant;

use forecast::{FitOptions, ModelSpec};
use testing::Lcg;

fn series(n: usize, missing: bool) -> Vec<f64> {
    let levels = Lcg::new(42, 1).walk(100.0).take(n).enumerate();
    levels
        .map(|(t, level)| {
            let gap = missing && t % 97 == 50;
            if gap { f64::NAN } else { level }
        })
        .collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "{:<28} {:>7} {:>7} {:>6} {:>10} {:>10} {:>7}",
        "model", "values", "missing", "season", "estimated", "took", "ratio"
    );
    for (name, n, missing, season) in [
        ("naive", 20_000, false, 1),
        ("ets", 500, false, 1),
        ("ets", 500, false, 24),
        ("ets", 20_000, false, 1),
        ("theta", 500, false, 24),
        ("theta", 20_000, false, 24),
        ("garch", 500, false, 1),
        ("garch", 20_000, false, 1),
        ("arima(1,1,1)", 500, false, 1),
        ("arima(1,1,1)", 20_000, false, 1),
        ("arima(1,1,1)", 500, true, 1),
        ("arima(5,1,5)", 2_000, false, 1),
        ("arima(1,1,1)(0,1,1)[12]", 500, false, 1),
        ("arima(1,1,1)(1,1,1)[24]", 1_000, false, 1),
        ("arima(1,1,1)(1,1,1)[60]", 1_000, false, 1),
        ("arima(1,0,1)(1,1,1)[24]", 300, true, 1),
        ("auto-arima", 500, false, 1),
        ("auto-arima", 500, false, 24),
        ("auto-arima", 500, true, 12),
        ("auto-arima", 2_000, false, 60),
        ("combo", 500, false, 12),
    ] {
        let spec: ModelSpec = name.parse()?;
        let options = FitOptions {
            season,
            ..FitOptions::default()
        };
        let y = series(n, missing);
        let estimated = spec.cost(n, missing, &options).seconds();
        let began = Instant::now();
        let outcome = spec.fit(&y, &options).err();
        let took = began.elapsed().as_secs_f64();
        println!(
            "{name:<28} {n:>7} {missing:>7} {season:>6} {estimated:>9.3}s {took:>9.3}s {:>7.2} {}",
            estimated / took,
            outcome.map_or(String::new(), |e| e.to_string())
        );
    }
    Ok(())
}
