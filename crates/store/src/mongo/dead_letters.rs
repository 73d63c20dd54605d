//! Dead letters: numbered in the order in which they came, bounded in number.
//!
//! Policy when full: see [`crate::quota`]. How many letters a source has is counted when it is first
//! met and again from time to time, not with every batch; in between, what this process adds is
//! added up. What is not kept is counted by `$inc` in `stock_data_dropped_dead_letters`.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::{Duration, Instant},
};

use futures::TryStreamExt;
use market::{Reject, RejectReason, Timestamp};
use mongodb::bson::{Document, doc, serialize_to_bson};

use super::{
    Inner,
    documents::{DeadLetterDocument, number},
    fault, limit_of,
    schema::is_duplicate,
};
use crate::{
    DeadLetter, DeadLetterQuota, DeadLetterState, DroppedCount, ReasonCount, RejectReport, Result,
    StoreError, quota,
};

/// Messages that one question names at most.
const ASKED_AT_ONCE: usize = 1_000;
/// How long a count of letters is believed: others may have replayed or discarded some, or added.
const COUNTED_EVERY: Duration = Duration::from_secs(10);

/// How many letters there are, as far as this process knows.
#[derive(Default)]
pub(super) struct Room {
    of_source: HashMap<String, Known>,
}

/// How full the collection is while letters go in, one after the other.
struct Filling {
    quota: DeadLetterQuota,
    /// The letters of each source that letters go in of.
    of_source: HashMap<String, u64>,
    total: u64,
    /// Those that may make room, oldest first, with their sources.
    replayed: BTreeMap<i64, String>,
    /// Those of them that do.
    removed: Vec<(i64, String)>,
}

struct Known {
    letters: u64,
    counted: Instant,
}

impl Inner {
    /// See [`crate::DeadLetterLog::reject`].
    pub(super) async fn reject(
        &self,
        mut rejects: Vec<Reject>,
        at: Timestamp,
    ) -> Result<RejectReport> {
        let mut known = self.known_messages(&rejects).await?;
        // Of those of one message the first counts.
        rejects.retain(|r| r.message.as_ref().is_none_or(|m| known.insert(m.clone())));
        let mut done = RejectReport::default();
        if rejects.is_empty() {
            return Ok(done);
        }
        // Held while letters go in: the counts are those of everything that this process has added.
        let mut room = self.letter_room.lock().await;
        let mut sources: HashSet<String> = HashSet::new();
        let mut count = room.of_source.len();
        let mut letters = Vec::with_capacity(rejects.len());
        for reject in rejects {
            let known =
                |source: &str| room.of_source.contains_key(source) || sources.contains(source);
            let source = quota::source_of(&reject, count, known);
            count += usize::from(!known(&source));
            sources.insert(source.clone());
            letters.push((source, reject));
        }
        let mut filling = self.filling(&mut room, &sources, &letters).await?;
        letters.retain(|(source, reject)| {
            let fits = filling.take(source);
            if !fits {
                done.drop_one(source, reject.reason);
            }
            fits
        });
        self.remove(&mut room, filling.removed).await?;
        if !letters.is_empty() {
            let first = self.next_numbers("dead_letter", letters.len()).await?;
            let sources: Vec<String> = letters.iter().map(|(source, _)| source.clone()).collect();
            let documents: Vec<DeadLetterDocument> = (first..)
                .zip(letters)
                .map(|(id, (source, reject))| DeadLetterDocument::new(id, source, reject, at))
                .collect();
            self.dead_letters.insert_many(&documents).await?;
            done.kept = documents.len() as u64;
            for source in sources {
                if let Some(known) = room.of_source.get_mut(&source) {
                    known.letters += 1;
                }
            }
        }
        drop(room);
        self.count_dropped(&done.dropped).await?;
        Ok(done)
    }

