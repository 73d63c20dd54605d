//! What the SQLite side says when its directory or its file is not as it should be.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, time::Duration};

use market::{Band, ErrorKind, Fan, Interval, Symbol, Tick, Timestamp};
use store::{
    BarQuery, DeadLetterLog, ForecastLedger, LedgerQuery, PriceReader, PriceWriter, Recorded,
    SqliteOptions, SqliteStore, StepOutcome, StoreError, SymbolQuery,
};

fn symbol() -> Symbol {
    "ABC".parse().unwrap()
}

fn ticks(range: std::ops::Range<u64>) -> Vec<Tick> {
    range
        .map(|i| Tick {
            symbol: symbol(),
            ts: Timestamp::from_millis(1_700_000_000_000 + i as i64 * 10),
            seq: i,
            price: 10.0,
            size: 1.0,
        })
        .collect()
}

fn fan() -> Fan {
    let origin = Timestamp::from_secs(1_700_000_040);
    Fan {
        symbol: symbol(),
        interval: Interval::M1,
        model: "naive".into(),
        origin,
        origin_close: 10.0,
        made_at: origin,
        targets: vec![Interval::M1.step_after(origin, 1)],
        mean: vec![10.0],
        bands: vec![Band {
            level: 80.0,
            lower: vec![9.0],
            upper: vec![11.0],
        }],
    }
}

async fn open(dir: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(SqliteOptions::new(dir)).await
}

/// Some of everything, closed properly.
async fn fill(dir: &Path) {
    let store = open(dir).await.unwrap();
    store.append(ticks(0..20_000)).await.unwrap();
    let Recorded::New(id) = store.record(vec![fan()]).await.unwrap()[0] else {
        panic!("not recorded");
    };
    let outcome = StepOutcome {
        forecast_id: id,
        step: 1,
        actual: 10.5,
        naive: 10.0,
    };
    store.score(vec![outcome]).await.unwrap();
    store.close().await.unwrap();
}

/// Reads and writes everything; the errors that came.
async fn use_all(store: &SqliteStore) -> Vec<StoreError> {
    let symbol = symbol();
    let (min, max) = (Timestamp::MIN, Timestamp::MAX);
    let mut query = BarQuery {
        symbol: symbol.clone(),
        interval: Interval::S1,
        from: min,
        until: max,
        limit: usize::MAX,
    };
    let mut errors = Vec::new();
    for interval in Interval::ALL {
        query.interval = interval;
        errors.extend(store.bars(&query).await.err());
    }
    let ledger = LedgerQuery {
        symbol: symbol.clone(),
        interval: Interval::M1,
        model: None,
        from: min,
        until: max,
        limit: usize::MAX,
    };
    errors.extend(store.ticks(&symbol, min, max, usize::MAX).await.err());
    errors.extend(store.ticks_after(&symbol, 0, usize::MAX).await.err());
    errors.extend(store.latest_tick(&symbol).await.err());
    errors.extend(store.instruments().await.err());
    errors.extend(store.symbols(&SymbolQuery::default()).await.err());
    errors.extend(store.quote(&symbol).await.err());
    errors.extend(store.ledger(&ledger).await.err());
    errors.extend(store.scoreboard(None, None).await.err());
    errors.extend(store.dead_letter_counts().await.err());
    errors.extend(store.append(ticks(0..1)).await.err());
    errors.extend(store.append(ticks(30_000..31_000)).await.err());
    errors
}

#[tokio::test]
async fn a_second_store_on_the_same_directory_is_refused_until_the_first_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).await.unwrap();
    let refused = open(dir.path()).await.unwrap_err();
    assert!(matches!(&refused, StoreError::InUse { path } if path == dir.path()));
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    first.append(ticks(0..10)).await.unwrap();
    first.close().await.unwrap();
    let second = open(dir.path()).await.unwrap();
    assert_eq!(second.append(ticks(0..10)).await.unwrap().duplicates, 10);
}

#[tokio::test]
async fn a_closed_store_answers_that_it_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    store.close().await.unwrap();
    store.close().await.unwrap();
    for error in use_all(&store).await {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    assert_eq!(use_all(&store).await.len(), 17);
}

