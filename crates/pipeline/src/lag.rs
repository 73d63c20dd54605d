//! The lag watchdog: asks the bus how far the consumers are behind, keeps the answer for pages and
//! metrics, works out from successive answers how much goes over the topic, and says when nothing
//! moves any more.
//!
//! Model: one question at a time, every few seconds. A bus that does not answer keeps its last
//! answer, with its age: readiness is judged by that, and nobody who asks has to wait for a broker
//! that is away. The rates are of all processes together, which no process could count on its own.
//! They have no past: after an answer that did not come, or a group that stands further back than it
//! did, they begin anew.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{EventBus, GroupLag};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::TopicFlow;

/// How often the bus is asked.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// An answer older than this is none: the bus is away.
const STALE: Duration = Duration::from_secs(8);
/// How long nothing may be committed, with records waiting, before it is worth a warning.
const STUCK: Duration = Duration::from_secs(60);

/// How far back the answers go that a rate is taken from: as far as the counters of the stages.
const WINDOW: Duration = Duration::from_secs(10);

/// What the bus said last.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    at: Instant,
    groups: Vec<GroupLag>,
    flow: Option<TopicFlow>,
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

    /// What goes over the topic, as the last answers tell; `None` while the bus is away, since the
    /// rates of then are not those of now.
    pub(crate) fn flow(&self) -> Option<TopicFlow> {
        let answer = self.answer.borrow();
        let answer = answer.as_ref().filter(|a| a.at.elapsed() <= STALE)?;
        answer.flow
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
        let mut recent = Recent::default();
        loop {
            let asked = tokio::select! {
                asked = bus.lag(&topic) => asked,
                () = cancel.cancelled() => return,
            };
            let at = Instant::now();
            let mut answer = match asked {
                Ok(groups) => Answer {
                    at,
                    groups,
                    flow: None,
                    error: None,
                },
                Err(e) => Answer {
                    at,
                    groups: self.groups(),
                    flow: None,
                    error: Some(e.to_string()),
                },
            };
            let lag = answer.groups.iter().find(|g| g.group == group);
            let lag = lag.filter(|_| answer.error.is_none());
            answer.flow = recent.flow(lag, at);
            if let Some(lag) = lag {
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

/// The answers about a group within [`WINDOW`], oldest first.
#[derive(Debug, Default)]
struct Recent(VecDeque<Stand>);

/// Where a topic and a group of it stood.
#[derive(Clone, Copy, Debug)]
struct Stand {
    at: Instant,
    /// Messages that were ever published.
    published: u64,
    /// Messages that the group was through with.
    taken: u64,
}

impl Recent {
    /// Takes the next answer in, or that there is none, and says what has moved per second since the
    /// oldest one kept; `None` with nothing to compare it with.
    fn flow(&mut self, lag: Option<&GroupLag>, at: Instant) -> Option<TopicFlow> {
        let Some(lag) = lag else {
            self.0.clear();
            return None;
        };
        let now = Stand {
            at,
            published: lag.committed.saturating_add(lag.records),
            taken: lag.committed,
        };
        // A group begun anew, or a topic made again: what it had before does not count for it.
        if let Some(last) = self.0.back()
            && (now.taken < last.taken || now.published < last.published)
        {
            self.0.clear();
        }
        // The last one stays, however slowly the bus answers.
        while self.0.len() > 1 && self.0.front().is_some_and(|s| at - s.at > WINDOW) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        let first = self.0.front()?;
        let seconds = (at - first.at).as_secs_f64();
        (seconds > 0.0).then(|| TopicFlow {
            published_per_second: (now.published - first.published) as f64 / seconds,
            taken_per_second: (now.taken - first.taken) as f64 / seconds,
        })
    }
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
    use bus::{MemoryBus, MemoryBusOptions, Payload, Record};

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

    fn lag(committed: u64, records: u64) -> GroupLag {
        GroupLag {
            group: "g".into(),
            records,
            committed,
        }
    }

    fn flow(published_per_second: f64, taken_per_second: f64) -> Option<TopicFlow> {
        Some(TopicFlow {
            published_per_second,
            taken_per_second,
        })
    }

    #[test]
    fn two_answers_tell_how_much_is_published_and_how_much_of_it_is_taken() {
        let began = Instant::now();
        let mut recent = Recent::default();
        let mut asked = |second: u64, lag: GroupLag| {
            let at = began + Duration::from_secs(second);
            recent.flow(Some(&lag), at)
        };
        assert_eq!(asked(0, lag(100, 0)), None, "one answer tells nothing");
        assert_eq!(asked(2, lag(120, 30)), flow(25.0, 10.0), "it falls behind");
        assert_eq!(asked(4, lag(150, 0)), flow(12.5, 12.5), "it has caught up");
        for second in [6, 8, 10, 12] {
            asked(second, lag(150, 0));
        }
        assert_eq!(asked(14, lag(150, 0)), flow(0.0, 0.0), "what was is over");
        let late = asked(44, lag(210, 0));
        assert_eq!(late, flow(2.0, 2.0), "a slow bus tells of the time between");
    }

    #[test]
    fn a_group_that_stands_further_back_and_an_answer_that_does_not_come_begin_the_rates_anew() {
        let began = Instant::now();
        let mut recent = Recent::default();
        let mut asked = |second: u64, lag: Option<GroupLag>| {
            let at = began + Duration::from_secs(second);
            recent.flow(lag.as_ref(), at)
        };
        asked(0, Some(lag(100, 0)));
        assert_eq!(asked(2, Some(lag(0, 100))), None, "the group is a new one");
        assert_eq!(asked(4, Some(lag(50, 50))), flow(0.0, 25.0));
        assert_eq!(asked(6, Some(lag(60, 0))), None, "the topic is a new one");
        assert_eq!(asked(8, None), None, "the bus is away");
        assert_eq!(asked(10, Some(lag(90, 10))), None, "it is back");
        assert_eq!(asked(12, Some(lag(100, 10))), flow(5.0, 5.0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_over_a_bus_is_known_to_who_watches_it_and_not_after_it_went_away() {
        let bus: Arc<dyn EventBus> = Arc::new(MemoryBus::new(MemoryBusOptions::default()));
        let _consumer = bus.subscribe("t", "g").await.unwrap();
        let watch = LagWatch::new();
        let mut answers = watch.answer.subscribe();
        let cancel = CancellationToken::new();
        let asking = watch.clone();
        let asking = asking.run(Arc::clone(&bus), "t".into(), "g".into(), cancel.clone());
        let asking = tokio::spawn(asking);
        answers.wait_for(Option::is_some).await.unwrap();
        assert_eq!(watch.flow(), None);
        let record = Record {
            key: "ACME".into(),
            source: "push".into(),
            source_offset: None,
            received: Instant::now(),
            payload: Payload::Raw("{}".into()),
        };
        bus.publish("t", vec![record]).await.unwrap();
        let moved = |a: &Option<Answer>| {
            let flow = a.as_ref().and_then(|a| a.flow);
            flow.is_some_and(|f| f.published_per_second > 0.0 && f.taken_per_second == 0.0)
        };
        answers.wait_for(moved).await.unwrap();
        assert!(watch.flow().is_some());
        cancel.cancel();
        asking.await.unwrap();
        watch.answer.send_modify(|answer| {
            let answer = answer.as_mut().unwrap();
            answer.at = answer.at.checked_sub(STALE).unwrap();
        });
        assert_eq!(watch.flow(), None);
    }
}
