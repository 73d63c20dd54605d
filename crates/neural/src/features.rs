//! From the end of a series to the input of a network.
//!
//! Model: the values (or their logarithms) are anchored at the last one and measured in the window's scale,
//! the root mean square of its differences: then one network serves every symbol, whatever its price and
//! volatility. The LSTM sees the differences and its covariates, step by step; the others see the path.
//! Everything is read from the window alone, so that the future cannot leak; only the mean and deviation of
//! the logarithm of scales comes from the training windows ([`Scaler`]).
//! Does not: fill gaps. A window with a missing value is not used.

use serde::{Deserialize, Serialize};

use crate::config::{Config, Covariate, Kind, Transform};
use crate::error::{Error, Result};
use crate::series::Series;

/// Differences of a window are held to this many scales.
pub const LARGEST_INPUT: f64 = 8.0;

/// What was learnt of the training windows' scales.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    /// Mean of the logarithms of the scales.
    pub log_scale_mean: f64,
    /// Their standard deviation.
    pub log_scale_deviation: f64,
}

/// A covariate that was asked for and is not in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingCovariate {
    /// Which.
    pub covariate: Covariate,
    /// Why not.
    pub reason: String,
}

/// A window's anchor and scale, in what the network sees (logarithms, or values).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Anchor {
    pub last: f64,
    pub scale: f64,
}

/// What the network sees of a value; NaN where it cannot.
pub(crate) fn seen(transform: Transform, value: f64) -> f64 {
    match transform {
        Transform::Log if value > 0.0 && value.is_finite() => libm::log(value),
        Transform::None if value.is_finite() => value,
        _ => f64::NAN,
    }
}

/// Anchor and scale of a history in what the network sees; none where it has a gap or does not move.
pub(crate) fn anchor(history: &[f64]) -> Option<Anchor> {
    let last = *history.last()?;
    let mut square = 0.0;
    for pair in history.windows(2) {
        square += (pair[1] - pair[0]) * (pair[1] - pair[0]);
    }
    let scale = (square / (history.len() - 1) as f64).sqrt();
    // Below a few thousandths of the last digit the differences are rounding.
    let moves = scale > 1e-13 * last.abs().max(1e-300);
    (scale.is_finite() && last.is_finite() && moves).then_some(Anchor { last, scale })
}

/// Why a covariate cannot be used with this series, if so.
pub(crate) fn lacks(series: &Series<'_>, covariate: Covariate) -> Option<String> {
    match covariate {
        Covariate::Volume if series.volumes.is_none() => Some("there are no volumes".into()),
        Covariate::Calendar if series.times_ms.is_none() => Some("there are no times".into()),
        _ => None,
    }
}

/// Writes the input for the window of `seen` that ends before `end` (an index of the series).
///
/// `seen` is the whole series in what the network sees.
pub(crate) fn write_input(
    config: &Config,
    scaler: &Scaler,
    series: &Series<'_>,
    seen: &[f64],
    end: usize,
    anchor: Anchor,
    input: &mut [f32],
) {
    let begin = end - config.window;
    if config.kind != Kind::Lstm {
        for (value, to) in seen[begin..end].iter().zip(input) {
            *to = ((value - anchor.last) / anchor.scale) as f32;
        }
        return;
    }
    let channels = config.channels();
    let held = |x: f64| x.clamp(-LARGEST_INPUT, LARGEST_INPUT) as f32;
    for (i, step) in input.chunks_exact_mut(channels).enumerate() {
        let t = begin + i;
        step[0] = held((seen[t] - seen[t - 1]) / anchor.scale);
    }
    let mut at = 1;
    for covariate in &config.covariates {
        let steps = input.chunks_exact_mut(channels);
        match covariate {
            Covariate::Volatility => {
                let z =
                    (libm::log(anchor.scale) - scaler.log_scale_mean) / scaler.log_scale_deviation;
                steps.for_each(|step| step[at] = held(z));
            }
            Covariate::Volume => {
                let volumes = series.volumes.map_or(&[][..], |v| &v[begin..end]);
                let logs: Vec<f64> = volumes
                    .iter()
                    .map(|v| if *v > 0.0 { libm::log(*v) } else { f64::NAN })
                    .collect();
                let known = || logs.iter().filter(|v| v.is_finite());
                let n = known().count().max(1) as f64;
                let mean = known().sum::<f64>() / n;
                let square = known().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
                let deviation = square.sqrt().max(1e-6);
                for (i, step) in steps.enumerate() {
                    // A step without trades stands at the window's mean.
                    let z = logs.get(i).map_or(0.0, |v| (v - mean) / deviation);
                    step[at] = if z.is_finite() { held(z) } else { 0.0 };
                }
            }
            Covariate::Calendar => {
                let times = series.times_ms.map_or(&[][..], |t| &t[begin..end]);
                for (i, step) in steps.enumerate() {
                    step[at..at + 4].copy_from_slice(&calendar(times.get(i).copied()));
                }
            }
        }
        at += covariate.width();
    }
}

/// Sine and cosine of the day of the week and of the time of day.
fn calendar(time_ms: Option<i64>) -> [f32; 4] {
    const DAY: i64 = 86_400_000;
    let Some(time) = time_ms else {
        return [0.0; 4];
    };
    let turn = |part: i64, whole: i64| {
        let angle = std::f64::consts::TAU * part as f64 / whole as f64;
        [libm::sin(angle) as f32, libm::cos(angle) as f32]
    };
    // 1970-01-01 was a Thursday.
    let weekday = (time.div_euclid(DAY) + 3).rem_euclid(7);
    let [a, b] = turn(weekday, 7);
    let [c, d] = turn(time.rem_euclid(DAY), DAY);
    [a, b, c, d]
}

/// The history that a forecast reads, checked.
pub(crate) fn history(config: &Config, series: &Series<'_>) -> Result<(Vec<f64>, Anchor)> {
    let needed = config.history();
    let n = series.values.len();
    if n < needed {
        return Err(Error::TooShort {
            model: config.kind.to_string(),
            needed,
            got: n,
        });
    }
    let from = n - needed;
    for (i, value) in series.values[from..].iter().enumerate() {
        if !value.is_finite() {
            return Err(Error::Gap {
                index: from + i,
                window: needed,
            });
        }
        if config.transform == Transform::Log && *value <= 0.0 {
            return Err(Error::NotPositive {
                index: from + i,
                value: *value,
            });
        }
    }
    for covariate in &config.covariates {
        if let Some(reason) = lacks(series, *covariate) {
            return Err(Error::Covariate {
                covariate: covariate.name().into(),
                reason,
            });
        }
    }
    let seen: Vec<f64> = series.values[from..]
        .iter()
        .map(|value| seen(config.transform, *value))
        .collect();
    let anchor = anchor(&seen).ok_or(Error::Constant { window: needed })?;
    Ok((seen, anchor))
}
