//! Models of the registry: `models:/NAME@ALIAS` and `models:/NAME/VERSION`.
//!
//! Model: [`RegisteredModels`] keeps what aliases point at, loaded, in a snapshot that [`RegisteredModels::refresh`]
//! makes anew and puts in place as a whole: whoever resolves a reference waits for nothing, and sees all of a change or
//! nothing of it. Each file is checked against its SHA-256 on the way. A version that cannot be loaded keeps the name's
//! error, and the model that an alias pointed at before is not served in its stead.
//!
//! A [`RegisteredModel`] starts from its stored state: shown a history, it finds the last bar that it has seen and takes
//! the closes behind it. Nothing is fitted and nothing calibrated: its intervals are those that its calibration has
//! learnt, and it tells no standard deviation, so that nobody calibrates them a second time.
//!
//! What it does not do: follow the registry by itself (call [`RegisteredModels::refresh`]), or know whose closes it is
//! shown: [`RegisteredModel::manifest`] says whose they should be.

mod contenders;
mod model;
mod reference;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use forecast::{Error, ForecastModel, ModelProvider, ModelRef, Providers};
use market::{Interval, Symbol};
use store::{Artefacts, ModelRegistry};

use self::reference::{Target, parse};
pub use self::{model::RegisteredModel, reference::SCHEME};
use crate::{
    jobs::series_name,
    training::{MANIFEST_FILE, STATE_FILE},
    worker::CHAMPION,
};

/// How the aliases of versions begin that run beside a champion unseen.
pub const CHALLENGER: &str = "challenger";

/// Names that a refresh reads at a time.
const PAGE: usize = 500;
/// Versions that are kept because somebody asked for them by number.
const MOST_BY_NUMBER: usize = 256;

type Loaded = Result<Arc<RegisteredModel>, String>;

/// The provider of the registry's models. Cheap to clone: clones are the same provider.
#[derive(Clone)]
pub struct RegisteredModels {
    inner: Arc<Inner>,
}

struct Inner {
    base: Providers,
    registry: Arc<dyn ModelRegistry>,
    artefacts: Arc<dyn Artefacts>,
    snapshot: RwLock<Arc<Snapshot>>,
    /// One refresh at a time: an older one must not be put in place after a newer.
    refreshing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Snapshot {
    aliases: BTreeMap<String, BTreeMap<String, u32>>,
    loaded: HashMap<(String, u32), Loaded>,
    /// Another one for other aliases, and for another version that is loaded.
    generation: u64,
    /// Asked for by number, the oldest first.
    by_number: Vec<(String, u32)>,
}

impl Snapshot {
    /// The versions that are loaded, sorted.
    fn served(&self) -> BTreeSet<&(String, u32)> {
        let loaded = self.loaded.iter();
        loaded
            .filter(|(_, one)| one.is_ok())
            .map(|(key, _)| key)
            .collect()
    }

    /// A version, if it is loaded and of this series.
    fn of_series(
        &self,
        name: &str,
        version: u32,
        symbol: &Symbol,
        interval: Interval,
    ) -> Option<Arc<RegisteredModel>> {
        let model = self
            .loaded
            .get(&(name.to_owned(), version))?
            .as_ref()
            .ok()?;
        let manifest = model.manifest();
        let is_of_it = manifest.symbol == *symbol && manifest.interval == interval;
        is_of_it.then(|| Arc::clone(model))
    }
}

/// What a refresh has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Aliases that point elsewhere than before, as references.
    pub moved: Vec<ModelRef>,
    /// References that cannot be served, with the reason.
    pub faults: Vec<(ModelRef, String)>,
}

impl fmt::Debug for RegisteredModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.snapshot().aliases.len();
        f.debug_struct("RegisteredModels")
            .field("names", &names)
            .finish_non_exhaustive()
    }
}