#[tokio::test]
async fn a_dropped_store_gives_its_directory_free() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await.unwrap());
    loop {
        match open(dir.path()).await {
            Ok(_) => break,
            Err(StoreError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_or_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    // The last one holds for the superuser too, whom permissions do not stop.
    for path in [
        file.clone(),
        file.join("data"),
        "/proc/tickcast-test".into(),
    ] {
        let refused = open(&path).await.unwrap_err();
        assert!(
            matches!(&refused, StoreError::Directory { path: named, .. } if *named == path),
            "{refused}"
        );
        assert!(refused.to_string().contains(path.to_str().unwrap()));
    }
    // Where the database should be stands a directory.
    fs::create_dir_all(dir.path().join("data/tickcast.db")).unwrap();
    let refused = open(&dir.path().join("data")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Directory { .. }), "{refused}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path()).await;
    let conn = rusqlite::Connection::open(dir.path().join("tickcast.db")).unwrap();
    conn.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(conn);
    let refused = open(dir.path()).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::SchemaVersion { found: 99, known } if known < 99),
        "{refused}"
    );
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let conn = rusqlite::Connection::open(dir.path().join("tickcast.db")).unwrap();
    conn.execute_batch("CREATE TABLE bars (x)").unwrap();
    drop(conn);
    let refused = open(dir.path()).await.unwrap_err();
    assert!(
        refused.to_string().contains("not a tickcast database"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    for content in [
        &b"garbage"[..],
        &[0xA5; 9_000],
        b"SQLite format 3\0 and no more",
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("tickcast.db"), content).unwrap();
        let refused = open(dir.path()).await.unwrap_err();
        assert!(refused.to_string().contains("damaged"), "{refused}");
        assert_eq!(refused.kind(), ErrorKind::Internal);
    }
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_refused() {
    let whole = tempfile::tempdir().unwrap();
    fill(whole.path()).await;
    let content = fs::read(whole.path().join("tickcast.db")).unwrap();
    for share in 1..10 {
        let dir = tempfile::tempdir().unwrap();
        let cut = &content[..content.len() * share / 10];
        fs::write(dir.path().join("tickcast.db"), cut).unwrap();
        let refused = open(dir.path()).await.unwrap_err();
        assert!(refused.to_string().contains("damaged"), "{refused}");
    }
}

#[tokio::test]
async fn pages_of_garbage_give_errors_and_no_panic() {
    let whole = tempfile::tempdir().unwrap();
    fill(whole.path()).await;
    let content = fs::read(whole.path().join("tickcast.db")).unwrap();
    let pages = content.len() / 4_096;
    let mut failed = 0;
    for round in 0..40 {
        let dir = tempfile::tempdir().unwrap();
        let mut content = content.clone();
        // Every 40th page from the second on: the first is the header of the test above.
        for page in (1 + round..pages).step_by(40) {
            let fill = (page as u8).wrapping_mul(37);
            content[page * 4_096..][..4_096].fill(fill);
        }
        fs::write(dir.path().join("tickcast.db"), content).unwrap();
        let errors = match open(dir.path()).await {
            Err(error) => vec![error],
            Ok(store) => use_all(&store).await,
        };
        failed += usize::from(!errors.is_empty());
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
            // That is what a panic in a reader or the writer would become.
            assert!(!error.to_string().contains("was cut off:"), "{error}");
        }
    }
    assert_eq!(failed, 40);
}

#[tokio::test]
async fn the_ledger_refuses_changes_in_sql_too() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path()).await;
    let conn = rusqlite::Connection::open(dir.path().join("tickcast.db")).unwrap();
    for table in ["forecasts", "outcomes"] {
        let column = ["made_at", "actual"][usize::from(table == "outcomes")];
        for sql in [
            format!("UPDATE {table} SET {column} = 1"),
            format!("DELETE FROM {table}"),
        ] {
            let refused = conn.execute_batch(&sql).unwrap_err().to_string();
            assert!(refused.contains("append-only"), "{sql}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(SqliteOptions {
        max_bytes: Some(1 << 20),
        ..SqliteOptions::new(dir.path())
    })
    .await
    .unwrap();
    let mut stored = 0;
    let refused = loop {
        match store.append(ticks(stored..stored + 500)).await {
            Ok(appended) => stored += appended.stored.len() as u64,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    assert!(refused.to_string().contains("add space"), "{refused}");
    assert!(stored > 1_000);
    let read = store.ticks_after(&symbol(), 0, usize::MAX).await.unwrap();
    assert_eq!(read.len() as u64, stored);
    store.close().await.unwrap();
    let store = open(dir.path()).await.unwrap();
    let appended = store.append(ticks(0..stored + 500)).await.unwrap();
    assert_eq!(appended.duplicates as u64, stored);
    let positions: Vec<u64> = appended.stored.iter().map(|s| s.position).collect();
    assert_eq!(positions, (stored + 1..=stored + 500).collect::<Vec<_>>());
    let day = store
        .bars(&BarQuery {
            symbol: symbol(),
            interval: Interval::D1,
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            limit: 9,
        })
        .await
        .unwrap();
    assert_eq!(day.iter().map(|b| b.trades).sum::<u64>(), stored + 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_fails_takes_none_of_its_group_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let mut tasks = Vec::new();
    for i in 0..60_u64 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            if i % 3 == 0 {
                let outcome = StepOutcome {
                    forecast_id: 7,
                    step: 1,
                    actual: 1.0,
                    naive: 1.0,
                };
                let refused = store.score(vec![outcome]).await.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::NotFound);
            } else {
                store.append(ticks(i * 20..i * 20 + 20)).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let stored = store.ticks_after(&symbol(), 0, usize::MAX).await.unwrap();
    assert_eq!(stored.len(), 40 * 20);
    let positions: Vec<u64> = stored.iter().map(|s| s.position).collect();
    assert_eq!(positions, (1..=800).collect::<Vec<_>>());
}
