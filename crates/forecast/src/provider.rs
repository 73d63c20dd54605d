//! From a reference to a model: who knows which models, and what a model can do.
//!
//! Model: a [`ModelProvider`] resolves the references of one scheme to [`ForecastModel`]s; [`Providers`] is the
//! list of them that an application wires together, [`Classical`] the one for this crate's models. A model
//! is fitted to a history, or brought back from bytes, and gives a [`ModelState`]: the only thing that
//! forecasts. Nothing outside a provider looks at what kind of model it holds.
//! Does not: keep states, or read a store.

use std::{fmt, sync::Arc};

use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::fit::{FitOptions, Fitted};
use crate::history::History;
use crate::model::FittedModel;
use crate::output::{Forecast, Level};
use crate::reference::ModelRef;
use crate::spec::ModelSpec;

/// What a model asks of a series.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Non-missing values, at least.
    pub observations: usize,
    /// The longest season that it can use, in steps; none where it uses no season.
    pub longest_season: Option<usize>,
    /// Covariates beside the values, by name (`calendar`, `volume`, …).
    pub covariates: Vec<String>,
}

/// When a model learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Training {
    /// At every fit, from the history that it is given.
    AtFit,
    /// Before: a fit only reads the history. A backtest over what it was trained on flatters it.
    Before {
        /// The end of what it was trained on in milliseconds since 1970 UTC, where that is known.
        until_ms: Option<i64>,
    },
}

/// A model that can be fitted to a history, or loaded.
///
/// ```
/// use forecast::{FitOptions, ForecastModel as _, Level, Providers};
/// let model = Providers::classical().resolve(&"theta".parse()?)?;
/// let y: Vec<f64> = (0..40).map(|t| 100.0 + (f64::from(t) / 3.0).sin()).collect();
/// let mut state = model.fit(&(&y).into(), &FitOptions::default())?;
/// let again = model.load(&state.save()?)?;
/// let levels = [Level(80.0)];
/// assert_eq!(again.forecast(3, &levels)?, state.forecast(3, &levels)?);
/// state.update(100.4)?;
/// # Ok::<(), forecast::Error>(())
/// ```
pub trait ForecastModel: fmt::Debug + Send + Sync {
    /// The reference that names the model, in its shortest form.
    fn name(&self) -> String;

    /// What the model asks of a series that is fitted with these options.
    fn needs(&self, options: &FitOptions) -> Needs;

    /// What a fit to `observations` values costs, about; `missing`: whether some of them are NaN.
    fn cost(&self, observations: usize, missing: bool, options: &FitOptions) -> Cost;

    /// When the model learns.
    fn training(&self) -> Training {
        Training::AtFit
    }

    /// The model after it has seen a history: fitted to it, or loaded and shown it.
    ///
    /// # Errors
    /// Whatever the model refuses: too few values, values that it cannot take, a covariate that is missing;
    /// [`Error::Cancelled`] within a [`crate::CancelToken::scope`].
    fn fit(&self, history: &History<'_>, options: &FitOptions) -> Result<Box<dyn ModelState>>;

    /// The state that [`ModelState::save`] wrote.
    ///
    /// # Errors
    /// [`Error::State`]: bytes of another model or version, or damaged ones.
    fn load(&self, state: &[u8]) -> Result<Box<dyn ModelState>>;

    /// The files that its states need beside their bytes, by name: of a model that was trained before, what was trained.
    /// [`ModelProvider::assemble`] makes the model of them again.
    ///
    /// # Errors
    /// [`Error::State`] when they cannot be written.
    fn files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        Ok(Vec::new())
    }

