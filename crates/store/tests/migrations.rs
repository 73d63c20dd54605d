//! Databases of older builds, brought up to the newest schema: what was in them is read, counted and bounded
//! as what this build writes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, path::Path};

use market::{Reject, RejectReason, Timestamp};
use rusqlite::Connection;
use store::{DeadLetterLog, DeadLetterQuota, DeadLetterStore, SqliteOptions, SqliteStore};

/// The schemas that a build with version 4 had.
const V4: [&str; 4] = [
    include_str!("../src/sqlite/schema_v1.sql"),
    include_str!("../src/sqlite/schema_v2.sql"),
    include_str!("../src/sqlite/schema_v3.sql"),
    include_str!("../src/sqlite/schema_v4.sql"),
];

/// A database as that build left it, with an open and a replayed letter of each origin.
fn old_database(dir: &Path, origins: &[String]) {
    let conn = Connection::open(dir.join("tickcast.db")).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    for sql in V4 {
        conn.execute_batch(sql).unwrap();
    }
    conn.execute_batch("PRAGMA application_id = 0x5469636b; PRAGMA user_version = 4;")
        .unwrap();
    let insert = "INSERT INTO dead_letters (at, reason, detail, origin, payload, state, message)
                  VALUES (1, 'unparsable', 'as it was', ?1, 'x', ?2, ?3)";
    for (n, origin) in origins.iter().enumerate() {
        let none: Option<String> = None;
        let message = format!("stock-data/0/{n}");
        conn.execute(insert, (origin, 0, Some(message))).unwrap();
        conn.execute(insert, (origin, 1, none)).unwrap();
    }
    let counted = origins.len() as i64;
    conn.execute(
        "INSERT INTO dead_letter_counts VALUES ('unparsable', ?1, ?1)",
        [counted],
    )
    .unwrap();
}

fn quota(per_source: u64, bytes_per_source: u64, total: u64) -> DeadLetterQuota {
    DeadLetterQuota {
        per_source,
        bytes_per_source,
        total,
    }
}

async fn open(dir: &Path, dead_letter_quota: DeadLetterQuota) -> SqliteStore {
    let options = SqliteOptions {
        dead_letter_quota,
        ..SqliteOptions::new(dir)
    };
    SqliteStore::open(options).await.unwrap()
}

fn reject(origin: &str) -> Reject {
    Reject::new(RejectReason::Unparsable, "as it was", origin, "x")
}

#[tokio::test]
async fn letters_of_an_older_build_belong_to_the_sources_that_this_one_gives_them() {
    let origins: Vec<String> = [
        "csv:prices.csv:17",
        "csv:prices.csv:18",
        "csv:prices 2024.csv",
        "http:127.0.0.1:50111",
        "kafka:stock-data/3@17",
        "kafka:stock-data/12@1042",
        "kafka:stock-data",
        "rest:binance",
        "rest:binance:BTCUSDT",
        "12:34",
        "archive.zip:day 1.csv:7",
        "",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([format!("csv:{}:3", "n".repeat(300))])
    .collect();
    let dir = tempfile::tempdir().unwrap();
    old_database(dir.path(), &origins);
    // So full that none is kept any more, and each counts for the source that the migration gave its kind.
    let store = open(dir.path(), quota(1, 1 << 40, 1)).await;
    let counts = store.dead_letter_counts().await.unwrap();
    let counts: Vec<_> = counts
        .iter()
        .map(|c| (c.reason, c.open, c.replayed))
        .collect();
    let all = origins.len() as u64;
    assert_eq!(counts, [(RejectReason::Unparsable, all, all)]);
    let open = store.open_dead_letters(None, 0, 100).await.unwrap();
    let found: Vec<&str> = open.iter().map(|l| l.reject.origin.as_str()).collect();
    assert_eq!(found, origins);
    // A message that the older build put aside is known again.
    let mut again = reject("kafka:stock-data/0@0");
    again.message = Some("stock-data/0/0".to_owned());
    let put = store
        .reject(vec![again], Timestamp::from_secs(2))
        .await
        .unwrap();
    assert_eq!((put.kept, put.dropped_in_all()), (0, 0));
    store.close().await.unwrap();

    let conn = Connection::open(dir.path().join("tickcast.db")).unwrap();
    let mut rows = conn
        .prepare("SELECT origin, source FROM dead_letters WHERE state = 0")
        .unwrap();
    let of: BTreeMap<String, String> = rows
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for origin in &origins {
        assert_eq!(of[origin], reject(origin).source(), "of {origin:?}");
    }
}

#[tokio::test]
async fn letters_of_an_older_build_count_on_the_quota_and_make_room_once_replayed() {
    let origins: Vec<String> = (0..3)
        .map(|line| format!("csv:prices.csv:{line}"))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    old_database(dir.path(), &origins);
    let store = open(dir.path(), quota(6, 1 << 40, 100)).await;
    let more = |range: std::ops::Range<u32>| {
        let of = |line| reject(&format!("csv:prices.csv:{line}"));
        range.map(of).collect::<Vec<_>>()
    };
    let at = Timestamp::from_secs(2);
    // Three replayed ones make room for three; no open one does.
    let put = store.reject(more(10..15), at).await.unwrap();
    assert_eq!((put.kept, put.dropped_in_all()), (3, 2));
    let counts = store.dead_letter_counts().await.unwrap();
    assert_eq!((counts[0].open, counts[0].replayed), (6, 0));
    let dropped = store.dropped_dead_letters().await.unwrap();
    assert_eq!(
        (dropped[0].source.as_str(), dropped[0].dropped),
        ("csv:prices.csv", 2)
    );
    // The other sources have their own.
    let other = store.reject(vec![reject("rest:x")], at).await.unwrap();
    assert_eq!(other.kept, 1);
    let gone = store.discard(None, Some("csv:prices.csv")).await.unwrap();
    assert_eq!(gone, 6);
    let put = store.reject(more(20..25), at).await.unwrap();
    assert_eq!((put.kept, put.dropped_in_all()), (5, 0));
}

#[tokio::test]
async fn letters_of_an_older_build_count_with_their_bytes() {
    let dir = tempfile::tempdir().unwrap();
    old_database(dir.path(), &["rest:é".to_owned()]);
    // An open one with its message, and a replayed one: `as it was`, `rest:é`, `x`, `stock-data/0/0`.
    let (open_one, replayed) = (9 + 7 + 1 + 14, 9 + 7 + 1);
    let held = open_one + replayed;
    let new = |payload: usize| Reject {
        detail: String::new(),
        payload: "y".repeat(payload - 7),
        ..reject("rest:é")
    };
    let at = Timestamp::from_secs(2);
    let store = open(dir.path(), quota(100, held + 10, 100)).await;
    let put = store.reject(vec![new(10)], at).await.unwrap();
    assert_eq!((put.kept, put.dropped_in_all()), (1, 0));
    assert_eq!(store.dead_letter_counts().await.unwrap()[0].replayed, 1);
    // Full to the byte: the replayed one goes, and no open one.
    let put = store.reject(vec![new(replayed as usize), new(7)], at).await;
    let put = put.unwrap();
    assert_eq!((put.kept, put.dropped_in_all()), (1, 1));
    let counts = store.dead_letter_counts().await.unwrap();
    assert_eq!((counts[0].open, counts[0].replayed), (3, 0));
}
