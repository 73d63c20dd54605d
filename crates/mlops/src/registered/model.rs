//! A version of the registry as a model.

use std::sync::Arc;

use forecast::{
    Calibration, Cost, Error, FitOptions, FittedModel, Forecast, ForecastModel, History, Level,
    ModelState, Needs, Observation, Providers, ServedState, Summary, Training,
};
use market::Timestamp;
use store::Version;

use super::reference::SCHEME;
use crate::training::{MANIFEST_FILE, Manifest, STATE_FILE};

/// A version of a name, ready to forecast.
#[derive(Debug)]
pub struct RegisteredModel {
    version: Version,
    manifest: Manifest,
    base: Arc<dyn ForecastModel>,
    state: ServedState,
}

impl RegisteredModel {
    /// # Errors
    /// Why these files are no model.
    pub(super) fn read(
        base: &Providers,
        version: Version,
        manifest: &[u8],
        state: &[u8],
        others: &[(String, Vec<u8>)],
    ) -> Result<Self, String> {
        let whose = format!("version {} of {}", version.version, version.name);
        let manifest: Manifest = serde_json::from_slice(manifest)
            .map_err(|e| format!("artefacts: {MANIFEST_FILE} of {whose}: {e}"))?;
        if manifest.format != Manifest::FORMAT {
            return Err(format!(
                "artefacts: {MANIFEST_FILE} of {whose} is of format {}, and this build reads format {}",
                manifest.format,
                Manifest::FORMAT
            ));
        }
        let base = base
            .assemble(&manifest.reference, others)
            .map_err(|e| format!("reference: {} of {whose}: {e}", manifest.reference))?;
        let state = ServedState::load(&*base, state)
            .map_err(|e| format!("artefacts: {STATE_FILE} of {whose}: {e}"))?;
        Ok(Self {
            version,
            manifest,
            base,
            state,
        })
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.version
    }

    /// Whose closes it has seen, until when, and how it was fitted.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The end of the last bar that it was trained on.
    #[must_use]
    pub fn trained_to(&self) -> Timestamp {
        self.manifest.interval.end_of(self.manifest.last)
    }

    /// The reference that names this version, whatever alias it was found by.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{SCHEME}:/{}/{}", self.version.name, self.version.version)
    }

    /// Its state after the closes of a history that lie behind the last bar that it has seen.
    ///
    /// # Errors
    /// A history without times, one that does not have that bar, or ends before it.
    pub fn state_at(&self, history: &History<'_>) -> forecast::Result<ServedState> {
        let refused = |reason: String| Error::Unavailable {
            model: self.name(),
            reason,
        };
        let last = self.manifest.last;
        let Some(times) = history.times_ms else {
            let why = "history: it goes on from a bar, and the closes have no times".to_owned();
            return Err(refused(why));
        };
        let known = times.partition_point(|time| *time <= last.as_millis());
        let is_there = known > 0 && times[known - 1] == last.as_millis();
        if !is_there {
            let span = match (times.first(), times.last()) {
                (Some(first), Some(end)) => format!(
                    "from {} to {}",
                    Timestamp::from_millis(*first),
                    Timestamp::from_millis(*end)
                ),
                _ => "of no bar".to_owned(),
            };
            let why =
                format!("history: the closes {span} do not have the last bar it has seen, {last}");
            return Err(refused(why));
        }
        let mut state = self.state.clone();
        for next in history.range(known..history.values.len()).observations() {
            state.observe(next)?;
        }
        Ok(state)
    }
}

impl ForecastModel for RegisteredModel {
    fn name(&self) -> String {
        Self::name(self)
    }

    fn needs(&self, _options: &FitOptions) -> Needs {
        Needs {
            observations: 1,
            covariates: self.base.needs(&self.manifest.options).covariates,
            longest_season: None,
        }
    }

    fn cost(&self, observations: usize, _missing: bool, _options: &FitOptions) -> Cost {
        // It is shown closes, and fits nothing: a forecast and a few multiples for each.
        Cost {
            operations: observations as f64 * 5_000.0,
            bytes: observations as f64 * 8.0,
        }
    }

    fn training(&self) -> Training {
        Training::Before {
            until_ms: Some(self.manifest.last.as_millis()),
        }
    }

    fn fit(
        &self,
        history: &History<'_>,
        _options: &FitOptions,
    ) -> forecast::Result<Box<dyn ModelState>> {
        Ok(Box::new(RegisteredState {
            name: self.name(),
            state: self.state_at(history)?,
        }))
    }

    fn load(&self, state: &[u8]) -> forecast::Result<Box<dyn ModelState>> {
        Ok(Box::new(RegisteredState {
            name: self.name(),
            state: ServedState::load(&*self.base, state)?,
        }))
    }
}

/// A registered model after it has seen closes.
#[derive(Clone, Debug)]
struct RegisteredState {
    name: String,
    state: ServedState,
}

impl FittedModel for RegisteredState {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn forecast(&self, horizon: usize, levels: &[Level]) -> forecast::Result<Forecast> {
        let served = self.state.forecast(horizon, levels)?;
        let calibrated = served.calibration != Calibration::None;
        Ok(Forecast {
            sd: served.forecast.sd.filter(|_| !calibrated),
            model: self.name.clone(),
            ..served.forecast
        })
    }

    fn update(&mut self, y: f64) -> forecast::Result<()> {
        self.state.update(y)
    }

    fn observe(&mut self, next: Observation) -> forecast::Result<()> {
        self.state.observe(next)
    }

    fn summary(&self) -> Summary {
        self.state.fitted().summary()
    }

    fn residuals(&self) -> &[f64] {
        self.state.fitted().residuals()
    }
}

impl ModelState for RegisteredState {
    fn save(&self) -> forecast::Result<Vec<u8>> {
        self.state.save()
    }

    fn clone_state(&self) -> Box<dyn ModelState> {
        Box::new(self.clone())
    }
}
