//! Sends the outbox to MLflow: in order, once, for as long as it takes.
//!
//! Model: one process at a time holds the topic ([`Outbox::claim`]) and sends from its head. A message that
//! cannot be sent now holds up those behind it. Whether it is tried again says [`MlflowError::again`]: a server
//! that is away is waited for without end; one that answers other questions and keeps failing this message is
//! given so many tries; a message that it cannot take is given up at once, which is logged, and kept in the
//! outbox with the reason.
//! Metric: `tickcast_mlflow_messages_total` by outcome (delivered, retried, given_up).

use std::{sync::Arc, time::Duration};

use market::Timestamp;
use store::{Artefacts, Message, Outbox, Topic};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    client::Client,
    error::{Again, MlflowError, Result},
    record::Update,
};

/// How the outbox is sent.
#[derive(Clone, Debug)]
pub struct DeliveryOptions {
    /// Name of this process, unique among those that share the store.
    pub by: String,
    /// How long the topic is held without a sign of life.
    pub lease: Duration,
    /// Messages that are taken at once.
    pub batch: usize,
    /// How often one looks for messages of which one was not told.
    pub poll: Duration,
    /// Wait after the first failure; it doubles with each.
    pub first_retry: Duration,
    /// Longest wait for a server that is away.
    pub longest_wait: Duration,
    /// Longest wait for one that is there and fails.
    pub longest_retry: Duration,
    /// Tries of a message that a server fails which answers otherwise.
    pub tries: u32,
}

impl DeliveryOptions {
    /// Held for 60 s, 32 messages at once, looked for every 5 s; retried after 1 s and at last every minute
    /// while the server is away, every 10 minutes and 30 times while it fails.
    pub fn new(by: impl Into<String>) -> Self {
        Self {
            by: by.into(),
            lease: Duration::from_secs(60),
            batch: 32,
            poll: Duration::from_secs(5),
            first_retry: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            longest_retry: Duration::from_secs(600),
            tries: 30,
        }
    }
}

/// What one look at the outbox came to.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// Messages that are in MLflow now.
    pub delivered: usize,
    /// Messages that will not be.
    pub given_up: usize,
    /// Why the next one has to wait, and until when.
    pub waiting: Option<(MlflowError, Timestamp)>,
}