    /// How full the collection is, with the replayed letters that may make room for these.
    async fn filling(
        &self,
        room: &mut Room,
        sources: &HashSet<String>,
        letters: &[(String, Reject)],
    ) -> Result<Filling> {
        let mut filling = Filling {
            quota: self.dead_letter_quota,
            of_source: HashMap::new(),
            // From the collection's statistics: counting would cost more the more there are.
            total: self.dead_letters.estimated_document_count().await?,
            replayed: BTreeMap::new(),
            removed: Vec::new(),
        };
        let most = letters.len() as u64;
        if filling.total + most > filling.quota.total {
            let oldest = self.oldest_replayed(None, letters.len()).await?;
            filling.replayed.extend(oldest);
        }
        for source in sources {
            let of_source = self.letters_of(room, source).await?;
            filling.of_source.insert(source.clone(), of_source);
            let wanted = letters.iter().filter(|(of, _)| of == source).count() as u64;
            if of_source + wanted > filling.quota.per_source {
                let oldest = self.oldest_replayed(Some(source), letters.len()).await?;
                filling.replayed.extend(oldest);
            }
        }
        Ok(filling)
    }

    /// How many letters a source has.
    async fn letters_of(&self, room: &mut Room, source: &str) -> Result<u64> {
        if let Some(known) = room.of_source.get(source)
            && known.counted.elapsed() < COUNTED_EVERY
        {
            return Ok(known.letters);
        }
        let letters = self
            .dead_letters
            .count_documents(doc! { "source": source })
            .await?;
        let counted = Instant::now();
        let known = Known { letters, counted };
        room.of_source.insert(source.to_owned(), known);
        Ok(letters)
    }

    /// The oldest replayed letters, of one source if given, with their sources.
    async fn oldest_replayed(
        &self,
        source: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(i64, String)>> {
        let mut filter = doc! { "state": "replayed" };
        if let Some(source) = source {
            filter.insert("source", source);
        }
        let mut found = self
            .dead_letters
            .clone_with_type::<Document>()
            .find(filter)
            .projection(doc! { "_id": 1, "source": 1 })
            .sort(doc! { "_id": 1 })
            .limit(limit_of(limit).unwrap_or(1))
            .await?;
        let mut letters = Vec::new();
        while let Some(letter) = found.try_next().await? {
            // Letters of builds without quotas have none.
            let source = letter.get_str("source").unwrap_or_default();
            letters.push((
                letter.get_i64("_id").map_err(fault::foreign)?,
                source.to_owned(),
            ));
        }
        Ok(letters)
    }

    /// Removes replayed letters that make room for others.
    async fn remove(&self, room: &mut Room, letters: Vec<(i64, String)>) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = letters.iter().map(|(id, _)| *id).collect();
        for ids in ids.chunks(ASKED_AT_ONCE) {
            let some = doc! { "_id": { "$in": ids.to_vec() } };
            self.dead_letters.delete_many(some).await?;
        }
        for (_, source) in letters {
            if let Some(known) = room.of_source.get_mut(&source) {
                known.letters = known.letters.saturating_sub(1);
            }
        }
        Ok(())
    }

    async fn count_dropped(&self, dropped: &[DroppedCount]) -> Result<()> {
        for count in dropped {
            let (source, reason) = (count.source.as_str(), count.reason.as_str());
            let of = doc! { "_id": format!("{reason}|{source}") };
            let more = doc! {
                "$inc": { "dropped": i64::try_from(count.dropped).unwrap_or(i64::MAX) },
                "$set": { "source": source, "reason": reason },
            };
            let counted = async || {
                let (of, more) = (of.clone(), more.clone());
                self.dropped_letters.update_one(of, more).upsert(true).await
            };
            match counted().await {
                // Another process made the document at the same moment.
                Err(e) if is_duplicate(&e) => counted().await?,
                other => other?,
            };
        }
        Ok(())
    }

    /// Those of the rejects' messages of which there are letters. To look before writing is enough:
    /// a message is one consumer's at a time, and its letters come again only after it was cut off.
    async fn known_messages(&self, rejects: &[Reject]) -> Result<HashSet<String>> {
        let messages: Vec<&String> = rejects.iter().filter_map(|r| r.message.as_ref()).collect();
        let mut known = HashSet::new();
        for messages in messages.chunks(ASKED_AT_ONCE) {
            let mut found = self
                .dead_letters
                .clone_with_type::<Document>()
                .find(doc! { "message": { "$in": messages } })
                .projection(doc! { "message": 1 })
                .await?;
            while let Some(letter) = found.try_next().await? {
                known.extend(letter.get_str("message").map(str::to_owned));
            }
        }
        Ok(known)
    }

