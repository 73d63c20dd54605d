//! The registry as it is read. A publication that is committed and not written out yet is brought to its end
//! first; see the module `publish`.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use market::Timestamp;
use mongodb::bson::{Document, doc};

use super::{
    Inner,
    instruments::literal,
    limit_of,
    publication_documents::{ModelDocument, MoveDocument, VerdictDocument, VersionDocument},
};
use crate::{AliasChange, Budget, ModelSummary, Result, Verdict, Version, VersionQuery};

/// Names that one call asks for at most.
const AT_ONCE: usize = 1_000;

impl Inner {
    async fn model(&self, name: &str) -> Result<Option<ModelDocument>> {
        let models = self.training.models.clone_with_type::<ModelDocument>();
        Ok(models.find_one(doc! { "_id": name }).await?)
    }

    async fn version_of(&self, model: &ModelDocument, version: i64) -> Result<Option<Version>> {
        let versions = self.training.versions.clone_with_type::<VersionDocument>();
        let id = VersionDocument::id(&model.id, version);
        let found = versions.find_one(doc! { "_id": id }).await?;
        found
            .map(|found| found.into_version(&model.aliases))
            .transpose()
    }

    /// See [`crate::ModelRegistry::version`].
    pub(super) async fn version(&self, name: &str, version: u32) -> Result<Option<Version>> {
        self.settled(Some(name)).await?;
        match self.model(name).await? {
            Some(model) => self.version_of(&model, version.into()).await,
            None => Ok(None),
        }
    }

    /// See [`crate::ModelRegistry::by_alias`].
    pub(super) async fn by_alias(&self, name: &str, alias: &str) -> Result<Option<Version>> {
        self.settled(Some(name)).await?;
        let Some(model) = self.model(name).await? else {
            return Ok(None);
        };
        match model.aliases.get(alias) {
            Some(version) => self.version_of(&model, *version).await,
            None => Ok(None),
        }
    }

    /// The aliases of names.
    async fn aliases_of(
        &self,
        names: impl Iterator<Item = &str>,
    ) -> Result<BTreeMap<String, BTreeMap<String, i64>>> {
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        names.dedup();
        let models = self.training.models.clone_with_type::<ModelDocument>();
        let mut aliases = BTreeMap::new();
        for names in names.chunks(AT_ONCE) {
            let these = doc! { "_id": { "$in": names.to_vec() } };
            let mut found = models.find(these).await?;
            while let Some(model) = found.try_next().await? {
                aliases.insert(model.id, model.aliases);
            }
        }
        Ok(aliases)
    }

    /// See [`crate::ModelRegistry::versions`].
    pub(super) async fn versions(&self, query: &VersionQuery) -> Result<Vec<Version>> {
        let Some(limit) = limit_of(query.limit) else {
            return Ok(Vec::new());
        };
        self.settled(query.name.as_deref()).await?;
        let mut filter = Document::new();
        if let Some(name) = &query.name {
            filter.insert("name", name);
        }
        if let Some(before) = query.before_id {
            filter.insert("number", doc! { "$lt": before });
        }
        if let Some(text) = &query.contains {
            filter.insert("search", doc! { "$regex": literal(&text.to_lowercase()) });
        }
        if let Some(archived) = query.archived {
            filter.insert("is_archived", archived);
        }
        if let Some(alias) = &query.alias {
            filter.insert("_id", doc! { "$in": self.named_by(alias).await? });
        }
        let versions = self.training.versions.clone_with_type::<VersionDocument>();
        let newest_first = doc! { "number": -1 };
        let found = versions
            .find(filter)
            .sort(newest_first)
            .limit(limit)
            .await?;
        let found: Vec<VersionDocument> = found.try_collect().await?;
        let aliases = self
            .aliases_of(found.iter().map(|v| v.name.as_str()))
            .await?;
        let none = BTreeMap::new();
        found
            .into_iter()
            .map(|version| {
                let aliases = aliases.get(&version.name).unwrap_or(&none);
                version.into_version(aliases)
            })
            .collect()
    }

    /// The `_id`s of the versions that an alias points at. What can be no alias points at none.
    async fn named_by(&self, alias: &str) -> Result<Vec<String>> {
        if !crate::publication::is_alias(alias) {
            return Ok(Vec::new());
        }
        let models = self.training.models.clone_with_type::<ModelDocument>();
        let with = doc! { format!("aliases.{alias}"): { "$exists": true } };
        let mut found = models.find(with).await?;
        let mut ids = Vec::new();
        while let Some(model) = found.try_next().await? {
            let points_at = model.aliases.get(alias);
            ids.extend(points_at.map(|version| VersionDocument::id(&model.id, *version)));
        }
        Ok(ids)
    }

