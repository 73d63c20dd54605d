//! A forecast from quantiles at fixed levels.
//!
//! Model: other levels are interpolated on the scale of the normal distribution; beyond the outermost ones the line
//! through the two outermost goes on. The point forecast is the median, the deviation half the width of the band
//! that holds 68.27 % of a normal distribution, which is what conformal calibration multiplies.

use forecast::{Forecast, Interval, Level};

use crate::error::Result;

/// Nominal coverage of a normal distribution's ± one standard deviation, in percent.
const ONE_DEVIATION: f64 = 68.268_949_213_708_6;

/// The forecast of a model whose quantile of a probability at a step `at` gives.
pub(crate) fn forecast(
    model: String,
    horizon: usize,
    levels: &[Level],
    at: impl Fn(f64, usize) -> f64,
) -> Result<Forecast> {
    let path = |probability: f64| (0..horizon).map(|step| at(probability, step)).collect();
    let band = |level: Level| -> Interval {
        let upper = level.upper_probability();
        Interval {
            level,
            lower: path(1.0 - upper),
            upper: path(upper),
        }
    };
    let one = band(Level(ONE_DEVIATION));
    let sd = one
        .lower
        .iter()
        .zip(&one.upper)
        .map(|(low, high)| (high - low) / 2.0);
    let forecast = Forecast {
        mean: path(0.5),
        sd: Some(sd.collect()),
        intervals: levels.iter().map(|level| band(*level)).collect(),
        model,
    };
    Ok(forecast.checked()?)
}

/// The quantile at `at` of the line through (z, q), on the normal scale; the outermost pieces go on.
pub(crate) fn interpolate(z: &[f64], q: impl Fn(usize) -> f64, at: f64) -> f64 {
    if z.len() == 1 {
        return q(0);
    }
    let right = z.partition_point(|z| *z < at).clamp(1, z.len() - 1);
    let (low, high) = (q(right - 1), q(right));
    let along = (at - z[right - 1]) / (z[right] - z[right - 1]);
    low + along * (high - low)
}

#[cfg(test)]
mod tests {
    use forecast::distribution::normal_quantile;

    use super::*;

    #[test]
    fn a_normal_distribution_is_interpolated_to_itself() {
        let levels = [0.025, 0.1, 0.5, 0.9, 0.975];
        let z: Vec<f64> = levels.iter().map(|p| normal_quantile(*p)).collect();
        for p in [0.001, 0.025, 0.05, 0.3, 0.5, 0.7, 0.99, 0.9999] {
            let right = 2.0 * normal_quantile(p) + 1.0;
            let got = interpolate(&z, |i| 2.0 * z[i] + 1.0, normal_quantile(p));
            assert!((got - right).abs() < 1e-9, "{p}: {got} {right}");
        }
    }
}
