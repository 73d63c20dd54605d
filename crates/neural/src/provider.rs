//! Trained models as [`forecast::ForecastModel`]s: under `lstm:DIR`, `patchtst:DIR` and `nlinear:DIR`.
//!
//! Model: nothing is fitted to a history, it is only read: the weights are those of the training, at every
//! origin. A backtest over data that it was trained on therefore flatters it;
//! [`forecast::ForecastModel::training`] says where that ends. A state is the history that was seen.
//! Does not: train.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use forecast::{
    Cost, FitOptions, FittedModel, Forecast, ForecastModel, History, Level, ModelProvider,
    ModelRef, ModelState, Needs, Observation, Parameter, Summary, Training,
};
use serde::{Deserialize, Serialize};

use crate::artefact;
use crate::device::Device;
use crate::model::Model;
use crate::series::Series;
use crate::spec::NetworkSpec;
use crate::state;

/// The version of the bytes that a state is saved as.
const STATE_VERSION: u8 = 1;

/// Operations of a network for each weight in a forecast of one window, about: a weight of a recurrent layer is
/// used once a step.
const OPERATIONS_PER_WEIGHT: f64 = 64.0;

/// Loads the models that `tickcast train` has written; a reference names the directory.
#[derive(Debug, Clone, Default)]
pub struct Artefacts {
    device: Option<Arc<dyn Device>>,
}

impl Artefacts {
    /// Those that run on a device, in the place of the kernels.
    #[must_use]
    pub fn on(device: Arc<dyn Device>) -> Self {
        Self {
            device: Some(device),
        }
    }

    /// The model that was read for a reference, where it is of the kind that the reference's scheme says.
    fn of_its_kind(
        &self,
        reference: &ModelRef,
        read: crate::Result<Model>,
    ) -> forecast::Result<Arc<dyn ForecastModel>> {
        let model = read.map_err(|e| unavailable(reference, &e))?;
        let found = model.config().kind;
        if reference.scheme() != Some(found.name()) {
            let directory = reference.rest();
            let wanted = reference.scheme().unwrap_or("none");
            return Err(unavailable(
                reference,
                &format_args!(
                    "{directory} holds a model of kind {found}, not {wanted}: name it {found}:{directory}"
                ),
            ));
        }
        placed(model, reference, self.device.as_deref())
    }
}

const SCHEMES: [&str; 3] = ["lstm", "patchtst", "nlinear"];

impl ModelProvider for Artefacts {
    fn schemes(&self) -> Vec<&str> {
        SCHEMES.to_vec()
    }

    /// Directories are nobody's list.
    fn models(&self) -> Vec<ModelRef> {
        Vec::new()
    }

    fn check(&self, _reference: &ModelRef) -> forecast::Result<()> {
        Ok(())
    }

    fn resolve(&self, reference: &ModelRef) -> forecast::Result<Arc<dyn ForecastModel>> {
        self.of_its_kind(reference, artefact::load(Path::new(reference.rest())))
    }

    fn assemble(
        &self,
        reference: &ModelRef,
        files: &[(String, Vec<u8>)],
    ) -> forecast::Result<Arc<dyn ForecastModel>> {
        match files {
            [] => self.resolve(reference),
            files => self.of_its_kind(reference, artefact::from_files(files)),
        }
    }
}

/// Knows networks that are named before they are trained, such as `lstm(small)` ([`NetworkSpec`]): a round of training
/// trains them, and what it has trained is made of its files again. There is nothing to load by the name alone.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    device: Option<Arc<dyn Device>>,
}

impl Networks {
    /// Those that run on a device once they are trained, in the place of the kernels.
    #[must_use]
    pub fn on(device: Arc<dyn Device>) -> Self {
        Self {
            device: Some(device),
        }
    }
}

impl ModelProvider for Networks {
    fn schemes(&self) -> Vec<&str> {
        vec![""]
    }

    fn models(&self) -> Vec<ModelRef> {
        Vec::new()
    }

    fn check(&self, reference: &ModelRef) -> forecast::Result<()> {
        let spec: NetworkSpec = reference.as_str().parse()?;
        Ok(spec.config(1, true).map(drop)?)
    }

