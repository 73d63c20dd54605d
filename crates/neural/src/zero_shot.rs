//! Fracast-0 as a [`forecast::ForecastModel`]: under `fracast:DIR`, where DIR holds the release's `model.safetensors`.
//!
//! Model: nothing is fitted; up to 2,048 values are read, missing ones among them, whatever they measure. Its nine deciles
//! are put in order where they cross, and interpolated like a trained model's. What it was trained on is not known day
//! by day (the release declares that test data of public benchmarks is among it), so that no outcome counts as new to it.
//! Does not: fetch the weights (`scripts/fracast` does), or run on another device.

use std::path::Path;
use std::sync::Arc;

use forecast::distribution::normal_quantile;
use forecast::{
    Cost, FitOptions, FittedModel, Forecast, ForecastModel, History, Level, ModelProvider,
    ModelRef, ModelState, Needs, Parameter, Summary, Training,
};
use kernels::Cpu;
use kernels::fracast::Fracast;
use kernels::safetensors::Tensors;

use crate::artefact::{read, sha256};
use crate::error::{Error, Result};
use crate::quantiles::{self, interpolate};
use crate::state;

/// SHA-256 of `model.safetensors` of fracast 0.1.0.
const FRACAST_SHA256: &str = "0d678f123f3d1f91c5065cca2b5d40eccc469360afc2381b27290486011ded2c";

const WEIGHTS: &str = "model.safetensors";
const SCHEME: &str = "fracast";
const PARAMETERS: f64 = 85_001.0;

/// Operations of one pass: ten times the block's weights at each of 2,048 steps, twice.
const OPERATIONS: f64 = 9.3e8;

/// The version of the bytes that a state is saved as.
const STATE_VERSION: u8 = 1;

/// Loads networks that others have trained; a reference names the directory.
#[derive(Debug, Clone, Copy, Default)]
pub struct ZeroShot;

impl ModelProvider for ZeroShot {
    fn schemes(&self) -> Vec<&str> {
        vec![SCHEME]
    }

    /// Directories are nobody's list.
    fn models(&self) -> Vec<ModelRef> {
        Vec::new()
    }

    fn check(&self, _reference: &ModelRef) -> forecast::Result<()> {
        Ok(())
    }

    fn resolve(&self, reference: &ModelRef) -> forecast::Result<Arc<dyn ForecastModel>> {
        let network =
            load(Path::new(reference.rest())).map_err(|e| forecast::Error::Unavailable {
                model: reference.to_string(),
                reason: e.to_string(),
            })?;
        Ok(Arc::new(ZeroShotModel {
            network: Arc::new(network),
            name: reference.to_string().into(),
            cpu: Cpu::detect(),
        }))
    }
}

/// The network of a directory.
fn load(directory: &Path) -> Result<Fracast> {
    let path = directory.join(WEIGHTS);
    let bytes = read(&path)?;
    let got = sha256(&bytes);
    let wrong = |reason: String| Error::Artefact {
        path: path.clone(),
        reason,
    };
    if got != FRACAST_SHA256 {
        return Err(wrong(format!(
            "it is not the file of fracast 0.1.0: its SHA-256 is {got}, expected {FRACAST_SHA256}"
        )));
    }
    let tensors = Tensors::from_bytes(&bytes).map_err(|e| wrong(e.to_string()))?;
    Fracast::from_tensors(&tensors).map_err(|e| wrong(e.to_string()))
}

/// A network under the name that it is asked for by. Cheap to clone.
#[derive(Clone, Debug)]
struct ZeroShotModel {
    network: Arc<Fracast>,
    name: Arc<str>,
    cpu: Cpu,
}

impl ZeroShotModel {
    fn check(&self, values: &[f64]) -> forecast::Result<()> {
        let from = values.len().saturating_sub(Fracast::CONTEXT);
        let got = values[from..].iter().filter(|v| v.is_finite()).count();
        if got < Fracast::LEAST {
            return Err(forecast::Error::TooShort {
                model: self.name.to_string(),
                needed: Fracast::LEAST,
                got,
            });
        }
        Ok(())
    }