impl RegisteredModels {
    /// Knows nothing before its first refresh. `base` resolves the references that versions were fitted by.
    #[must_use]
    pub fn new(
        base: Providers,
        registry: Arc<dyn ModelRegistry>,
        artefacts: Arc<dyn Artefacts>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                base,
                registry,
                artefacts,
                snapshot: RwLock::default(),
                refreshing: tokio::sync::Mutex::default(),
            }),
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        let snapshot = self.inner.snapshot.read();
        Arc::clone(&snapshot.unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, snapshot: Snapshot) {
        let mut place = self
            .inner
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Arc::new(snapshot);
    }

    /// Reads where all aliases point, loads what is new, and puts it in place at once. A version that could not be
    /// loaded is tried again.
    ///
    /// # Errors
    /// The store's, when the registry cannot be read: then everything stays as it was.
    pub async fn refresh(&self) -> store::Result<Refreshed> {
        let _alone = self.inner.refreshing.lock().await;
        let before = self.snapshot();
        let mut after = Snapshot {
            by_number: before.by_number.clone(),
            ..Snapshot::default()
        };
        let mut last: Option<String> = None;
        loop {
            let registry = &self.inner.registry;
            let page = registry.models(None, last.as_deref(), PAGE).await?;
            for model in &page {
                if !model.aliases.is_empty() {
                    after
                        .aliases
                        .insert(model.name.clone(), model.aliases.clone());
                }
            }
            match page.into_iter().next_back() {
                Some(model) => last = Some(model.name),
                None => break,
            }
        }
        let aliased = after.aliases.iter();
        let aliased = aliased.flat_map(|(name, all)| all.values().map(|v| (name.clone(), *v)));
        let wanted: Vec<(String, u32)> = aliased.chain(after.by_number.clone()).collect();
        for key in wanted {
            if after.loaded.contains_key(&key) {
                continue;
            }
            let loaded = match before.loaded.get(&key) {
                Some(Ok(model)) => Ok(Arc::clone(model)),
                _ => self.load(&key.0, key.1).await?,
            };
            after.loaded.insert(key, loaded);
        }
        let told = told(&before, &after);
        let is_other = after.aliases != before.aliases || after.served() != before.served();
        after.generation = before.generation + u64::from(is_other);
        self.put(after);
        Ok(told)
    }

    /// A number that is another one whenever an alias points elsewhere, or a version that one points at can be served
    /// or no longer can.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.snapshot().generation
    }

    /// The champion of a series: of the name that trainings of it have by default ([`series_name`]). None where there is
    /// none, where it cannot be loaded, and where what bears that name is of another series.
    #[must_use]
    pub fn champion_of(&self, symbol: &Symbol, interval: Interval) -> Option<Arc<RegisteredModel>> {
        let snapshot = self.snapshot();
        let name = series_name(symbol, interval);
        let version = *snapshot.aliases.get(&name)?.get(CHAMPION)?;
        snapshot.of_series(&name, version, symbol, interval)
    }

    /// The challengers of a series: versions of that name with an alias that begins with [`CHALLENGER`], each once, and
    /// not the champion.
    #[must_use]
    pub fn challengers_of(&self, symbol: &Symbol, interval: Interval) -> Vec<Arc<RegisteredModel>> {
        let snapshot = self.snapshot();
        let name = series_name(symbol, interval);
        let Some(aliases) = snapshot.aliases.get(&name) else {
            return Vec::new();
        };
        let champion = aliases.get(CHAMPION);
        let named = aliases
            .iter()
            .filter(|(alias, version)| alias.starts_with(CHALLENGER) && champion != Some(*version));
        let versions: BTreeSet<u32> = named.map(|(_, version)| *version).collect();
        let loaded = versions.into_iter();
        loaded
            .filter_map(|version| snapshot.of_series(&name, version, symbol, interval))
            .collect()
    }

    /// Loads the model of a reference that an earlier refresh has not brought: a version by its number, an alias that is
    /// new. After it the reference resolves.
    ///
    /// # Errors
    /// Why it cannot be resolved: no such version or alias, a file that is missing or altered, the store is away.
    pub async fn prepare(&self, reference: &ModelRef) -> forecast::Result<()> {
        let (name, target) = parse(reference)?;
        if self.resolve(reference).is_ok() {
            return Ok(());
        }
        let away = |e: store::StoreError| unavailable(reference, e.to_string());
        match target {
            Target::Alias(_) => drop(self.refresh().await.map_err(away)?),
            Target::Version(version) => {
                let _alone = self.inner.refreshing.lock().await;
                let loaded = self.load(&name, version).await.map_err(away)?;
                let mut after = Snapshot::clone(&self.snapshot());
                let key = (name, version);
                if loaded.is_ok() {
                    after.by_number.retain(|known| *known != key);
                    after.by_number.push(key.clone());
                    if after.by_number.len() > MOST_BY_NUMBER {
                        let oldest = after.by_number.remove(0);
                        let aliased = after.aliases.get(&oldest.0);
                        if aliased.is_none_or(|all| !all.values().any(|v| *v == oldest.1)) {
                            after.loaded.remove(&oldest);
                        }
                    }
                    after.loaded.insert(key, loaded);
                    self.put(after);
                } else {
                    return loaded.map(drop).map_err(|why| unavailable(reference, why));
                }
            }
        }
        self.resolve(reference).map(drop)
    }

    /// Whether the last refresh found that an alias points at a version, loaded or not.
    #[must_use]
    pub fn points_somewhere(&self, reference: &ModelRef) -> bool {
        let Ok((name, Target::Alias(alias))) = parse(reference) else {
            return false;
        };
        let snapshot = self.snapshot();
        let aliases = snapshot.aliases.get(&name);
        aliases.is_some_and(|aliases| aliases.contains_key(&alias))
    }

    /// The model of a reference, as what it is.
    ///
    /// # Errors
    /// As [`ModelProvider::resolve`].
    pub fn model(&self, reference: &ModelRef) -> forecast::Result<Arc<RegisteredModel>> {
        let (name, target) = parse(reference)?;
        let snapshot = self.snapshot();
        let version = match target {
            Target::Version(version) => version,
            Target::Alias(alias) => {
                let Some(aliases) = snapshot.aliases.get(&name) else {
                    let why = format!("no version of {name} has an alias");
                    return Err(unavailable(reference, why));
                };
                *aliases.get(&alias).ok_or_else(|| {
                    let known: Vec<&str> = aliases.keys().map(String::as_str).collect();
                    let why = format!(
                        "no version of {name} has the alias {alias}: there is {}",
                        known.join(", ")
                    );
                    unavailable(reference, why)
                })?
            }
        };
        match snapshot.loaded.get(&(name.clone(), version)) {
            Some(Ok(model)) => Ok(Arc::clone(model)),
            Some(Err(why)) => Err(unavailable(reference, why.clone())),
            None => Err(unavailable(
                reference,
                format!("version {version} of {name} is not loaded"),
            )),
        }
    }

    /// A version with its files.
    async fn load(&self, name: &str, version: u32) -> store::Result<Loaded> {
        let Some(found) = self.inner.registry.version(name, version).await? else {
            return Ok(Err(format!("there is no version {version} of {name}")));
        };
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        for file in &found.artefacts {
            let path = &file.path;
            match self.inner.artefacts.get(&file.sha256).await {
                Ok(bytes) => files.push((path.clone(), bytes)),
                Err(e) if e.kind().is_transient() => return Err(e),
                Err(e) => {
                    let why = format!("artefacts: {path} of version {version} of {name}: {e}");
                    return Ok(Err(why));
                }
            }
        }
        let mut of = [Vec::new(), Vec::new()];
        for (path, bytes) in [MANIFEST_FILE, STATE_FILE].into_iter().zip(&mut of) {
            let Some(place) = files.iter().position(|(name, _)| name == path) else {
                return Ok(Err(format!(
                    "artefacts: version {version} of {name} has no file {path}"
                )));
            };
            *bytes = files.swap_remove(place).1;
        }
        let [manifest, state] = of;
        let model = RegisteredModel::read(&self.inner.base, found, &manifest, &state, &files);
        Ok(model.map(Arc::new))
    }
}

