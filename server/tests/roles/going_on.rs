//! A source goes on where the topic stands, however far behind the store is: it leaves nothing out, and
//! sends nothing again that a follower may have forgotten.

use std::{collections::BTreeMap, time::Duration};

use bus::{
    EventBus as _, Payload,
    kafka::{KafkaBus, KafkaOptions},
};

use super::{exchange::Exchange, service, settings, started};

/// How often each trade is on the topic, once `made` of them are.
async fn on_the_topic(bus: &KafkaBus, topic: &str, group: &str, made: usize) -> BTreeMap<u64, u32> {
    let mut consumer = bus.subscribe(topic, group).await.unwrap();
    let mut seen = BTreeMap::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let mut quiet = 0;
    // A moment longer, for what may come again.
    while quiet < 4 && tokio::time::Instant::now() < deadline {
        let polled = consumer.poll(10_000, Duration::from_millis(250)).await;
        let deliveries = polled.unwrap();
        quiet = if deliveries.is_empty() && seen.len() >= made {
            quiet + 1
        } else {
            0
        };
        for delivery in deliveries {
            if let Payload::Ticks(ticks) = &delivery.record.payload {
                for tick in ticks.iter() {
                    *seen.entry(tick.seq).or_insert(0) += 1;
                }
            }
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_was_killed_goes_on_where_the_topic_stands_though_the_store_has_nothing() {
    let exchange = Exchange::default();
    let url = exchange.start().await;
    let mut settings = settings("going-on");
    let unique = format!("going-on-{}", std::process::id());
    for setting in [
        "source.kind=rest".to_owned(),
        format!("source.url={url}"),
        "source.poll_ms=20".into(),
    ] {
        settings.extend(["--set".into(), setting]);
    }
    // Nobody consumes: the store stays empty.
    let (mut ingest, _) = started("ingest", &settings).await;
    let mut made = 0;
    for _ in 0..10 {
        exchange.trade(100);
        made += 100;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let bus = KafkaBus::connect(KafkaOptions::new(service("KAFKA_BROKERS")));
    let bus = bus.await.unwrap();
    on_the_topic(&bus, &unique, "first", made).await;
    ingest.kill();
    exchange.trade(100);
    let _ingest = tokio::task::spawn_blocking(move || {
        ingest.start();
        ingest
    })
    .await
    .unwrap();
    exchange.trade(100);
    made += 200;
    let seen = on_the_topic(&bus, &unique, "second", made).await;
    assert_eq!(seen.len(), made, "trades are missing");
    // The last batch is asked for once more; it may be as large as all that was made at once.
    let again = seen.values().filter(|times| **times > 1).count();
    assert!(again <= 200, "{again} of {made} were sent again");
}
