//! Who is champion of a series, and who runs beside it unseen.
//!
//! Model: a registry of models says of each series which version is its champion and which are its challengers
//! ([`Contenders`]). The champion is what is served where nobody names a model; challengers are forecast by and scored
//! on the same bars, and never shown as the forecast. A champion that was trained too long before the newest bar is not
//! served: naive is. That is counted in the time of the bars, so that it follows from them alone. Who asks takes one answer of the registry and stays with it, so that an answer is by one version as a whole.
//!
//! What it does not do: know a registry (a `Contenders` is given), or judge.

use std::{sync::Arc, time::Duration};

use forecast::{ForecastModel, ModelRef, ModelSpec};
use market::{Interval, Symbol, Timestamp};

use crate::{model_cache::Key, origin::Origin};

/// The scheme of the references of a registry's versions. Of those that are shown, one of a series is its champion.
const REGISTERED: &str = "models";

/// Whether a model's name is that of a registry's version.
#[must_use]
pub fn is_registered(model: &str) -> bool {
    model
        .strip_prefix(REGISTERED)
        .is_some_and(|rest| rest.starts_with(':'))
}

/// A version that is served or watched.
#[derive(Clone, Debug)]
pub struct Contender {
    /// Its model; the name is `models:/NAME/VERSION`.
    pub model: Arc<dyn ForecastModel>,
    /// The end of the last bar that it was trained on.
    pub trained_to: Timestamp,
}

/// Says who the champion and the challengers of a series are. Cheap: asked at every forecast.
pub trait Contenders: Send + Sync {
    /// A number that is another one whenever an answer of the others may be.
    fn generation(&self) -> u64;

    /// The champion of a series, where it has one that can be served.
    fn champion(&self, symbol: &Symbol, interval: Interval) -> Option<Contender>;

    /// Its challengers, the champion not among them.
    fn challengers(&self, symbol: &Symbol, interval: Interval) -> Vec<Contender>;
}

/// No series has a champion.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Contenders for Nobody {
    fn generation(&self) -> u64 {
        0
    }

    fn champion(&self, _: &Symbol, _: Interval) -> Option<Contender> {
        None
    }

    fn challengers(&self, _: &Symbol, _: Interval) -> Vec<Contender> {
        Vec::new()
    }
}

/// How a series' champion stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChampionStanding {
    /// The version, `models:/NAME/VERSION`.
    pub model: String,
    /// The end of the last bar that it was trained on.
    pub trained_to: Timestamp,
    /// Whether that is too long ago, so that naive is served.
    pub expired: bool,
}

/// What is forecast by where nobody names a model. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Choice {
    contenders: Arc<dyn Contenders>,
    /// A champion that was trained longer before the newest bar is not served.
    expiry: Option<Duration>,
    /// The model that is served in the place of any champion.
    pinned: Option<Arc<dyn ForecastModel>>,
}

impl Choice {
    pub(crate) fn new(
        contenders: Arc<dyn Contenders>,
        expiry: Option<Duration>,
        pinned: Option<Arc<dyn ForecastModel>>,
    ) -> Self {
        Self {
            contenders,
            expiry,
            pinned,
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.contenders.generation()
    }

    /// The champion that is served at an origin.
    pub(crate) fn champion(&self, origin: &Origin) -> Option<Arc<dyn ForecastModel>> {
        let champion = self.contenders.champion(&origin.symbol, origin.interval)?;
        (!self.is_expired(&champion, origin.end())).then_some(champion.model)
    }

    /// The versions that run beside it. One that is expired is not among them.
    pub(crate) fn challengers(&self, origin: &Origin) -> Vec<Arc<dyn ForecastModel>> {
        let all = self.contenders.challengers(&origin.symbol, origin.interval);
        let current = all.into_iter();
        let current = current.filter(|one| !self.is_expired(one, origin.end()));
        current.map(|one| one.model).collect()
    }

    /// How the champion of a series stands at the end of a bar, whether or not it is served.
    pub(crate) fn standing(&self, key: &Key, end: Timestamp) -> Option<ChampionStanding> {
        let champion = self.contenders.champion(&key.0, key.1)?;
        Some(ChampionStanding {
            expired: self.is_expired(&champion, end),
            model: champion.model.name(),
            trained_to: champion.trained_to,
        })
    }

    /// Whether a series has a champion, served or expired.
    pub(crate) fn has_champion(&self, key: &Key) -> bool {
        self.contenders.champion(&key.0, key.1).is_some()
    }

    /// The model that an answer is by where none is named: the pinned one, the champion at the origin of a stored
    /// series, or naive.
    pub(crate) fn by_default(&self, origin: Option<&Origin>) -> Arc<dyn ForecastModel> {
        if let Some(pinned) = &self.pinned {
            return Arc::clone(pinned);
        }
        let champion = origin.and_then(|origin| self.champion(origin));
        champion.unwrap_or_else(naive)
    }

    /// Whether a fan may be shown: of the registry's versions the champion's alone.
    pub(crate) fn is_shown(&self, key: &Key, model: &str) -> bool {
        !is_registered(model)
            || self
                .contenders
                .champion(&key.0, key.1)
                .is_some_and(|champion| champion.model.name() == model)
    }

    fn is_expired(&self, one: &Contender, end: Timestamp) -> bool {
        let Some(expiry) = self.expiry else {
            return false;
        };
        let age_us = end.micros_since(one.trained_to);
        u64::try_from(age_us).is_ok_and(|us| Duration::from_micros(us) > expiry)
    }
}

/// What is served where nothing has been shown to be better.
pub(crate) fn naive() -> Arc<dyn ForecastModel> {
    Arc::new(ModelSpec::Naive)
}

/// A model that is forecast by at every closed bar.
#[derive(Clone, Debug)]
pub(crate) struct LiveModel {
    /// The reference that is configured, which its fans bear.
    pub(crate) name: ModelRef,
    /// The shortest one, under which its states are kept: whoever names the model in another way shares them.
    pub(crate) cached_as: ModelRef,
    pub(crate) model: Arc<dyn ForecastModel>,
}

impl LiveModel {
    /// # Errors
    /// A model whose name is no reference.
    pub(crate) fn new(
        (name, model): &(ModelRef, Arc<dyn ForecastModel>),
    ) -> forecast::Result<Self> {
        Ok(Self {
            name: name.clone(),
            cached_as: model.name().parse()?,
            model: Arc::clone(model),
        })
    }

    /// A version of the registry.
    ///
    /// # Errors
    /// A model whose name is no reference.
    pub(crate) fn registered(model: Arc<dyn ForecastModel>) -> forecast::Result<Self> {
        let name: ModelRef = model.name().parse()?;
        Ok(Self {
            cached_as: name.clone(),
            name,
            model,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_the_registry_is_told_by_its_scheme() {
        assert!(is_registered("models:/close-1d.AAPL/2"));
        for name in ["naive", "models", "modelsx:/a/1", "lstm:models", ""] {
            assert!(!is_registered(name), "{name}");
        }
    }
}
