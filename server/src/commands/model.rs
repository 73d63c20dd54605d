//! A model as the command line names it: one of the forecasting core's, or a trained one by its directory.
//!
//! Model: `naive`, `arima(1,1,1)` and so on are [`ModelSpec`]s; `lstm:DIR`, `patchtst:DIR` and `nlinear:DIR` name
//! the directory that `tickcast train` wrote. Reading one is done once, before any work.
//! Does not: train.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use forecast::{
    FitOptions, FittedModel, ModelSpec,
    backtest::{Forecaster, Named},
};
use neural::{Applied, Covariate, Kind, artefact};

use super::series_input::Series;
use crate::error::{CommandError, Result};

/// A model's name.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelName {
    /// Of the forecasting core.
    Named(ModelSpec),
    /// Trained; the directory of its artefact.
    Trained(Kind, PathBuf),
}

impl FromStr for ModelName {
    type Err = forecast::Error;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        if let Some((kind, directory)) = text.split_once(':')
            && let Some(kind) = Kind::from_name(kind)
            && !directory.is_empty()
        {
            return Ok(Self::Trained(kind, directory.into()));
        }
        text.parse().map(Self::Named)
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(spec) => spec.fmt(f),
            Self::Trained(kind, directory) => write!(f, "{kind}:{}", directory.display()),
        }
    }
}

impl ModelName {
    /// The name of the core, if it is one.
    pub fn spec(&self) -> Option<ModelSpec> {
        match self {
            Self::Named(spec) => Some(*spec),
            Self::Trained(..) => None,
        }
    }

    /// Reads a trained model from its directory.
    ///
    /// # Errors
    /// An artefact that cannot be read, is damaged, or is of another kind than named.
    pub fn open(&self) -> Result<LoadedModel> {
        let (kind, directory) = match self {
            Self::Named(spec) => return Ok(LoadedModel::Named(*spec)),
            Self::Trained(kind, directory) => (kind, directory),
        };
        let model = artefact::load(directory)?;
        let found = model.config().kind;
        if found != *kind {
            return Err(CommandError::input(format!(
                "{} holds a model of kind {found}, not {kind}: name it {found}:{}",
                directory.display(),
                directory.display()
            )));
        }
        Ok(LoadedModel::Trained(Applied::new(
            Arc::new(model),
            self.to_string(),
        )))
    }
}

/// A model that can be fitted to a series, or stands by itself.
#[derive(Clone, Debug)]
pub enum LoadedModel {
    /// Fitted to every past.
    Named(ModelSpec),
    /// Trained before.
    Trained(Applied),
}

impl LoadedModel {
    /// The model after it has seen a series.
    ///
    /// # Errors
    /// What the model refuses.
    pub fn fit(&self, series: &Series, options: &FitOptions) -> Result<Box<dyn FittedModel>> {
        Ok(match self {
            Self::Named(spec) => spec.fit(&series.values, options)?,
            Self::Trained(applied) => Box::new(knowing(applied, series).fitted(&series.values)?),
        })
    }

    /// The model for the pasts of a series.
    pub fn forecaster(&self, series: &Series, options: &FitOptions) -> Box<dyn Forecaster> {
        match self {
            Self::Named(spec) => Box::new(Named {
                spec: *spec,
                options: options.clone(),
            }),
            Self::Trained(applied) => Box::new(knowing(applied, series)),
        }
    }

    /// The trained model, if it is one.
    pub fn trained(&self) -> Option<&Applied> {
        match self {
            Self::Named(_) => None,
            Self::Trained(applied) => Some(applied),
        }
    }

    /// Refuses pasts that begin in the middle of a series to a model that reads the times of their steps.
    ///
    /// # Errors
    /// As said.
    pub fn check_window(&self, window: Option<usize>) -> Result<()> {
        let Some(applied) = self.trained().filter(|_| window.is_some()) else {
            return Ok(());
        };
        let reads = &applied.model().config().covariates;
        if reads.contains(&Covariate::Calendar) || reads.contains(&Covariate::Volume) {
            let name = Forecaster::name(applied);
            let detail =
                format!("{name} reads covariates by time: it cannot be tested with --window");
            return Err(CommandError::input(detail));
        }
        Ok(())
    }
}

/// The model with what the table tells of a series besides its values.
fn knowing(applied: &Applied, series: &Series) -> Applied {
    let times = series.times.as_ref().map(|times| {
        let ms = |time: &market::Timestamp| time.as_micros().div_euclid(1_000);
        times.iter().map(ms).collect()
    });
    applied.clone().knowing(times, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_kinds_are_read_and_written_alike() {
        for name in [
            "naive",
            "arima(1,1,1)+drift",
            "lstm:models/a",
            "patchtst:x",
            "nlinear:/tmp/y:z",
        ] {
            let read: ModelName = name.parse().unwrap();
            assert_eq!(read.to_string(), name);
        }
        for name in ["lstm", "lstm:", "gru:x", "naive:x"] {
            assert!(name.parse::<ModelName>().is_err(), "{name}");
        }
    }
}
