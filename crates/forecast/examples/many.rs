//! Forecasts many series from a text file, for the benchmarks of bench/forecast.
//!
//! `many FILE MODEL HORIZON [REPEATS]`: each line of FILE is `id,season,value,value,…` (an empty
//! value is missing). Prints one JSON line per series (id, mean, aicc, and the median seconds of its
//! fit and forecast over REPEATS, 1 when left out) and, on standard error, the seconds of all of them
//! together. Runs on all cores with the feature `parallel`.

use std::time::Instant;

use forecast::{FitOptions, Level, ModelSpec};

struct Row {
    id: String,
    season: usize,
    values: Vec<f64>,
}

fn read(path: &str) -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    let mut rows = Vec::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let mut parts = line.split(',');
        let id = parts.next().unwrap_or_default().to_owned();
        let season = parts.next().unwrap_or("1").parse()?;
        let values = parts
            .map(|v| {
                if v.is_empty() {
                    Ok(f64::NAN)
                } else {
                    v.parse()
                }
            })
            .collect::<Result<_, _>>()?;
        rows.push(Row { id, season, values });
    }
    Ok(rows)
}

fn run(row: &Row, spec: ModelSpec, horizon: usize, repeats: usize) -> String {
    let options = FitOptions {
        season: row.season,
        ..FitOptions::default()
    };
    let once = || {
        let fitted = spec.fit(&row.values, &options)?;
        let forecast = fitted.forecast(horizon, &[Level(95.0)])?;
        Ok::<_, forecast::Error>((fitted.summary(), forecast))
    };
    let start = Instant::now();
    let outcome = once();
    let mut seconds = vec![start.elapsed().as_secs_f64()];
    for _ in 1..repeats {
        let start = Instant::now();
        let _ = std::hint::black_box(once());
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    match outcome {
        Ok((summary, forecast)) => format!(
            "{{\"id\":{:?},\"model\":{:?},\"aicc\":{},\"seconds\":{median},\"mean\":{:?}}}",
            row.id,
            summary.model,
            summary.aicc.map_or("null".to_owned(), |v| v.to_string()),
            forecast.mean
        ),
        Err(error) => format!("{{\"id\":{:?},\"error\":{:?}}}", row.id, error.to_string()),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let (path, model, horizon, repeats) = match arguments.as_slice() {
        [_, path, model, horizon] => (path, model, horizon, "1"),
        [_, path, model, horizon, repeats] => (path, model, horizon, repeats.as_str()),
        _ => return Err("usage: many FILE MODEL HORIZON [REPEATS]".into()),
    };
    let (rows, spec, horizon) = (read(path)?, model.parse()?, horizon.parse()?);
    let repeats: usize = repeats.parse()?;
    let start = Instant::now();
    #[cfg(feature = "parallel")]
    let lines: Vec<String> = {
        use rayon::prelude::*;
        rows.par_iter()
            .map(|row| run(row, spec, horizon, repeats))
            .collect()
    };
    #[cfg(not(feature = "parallel"))]
    let lines: Vec<String> = rows
        .iter()
        .map(|row| run(row, spec, horizon, repeats))
        .collect();
    eprintln!("{{\"seconds\":{}}}", start.elapsed().as_secs_f64());
    for line in lines {
        println!("{line}");
    }
    Ok(())
}