fn told(before: &Snapshot, after: &Snapshot) -> Refreshed {
    let mut refreshed = Refreshed::default();
    let pointed = |snapshot: &Snapshot, name: &str, alias: &str| {
        snapshot
            .aliases
            .get(name)
            .and_then(|all| all.get(alias))
            .copied()
    };
    let all = before.aliases.iter().chain(&after.aliases);
    let mut names: Vec<(&str, &str)> = all
        .flat_map(|(name, all)| all.keys().map(|alias| (name.as_str(), alias.as_str())))
        .collect();
    names.sort_unstable();
    names.dedup();
    for (name, alias) in names {
        let Ok(reference) = format!("{SCHEME}:/{name}@{alias}").parse::<ModelRef>() else {
            continue;
        };
        let now = pointed(after, name, alias);
        let fault = now.and_then(|version| after.loaded.get(&(name.to_owned(), version)));
        if let Some(Err(why)) = fault {
            refreshed.faults.push((reference.clone(), why.clone()));
        }
        if pointed(before, name, alias) != now {
            refreshed.moved.push(reference);
        }
    }
    refreshed
}

impl ModelProvider for RegisteredModels {
    fn schemes(&self) -> Vec<&str> {
        vec![SCHEME]
    }

    fn models(&self) -> Vec<ModelRef> {
        let snapshot = self.snapshot();
        let all = snapshot.aliases.iter();
        let texts = all.flat_map(|(name, aliases)| {
            aliases
                .keys()
                .map(move |alias| format!("{SCHEME}:/{name}@{alias}"))
        });
        texts.filter_map(|text| text.parse().ok()).collect()
    }

    fn check(&self, reference: &ModelRef) -> forecast::Result<()> {
        parse(reference).map(drop)
    }

    fn resolve(&self, reference: &ModelRef) -> forecast::Result<Arc<dyn ForecastModel>> {
        Ok(self.model(reference)?)
    }
}

fn unavailable(reference: &ModelRef, reason: String) -> Error {
    Error::Unavailable {
        model: reference.to_string(),
        reason,
    }
}
