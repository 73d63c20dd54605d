//! A source goes on where the topic stands, however far behind the store is: it leaves nothing out, and
//! sends nothing again that a follower may have forgotten.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, http::Uri};
use bus::{
    EventBus as _, Payload, Record,
    kafka::{KafkaBus, KafkaOptions},
};
use market::{Symbol, Timestamp};
use source::rest::{SourceOffset, StreamPosition};

use super::{
    exchange::{Exchange, SYMBOLS, now, symbols},
    service, settings, started,
};

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
    let bus = KafkaBus::connect(KafkaOptions::new(service("KAFKA_BROKERS")));
    let bus = bus.await.unwrap();
    // The last batch in the topic came from four minutes ago, before most symbols went quiet.
    let start = now().plus_micros(-240_000_000);
    exchange.trade_at(start, SYMBOLS, SYMBOLS);
    bus.publish(&unique, last_batch(&exchange, start))
        .await
        .unwrap();
    for minute in 1..4 {
        exchange.trade_at(start.plus_micros(minute * 60_000_000), 2, 100);
    }
    // Nobody consumes: the store stays empty.
    let (mut ingest, _) = started("ingest", &settings).await;
    let mut made = SYMBOLS + 300;
    for _ in 0..10 {
        exchange.trade_at(now(), 2, 100);
        made += 100;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let before = on_the_topic(&bus, &unique, "first", made).await;
    assert_eq!(before.len(), made, "trades are missing");
    ingest.kill();
    exchange.trade_at(now(), 2, 100);
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
    let again: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "sent again: {again:?}");
}

/// What a source that was asked for all trades leaves in the topic of its first batch.
fn last_batch(exchange: &Exchange, since: Timestamp) -> Vec<Record> {
    let offset = SourceOffset {
        stream: String::new(),
        position: StreamPosition {
            since: Some(since),
            ..StreamPosition::default()
        },
    };
    let record = |symbol: Symbol| Record {
        key: symbol.to_string(),
        source: "rest:tickcast".into(),
        source_offset: offset.text(),
        received: std::time::Instant::now(),
        payload: Payload::Ticks(exchange.trades_of(&symbol).into()),
    };
    symbols().into_iter().map(record).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_of_bars_that_was_killed_asks_from_the_newest_bar_on_the_topic() {
    let unique = format!("going-on-bars-{}", std::process::id());
    let bar_at = now().plus_micros(-600_000_000).as_millis() / 60_000 * 60_000;
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&asked);
    let provider = Router::new().fallback(move |uri: Uri| async move {
        noted.lock().unwrap().push(uri.path().to_owned());
        format!(r#"{{"results":[{{"t":{bar_at},"o":1,"h":2,"l":1,"c":2,"v":3}}]}}"#)
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, provider).await.unwrap() });
    let mut settings = settings("going-on-bars");
    for setting in [
        "source.kind=rest".to_owned(),
        "source.preset=polygon-bars".into(),
        "source.api_key=key".into(),
        "source.poll_ms=50".into(),
        "ingest.symbols=ACME".into(),
        format!("source.url={url}"),
    ] {
        settings.extend(["--set".into(), setting]);
    }
    let (mut ingest, _) = started("ingest", &settings).await;
    let bus = KafkaBus::connect(KafkaOptions::new(service("KAFKA_BROKERS")));
    let mut consumer = bus.await.unwrap().subscribe(&unique, "g").await.unwrap();
    let mut on_the_topic = 0;
    for _ in 0..240 {
        let polled = consumer.poll(10, Duration::from_millis(250)).await.unwrap();
        on_the_topic += polled.len();
        if on_the_topic > 0 {
            break;
        }
    }
    assert_eq!(on_the_topic, 1);
    ingest.kill();
    asked.lock().unwrap().clear();
    let _ingest = tokio::task::spawn_blocking(move || {
        ingest.start();
        ingest
    })
    .await
    .unwrap();
    for _ in 0..240 {
        if !asked.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let first = asked.lock().unwrap()[0].clone();
    assert!(
        first.contains(&format!("/ACME/range/1/minute/{bar_at}/")),
        "{first}"
    );
}
