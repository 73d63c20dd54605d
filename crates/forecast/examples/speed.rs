//! Prints how long single fits (best of 20) and updates (mean of 20,000) take: `cargo run --release -p forecast --example speed`.

use std::hint::black_box;
use std::time::Instant;

use forecast::{FitOptions, ModelSpec};
use testing::Lcg;

/// A random walk with a little memory, the same every time.
fn series(n: usize) -> Vec<f64> {
    let mut noise = Lcg::new(42, 1);
    let (mut level, mut last) = (5.0, 0.0);
    (0..n)
        .map(|_| {
            let fresh = 0.01 * noise.normal();
            level += fresh + 0.3 * last;
            last = fresh;
            level
        })
        .collect()
}

/// A line as scripts/bench prints them.
fn figure(name: &str, value: f64, unit: &str, goal: &str) {
    println!("{name:<58} {value:>12.1} {unit:<10} goal: {goal}");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let y = series(500);
    let options = FitOptions::default();
    let names = [
        "naive",
        "arima(1,1,1)",
        "arima(2,1,2)",
        "arima(0,1,1)(0,1,1)[12]",
        "auto-arima",
    ];
    for name in names.into_iter().chain(["ets", "theta", "garch", "combo"]) {
        let spec: ModelSpec = name.parse()?;
        if spec.fit(&y, &options).is_err() {
            continue;
        }
        let mut best = f64::INFINITY;
        for _ in 0..20 {
            let start = Instant::now();
            black_box(spec.fit(black_box(&y), &options)?);
            best = best.min(start.elapsed().as_secs_f64());
        }
        let mut fitted = spec.fit(&y, &options)?;
        let start = Instant::now();
        let updates = 20_000;
        for i in 0..updates {
            fitted.update(y[i % 500])?;
        }
        let update = start.elapsed().as_secs_f64() / updates as f64;
        let (fit_us, update_ns) = (best * 1e6, update * 1e9);
        if name == "arima(1,1,1)" {
            figure("arima(1,1,1), fit to 500 points", fit_us, "us", "< 1000");
            figure(
                "arima(1,1,1), one more observation",
                update_ns,
                "ns",
                "< 2000",
            );
        } else {
            println!("    {name:26} fit {fit_us:10.1} us   update {update_ns:7.1} ns");
        }
    }
    Ok(())
}