    /// Forecasts many histories at once; a history that fails spoils no other.
    fn forecast_batch(
        &self,
        histories: &[History<'_>],
        horizon: usize,
        levels: &[Level],
        options: &FitOptions,
    ) -> Vec<Result<Forecast>> {
        let one = |history: &History<'_>| self.fit(history, options)?.forecast(horizon, levels);
        #[cfg(feature = "parallel")]
        {
            use rayon::prelude::*;
            // A token is a thread's: it is taken along.
            let token = crate::cancel::current();
            let one = |history: &History<'_>| match &token {
                Some(token) => token.scope(|| one(history)),
                None => one(history),
            };
            histories.par_iter().map(one).collect()
        }
        #[cfg(not(feature = "parallel"))]
        histories.iter().map(one).collect()
    }
}

/// A model that has seen a series: forecasts, takes further values, and can be saved.
pub trait ModelState: FittedModel {
    /// The state as bytes; the same bytes give the same forecasts to the last bit, on every machine.
    ///
    /// # Errors
    /// [`Error::State`] when the state cannot be written.
    fn save(&self) -> Result<Vec<u8>>;

    /// A copy.
    fn clone_state(&self) -> Box<dyn ModelState>;
}

impl ModelProvider for Preloaded {
    fn schemes(&self) -> Vec<&str> {
        let mut schemes: Vec<&str> = self.all.iter().filter_map(|(r, _)| r.scheme()).collect();
        schemes.sort_unstable();
        schemes.dedup();
        schemes
    }

    fn models(&self) -> Vec<ModelRef> {
        let named = self.all.iter().filter(|(r, _)| r.scheme().is_some());
        named.map(|(r, _)| r.clone()).collect()
    }

    fn resolve(&self, reference: &ModelRef) -> Result<Arc<dyn ForecastModel>> {
        let found = self.all.iter().find(|(known, _)| known == reference);
        found
            .map(|(_, model)| Arc::clone(model))
            .ok_or_else(|| Error::Unavailable {
                model: reference.to_string(),
                reason: "not among the models that are configured".to_owned(),
            })
    }
}

impl Clone for Box<dyn ModelState> {
    fn clone(&self) -> Self {
        self.clone_state()
    }
}

/// Knows the models of one scheme.
pub trait ModelProvider: fmt::Debug + Send + Sync {
    /// The schemes of the references that it resolves; an empty one stands for names without a scheme.
    fn schemes(&self) -> Vec<&str>;

    /// The models that can be listed, in the order that a help text shows them.
    fn models(&self) -> Vec<ModelRef>;

    /// Whether a reference can be right, without loading its model.
    ///
    /// # Errors
    /// What [`Self::resolve`] would say of it whatever there is to load.
    fn check(&self, reference: &ModelRef) -> Result<()> {
        self.resolve(reference).map(drop)
    }

    /// The model that a reference names.
    ///
    /// # Errors
    /// No such model; or why it cannot be loaded.
    fn resolve(&self, reference: &ModelRef) -> Result<Arc<dyn ForecastModel>>;

    /// The model that a reference names, with the files that [`ForecastModel::files`] gave of it, by name.
    ///
    /// # Errors
    /// As [`Self::resolve`]; files that are not of such a model.
    fn assemble(
        &self,
        reference: &ModelRef,
        files: &[(String, Vec<u8>)],
    ) -> Result<Arc<dyn ForecastModel>> {
        match files.first() {
            None => self.resolve(reference),
            Some((name, _)) => Err(Error::Unavailable {
                model: reference.to_string(),
                reason: format!("it has no files, got {name}"),
            }),
        }
    }
}

/// The providers of an application. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Providers {
    all: Arc<[Arc<dyn ModelProvider>]>,
}

impl Providers {
    /// With these, in the order that their models are listed. Of several for one scheme the first answers that knows
    /// the reference ([`ModelProvider::check`]), or the last, which says that it does not.
    #[must_use]
    pub fn new(all: Vec<Arc<dyn ModelProvider>>) -> Self {
        Self { all: all.into() }
    }

    /// With one more, which is asked before the others.
    #[must_use]
    pub fn after(&self, first: Arc<dyn ModelProvider>) -> Self {
        let all = std::iter::once(first).chain(self.all.iter().cloned());
        Self { all: all.collect() }
    }

