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
use market::{ErrorKind, Tick};
use mongodb::{
    Client,
    bson::{Document, doc},
};
use store::{
    Store, StoreError, TickStore,
    mongo::{MongoOptions, MongoStore},
};

use crate::suite::{Place, StoreUnderTest, assert_bars_are_the_fold, contract_tests, tick};

fn uri() -> String {
    std::env::var("MONGODB_URI").unwrap_or_else(|_| {
        panic!("MONGODB_URI is not set: run through `scripts/services run mongo -- cargo test …`")
    })
}

fn options() -> MongoOptions {
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
    async fn place(&self, dead_letters_kept: u64) -> Box<dyn Place> {
        Box::new(OneDatabase(MongoOptions {
            dead_letters_kept,
            ..options()
        }))
    }
}

#[async_trait]
impl Place for OneDatabase {
    async fn open(&mut self) -> Arc<dyn Store> {
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
    let options = options();
    let ticks = some_ticks(0..100);
    let store = MongoStore::connect(options.clone()).await.unwrap();
    store.append(ticks[..60].to_vec()).await.unwrap();
    // As after kill -9 between ticks and bars: the last 40 have no bars.
    store.append(ticks[60..].to_vec()).await.unwrap();
    let database = database(&options).await;
    let bars = database.collection::<Document>("stock_data_bars");
    let late = doc! { "last_ts_us": { "$gte": ticks[60].ts.as_micros() } };
    assert!(bars.delete_many(late).await.unwrap().deleted_count > 0);
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
    let options = options();
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
    let with_user = uri().replace("mongodb://", "mongodb://nobody:swordfish@");
    let error = refusal(&with_user).await;
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    let text = error.to_string();
    assert!(text.contains("check user, password"), "{text}");
    assert!(!text.contains("swordfish"), "{text}");
}
