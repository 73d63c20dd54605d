//! Dead letters.

use market::{Reject, RejectReason, Timestamp};
use store::{DeadLetter, DeadLetterState, ReasonCount, Store};

use super::{PLENTY, StoreUnderTest};

fn reject(reason: RejectReason, payload: &str) -> Reject {
    Reject::new(reason, "what was expected", "csv:prices.csv:17", payload)
}

async fn open(store: &dyn Store, reason: Option<RejectReason>) -> Vec<DeadLetter> {
    store
        .open_dead_letters(reason, 0, usize::MAX)
        .await
        .unwrap()
}

fn payloads(letters: &[DeadLetter]) -> Vec<&str> {
    letters.iter().map(|l| l.reject.payload.as_str()).collect()
}

pub async fn dead_letters_come_back_with_reason_origin_and_payload(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let rejects: Vec<Reject> = RejectReason::ALL
        .into_iter()
        .map(|reason| reject(reason, "{\"half\": \u{fffd}é\0\n"))
        .collect();
    let at = Timestamp::from_micros(1_700_000_000_123_456);
    store.put_aside(rejects.clone(), at).await.unwrap();
    store.put_aside(vec![], at).await.unwrap();
    drop(store);
    let store = place.open().await;
    let letters = open(store.as_ref(), None).await;
    for (letter, reject) in letters.iter().zip(&rejects) {
        assert_eq!((&letter.reject, letter.at), (reject, at));
        assert_eq!(letter.state, DeadLetterState::Open);
    }
    assert_eq!(letters.len(), rejects.len());
    assert!(letters.is_sorted_by_key(|l| l.id));
}

pub async fn a_letter_of_a_message_that_comes_again_is_kept_once(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let at = Timestamp::from_secs(1);
    let of = |message: &str| Reject {
        message: Some(message.into()),
        ..reject(RejectReason::BadPrice, message)
    };
    let store = place.open().await;
    let batch = vec![of("a"), reject(RejectReason::BadPrice, "-"), of("b")];
    store.put_aside(batch.clone(), at).await.unwrap();
    drop(store);
    let store = place.open().await;
    store.put_aside(batch, at).await.unwrap();
    store.put_aside(vec![of("b"), of("c")], at).await.unwrap();
    let letters = open(store.as_ref(), None).await;
    assert_eq!(payloads(&letters), ["a", "-", "b", "-", "c"]);
    assert_eq!(letters[0].reject, of("a"));
    let ids: Vec<i64> = letters[..3].iter().map(|l| l.id).collect();
    store.mark_replayed(ids).await.unwrap();
    store.put_aside(vec![of("a")], at).await.unwrap();
    assert_eq!(payloads(&open(store.as_ref(), None).await), ["-", "c"]);
    let counts = store.dead_letter_counts().await.unwrap();
    assert_eq!((counts[0].open, counts[0].replayed), (2, 3));
}

pub async fn dead_letters_are_listed_in_pages_and_by_reason(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let rejects: Vec<Reject> = (0..10)
        .map(|i| {
            let reason = [RejectReason::BadPrice, RejectReason::BadBar][i % 2];
            reject(reason, &i.to_string())
        })
        .collect();
    store
        .put_aside(rejects, Timestamp::from_secs(1))
        .await
        .unwrap();
    let first = store.open_dead_letters(None, 0, 4).await.unwrap();
    assert_eq!(payloads(&first), ["0", "1", "2", "3"]);
    let second = store.open_dead_letters(None, first[3].id, 4).await.unwrap();
    assert_eq!(payloads(&second), ["4", "5", "6", "7"]);
    let odd = Some(RejectReason::BadBar);
    let of_reason = store.open_dead_letters(odd, first[1].id, 2).await.unwrap();
    assert_eq!(payloads(&of_reason), ["3", "5"]);
    let none = open(store.as_ref(), Some(RejectReason::TooLarge)).await;
    assert!(none.is_empty());
}

pub async fn a_replayed_letter_is_no_longer_open(side: &dyn StoreUnderTest) {
    let mut place = side.place(PLENTY).await;
    let store = place.open().await;
    let rejects = vec![
        reject(RejectReason::BadPrice, "0"),
        reject(RejectReason::BadPrice, "1"),
        reject(RejectReason::BadBar, "2"),
    ];
    store
        .put_aside(rejects, Timestamp::from_secs(1))
        .await
        .unwrap();
    assert_eq!(store.mark_replayed(vec![]).await.unwrap(), 0);
    let letters = open(store.as_ref(), None).await;
    let ids = vec![letters[0].id, letters[2].id, 9_999];
    assert_eq!(store.mark_replayed(ids.clone()).await.unwrap(), 2);
    assert_eq!(store.mark_replayed(ids).await.unwrap(), 0);
    assert_eq!(payloads(&open(store.as_ref(), None).await), ["1"]);
    let mut counts = store.dead_letter_counts().await.unwrap();
    counts.sort_by_key(|c| c.reason);
    assert_eq!(
        counts,
        [
            ReasonCount {
                reason: RejectReason::BadPrice,
                open: 1,
                replayed: 1
            },
            ReasonCount {
                reason: RejectReason::BadBar,
                open: 0,
                replayed: 1
            },
        ]
    );
}

pub async fn beyond_the_number_kept_the_oldest_replayed_go_first_then_the_oldest(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(5).await;
    let store = place.open().await;
    let put = async |numbers: std::ops::Range<u32>| {
        let rejects = numbers
            .map(|i| reject(RejectReason::BadField, &i.to_string()))
            .collect();
        store
            .put_aside(rejects, Timestamp::from_secs(1))
            .await
            .unwrap();
    };
    let totals = async || -> (u64, u64) {
        let counts = store.dead_letter_counts().await.unwrap();
        counts
            .iter()
            .fold((0, 0), |(o, r), c| (o + c.open, r + c.replayed))
    };
    put(0..5).await;
    let letters = open(store.as_ref(), None).await;
    let replayed = vec![letters[1].id, letters[3].id];
    store.mark_replayed(replayed).await.unwrap();
    put(5..6).await;
    assert_eq!(
        payloads(&open(store.as_ref(), None).await),
        ["0", "2", "4", "5"]
    );
    assert_eq!(totals().await, (4, 1));
    put(6..8).await;
    assert_eq!(
        payloads(&open(store.as_ref(), None).await),
        ["2", "4", "5", "6", "7"]
    );
    assert_eq!(totals().await, (5, 0));
    put(8..20).await;
    assert_eq!(
        payloads(&open(store.as_ref(), None).await),
        ["15", "16", "17", "18", "19"]
    );
    assert_eq!(totals().await, (5, 0));
}