    /// With the models of this crate alone.
    #[must_use]
    pub fn classical() -> Self {
        Self::new(vec![Arc::new(Classical)])
    }

    /// The model that a reference names.
    ///
    /// # Errors
    /// An unknown scheme, which names the known ones; the provider's own.
    pub fn resolve(&self, reference: &ModelRef) -> Result<Arc<dyn ForecastModel>> {
        self.provider(reference)?.resolve(reference)
    }

    /// As [`ModelProvider::assemble`].
    ///
    /// # Errors
    /// As there; an unknown scheme.
    pub fn assemble(
        &self,
        reference: &ModelRef,
        files: &[(String, Vec<u8>)],
    ) -> Result<Arc<dyn ForecastModel>> {
        self.provider(reference)?.assemble(reference, files)
    }

    /// Whether a reference can be right, without loading its model.
    ///
    /// # Errors
    /// As [`Self::resolve`], but for what is found out by loading.
    pub fn check(&self, reference: &ModelRef) -> Result<()> {
        self.provider(reference)?.check(reference)
    }

    fn provider(&self, reference: &ModelRef) -> Result<&dyn ModelProvider> {
        let scheme = reference.scheme().unwrap_or("");
        let of_scheme = || self.all.iter().filter(|p| p.schemes().contains(&scheme));
        // Where none knows it, the last says why.
        let provider = match of_scheme().count() {
            0 | 1 => of_scheme().next(),
            _ => of_scheme()
                .find(|p| p.check(reference).is_ok())
                .or_else(|| of_scheme().next_back()),
        };
        match provider {
            Some(provider) => Ok(&**provider),
            None => Err(Error::UnknownScheme {
                scheme: scheme.to_owned(),
                known: self
                    .all
                    .iter()
                    .flat_map(|p| p.schemes())
                    .filter(|s| !s.is_empty())
                    .map(str::to_owned)
                    .collect(),
            }),
        }
    }

    /// As [`Self::resolve`], from the text of a reference.
    ///
    /// # Errors
    /// As there; or a text that is no reference.
    pub fn parse(&self, text: &str) -> Result<Arc<dyn ForecastModel>> {
        self.resolve(&text.parse()?)
    }

    /// Every model that can be listed.
    #[must_use]
    pub fn models(&self) -> Vec<ModelRef> {
        self.all.iter().flat_map(|p| p.models()).collect()
    }
}

/// The provider of models that were resolved before: what a server is configured with may be named in a
/// request, and nothing else that a reference could make it load.
#[derive(Debug, Clone)]
pub struct Preloaded {
    all: Vec<(ModelRef, Arc<dyn ForecastModel>)>,
}

impl Preloaded {
    /// Resolves each reference by `providers`.
    ///
    /// # Errors
    /// The first that cannot be resolved.
    pub fn resolve_all(providers: &Providers, references: &[ModelRef]) -> Result<Self> {
        let resolve = |r: &ModelRef| Ok((r.clone(), providers.resolve(r)?));
        let all: Vec<_> = references.iter().map(resolve).collect::<Result<_>>()?;
        Ok(Self { all })
    }

    /// The models with their references.
    #[must_use]
    pub fn all(&self) -> &[(ModelRef, Arc<dyn ForecastModel>)] {
        &self.all
    }
}

/// The provider of this crate's models: names without a scheme.
#[derive(Debug, Clone, Copy, Default)]
pub struct Classical;

impl ModelProvider for Classical {
    fn schemes(&self) -> Vec<&str> {
        vec![""]
    }

    fn models(&self) -> Vec<ModelRef> {
        ModelSpec::NAMED.into_iter().map(ModelRef::from).collect()
    }

    fn resolve(&self, reference: &ModelRef) -> Result<Arc<dyn ForecastModel>> {
        Ok(Arc::new(reference.as_str().parse::<ModelSpec>()?))
    }
}

