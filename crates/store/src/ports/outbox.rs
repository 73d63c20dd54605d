//! Messages to others (an MLflow server, a webhook), kept until they are delivered.
//!
//! Model: a queue per topic, in the order in which messages came. Whoever delivers holds the topic for a time,
//! so that one process at a time does, and takes from the head: one that is to be tried again later holds up
//! those behind it, because some of them only make sense after it. One that cannot be delivered is given up,
//! and kept to be looked at.
//!
//! Delivery is at least once: who dies between sending and [`Outbox::delivered`] sends again. A message
//! carries its key, by which the other side may tell.
//!
//! Bounded: [`MOST_WAITING_MESSAGES`] of a topic wait; beyond, the oldest is given up, so that nobody who
//! publishes waits for the other side. Of delivered ones and of those given up the newest
//! [`OLD_MESSAGES_KEPT`] are kept.
//! Metric: `tickcast_store_outbox_given_up_total`.

use std::time::Duration;

use async_trait::async_trait;
use market::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Result;

/// Messages of a topic that wait at most.
pub const MOST_WAITING_MESSAGES: usize = 10_000;
/// Delivered messages, and those given up, that are kept of a topic.
pub const OLD_MESSAGES_KEPT: usize = 1_000;

/// Whom messages go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// The MLflow server.
    Mlflow,
    /// The webhooks.
    Webhook,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 2] = [Self::Mlflow, Self::Webhook];

    /// The snake_case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mlflow => "mlflow",
            Self::Webhook => "webhook",
        }
    }
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewMessage {
    /// To whom.
    pub topic: Topic,
    /// What; the one who delivers it knows how to read it.
    pub payload: Value,
    /// 1 to 200 characters: a second message of the same topic and key is not kept while the first is.
    pub key: String,
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// It is to be sent.
    Waiting,
    /// It was.
    Delivered,
    /// It will not be.
    GivenUp,
}

/// A message that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The store's id, in the order in which they came.
    pub id: i64,
    /// What it says, and to whom.
    #[serde(flatten)]
    pub message: NewMessage,
    /// When it came.
    #[serde(rename = "queued_at_us")]
    pub queued_at: Timestamp,
    /// What has become of it.
    pub state: MessageState,
    /// How often it could not be delivered.
    pub failures: u32,
    /// Not to be sent before then.
    #[serde(rename = "retry_at_us")]
    pub retry_at: Option<Timestamp>,
    /// Why it could not be delivered the last time.
    pub error: Option<String>,
}

/// Keeps messages until they are delivered.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Keeps messages, all or none.
    ///
    /// # Errors
    /// Invalid: a key that is empty or too long. Unavailable or internal.
    async fn enqueue(&self, messages: Vec<NewMessage>, now: Timestamp) -> Result<()>;

    /// Takes or keeps a topic for `by`, for `lease_for` from now on, and gives the messages at its head, in
    /// their order, at most `limit`, up to one that is to be tried later. None while another one holds it.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn claim(
        &self,
        topic: Topic,
        by: &str,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<Message>>;

    /// A message was delivered. Nothing happens if it no longer waits.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn delivered(&self, id: i64) -> Result<()>;

    /// A message could not be delivered: it is tried again at `retry_at`, or given up (`None`). Nothing
    /// happens if it no longer waits.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn failed(
        &self,
        id: i64,
        error: &str,
        retry_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()>;

    /// Messages of a topic in a state with ids below `before_id`, the newest first, at most `limit`.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn messages(
        &self,
        topic: Topic,
        state: MessageState,
        before_id: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Message>>;
}
