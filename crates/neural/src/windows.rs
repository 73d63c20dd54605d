//! Windows of many series, split into training and validation without leakage.
//!
//! Model: a window is named by its origin, the last value that it reads. Validation is the newest part: with
//! times known of every series it begins at one moment for all of them, so that what moved the whole market
//! then is in no training target; without times it begins at the same fraction of each series. A training
//! window ends, targets included, before validation begins, and a validation window has its origin at or
//! behind the beginning: no target is shared (purged as in López de Prado 2018, ch. 7).
//! Does not: fill gaps; windows with a missing value, or that do not move, are left out and counted.

use kernels::train::Windows;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::features::{Anchor, Scaler, anchor, seen, write_input};
use crate::series::Series;

/// Targets are held to this many scales times the root of the step: a bar that is an error of the data
/// should not move the outer quantiles of everything else.
const LARGEST_TARGET: f64 = 20.0;

/// One window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    series: usize,
    /// Index of the last value that it reads.
    origin: usize,
    anchor: Anchor,
}

/// The series in what the network sees, and the windows of both blocks.
pub(crate) struct Split<'a> {
    series: &'a [Series<'a>],
    seen: Vec<Vec<f64>>,
    pub training: Vec<Window>,
    pub validation: Vec<Window>,
    /// Windows left out.
    pub unusable: usize,
}

impl<'a> Split<'a> {
    /// Cuts all windows; the newest part `validation` of the origins is kept for validation.
    pub(crate) fn new(config: &Config, series: &'a [Series<'a>], validation: f64) -> Result<Self> {
        if !(0.01..=0.5).contains(&validation) {
            let reason = format!("expected a part between 0.01 and 0.5, got {validation}");
            return Err(Error::argument("validation", reason));
        }
        for one in series {
            let n = one.values.len();
            let lengths = [
                one.times_ms.map(<[i64]>::len),
                one.volumes.map(<[f64]>::len),
            ];
            if lengths.iter().flatten().any(|len| *len != n) {
                let reason = format!(
                    "series {:?}: times, volumes and values differ in number",
                    one.id
                );
                return Err(Error::argument("series", reason));
            }
        }
        let first = config.window;
        let ends = |one: &Series<'_>| one.values.len().saturating_sub(config.horizon);
        let begin = match series
            .iter()
            .map(|one| one.times_ms)
            .collect::<Option<Vec<_>>>()
        {
            Some(times) => {
                let mut origins: Vec<i64> = Vec::new();
                for (one, times) in series.iter().zip(&times) {
                    origins.extend(times.get(first..ends(one)).unwrap_or(&[]));
                }
                origins.sort_unstable();
                let cut = (origins.len() as f64 * (1.0 - validation)) as usize;
                let moment = origins.get(cut).copied().unwrap_or(i64::MAX);
                times
                    .iter()
                    .map(|times| times.partition_point(|time| *time < moment))
                    .collect::<Vec<usize>>()
            }
            None => series
                .iter()
                .map(|one| {
                    let origins = ends(one).saturating_sub(first);
                    first + (origins as f64 * (1.0 - validation)) as usize
                })
                .collect(),
        };
        let mut split = Self {
            series,
            seen: Vec::with_capacity(series.len()),
            training: Vec::new(),
            validation: Vec::new(),
            unusable: 0,
        };
        for (index, (one, begin)) in series.iter().zip(begin).enumerate() {
            let values: Vec<f64> = one
                .values
                .iter()
                .map(|value| seen(config.transform, *value))
                .collect();
            for origin in first..ends(one) {
                let last_target = origin + config.horizon;
                let for_training = last_target < begin;
                if !for_training && origin < begin {
                    continue;
                }
                let whole = values[origin + 1..=last_target]
                    .iter()
                    .all(|v| v.is_finite());
                match anchor(&values[origin - first..=origin]) {
                    Some(anchor) if whole => {
                        let window = Window {
                            series: index,
                            origin,
                            anchor,
                        };
                        if for_training {
                            split.training.push(window);
                        } else {
                            split.validation.push(window);
                        }
                    }
                    _ => split.unusable += 1,
                }
            }
            split.seen.push(values);
        }
        for (block, name) in [
            (&split.training, "training"),
            (&split.validation, "validation"),
        ] {
            if block.is_empty() {
                let reason = format!(
                    "no window of {} values and {} targets is left for {name}: more or longer series \
                     are needed ({} windows were unusable)",
                    config.history(),
                    config.horizon,
                    split.unusable
                );
                return Err(Error::NoData { reason });
            }
        }
        Ok(split)
    }

    /// The scales of the training windows.
    pub(crate) fn scaler(&self) -> Scaler {
        let logs = || {
            self.training
                .iter()
                .map(|window| libm::log(window.anchor.scale))
        };
        let n = self.training.len() as f64;
        let mean = logs().sum::<f64>() / n;
        let square = logs().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        Scaler {
            log_scale_mean: mean,
            log_scale_deviation: square.sqrt().max(1e-3),
        }
    }

    /// Windows of a block for the kernels.
    pub(crate) fn block<'b>(
        &'b self,
        config: &'b Config,
        scaler: &'b Scaler,
        windows: &'b [Window],
    ) -> Block<'b> {
        Block {
            split: self,
            config,
            scaler,
            windows,
        }
    }
}

/// One block of a split.
pub(crate) struct Block<'a> {
    split: &'a Split<'a>,
    config: &'a Config,
    scaler: &'a Scaler,
    windows: &'a [Window],
}

impl Windows for Block<'_> {
    fn len(&self) -> usize {
        self.windows.len()
    }

    fn write(&self, index: usize, input: &mut [f32], targets: &mut [f32]) {
        let window = self.windows[index];
        let seen = &self.split.seen[window.series];
        let series = &self.split.series[window.series];
        let end = window.origin + 1;
        write_input(
            self.config,
            self.scaler,
            series,
            seen,
            end,
            window.anchor,
            input,
        );
        for (k, to) in targets.iter_mut().enumerate() {
            let moved = (seen[end + k] - window.anchor.last) / window.anchor.scale;
            let bound = LARGEST_TARGET * ((k + 1) as f64).sqrt();
            *to = moved.clamp(-bound, bound) as f32;
        }
    }
}
