//! Backups of a store that is written meanwhile, and what a restore does and refuses.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use market::{ErrorKind, Interval, Reject, RejectReason, Tick, Timestamp, bars_from_ticks};
use store::{
    Artefact, Artefacts as _, BarQuery, Copied, DeadLetterLog, Lineage, ModelRegistry as _,
    NewVersion, PriceReader, PriceWriter, SqliteOptions, SqliteStore, StoreError,
};

const BATCH: u64 = 50;

fn batch(n: u64) -> Vec<Tick> {
    (n * BATCH..(n + 1) * BATCH)
        .map(|i| Tick {
            symbol: ["A", "B"][(i % 2) as usize].parse().unwrap(),
            ts: Timestamp::from_millis(1_700_000_000_000 + i as i64 * 7),
            seq: i,
            price: 100.0 + (i * 7 % 50) as f64,
            size: 1.0,
        })
        .collect()
}

async fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(SqliteOptions::new(dir)).await.unwrap()
}

async fn backup(dir: &Path, to: &Path) -> Result<Copied, StoreError> {
    SqliteStore::backup(dir.into(), to.into(), |_, _| {}).await
}

async fn restore(from: &Path, dir: &Path, replace: bool) -> Result<Copied, StoreError> {
    SqliteStore::restore(from.into(), dir.into(), replace).await
}

/// How many whole batches a store has, from the first on; the test fails when it has anything else, or
/// other bars than those of its ticks.
async fn batches(dir: &Path) -> u64 {
    let store = open(dir).await;
    let mut ticks = Vec::new();
    for name in ["A", "B"] {
        let symbol = name.parse().unwrap();
        let stored = store.ticks_after(&symbol, 0, usize::MAX).await.unwrap();
        ticks.extend(stored.into_iter().map(|s| s.tick));
    }
    ticks.sort_by_key(|tick| tick.seq);
    let whole = ticks.len() as u64 / BATCH;
    let expected: Vec<Tick> = (0..whole).flat_map(batch).collect();
    assert_eq!(ticks, expected);
    let mut bars = Vec::new();
    for name in ["A", "B"] {
        for interval in Interval::ALL {
            let query = BarQuery {
                symbol: name.parse().unwrap(),
                interval,
                from: Timestamp::MIN,
                until: Timestamp::MAX,
                limit: usize::MAX,
            };
            bars.extend(store.bars(&query).await.unwrap());
        }
    }
    assert_eq!(bars, bars_from_ticks(&expected, &Interval::ALL));
    store.close().await.unwrap();
    whole
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_store_that_is_written_holds_what_was_committed_at_one_moment() {
    let scratch = tempfile::tempdir().unwrap();
    let live = scratch.path().join("live");
    let store = open(&live).await;
    let (written, stop) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let writer = tokio::spawn({
        let (store, written, stop) = (store.clone(), Arc::clone(&written), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::SeqCst) {
                let n = written.load(Ordering::SeqCst);
                store.append(batch(n)).await.unwrap();
                written.store(n + 1, Ordering::SeqCst);
            }
        }
    });
    let mut last = 0;
    for round in 0..4 {
        while written.load(Ordering::SeqCst) < last + 20 {
            tokio::task::yield_now().await;
        }
        let before = written.load(Ordering::SeqCst);
        let file = scratch.path().join(format!("{round}.db"));
        let copied = backup(&live, &file).await.unwrap();
        let after = written.load(Ordering::SeqCst);
        let ticks = copied.rows.iter().find(|(table, _)| *table == "ticks");
        let (_, ticks) = ticks.copied().unwrap();
        let put_back = scratch.path().join(format!("restored-{round}"));
        restore(&file, &put_back, false).await.unwrap();
        let held = batches(&put_back).await;
        assert_eq!(ticks, held * BATCH);
        // One batch may be committed and not answered yet.
        assert!(
            (before..=after + 1).contains(&held),
            "{before} {held} {after}"
        );
        last = after;
    }
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    store.close().await.unwrap();
    assert_eq!(batches(&live).await, written.load(Ordering::SeqCst));
    // The copies are whole files: nothing lies beside them.
    let beside = names(scratch.path());
    assert!(
        beside
            .iter()
            .all(|n| !n.contains("wal") && !n.contains("part")),
        "{beside:?}"
    );
}

