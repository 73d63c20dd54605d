//! The settings of watching what is served, and of telling others.

use std::time::Duration;

use mlops::{jobs::WatchPayload, schedule::Schedule, webhook::guard};
use reqwest::Url;

use super::{
    Layers, missing,
    settings::{Setting, secret, setting},
    training::{TrainingConfig, read_schedule},
    within,
};

/// The settings.
pub const WATCHING: &[Setting] = &[
    setting(
        "drift.schedule",
        "7 * * * *",
        "a cron pattern or a time around an exchange's sessions, or nothing",
        "When champions are looked at for drift of their errors and of what comes in; nothing: never.",
    ),
    setting(
        "drift.false_alarm_days",
        "250",
        "a number from 1 to 100000",
        "One false alarm in so many days, over all champions together.",
    ),
    setting(
        "drift.retrain",
        "true",
        "true or false",
        "An alarm begins a training.",
    ),
    setting(
        "drift.cool_down_hours",
        "168",
        "hours from 0 to 87600",
        "Hours after such a training in which another alarm of the model begins none.",
    ),
    secret(
        "webhook.url",
        "",
        "an http or https URL, or nothing",
        "Whom alarms, rounds of training and moves of aliases are told (docs/mlops.md).",
    ),
    secret(
        "webhook.secret",
        "",
        "text of 16 characters or more",
        "What messages to webhook.url are signed by.",
    ),
    setting(
        "webhook.allow_private",
        "false",
        "true or false",
        "webhook.url may be on this machine or in a private network; link-local addresses never.",
    ),
];

/// A webhook.
#[derive(Clone)]
pub struct WebhookConfig {
    /// Its address.
    pub url: Url,
    /// What messages are signed by.
    pub secret: String,
    /// Whether it may be in a private network.
    pub allow_private: bool,
}

impl std::fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

/// Watching.
#[derive(Clone, Debug)]
pub struct WatchingConfig {
    /// When champions are looked at.
    pub schedule: Option<Schedule>,
    /// How.
    pub payload: WatchPayload,
    /// How long after its time a training is overdue.
    pub overdue: Duration,
    /// Whom it is told.
    pub webhook: Option<WebhookConfig>,
}

/// Needs the trainings' settings: an alarm begins one of these.
pub(super) fn read_watching(
    l: &mut Layers,
    training: Option<&TrainingConfig>,
) -> Option<WatchingConfig> {
    let text = l.one("drift.schedule", |t| Ok::<_, ()>(t.trim().to_owned()));
    let days = l.one("drift.false_alarm_days", |t| within(t, 1.0, 100_000.0));
    let retrain = l.one("drift.retrain", str::parse::<bool>);
    let cool_down = l.one("drift.cool_down_hours", |t| within(t, 0, 87_600));
    let overdue = l.one("training.overdue_hours", |t| within(t, 1_u32, 8_760));
    let webhook = read_webhook(l);
    let (training, text) = (training?, text?);
    let schedule = read_schedule(l, "drift.schedule", &text, "UTC", &training.calendars);
    let payload = WatchPayload {
        false_alarm_days: days?,
        cool_down_hours: cool_down?,
        train: retrain?.then(|| Box::new(training.payload.clone())),
        ..WatchPayload::default()
    };
    Some(WatchingConfig {
        schedule: schedule?,
        payload,
        overdue: Duration::from_secs(u64::from(overdue?) * 3_600),
        webhook: webhook?,
    })
}

/// The outer one is absent where it cannot be.
fn read_webhook(l: &mut Layers) -> Option<Option<WebhookConfig>> {
    let url = l.one("webhook.url", |t| match t.trim() {
        "" => Ok(None),
        url => url.parse::<Url>().map(Some),
    });
    let secret = l.one("webhook.secret", |t| match t.len() {
        0 | 16.. => Ok(t.to_owned()),
        _ => Err(()),
    });
    let allow_private = l.one("webhook.allow_private", str::parse::<bool>)?;
    let (url, secret) = (url?, secret?);
    let Some(url) = url else {
        return Some(None);
    };
    if let Err(e) = guard::check(&url, allow_private) {
        missing(l, "webhook.url", &e.to_string());
        return None;
    }
    if secret.is_empty() {
        missing(l, "webhook.secret", "expected one beside webhook.url");
        return None;
    }
    Some(Some(WebhookConfig {
        url,
        secret,
        allow_private,
    }))
}
