//! Publications, without transactions: what changes together is committed by one change of one document.
//!
//! Model: a document in `stock_data_publications` whose `_id` is the model's name. Who wants to publish inserts
//! it, with a token that no other has; that is the right to change what there is of the name. Under it he looks
//! at the name, plans, and writes the plan into that document. Then comes the commit:
//! - with a job's completion it is the change of the **job's** document to `succeeded`, which names the token and
//!   demands the attempt, so that of a lost lease nothing is committed;
//! - by hand it is the change of the **publication's** document to `committed`.
//!
//! After the commit the plan is written to where it belongs, every part under an `_id` of its own, so that doing
//! it again does no harm; last comes the model's document, which goes from one revision to the next once, and
//! then the publication's document goes. Whoever comes upon a committed publication (to publish, or to read)
//! brings it to its end first: a process that died after the commit has lost nothing. Whoever comes upon one that
//! is not committed may do away with it when it takes too long, after he has seen to it that it cannot be
//! committed any more: its token is made void in the job's document, or the document is removed as long as it is
//! not committed. A process that died before the commit has left nothing that anybody sees.

use std::{collections::BTreeMap, time::Duration};

use futures::TryStreamExt;
use market::Timestamp;
use mongodb::bson::{Bson, Document, doc};
use serde::{Deserialize, Serialize};

use super::{
    Inner,
    job_documents::{JobDocument, held},
    jobs::ended,
    publication_documents::{
        ArchiveDocument, MessageDocument, ModelDocument, MoveDocument, VerdictDocument,
        VersionDocument,
    },
    schema::{duplicates, is_duplicate},
    training::{TRIES, contended, document, read},
};
use crate::{
    Change, JobState, Lease, Publication, Published, Result, StoreError, content,
    publication::{self, Present},
};

/// How often one that another one has begun is looked at before it is done away with, and the time between.
const PATIENCE: u32 = 40;
const AGAIN: Duration = Duration::from_millis(25);

/// A publication on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PublicationDocument {
    #[serde(rename = "_id")]
    name: String,
    token: i64,
    /// The job whose completion commits it.
    job: Option<i64>,
    attempt: i64,
    /// That it is committed, where no job does that.
    committed: bool,
    plan: Option<PlanDocument>,
}

/// What is to be written.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PlanDocument {
    /// The revision of the model that it goes from.
    revision: i64,
    versions: i64,
    aliases: BTreeMap<String, i64>,
    version: Option<VersionDocument>,
    moves: Vec<MoveDocument>,
    verdict: Option<VerdictDocument>,
    messages: Vec<MessageDocument>,
    archive: Option<ArchiveDocument>,
}

