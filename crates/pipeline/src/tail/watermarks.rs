//! How far the topic's partitions reach, asked once for all who want to know at about the same time.
//!
//! A question to a broker that is away takes seconds, on a thread for blocking work: thousands of readers
//! must not ask each for himself, and one who gives up waiting must not leave a question behind for the
//! next to ask again. So there is one question at a time. Partitions only grow: an answer of any age may
//! say that a position is reached, but only one that was asked for after the reader came may say that it
//! is not.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use bus::{Bounds, TopicLog};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::task::AbortHandle;

type Answer = Shared<BoxFuture<'static, Option<Arc<Vec<Bounds>>>>>;

#[derive(Clone)]
struct Asked {
    at: Instant,
    answer: Answer,
    task: AbortHandle,
}

pub(super) struct Watermarks {
    log: Arc<dyn TopicLog>,
    topic: String,
    asked: Mutex<Option<Asked>>,
}

impl Watermarks {
    pub(super) fn new(log: Arc<dyn TopicLog>, topic: String) -> Self {
        Self {
            log,
            topic,
            asked: Mutex::default(),
        }
    }

    /// Whether a partition holds an offset; `None` while the bus does not say.
    pub(super) async fn hold(&self, partition: u32, offset: u64) -> Option<bool> {
        let came = Instant::now();
        loop {
            let Asked { at, answer, .. } = self.question(came);
            let bounds = answer.await?;
            let end = bounds.iter().find(|b| b.partition == partition)?.next;
            if offset < end || at >= came {
                return Some(offset < end);
            }
        }
    }

    /// The last question, if it was asked since then or is still open, else a new one.
    fn question(&self, since: Instant) -> Asked {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        match &*asked {
            Some(last) if last.at >= since || !last.task.is_finished() => last.clone(),
            _ => asked.insert(self.ask()).clone(),
        }
    }

    fn ask(&self) -> Asked {
        let (log, topic) = (Arc::clone(&self.log), self.topic.clone());
        // A task of its own: it goes on when who asked is gone.
        let asking = tokio::spawn(async move { log.bounds(&topic).await });
        Asked {
            at: Instant::now(),
            task: asking.abort_handle(),
            answer: async move { asking.await.ok()?.ok().map(Arc::new) }
                .boxed()
                .shared(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use async_trait::async_trait;
    use bus::{BusError, Consumer, Position};

    use super::*;

    /// Answers slowly, and counts how often it is asked. It grows by one with each question.
    struct Slow(AtomicUsize);

    #[async_trait]
    impl TopicLog for Slow {
        async fn bounds(&self, _topic: &str) -> bus::Result<Vec<Bounds>> {
            let asked = self.0.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(10)).await;
            Ok(vec![Bounds {
                partition: 0,
                oldest: 0,
                next: 7 + asked as u64,
            }])
        }

        fn partition_of(&self, _: &str, _: u32) -> Option<u32> {
            Some(0)
        }

        async fn read_from(&self, _: &str, _: &[Position]) -> bus::Result<Box<dyn Consumer>> {
            Err(BusError::Closed)
        }
    }

    /// A thousand readers who ask for an offset, give up, and ask again: what all of them hear, and how
    /// many questions it took.
    async fn ask(offset: u64) -> (Vec<bool>, usize) {
        let log = Arc::new(Slow(AtomicUsize::new(0)));
        let watermarks = Arc::new(Watermarks::new(log.clone(), "t".into()));
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..1_000 {
            let watermarks = Arc::clone(&watermarks);
            readers.spawn(async move {
                let patience = Duration::from_secs(4);
                let given_up = tokio::time::timeout(patience, watermarks.hold(0, offset)).await;
                assert!(given_up.is_err());
                watermarks.hold(0, offset).await.unwrap()
            });
        }
        let mut heard = readers.join_all().await;
        heard.dedup();
        (heard, log.0.load(Ordering::SeqCst))
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_answer_may_say_that_a_position_is_reached() {
        assert_eq!(ask(6).await, (vec![true], 1));
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_question_of_ones_own_time_may_say_that_it_is_not() {
        // The first answer, asked for before they came again, ends at 7, the second at 8.
        assert_eq!(ask(7).await, (vec![true], 2));
        assert_eq!(ask(8).await, (vec![false], 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_waited_for_does_not_stand_for_ever() {
        let log = Arc::new(Slow(AtomicUsize::new(0)));
        let watermarks = Watermarks::new(log.clone(), "t".into());
        let given_up = tokio::time::timeout(Duration::from_secs(1), watermarks.hold(0, 7)).await;
        assert!(given_up.is_err());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(watermarks.hold(0, 7).await, Some(true));
        assert_eq!(log.0.load(Ordering::SeqCst), 2);
    }
}