    fn resolve(&self, reference: &ModelRef) -> forecast::Result<Arc<dyn ForecastModel>> {
        self.check(reference)?;
        Err(forecast::Error::Unavailable {
            model: reference.to_string(),
            reason: format!(
                "it is trained first: as a candidate of a round of training, or by train --model; a trained one is \
                 named {}:DIR or models:/NAME@champion",
                reference.as_str().split('(').next().unwrap_or("lstm")
            ),
        })
    }

    fn assemble(
        &self,
        reference: &ModelRef,
        files: &[(String, Vec<u8>)],
    ) -> forecast::Result<Arc<dyn ForecastModel>> {
        let spec: NetworkSpec = reference.as_str().parse()?;
        let model = artefact::from_files(files).map_err(|e| unavailable(reference, &e))?;
        let found = model.config().kind;
        if found != spec.kind {
            let reason = format_args!("its files are those of kind {found}");
            return Err(unavailable(reference, &reason));
        }
        placed(model, reference, self.device.as_deref())
    }
}

/// The model under the name of its reference, on a device, where there is one besides the kernels.
fn placed(
    model: Model,
    reference: &ModelRef,
    device: Option<&dyn Device>,
) -> forecast::Result<Arc<dyn ForecastModel>> {
    let model = match device {
        None => model,
        Some(device) => model
            .on_device(device)
            .map_err(|e| unavailable(reference, &e))?,
    };
    let name = reference.to_string();
    Ok(Arc::new(TrainedModel::new(Arc::new(model), name)))
}

fn unavailable(reference: &ModelRef, reason: &dyn Display) -> forecast::Error {
    forecast::Error::Unavailable {
        model: reference.to_string(),
        reason: reason.to_string(),
    }
}

/// Networks that a round has trained, under the names that they were asked for by.
#[derive(Debug, Clone, Default)]
pub struct TrainedNetworks(pub Vec<(ModelRef, TrainedModel)>);

impl ModelProvider for TrainedNetworks {
    fn schemes(&self) -> Vec<&str> {
        vec![""]
    }

    fn models(&self) -> Vec<ModelRef> {
        Vec::new()
    }

    fn resolve(&self, reference: &ModelRef) -> forecast::Result<Arc<dyn ForecastModel>> {
        let found = self.0.iter().find(|(known, _)| known == reference);
        match found {
            Some((_, model)) => Ok(Arc::new(model.clone())),
            None => Networks::default().resolve(reference),
        }
    }
}

/// A trained model under the name that it is asked for by. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TrainedModel {
    model: Arc<Model>,
    name: Arc<str>,
}

impl TrainedModel {
    /// What was trained.
    #[must_use]
    pub fn trained(&self) -> &Model {
        &self.model
    }

    /// The model under this name.
    #[must_use]
    pub fn new(model: Arc<Model>, name: impl Into<Arc<str>>) -> Self {
        Self {
            model,
            name: name.into(),
        }
    }

    fn seen(&self, past: Past) -> Box<dyn ModelState> {
        Box::new(TrainedState {
            model: self.clone(),
            past,
        })
    }
}

impl ForecastModel for TrainedModel {
    fn name(&self) -> String {
        self.name.to_string()
    }

    fn needs(&self, _options: &FitOptions) -> Needs {
        let config = &self.model.config;
        Needs {
            observations: config.history(),
            longest_season: None,
            covariates: config
                .covariates
                .iter()
                .map(|c| c.name().to_owned())
                .collect(),
        }
    }

    fn cost(&self, _observations: usize, _missing: bool, _options: &FitOptions) -> Cost {
        let weights = self.model.parameters() as f64;
        Cost {
            operations: weights * OPERATIONS_PER_WEIGHT,
            bytes: 8.0 * weights,
        }
    }

    fn training(&self) -> Training {
        Training::Before {
            until_ms: self.model.provenance.data.to_ms,
        }
    }

    fn files(&self) -> forecast::Result<Vec<(String, Vec<u8>)>> {
        let files = artefact::to_files(&self.model).map_err(|e| forecast::Error::State {
            reason: e.to_string(),
        })?;
        Ok(files.map(|(name, bytes)| (name.to_owned(), bytes)).into())
    }

