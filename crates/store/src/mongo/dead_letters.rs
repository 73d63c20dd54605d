//! Dead letters: numbered in the order in which they were put aside, bounded in number.

use std::collections::{BTreeMap, HashSet};

use futures::TryStreamExt;
use market::{Reject, RejectReason, Timestamp};
use mongodb::bson::{Bson, Document, doc, serialize_to_bson};

use super::{Inner, documents::DeadLetterDocument, fault, limit_of};
use crate::{DeadLetter, DeadLetterState, ReasonCount, Result};

/// Letters removed by one command at most.
const REMOVED_AT_ONCE: i64 = 10_000;
/// Messages that one question names at most.
const ASKED_AT_ONCE: usize = 1_000;

impl Inner {
    /// See [`crate::DeadLetterStore::put_aside`].
    pub(super) async fn put_aside(&self, mut rejects: Vec<Reject>, at: Timestamp) -> Result<()> {
        let known = self.known_messages(&rejects).await?;
        rejects.retain(|r| r.message.as_ref().is_none_or(|m| !known.contains(m)));
        if rejects.is_empty() {
            return Ok(());
        }
        let first = self.next_numbers("dead_letter", rejects.len()).await?;
        let documents: Vec<DeadLetterDocument> = (first..)
            .zip(rejects)
            .map(|(id, reject)| DeadLetterDocument::new(id, reject, at))
            .collect();
        self.dead_letters.insert_many(&documents).await?;
        self.bound_dead_letters().await
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

    async fn bound_dead_letters(&self) -> Result<()> {
        // From the collection's statistics: counting would cost more the more there are.
        let count = self.dead_letters.estimated_document_count().await?;
        let mut excess = i64::try_from(count.saturating_sub(self.dead_letters_kept)).unwrap_or(0);
        for filter in [doc! { "state": "replayed" }, doc! {}] {
            while excess > 0 {
                let ids: Vec<Document> = self
                    .dead_letters
                    .clone_with_type::<Document>()
                    .find(filter.clone())
                    .projection(doc! { "_id": 1 })
                    .sort(doc! { "_id": 1 })
                    .limit(excess.min(REMOVED_AT_ONCE))
                    .await?
                    .try_collect()
                    .await?;
                let ids: Vec<Bson> = ids.iter().filter_map(|d| d.get("_id").cloned()).collect();
                if ids.is_empty() {
                    break;
                }
                let removed = self
                    .dead_letters
                    .delete_many(doc! { "_id": { "$in": ids } })
                    .await?;
                excess -= i64::try_from(removed.deleted_count.max(1)).unwrap_or(i64::MAX);
            }
        }
        Ok(())
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
}
