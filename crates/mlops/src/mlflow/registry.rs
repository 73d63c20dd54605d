//! Registered models, their versions and aliases.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use super::{
    client::Client,
    error::{MlflowError, Result},
    limits,
    record::{self, AliasMoved, JOB_TAG, MODEL_TAG, Record, Registered, SHA256_TAG},
    wire::{Empty, KeyValue, ModelVersion, Run, VersionAnswer, VersionsFound},
};

impl Client {
    /// The version that a run's artefacts are: the one that is there, or a new one; with its aliases.
    pub(super) async fn register(
        &self,
        run: &Run,
        record: &Record,
        registered: &Registered,
    ) -> Result<ModelVersion> {
        let name = limits::model_name(&registered.model);
        let run_id = &run.info.run_id;
        let source = format!("{}/{}", run.info.artifact_uri, registered.folder);
        let mut tags = BTreeMap::from([(JOB_TAG.to_owned(), record.job.clone())]);
        for (path, file) in record.in_folder(&registered.folder) {
            tags.insert(format!("{SHA256_TAG}{path}"), file.sha256.clone());
        }
        let version = match self.version_of_run(&name, run_id).await? {
            Some(version) => version,
            None => {
                self.model(&name, &registered.model).await?;
                let tags: Vec<KeyValue> = tags
                    .iter()
                    .map(|(key, value)| KeyValue {
                        key: key.clone(),
                        value: value.clone(),
                    })
                    .collect();
                let body = json!({
                    "name": name,
                    "source": source,
                    "run_id": run_id,
                    "description": limits::value(&registered.note, limits::NOTE_CHARS),
                    "tags": tags,
                });
                let _: VersionAnswer = self.post("model-versions/create", &body).await?;
                // Looked for, as with runs.
                let version = self.version_of_run(&name, run_id).await?;
                version.ok_or_else(|| MlflowError::NotFound {
                    what: format!("version of {name:?} of run {run_id}, which was just made"),
                })?
            }
        };
        let not_kept = |what: String, detail: String| MlflowError::NotKept {
            run: run_id.clone(),
            what,
            detail,
        };
        let this = format!("version {} of {name:?}", version.version);
        if version.status != "READY" {
            return Err(MlflowError::Answer {
                call: this,
                detail: format!("it is {}: {}", version.status, version.status_message),
            });
        }
        if version.source != source {
            return Err(not_kept(
                this,
                format!("its source is {:?}", version.source),
            ));
        }
        for (key, value) in &tags {
            if version
                .tags
                .iter()
                .all(|tag| tag.key != *key || tag.value != *value)
            {
                return Err(not_kept(
                    this,
                    format!("it has no tag {key:?} of {value:?}"),
                ));
            }
        }
        for alias in &registered.aliases {
            self.point(&name, &record::alias(alias)?, &version.version)
                .await?;
        }
        Ok(version)
    }

    /// Moves an alias to the version that came of a job, or takes it away.
    ///
    /// # Errors
    /// Record: no alias can be called so, or no version came of the job: its run was not sent.
    pub(super) async fn move_alias(&self, moved: &AliasMoved) -> Result<()> {
        let name = limits::model_name(&moved.model);
        let alias = record::alias(&moved.alias)?;
        let Some(job) = &moved.to else {
            let body = json!({ "name": name, "alias": alias });
            let call = "registered-models/alias";
            return match self
                .call::<Empty>(Method::DELETE, call, &[], Some(&body))
                .await
            {
                Ok(Empty {}) | Err(MlflowError::NotFound { .. }) => Ok(()),
                Err(e) => Err(e),
            };
        };
        record::check_job(job)?;
        let filter = format!("name = '{name}' and tags.`{JOB_TAG}` = '{job}'");
        let Some(version) = self.first_version(&filter).await? else {
            return Err(record::refused(format!(
                "{alias:?} is to point at the version of {:?} that came of the job {job:?}, and MLflow has none",
                moved.model
            )));
        };
        self.point(&name, &alias, &version.version).await
    }

    async fn model(&self, name: &str, here: &str) -> Result<()> {
        let tags = [KeyValue {
            key: MODEL_TAG.to_owned(),
            value: here.to_owned(),
        }];
        let body = json!({ "name": name, "tags": tags });
        match self
            .post::<serde_json::Value>("registered-models/create", &body)
            .await
        {
            Ok(_) => Ok(()),
            Err(MlflowError::Refused { code, .. }) if code == "RESOURCE_ALREADY_EXISTS" => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// The version that we made of a run.
    async fn version_of_run(&self, name: &str, run_id: &str) -> Result<Option<ModelVersion>> {
        let filter = format!("name = '{name}' and run_id = '{run_id}'");
        self.first_version(&filter).await
    }

    /// The lowest of our versions that a filter finds. Of several of one run, which a lost answer may leave,
    /// the others are deleted; versions that somebody else made of it stay.
    async fn first_version(&self, filter: &str) -> Result<Option<ModelVersion>> {
        let query = [("filter", filter), ("max_results", "100")];
        let VersionsFound { mut model_versions } =
            self.get("model-versions/search", &query).await?;
        model_versions.retain(|version| version.job().is_some());
        model_versions.sort_by_key(|version| version.version.parse().unwrap_or(u64::MAX));
        let mut found = model_versions.into_iter();
        let Some(first) = found.next() else {
            return Ok(None);
        };
        for double in found.filter(|double| double.run_id == first.run_id) {
            let body = json!({ "name": double.name, "version": double.version });
            let call = "model-versions/delete";
            let _: Empty = self.call(Method::DELETE, call, &[], Some(&body)).await?;
        }
        Ok(Some(first))
    }

    /// Points an alias at a version, and looks whether it does.
    async fn point(&self, name: &str, alias: &str, version: &str) -> Result<()> {
        let body = json!({ "name": name, "alias": alias, "version": version });
        let _: Empty = self.post("registered-models/alias", &body).await?;
        let found = self.by_alias(name, alias).await?;
        if found.version == version {
            return Ok(());
        }
        Err(MlflowError::NotKept {
            run: found.run_id,
            what: format!("the alias {alias:?} of {name:?}"),
            detail: format!("it points at version {}", found.version),
        })
    }

    pub(super) async fn by_alias(&self, name: &str, alias: &str) -> Result<ModelVersion> {
        let query = [("name", name), ("alias", alias)];
        match self
            .get::<VersionAnswer>("registered-models/alias", &query)
            .await
        {
            Ok(answer) => Ok(answer.model_version),
            // 404 without the model, 400 without the alias.
            Err(MlflowError::NotFound { .. } | MlflowError::Refused { status: 400, .. }) => {
                Err(MlflowError::NotFound {
                    what: format!("version of {name:?} under the alias {alias:?}"),
                })
            }
            Err(e) => Err(e),
        }
    }

    pub(super) async fn by_number(&self, name: &str, version: u32) -> Result<ModelVersion> {
        let number = version.to_string();
        let query = [("name", name), ("version", number.as_str())];
        match self
            .get::<VersionAnswer>("model-versions/get", &query)
            .await
        {
            Ok(answer) => Ok(answer.model_version),
            Err(MlflowError::NotFound { .. }) => Err(MlflowError::NotFound {
                what: format!("version {version} of {name:?}"),
            }),
            Err(e) => Err(e),
        }
    }
}
