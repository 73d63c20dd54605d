//! Who is let in, who is not, and what is said then; by TLS too.

use std::time::Duration;

use bus::{
    BusError, EventBus as _,
    kafka::{KafkaBus, KafkaOptions},
};

use crate::broker::{options, raw, required, topic};

async fn refusal(options: KafkaOptions) -> BusError {
    match KafkaBus::connect(options).await {
        Ok(_) => panic!("connected"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_is_unavailable_and_the_message_says_what_to_check() {
    // Port 1 of the loopback: nobody listens there.
    let error = refusal(KafkaOptions {
        timeout: Duration::from_secs(3),
        ..KafkaOptions::new("127.0.0.1:1")
    })
    .await;
    let BusError::Unavailable { detail } = &error else {
        panic!("{error:?}");
    };
    assert!(detail.contains("127.0.0.1:1"), "{detail}");
    assert!(detail.contains("check the brokers' addresses"), "{detail}");
}

/// Options for the broker that a variable names, with settings of librdkafka's.
fn with<const N: usize>(brokers: &str, extra: [(&str, &str); N]) -> KafkaOptions {
    KafkaOptions {
        extra: extra.map(|(k, v)| (k.into(), v.into())).into(),
        ..KafkaOptions::new(required(brokers))
    }
}

fn with_password(password: &str) -> KafkaOptions {
    let extra = [
        ("security.protocol", "sasl_plaintext"),
        ("sasl.mechanisms", "PLAIN"),
        ("sasl.username", "tickcast"),
        ("sasl.password", password),
    ];
    with("KAFKA_SASL_BROKERS", extra)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_credentials_are_taken() {
    let bus = KafkaBus::connect(with_password("correct")).await.unwrap();
    let topic = topic("sasl");
    bus.publish(&topic, vec![raw("A", "x")]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_refused_with_what_to_check_and_without_the_password() {
    let error = refusal(with_password("swordfish")).await;
    let BusError::Configuration { detail } = &error else {
        panic!("{error:?}");
    };
    assert!(detail.contains("sasl.password"), "{detail}");
    assert!(!detail.contains("swordfish"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_is_none_is_named() {
    let mut options = options();
    options.extra.insert("no.such.setting".into(), "1".into());
    let error = refusal(options).await;
    let BusError::Configuration { detail } = &error else {
        panic!("{error:?}");
    };
    assert!(detail.contains("no.such.setting"), "{detail}");
}

fn by_tls(user: &str, password: &str, ca: &str) -> KafkaOptions {
    let extra = [
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanisms", "SCRAM-SHA-256"),
        ("sasl.username", user),
        ("sasl.password", password),
        ("ssl.ca.location", ca),
    ];
    with("KAFKA_TLS_BROKERS", extra)
}

#[tokio::test(flavor = "multi_thread")]
async fn by_tls_and_scram_records_go_there_and_come_back() {
    let options = by_tls("tickcast", "correct", &required("KAFKA_TLS_CA"));
    let bus = KafkaBus::connect(options).await.unwrap();
    let topic = topic("tls");
    bus.publish(&topic, vec![raw("A", "x")]).await.unwrap();
    let mut consumer = bus.subscribe(&topic, "g").await.unwrap();
    let got = consumer.poll(10, Duration::from_secs(30)).await.unwrap();
    assert_eq!(got.len(), 1);
    consumer.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn by_scram_wrong_credentials_are_refused_with_what_to_check() {
    let ca = required("KAFKA_TLS_CA");
    for (user, password) in [("tickcast", "swordfish"), ("nobody", "correct")] {
        let error = refusal(by_tls(user, password, &ca)).await;
        let BusError::Configuration { detail } = &error else {
            panic!("{error:?}");
        };
        assert!(detail.contains("sasl.password"), "{detail}");
        assert!(!detail.contains("swordfish"), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_certificate_nobody_vouches_for_is_refused_with_what_to_check() {
    let mut options = by_tls("tickcast", "correct", "");
    options.extra.remove("ssl.ca.location");
    let error = refusal(options).await;
    let BusError::Configuration { detail } = &error else {
        panic!("{error:?}");
    };
    assert!(detail.contains("ssl.ca.location"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_to_a_port_without_it_is_refused_with_what_to_check() {
    let ca = required("KAFKA_TLS_CA");
    let error = refusal(KafkaOptions {
        brokers: required("KAFKA_BROKERS"),
        timeout: Duration::from_secs(5),
        ..by_tls("tickcast", "correct", &ca)
    })
    .await;
    assert!(error.to_string().contains("check"), "{error}");
}
