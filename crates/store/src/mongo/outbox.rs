//! The outbox: messages go in with what they tell of, and out in the order of their numbers. Those of one model
//! name are numbered in the order in which they were published.

use std::time::Duration;

use futures::TryStreamExt;
use market::Timestamp;
use metrics::counter;
use mongodb::bson::{Document, doc};
use serde::{Deserialize, Serialize};

use super::{
    Inner, fault, limit_of,
    publication_documents::MessageDocument,
    publish::insert,
    schema::is_duplicate,
    training::{document, read},
};
use crate::{
    MOST_WAITING_MESSAGES, Message, MessageState, NewMessage, OLD_MESSAGES_KEPT, Result, Topic,
    check, publication,
};

/// Messages that one call names at most.
const AT_ONCE: usize = 1_000;

/// Who delivers a topic, in the meta collection.
#[derive(Debug, Serialize, Deserialize)]
struct ClaimDocument {
    #[serde(rename = "_id")]
    id: String,
    by: String,
    at_us: Timestamp,
    until_us: Timestamp,
}

const fn state_text(state: MessageState) -> &'static str {
    match state {
        MessageState::Waiting => "waiting",
        MessageState::Delivered => "delivered",
        MessageState::GivenUp => "given_up",
    }
}

fn of_topic(topic: &str, state: MessageState) -> Document {
    doc! { "topic": topic, "state": state_text(state) }
}

impl Inner {
    /// Messages with numbers of their own.
    pub(super) async fn new_messages(
        &self,
        new: &[NewMessage],
        now: Timestamp,
    ) -> Result<Vec<MessageDocument>> {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.next_numbers("message", new.len()).await?;
        let numbered = (first..).zip(new);
        Ok(numbered
            .map(|(number, new)| MessageDocument::new(new, number, now))
            .collect())
    }

    /// Puts messages in that are not there yet, and keeps the bound.
    pub(super) async fn insert_messages(&self, messages: &[MessageDocument]) -> Result<()> {
        for some in messages.chunks(AT_ONCE) {
            insert(&self.training.outbox, some.iter().map(document)).await?;
        }
        for topic in Topic::ALL {
            if messages.iter().any(|message| message.topic == topic) {
                self.make_room(topic).await?;
            }
        }
        Ok(())
    }

    /// Gives up the oldest of those that wait beyond the bound.
    async fn make_room(&self, topic: Topic) -> Result<()> {
        let all = &self.training.outbox;
        let waiting = of_topic(topic.as_str(), MessageState::Waiting);
        let count = all.count_documents(waiting.clone()).await?;
        let over = count.saturating_sub(MOST_WAITING_MESSAGES as u64);
        if over == 0 {
            return Ok(());
        }
        let last = all
            .find_one(waiting.clone())
            .sort(doc! { "number": 1 })
            .skip(over - 1)
            .await?;
        let Some(last) = last else {
            return Ok(());
        };
        let number = last.get_i64("number").map_err(fault::foreign)?;
        let mut oldest = waiting;
        oldest.insert("number", doc! { "$lte": number });
        let given_up = doc! { "$set": {
            "state": state_text(MessageState::GivenUp),
            "error": check::NO_ROOM_IN_OUTBOX,
            "retry_at_us": null,
        } };
        all.update_many(oldest, given_up).await?;
        counter!("tickcast_store_outbox_given_up_total").increment(over);
        self.forget_old(topic.as_str(), MessageState::GivenUp).await
    }

    /// Removes those that are done with but the newest.
    async fn forget_old(&self, topic: &str, state: MessageState) -> Result<()> {
        let all = &self.training.outbox;
        let newest = all
            .find_one(of_topic(topic, state))
            .sort(doc! { "number": -1 })
            .skip(OLD_MESSAGES_KEPT as u64)
            .await?;
        if let Some(newest) = newest {
            let mut old = of_topic(topic, state);
            let number = newest.get_i64("number").map_err(fault::foreign)?;
            old.insert("number", doc! { "$lte": number });
            all.delete_many(old).await?;
        }
        Ok(())
    }

    /// See [`crate::Outbox::enqueue`].
    pub(super) async fn enqueue(&self, messages: &[NewMessage], now: Timestamp) -> Result<()> {
        publication::messages(messages)?;
        let _turn = self.training.turn.lock().await;
        let messages = self.new_messages(messages, now).await?;
        self.insert_messages(&messages).await
    }

