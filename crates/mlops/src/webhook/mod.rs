//! Messages of the outbox to a webhook: signed, in order, tried again for as long as it is worth.
//!
//! Model: one process at a time holds the topic and sends from its head ([`store::Outbox::claim`]). A message is a POST of
//! its payload as JSON with three headers:
//!
//! | header | what it is |
//! | --- | --- |
//! | `x-tickcast-delivery-id` | the message's key: the same one when it is sent again |
//! | `x-tickcast-timestamp` | when it is sent, in seconds since 1970 UTC |
//! | `x-tickcast-signature` | `v1,` and HMAC-SHA256 of `ID.TIMESTAMP.BODY` by the secret, in base64 |
//!
//! That is the way of Standard Webhooks, and of MLflow's webhooks with other names of the headers. A receiver that
//! checks the time too cannot be sent an old message again by somebody else.
//!
//! An address is the operator's, and still guarded ([`guard`]): whoever may write a setting should not thereby be able to
//! make the server speak to the machine's own metadata service, nor a name that resolves to it.
//! Metric: `tickcast_webhook_messages_total` by outcome (delivered, retried, given_up).
//!
//! What it does not do: know what messages say but for their envelope ([`event`]).

pub mod guard;
mod signature;

use std::{sync::Arc, time::Duration};

use market::{Timestamp, excerpt};
use reqwest::{StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use serde_json::json;
use store::{Message, NewMessage, Outbox, Topic};
use tokio_util::sync::CancellationToken;

pub use self::signature::signature;

/// The message of an event: what happened (`action`) to a thing of this kind (`entity`), when, and what there is to say
/// of it. The outbox keeps one of each `key`.
#[must_use]
pub fn event(
    key: String,
    entity: &str,
    action: &str,
    at: Timestamp,
    data: &impl Serialize,
) -> NewMessage {
    NewMessage {
        topic: Topic::Webhook,
        key,
        payload: json!({
            "entity": entity, "action": action,
            "timestamp": at.to_string(), "data": data,
        }),
    }
}

/// To whom messages go, and how.
#[derive(Clone)]
pub struct WebhookOptions {
    /// The address: http or https.
    pub url: reqwest::Url,
    /// What messages are signed by.
    pub secret: String,
    /// Whether it may be on this machine or in a private network.
    pub allow_private: bool,
    /// Name of this process, unique among those that share the store.
    pub by: String,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How often one looks for messages.
    pub poll: Duration,
    /// Wait after the first failure; it doubles with each.
    pub first_retry: Duration,
    /// The longest wait.
    pub longest_retry: Duration,
    /// Tries while nobody answers, or with 408, 425, 429 or 5xx.
    pub tries: u32,
    /// Tries while the receiver refuses: somebody may still be setting it up.
    pub tries_refused: u32,
}

impl WebhookOptions {
    /// 10 s for an answer; looked for every 2 s; tried again after 1 s and at last every 10 minutes, 150 times, which is a
    /// day; 10 times where it is refused.
    #[must_use]
    pub fn new(url: reqwest::Url, secret: impl Into<String>, by: impl Into<String>) -> Self {
        Self {
            url,
            secret: secret.into(),
            allow_private: false,
            by: by.into(),
            timeout: Duration::from_secs(10),
            poll: Duration::from_secs(2),
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_secs(600),
            tries: 150,
            tries_refused: 10,
        }
    }
}

impl std::fmt::Debug for WebhookOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookOptions")
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

/// Why a webhook cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct WebhookError {
    /// What is wrong.
    pub detail: String,
}

/// What one look at the outbox came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Messages that were taken.
    pub delivered: usize,
    /// Messages that will not be.
    pub given_up: usize,
    /// Whether the next one has to wait.
    pub waits: bool,
}

/// Sends the outbox to a webhook.
pub struct Webhook {
    http: reqwest::Client,
    outbox: Arc<dyn Outbox>,
    options: WebhookOptions,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Why a message was not taken.
struct Refusal {
    detail: String,
    /// How often it is tried; none: never again.
    tries: Option<u32>,
    retry_after: Option<Duration>,
}

impl Webhook {
    /// From an outbox to an address. `clock` is the wall clock.
    ///
    /// # Errors
    /// An address that may not be called, no secret.
    pub fn new(
        outbox: Arc<dyn Outbox>,
        options: WebhookOptions,
        clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> Result<Self, WebhookError> {
        guard::check(&options.url, options.allow_private)?;
        if options.secret.is_empty() {
            return Err(WebhookError {
                detail: "there is no secret to sign by".to_owned(),
            });
        }
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another thread may have been faster: then its choice stands.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let resolver = guard::Guarded {
            allow_private: options.allow_private,
        };
        let http = reqwest::Client::builder()
            .timeout(options.timeout)
            .user_agent(concat!("tickcast/", env!("CARGO_PKG_VERSION")))
            // Whoever is sent to another address is not the one that was checked; nor is a proxy.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(resolver))
            .build()
            .map_err(|e| WebhookError {
                detail: format!("no HTTP client: {e}"),
            })?;
        Ok(Self {
            http,
            outbox,
            options,
            clock,
        })
    }

    /// Sends what comes, until it is cancelled. What is being sent then is sent again by whoever goes on.
    pub async fn run(&self, cancel: CancellationToken) {
        loop {
            let passed = tokio::select! {
                () = cancel.cancelled() => return,
                passed = self.pass() => passed,
            };
            match passed {
                Ok(passed) if passed.delivered + passed.given_up > 0 && !passed.waits => continue,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "the messages for the webhook cannot be read or marked")
                }
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(self.options.poll) => {}
            }
        }
    }

