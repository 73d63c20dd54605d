//! Dead letters: numbered in the order in which they came, bounded in number and in bytes.
//!
//! Policy when full: see [`crate::quota`]. How many letters a source has, and of how many bytes, is counted
//! when it is first met and again from time to time, not with every batch; in between, what this process adds
//! is added up. Letters of builds that did not count bytes have none. What is not kept is counted by `$inc` in `stock_data_dropped_dead_letters`.

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
    StoreError,
    quota::{self, Held},
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
    of_source: HashMap<String, Held>,
    total: u64,
    /// Those that may make room, oldest first.
    replayed: BTreeMap<i64, Replayed>,
    /// Those of them that do.
    removed: Vec<(i64, Replayed)>,
}

/// A letter that may make room.
struct Replayed {
    source: String,
    bytes: u64,
}

struct Known {
    held: Held,
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
            let fits = filling.take(source, quota::size_of(reject));
            if !fits {
                done.drop_one(source, reject.reason);
            }
            fits
        });
        self.remove(&mut room, filling.removed).await?;
        if !letters.is_empty() {
            let first = self.next_numbers("dead_letter", letters.len()).await?;
            let sizes = letters.iter();
            let sizes = sizes.map(|(source, reject)| (source.clone(), quota::size_of(reject)));
            let sizes: Vec<(String, u64)> = sizes.collect();
            let documents: Vec<DeadLetterDocument> = (first..)
                .zip(letters)
                .map(|(id, (source, reject))| DeadLetterDocument::new(id, source, reject, at))
                .collect();
            self.dead_letters.insert_many(&documents).await?;
            done.kept = documents.len() as u64;
            for (source, bytes) in sizes {
                if let Some(known) = room.of_source.get_mut(&source) {
                    known.held.add(bytes);
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
        let excess = (filling.total + letters.len() as u64).saturating_sub(filling.quota.total);
        if excess > 0 {
            let (count, bytes) = (letters.len() as u64, 0);
            let oldest = self.oldest_replayed(
                None,
                Held {
                    letters: count,
                    bytes,
                },
            );
            filling.replayed.extend(oldest.await?);
        }
        for source in sources {
            let mut held = self.held_by(room, source).await?;
            filling.of_source.insert(source.clone(), held);
            let mut wanted = Held::default();
            for (_, reject) in letters.iter().filter(|(of, _)| of == source) {
                wanted.add(quota::size_of(reject));
                held.add(quota::size_of(reject));
            }
            if held.letters > filling.quota.per_source
                || held.bytes > filling.quota.bytes_per_source
            {
                let oldest = self.oldest_replayed(Some(source), wanted).await?;
                filling.replayed.extend(oldest);
            }
        }
        Ok(filling)
    }

    /// How many letters a source has, and of how many bytes.
    async fn held_by(&self, room: &mut Room, source: &str) -> Result<Held> {
        if let Some(known) = room.of_source.get(source)
            && known.counted.elapsed() < COUNTED_EVERY
        {
            return Ok(known.held);
        }
        let of_source = doc! { "source": source };
        let letters = self.dead_letters.count_documents(of_source.clone()).await?;
        // One sum by itself: see "Differences between the servers" in docs/reliability.md.
        let sum = doc! { "_id": null, "bytes": { "$sum": "$bytes" } };
        let pipeline = [doc! { "$match": of_source }, doc! { "$group": sum }];
        let mut sums = self.dead_letters.aggregate(pipeline).await?;
        let bytes = sums.try_next().await?;
        let bytes = bytes.map_or(0, |sum| number(&sum, "bytes") as u64);
        let held = Held { letters, bytes };
        let counted = Instant::now();
        let known = Known { held, counted };
        room.of_source.insert(source.to_owned(), known);
        Ok(held)
    }

    /// The oldest replayed letters, of one source if given: as many as make room for so many letters of so
    /// many bytes, as far as there are.
    async fn oldest_replayed(
        &self,
        source: Option<&str>,
        mut wanted: Held,
    ) -> Result<Vec<(i64, Replayed)>> {
        let mut filter = doc! { "state": "replayed" };
        if let Some(source) = source {
            filter.insert("source", source);
        }
        let mut found = self
            .dead_letters
            .clone_with_type::<Document>()
            .find(filter)
            .projection(doc! { "_id": 1, "source": 1, "bytes": 1 })
            .sort(doc! { "_id": 1 })
            .await?;
        let mut letters = Vec::new();
        while wanted != Held::default()
            && let Some(letter) = found.try_next().await?
        {
            let id = letter.get_i64("_id").map_err(fault::foreign)?;
            // Letters of builds without quotas have neither.
            let replayed = Replayed {
                source: letter.get_str("source").unwrap_or_default().to_owned(),
                bytes: number(&letter, "bytes") as u64,
            };
            wanted.remove(replayed.bytes);
            letters.push((id, replayed));
        }
        Ok(letters)
    }

    /// Removes replayed letters that make room for others.
    async fn remove(&self, room: &mut Room, letters: Vec<(i64, Replayed)>) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = letters.iter().map(|(id, _)| *id).collect();
        for ids in ids.chunks(ASKED_AT_ONCE) {
            let some = doc! { "_id": { "$in": ids.to_vec() } };
            self.dead_letters.delete_many(some).await?;
        }
        for (_, Replayed { source, bytes }) in letters {
            if let Some(known) = room.of_source.get_mut(&source) {
                known.held.remove(bytes);
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
    /// Whether there is room for one more letter of a source, of so many bytes, or is made by replayed ones.
    fn take(&mut self, source: &str, bytes: u64) -> bool {
        if !self.quota.may_hold(bytes) {
            return false;
        }
        loop {
            let held = self.of_source.entry(source.to_owned()).or_default();
            let of_its_own = !self.quota.has_room_beside(*held, bytes);
            if !of_its_own && self.total < self.quota.total {
                held.add(bytes);
                self.total += 1;
                return true;
            }
            let mut replayed = self.replayed.iter();
            let oldest = replayed.find(|(_, letter)| !of_its_own || letter.source == source);
            let oldest = oldest.map(|(id, _)| *id);
            let Some((id, letter)) = oldest.and_then(|id| self.replayed.remove_entry(&id)) else {
                return false;
            };
            if let Some(known) = self.of_source.get_mut(&letter.source) {
                known.remove(letter.bytes);
            }
            self.total = self.total.saturating_sub(1);
            self.removed.push((id, letter));
        }
    }
}
