//! The dead-letter topic: each row that could not be used, as it came, with headers that say why
//! and where it stood.
//!
//! The store keeps the same rows to be listed and replayed; the topic is for those who watch a
//! pipeline with Kafka's own tools. Headers: `reason`, `detail`, `origin`, `origin-topic`,
//! `origin-partition`, `origin-offset`. The value is the row, the key is absent. A row of an unknown schema version
//! has it in a field `schema_version`.

use std::sync::Arc;

use market::Reject;
use rdkafka::message::{Header, OwnedHeaders};

use super::{Inner, wire::Encoded};
use crate::{Position, Result};

/// Publishes to `<topic>.dlq`.
#[derive(Clone)]
pub struct DeadLetterTopic {
    pub(super) inner: Arc<Inner>,
    pub(super) origin: String,
    pub(super) name: String,
}

impl DeadLetterTopic {
    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Publishes rows that could not be used, each with the position of the message that it came
    /// in where it came from the topic, and waits until the broker has them.
    ///
    /// # Errors
    /// As [`crate::EventBus::publish`].
    pub async fn publish(&self, rejects: &[(Option<Position>, &Reject)]) -> Result<()> {
        let messages: Vec<Encoded> = rejects
            .iter()
            .map(|(position, reject)| self.message(*position, reject))
            .collect();
        self.inner.ensure_topic(&self.name).await?;
        self.inner.producer.send(&self.name, &messages).await?;
        metrics::counter!("tickcast_bus_dead_letters_total", "topic" => self.name.clone())
            .increment(messages.len() as u64);
        Ok(())
    }

    fn message(&self, position: Option<Position>, reject: &Reject) -> Encoded {
        let header = |key, value| Header {
            key,
            value: Some(value),
        };
        let mut headers = OwnedHeaders::new_with_capacity(6)
            .insert(header("reason", reject.reason.as_str()))
            .insert(header("detail", reject.detail.as_str()))
            .insert(header("origin", reject.origin.as_str()))
            .insert(header("origin-topic", self.origin.as_str()));
        if let Some(position) = position {
            headers = headers
                .insert(header("origin-partition", &position.partition.to_string()))
                .insert(header("origin-offset", &position.offset.to_string()));
        }
        Encoded {
            key: None,
            payload: reject.payload.clone().into_bytes(),
            headers,
        }
    }
}
