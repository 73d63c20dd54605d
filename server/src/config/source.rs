//! Where prices come from: the kind of source, and a provider by preset or by a mapping of one's own.

use std::path::{Path, PathBuf};

use source::{
    SourceError,
    replay::Speed,
    rest::{Credential, Provider, Secret},
};

use super::{
    Fault, IngestConfig, Layers,
    layers::{line_of, not_toml},
    missing,
};

/// Where prices come from.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceConfig {
    /// An exchange of our own on a loopback port.
    Simulated,
    /// A REST provider.
    Rest {
        /// Its name: of the preset, or of the mapping's file.
        name: String,
        /// How it is asked and read, keys included.
        provider: Box<Provider>,
        /// Whether its prices are made up: of the preset `tickcast`, a simulated exchange.
        simulated: bool,
    },
    /// A CSV file played as if live.
    Replay {
        /// The file.
        file: PathBuf,
        /// Speed against the file's own time.
        speed: Speed,
    },
    /// Only what is pushed and imported.
    None,
}

impl SourceConfig {
    /// Whether the prices are made up, which the pages have to say.
    pub const fn is_simulated(&self) -> bool {
        matches!(
            self,
            Self::Simulated
                | Self::Rest {
                    simulated: true,
                    ..
                }
        )
    }
}

pub(super) fn read_source(l: &mut Layers) -> Option<SourceConfig> {
    let kind = l.one("source.kind", |t| {
        ["simulated", "rest", "replay", "none"]
            .contains(&t)
            .then(|| t.to_owned())
            .ok_or(())
    });
    let preset = l.one("source.preset", |t| {
        Provider::PRESETS
            .contains(&t)
            .then(|| t.to_owned())
            .ok_or(())
    });
    let text = |t: &str| Ok::<_, ()>(t.to_owned());
    let mapping = l.one("source.mapping", text);
    let url = l.one("source.url", |t| {
        let ok = t.is_empty() || t.starts_with("http://") || t.starts_with("https://");
        ok.then(|| t.trim_end_matches('/').to_owned()).ok_or(())
    });
    let api_key = l.one("source.api_key", text);
    let api_secret = l.one("source.api_secret", text);
    let file = l.one("source.file", |t| Ok::<_, ()>(PathBuf::from(t)));
    let speed = l.one("source.speed", str::parse::<Speed>);
    match kind?.as_str() {
        "simulated" => Some(SourceConfig::Simulated),
        "none" => Some(SourceConfig::None),
        "replay" => {
            let file = file?;
            if file.as_os_str().is_empty() {
                missing(
                    l,
                    "source.file",
                    "source.kind = replay needs the file to play",
                );
                return None;
            }
            Some(SourceConfig::Replay {
                file,
                speed: speed?,
            })
        }
        _ => {
            let (mapping, url, key, secret) = (mapping?, url?, api_key?, api_secret?);
            if mapping.is_empty() {
                by_preset(l, preset?, &url, &key, &secret)
            } else {
                by_mapping(l, &mapping, &url, &key, &secret)
            }
        }
    }
}

/// A provider that is asked for one symbol at a time needs to know which.
pub(super) fn check_symbols(l: &mut Layers, source: &SourceConfig, ingest: &IngestConfig) {
    let SourceConfig::Rest { name, provider, .. } = source else {
        return;
    };
    // Symbols that are none are faults already.
    let none = ingest.symbols.is_empty() && l.raw("ingest.symbols").items.is_empty();
    if none && provider.is_per_symbol() {
        let problem =
            format!("the provider {name} is asked for one symbol at a time: name at least one");
        missing(l, "ingest.symbols", &problem);
    }
}

