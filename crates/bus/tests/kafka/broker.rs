//! A real broker under the suite, and what only a broker can show.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bus::{
    BusError, Consumer, EventBus, Payload, Record,
    kafka::{FollowFrom, KafkaBus, KafkaOptions},
};
use bytes::Bytes;
use market::{Reject, RejectReason, Tick, Timestamp};
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer as _},
    message::{BorrowedMessage, Headers, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::suite::{BusUnderTest, contract_tests};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn required(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run through `scripts/services run kafka -- cargo test …`")
    })
}

pub(crate) fn options() -> KafkaOptions {
    KafkaOptions::new(required("KAFKA_BROKERS"))
}

pub(crate) fn topic(name: &str) -> String {
    format!("kafka-{name}-{}", std::process::id())
}

struct Kafka;

#[async_trait]
impl BusUnderTest for Kafka {
    async fn bus(&self, _capacity_rows: usize, partitions: u32) -> Arc<dyn EventBus> {
        let options = KafkaOptions {
            partitions,
            ..options()
        };
        Arc::new(KafkaBus::connect(options).await.unwrap())
    }
}

contract_tests!(Kafka;
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
    closing_refuses_publishers_and_drains_consumers,
);

async fn bus() -> KafkaBus {
    KafkaBus::connect(KafkaOptions {
        partitions: 3,
        ..options()
    })
    .await
    .unwrap()
}

pub(crate) fn raw(key: &str, text: impl Into<Bytes>) -> Record {
    Record {
        key: key.into(),
        source: "test".into(),
        source_offset: None,
        received: Instant::now(),
        payload: Payload::Raw(text.into()),
    }
}

fn text(record: &Record) -> &str {
    match &record.payload {
        Payload::Raw(bytes) => std::str::from_utf8(bytes).unwrap(),
        other => panic!("not raw: {other:?}"),
    }
}

async fn take(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Record> {
    let mut all = Vec::new();
    while all.len() < count {
        let got = consumer.poll(10_000, PATIENCE).await.unwrap();
        assert!(!got.is_empty(), "{} of {count} records came", all.len());
        all.extend(got.into_iter().map(|d| d.record));
    }
    assert_eq!(all.len(), count);
    all
}

/// A producer as anybody else may have one.
fn foreign() -> &'static BaseProducer {
    static PRODUCER: OnceLock<BaseProducer> = OnceLock::new();
    PRODUCER.get_or_init(|| {
        ClientConfig::new()
            .set("bootstrap.servers", required("KAFKA_BROKERS"))
            .set("message.max.bytes", "20000000")
            .create()
            .unwrap()
    })
}

fn produce(topic: &str, payload: &[u8], headers: &[(&str, &str)]) {
    let headers = headers
        .iter()
        .fold(OwnedHeaders::new(), |all, (key, value)| {
            all.insert(rdkafka::message::Header {
                key,
                value: Some(*value),
            })
        });
    foreign()
        .send(
            BaseRecord::<str, [u8]>::to(topic)
                .key("ABC")
                .payload(payload)
                .headers(headers),
        )
        .map_err(|(e, _)| e)
        .unwrap();
    foreign().flush(PATIENCE).unwrap();
}

