//! A trained model: forecasts of any series that is long enough.
//!
//! Model: the quantiles of the networks of the ensemble are averaged (Vincent's average, which keeps them in
//! order), interpolated to the levels asked for (see [`crate::quantiles`]), and brought back to the units of the series:
//! anchor, scale, exponential.
//! Does not: learn from further values; see [`crate::training`].

use std::sync::Arc;

use forecast::distribution::normal_quantile;
use forecast::{Forecast, Level};
use kernels::safetensors::Tensors;
use kernels::{Architecture, Cpu};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Transform};
use crate::device::{Device, LoadedNetwork};
use crate::error::{Error, Result};
use crate::features::{Anchor, MissingCovariate, Scaler, history, write_input};
use crate::quantiles::{self, interpolate};
use crate::search::SearchRecord;
use crate::series::Series;

/// What a model was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataRange {
    /// Number of series.
    pub series: usize,
    /// Number of values over all series.
    pub values: usize,
    /// Earliest and latest time in milliseconds since 1970 UTC, where times were known.
    pub from_ms: Option<i64>,
    /// See `from_ms`.
    pub to_ms: Option<i64>,
    /// SHA-256 of ids, times, values and volumes.
    pub sha256: String,
}

/// How good it was on the validation block, which it was not trained on but was stopped by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Windows trained on.
    pub training_windows: usize,
    /// Windows judged by.
    pub validation_windows: usize,
    /// Windows left out: a gap, or no movement.
    pub unusable_windows: usize,
    /// Mean pinball loss in scales of the window, each step over its root: of the model.
    pub pinball: f64,
    /// The same of naive with the quantiles of a random walk of the window's scale.
    pub pinball_naive: f64,
    /// Part of the outcomes inside the band of 80 %.
    pub coverage_80: f64,
    /// Part of the outcomes inside the band of 95 %.
    pub coverage_95: f64,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The data.
    pub data: DataRange,
    /// Covariates that were asked for and are not in use.
    pub missing_covariates: Vec<MissingCovariate>,
    /// Seed of the first network; each further one has the next.
    pub seed: u64,
    /// Instruction set it was trained on: the same seed on the same one gives the same weights.
    pub instruction_set: String,
    /// Version of the code.
    pub code_version: String,
    /// Epochs and best epoch of each network.
    pub epochs: Vec<(usize, usize)>,
    /// Training and validation loss after each epoch, of each network.
    #[serde(default)]
    pub losses: Vec<Vec<(f64, f64)>>,
    /// The search that chose size, rate and batch, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchRecord>,
    /// Measures on the validation block.
    pub measures: Measures,
}

/// A trained model.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) config: Config,
    pub(crate) scaler: Scaler,
    pub(crate) provenance: Provenance,
    pub(crate) architecture: Architecture,
    /// The parameters of each network of the ensemble.
    pub(crate) networks: Vec<Vec<f32>>,
    pub(crate) cpu: Cpu,
    /// The same networks on another device; none where they run on the kernels.
    pub(crate) loaded: Vec<Arc<dyn LoadedNetwork>>,
}