    /// See [`crate::DeadLetterLog::open_dead_letters`].
    pub(super) async fn open_dead_letters(
        &self,
        reason: Option<RejectReason>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let Some(limit) = limit_of(limit) else {
            return Ok(Vec::new());
        };
        let mut filter = doc! { "state": "open", "_id": { "$gt": after } };
        if let Some(reason) = reason {
            filter.insert("reason", reason.as_str());
        }
        let letters: Vec<DeadLetterDocument> = self
            .dead_letters
            .find(filter)
            .sort(doc! { "_id": 1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?;
        Ok(letters
            .into_iter()
            .map(DeadLetterDocument::into_letter)
            .collect())
    }

    /// See [`crate::DeadLetterStore::mark_replayed`].
    pub(super) async fn mark_replayed(&self, ids: Vec<i64>) -> Result<usize> {
        if ids.is_empty() {
            return Ok(0);
        }
        let replayed = serialize_to_bson(&DeadLetterState::Replayed).map_err(fault::foreign)?;
        let marked = self
            .dead_letters
            .update_many(
                doc! { "_id": { "$in": ids }, "state": "open" },
                doc! { "$set": { "state": replayed } },
            )
            .await?;
        Ok(usize::try_from(marked.modified_count).unwrap_or(usize::MAX))
    }

    /// See [`crate::DeadLetterLog::dead_letter_counts`]: along the index on state and reason.
    pub(super) async fn dead_letter_counts(&self) -> Result<Vec<ReasonCount>> {
        let mut counts: BTreeMap<RejectReason, ReasonCount> = BTreeMap::new();
        for reason in RejectReason::ALL {
            let count = async |state: &str| {
                let filter = doc! { "state": state, "reason": reason.as_str() };
                self.dead_letters.count_documents(filter).await
            };
            let (open, replayed) = (count("open").await?, count("replayed").await?);
            if open + replayed > 0 {
                let count = ReasonCount {
                    reason,
                    open,
                    replayed,
                };
                counts.insert(reason, count);
            }
        }
        Ok(counts.into_values().collect())
    }

    /// See [`crate::DeadLetterLog::dropped_dead_letters`].
    pub(super) async fn dropped_dead_letters(&self) -> Result<Vec<DroppedCount>> {
        let mut documents = self.dropped_letters.find(doc! {}).await?;
        let mut counts = Vec::new();
        while let Some(document) = documents.try_next().await? {
            let reason = document.get_str("reason").unwrap_or_default();
            let known = RejectReason::ALL.into_iter().find(|r| r.as_str() == reason);
            let reason = known.ok_or_else(|| StoreError::Internal {
                detail: format!("dropped dead letters of the reason {reason:?}"),
            })?;
            counts.push(DroppedCount {
                source: document.get_str("source").unwrap_or_default().to_owned(),
                reason,
                dropped: number(&document, "dropped") as u64,
            });
        }
        counts.sort_unstable();
        Ok(counts)
    }

    /// See [`crate::DeadLetterStore::discard`].
    pub(super) async fn discard(
        &self,
        reason: Option<RejectReason>,
        source: Option<&str>,
    ) -> Result<u64> {
        let mut filter = Document::new();
        if let Some(reason) = reason {
            filter.insert("reason", reason.as_str());
        }
        if let Some(source) = source {
            filter.insert("source", source);
        }
        let mut room = self.letter_room.lock().await;
        let discarded = self.dead_letters.delete_many(filter.clone()).await?;
        self.dropped_letters.delete_many(filter).await?;
        room.of_source.clear();
        Ok(discarded.deleted_count)
    }
}

impl Filling {
    /// Whether there is room for one more letter of a source, or is made by a replayed one.
    fn take(&mut self, source: &str) -> bool {
        let of_source = |filling: &Self| filling.of_source.get(source).copied().unwrap_or(0);
        let oldest = if of_source(self) >= self.quota.per_source {
            let mut replayed = self.replayed.iter();
            replayed.find(|(_, of)| *of == source).map(|(id, _)| *id)
        } else if self.total >= self.quota.total {
            self.replayed.keys().next().copied()
        } else {
            *self.of_source.entry(source.to_owned()).or_insert(0) += 1;
            self.total += 1;
            return true;
        };
        let Some((id, of)) = oldest.and_then(|id| self.replayed.remove_entry(&id)) else {
            return false;
        };
        // One goes and one comes.
        if let Some(known) = self.of_source.get_mut(&of) {
            *known -= 1;
        }
        *self.of_source.entry(source.to_owned()).or_insert(0) += 1;
        self.removed.push((id, of));
        true
    }
}