/// The next message; what passes by itself (a topic that this client has not heard of yet) is waited
/// out.
fn reader<'a>(consumer: &'a BaseConsumer) -> impl FnMut() -> BorrowedMessage<'a> {
    move || {
        let started = Instant::now();
        loop {
            match consumer.poll(PATIENCE) {
                Some(Ok(message)) => return message,
                other => assert!(started.elapsed() < PATIENCE, "{other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_wakes_a_consumer_that_waits() {
    let bus = bus().await;
    let mut consumer = bus.subscribe(&topic("wake"), "g").await.unwrap();
    let waiting = tokio::spawn(async move { consumer.poll(1, PATIENCE).await });
    bus.close().await;
    assert!(matches!(waiting.await.unwrap(), Err(BusError::Closed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_messages_are_json_that_any_consumer_reads() {
    let bus = bus().await;
    let topic = topic("json");
    let tick = Tick {
        symbol: "ABC".parse().unwrap(),
        ts: Timestamp::from_micros(1_700_000_000_123_456),
        seq: 7,
        price: 1.25,
        size: 100.0,
    };
    let record = |rows| Record {
        payload: Payload::Ticks(vec![tick.clone(); rows].into()),
        ..raw("ABC", "")
    };
    bus.publish(&topic, vec![record(1), record(2)])
        .await
        .unwrap();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", required("KAFKA_BROKERS"))
        .set("group.id", "somebody-else")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    let mut next = reader(&consumer);
    let row = r#"{"symbol":"ABC","ts_us":1700000000123456,"seq":7,"price":1.25,"size":100.0}"#;
    for expected in [row.to_owned(), format!("[{row},{row}]")] {
        let message = next();
        assert_eq!(message.payload_view::<str>().unwrap().unwrap(), expected);
        assert_eq!(message.key(), Some(&b"ABC"[..]));
        let headers: BTreeMap<&str, &[u8]> = message
            .headers()
            .unwrap()
            .iter()
            .filter_map(|h| Some((h.key, h.value?)))
            .collect();
        assert_eq!(headers["schema-version"], b"1");
        assert_eq!(headers["content"], b"ticks");
        assert_eq!(headers["source"], b"test");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_other_producers_come_as_they_are_and_good_ones_around_bad_ones_go_on() {
    let bus = bus().await;
    let topic = topic("foreign");
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    let row = r#"{"symbol": "ABC", "price": 1.5, "timestamp": "2024-03-01T14:30:00Z"}"#;
    produce(&topic, row.as_bytes(), &[]);
    produce(&topic, b"not json \xff", &[]);
    produce(
        &topic,
        row.as_bytes(),
        &[("schema-version", "9"), ("content", "ticks")],
    );
    produce(
        &topic,
        row.as_bytes(),
        &[("schema-version", "1"), ("content", "ticks")],
    );
    let got = take(&mut consumer, 4).await;
    assert_eq!(text(&got[0]), row);
    assert_eq!(got[0].source.as_ref(), format!("kafka:{topic}"));
    assert_eq!(
        got[1].payload,
        Payload::Raw(Bytes::from_static(b"not json \xff"))
    );
    assert!(
        matches!(&got[2].payload, Payload::Reject(r) if r.reason == RejectReason::UnknownVersion)
    );
    assert_eq!(text(&got[3]), row);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ten_megabyte_message_becomes_a_reject_and_the_next_one_comes() {
    let bus = KafkaBus::connect(KafkaOptions {
        partitions: 1,
        topic: [("max.message.bytes".into(), "20000000".into())].into(),
        ..options()
    })
    .await
    .unwrap();
    let topic = topic("large");
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    produce(&topic, &vec![b'x'; 10 << 20], &[]);
    produce(&topic, b"{}", &[]);
    let got = take(&mut consumer, 2).await;
    assert!(matches!(&got[0].payload, Payload::Reject(r) if r.reason == RejectReason::TooLarge));
    assert_eq!(text(&got[1]), "{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_too_large_for_the_broker_is_refused_with_what_to_do_and_the_next_goes_through() {
    let bus = bus().await;
    let topic = topic("refused");
    let large = vec![b'x'; 3 << 20];
    let refused = bus.publish(&topic, vec![raw("ABC", large)]).await;
    let Err(BusError::Invalid { detail }) = refused else {
        panic!("{refused:?}");
    };
    assert!(detail.contains("message.max.bytes"), "{detail}");
    bus.publish(&topic, vec![raw("ABC", "small")])
        .await
        .unwrap();
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    assert_eq!(text(&take(&mut consumer, 1).await[0]), "small");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_say_why_and_where_they_stood() {
    let bus = bus().await;
    let topic = topic("dead");
    let letters = bus.dead_letters(&topic);
    assert_eq!(letters.name(), format!("{topic}.dlq"));
    let reject = Reject::new(
        RejectReason::BadPrice,
        "price is -1",
        "push",
        "{\"price\":-1}",
    );
    let position = bus::Position {
        partition: 2,
        offset: 41,
    };
    letters
        .publish(&[(Some(position), &reject), (None, &reject)])
        .await
        .unwrap();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", required("KAFKA_BROKERS"))
        .set("group.id", "undertaker")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[letters.name()]).unwrap();
    let mut next = reader(&consumer);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let message = next();
        assert_eq!(message.payload(), Some(reject.payload.as_bytes()));
        let headers: BTreeMap<String, String> = message
            .headers()
            .unwrap()
            .iter()
            .map(|h| {
                let value = String::from_utf8(h.value.unwrap().to_vec()).unwrap();
                (h.key.to_owned(), value)
            })
            .collect();
        assert_eq!(headers["reason"], "bad_price");
        assert_eq!(headers["origin-topic"], topic);
        seen.push((
            headers.get("origin-partition").cloned(),
            headers.get("origin-offset").cloned(),
        ));
    }
    seen.sort();
    assert_eq!(seen, [(None, None), (Some("2".into()), Some("41".into()))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_follower_gets_every_record_and_goes_on_where_it_was() {
    let bus = bus().await;
    let topic = topic("follow");
    bus.publish(&topic, vec![raw("A", "before")]).await.unwrap();
    let mut newest = bus.follow(&topic, FollowFrom::Newest).await.unwrap();
    let mut oldest = bus.follow(&topic, FollowFrom::Oldest).await.unwrap();
    bus.publish(&topic, vec![raw("A", "after")]).await.unwrap();
    assert_eq!(text(&take(&mut newest, 1).await[0]), "after");
    let got = oldest.poll(1, PATIENCE).await.unwrap();
    assert_eq!(text(&got[0].record), "before");
    oldest.commit().await.unwrap();
    let seen = vec![got[0].position];
    drop(oldest);
    let mut again = bus.follow(&topic, FollowFrom::After(seen)).await.unwrap();
    assert_eq!(text(&take(&mut again, 1).await[0]), "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_not_polled_reads_ahead_no_further_than_it_may() {
    let bus = KafkaBus::connect(KafkaOptions {
        partitions: 1,
        read_ahead_rows: 10,
        ..options()
    })
    .await
    .unwrap();
    let topic = topic("bounded");
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    let records = (0..100).map(|i: u32| raw("A", i.to_string())).collect();
    bus.publish(&topic, records).await.unwrap();
    // Long enough for the partitions to be paused, and for what is paused to be resumed after.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let first = consumer.poll(10_000, PATIENCE).await.unwrap();
    assert_eq!(first.len(), 10);
    let rest = take(&mut consumer, 90).await;
    let numbers: Vec<&str> = rest.iter().map(text).collect();
    let expected: Vec<String> = (10..100).map(|i| i.to_string()).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_was_paused_given_up_and_got_back_goes_on() {
    let bus = KafkaBus::connect(KafkaOptions {
        partitions: 2,
        read_ahead_rows: 10,
        ..options()
    })
    .await
    .unwrap();
    let topic = topic("paused");
    let fill = async |from: usize| {
        let records = (from..from + 100).map(|n| raw(&format!("K{n}"), n.to_string()));
        bus.publish(&topic, records.collect()).await.unwrap();
    };
    fill(0).await;
    let mut first = bus.subscribe(&topic, "group").await.unwrap();
    // Nobody polls: it pauses both partitions, and gives one of them up paused.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let second = bus.subscribe(&topic, "group").await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while first.owned().unwrap().len() != 1 {
        assert!(Instant::now() < deadline, "the two do not share");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It reads on, then gets the other back.
    let got = first.poll(10_000, PATIENCE).await.unwrap();
    assert!(!got.is_empty());
    first.commit().await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(second);
    let mut partitions = std::collections::BTreeSet::new();
    let mut seen: std::collections::BTreeSet<String> =
        got.iter().map(|d| text(&d.record).to_owned()).collect();
    let deadline = Instant::now() + PATIENCE;
    while seen.len() < 100 {
        assert!(Instant::now() < deadline, "{} of 100 came", seen.len());
        for delivery in first.poll(10_000, Duration::from_secs(1)).await.unwrap() {
            partitions.insert(delivery.position.partition);
            seen.insert(text(&delivery.record).to_owned());
        }
        // While the group gives out its partitions anew, a commit may be refused: it comes with the next.
        match first.commit().await {
            Ok(()) | Err(bus::BusError::Unavailable { .. }) => {}
            Err(e) => panic!("{e:?}"),
        }
    }
    assert_eq!(partitions.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_keeps_the_moment_of_its_arrival_on_its_way_through_the_broker() {
    let bus = bus().await;
    let topic = topic("clock");
    let received = Instant::now() - Duration::from_secs(60);
    let record = Record {
        received,
        ..raw("A", "{}")
    };
    bus.publish(&topic, vec![record]).await.unwrap();
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    let got = take(&mut consumer, 1).await;
    let off = got[0].received.max(received) - got[0].received.min(received);
    assert!(off < Duration::from_secs(20), "{off:?}");
}
