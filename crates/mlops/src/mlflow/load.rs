//! Models out of MLflow: from a `models:/` address to files whose hashes are right.

use std::{collections::BTreeMap, fmt, str::FromStr};

use store::Artefact;

use super::{
    artefacts::place,
    client::Client,
    error::{MlflowError, Result},
    record::{self, SHA256_TAG},
    wire::ModelVersion,
};

/// A version of a registered model, as MLflow names it: `models:/NAME@alias` or `models:/NAME/VERSION`. The
/// name is that in MLflow.
///
/// ```
/// use mlops::mlflow::ModelUri;
///
/// let uri: ModelUri = "models:/arima.ACME@Champion".parse().unwrap();
/// assert_eq!(uri.to_string(), "models:/arima.ACME@champion");
/// assert!("models:/arima.ACME/3".parse::<ModelUri>().is_ok());
/// assert!("models:/arima.ACME/Production".parse::<ModelUri>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelUri {
    name: String,
    which: Which,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Which {
    Alias(String),
    Version(u32),
}

impl FromStr for ModelUri {
    type Err = MlflowError;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let expected = "expected models:/NAME@alias or models:/NAME/VERSION";
            record::refused(format!(
                "{:?} names no model: {expected}",
                market::excerpt(text)
            ))
        };
        let rest = text.strip_prefix("models:/").ok_or_else(wrong)?;
        let (name, which) = if let Some((name, alias)) = rest.split_once('@') {
            (name, Which::Alias(record::alias(alias)?))
        } else {
            let (name, version) = rest.split_once('/').ok_or_else(wrong)?;
            (name, Which::Version(version.parse().map_err(|_| wrong())?))
        };
        if name.is_empty() || name.contains(['/', ':']) {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            which,
        })
    }
}

impl fmt::Display for ModelUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.which {
            Which::Alias(alias) => write!(f, "models:/{}@{alias}", self.name),
            Which::Version(version) => write!(f, "models:/{}/{version}", self.name),
        }
    }
}

/// A version that MLflow has, without its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundVersion {
    /// The model's name in MLflow.
    pub name: String,
    /// Its number there.
    pub version: u32,
    /// The run that it was made of.
    pub run_id: String,
    /// The job that made it.
    pub job: Option<String>,
    /// Where its files are.
    source: String,
    /// Its files: path and SHA-256.
    hashes: BTreeMap<String, String>,
}

impl FoundVersion {
    fn of(found: ModelVersion) -> Result<Self> {
        let version = found.version.parse().map_err(|_| MlflowError::Answer {
            call: format!("a version of {:?}", found.name),
            detail: format!("{:?} is no number of one", found.version),
        })?;
        let job = found.job().map(str::to_owned);
        let hashes: BTreeMap<_, _> = found
            .tags
            .iter()
            .filter_map(|tag| {
                Some((
                    tag.key.strip_prefix(SHA256_TAG)?.to_owned(),
                    tag.value.clone(),
                ))
            })
            .collect();
        Ok(Self {
            name: found.name,
            version,
            run_id: found.run_id,
            job,
            source: found.source,
            hashes,
        })
    }
}

impl Client {
    /// The version that an address names now. Cheap: to be asked again for an alias that may have moved.
    ///
    /// # Errors
    /// NotFound: no such model, version or alias; and as every call.
    pub async fn find(&self, uri: &ModelUri) -> Result<FoundVersion> {
        let found = match &uri.which {
            Which::Alias(alias) => self.by_alias(&uri.name, alias).await?,
            Which::Version(version) => self.by_number(&uri.name, *version).await?,
        };
        FoundVersion::of(found)
    }

    /// The files of a version, by their paths in its folder. All are what was sent, or none is returned.
    ///
    /// # Errors
    /// Altered: one is not what was sent. NotFound: one is missing. Record: the version was not made by
    /// Tickcast, so that nothing says what its files should be. And as every call.
    pub async fn files(&self, found: &FoundVersion) -> Result<BTreeMap<String, Vec<u8>>> {
        let this = format!("version {} of {:?}", found.version, found.name);
        if found.hashes.is_empty() {
            return Err(record::refused(format!(
                "{this} has no tags {SHA256_TAG}*: Tickcast did not make it"
            )));
        }
        let root = place(&self.resolved(found).await?)?;
        let mut files = BTreeMap::new();
        for (path, sha256) in &found.hashes {
            let file = Artefact {
                path: path.clone(),
                sha256: sha256.clone(),
                bytes: 0,
            };
            let at = format!("{root}/{path}");
            let content = self.download(&at, this.clone(), &file).await?;
            files.insert(path.clone(), content);
        }
        Ok(files)
    }

    /// Where a version's files are. MLflow returns a `runs:/` source as it is.
    async fn resolved(&self, found: &FoundVersion) -> Result<String> {
        let Some(rest) = found.source.strip_prefix("runs:/") else {
            return Ok(found.source.clone());
        };
        let (run_id, path) = rest.split_once('/').unwrap_or((rest, ""));
        let run = self.run(run_id).await?;
        Ok(format!("{}/{path}", run.info.artifact_uri))
    }
}
