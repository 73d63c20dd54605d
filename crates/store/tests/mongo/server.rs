//! A real server under the suite, and what only a server can show. Each test has a database of its
//! own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use market::{ErrorKind, Interval, Reject, RejectReason, Tick, Timestamp};
use mongodb::{
    Client,
    bson::{Document, doc},
};
use store::{
    BarQuery, DeadLetterLog, DeadLetterQuota, PriceReader, PriceWriter, StoreError, TickRetention,
    mongo::{MongoOptions, MongoStore},
};

use crate::suite::{
    Database, Place, START, StoreUnderTest, all_of, assert_bars_are_the_fold, contract_tests, tick,
};

fn uri() -> String {
    std::env::var("MONGODB_URI").unwrap_or_else(|_| {
        panic!("MONGODB_URI is not set: run through `scripts/services run mongo -- cargo test …`")
    })
}

pub fn options() -> MongoOptions {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    MongoOptions {
        database: format!("tickcast_test_{}_{number}", std::process::id()),
        ..MongoOptions::new(uri())
    }
}

struct Mongo;

struct OneDatabase(MongoOptions);

#[async_trait]
impl StoreUnderTest for Mongo {
    async fn place(&self, dead_letter_quota: DeadLetterQuota) -> Box<dyn Place> {
        Box::new(OneDatabase(MongoOptions {
            dead_letter_quota,
            ..options()
        }))
    }

    /// A call takes as long as many of an embedded store.
    fn model_cases(&self) -> u32 {
        3
    }
}

#[async_trait]
impl Place for OneDatabase {
    async fn open(&mut self) -> Arc<dyn Database> {
        Arc::new(MongoStore::connect(self.0.clone()).await.unwrap())
    }
}

contract_tests!(Mongo);

async fn database(options: &MongoOptions) -> mongodb::Database {
    let client = Client::with_uri_str(&options.uri).await.unwrap();
    client.database(&options.database)
}

