//! The outbox: messages in their order, by one deliverer at a time, bounded.

use market::ErrorKind;
use serde_json::json;
use store::{MOST_WAITING_MESSAGES, MessageState, NewMessage, OLD_MESSAGES_KEPT, Topic};

use super::{
    Database, PLENTY, StoreUnderTest,
    jobs::{MINUTE, at},
};

fn message(topic: Topic, key: &str) -> NewMessage {
    NewMessage {
        topic,
        payload: json!({ "n": 0.1 + 0.2, "of": key }),
        key: key.into(),
    }
}

async fn enqueue(store: &dyn Database, keys: &[&str]) {
    let messages = keys.iter().map(|key| message(Topic::Mlflow, key));
    store.enqueue(messages.collect(), at(0)).await.unwrap();
}

/// What a deliverer gets: ids and keys.
async fn claim(store: &dyn Database, by: &str, now: i64) -> Vec<(i64, String)> {
    let claimed = store.claim(Topic::Mlflow, by, at(now), MINUTE, 3).await;
    let messages = claimed.unwrap().into_iter();
    messages.map(|m| (m.id, m.message.key)).collect()
}

fn keys(messages: &[(i64, String)]) -> Vec<&str> {
    messages.iter().map(|(_, key)| key.as_str()).collect()
}

async fn states(store: &dyn Database, state: MessageState) -> Vec<String> {
    let messages = store.messages(Topic::Mlflow, state, None, usize::MAX).await;
    messages
        .unwrap()
        .into_iter()
        .map(|m| m.message.key)
        .collect()
}

