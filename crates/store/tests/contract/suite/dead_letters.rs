//! Dead letters.

use market::{Reject, RejectReason, Timestamp};
use store::{
    DeadLetter, DeadLetterQuota, DeadLetterState, DroppedCount, ReasonCount, RejectReport,
    quota::{MOST_SOURCES, OTHERS, size_of},
};

use super::{Database, PLENTY, StoreUnderTest};

fn reject(reason: RejectReason, payload: &str) -> Reject {
    Reject::new(reason, "what was expected", "csv:prices.csv:17", payload)
}

async fn open(store: &dyn Database, reason: Option<RejectReason>) -> Vec<DeadLetter> {
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
    store.reject(rejects.clone(), at).await.unwrap();
    store.reject(vec![], at).await.unwrap();
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
    store.reject(batch.clone(), at).await.unwrap();
    drop(store);
    let store = place.open().await;
    store.reject(batch, at).await.unwrap();
    store.reject(vec![of("b"), of("c")], at).await.unwrap();
    let letters = open(store.as_ref(), None).await;
    assert_eq!(payloads(&letters), ["a", "-", "b", "-", "c"]);
    assert_eq!(letters[0].reject, of("a"));
    let ids: Vec<i64> = letters[..3].iter().map(|l| l.id).collect();
    store.mark_replayed(ids).await.unwrap();
    store.reject(vec![of("a")], at).await.unwrap();
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
        .reject(rejects, Timestamp::from_secs(1))
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
        .reject(rejects, Timestamp::from_secs(1))
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

/// Room for so many of a source and in all.
fn quota(per_source: u64, total: u64) -> DeadLetterQuota {
    DeadLetterQuota {
        per_source,
        total,
        ..PLENTY
    }
}

/// Letters of a source, their payloads numbered.
fn of(source: &str, numbers: std::ops::Range<u32>) -> Vec<Reject> {
    let letter = |i: u32| {
        let origin = format!("{source}:{}", i + 1);
        Reject::new(
            RejectReason::BadField,
            "what was expected",
            origin,
            format!("{source}{i}"),
        )
    };
    numbers.map(letter).collect()
}

async fn put(store: &dyn Database, rejects: Vec<Reject>) -> RejectReport {
    store
        .reject(rejects, Timestamp::from_secs(1))
        .await
        .unwrap()
}

/// All letters of all reasons: (open, replayed).
async fn totals(store: &dyn Database) -> (u64, u64) {
    let counts = store.dead_letter_counts().await.unwrap();
    counts
        .iter()
        .fold((0, 0), |(o, r), c| (o + c.open, r + c.replayed))
}

fn dropped(source: &str, reason: RejectReason, dropped: u64) -> DroppedCount {
    DroppedCount {
        source: source.into(),
        reason,
        dropped,
    }
}

pub async fn beyond_its_quota_a_source_loses_its_oldest_replayed_letters_and_no_open_one(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(quota(5, 1_000)).await;
    let store = place.open().await;
    assert_eq!(put(&*store, of("a", 0..5)).await.kept, 5);
    let letters = open(&*store, None).await;
    let replayed = vec![letters[1].id, letters[3].id];
    store.mark_replayed(replayed).await.unwrap();
    let done = put(&*store, of("a", 5..6)).await;
    assert_eq!((done.kept, done.dropped_in_all()), (1, 0));
    assert_eq!(
        payloads(&open(&*store, None).await),
        ["a0", "a2", "a4", "a5"]
    );
    assert_eq!(totals(&*store).await, (4, 1));
    let done = put(&*store, of("a", 6..9)).await;
    assert_eq!((done.kept, done.dropped_in_all()), (1, 2));
    let kept = ["a0", "a2", "a4", "a5", "a6"];
    assert_eq!(payloads(&open(&*store, None).await), kept);
    let done = put(&*store, of("a", 9..20)).await;
    assert_eq!((done.kept, done.dropped_in_all()), (0, 11));
    assert_eq!(payloads(&open(&*store, None).await), kept);
    assert_eq!(totals(&*store).await, (5, 0));
}

pub async fn a_source_that_floods_takes_nothing_from_the_others(side: &dyn StoreUnderTest) {
    let mut place = side.place(quota(10, 1_000)).await;
    let store = place.open().await;
    put(&*store, of("b", 0..4)).await;
    // Of both in one batch, too.
    let mut mixed = of("a", 0..500);
    mixed.extend(of("b", 4..6));
    mixed.extend(of("a", 500..3_000));
    let done = put(&*store, mixed).await;
    assert_eq!((done.kept, done.dropped_in_all()), (12, 2_990));
    put(&*store, of("a", 3_000..3_100)).await;
    put(&*store, of("b", 6..7)).await;
    let letters = open(&*store, None).await;
    let of_b = |l: &&DeadLetter| l.reject.source() == "b";
    let of_b: Vec<DeadLetter> = letters.iter().filter(of_b).cloned().collect();
    assert_eq!(payloads(&of_b), ["b0", "b1", "b2", "b3", "b4", "b5", "b6"]);
    // And of the flood the first ones: they say what went wrong.
    assert_eq!(letters.len(), 17);
    assert!(payloads(&letters).contains(&"a0") && payloads(&letters).contains(&"a9"));
}

pub async fn beyond_the_quota_of_all_sources_the_oldest_replayed_letters_make_room(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(quota(4, 6)).await;
    let store = place.open().await;
    put(&*store, of("a", 0..3)).await;
    put(&*store, of("b", 0..3)).await;
    let done = put(&*store, of("c", 0..2)).await;
    assert_eq!(done.dropped, [dropped("c", RejectReason::BadField, 2)]);
    let letters = open(&*store, None).await;
    store.mark_replayed(vec![letters[0].id]).await.unwrap();
    let done = put(&*store, of("c", 2..4)).await;
    assert_eq!((done.kept, done.dropped_in_all()), (1, 1));
    assert_eq!(
        payloads(&open(&*store, None).await),
        ["a1", "a2", "b0", "b1", "b2", "c2"]
    );
    assert_eq!(totals(&*store).await, (6, 0));
}

/// A letter of a source, of so many bytes.
fn sized(source: &str, bytes: usize) -> Reject {
    let origin = format!("{source}:1");
    let payload = "é".repeat((bytes - origin.len()) / 2);
    let rest = bytes - origin.len() - payload.len();
    Reject::new(RejectReason::BadField, "x".repeat(rest), origin, payload)
}

async fn sizes(store: &dyn Database) -> Vec<u64> {
    let letters = open(store, None).await;
    letters.iter().map(|l| size_of(&l.reject)).collect()
}

pub async fn the_letters_of_a_source_are_bounded_in_bytes_and_what_exceeds_them_is_counted(
    side: &dyn StoreUnderTest,
) {
    let quota = DeadLetterQuota {
        bytes_per_source: 1_000,
        ..PLENTY
    };
    let mut place = side.place(quota).await;
    let store = place.open().await;
    let done = put(
        &*store,
        vec![sized("a", 600), sized("a", 401), sized("b", 900)],
    )
    .await;
    assert_eq!(done.dropped, [dropped("a", RejectReason::BadField, 1)]);
    // What is smaller still fits, to the byte.
    assert_eq!(put(&*store, vec![sized("a", 300)]).await.kept, 1);
    drop(store);
    let store = place.open().await;
    let done = put(
        &*store,
        vec![sized("a", 101), sized("a", 100), sized("a", 3)],
    )
    .await;
    assert_eq!((done.kept, done.dropped_in_all()), (1, 2));
    assert_eq!(sizes(&*store).await, [600, 900, 300, 100]);
    // Replayed letters make room, as many as are needed; for what never fits none does.
    let letters = open(&*store, None).await;
    let ids = vec![letters[2].id, letters[3].id];
    store.mark_replayed(ids).await.unwrap();
    assert_eq!(put(&*store, vec![sized("a", 1_001)]).await.kept, 0);
    assert_eq!(totals(&*store).await, (2, 2));
    assert_eq!(put(&*store, vec![sized("a", 350)]).await.kept, 1);
    assert_eq!(totals(&*store).await, (3, 0));
    let done = put(&*store, vec![sized("a", 51), sized("a", 50)]).await;
    assert_eq!((done.kept, done.dropped_in_all()), (1, 1));
    let counts = store.dropped_dead_letters().await.unwrap();
    assert_eq!(counts, [dropped("a", RejectReason::BadField, 5)]);
    // Discarding gives the bytes back.
    assert_eq!(store.discard(None, Some("a")).await.unwrap(), 3);
    assert_eq!(put(&*store, vec![sized("a", 1_000)]).await.kept, 1);
    assert_eq!(put(&*store, vec![sized("b", 101)]).await.kept, 0);
}

pub async fn what_is_not_kept_is_counted_by_source_and_reason_across_reopening(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(quota(2, 1_000)).await;
    let store = place.open().await;
    assert_eq!(store.dropped_dead_letters().await.unwrap(), []);
    put(&*store, of("a", 0..5)).await;
    put(&*store, of("b", 0..3)).await;
    let other = Reject::new(RejectReason::BadPrice, "", "a:9", "-");
    put(&*store, vec![other.clone(), other.clone()]).await;
    drop(store);
    let store = place.open().await;
    put(&*store, vec![other]).await;
    let mut counts = store.dropped_dead_letters().await.unwrap();
    counts.sort();
    let mut expected = vec![
        dropped("a", RejectReason::BadField, 3),
        dropped("a", RejectReason::BadPrice, 3),
        dropped("b", RejectReason::BadField, 1),
    ];
    expected.sort();
    assert_eq!(counts, expected);
    assert_eq!(totals(&*store).await, (4, 0));
}

pub async fn a_letter_that_is_there_does_not_count_as_dropped_when_it_comes_again(
    side: &dyn StoreUnderTest,
) {
    let mut place = side.place(quota(2, 1_000)).await;
    let store = place.open().await;
    let named: Vec<Reject> = of("a", 0..2)
        .into_iter()
        .map(|reject| Reject {
            message: Some(reject.payload.clone()),
            ..reject
        })
        .collect();
    put(&*store, named.clone()).await;
    let done = put(&*store, named.clone()).await;
    assert_eq!(done, RejectReport::default());
    let ids = open(&*store, None).await.iter().map(|l| l.id).collect();
    store.mark_replayed(ids).await.unwrap();
    // Replayed ones are known as well: nothing is removed for what is not going in.
    assert_eq!(put(&*store, named).await, RejectReport::default());
    assert_eq!(totals(&*store).await, (0, 2));
}

pub async fn discarding_makes_room_and_forgets_what_was_dropped(side: &dyn StoreUnderTest) {
    let mut place = side.place(quota(3, 1_000)).await;
    let store = place.open().await;
    put(&*store, of("a", 0..5)).await;
    put(&*store, of("b", 0..5)).await;
    let letters = open(&*store, None).await;
    store.mark_replayed(vec![letters[0].id]).await.unwrap();
    assert_eq!(store.discard(None, Some("nobody")).await.unwrap(), 0);
    let none = store.discard(Some(RejectReason::TooLarge), Some("a")).await;
    assert_eq!(none.unwrap(), 0);
    assert_eq!(store.discard(None, Some("a")).await.unwrap(), 3);
    assert_eq!(payloads(&open(&*store, None).await), ["b0", "b1", "b2"]);
    let counts = store.dropped_dead_letters().await.unwrap();
    assert_eq!(counts, [dropped("b", RejectReason::BadField, 2)]);
    assert_eq!(put(&*store, of("a", 5..7)).await.kept, 2);
    assert_eq!(totals(&*store).await, (5, 0));
    let all = store.discard(Some(RejectReason::BadField), None).await;
    assert_eq!(all.unwrap(), 5);
    assert_eq!(totals(&*store).await, (0, 0));
    assert_eq!(store.dropped_dead_letters().await.unwrap(), []);
}

pub async fn sources_without_number_share_the_quota_of_the_others(side: &dyn StoreUnderTest) {
    let mut place = side.place(quota(2, 100_000)).await;
    let store = place.open().await;
    // Each a source of its own, as the headers of a stranger's messages may name them.
    let many = |range: std::ops::Range<usize>| -> Vec<Reject> {
        let letter = |i| Reject::new(RejectReason::BadField, "", format!("stranger {i}"), "-");
        range.map(letter).collect()
    };
    let done = put(&*store, many(0..MOST_SOURCES + 50)).await;
    assert_eq!(done.kept, MOST_SOURCES as u64 + 2);
    assert_eq!(done.dropped, [dropped(OTHERS, RejectReason::BadField, 48)]);
    // Those that were there first keep theirs.
    assert_eq!(put(&*store, many(0..1)).await.kept, 1);
}
