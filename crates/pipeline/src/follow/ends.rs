//! How far the topic's partitions reach, asked once for all who want to know at about the same time.
//!
//! A question to a broker that is away takes seconds, on a thread for blocking work: thousands of readers
//! must not ask each for himself, and one who gives up waiting must not leave a question behind for the
//! next to ask again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bus::{Bounds, TopicLog};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};

/// For how long an answer is good: a reader is not kept waiting much longer for it.
const GOOD_FOR: Duration = Duration::from_secs(1);

type Answer = Shared<BoxFuture<'static, Option<Arc<Vec<Bounds>>>>>;

pub(super) struct Ends {
    log: Arc<dyn TopicLog>,
    topic: String,
    asked: Mutex<Option<(Instant, Answer)>>,
}

impl Ends {
    pub(super) fn new(log: Arc<dyn TopicLog>, topic: String) -> Self {
        Self {
            log,
            topic,
            asked: Mutex::default(),
        }
    }

    /// The bounds of each partition; `None` while the bus does not say.
    pub(super) async fn known(&self) -> Option<Arc<Vec<Bounds>>> {
        let answer = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let good = asked.as_ref().filter(|(at, answer)| {
                // One that is still awaited is everybody's.
                answer.peek().is_none() || at.elapsed() < GOOD_FOR
            });
            match good {
                Some((_, answer)) => answer.clone(),
                None => {
                    let answer = self.ask();
                    *asked = Some((Instant::now(), answer.clone()));
                    answer
                }
            }
        };
        answer.await
    }

    fn ask(&self) -> Answer {
        let (log, topic) = (Arc::clone(&self.log), self.topic.clone());
        // A task of its own: it goes on when who asked is gone.
        let asking = tokio::spawn(async move { log.bounds(&topic).await });
        async move { asking.await.ok()?.ok().map(Arc::new) }
            .boxed()
            .shared()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use bus::{BusError, Consumer, Position};

    use super::*;

    /// Answers slowly, and counts how often it is asked.
    struct Slow(AtomicUsize);

    #[async_trait]
    impl TopicLog for Slow {
        async fn bounds(&self, _topic: &str) -> bus::Result<Vec<Bounds>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(10)).await;
            Ok(vec![Bounds {
                partition: 0,
                oldest: 0,
                next: 7,
            }])
        }

        async fn read_from(&self, _: &str, _: &[Position]) -> bus::Result<Box<dyn Consumer>> {
            Err(BusError::Closed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_readers_who_give_up_and_come_again_ask_once() {
        let log = Arc::new(Slow(AtomicUsize::new(0)));
        let ends = Arc::new(Ends::new(log.clone(), "t".into()));
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..1_000 {
            let ends = Arc::clone(&ends);
            readers.spawn(async move {
                let patience = Duration::from_secs(4);
                let given_up = tokio::time::timeout(patience, ends.known()).await;
                assert!(given_up.is_err());
                ends.known().await.unwrap()[0].next
            });
        }
        while let Some(next) = readers.join_next().await {
            assert_eq!(next.unwrap(), 7);
        }
        assert_eq!(log.0.load(Ordering::SeqCst), 1);
    }
}
