//! What every side of the bus must do, written against the port alone.
//!
//! A side passes by giving a [`BusUnderTest`] and naming it in [`contract_tests`]. Topics have names
//! of their own in each test, so that a broker can be shared by all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bus::{BusError, Consumer, Delivery, EventBus, Payload, Position, Record};
use bytes::Bytes;
use market::{Bar, Interval, Tick, Timestamp};

/// Long enough for a broker to rebalance; polls return as soon as there is something.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a poll that should find nothing looks.
const GLANCE: Duration = Duration::from_millis(50);

/// Makes buses of one side.
#[async_trait]
pub trait BusUnderTest: Send + Sync {
    /// A bus whose topics have `partitions` partitions and, where it is bounded by rows, keep
    /// `capacity_rows`.
    async fn bus(&self, capacity_rows: usize, partitions: u32) -> Arc<dyn EventBus>;
}

/// Writes one test per entry of the suite for a side.
macro_rules! contract_tests {
    ($side:expr) => {
        contract_tests!($side;
            what_is_published_comes_as_it_was,
            records_of_one_key_come_in_order,
            a_poll_gives_no_more_rows_than_asked_but_at_least_one_record,
            an_idle_poll_ends_empty_after_its_time_out,
            committed_records_do_not_come_again,
            polled_records_come_again_when_the_consumer_is_dropped,
            every_group_gets_every_record,
            a_new_group_starts_at_the_oldest_record_kept,
            consumers_of_one_group_share_the_records,
            a_consumer_takes_over_when_another_leaves,
            a_newcomer_cannot_commit_what_another_has_polled,
            the_lag_counts_what_is_not_committed,
            publishing_waits_while_the_slowest_group_is_a_capacity_behind,
            publishing_waits_while_there_is_no_group,
            closing_refuses_publishers_and_drains_consumers,
            closing_wakes_those_who_wait,
        );
    };
    ($side:expr; $($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::suite::$name(&$side).await;
            }
        )*
    };
}
pub(crate) use contract_tests;

fn topic(name: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("contract-{name}-{}-{number}", std::process::id())
}

fn raw(key: &str, text: &str) -> Record {
    Record {
        key: key.to_owned(),
        source: "test".into(),
        source_offset: None,
        received: std::time::Instant::now(),
        payload: Payload::Raw(Bytes::copy_from_slice(text.as_bytes())),
    }
}

fn numbered(keys: u32, count: u32) -> Vec<Record> {
    (0..count)
        .map(|i| raw(&format!("K{}", i % keys), &i.to_string()))
        .collect()
}