/// Sends the outbox to MLflow.
pub struct Delivery {
    client: Client,
    outbox: Arc<dyn Outbox>,
    artefacts: Arc<dyn Artefacts>,
    options: DeliveryOptions,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    woken: Notify,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Delivery {
    /// From an outbox, and the contents that its messages name, to a server. `clock` is the wall clock.
    pub fn new(
        client: Client,
        outbox: Arc<dyn Outbox>,
        artefacts: Arc<dyn Artefacts>,
        options: DeliveryOptions,
        clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> Self {
        Self {
            client,
            outbox,
            artefacts,
            options,
            clock,
            woken: Notify::new(),
        }
    }

    /// There may be something to send.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// Sends what comes, until it is cancelled. What is being sent then is sent again by whoever goes on.
    pub async fn run(&self, cancel: CancellationToken) {
        let mut away = false;
        loop {
            let passed = tokio::select! {
                () = cancel.cancelled() => return,
                passed = self.pass() => passed,
            };
            let wait = match &passed {
                Ok(passed) => {
                    // Told once when it begins and once when it ends, not at each try.
                    if let Some((error, _)) = &passed.waiting {
                        if away {
                            tracing::debug!(%error, "MLflow does not take what waits for it yet");
                        } else {
                            tracing::warn!(%error, "MLflow does not take what waits for it; it is kept and sent later");
                        }
                        away = true;
                    } else if passed.delivered > 0 && std::mem::take(&mut away) {
                        tracing::info!("MLflow takes what waited for it");
                    }
                    match &passed.waiting {
                        Some((_, until)) => self.until(*until).min(self.options.poll),
                        None if passed.delivered + passed.given_up > 0 => continue,
                        None => self.options.poll,
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the messages for MLflow cannot be read or marked");
                    self.options.poll
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.woken.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn until(&self, at: Timestamp) -> Duration {
        let us = at.micros_since((self.clock)());
        Duration::from_micros(u64::try_from(us).unwrap_or(0))
    }

    /// Sends what waits, at most a batch of it, up to the first that has to wait.
    ///
    /// # Errors
    /// Store: the outbox cannot be read or marked. What was sent and not marked is sent again, to no effect.
    pub async fn pass(&self) -> Result<Passed> {
        let mut passed = Passed::default();
        let mut hold = Hold::from_now(&self.options);
        for message in self.claim(self.options.batch).await? {
            let error = match self.send(&message, &mut hold).await? {
                Some(Ok(())) => {
                    self.outbox.delivered(message.id).await?;
                    count("delivered");
                    passed.delivered += 1;
                    continue;
                }
                Some(Err(error)) => error,
                // Another process has the topic: it goes on.
                None => break,
            };
            let at = self.retry_at(&message, &error).await;
            let now = (self.clock)();
            self.outbox
                .failed(message.id, &error.to_string(), at, now)
                .await?;
            if let Some(at) = at {
                count("retried");
                passed.waiting = Some((error, at));
                break;
            }
            count("given_up");
            tracing::error!(key = message.message.key, %error, "a message for MLflow was given up");
            passed.given_up += 1;
        }
        Ok(passed)
    }

    async fn claim(&self, limit: usize) -> Result<Vec<Message>> {
        let DeliveryOptions { by, lease, .. } = &self.options;
        let now = (self.clock)();
        Ok(self
            .outbox
            .claim(Topic::Mlflow, by, now, *lease, limit)
            .await?)
    }

    /// Sends one message, and holds the topic meanwhile. None when it was lost.
    async fn send(&self, message: &Message, hold: &mut Hold) -> Result<Option<Result<()>>> {
        let sending = async {
            let update = Update::read(&message.message)?;
            self.client.apply(&update, &*self.artefacts).await
        };
        let mut sending = std::pin::pin!(sending);
        loop {
            tokio::select! {
                // In this order: many short messages must not outlast the lease.
                biased;
                () = tokio::time::sleep_until(hold.renew_at) => {
                    *hold = Hold::from_now(&self.options);
                    // The message waits still, and is the head.
                    let held = self.claim(1).await?;
                    if held.first().is_none_or(|head| head.id != message.id) {
                        return Ok(None);
                    }
                }
                sent = &mut sending => return Ok(Some(sent)),
            }
        }
    }

    /// When to try a message again; None to give it up.
    async fn retry_at(&self, message: &Message, error: &MlflowError) -> Option<Timestamp> {
        let longest = match error.again() {
            Again::Never => return None,
            Again::Always => self.options.longest_wait,
            Again::Sometimes => {
                // Given up only by a server that is well: what is wrong with it may be wrong for all.
                let last = message.failures.saturating_add(1) >= self.options.tries;
                if last && self.client.probe().await.is_ok() {
                    return None;
                }
                self.options.longest_retry
            }
        };
        let doubled = 2_u32.saturating_pow(message.failures);
        let wait = self
            .options
            .first_retry
            .saturating_mul(doubled)
            .min(longest);
        let asked = error
            .retry_after()
            .unwrap_or_default()
            .min(self.options.longest_retry);
        let us = i64::try_from(wait.max(asked).as_micros()).unwrap_or(i64::MAX);
        Some((self.clock)().plus_micros(us))
    }
}

/// How long the topic is ours without asking again.
struct Hold {
    renew_at: Instant,
}

impl Hold {
    /// Counted from before the claim, so that it never seems longer than it is.
    fn from_now(options: &DeliveryOptions) -> Self {
        Self {
            renew_at: Instant::now() + options.lease / 3,
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("tickcast_mlflow_messages_total", "outcome" => outcome).increment(1);
}
