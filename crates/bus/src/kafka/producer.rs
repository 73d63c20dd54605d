//! The producer: idempotent, acknowledged by every in-sync replica, keyed by symbol.
//!
//! A call waits for the acknowledgement of all of its messages, counted in one place, so that a
//! message costs no channel of its own.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    client::ClientContext,
    config::{ClientConfig, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};
use tokio::sync::Notify;

use super::{
    fault::{self, Complaints, fault},
    wire::Encoded,
};
use crate::{BusError, Result};

/// While librdkafka's queue is full, how often to look for room. Messages leave it in batches every
/// few milliseconds.
const FULL_WAIT: Duration = Duration::from_millis(2);

/// The acknowledgements that one call waits for.
#[derive(Debug, Default)]
pub(super) struct Acks {
    left: AtomicUsize,
    failed: Mutex<Option<KafkaError>>,
    done: Notify,
}

impl Acks {
    fn one_less(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }
}

pub(super) struct Context {
    complaints: Arc<Complaints>,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        fault::complain(&self.complaints, &error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        fault::log(level, facility, message);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Arc<Acks>;

    fn delivery(&self, result: &DeliveryResult<'_>, acks: Arc<Acks>) {
        if let Err((error, _)) = result {
            acks.failed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert_with(|| error.clone());
        }
        acks.one_less();
    }
}

type Client = ThreadedProducer<Context>;

/// The process's one producer.
pub(super) struct Producer {
    config: ClientConfig,
    complaints: Arc<Complaints>,
    /// Made anew when librdkafka says that the client is beyond help.
    client: Mutex<Arc<Client>>,
}

fn make(config: &ClientConfig, complaints: &Arc<Complaints>) -> Result<Arc<Client>> {
    let context = Context {
        complaints: complaints.clone(),
    };
    config
        .create_with_context(context)
        .map(Arc::new)
        .map_err(|e| fault("starting the producer", &e, complaints))
}

impl Producer {
    pub(super) fn new(config: ClientConfig, complaints: Arc<Complaints>) -> Result<Self> {
        let client = Mutex::new(make(&config, &complaints)?);
        Ok(Self {
            config,
            complaints,
            client,
        })
    }

    pub(super) fn client(&self) -> Arc<Client> {
        self.client
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn renew(&self, broken: &Arc<Client>) -> Result<()> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&client, broken) {
            tracing::warn!("the kafka producer is made anew after a fatal error");
            *client = make(&self.config, &self.complaints)?;
        }
        Ok(())
    }

    /// Sends messages in order and waits until the broker has all of them.
    pub(super) async fn send(&self, topic: &str, messages: &[Encoded]) -> Result<()> {
        let client = self.client();
        let acks = Arc::new(Acks::default());
        // One more than the messages, until all are on their way.
        acks.left.store(1, Ordering::Release);
        let mut sent = 0;
        let mut waited = false;
        while sent < messages.len() {
            sent += self.enqueue(&client, topic, &messages[sent..], &acks)?;
            if sent < messages.len() {
                if !waited {
                    metrics::counter!("tickcast_bus_publish_waits_total", "topic" => topic.to_owned())
                        .increment(1);
                    waited = true;
                }
                tokio::time::sleep(FULL_WAIT).await;
            }
        }
        acks.one_less();
        acks.done.notified().await;
        let failed = acks
            .failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match failed {
            None => Ok(()),
            Some(error) => Err(self.failure(&client, "publishing", &error)),
        }
    }

    /// Hands over as many messages as there is room for.
    fn enqueue(
        &self,
        client: &Arc<Client>,
        topic: &str,
        messages: &[Encoded],
        acks: &Arc<Acks>,
    ) -> Result<usize> {
        for (sent, message) in messages.iter().enumerate() {
            let mut record = BaseRecord::<str, [u8], _>::with_opaque_to(topic, acks.clone())
                .payload(message.payload.as_slice())
                .headers(message.headers.clone());
            if let Some(key) = &message.key {
                record = record.key(key);
            }
            acks.left.fetch_add(1, Ordering::AcqRel);
            if let Err((error, _)) = client.send(record) {
                acks.left.fetch_sub(1, Ordering::AcqRel);
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
                    return Ok(sent);
                }
                return Err(self.failure(client, "publishing", &error));
            }
        }
        Ok(messages.len())
    }

    fn failure(&self, client: &Arc<Client>, doing: &str, error: &KafkaError) -> BusError {
        let fatal = client.client().fatal_error();
        if let Some((code, why)) = fatal {
            if let Err(error) = self.renew(client) {
                return error;
            }
            return BusError::Unavailable {
                detail: format!("{doing}: {code}: {why}"),
            };
        }
        fault(doing, error, &self.complaints)
    }

    /// Waits until everything on its way is acknowledged or has failed.
    pub(super) async fn flush(&self, timeout: Duration) {
        let client = self.client();
        let flushed = tokio::task::spawn_blocking(move || client.flush(timeout)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("the kafka producer was closed before the broker had all messages");
        }
    }
}
