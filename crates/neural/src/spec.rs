//! The text that names a network which is yet to be trained: `lstm`, `patchtst(small)`, `lstm(large,seeds=3)`.
//!
//! Model: a kind, and in brackets what is not usual about it. It is written in one form, the shortest, so that two
//! texts for one network are one name. Horizon, transform and seed are those of whoever trains.
//! Does not: name covariates that have to be given step by step (volume, calendar): whoever trains by this name shows
//! values alone.

use std::{fmt, str::FromStr};

use crate::config::{Config, Kind, Size, Transform};
use crate::error::{Error, Result};
use crate::training::{Options, Search};

/// A network to train, by name.
///
/// ```
/// use neural::{NetworkSpec, Size};
/// let spec: NetworkSpec = "lstm(seeds=3,small)".parse()?;
/// assert_eq!(spec.size, Some(Size::Small));
/// assert_eq!(spec.to_string(), "lstm(small,seeds=3)");
/// assert_eq!("nlinear(base)".parse::<NetworkSpec>()?.to_string(), "nlinear");
/// # Ok::<(), neural::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkSpec {
    /// The kind of network.
    pub kind: Kind,
    /// Its size; base, or what a search chooses.
    pub size: Option<Size>,
    /// Steps that it looks back; as its size has it.
    pub window: Option<usize>,
    /// Networks of different seeds whose quantiles are averaged.
    pub seeds: usize,
    /// Epochs at most.
    pub epochs: usize,
    /// Epochs without a better validation loss after which a training ends.
    pub patience: usize,
    /// Epochs that a search for size, rate and batch may take in all; none where nothing is searched for.
    pub search: Option<usize>,
}

/// The usual numbers, those of [`Options`]: on a few thousand windows a network may need ten epochs to begin to learn.
const EPOCHS: usize = 40;
const PATIENCE: usize = 15;

/// Steps of an epoch at most, so that a round over many symbols ends: half a million windows in twenty epochs.
const STEPS_PER_EPOCH: usize = 400;

const EXPECTED: &str = "lstm, patchtst or nlinear, and in brackets small, base or large, window=N, seeds=N, epochs=N, \
                        patience=N, search=N";

impl NetworkSpec {
    /// The usual network of a kind.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            size: None,
            window: None,
            seeds: 1,
            epochs: EPOCHS,
            patience: PATIENCE,
            search: None,
        }
    }

    /// Whether a text means a network at all: it begins with the name of a kind. What it says may still be wrong.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        let kind = text.split('(').next().unwrap_or(text);
        Kind::from_name(kind).is_some()
    }

    /// What is trained, for forecasts of `horizon` steps of positive values (`log`) or of any.
    ///
    /// # Errors
    /// A configuration that makes no network.
    pub fn config(&self, horizon: usize, log: bool) -> Result<Config> {
        let mut config = Config::new(self.kind, self.size.unwrap_or_default(), horizon);
        config.window = self.window.unwrap_or(config.window);
        config.ensemble = self.seeds;
        config.transform = if log { Transform::Log } else { Transform::None };
        config.architecture()?;
        Ok(config)
    }

    /// How it is trained.
    #[must_use]
    pub fn options(&self, seed: u64) -> Options {
        Options {
            epochs: self.epochs,
            patience: self.patience,
            steps_per_epoch: STEPS_PER_EPOCH,
            search: self.search.map(|budget| Search {
                budget,
                any_size: self.size.is_none(),
            }),
            seed,
            ..Options::default()
        }
    }
}