    /// Takes or keeps a topic; whether it is ours.
    async fn claim_topic(
        &self,
        topic: Topic,
        by: &str,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<bool> {
        let claims = self.meta.clone_with_type::<ClaimDocument>();
        let id = format!("outbox|{}", topic.as_str());
        let ours = ClaimDocument {
            id: id.clone(),
            by: by.to_owned(),
            at_us: now,
            until_us: check::lease_end(now, lease_for),
        };
        let Some(there) = claims.find_one(doc! { "_id": &id }).await? else {
            return match claims.insert_one(&ours).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error.into()),
            };
        };
        let as_it_was = doc! {
            "_id": &id, "by": &there.by,
            "at_us": there.at_us.as_micros(), "until_us": there.until_us.as_micros(),
        };
        let is_free = there.by == by || there.until_us <= now;
        let set = if is_free {
            document(&ours)?
        } else if there.at_us > now {
            // The clock has gone back: the other one's time begins anew.
            let rest = there.until_us.micros_since(there.at_us);
            document(&ClaimDocument {
                at_us: now,
                until_us: now.plus_micros(rest),
                ..there
            })?
        } else {
            return Ok(false);
        };
        let mut set = set;
        set.remove("_id");
        let changed = self
            .change(&self.meta, as_it_was, doc! { "$set": set })
            .await?;
        Ok(is_free && changed.is_some())
    }

    /// See [`crate::Outbox::claim`].
    pub(super) async fn claim(
        &self,
        topic: Topic,
        by: &str,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let _turn = self.training.turn.lock().await;
        // The messages of what is committed are among those that wait.
        self.settle(None).await?;
        if !self.claim_topic(topic, by, now, lease_for).await? {
            return Ok(Vec::new());
        }
        let Some(limit) = limit_of(limit) else {
            return Ok(Vec::new());
        };
        let all = &self.training.outbox;
        let waiting = of_topic(topic.as_str(), MessageState::Waiting);
        let mut later = waiting.clone();
        later.insert("failed_at_us", doc! { "$gt": now.as_micros() });
        let later: Vec<Document> = all.find(later).await?.try_collect().await?;
        for message in later {
            let message: MessageDocument = read(message)?;
            if let (Some(failed), Some(retry)) = (message.failed_at_us, message.retry_at_us) {
                let retry = now.plus_micros(retry.micros_since(failed));
                let mended = doc! {
                    "failed_at_us": now.as_micros(), "retry_at_us": retry.as_micros(),
                };
                let as_it_was = doc! { "_id": message.id, "failed_at_us": failed.as_micros() };
                all.update_one(as_it_was, doc! { "$set": mended }).await?;
            }
        }
        let head = all.clone_with_type::<MessageDocument>();
        let in_order = doc! { "number": 1 };
        let head = head.find(waiting).sort(in_order).limit(limit).await?;
        let head: Vec<MessageDocument> = head.try_collect().await?;
        head.into_iter()
            .take_while(|message| message.retry_at_us.is_none_or(|at| at <= now))
            .map(MessageDocument::into_message)
            .collect()
    }

    /// Changes a message that waits; its topic, if there is one.
    async fn change_waiting(&self, id: i64, set: Document) -> Result<Option<String>> {
        let waiting = doc! { "number": id, "state": state_text(MessageState::Waiting) };
        let changed = self.change(&self.training.outbox, waiting, set).await?;
        let topic = changed.map(|m| m.get_str("topic").map(str::to_owned));
        topic.transpose().map_err(fault::foreign)
    }

    /// See [`crate::Outbox::delivered`].
    pub(super) async fn delivered(&self, id: i64) -> Result<()> {
        let _turn = self.training.turn.lock().await;
        let state = MessageState::Delivered;
        let set = doc! { "$set": {
            "state": state_text(state), "retry_at_us": null, "error": null,
        } };
        match self.change_waiting(id, set).await? {
            Some(topic) => self.forget_old(&topic, state).await,
            None => Ok(()),
        }
    }

    /// See [`crate::Outbox::failed`].
    pub(super) async fn failed(
        &self,
        id: i64,
        error: &str,
        retry_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        let _turn = self.training.turn.lock().await;
        let state = match retry_at {
            Some(_) => MessageState::Waiting,
            None => MessageState::GivenUp,
        };
        let set = doc! {
            "$inc": { "failures": 1_i64 },
            "$set": {
                "state": state_text(state),
                "error": error,
                "retry_at_us": retry_at.map(Timestamp::as_micros),
                "failed_at_us": now.as_micros(),
            },
        };
        match (self.change_waiting(id, set).await?, retry_at) {
            (Some(topic), None) => {
                counter!("tickcast_store_outbox_given_up_total").increment(1);
                self.forget_old(&topic, state).await
            }
            _ => Ok(()),
        }
    }

    /// See [`crate::Outbox::messages`].
    pub(super) async fn messages(
        &self,
        topic: Topic,
        state: MessageState,
        before_id: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let Some(limit) = limit_of(limit) else {
            return Ok(Vec::new());
        };
        self.settled(None).await?;
        let mut filter = of_topic(topic.as_str(), state);
        if let Some(before) = before_id {
            filter.insert("number", doc! { "$lt": before });
        }
        let all = self.training.outbox.clone_with_type::<MessageDocument>();
        let newest_first = doc! { "number": -1 };
        let found = all.find(filter).sort(newest_first).limit(limit).await?;
        let found: Vec<MessageDocument> = found.try_collect().await?;
        found
            .into_iter()
            .map(MessageDocument::into_message)
            .collect()
    }
}
