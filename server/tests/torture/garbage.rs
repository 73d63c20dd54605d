//! Messages that no row can be read from, and what must become of them.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bus::{EventBus as _, Payload, Record, TopicLog as _, kafka::KafkaBus};

/// How many there are.
pub const GARBAGE: u32 = 100;

/// Messages that no row can be read from, each with a number.
pub async fn publish_garbage(bus: &KafkaBus, topic: &str, numbers: std::ops::Range<u32>) {
    for n in numbers {
        let record = Record {
            key: String::new(),
            source: "torture".into(),
            source_offset: None,
            received: Instant::now(),
            payload: Payload::Raw(garbage(n).into()),
        };
        // The broker may be away: what is not acknowledged is sent again.
        while bus.publish(topic, vec![record.clone()]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// A letter for each message of garbage and for nothing else; a message that was published twice
/// (its first answer was lost) has two, with names of their own.
pub fn faults_of_letters(letters: &[store::DeadLetter]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut messages = BTreeSet::new();
    let mut found = BTreeSet::new();
    for letter in letters {
        let reject = &letter.reject;
        match garbage_in(&reject.payload) {
            Some(n) => found.insert(n),
            None => {
                faults.push(format!("a good row was put aside: {reject:?}"));
                continue;
            }
        };
        if !messages.insert(reject.message.clone()) {
            faults.push(format!("two letters of {:?}", reject.message));
        }
    }
    faults.extend(
        (0..GARBAGE)
            .filter(|n| !found.contains(n))
            .map(|n| format!("garbage {n} is missing")),
    );
    faults
}

/// Not JSON, JSON that is no row, a row of wrong types: each with its number.
fn garbage(n: u32) -> String {
    match n % 3 {
        0 => format!("{{\"garbage\": {n}}}"),
        1 => format!("no JSON but garbage {n}"),
        _ => format!("{{\"symbol\": 7, \"price\": \"dear\", \"garbage\": {n}}}"),
    }
}

fn garbage_in(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("garbage")?;
    let digits = rest.trim_matches(|c: char| !c.is_ascii_digit());
    digits.parse().ok()
}

pub async fn garbage_in_topic(bus: &KafkaBus, topic: &str) -> BTreeSet<u32> {
    let name = format!("{topic}.dlq");
    // A broker that has just come back elects its leaders first.
    let bounds = loop {
        match bus.bounds(&name).await {
            Ok(bounds) => break bounds,
            Err(e) if e.kind().is_transient() => {
                tokio::time::sleep(Duration::from_millis(200)).await
            }
            Err(e) => panic!("{name}: {e}"),
        }
    };
    let mut left: u64 = bounds.iter().map(|b| b.next - b.oldest).sum();
    let from: Vec<bus::Position> = bounds
        .iter()
        .map(|b| bus::Position {
            partition: b.partition,
            offset: b.oldest,
        })
        .collect();
    let mut found = BTreeSet::new();
    let mut consumer = bus.read_from(&name, &from).await.unwrap();
    while left > 0 {
        let polled = consumer.poll(1_000, Duration::from_secs(10)).await.unwrap();
        assert!(
            !polled.is_empty(),
            "{left} dead letters cannot be read back"
        );
        for delivery in polled {
            left -= 1;
            if let Payload::Raw(bytes) = &delivery.record.payload {
                found.extend(garbage_in(std::str::from_utf8(bytes).unwrap()));
            }
        }
    }
    found
}