fn text(delivery: &Delivery) -> String {
    match &delivery.record.payload {
        Payload::Raw(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("not raw: {other:?}"),
    }
}

fn number(delivery: &Delivery) -> u32 {
    text(delivery).parse().unwrap()
}

/// Polls until `count` records are there.
async fn take(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    while all.len() < count {
        let more = consumer.poll(1_000, PATIENCE).await.unwrap();
        assert!(!more.is_empty(), "{} of {count} records came", all.len());
        all.extend(more);
    }
    assert_eq!(all.len(), count);
    all
}

pub async fn what_is_published_comes_as_it_was(side: &dyn BusUnderTest) {
    let bus = side.bus(1_000, 2).await;
    let topic = topic("as-it-was");
    let tick = Tick {
        symbol: "ABC".parse().unwrap(),
        ts: Timestamp::from_micros(1_700_000_000_123_456),
        seq: u64::from(u32::MAX) + 7,
        price: 0.1 + 0.2,
        size: 1e-9,
    };
    let payloads = [
        Payload::Ticks(vec![tick.clone(), tick.clone()].into()),
        Payload::Bars(vec![Bar::from_tick(&tick, Interval::M5)].into()),
        Payload::Raw(Bytes::from_static(b"{\"half\": \xff")),
    ];
    let records: Vec<Record> = payloads
        .into_iter()
        .map(|payload| Record {
            source_offset: Some("page 7".into()),
            payload,
            ..raw("ABC", "")
        })
        .collect();
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    bus.publish(&topic, records.clone()).await.unwrap();
    let got = take(&mut consumer, 3).await;
    for (delivery, record) in got.iter().zip(&records) {
        assert_eq!(delivery.record.key, record.key);
        assert_eq!(delivery.record.source, record.source);
        assert_eq!(delivery.record.source_offset, record.source_offset);
        assert_eq!(delivery.record.payload, record.payload);
    }
}

pub async fn records_of_one_key_come_in_order(side: &dyn BusUnderTest) {
    let bus = side.bus(10_000, 4).await;
    let topic = topic("order");
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    for chunk in numbered(7, 700).chunks(50) {
        bus.publish(&topic, chunk.to_vec()).await.unwrap();
    }
    let mut last: BTreeMap<String, u32> = BTreeMap::new();
    let mut partition_of: BTreeMap<String, u32> = BTreeMap::new();
    for delivery in take(&mut consumer, 700).await {
        let number = number(&delivery);
        let key = delivery.record.key.clone();
        let partition = delivery.position.partition;
        assert_eq!(
            *partition_of.entry(key.clone()).or_insert(partition),
            partition
        );
        if let Some(before) = last.insert(key, number) {
            assert!(before < number, "{number} came after {before}");
        }
    }
}

pub async fn a_poll_gives_no_more_rows_than_asked_but_at_least_one_record(side: &dyn BusUnderTest) {
    let bus = side.bus(1_000, 1).await;
    let topic = topic("rows");
    let tick = Tick {
        symbol: "ABC".parse().unwrap(),
        ts: Timestamp::from_secs(1),
        seq: 1,
        price: 1.0,
        size: 1.0,
    };
    let record = |rows: usize| Record {
        payload: Payload::Ticks(vec![tick.clone(); rows].into()),
        ..raw("ABC", "")
    };
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    bus.publish(&topic, vec![record(3), record(3), record(3), record(20)])
        .await
        .unwrap();
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let got = consumer.poll(7, PATIENCE).await.unwrap();
        let rows: Vec<usize> = got.iter().map(|d| d.record.payload.rows()).collect();
        assert!(
            rows.len() == 1 || rows.iter().sum::<usize>() <= 7,
            "{rows:?}"
        );
        assert!(!rows.is_empty());
        seen.extend(rows);
    }
    assert_eq!(seen, [3, 3, 3, 20]);
}

pub async fn an_idle_poll_ends_empty_after_its_time_out(side: &dyn BusUnderTest) {
    let bus = side.bus(10, 1).await;
    let mut consumer = bus.subscribe(&topic("idle"), "g").await.unwrap();
    assert_eq!(consumer.poll(10, GLANCE).await.unwrap(), []);
    assert_eq!(consumer.poll(10, Duration::ZERO).await.unwrap(), []);
}

pub async fn committed_records_do_not_come_again(side: &dyn BusUnderTest) {
    let bus = side.bus(1_000, 2).await;
    let topic = topic("committed");
    bus.publish(&topic, numbered(5, 20)).await.unwrap();
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    take(&mut consumer, 20).await;
    consumer.commit().await.unwrap();
    drop(consumer);
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    bus.publish(&topic, vec![raw("K0", "new")]).await.unwrap();
    let got = take(&mut consumer, 1).await;
    assert_eq!(text(&got[0]), "new");
    assert_eq!(consumer.poll(10, GLANCE).await.unwrap(), []);
}