fn by_preset(
    l: &mut Layers,
    preset: String,
    url: &str,
    key: &str,
    secret: &str,
) -> Option<SourceConfig> {
    let simulated = preset == "tickcast";
    // `tickcast` is an exchange of one's own: there is no address to fall back to.
    if simulated && url.is_empty() {
        missing(
            l,
            "source.url",
            "the preset tickcast needs the exchange's URL",
        );
        return None;
    }
    let made = Provider::preset(&preset, (!url.is_empty()).then_some(url));
    let found = made.as_ref().map_or(Vec::new(), Provider::faults);
    for fault in &found {
        missing(l, "source.url", &fault.to_string());
    }
    let mut provider = made.ok().filter(|_| found.is_empty())?;
    provider.credentials = credentials(&preset, key, secret);
    Some(SourceConfig::Rest {
        name: preset,
        provider: Box::new(provider),
        simulated,
    })
}

fn credentials(preset: &str, key: &str, secret: &str) -> Vec<Credential> {
    if key.is_empty() {
        return Vec::new();
    }
    let header = |name: &str, value: &str| Credential::Header(name.into(), Secret::new(value));
    match preset.split('-').next() {
        Some("alpaca") => {
            vec![
                header("APCA-API-KEY-ID", key),
                header("APCA-API-SECRET-KEY", secret),
            ]
        }
        Some("finnhub") => vec![header("X-Finnhub-Token", key)],
        Some("tiingo") => vec![header("Authorization", &format!("Token {key}"))],
        Some("twelve") => vec![header("Authorization", &format!("apikey {key}"))],
        Some("alpha") => vec![Credential::Query("apikey".into(), Secret::new(key))],
        // Their prices are public.
        Some("binance" | "kraken" | "coinbase") => Vec::new(),
        _ => vec![header("Authorization", &format!("Bearer {key}"))],
    }
}

/// A provider that the user describes. The one file, besides `tickcast.toml`, that is read here:
/// its faults belong with the others.
fn by_mapping(
    l: &mut Layers,
    file: &str,
    url: &str,
    key: &str,
    secret: &str,
) -> Option<SourceConfig> {
    let before = l.faults.len();
    if !url.is_empty() {
        missing(
            l,
            "source.url",
            "source.mapping has an address of its own: leave this one out",
        );
    }
    let read = std::fs::read_to_string(file)
        .map_err(|e| format!("cannot be read: {e}"))
        .and_then(|text| parse(Path::new(file), &text));
    let mut provider = match read {
        Ok(provider) => provider,
        Err(problem) => {
            missing(l, "source.mapping", &format!("{file}: {problem}"));
            return None;
        }
    };
    for fault in provider.faults() {
        let SourceError::Config { key, expected } = fault else {
            continue;
        };
        missing(l, "source.mapping", &format!("{file}: {key}: {expected}"));
    }
    for place in provider
        .fill_credentials(key, secret)
        .err()
        .unwrap_or_default()
    {
        let name = place.trim_matches(['{', '}']);
        l.faults.push(Fault {
            key: format!("source.{name}"),
            origin: l.raw(&format!("source.{name}")).origin,
            problem: format!("the credentials in {file} need it"),
        });
    }
    let stem = Path::new(file).file_stem().unwrap_or_default();
    (l.faults.len() == before).then(|| SourceConfig::Rest {
        name: stem.to_string_lossy().into_owned(),
        provider: Box::new(provider),
        simulated: false,
    })
}

/// Reads TOML, or JSON where the name ends so; a fault names the field and the line.
fn parse(file: &Path, text: &str) -> Result<Provider, String> {
    let told = |path: String, problem: String| match path.as_str() {
        "" | "." => problem,
        _ => format!("{path}: {problem}"),
    };
    if file.extension().is_some_and(|e| e == "json") {
        let mut json = serde_json::Deserializer::from_str(text);
        return serde_path_to_error::deserialize(&mut json)
            .map_err(|e| told(e.path().to_string(), e.inner().to_string()));
    }
    let toml = toml::Deserializer::parse(text).map_err(|e| not_toml(&e, text))?;
    serde_path_to_error::deserialize(toml).map_err(|e| {
        let inner = e.inner();
        told(
            e.path().to_string(),
            format!("{}{}", inner.message(), line_of(inner, text)),
        )
    })
}
