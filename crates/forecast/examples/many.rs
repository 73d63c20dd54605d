//! Forecasts many series from a text file, for the benchmarks of bench/forecast.
//!
//! `many FILE MODEL HORIZON`: each line of FILE is `id,season,value,value,…` (an empty value is
//! missing). Prints one JSON line per series (id, mean, aicc) and, on standard error, the seconds
//! of fitting and forecasting alone. Runs on all cores with the feature `parallel`.

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

fn run(row: &Row, spec: ModelSpec, horizon: usize) -> String {
    let options = FitOptions {
        season: row.season,
        ..FitOptions::default()
    };
    let outcome = spec.fit(&row.values, &options).and_then(|fitted| {
        let forecast = fitted.forecast(horizon, &[Level(95.0)])?;
        Ok((fitted.summary(), forecast))
    });
    match outcome {
        Ok((summary, forecast)) => format!(
            "{{\"id\":{:?},\"model\":{:?},\"aicc\":{},\"mean\":{:?}}}",
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
    let [_, path, model, horizon] = arguments.as_slice() else {
        return Err("usage: many FILE MODEL HORIZON".into());
    };
    let (rows, spec, horizon) = (read(path)?, model.parse()?, horizon.parse()?);
    let start = Instant::now();
    #[cfg(feature = "parallel")]
    let lines: Vec<String> = {
        use rayon::prelude::*;
        rows.par_iter().map(|row| run(row, spec, horizon)).collect()
    };
    #[cfg(not(feature = "parallel"))]
    let lines: Vec<String> = rows.iter().map(|row| run(row, spec, horizon)).collect();
    eprintln!("{{\"seconds\":{}}}", start.elapsed().as_secs_f64());
    for line in lines {
        println!("{line}");
    }
    Ok(())
}