impl FromStr for NetworkSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            let what: String = what.chars().take(80).collect();
            Error::argument("model", format!("expected {EXPECTED}, got `{what}`"))
        };
        let text = text.trim();
        let (kind, options) = match text.split_once('(') {
            Some((kind, rest)) => (kind, rest.strip_suffix(')').ok_or_else(|| wrong(text))?),
            None => (text, ""),
        };
        let mut spec = Self::new(Kind::from_name(kind).ok_or_else(|| wrong(text))?);
        let mut seen: Vec<&str> = Vec::new();
        for option in options.split(',').map(str::trim) {
            if option.is_empty() && options.is_empty() {
                continue;
            }
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (option, None),
            };
            let number = |most: usize| {
                let value = value.and_then(|value| value.parse().ok());
                value
                    .filter(|n| (1..=most).contains(n))
                    .ok_or_else(|| wrong(option))
            };
            let topic = match (name, value) {
                ("small" | "base" | "large", None) => {
                    spec.size = Some(match name {
                        "small" => Size::Small,
                        "base" => Size::Base,
                        _ => Size::Large,
                    });
                    "size"
                }
                ("window", _) => {
                    spec.window = Some(number(4_096)?);
                    name
                }
                ("seeds", _) => {
                    spec.seeds = number(32)?;
                    name
                }
                ("epochs", _) => {
                    spec.epochs = number(1_000)?;
                    name
                }
                ("patience", _) => {
                    spec.patience = number(1_000)?;
                    name
                }
                ("search", _) => {
                    spec.search = Some(number(100_000)?);
                    name
                }
                _ => return Err(wrong(option)),
            };
            if seen.contains(&topic) {
                return Err(wrong(option));
            }
            seen.push(topic);
        }
        if spec.search.is_none() && spec.size == Some(Size::Base) {
            spec.size = None;
        }
        Ok(spec)
    }
}

impl fmt::Display for NetworkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Self::new(self.kind);
        let mut options: Vec<String> = Vec::new();
        let base = self.size == Some(Size::Base) && self.search.is_none();
        options.extend(self.size.filter(|_| !base).map(|size| {
            let name = match size {
                Size::Small => "small",
                Size::Base => "base",
                Size::Large => "large",
            };
            name.to_owned()
        }));
        let mut number = |name: &str, value: Option<usize>| {
            options.extend(value.map(|value| format!("{name}={value}")));
        };
        let unless = |value: usize, usual: usize| (value != usual).then_some(value);
        number("window", self.window);
        number("seeds", unless(self.seeds, usual.seeds));
        number("epochs", unless(self.epochs, usual.epochs));
        number("patience", unless(self.patience, usual.patience));
        number("search", self.search);
        f.write_str(self.kind.name())?;
        if options.is_empty() {
            return Ok(());
        }
        write!(f, "({})", options.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_has_one_name() {
        for (text, name) in [
            ("lstm", "lstm"),
            ("lstm(base)", "lstm"),
            ("lstm()", "lstm"),
            (" patchtst(small) ", "patchtst(small)"),
            ("nlinear(seeds=3,large)", "nlinear(large,seeds=3)"),
            ("lstm(base,search=120)", "lstm(base,search=120)"),
            (
                "lstm(search=120, patience=4, epochs=9, seeds=2, window=32)",
                "lstm(window=32,seeds=2,epochs=9,patience=4,search=120)",
            ),
        ] {
            let spec: NetworkSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), name);
            assert_eq!(name.parse::<NetworkSpec>().unwrap(), spec);
            let reference: forecast::ModelRef = name.parse().unwrap();
            assert_eq!(reference.scheme(), None);
            assert!(NetworkSpec::is_meant(name));
        }
        assert!(!NetworkSpec::is_meant("ets"));
        assert!(!NetworkSpec::is_meant("lstm:models/a"));
    }

    #[test]
    fn what_names_no_network_is_refused() {
        for text in [
            "",
            "gru",
            "lstm(",
            "lstm(small",
            "lstm(huge)",
            "lstm(small,large)",
            "lstm(seeds=0)",
            "lstm(seeds=99)",
            "lstm(small=1)",
            "lstm(window)",
            "lstm(,)",
            "lstm(small,)",
            "lstm:models/a",
        ] {
            let error = text.parse::<NetworkSpec>().unwrap_err().to_string();
            assert!(error.contains("expected lstm"), "{text}: {error}");
        }
        let tiny: NetworkSpec = "lstm(window=4)".parse().unwrap();
        assert!(tiny.config(3, true).is_err());
    }
}