    fn forecast(
        &self,
        values: &[f64],
        horizon: usize,
        levels: &[Level],
    ) -> forecast::Result<Forecast> {
        self.check(values)?;
        let z = Fracast::LEVELS.map(|p| normal_quantile(f64::from(p)));
        let mut quantiles = self
            .network
            .quantiles(self.cpu, values, horizon)
            .map_err(Error::from)?;
        for step in quantiles.chunks_exact_mut(z.len()) {
            step.sort_by(f64::total_cmp);
        }
        let at = |probability: f64, step: usize| {
            let q = &quantiles[step * z.len()..][..z.len()];
            interpolate(&z, |i| q[i], normal_quantile(probability))
        };
        Ok(quantiles::forecast(
            self.name.to_string(),
            horizon,
            levels,
            at,
        )?)
    }

    fn seen(&self, values: Vec<f64>) -> Box<dyn ModelState> {
        Box::new(ZeroShotState {
            model: self.clone(),
            values,
        })
    }
}

impl ForecastModel for ZeroShotModel {
    fn name(&self) -> String {
        self.name.to_string()
    }

    fn needs(&self, _options: &FitOptions) -> Needs {
        Needs {
            observations: Fracast::LEAST,
            ..Needs::default()
        }
    }

    fn cost(&self, _observations: usize, _missing: bool, _options: &FitOptions) -> Cost {
        Cost {
            operations: OPERATIONS,
            bytes: 4.0 * 192.0 * Fracast::CONTEXT as f64,
        }
    }

    fn training(&self) -> Training {
        Training::Before { until_ms: None }
    }

    fn fit(
        &self,
        history: &History<'_>,
        _options: &FitOptions,
    ) -> forecast::Result<Box<dyn ModelState>> {
        self.check(history.values)?;
        Ok(self.seen(history.values.to_vec()))
    }

    fn load(&self, state: &[u8]) -> forecast::Result<Box<dyn ModelState>> {
        Ok(self.seen(state::load(STATE_VERSION, state)?))
    }
}

/// A network that has seen a series.
#[derive(Clone, Debug)]
struct ZeroShotState {
    model: ZeroShotModel,
    values: Vec<f64>,
}

impl ModelState for ZeroShotState {
    fn save(&self) -> forecast::Result<Vec<u8>> {
        state::save(STATE_VERSION, &self.values)
    }

    fn clone_state(&self) -> Box<dyn ModelState> {
        Box::new(self.clone())
    }
}

impl FittedModel for ZeroShotState {
    fn name(&self) -> String {
        self.model.name()
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> forecast::Result<Forecast> {
        self.model.forecast(&self.values, horizon, levels)
    }

    fn update(&mut self, y: f64) -> forecast::Result<()> {
        if y.is_infinite() {
            return Err(forecast::Error::NotFinite {
                index: self.values.len(),
                value: y,
            });
        }
        self.values.push(y);
        Ok(())
    }

    fn summary(&self) -> Summary {
        Summary {
            model: self.model.name(),
            params: vec![
                Parameter::new("window", Fracast::CONTEXT as f64),
                Parameter::new("weights", PARAMETERS),
            ],
            observations: self.values.iter().filter(|v| !v.is_nan()).count(),
            ..Summary::default()
        }
    }

    fn residuals(&self) -> &[f64] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_the_release_is_refused_with_both_hashes() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(WEIGHTS), b"other").unwrap();
        let reference = format!("fracast:{}", directory.path().display());
        let refused = ZeroShot.resolve(&reference.parse().unwrap()).unwrap_err();
        assert_eq!(refused.kind(), forecast::ErrorKind::Unavailable);
        assert!(refused.to_string().contains(FRACAST_SHA256), "{refused}");
    }
}