    /// Sends what waits, up to the first that has to wait.
    ///
    /// # Errors
    /// The outbox cannot be read or marked: what was sent and not marked is sent again.
    pub async fn pass(&self) -> store::Result<Passed> {
        let mut passed = Passed::default();
        // Longer than one message may take, since the topic is asked for again before each.
        let lease = self.options.timeout * 3;
        loop {
            let (by, now) = (&self.options.by, (self.clock)());
            let claimed = self.outbox.claim(Topic::Webhook, by, now, lease, 1).await?;
            let Some(message) = claimed.into_iter().next() else {
                return Ok(passed);
            };
            let Err(refusal) = self.send(&message).await else {
                self.outbox.delivered(message.id).await?;
                count("delivered");
                passed.delivered += 1;
                continue;
            };
            let at = self.retry_at(&message, &refusal);
            let (key, error) = (&message.message.key, &refusal.detail);
            self.outbox
                .failed(message.id, error, at, (self.clock)())
                .await?;
            if at.is_some() {
                // Told once, not at each try.
                if message.failures == 0 {
                    tracing::warn!(
                        key,
                        error,
                        "the webhook does not take a message; it is kept and sent later"
                    );
                }
                count("retried");
                passed.waits = true;
                return Ok(passed);
            }
            tracing::error!(key, error, "a message for the webhook was given up");
            count("given_up");
            passed.given_up += 1;
        }
    }

    async fn send(&self, message: &Message) -> Result<(), Refusal> {
        let WebhookOptions {
            tries,
            tries_refused,
            ..
        } = self.options;
        let never = |detail: String| Refusal {
            detail,
            tries: None,
            retry_after: None,
        };
        let body = serde_json::to_string(&message.message.payload)
            .map_err(|e| never(format!("it cannot be written: {e}")))?;
        let at = (self.clock)().as_secs().to_string();
        let id = printable(&message.message.key);
        let signed = signature(&self.options.secret, &id, &at, &body);
        let sent = self
            .http
            .post(self.options.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("x-tickcast-delivery-id", &id)
            .header("x-tickcast-timestamp", &at)
            .header("x-tickcast-signature", signed)
            .body(body)
            .send()
            .await;
        let answer = sent.map_err(|e| Refusal {
            // An address may have a token in it.
            detail: format!("nobody answers: {}", with_causes(&e.without_url())),
            tries: Some(tries),
            retry_after: None,
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let retry_after = answer.headers().get(reqwest::header::RETRY_AFTER);
        let seconds = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let tries = match status {
            StatusCode::GONE => None,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Some(tries)
            }
            status if status.is_server_error() => Some(tries),
            _ => Some(tries_refused),
        };
        Err(Refusal {
            detail: format!("the webhook answered {status}"),
            tries,
            retry_after: seconds.map(Duration::from_secs),
        })
    }

    /// When to try a message again; none to give it up.
    fn retry_at(&self, message: &Message, refusal: &Refusal) -> Option<Timestamp> {
        let tries = refusal.tries?;
        if message.failures.saturating_add(1) >= tries {
            return None;
        }
        let doubled = 2_u32.saturating_pow(message.failures);
        let wait = self.options.first_retry.saturating_mul(doubled);
        let wait = wait.max(refusal.retry_after.unwrap_or_default());
        let us = wait.min(self.options.longest_retry).as_micros();
        Some((self.clock)().plus_micros(i64::try_from(us).unwrap_or(i64::MAX)))
    }
}

/// A key as a header may have it.
fn printable(key: &str) -> String {
    let shown = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    key.chars().map(shown).collect()
}

/// An error with what is behind it, which reqwest leaves out.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    excerpt(&text).into_owned()
}

fn count(outcome: &'static str) {
    metrics::counter!("tickcast_webhook_messages_total", "outcome" => outcome).increment(1);
}
