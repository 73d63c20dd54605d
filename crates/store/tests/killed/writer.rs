//! The process that kill.rs, csv_sink.rs and mongo/killed.rs kill: `killed-writer sqlite|csv|jobs DIRECTORY FIRST_BATCH`
//! appends batches, or does jobs, until it is killed, and prints `acknowledged N` once batch N is stored.
//! `killed-writer artefact DIRECTORY 0` puts artefacts where files may not grow (artefacts.rs).
//! `killed-writer mongo-jobs DATABASE FIRST_BATCH` does jobs on the server of `MONGODB_URI`.

#![expect(clippy::unwrap_used, reason = "a writer that cannot write panics")]

#[path = "csv_batches.rs"]
mod csv_batches;
#[path = "job_content.rs"]
mod job_content;
#[path = "job_writer.rs"]
mod job_writer;
#[path = "sqlite_batches.rs"]
mod sqlite_batches;

use std::sync::Arc;

use market::Tick;
use store::{Artefacts, CsvSink, CsvSinkOptions, PriceWriter, SqliteOptions, SqliteStore};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().unwrap();
    let (kind, directory, first) = (argument(), argument(), argument().parse().unwrap());
    match kind.as_str() {
        "sqlite" => {
            let store = SqliteStore::open(SqliteOptions::new(directory));
            write(store.await.unwrap(), sqlite_batches::batch, first, 2).await;
        }
        "csv" => {
            let sink = CsvSink::open(CsvSinkOptions::new(directory));
            write(sink.await.unwrap(), csv_batches::batch, first, 1).await;
        }
        "jobs" => {
            let store = SqliteStore::open(SqliteOptions::new(directory));
            job_writer::work(&store.await.unwrap(), first).await;
        }
        "artefact" => {
            let store = SqliteStore::open(SqliteOptions::new(directory));
            artefacts(&store.await.unwrap()).await;
        }
        #[cfg(feature = "mongodb")]
        "mongo-jobs" => {
            use store::mongo::{MongoOptions, MongoStore};
            let options = MongoOptions {
                database: directory,
                ..MongoOptions::new(std::env::var("MONGODB_URI").unwrap())
            };
            let store = MongoStore::connect(options).await.unwrap();
            job_writer::work(&store, first).await;
        }
        other => panic!("sqlite, csv, jobs, artefact or mongo-jobs, not {other:?}"),
    }
}

/// Puts an artefact that is larger than a file may be, and one that is not; says what came of it, and ends.
async fn artefacts(store: &SqliteStore) {
    let refused = store.put(vec![7; 8 << 20]).await.unwrap_err();
    println!("refused: {} ({refused})", refused.kind().as_str());
    let sha256 = store.put(vec![7; 1 << 20]).await.unwrap();
    assert_eq!(store.get(&sha256).await.unwrap().len(), 1 << 20);
}

/// Writes all batches from `first` on; batch n belongs to writer n mod `writers`.
async fn write(
    store: impl PriceWriter + 'static,
    batch: impl Fn(u64) -> Vec<Tick> + Copy + Send + 'static,
    first: u64,
    writers: u64,
) {
    let store = Arc::new(store);
    let writers = (0..writers).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in (first..).filter(|n| n % writers == writer) {
                store.append(batch(n)).await.unwrap();
                println!("acknowledged {n}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}
