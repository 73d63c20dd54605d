//! The lag watchdog: asks the bus how far the consumers are behind, keeps the answer for pages and
//! metrics, and says when nothing moves any more.
//!
//! Model: one question at a time, every few seconds. A bus that does not answer keeps its last
//! answer, with its age: readiness is judged by that, and nobody who asks has to wait for a broker
//! that is away.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{EventBus, GroupLag};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the bus is asked.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// An answer older than this is none: the bus is away.
const STALE: Duration = Duration::from_secs(8);
/// How long a lag may not fall before it is worth a warning.
const STUCK: Duration = Duration::from_secs(60);

/// What the bus said last.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    at: Instant,
    groups: Vec<GroupLag>,
    error: Option<String>,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LagWatch {
    answer: watch::Sender<Option<Answer>>,
}

impl LagWatch {
    pub(crate) fn new() -> Self {
        Self {
            answer: watch::Sender::new(None),
        }
    }

    /// How far each group is behind, as the bus said last.
    pub(crate) fn groups(&self) -> Vec<GroupLag> {
        self.answer
            .borrow()
            .as_ref()
            .map_or_else(Vec::new, |a| a.groups.clone())
    }

    /// Whether the bus answers.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub(crate) async fn check(&self) -> Result<(), String> {
        let mut answers = self.answer.subscribe();
        let first = tokio::time::timeout(ASK_EVERY, answers.wait_for(Option::is_some)).await;
        let answer = match first {
            Ok(Ok(answer)) => answer.clone(),
            _ => None,
        };
        match answer {
            None => Err("no answer yet".into()),
            Some(Answer {
                error: Some(error), ..
            }) => Err(error),
            Some(answer) if answer.at.elapsed() > STALE => {
                Err(format!("no answer for {} s", answer.at.elapsed().as_secs()))
            }
            Some(_) => Ok(()),
        }
    }

    /// Asks until cancelled.
    pub(crate) async fn run(
        self,
        bus: Arc<dyn EventBus>,
        topic: String,
        group: String,
        cancel: CancellationToken,
    ) {
        let mut least: Option<(u64, Instant)> = None;
        loop {
            let asked = tokio::select! {
                asked = bus.lag(&topic) => asked,
                () = cancel.cancelled() => return,
            };
            let at = Instant::now();
            let answer = match asked {
                Ok(groups) => Answer {
                    at,
                    groups,
                    error: None,
                },
                Err(e) => Answer {
                    at,
                    groups: self.groups(),
                    error: Some(e.to_string()),
                },
            };
            let lag = answer.groups.iter().find(|g| g.group == group);
            if let (Some(lag), None) = (lag, &answer.error) {
                metrics::gauge!("tickcast_bus_lag_records").set(lag.records as f64);
                least = watch_over(least, lag.records, at);
            }
            self.answer.send_replace(Some(answer));
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(ASK_EVERY) => {}
            }
        }
    }
}

/// Remembers the least lag since it last fell, and warns when that is long ago.
fn watch_over(least: Option<(u64, Instant)>, records: u64, now: Instant) -> Option<(u64, Instant)> {
    match least {
        _ if records == 0 => None,
        Some((before, since)) if records >= before => {
            if now.duration_since(since) < STUCK {
                return Some((before, since));
            }
            tracing::warn!(
                records,
                seconds = STUCK.as_secs(),
                "the consumers do not catch up: is one running, and does the store take rows?"
            );
            Some((records, now))
        }
        _ => Some((records, now)),
    }
}
