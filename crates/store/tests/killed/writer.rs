//! The process that kill.rs and csv_sink.rs kill: `killed-writer sqlite|csv DIRECTORY FIRST_BATCH` appends batches
//! until it is killed, and prints `acknowledged N` once batch N is stored.

#![expect(clippy::unwrap_used, reason = "a writer that cannot write panics")]

#[path = "csv_batches.rs"]
mod csv_batches;
#[path = "sqlite_batches.rs"]
mod sqlite_batches;

use std::sync::Arc;

use market::Tick;
use store::{CsvSink, CsvSinkOptions, PriceWriter, SqliteOptions, SqliteStore};

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
        other => panic!("sqlite or csv, not {other:?}"),
    }
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
