//! Any bytes as a series: an error or a finite forecast, never a panic. The fuzz target runs it, and so
//! does an ordinary test, on the seeds.

#[path = "../../tests/support/models.rs"]
mod names;

use forecast::{FitOptions, Level, ModelSpec};

use names::MODELS;

fn value(bytes: &[u8]) -> f64 {
    match bytes[0] % 4 {
        // A small number, to build series that hang together.
        0 | 1 => f64::from(i16::from_le_bytes([bytes[1], bytes[2]])) / 16.0,
        2 => f64::NAN,
        _ => {
            let mut raw = [0; 8];
            raw.copy_from_slice(&bytes[..8]);
            f64::from_le_bytes(raw)
        }
    }
}

/// Reads a model, a season, the log switch and a series, and checks what is forecast.
pub fn check(data: &[u8]) {
    let [model, season, flags, rest @ ..] = data else {
        return;
    };
    let y: Vec<f64> = rest.chunks_exact(8).map(value).collect();
    let Ok(spec) = MODELS[*model as usize % MODELS.len()].parse::<ModelSpec>() else {
        panic!("a name of the list does not parse");
    };
    let season = usize::from(*season % 13) + 1;
    let options = FitOptions {
        season,
        log: flags & 1 == 1,
        ..FitOptions::default()
    };
    let Ok(mut fitted) = spec.fit(&y, &options) else {
        return;
    };
    for update in [None, Some(1.0), Some(f64::NAN), y.last().copied()] {
        if let Some(value) = update {
            let _ = fitted.update(value);
        }
        if let Ok(forecast) = fitted.forecast(5, &[Level(80.0), Level(95.0)]) {
            assert!(forecast.mean.iter().all(|v| v.is_finite()));
            for band in &forecast.intervals {
                for h in 0..5 {
                    assert!(band.lower[h] <= band.upper[h] && band.lower[h].is_finite());
                }
            }
        }
    }
    let _ = fitted.summary();
}