    /// See [`crate::ModelRegistry::models`].
    pub(super) async fn models(
        &self,
        contains: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ModelSummary>> {
        let Some(limit) = limit_of(limit) else {
            return Ok(Vec::new());
        };
        self.settled(None).await?;
        let mut filter = doc! { "revision": { "$gt": 0_i64 } };
        if let Some(after) = after {
            filter.insert("name", doc! { "$gt": after });
        }
        if let Some(text) = contains {
            filter.insert("search", doc! { "$regex": literal(&text.to_lowercase()) });
        }
        let models = self.training.models.clone_with_type::<ModelDocument>();
        let in_order = doc! { "name": 1 };
        let found = models.find(filter).sort(in_order).limit(limit).await?;
        let found: Vec<ModelDocument> = found.try_collect().await?;
        let summary = |model: ModelDocument| ModelSummary {
            versions: model.present().versions,
            aliases: model.aliases(),
            name: model.name,
        };
        Ok(found.into_iter().map(summary).collect())
    }

    /// The last move of an alias, or the last until a time.
    pub(super) async fn last_move(
        &self,
        name: &str,
        alias: &str,
        until: Option<Timestamp>,
    ) -> Result<Option<MoveDocument>> {
        let mut filter = doc! { "name": name, "alias": alias };
        if let Some(until) = until {
            filter.insert("at_us", doc! { "$lte": until.as_micros() });
        }
        let moves = self.training.alias_moves.clone_with_type::<MoveDocument>();
        let latest_first = doc! { "at_us": -1, "_id": -1 };
        Ok(moves.find_one(filter).sort(latest_first).await?)
    }

    /// See [`crate::ModelRegistry::alias_at`].
    pub(super) async fn alias_at(
        &self,
        name: &str,
        alias: &str,
        at: Timestamp,
    ) -> Result<Option<u32>> {
        self.settled(Some(name)).await?;
        let last = self.last_move(name, alias, Some(at)).await?;
        Ok(last.and_then(|last| last.into_change().to))
    }

    /// See [`crate::ModelRegistry::alias_history`].
    pub(super) async fn alias_history(
        &self,
        name: &str,
        alias: &str,
        (from, until): (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<AliasChange>> {
        let Some(limit) = limit_of(limit) else {
            return Ok(Vec::new());
        };
        self.settled(Some(name)).await?;
        let range = doc! { "$gte": from.as_micros(), "$lt": until.as_micros() };
        let moves = self.training.alias_moves.clone_with_type::<MoveDocument>();
        let mut found: Vec<MoveDocument> = moves
            .find(doc! { "name": name, "alias": alias, "at_us": range })
            .sort(doc! { "at_us": -1, "_id": -1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?;
        found.reverse();
        Ok(found.into_iter().map(MoveDocument::into_change).collect())
    }

    /// See [`crate::ModelRegistry::verdicts`].
    pub(super) async fn verdicts(
        &self,
        name: Option<&str>,
        before_id: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Verdict>> {
        let Some(limit) = limit_of(limit) else {
            return Ok(Vec::new());
        };
        self.settled(name).await?;
        let mut filter = Document::new();
        if let Some(name) = name {
            filter.insert("name", name);
        }
        if let Some(before) = before_id {
            filter.insert("number", doc! { "$lt": before });
        }
        let verdicts = self.training.verdicts.clone_with_type::<VerdictDocument>();
        let newest_first = doc! { "number": -1 };
        let found = verdicts
            .find(filter)
            .sort(newest_first)
            .limit(limit)
            .await?;
        let found: Vec<VerdictDocument> = found.try_collect().await?;
        found
            .into_iter()
            .map(VerdictDocument::into_verdict)
            .collect()
    }

    /// See [`crate::ModelRegistry::budget`]. Summed here: not every server gets a sum right.
    pub(super) async fn budget(&self, name: &str, since: Timestamp) -> Result<Budget> {
        self.settled(Some(name)).await?;
        let of_name = doc! { "name": name, "at_us": { "$gte": since.as_micros() } };
        let mut found = self
            .training
            .verdicts
            .find(of_name)
            .sort(doc! { "number": 1 })
            .projection(doc! { "budget_spent": 1 })
            .await?;
        let mut budget = Budget::default();
        while let Some(verdict) = found.try_next().await? {
            budget.spent += super::documents::number(&verdict, "budget_spent");
            budget.tries += 1;
        }
        Ok(budget)
    }
}