pub async fn polled_records_come_again_when_the_consumer_is_dropped(side: &dyn BusUnderTest) {
    let bus = side.bus(1_000, 2).await;
    let topic = topic("again");
    bus.publish(&topic, numbered(5, 10)).await.unwrap();
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    take(&mut consumer, 10).await;
    consumer.commit().await.unwrap();
    bus.publish(&topic, numbered(5, 30)).await.unwrap();
    let first: BTreeSet<Position> = take(&mut consumer, 30)
        .await
        .iter()
        .map(|d| d.position)
        .collect();
    drop(consumer);
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    let second: BTreeSet<Position> = take(&mut consumer, 30)
        .await
        .iter()
        .map(|d| d.position)
        .collect();
    assert_eq!(first, second);
}

pub async fn every_group_gets_every_record(side: &dyn BusUnderTest) {
    let bus = side.bus(1_000, 3).await;
    let topic = topic("groups");
    let mut a = bus.subscribe(&topic, "a").await.unwrap();
    let mut b = bus.subscribe(&topic, "b").await.unwrap();
    bus.publish(&topic, numbered(4, 40)).await.unwrap();
    for consumer in [&mut a, &mut b] {
        let got: BTreeSet<u32> = take(consumer, 40).await.iter().map(number).collect();
        assert_eq!(got, (0..40).collect());
        consumer.commit().await.unwrap();
    }
}

pub async fn a_new_group_starts_at_the_oldest_record_kept(side: &dyn BusUnderTest) {
    let bus = side.bus(1_000, 2).await;
    let topic = topic("oldest");
    bus.publish(&topic, numbered(3, 12)).await.unwrap();
    let mut consumer = bus.subscribe(&topic, "late").await.unwrap();
    let got: BTreeSet<u32> = take(&mut consumer, 12).await.iter().map(number).collect();
    assert_eq!(got, (0..12).collect());
}

pub async fn consumers_of_one_group_share_the_records(side: &dyn BusUnderTest) {
    let bus = side.bus(10_000, 4).await;
    let topic = topic("share");
    let mut tasks = Vec::new();
    let total = 400_u32;
    let done = Arc::new(AtomicU64::new(0));
    for _ in 0..3 {
        let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
        let done = done.clone();
        tasks.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            while done.load(Ordering::SeqCst) < u64::from(total) {
                let got = consumer.poll(16, GLANCE).await.unwrap();
                done.fetch_add(got.len() as u64, Ordering::SeqCst);
                mine.extend(got.iter().map(number));
                consumer.commit().await.unwrap();
            }
            mine
        }));
    }
    for chunk in numbered(64, total).chunks(10) {
        bus.publish(&topic, chunk.to_vec()).await.unwrap();
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (0..total).collect::<Vec<_>>());
}

pub async fn a_consumer_takes_over_when_another_leaves(side: &dyn BusUnderTest) {
    let bus = side.bus(10_000, 4).await;
    let topic = topic("takeover");
    let mut staying = bus.subscribe(&topic, "g").await.unwrap();
    let mut leaving = bus.subscribe(&topic, "g").await.unwrap();
    bus.publish(&topic, numbered(64, 200)).await.unwrap();
    let lost = leaving.poll(10_000, PATIENCE).await.unwrap().len();
    assert!(lost > 0, "the second consumer got no partition");
    drop(leaving);
    let got: BTreeSet<u32> = take(&mut staying, 200).await.iter().map(number).collect();
    assert_eq!(got, (0..200).collect());
}

pub async fn a_newcomer_cannot_commit_what_another_has_polled(side: &dyn BusUnderTest) {
    let bus = side.bus(10_000, 4).await;
    let topic = topic("newcomer");
    let mut first = bus.subscribe(&topic, "g").await.unwrap();
    bus.publish(&topic, numbered(64, 200)).await.unwrap();
    take(&mut first, 200).await;
    let mut newcomer = bus.subscribe(&topic, "g").await.unwrap();
    newcomer.commit().await.unwrap();
    drop(first);
    let got: BTreeSet<u32> = take(&mut newcomer, 200).await.iter().map(number).collect();
    assert_eq!(got, (0..200).collect());
}