    fn fit(
        &self,
        history: &History<'_>,
        _options: &FitOptions,
    ) -> forecast::Result<Box<dyn ModelState>> {
        self.model.forecast(&series(history), 1, &[])?;
        Ok(self.seen(Past {
            values: history.values.to_vec(),
            times_ms: history.times_ms.map(<[i64]>::to_vec),
            volumes: history.volumes.map(<[f64]>::to_vec),
        }))
    }

    fn load(&self, state: &[u8]) -> forecast::Result<Box<dyn ModelState>> {
        Ok(self.seen(state::load(STATE_VERSION, state)?))
    }

    fn forecast_batch(
        &self,
        histories: &[History<'_>],
        horizon: usize,
        levels: &[Level],
        _options: &FitOptions,
    ) -> Vec<forecast::Result<Forecast>> {
        let all: Vec<Series<'_>> = histories.iter().map(series).collect();
        let forecasts = self.model.forecast_many(&all, horizon, levels).into_iter();
        forecasts.map(|f| self.named(f)).collect()
    }
}

impl TrainedModel {
    fn named(&self, forecast: crate::Result<Forecast>) -> forecast::Result<Forecast> {
        let mut forecast = forecast?;
        forecast.model = self.name.to_string();
        Ok(forecast)
    }
}

fn series<'a>(history: &History<'a>) -> Series<'a> {
    Series {
        id: "",
        values: history.values,
        times_ms: history.times_ms,
        volumes: history.volumes,
    }
}

/// What a trained model has seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Past {
    values: Vec<f64>,
    times_ms: Option<Vec<i64>>,
    volumes: Option<Vec<f64>>,
}

/// A trained model that has seen a series. A value that is taken without its time or volume leaves these
/// unknown: a model that reads them then says that they are missing.
#[derive(Clone, Debug)]
struct TrainedState {
    model: TrainedModel,
    past: Past,
}

impl ModelState for TrainedState {
    fn save(&self) -> forecast::Result<Vec<u8>> {
        state::save(STATE_VERSION, &self.past)
    }

    fn clone_state(&self) -> Box<dyn ModelState> {
        Box::new(self.clone())
    }
}

fn added<T>((mut all, one): (Vec<T>, T)) -> Vec<T> {
    all.push(one);
    all
}

impl FittedModel for TrainedState {
    fn name(&self) -> String {
        self.model.name.to_string()
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> forecast::Result<Forecast> {
        let history = History::from(&self.past.values)
            .with_times(self.past.times_ms.as_deref())
            .with_volumes(self.past.volumes.as_deref());
        let forecast = self
            .model
            .model
            .forecast(&series(&history), horizon, levels);
        self.model.named(forecast)
    }

    fn update(&mut self, y: f64) -> forecast::Result<()> {
        self.observe(y.into())
    }

    fn observe(&mut self, next: Observation) -> forecast::Result<()> {
        let past = &mut self.past;
        if next.value.is_infinite() {
            return Err(forecast::Error::NotFinite {
                index: past.values.len(),
                value: next.value,
            });
        }
        past.values.push(next.value);
        // One that is not known leaves a hole, and with it the others are not known either.
        past.times_ms = past.times_ms.take().zip(next.time_ms).map(added);
        past.volumes = past.volumes.take().zip(next.volume).map(added);
        Ok(())
    }

    fn summary(&self) -> Summary {
        let model = &self.model.model;
        Summary {
            model: self.model.name.to_string(),
            params: vec![
                Parameter::new("window", model.config.window as f64),
                Parameter::new("weights", model.parameters() as f64),
                Parameter::new("networks", model.config.ensemble as f64),
            ],
            observations: self.past.values.iter().filter(|v| !v.is_nan()).count(),
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
    use crate::config::Kind;

    #[test]
    fn every_kind_has_its_scheme() {
        let kinds = Kind::ALL.map(Kind::name);
        assert_eq!(kinds, SCHEMES);
    }

    #[test]
    fn a_directory_without_a_model_is_said_by_name() {
        let reference = "lstm:/nowhere/at/all".parse().unwrap();
        let error = Artefacts::default().resolve(&reference).unwrap_err();
        assert_eq!(error.kind(), forecast::ErrorKind::Unavailable);
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