fn some_ticks(range: std::ops::Range<i64>) -> Vec<Tick> {
    range
        .map(|i| tick("ABC", i * 250, 1, 100.0 + i as f64, 2.0))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_are_flat_and_say_what_they_are() {
    let options = options();
    let store = MongoStore::connect(options.clone()).await.unwrap();
    store.append(some_ticks(0..1)).await.unwrap();
    let ticks = database(&options)
        .await
        .collection::<Document>("stock_data");
    let found = ticks.find_one(doc! {}).await.unwrap().unwrap();
    let expected = doc! {
        "_id": "ABC|80060a1d15ae58e0|a1",
        "symbol": "ABC",
        "ts_us": 1_699_999_980_000_000_i64,
        "seq": 1_i64,
        "price": 100.0,
        "size": 2.0,
        "position": 1_i64,
        "writer": 1_i64,
    };
    let mut keys: Vec<&String> = found.keys().collect();
    keys.sort();
    let mut wanted: Vec<&String> = expected.keys().collect();
    wanted.sort();
    assert_eq!(keys, wanted);
    for key in wanted.iter().filter(|k| **k != "_id") {
        assert_eq!(found.get(key), expected.get(key), "{key}");
    }
    assert!(found.get_str("_id").unwrap().starts_with("ABC|8"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bars_that_a_dead_process_did_not_come_to_are_made_when_its_ticks_come_again() {
    bars_of_a_dead_process_are_made(options(), None).await;
    // As where prices of the past are replayed: all of them are older than ticks are kept, and
    // retention has been there, but not since these came.
    bars_of_a_dead_process_are_made(options(), Some(Timestamp::MAX)).await;
}

async fn bars_of_a_dead_process_are_made(options: MongoOptions, removed: Option<Timestamp>) {
    let ticks = some_ticks(0..100);
    let store = MongoStore::connect(options.clone()).await.unwrap();
    if let Some(before) = removed {
        store.remove_ticks(before).await.unwrap();
    }
    store.append(ticks[..60].to_vec()).await.unwrap();
    // As after kill -9 between ticks and bars: the last 40 are in no bar.
    let database = database(&options).await;
    let bars = database.collection::<Document>("stock_data_bars");
    let mut cursor = bars.find(doc! {}).await.unwrap();
    let mut left = Vec::new();
    while cursor.advance().await.unwrap() {
        left.push(cursor.deserialize_current().unwrap());
    }
    store.append(ticks[60..].to_vec()).await.unwrap();
    bars.delete_many(doc! {}).await.unwrap();
    bars.insert_many(left).await.unwrap();
    let store = MongoStore::connect(options).await.unwrap();
    let again = store.append(ticks[60..].to_vec()).await.unwrap();
    assert_eq!((again.stored.len(), again.duplicates), (0, 40));
    assert!(!again.bars.is_empty(), "what was mended is told");
    assert_bars_are_the_fold(&store, &ticks).await;
    let third = store.append(ticks[60..].to_vec()).await.unwrap();
    assert_eq!(third.bars, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_write_one_symbol_leave_right_bars() {
    two_processes_write_one_symbol(options()).await;
    // As behind a mongos.
    two_processes_write_one_symbol(MongoOptions {
        name_shard_key: Some(true),
        ..options()
    })
    .await;
}

async fn two_processes_write_one_symbol(options: MongoOptions) {
    let ticks = some_ticks(0..400);
    let mut tasks = Vec::new();
    for writer in 0..2 {
        let store = MongoStore::connect(options.clone()).await.unwrap();
        // Each writes its half and the other's beginning, in batches that interleave.
        let ticks = ticks.clone();
        tasks.push(tokio::spawn(async move {
            let mut stored = 0;
            for (i, chunk) in ticks.chunks(10).enumerate() {
                if i % 2 == writer || i % 5 == 0 {
                    stored += store.append(chunk.to_vec()).await.unwrap().stored.len();
                }
            }
            stored
        }));
    }
    let mut stored = 0;
    for task in tasks {
        stored += task.await.unwrap();
    }
    assert_eq!(stored, ticks.len());
    let store = MongoStore::connect(options).await.unwrap();
    assert_bars_are_the_fold(&store, &ticks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_are_given_the_same_ticks_count_each_once() {
    let options = options();
    let ticks = some_ticks(0..240);
    let mut tasks = Vec::new();
    for writer in 0..3 {
        let store = MongoStore::connect(options.clone()).await.unwrap();
        let mut chunks: Vec<Vec<Tick>> = ticks.chunks(20).map(<[Tick]>::to_vec).collect();
        // One forwards, one backwards, one from the middle on.
        match writer {
            0 => {}
            1 => chunks.reverse(),
            _ => chunks.rotate_left(6),
        }
        tasks.push(tokio::spawn(async move {
            let mut stored = 0;
            for chunk in chunks {
                stored += store.append(chunk).await.unwrap().stored.len();
            }
            stored
        }));
    }
    let mut stored = 0;
    for task in tasks {
        stored += task.await.unwrap();
    }
    assert_eq!(stored, ticks.len());
    let store = MongoStore::connect(options).await.unwrap();
    assert_bars_are_the_fold(&store, &ticks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_counts_whole_bars_however_many_parts_they_lie_in() {
    let options = options();
    let ticks = some_ticks(0..16);
    // Each of twelve processes stores one tick of the first second, the first of them the rest too.
    let first = MongoStore::connect(options.clone()).await.unwrap();
    let same_second: Vec<Tick> = (0..12)
        .map(|i| tick("ABC", 10_000 + i, 1, 50.0 + i as f64, 1.0))
        .collect();
    first.append(ticks.clone()).await.unwrap();
    let mut told = Vec::new();
    for one in &same_second {
        let store = MongoStore::connect(options.clone()).await.unwrap();
        told = store.append(vec![one.clone()]).await.unwrap().bars;
    }
    let mut all = ticks;
    all.extend(same_second);
    assert_bars_are_the_fold(&first, &all).await;
    let expected = first.bars(&all_of("ABC", Interval::S1)).await.unwrap();
    assert_eq!(told.first(), expected.last(), "a bar is told as a whole");
    for limit in 1..=expected.len() {
        let query = BarQuery {
            limit,
            ..all_of("ABC", Interval::S1)
        };
        let latest = first.bars(&query).await.unwrap();
        assert_eq!(latest, expected[expected.len() - limit..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_schema_version_1_is_taken_over() {
    let options = options();
    let ticks = some_ticks(0..30);
    let store = MongoStore::connect(options.clone()).await.unwrap();
    store.append(ticks[..20].to_vec()).await.unwrap();
    drop(store);
    // As version 1 left it: ticks without a writer, bars whole.
    let database = database(&options).await;
    let collection = |part: &str| database.collection::<Document>(&format!("stock_data{part}"));
    let unset = doc! { "$unset": { "writer": "" } };
    collection("").update_many(doc! {}, unset).await.unwrap();
    let bars = collection("_bars");
    let mut cursor = bars.find(doc! {}).await.unwrap();
    let mut old = Vec::new();
    while cursor.advance().await.unwrap() {
        let mut bar: Document = cursor.deserialize_current().unwrap();
        let id = bar
            .get_str("_id")
            .unwrap()
            .rsplit_once("|w")
            .unwrap()
            .0
            .to_owned();
        bar.insert("_id", id);
        old.push(bar);
    }
    bars.delete_many(doc! {}).await.unwrap();
    bars.insert_many(old).await.unwrap();
    collection("_meta")
        .update_one(doc! { "_id": "schema" }, doc! { "$set": { "version": 1 } })
        .await
        .unwrap();
    let store = MongoStore::connect(options.clone()).await.unwrap();
    // Ten duplicates and ten new ones.
    store.append(ticks[10..].to_vec()).await.unwrap();
    assert_bars_are_the_fold(&store, &ticks).await;
    let schema = collection("_meta").find_one(doc! { "_id": "schema" }).await;
    assert_eq!(schema.unwrap().unwrap().get_i32("version").unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_letter_of_a_build_without_quotas_makes_room() {
    let options = MongoOptions {
        dead_letter_quota: DeadLetterQuota {
            per_source: 9,
            bytes_per_source: 1_000,
            total: 1,
        },
        ..options()
    };
    let letters = database(&options)
        .await
        .collection::<Document>("stock_data_dead_letters");
    let old = doc! {
        "_id": 0_i64,
        "at_us": 1_i64,
        "reason": "bad_price",
        "detail": "",
        "origin": "a:1",
        "payload": "old",
        "state": "replayed",
    };
    letters.insert_one(old).await.unwrap();
    let store = MongoStore::connect(options).await.unwrap();
    let reject = |payload: &str| Reject::new(RejectReason::BadPrice, "", "a:2", payload);
    let done = store
        .reject(vec![reject("new"), reject("too many")], START)
        .await
        .unwrap();
    assert_eq!((done.kept, done.dropped_in_all()), (1, 1));
    let open = store.open_dead_letters(None, 0, 9).await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].reject.payload, "new");
    assert_eq!(letters.count_documents(doc! {}).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused() {
    let options = options();
    let meta = database(&options)
        .await
        .collection::<Document>("stock_data_meta");
    meta.insert_one(doc! { "_id": "schema", "version": 99 })
        .await
        .unwrap();
    let refused = MongoStore::connect(options).await.err().unwrap();
    assert!(
        matches!(refused, StoreError::SchemaVersion { found: 99, .. }),
        "{refused:?}"
    );
}

async fn refusal(uri: &str) -> StoreError {
    let options = MongoOptions {
        timeout: Duration::from_secs(2),
        ..MongoOptions::new(uri)
    };
    MongoStore::connect(options).await.err().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_unavailable_and_the_message_says_what_to_check() {
    // Port 1 of the loopback: nobody listens there.
    let error = refusal("mongodb://127.0.0.1:1/").await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = error.to_string();
    assert!(
        text.contains("check the hosts of the MongoDB URI"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_uri_that_is_none_is_refused_with_what_to_check() {
    let error = refusal("mongo//nonsense").await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("check the MongoDB URI"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_refused_without_the_password() {
    let uri = uri();
    let rest = uri.strip_prefix("mongodb://").unwrap();
    // The one that is set may log in itself.
    let hosts = rest.split_once('@').map_or(rest, |(_, hosts)| hosts);
    let with_user = format!("mongodb://nobody:swordfish@{hosts}");
    let error = refusal(&with_user).await;
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("check user, password"), "{text}");
    assert!(!text.contains("swordfish"), "{text}");
}