pub async fn messages_come_in_their_order_until_they_are_delivered(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    enqueue(store.as_ref(), &["a", "b", "a", "c"]).await;
    let other = message(Topic::Webhook, "a");
    store.enqueue(vec![other.clone()], at(1)).await.unwrap();
    let bad = vec![message(Topic::Mlflow, "z"), message(Topic::Mlflow, "")];
    let refused = store.enqueue(bad, at(1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    drop(store);
    let store = place.open().await;
    enqueue(store.as_ref(), &["b", "d"]).await;
    let first = claim(store.as_ref(), "d", 2).await;
    assert_eq!(keys(&first), ["a", "b", "c"]);
    assert_eq!(claim(store.as_ref(), "d", 3).await, first);
    store.delivered(first[0].0).await.unwrap();
    store.delivered(first[0].0).await.unwrap();
    store.delivered(9_999).await.unwrap();
    enqueue(store.as_ref(), &["a", "e"]).await;
    let second = claim(store.as_ref(), "d", 4).await;
    assert_eq!(keys(&second), ["b", "c", "d"]);
    assert!(second.is_sorted());
    assert_eq!(states(store.as_ref(), MessageState::Delivered).await, ["a"]);
    assert_eq!(
        states(store.as_ref(), MessageState::Waiting).await,
        ["e", "d", "c", "b"]
    );
    let before = Some(second[2].0);
    let page = store
        .messages(Topic::Mlflow, MessageState::Waiting, before, 1)
        .await
        .unwrap();
    assert_eq!(page[0].message, message(Topic::Mlflow, "c"));
    assert_eq!(
        (page[0].queued_at, page[0].failures, &page[0].error),
        (at(0), 0, &None)
    );
    let hooks = store
        .claim(Topic::Webhook, "d", at(4), MINUTE, 9)
        .await
        .unwrap();
    assert_eq!(hooks.len(), 1);
    assert_eq!(hooks[0].message, other);
}

pub async fn a_message_that_is_to_be_tried_later_holds_up_those_behind_it(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    enqueue(store.as_ref(), &["a", "b", "c"]).await;
    let claimed = claim(store.as_ref(), "d", 0).await;
    let retry = Some(at(30));
    store
        .failed(claimed[1].0, "HTTP 500", retry, at(1))
        .await
        .unwrap();
    assert_eq!(keys(&claim(store.as_ref(), "d", 29).await), ["a"]);
    store.delivered(claimed[0].0).await.unwrap();
    assert!(claim(store.as_ref(), "d", 29).await.is_empty());
    assert_eq!(keys(&claim(store.as_ref(), "d", 30).await), ["b", "c"]);
    let waiting = store
        .messages(Topic::Mlflow, MessageState::Waiting, None, 9)
        .await
        .unwrap();
    let b = &waiting[1];
    assert_eq!(
        (b.failures, b.retry_at, b.error.as_deref()),
        (1, retry, Some("HTTP 500"))
    );
    store.delivered(b.id).await.unwrap();
    let sent = store
        .messages(Topic::Mlflow, MessageState::Delivered, None, 1)
        .await
        .unwrap();
    assert_eq!(
        (sent[0].failures, sent[0].retry_at, &sent[0].error),
        (1, None, &None)
    );
    // What was delivered cannot fail any more.
    store.failed(b.id, "late", retry, at(31)).await.unwrap();
    assert_eq!(keys(&claim(store.as_ref(), "d", 31).await), ["c"]);
}

pub async fn a_message_that_is_given_up_makes_way_and_is_kept(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    enqueue(store.as_ref(), &["a", "b"]).await;
    let claimed = claim(store.as_ref(), "d", 0).await;
    store
        .failed(claimed[0].0, "HTTP 400: no such run", None, at(1))
        .await
        .unwrap();
    assert_eq!(keys(&claim(store.as_ref(), "d", 2).await), ["b"]);
    let given_up = store
        .messages(Topic::Mlflow, MessageState::GivenUp, None, 9)
        .await
        .unwrap();
    assert_eq!(given_up.len(), 1);
    assert_eq!((given_up[0].id, given_up[0].failures), (claimed[0].0, 1));
    assert_eq!(given_up[0].error.as_deref(), Some("HTTP 400: no such run"));
}

pub async fn a_topic_is_delivered_by_one_at_a_time(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    enqueue(store.as_ref(), &["a"]).await;
    assert_eq!(claim(store.as_ref(), "one", 0).await.len(), 1);
    assert!(claim(store.as_ref(), "two", 59).await.is_empty());
    assert_eq!(claim(store.as_ref(), "one", 59).await.len(), 1);
    assert!(claim(store.as_ref(), "two", 118).await.is_empty());
    assert_eq!(claim(store.as_ref(), "two", 119).await.len(), 1);
    assert!(claim(store.as_ref(), "one", 120).await.is_empty());
    let hooks = store
        .claim(Topic::Webhook, "one", at(120), MINUTE, 9)
        .await
        .unwrap();
    assert!(hooks.is_empty());
}

pub async fn a_clock_that_goes_back_makes_no_message_wait(side: &dyn StoreUnderTest) {
    const YEAR: i64 = 365 * 86_400;
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    enqueue(store.as_ref(), &["a"]).await;
    let claimed = claim(store.as_ref(), "one", YEAR).await;
    let retry = Some(at(YEAR + 31));
    store
        .failed(claimed[0].0, "away", retry, at(YEAR + 1))
        .await
        .unwrap();
    // The clock is put right, and who had the topic is dead.
    assert!(claim(store.as_ref(), "two", 5).await.is_empty());
    assert!(claim(store.as_ref(), "two", 64).await.is_empty());
    // From when the other one has the topic, the wait is what it was.
    assert!(claim(store.as_ref(), "two", 65).await.is_empty());
    assert!(claim(store.as_ref(), "two", 94).await.is_empty());
    assert_eq!(claim(store.as_ref(), "two", 95).await.len(), 1);
}

pub async fn a_topic_keeps_its_newest_messages(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let more = OLD_MESSAGES_KEPT + 5;
    let all: Vec<String> = (0..MOST_WAITING_MESSAGES + more)
        .map(|i| i.to_string())
        .collect();
    for some in all.chunks(4_000) {
        let messages = some.iter().map(|key| message(Topic::Mlflow, key));
        store.enqueue(messages.collect(), at(0)).await.unwrap();
    }
    let waiting = states(store.as_ref(), MessageState::Waiting).await;
    assert_eq!(waiting.len(), MOST_WAITING_MESSAGES);
    assert_eq!(waiting.last(), Some(&all[more]));
    let given_up = states(store.as_ref(), MessageState::GivenUp).await;
    assert_eq!(given_up.len(), OLD_MESSAGES_KEPT);
    assert_eq!(given_up.first(), Some(&all[more - 1]));
    let first = store
        .messages(Topic::Mlflow, MessageState::GivenUp, None, 1)
        .await
        .unwrap();
    assert_eq!(
        first[0].error.as_deref(),
        Some("too many messages waited behind it")
    );
}
