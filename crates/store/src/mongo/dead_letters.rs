//! Dead letters: numbered in the order in which they were put aside, bounded in number.
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
use mongodb::bson::{Bson, Document, doc, serialize_to_bson};

use super::{
    Inner,
    documents::{DeadLetterDocument, number},
    fault, limit_of,
    schema::is_duplicate,
};
use crate::{
    DeadLetter, DeadLetterState, DroppedCount, PutAside, ReasonCount, Result, StoreError, quota,
};

/// Letters removed by one command at most.
const REMOVED_AT_ONCE: i64 = 10_000;
/// Messages that one question names at most.
const ASKED_AT_ONCE: usize = 1_000;
/// How long a count of letters is believed: others may have replayed or discarded some, or added.
const COUNTED_EVERY: Duration = Duration::from_secs(10);

/// How many letters there are, as far as this process knows.
#[derive(Default)]
pub(super) struct Room {
    of_source: HashMap<String, Known>,
}

struct Known {
    letters: u64,
    counted: Instant,
}

impl Inner {
    /// See [`crate::DeadLetterStore::put_aside`].
    pub(super) async fn put_aside(
        &self,
        mut rejects: Vec<Reject>,
        at: Timestamp,
    ) -> Result<PutAside> {
        let known = self.known_messages(&rejects).await?;
        rejects.retain(|r| r.message.as_ref().is_none_or(|m| !known.contains(m)));
        let mut done = PutAside::default();
        if rejects.is_empty() {
            return Ok(done);
        }
        // Held while letters go in: the counts are those of everything that this process has added.
        let mut room = self.letter_room.lock().await;
        let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
        let mut letters = Vec::with_capacity(rejects.len());
        let mut sources = room.of_source.len();
        for reject in rejects {
            let known =
                |source: &str| room.of_source.contains_key(source) || wanted.contains_key(source);
            let source = quota::source_of(&reject, sources, known);
            sources += usize::from(!known(&source));
            *wanted.entry(source.clone()).or_insert(0) += 1;
            letters.push((source, reject));
        }
        let mut free = self.free_for(&mut room, wanted).await?;
        letters.retain(|(source, reject)| match free.get_mut(source) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => {
                done.drop_one(source, reject.reason);
                false
            }
        });
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

    /// How many of the letters that each source wants to add go in; replayed ones make room.
    async fn free_for(
        &self,
        room: &mut Room,
        wanted: BTreeMap<String, u64>,
    ) -> Result<BTreeMap<String, u64>> {
        // From the collection's statistics: counting would cost more the more there are.
        let mut total = self.dead_letters.estimated_document_count().await?;
        let mut fits = BTreeMap::new();
        for (source, wanted) in wanted {
            let per_source = self.letter_quota.per_source;
            let mut free = per_source.saturating_sub(self.letters_of(room, &source).await?);
            if free < wanted {
                let more = (wanted - free).min(per_source);
                let removed = self.remove_replayed(Some(&source), more).await?;
                room.less(&source, removed);
                total = total.saturating_sub(removed);
                free += removed;
            }
            let mut kept = wanted.min(free);
            let in_all = self.letter_quota.total.saturating_sub(total);
            if in_all < kept {
                let removed = self.remove_replayed(None, kept - in_all).await?;
                // Whose they were is not known: all are counted anew.
                room.of_source.retain(|_, _| removed == 0);
                total = total.saturating_sub(removed);
                kept = kept.min(in_all + removed);
            }
            total += kept;
            fits.insert(source, kept);
        }
        Ok(fits)
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

    /// Removes the oldest replayed letters, of one source if given; says how many.
    async fn remove_replayed(&self, source: Option<&str>, wanted: u64) -> Result<u64> {
        let mut filter = doc! { "state": "replayed" };
        if let Some(source) = source {
            filter.insert("source", source);
        }
        let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
        let mut removed = 0;
        while removed < wanted {
            let ids: Vec<Document> = self
                .dead_letters
                .clone_with_type::<Document>()
                .find(filter.clone())
                .projection(doc! { "_id": 1 })
                .sort(doc! { "_id": 1 })
                .limit((wanted - removed).min(REMOVED_AT_ONCE))
                .await?
                .try_collect()
                .await?;
            let ids: Vec<Bson> = ids.iter().filter_map(|d| d.get("_id").cloned()).collect();
            if ids.is_empty() {
                break;
            }
            let gone = self
                .dead_letters
                .delete_many(doc! { "_id": { "$in": ids } })
                .await?;
            removed += i64::try_from(gone.deleted_count.max(1)).unwrap_or(i64::MAX);
        }
        Ok(removed.cast_unsigned())
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

    /// See [`crate::DeadLetterStore::open_dead_letters`].
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

    /// See [`crate::DeadLetterStore::dead_letter_counts`]: along the index on state and reason.
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

    /// See [`crate::DeadLetterStore::dropped_dead_letters`].
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

impl Room {
    fn less(&mut self, source: &str, removed: u64) {
        if let Some(known) = self.of_source.get_mut(source) {
            known.letters = known.letters.saturating_sub(removed);
        }
    }
}
