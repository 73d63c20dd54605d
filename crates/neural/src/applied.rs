//! A trained model among the fitted ones: in a backtest, and as a model that has seen a series.
//!
//! Model: nothing is fitted to the past, it is only read: the weights are those of the training, at every
//! origin. A backtest over data that it was trained on therefore flatters it; [`Applied::trained_until`] says
//! where that ends.
//! Does not: train.

use std::sync::Arc;

use forecast::backtest::Forecaster;
use forecast::{FittedModel, Forecast, Level, Parameter, Summary};

use crate::model::Model;
use crate::series::Series;

/// A model with the name that it was asked for by, and what is known of the series besides its values.
#[derive(Clone, Debug)]
pub struct Applied {
    model: Arc<Model>,
    name: String,
    times_ms: Option<Vec<i64>>,
    volumes: Option<Vec<f64>>,
    past: Vec<f64>,
}

impl Applied {
    /// The model under this name, without a series.
    #[must_use]
    pub fn new(model: Arc<Model>, name: impl Into<String>) -> Self {
        Self {
            model,
            name: name.into(),
            times_ms: None,
            volumes: None,
            past: Vec::new(),
        }
    }

    /// With the times and volumes of the whole series that pasts are taken from, from its beginning.
    #[must_use]
    pub fn knowing(mut self, times_ms: Option<Vec<i64>>, volumes: Option<Vec<f64>>) -> Self {
        self.times_ms = times_ms;
        self.volumes = volumes;
        self
    }

    /// As a model that has seen this series.
    ///
    /// # Errors
    /// What [`Model::forecast`] refuses.
    pub fn fitted(mut self, values: &[f64]) -> forecast::Result<Self> {
        self.past = values.to_vec();
        self.ahead(values, 1, &[])?;
        Ok(self)
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The time in milliseconds since 1970 UTC until which it was trained, where that is known.
    #[must_use]
    pub fn trained_until(&self) -> Option<i64> {
        self.model.provenance.data.to_ms
    }

    fn ahead(&self, past: &[f64], horizon: usize, levels: &[Level]) -> forecast::Result<Forecast> {
        let n = past.len();
        let series = Series {
            id: "",
            values: past,
            times_ms: self.times_ms.as_ref().and_then(|times| times.get(..n)),
            volumes: self.volumes.as_ref().and_then(|volumes| volumes.get(..n)),
        };
        let mut forecast = self.model.forecast(&series, horizon, levels)?;
        forecast.model.clone_from(&self.name);
        Ok(forecast)
    }
}

impl Forecaster for Applied {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn forecast(
        &self,
        past: &[f64],
        horizon: usize,
        levels: &[Level],
    ) -> forecast::Result<Forecast> {
        self.ahead(past, horizon, levels)
    }
}

impl FittedModel for Applied {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> forecast::Result<Forecast> {
        self.ahead(&self.past, horizon, levels)
    }

    fn update(&mut self, y: f64) -> forecast::Result<()> {
        if y.is_infinite() {
            return Err(forecast::Error::NotFinite {
                index: self.past.len(),
                value: y,
            });
        }
        self.past.push(y);
        Ok(())
    }

    fn summary(&self) -> Summary {
        let parameter = |name: &str, value: f64| Parameter {
            name: name.into(),
            value,
            se: None,
        };
        let config = &self.model.config;
        Summary {
            model: self.name.clone(),
            params: vec![
                parameter("window", config.window as f64),
                parameter("weights", self.model.parameters() as f64),
                parameter("networks", config.ensemble as f64),
            ],
            observations: self.past.iter().filter(|v| !v.is_nan()).count(),
            ..Summary::default()
        }
    }

    fn residuals(&self) -> &[f64] {
        &[]
    }
}