#[tokio::test]
async fn a_restore_puts_everything_back_and_keeps_what_was_there() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, file) = (scratch.path().join("data"), scratch.path().join("a.db"));
    let store = open(&data).await;
    store.append(batch(0)).await.unwrap();
    let letter = Reject::new(RejectReason::BadPrice, "price is -1", "push", "{}");
    store
        .reject(vec![letter.clone()], Timestamp::from_secs(1))
        .await
        .unwrap();
    let copied = backup(&data, &file).await.unwrap();
    assert_eq!(
        (copied.kept, copied.bytes),
        (None, fs::metadata(&file).unwrap().len())
    );
    store.append(batch(1)).await.unwrap();

    let refused = restore(&file, &data, true).await.unwrap_err();
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    store.close().await.unwrap();
    let refused = restore(&file, &data, false).await.unwrap_err();
    assert!(matches!(refused, StoreError::Exists { .. }), "{refused}");
    assert_eq!(batches(&data).await, 2);

    let mut kept: Vec<PathBuf> = Vec::new();
    for _ in 0..2 {
        let restored = restore(&file, &data, true).await.unwrap();
        assert_eq!(restored.rows, copied.rows);
        kept.extend(restored.kept);
        assert_eq!(batches(&data).await, 1);
    }
    let store = open(&data).await;
    let letters = store.open_dead_letters(None, 0, 9).await.unwrap();
    assert_eq!(letters[0].reject, letter);
    store.close().await.unwrap();
    // What was there the first time had two batches, and can be put back too.
    restore(&kept[0], &scratch.path().join("old"), false)
        .await
        .unwrap();
    assert_eq!(batches(&scratch.path().join("old")).await, 2);
    assert_ne!(kept[0], kept[1]);
}

#[tokio::test]
async fn commits_that_lie_in_the_wal_of_a_killed_process_are_kept_by_a_restore() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, file) = (scratch.path().join("data"), scratch.path().join("a.db"));
    let store = open(&data).await;
    store.append(batch(0)).await.unwrap();
    backup(&data, &file).await.unwrap();
    store.append(batch(1)).await.unwrap();
    // As a kill leaves it: the last batch is in the WAL alone.
    let killed = scratch.path().join("killed");
    fs::create_dir(&killed).unwrap();
    for name in ["tickcast.db", "tickcast.db-wal"] {
        fs::copy(data.join(name), killed.join(name)).unwrap();
    }
    store.close().await.unwrap();
    let refused = restore(
        &killed.join("tickcast.db"),
        &scratch.path().join("x"),
        false,
    )
    .await;
    assert!(refused.unwrap_err().to_string().contains("has a WAL"));
    let restored = restore(&file, &killed, true).await.unwrap();
    assert_eq!(batches(&killed).await, 1);
    restore(&restored.kept.unwrap(), &scratch.path().join("old"), false)
        .await
        .unwrap();
    assert_eq!(batches(&scratch.path().join("old")).await, 2);
}

#[tokio::test]
async fn what_is_no_whole_backup_is_refused_and_the_database_stays() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, file) = (scratch.path().join("data"), scratch.path().join("a.db"));
    let store = open(&data).await;
    for n in 0..40 {
        store.append(batch(n)).await.unwrap();
    }
    backup(&data, &file).await.unwrap();
    store.close().await.unwrap();
    let whole = fs::read(&file).unwrap();
    let mut pages = whole.clone();
    pages[4_096..12_288].fill(0xA5);
    let foreign = scratch.path().join("foreign.db");
    let conn = rusqlite::Connection::open(&foreign).unwrap();
    conn.execute_batch("CREATE TABLE bars (x)").unwrap();
    drop(conn);
    let newer = scratch.path().join("newer.db");
    fs::write(&newer, &whole).unwrap();
    let conn = rusqlite::Connection::open(&newer).unwrap();
    conn.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(conn);
    for (content, expected) in [
        (whole[..whole.len() / 2].to_vec(), "damaged"),
        (pages, "damaged"),
        (b"garbage".to_vec(), "damaged"),
        (Vec::new(), "is empty"),
        (fs::read(&foreign).unwrap(), "not a tickcast database"),
        (fs::read(&newer).unwrap(), "schema version 99"),
    ] {
        let bad = scratch.path().join("bad.db");
        fs::write(&bad, content).unwrap();
        let refused = restore(&bad, &data, true).await.unwrap_err();
        assert!(
            refused.to_string().contains(expected),
            "{expected}: {refused}"
        );
        assert_eq!(batches(&data).await, 40);
        assert_eq!(names(&data), ["tickcast.db", "tickcast.lock"]);
    }
    let refused = restore(&scratch.path().join("none"), &data, true)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_backup_that_cannot_be_made_leaves_no_file_of_its_name() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, file) = (scratch.path().join("data"), scratch.path().join("a.db"));
    let refused = backup(&data, &file).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound, "{refused}");
    let store = open(&data).await;
    for n in 0..40 {
        store.append(batch(n)).await.unwrap();
    }
    // Left by one that was cut off.
    fs::write(scratch.path().join("a.db.part"), "half").unwrap();
    backup(&data, &file).await.unwrap();
    let refused = backup(&data, &file).await.unwrap_err();
    assert!(matches!(refused, StoreError::Exists { .. }), "{refused}");
    let nowhere = scratch.path().join("none/b.db");
    let refused = backup(&data, &nowhere).await.unwrap_err();
    assert!(refused.to_string().contains("none/b.db"), "{refused}");
    store.close().await.unwrap();
    let mut content = fs::read(data.join("tickcast.db")).unwrap();
    content[4_096..16_384].fill(0x5A);
    fs::write(data.join("tickcast.db"), content).unwrap();
    let refused = backup(&data, &scratch.path().join("b.db"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("damaged"), "{refused}");
    assert_eq!(names(scratch.path()), ["a.db", "data"]);
}