pub async fn the_lag_counts_what_is_not_committed(side: &dyn BusUnderTest) {
    let bus = side.bus(1_000, 2).await;
    let topic = topic("lag");
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    bus.publish(&topic, numbered(5, 25)).await.unwrap();
    let lag = |lags: Vec<bus::GroupLag>| lags.iter().find(|l| l.group == "g").unwrap().records;
    take(&mut consumer, 25).await;
    assert_eq!(lag(bus.lag(&topic).await.unwrap()), 25);
    consumer.commit().await.unwrap();
    assert_eq!(lag(bus.lag(&topic).await.unwrap()), 0);
}

pub async fn publishing_waits_while_the_slowest_group_is_a_capacity_behind(
    side: &dyn BusUnderTest,
) {
    let bus = side.bus(10, 1).await;
    let topic = topic("waits");
    let mut fast = bus.subscribe(&topic, "fast").await.unwrap();
    let mut slow = bus.subscribe(&topic, "slow").await.unwrap();
    bus.publish(&topic, numbered(1, 10)).await.unwrap();
    take(&mut fast, 10).await;
    fast.commit().await.unwrap();
    let publisher = tokio::spawn({
        let (bus, topic) = (bus.clone(), topic.clone());
        async move { bus.publish(&topic, vec![raw("K0", "10")]).await }
    });
    tokio::time::sleep(GLANCE).await;
    assert!(!publisher.is_finished());
    take(&mut slow, 10).await;
    assert!(!publisher.is_finished(), "polled is not committed");
    slow.commit().await.unwrap();
    publisher.await.unwrap().unwrap();
    assert_eq!(text(&take(&mut slow, 1).await[0]), "10");
}

pub async fn publishing_waits_while_there_is_no_group(side: &dyn BusUnderTest) {
    let bus = side.bus(10, 1).await;
    let topic = topic("nobody");
    let publisher = tokio::spawn({
        let (bus, topic) = (bus.clone(), topic.clone());
        async move { bus.publish(&topic, numbered(1, 25)).await }
    });
    tokio::time::sleep(GLANCE).await;
    assert!(!publisher.is_finished());
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    let mut got = Vec::new();
    while got.len() < 25 {
        got.extend(consumer.poll(100, PATIENCE).await.unwrap());
        consumer.commit().await.unwrap();
    }
    publisher.await.unwrap().unwrap();
    assert_eq!(
        got.iter().map(number).collect::<Vec<_>>(),
        (0..25).collect::<Vec<_>>()
    );
}

pub async fn closing_refuses_publishers_and_drains_consumers(side: &dyn BusUnderTest) {
    let bus = side.bus(1_000, 2).await;
    let topic = topic("close");
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    bus.publish(&topic, numbered(5, 30)).await.unwrap();
    bus.close().await;
    let refused = bus.publish(&topic, numbered(1, 1)).await;
    assert!(matches!(refused, Err(BusError::Closed)), "{refused:?}");
    take(&mut consumer, 30).await;
    consumer.commit().await.unwrap();
    let end = consumer.poll(10, PATIENCE).await;
    assert!(matches!(end, Err(BusError::Closed)), "{end:?}");
}

pub async fn closing_wakes_those_who_wait(side: &dyn BusUnderTest) {
    let bus = side.bus(10, 1).await;
    let (full, empty) = (topic("full"), topic("empty"));
    let publisher = tokio::spawn({
        let (bus, full) = (bus.clone(), full.clone());
        async move { bus.publish(&full, numbered(1, 20)).await }
    });
    let mut consumer = bus.subscribe(&empty, "g").await.unwrap();
    let reader = tokio::spawn(async move { consumer.poll(10, PATIENCE).await });
    tokio::time::sleep(GLANCE).await;
    bus.close().await;
    assert!(matches!(publisher.await.unwrap(), Err(BusError::Closed)));
    assert!(matches!(reader.await.unwrap(), Err(BusError::Closed)));
}