/// What somebody wants to write.
enum Wanted<'a> {
    Publication(&'a Publication, Option<i64>),
    Archive(u32, Option<&'a Change>),
}

impl Inner {
    /// See [`crate::ModelRegistry::publish`].
    pub(super) async fn publish(
        &self,
        publication: &Publication,
        now: Timestamp,
    ) -> Result<Published> {
        let name = publication::check(publication)?.unwrap_or_default();
        self.refuse_missing(publication).await?;
        let _turn = self.training.turn.lock().await;
        let wanted = Wanted::Publication(publication, None);
        self.publish_by_hand(&name, &wanted, now).await
    }

    /// See [`crate::ModelRegistry::archive`].
    pub(super) async fn archive(
        &self,
        name: &str,
        version: u32,
        change: Option<&Change>,
    ) -> Result<()> {
        let _turn = self.training.turn.lock().await;
        let wanted = Wanted::Archive(version, change);
        let now = change.map_or(Timestamp::MIN, |change| change.at);
        self.publish_by_hand(name, &wanted, now).await.map(drop)
    }

    async fn publish_by_hand(
        &self,
        name: &str,
        wanted: &Wanted<'_>,
        now: Timestamp,
    ) -> Result<Published> {
        for _ in 0..TRIES {
            let begun = self.begin(name, None).await?;
            let (plan, published) = self.plan_or_give_up(&begun, wanted, now).await?;
            let set = doc! { "plan": document(&plan)?, "committed": true };
            if self.set(&begun, set).await? {
                self.write_out(name, begun.token, &plan).await?;
                return Ok(published);
            }
        }
        Err(contended(name))
    }

    /// A job's completion with what it publishes; `None` when the lease is lost.
    pub(super) async fn complete(
        &self,
        lease: Lease,
        result: &str,
        publication: &Publication,
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Published>> {
        self.refuse_missing(publication).await?;
        let name = name.unwrap_or_default();
        for _ in 0..TRIES {
            let jobs = &self.training.jobs;
            if jobs.find_one(held(lease)).await?.is_none() {
                return Ok(None);
            }
            let begun = self.begin(name, Some(lease)).await?;
            let wanted = Wanted::Publication(publication, Some(lease.job));
            let (plan, published) = self.plan_or_give_up(&begun, &wanted, now).await?;
            if !self.set(&begun, doc! { "plan": document(&plan)? }).await? {
                continue;
            }
            let mut as_it_was = held(lease);
            as_it_was.insert("void", doc! { "$lt": begun.token });
            let mut set = ended(JobState::Succeeded, None, Some(result), now);
            set.insert("published", begun.token);
            // The commit. If its answer is lost, who comes next looks what became of it.
            if self
                .change(jobs, as_it_was, doc! { "$set": set })
                .await?
                .is_some()
            {
                self.write_out(name, begun.token, &plan).await?;
                return Ok(Some(published));
            }
            self.end(name, begun.token).await?;
        }
        Err(contended(name))
    }

    /// Gets the right to change what there is of a name.
    async fn begin(&self, name: &str, lease: Option<Lease>) -> Result<PublicationDocument> {
        let all = self.training.publications.clone_with_type();
        let mut seen = (0, 0);
        for _ in 0..TRIES * PATIENCE {
            let begun = PublicationDocument {
                name: name.to_owned(),
                token: self.next_numbers("publication", 1).await?,
                job: lease.map(|lease| lease.job),
                attempt: lease.map_or(0, |lease| lease.attempt.into()),
                committed: false,
                plan: None,
            };
            match all.insert_one(&begun).await {
                Ok(_) => return Ok(begun),
                Err(error) if is_duplicate(&error) => {}
                Err(error) => return Err(error.into()),
            }
            let Some(other) = all.find_one(doc! { "_id": name }).await? else {
                continue;
            };
            if self.settle_one(&other).await? {
                continue;
            }
            seen = (
                other.token,
                if seen.0 == other.token { seen.1 + 1 } else { 0 },
            );
            if seen.1 < PATIENCE {
                tokio::time::sleep(AGAIN).await;
            } else {
                self.do_away(&other).await?;
            }
        }
        Err(contended(name))
    }

    /// Does away with one that is not committed, unless it has been meanwhile.
    async fn do_away(&self, other: &PublicationDocument) -> Result<()> {
        let Some(job) = other.job else {
            let as_it_was = doc! { "_id": &other.name, "token": other.token, "committed": false };
            self.training.publications.delete_one(as_it_was).await?;
            return Ok(());
        };
        let attempt = u32::try_from(other.attempt).unwrap_or(u32::MAX);
        let void = doc! { "$max": { "void": other.token } };
        let running = held(Lease { job, attempt });
        let voided = self.change(&self.training.jobs, running, void).await?;
        // Not running any more: it may have been committed.
        if voided.is_some() || !self.settle_one(other).await? {
            self.end(&other.name, other.token).await?;
        }
        Ok(())
    }

    /// Writes into one that we began; whether it is still there.
    async fn set(&self, begun: &PublicationDocument, set: Document) -> Result<bool> {
        let ours = doc! { "_id": &begun.name, "token": begun.token };
        let set = doc! { "$set": set };
        let there = self.change(&self.training.publications, ours, set).await?;
        Ok(there.is_some())
    }

    /// Removes one.
    async fn end(&self, name: &str, token: i64) -> Result<()> {
        let ours = doc! { "_id": name, "token": token };
        self.training.publications.delete_one(ours).await?;
        Ok(())
    }

    /// Brings every committed publication of a name, or of all, to its end. Not for readers: see
    /// [`Self::settled`].
    pub(super) async fn settle(&self, name: Option<&str>) -> Result<()> {
        for other in self.begun(name).await? {
            self.settle_one(&other).await?;
        }
        Ok(())
    }

    /// As [`Self::settle`], before something is read.
    pub(super) async fn settled(&self, name: Option<&str>) -> Result<()> {
        for other in self.begun(name).await? {
            let _turn = self.training.turn.lock().await;
            self.settle_one(&other).await?;
        }
        Ok(())
    }

    async fn begun(&self, name: Option<&str>) -> Result<Vec<PublicationDocument>> {
        let all = self.training.publications.clone_with_type();
        let filter = name.map_or_else(Document::new, |name| doc! { "_id": name });
        Ok(all.find(filter).await?.try_collect().await?)
    }

    /// Brings one to its end if it is committed; whether it is.
    async fn settle_one(&self, other: &PublicationDocument) -> Result<bool> {
        let is_committed = match other.job {
            None => other.committed,
            Some(job) => {
                let job = self.job_document(job).await?;
                job.is_some_and(|job: JobDocument| job.published == other.token)
            }
        };
        if !is_committed {
            return Ok(false);
        }
        // As it was when it was committed, which may have been after we found it.
        let ours = doc! { "_id": &other.name, "token": other.token };
        let all = &self.training.publications;
        let Some(found) = all.find_one(ours).await? else {
            return Ok(true);
        };
        let committed: PublicationDocument = read(found)?;
        if let Some(plan) = &committed.plan {
            self.write_out(&committed.name, committed.token, plan)
                .await?;
        }
        Ok(true)
    }

    /// Writes a committed plan to where it belongs, and ends its publication.
    async fn write_out(&self, name: &str, token: i64, plan: &PlanDocument) -> Result<()> {
        let training = &self.training;
        let verdict = plan.verdict.iter().map(document);
        insert(&training.verdicts, verdict).await?;
        let version = plan.version.iter().map(document);
        insert(&training.versions, version).await?;
        insert(&training.alias_moves, plan.moves.iter().map(document)).await?;
        self.insert_messages(&plan.messages).await?;
        if let Some(archive) = &plan.archive {
            let older =
                doc! { "_id": &archive.version, "archive_revision": { "$lte": plan.revision } };
            let set = doc! {
                "archived": archive.change.as_ref().map(document).transpose()?,
                "is_archived": archive.change.is_some(),
                "archive_revision": plan.revision + 1,
            };
            self.change(&training.versions, older, doc! { "$set": set })
                .await?;
        }
        if !name.is_empty() {
            let before = doc! { "_id": name, "revision": plan.revision };
            let set = doc! {
                "versions": plan.versions,
                "aliases": Bson::Document(document(&plan.aliases)?),
                "revision": plan.revision + 1,
            };
            self.change(&training.models, before, doc! { "$set": set })
                .await?;
        }
        self.end(name, token).await
    }

    /// What is to be written; where it cannot be, the publication that was begun is ended.
    async fn plan_or_give_up(
        &self,
        begun: &PublicationDocument,
        wanted: &Wanted<'_>,
        now: Timestamp,
    ) -> Result<(PlanDocument, Published)> {
        let planned = self.plan(&begun.name, wanted, now).await;
        if planned.is_err() {
            self.end(&begun.name, begun.token).await?;
        }
        planned
    }

    async fn plan(
        &self,
        name: &str,
        wanted: &Wanted<'_>,
        now: Timestamp,
    ) -> Result<(PlanDocument, Published)> {
        let model = self.model_or_new(name).await?;
        let mut plan = PlanDocument {
            revision: model.revision,
            versions: model.versions,
            aliases: model.aliases.clone(),
            version: None,
            moves: Vec::new(),
            verdict: None,
            messages: Vec::new(),
            archive: None,
        };
        match wanted {
            Wanted::Publication(publication, job) => {
                let present = model.present();
                let published = self
                    .plan_publication(&mut plan, &present, publication, *job, now)
                    .await?;
                Ok((plan, published))
            }
            Wanted::Archive(version, change) => {
                let number = i64::from(*version);
                let alias = model.aliases.iter().find(|(_, to)| **to == number);
                if !(1..=model.versions).contains(&number) {
                    return Err(StoreError::NotFound {
                        what: format!("version {version} of {name}"),
                    });
                }
                if let (Some((alias, _)), Some(_)) = (alias, change) {
                    return Err(publication::still_named(name, *version, alias));
                }
                plan.archive = Some(ArchiveDocument {
                    version: VersionDocument::id(name, number),
                    change: change.map(Into::into),
                });
                Ok((plan, Published::default()))
            }
        }
    }

    async fn plan_publication(
        &self,
        plan: &mut PlanDocument,
        present: &Present,
        publication: &Publication,
        job: Option<i64>,
        now: Timestamp,
    ) -> Result<Published> {
        let name = publication::check(publication)?.unwrap_or_default();
        let versions = self.training.versions.clone_with_type::<Document>();
        let archived: Vec<Document> = versions
            .find(doc! { "name": &name, "is_archived": true })
            .projection(doc! { "version": 1 })
            .await?
            .try_collect()
            .await?;
        let archived: Vec<i64> = archived.iter().flat_map(|v| v.get_i64("version")).collect();
        let is_archived = |version: u32| Ok(archived.contains(&version.into()));
        let planned = publication::plan(publication, present, is_archived)?;
        if let (Some(new), Some(number)) = (&publication.version, planned.version) {
            let id = self.next_numbers("model_version", 1).await?;
            plan.versions = number.into();
            plan.version = Some(VersionDocument::new(new, id, number, job, now)?);
        }
        for one in planned.moves {
            match one.to {
                Some(to) => plan.aliases.insert(one.alias.clone(), to.into()),
                None => plan.aliases.remove(&one.alias),
            };
            let id = self.next_numbers("alias_move", 1).await?;
            // Never before the move before, whatever the clock says.
            let before = self.last_move(&name, &one.alias, None).await?;
            let at = before.map_or(now, |before| before.at_us.max(now));
            plan.moves.push(MoveDocument::new(&name, one, id, at, job));
        }
        let mut published = Published {
            version: planned.version,
            verdict: None,
        };
        if let Some(new) = &publication.verdict {
            let id = self.next_numbers("verdict", 1).await?;
            published.verdict = Some(id);
            let verdict = VerdictDocument::new(new, id, planned.version, job)?;
            plan.verdict = Some(verdict);
        }
        plan.messages = self.new_messages(&publication.outbox, now).await?;
        Ok(published)
    }

    /// What there is of a name; its document is made when it is not there.
    async fn model_or_new(&self, name: &str) -> Result<ModelDocument> {
        let models = self.training.models.clone_with_type::<ModelDocument>();
        if let Some(found) = models.find_one(doc! { "_id": name }).await? {
            return Ok(found);
        }
        let new = ModelDocument::new(name);
        if !name.is_empty() {
            models.insert_one(&new).await?;
        }
        Ok(new)
    }

    /// Refuses a version whose contents are not there.
    async fn refuse_missing(&self, publication: &Publication) -> Result<()> {
        for file in publication.version.iter().flat_map(|v| &v.artefacts) {
            content::check_length(file, self.artefact_length(&file.sha256).await?)?;
        }
        Ok(())
    }
}

/// Inserts documents that may be there already.
pub(super) async fn insert(
    collection: &mongodb::Collection<Document>,
    documents: impl Iterator<Item = Result<Document>>,
) -> Result<()> {
    let documents: Vec<Document> = documents.collect::<Result<_>>()?;
    if !documents.is_empty() {
        duplicates(collection.insert_many(documents).ordered(false).await)?;
    }
    Ok(())
}