/// A version with a file of this content.
async fn register(store: &SqliteStore, content: &[u8]) -> String {
    let sha256 = store.put(content.to_vec()).await.unwrap();
    let version = NewVersion {
        name: "close-1d.A".into(),
        reference: "theta".into(),
        lineage: Lineage {
            from: Timestamp::from_secs(0),
            until: Timestamp::from_secs(1),
            rows: 1,
            sha256: "0".repeat(64),
            code_version: "test".into(),
            seed: 0,
            parent: None,
        },
        measures: serde_json::Value::Null,
        artefacts: vec![Artefact {
            path: "state.bin".into(),
            sha256: sha256.clone(),
            bytes: content.len() as u64,
        }],
        created_by: "ann".into(),
        note: String::new(),
    };
    store
        .publish(version.into(), Timestamp::from_secs(2))
        .await
        .unwrap();
    sha256
}

#[tokio::test]
async fn the_files_of_models_go_with_a_backup_and_come_back_each_held_to_its_hash() {
    let scratch = tempfile::tempdir().unwrap();
    let (live, file) = (scratch.path().join("live"), scratch.path().join("copy.db"));
    let store = open(&live).await;
    let first = register(&store, b"the first").await;
    let second = register(&store, b"the second").await;
    // What no version names is not copied.
    store.put(b"nobody's".to_vec()).await.unwrap();
    let made = backup(&live, &file).await.unwrap();
    assert_eq!((made.artefacts, made.faults.as_slice()), (2, &[][..]));
    let folder = scratch.path().join("copy.db.artefacts");
    let mut both = [first.clone(), second.clone()];
    both.sort();
    assert_eq!(names(&folder), both);

    let fresh = scratch.path().join("fresh");
    let put = restore(&file, &fresh, false).await.unwrap();
    assert_eq!((put.artefacts, put.faults.as_slice()), (2, &[][..]));
    let restored = open(&fresh).await;
    assert_eq!(restored.get(&first).await.unwrap(), b"the first");
    let version = restored.version("close-1d.A", 2).await.unwrap().unwrap();
    assert_eq!(
        restored.get(&version.artefacts[0].sha256).await.unwrap(),
        b"the second"
    );
    restored.close().await.unwrap();

    // An altered file is named, and nothing else is kept from the copy; so is one that the backup has lost.
    fs::write(live.join("artefacts").join(&first), b"the fIrst").unwrap();
    let again = scratch.path().join("again.db");
    let made = backup(&live, &again).await.unwrap();
    assert_eq!(made.artefacts, 1);
    assert!(made.faults[0].contains(&first), "{:?}", made.faults);
    assert_eq!(
        names(&scratch.path().join("again.db.artefacts")),
        std::slice::from_ref(&second)
    );
    let other = scratch.path().join("other");
    let put = restore(&again, &other, false).await.unwrap();
    assert_eq!((put.artefacts, put.faults.len()), (1, 1));
    assert!(put.faults[0].contains(&first), "{:?}", put.faults);
    // Into the directory that has it, nothing is missing.
    let put = restore(&again, &fresh, true).await.unwrap();
    assert_eq!((put.artefacts, put.faults.len()), (2, 0));
    store.close().await.unwrap();
}