impl ForecastModel for ModelSpec {
    fn name(&self) -> String {
        self.to_string()
    }

    fn needs(&self, options: &FitOptions) -> Needs {
        // What a fit says is the one truth: it is asked with as many values as it wanted before.
        let mut observations = 0;
        loop {
            let y: Vec<f64> = (0..observations)
                .map(|t| 10.0 + (t * t % 7) as f64)
                .collect();
            match self.fit_owned(&y, options) {
                Err(Error::TooShort { needed, .. }) if needed > observations => {
                    observations = needed
                }
                _ => break,
            }
        }
        Needs {
            observations,
            longest_season: self.longest_season(),
            covariates: Vec::new(),
        }
    }

    fn cost(&self, observations: usize, missing: bool, options: &FitOptions) -> Cost {
        crate::cost::cost(*self, observations, missing, options)
    }

    fn fit(&self, history: &History<'_>, options: &FitOptions) -> Result<Box<dyn ModelState>> {
        Ok(Box::new(self.fit_owned(history.values, options)?))
    }

    fn load(&self, state: &[u8]) -> Result<Box<dyn ModelState>> {
        Ok(Box::new(Fitted::load(state)?))
    }
}

impl ModelState for Fitted {
    fn save(&self) -> Result<Vec<u8>> {
        Fitted::save(self)
    }

    fn clone_state(&self) -> Box<dyn ModelState> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scheme_or_name_says_what_is_known() {
        let providers = Providers::classical();
        let error = providers.parse("lstm:models/a").unwrap_err().to_string();
        assert!(
            error.contains("lstm") && error.contains("no schemes"),
            "{error}"
        );
        let error = providers.parse("prophet").unwrap_err().to_string();
        assert!(
            error.contains("prophet") && error.contains("auto-arima"),
            "{error}"
        );
    }

    #[test]
    fn every_model_listed_is_resolved_under_its_own_name() {
        let providers = Providers::classical();
        for reference in providers.models() {
            let model = providers.resolve(&reference).unwrap();
            assert_eq!(model.name(), reference.as_str());
        }
        let shortest = providers.parse("arima(1,0,0)(0,0,0)[4]+mean").unwrap();
        assert_eq!(shortest.name(), "arima(1,0,0)+mean");
    }

    #[test]
    fn what_a_model_needs_is_what_a_fit_asks_for() {
        let options = FitOptions {
            season: 5,
            ..FitOptions::default()
        };
        for (name, season) in [
            ("naive", false),
            ("snaive", true),
            ("ets", true),
            ("garch", false),
        ] {
            let model = Providers::classical().parse(name).unwrap();
            let needs = model.needs(&options);
            assert_eq!(needs.longest_season.is_some(), season, "{name}");
            let y: Vec<f64> = (0..needs.observations)
                .map(|t| 10.0 + (t * t % 7) as f64)
                .collect();
            // Smoothing may find a form for fewer values than its message asks for.
            let few = model.fit(&(&y[1..]).into(), &options);
            assert!(
                name == "ets" || matches!(few, Err(Error::TooShort { .. })),
                "{name}: {few:?}"
            );
            let enough = model.fit(&(&y).into(), &options);
            assert!(enough.is_ok(), "{name}: {enough:?} {needs:?}");
        }
    }

    #[test]
    fn one_bad_history_of_a_batch_spoils_no_other() {
        let good: Vec<f64> = (0..30).map(|t| 50.0 + f64::from(t % 4)).collect();
        let bad = [1.0, f64::INFINITY, 2.0];
        let histories = [(&good).into(), (&bad).into(), (&good).into()];
        let model = Providers::classical().parse("theta").unwrap();
        let all = model.forecast_batch(&histories, 2, &Level::DEFAULT, &FitOptions::default());
        assert!(matches!(all[1], Err(Error::NotFinite { index: 1, .. })));
        assert_eq!(all[0].as_ref().unwrap(), all[2].as_ref().unwrap());
    }
}
