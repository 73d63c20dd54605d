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
/// How long nothing may be committed, with records waiting, before it is worth a warning.
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
        let mut standing: Option<(u64, Instant)> = None;
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
                gauge(&topic, &group, lag.records);
                let stuck;
                (standing, stuck) = watch_over(standing, lag, at);
                if stuck {
                    tracing::warn!(
                        records = lag.records,
                        seconds = STUCK.as_secs(),
                        "nothing is committed any more: is a consumer running, and does the store take rows?"
                    );
                }
            }
            self.answer.send_replace(Some(answer));
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(ASK_EVERY) => {}
            }
        }
    }
}

/// `tickcast_bus_lag_records` of a group: one series each, whoever asks.
pub(crate) fn gauge(topic: &str, group: &str, records: u64) {
    let labels = [("topic", topic.to_owned()), ("group", group.to_owned())];
    metrics::gauge!("tickcast_bus_lag_records", &labels).set(records as f64);
}

/// Where the group stands and since when; and whether records have waited at one place for long. A
/// steady lag that moves along is none to warn of.
fn watch_over(
    standing: Option<(u64, Instant)>,
    lag: &GroupLag,
    now: Instant,
) -> (Option<(u64, Instant)>, bool) {
    match standing {
        _ if lag.records == 0 => (None, false),
        Some((committed, since)) if lag.committed == committed => {
            if now.duration_since(since) < STUCK {
                (standing, false)
            } else {
                (Some((committed, now)), true)
            }
        }
        _ => (Some((lag.committed, now)), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_stands_still_is_warned_of_and_one_that_moves_with_a_steady_lag_is_not() {
        let began = Instant::now();
        let mut standing = None;
        let mut warnings =
            |seconds: std::ops::Range<u64>, records: u64, committed: fn(u64) -> u64| {
                let mut warnings = 0;
                for n in seconds {
                    let lag = GroupLag {
                        group: "g".into(),
                        records,
                        committed: committed(n),
                    };
                    let now = began + Duration::from_secs(n);
                    let warned;
                    (standing, warned) = watch_over(standing, &lag, now);
                    warnings += u32::from(warned);
                }
                warnings
            };
        assert_eq!(warnings(0..100, 50, |n| n), 0, "it moves");
        assert_eq!(warnings(100..170, 50, |_| 99), 1, "it stands still");
        assert_eq!(warnings(170..300, 0, |_| 99), 0, "nothing waits");
        assert_eq!(warnings(300..350, 1, |_| 99), 0, "not for long");
    }
}