impl Model {
    /// What it is.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where it comes from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Number of parameters of one network.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.architecture.parameters()
    }

    /// What was learnt of the training windows' scales.
    #[must_use]
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// The networks' architecture.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The weights of each network of the ensemble by PyTorch's names.
    pub fn weights(&self) -> impl Iterator<Item = Tensors> {
        self.networks.iter().map(|parameters| Tensors {
            metadata: Vec::new(),
            tensors: self.architecture.to_tensors(parameters),
        })
    }

    /// The same model on another instruction set of this processor.
    #[must_use]
    pub fn on(mut self, cpu: Cpu) -> Self {
        self.cpu = cpu;
        self
    }

    /// The same model on a device: the numbers are those of the kernels but for rounding.
    ///
    /// # Errors
    /// [`Error::Device`] when the device does not take a network.
    pub fn on_device(mut self, device: &dyn Device) -> Result<Self> {
        self.loaded = self
            .weights()
            .map(|weights| device.load(&self.architecture, &weights))
            .collect::<Result<_>>()?;
        Ok(self)
    }

    /// Forecasts the `horizon` steps after the end of a series.
    ///
    /// # Errors
    /// A series that is too short, has a gap or does not move in its last window; a covariate that is not
    /// given; a horizon beyond the model's; a level outside (0, 100).
    pub fn forecast(
        &self,
        series: &Series<'_>,
        horizon: usize,
        levels: &[Level],
    ) -> Result<Forecast> {
        let mut all = self.forecast_many(std::slice::from_ref(series), horizon, levels);
        all.pop()
            .unwrap_or(Err(Error::argument("series", "none was given")))
    }

    /// As [`Self::forecast`], of many series by one call: the windows go through the network together.
    pub fn forecast_many(
        &self,
        series: &[Series<'_>],
        horizon: usize,
        levels: &[Level],
    ) -> Vec<Result<Forecast>> {
        let inputs = self.architecture.inputs();
        let anchors: Vec<Result<Anchor>> = series
            .iter()
            .map(|one| self.check(horizon, levels).and_then(|()| self.anchor(one)))
            .collect();
        let ready: Vec<(&Series<'_>, Anchor)> = series
            .iter()
            .zip(&anchors)
            .filter_map(|(one, anchor)| Some((one, *anchor.as_ref().ok()?)))
            .collect();
        let mut input = vec![0.0f32; ready.len() * inputs];
        for ((one, anchor), to) in ready.iter().zip(input.chunks_exact_mut(inputs)) {
            self.write(one, *anchor, to);
        }
        let quantiles = match self.average(&input) {
            Ok(quantiles) => quantiles,
            Err(e) => {
                return anchors
                    .into_iter()
                    .map(|anchor| anchor.and(again(&e)))
                    .collect();
            }
        };
        let mut each = quantiles.chunks_exact(self.architecture.head().outputs());
        anchors
            .into_iter()
            .map(|anchor| {
                let anchor = anchor?;
                let quantiles = each.next().unwrap_or(&[]);
                self.scaled_back(quantiles, anchor, horizon, levels)
            })
            .collect()
    }

    /// The average of the networks' quantiles, in scales from the anchor.
    fn average(&self, input: &[f32]) -> Result<Vec<f32>> {
        let mut sum: Vec<f32> = Vec::new();
        for (member, parameters) in self.networks.iter().enumerate() {
            let quantiles = match self.loaded.get(member) {
                Some(network) => network.quantiles(input)?,
                None => self.architecture.quantiles(self.cpu, parameters, input),
            };
            if sum.is_empty() {
                sum = quantiles;
            } else {
                for (sum, q) in sum.iter_mut().zip(quantiles) {
                    *sum += q;
                }
            }
        }
        let part = 1.0 / self.networks.len().max(1) as f32;
        sum.iter_mut().for_each(|q| *q *= part);
        Ok(sum)
    }

    fn check(&self, horizon: usize, levels: &[Level]) -> Result<()> {
        if horizon == 0 || horizon > self.config.horizon {
            return Err(Error::Horizon {
                longest: self.config.horizon,
                asked: horizon,
            });
        }
        for level in levels {
            Level::new(level.0)?;
        }
        Ok(())
    }

    fn anchor(&self, series: &Series<'_>) -> Result<Anchor> {
        Ok(history(&self.config, series)?.1)
    }

    fn write(&self, series: &Series<'_>, anchor: Anchor, input: &mut [f32]) {
        let n = series.values.len();
        let from = n - self.config.history();
        // The window alone, so that a long series costs nothing; its indices begin at 0.
        let window = Series {
            id: series.id,
            values: &series.values[from..],
            times_ms: series.times_ms.map(|times| &times[from..]),
            volumes: series.volumes.map(|volumes| &volumes[from..]),
        };
        let seen: Vec<f64> = window
            .values
            .iter()
            .map(|value| crate::features::seen(self.config.transform, *value))
            .collect();
        let end = self.config.history();
        write_input(
            &self.config,
            &self.scaler,
            &window,
            &seen,
            end,
            anchor,
            input,
        );
    }

    fn scaled_back(
        &self,
        quantiles: &[f32],
        anchor: Anchor,
        horizon: usize,
        levels: &[Level],
    ) -> Result<Forecast> {
        let z: Vec<f64> = self
            .config
            .levels
            .iter()
            .map(|p| normal_quantile(f64::from(*p)))
            .collect();
        let at = |probability: f64, step: usize| {
            let q = &quantiles[step * z.len()..][..z.len()];
            let moved = interpolate(&z, |i| f64::from(q[i]), normal_quantile(probability));
            let value = anchor.last + anchor.scale * moved;
            match self.config.transform {
                Transform::Log => libm::exp(value),
                Transform::None => value,
            }
        };
        quantiles::forecast(self.name(), horizon, levels, at)
    }

    /// Name in forecasts and tables.
    #[must_use]
    pub fn name(&self) -> String {
        self.config.kind.to_string()
    }
}

/// The fault of a device, once for each series that waits for it.
fn again<T>(fault: &Error) -> Result<T> {
    let (device, reason) = match fault {
        Error::Device { device, reason } => (device.clone(), reason.clone()),
        other => ("in use".into(), other.to_string()),
    };
    Err(Error::Device { device, reason })
}
