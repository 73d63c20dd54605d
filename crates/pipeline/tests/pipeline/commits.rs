//! A bus that takes no commits: how much is stored before it does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bus::{BusError, Consumer, Delivery, EventBus, GroupLag, Payload, Record};

use crate::harness::*;

#[derive(Clone)]
struct Uncommitting {
    inner: Arc<dyn EventBus>,
    refuses: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
}

struct UncommittingConsumer {
    inner: Box<dyn Consumer>,
    of: Uncommitting,
}

#[async_trait]
impl EventBus for Uncommitting {
    async fn publish(&self, topic: &str, records: Vec<Record>) -> bus::Result<()> {
        self.inner.publish(topic, records).await
    }

    async fn subscribe(&self, topic: &str, group: &str) -> bus::Result<Box<dyn Consumer>> {
        Ok(Box::new(UncommittingConsumer {
            inner: self.inner.subscribe(topic, group).await?,
            of: self.clone(),
        }))
    }

    async fn lag(&self, topic: &str) -> bus::Result<Vec<GroupLag>> {
        self.inner.lag(topic).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl Consumer for UncommittingConsumer {
    async fn poll(&mut self, max_rows: usize, timeout: Duration) -> bus::Result<Vec<Delivery>> {
        self.inner.poll(max_rows, timeout).await
    }

    async fn commit(&mut self) -> bus::Result<()> {
        if self.of.refuses.load(Ordering::SeqCst) {
            self.of.refused.fetch_add(1, Ordering::SeqCst);
            return Err(BusError::Unavailable {
                detail: "no coordinator".into(),
            });
        }
        self.inner.commit().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_no_commit_gets_through_no_more_is_stored_than_comes_again_harmlessly() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).await);
    let bus = Uncommitting {
        inner: memory_bus(),
        refuses: Arc::new(AtomicBool::new(true)),
        refused: Arc::default(),
    };
    let wall = Wall::new(at(10_000_000));
    let parts: Arc<dyn EventBus> = Arc::new(bus.clone());
    let pipeline =
        pipeline::Pipeline::start(config(), parts, store.clone(), Vec::new(), wall.clock());
    let pipeline = pipeline.await.unwrap();
    let record = |first: u64| Record {
        key: "AAA".into(),
        source: "test".into(),
        source_offset: None,
        received: Instant::now(),
        payload: Payload::Ticks(
            (first..first + 1_000)
                .map(|seq| tick("AAA", seq as i64, seq, 1.0))
                .collect(),
        ),
    };
    let records: Vec<Record> = (0..50).map(|n| record(n * 1_000)).collect();
    bus.publish(&pipeline.config().topic, records)
        .await
        .unwrap();
    let have = || async { stored(&*store, "AAA", 0).await.len() };
    until(|| async { have().await >= 10_000 }).await;
    let refused = bus.refused.load(Ordering::SeqCst);
    until(|| async { bus.refused.load(Ordering::SeqCst) >= refused + 5 }).await;
    // What the CSV files tell doubles among.
    assert!(have().await <= 20_000, "{}", have().await);
    bus.refuses.store(false, Ordering::SeqCst);
    until(|| async { have().await == 50_000 }).await;
    until(|| async { pipeline.stats().await.bus_lag_records == Some(0) }).await;
    assert!(pipeline.shutdown(Duration::from_secs(30)).await);
}
