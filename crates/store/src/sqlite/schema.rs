//! The tables, their versions, and how a connection is set up.
//!
//! Model: `user_version` is the number of migrations that the file has seen. Each runs in a
//! transaction of its own together with the new number.
//!
//! Durability: WAL with `synchronous=NORMAL`. A commit is in the operating system's hands when it
//! returns, so it survives the process (kill -9); a power cut may take the commits since the last
//! checkpoint, never the consistency of the file. With `full_sync` every commit waits for the disk.
//!
//! Checkpoints are not SQLite's automatic ones: see the module `checkpoints`.
//!
//! Memory: page caches of 16 MiB for the writer and 2 MiB for each reader, no memory map.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::fault::damaged;
use crate::{Result, StoreError};

/// The database's file name in the data directory.
pub(super) const FILE: &str = "tickcast.db";

/// "Tick" in ASCII: marks the file as ours.
const APPLICATION_ID: i64 = 0x5469_636b;

const MIGRATIONS: &[&str] = &[
    include_str!("schema_v1.sql"),
    include_str!("schema_v2.sql"),
    include_str!("schema_v3.sql"),
    include_str!("schema_v4.sql"),
    include_str!("schema_v5.sql"),
    include_str!("schema_v6.sql"),
    include_str!("schema_v7.sql"),
];

/// The newest schema this build knows.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// The writer's connection: makes or migrates the file.
pub(super) fn open_writer(
    dir: &Path,
    full_sync: bool,
    max_bytes: Option<u64>,
) -> Result<Connection> {
    let path = dir.join(FILE);
    let conn = Connection::open_with_flags(
        &path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(|error| StoreError::Directory {
        path: dir.to_owned(),
        detail: error.to_string(),
    })?;
    conn.set_prepared_statement_cache_capacity(64);
    let synchronous = if full_sync { "FULL" } else { "NORMAL" };
    // The first statement that reads the file also finds out whether it is a database at all.
    let found: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > VERSION {
        return Err(StoreError::SchemaVersion {
            found,
            known: VERSION,
        });
    }
    refuse_foreign(&conn, found)?;
    conn.execute_batch(&format!(
        "PRAGMA busy_timeout = 5000;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = {synchronous};
         PRAGMA cache_size = -16384;
         PRAGMA mmap_size = 0;
         PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA trusted_schema = OFF;"
    ))?;
    migrate(&conn, found)?;
    if let Some(max_bytes) = max_bytes {
        let page: u32 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = (max_bytes / u64::from(page.max(1))).clamp(1, 0xffff_fffe);
        conn.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?;
    }
    Ok(conn)
}

/// A reader's connection to a file that [`open_writer`] has set up.
pub(super) fn open_reader(dir: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(
        dir.join(FILE),
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.set_prepared_statement_cache_capacity(32);
    conn.execute_batch(
        "PRAGMA busy_timeout = 5000;
         PRAGMA query_only = ON;
         PRAGMA cache_size = -2048;
         PRAGMA mmap_size = 0;
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;",
    )?;
    Ok(conn)
}

/// The connection of the checkpoint thread.
pub(super) fn open_checkpointer(dir: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(
        dir.join(FILE),
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.execute_batch("PRAGMA cache_size = -64; PRAGMA mmap_size = 0;")?;
    Ok(conn)
}

/// What `PRAGMA quick_check` finds, at most so many faults; empty when the file is sound. Reads every
/// page once.
pub(super) fn quick_check(conn: &Connection, most: u32) -> Result<Vec<String>> {
    let mut check = conn.prepare(&format!("PRAGMA quick_check({most})"))?;
    let found = check
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    let is_fault = |line: &String| line != "ok";
    Ok(found.into_iter().filter(is_fault).collect())
}

/// A file with tables that are not ours must not be migrated into.
pub(super) fn refuse_foreign(conn: &Connection, found: u32) -> Result<()> {
    let id: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let fresh = found == 0 && tables == 0;
    if fresh || (id == APPLICATION_ID && found > 0 && tables > 0) {
        return Ok(());
    }
    Err(damaged(&format!(
        "{FILE} is not a tickcast database: application id {id:#x}, schema version {found}, {tables} tables and indices"
    )))
}

fn migrate(conn: &Connection, found: u32) -> Result<()> {
    for (version, sql) in (1..).zip(MIGRATIONS).skip(found as usize) {
        let step = conn.unchecked_transaction()?;
        step.execute_batch(sql)?;
        step.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};"
        ))?;
        step.commit()?;
        tracing::info!(version, "the database has a new schema version");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use market::{Symbol, Tick, Timestamp};

    use super::*;
    use crate::{JobKind, JobStore, NewJob, PriceReader, PriceWriter, SqliteOptions, SqliteStore};

    /// What a file consists of: the statements that made its tables and indexes.
    fn statements(conn: &Connection) -> Vec<String> {
        let mut find = conn
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
            .unwrap();
        let found = find.query_map([], |row| row.get(0)).unwrap();
        found.collect::<rusqlite::Result<_>>().unwrap()
    }

    /// A file as the builds before left it: with the first migrations alone.
    fn of_version(dir: &Path, version: usize) -> Connection {
        let conn = Connection::open(dir.join(FILE)).unwrap();
        conn.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        for sql in &MIGRATIONS[..version] {
            conn.execute_batch(sql).unwrap();
        }
        conn.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};"
        ))
        .unwrap();
        conn
    }

    #[tokio::test]
    async fn a_file_of_version_5_keeps_what_it_has_and_takes_jobs() {
        let dir = tempfile::tempdir().unwrap();
        let old = of_version(dir.path(), 5);
        old.execute_batch(
            "INSERT INTO dead_letters (at, reason, detail, origin, payload, source)
                 VALUES (7, 'bad_price', 'd', 'o', 'p', 's');
             INSERT INTO dead_letter_sources VALUES ('s', 'bad_price', 1, 0, 0);",
        )
        .unwrap();
        drop(old);
        let store = SqliteStore::open(SqliteOptions::new(dir.path()))
            .await
            .unwrap();
        let letters = crate::DeadLetterLog::open_dead_letters(&store, None, 0, 9);
        assert_eq!(letters.await.unwrap().len(), 1);
        let now = Timestamp::from_secs(9);
        let job = NewJob::new(JobKind::Train, serde_json::json!({}), now, "ann");
        store.submit(vec![job], now).await.unwrap();
        let symbol: Symbol = "A".parse().unwrap();
        let tick = Tick {
            symbol: symbol.clone(),
            ts: now,
            seq: 1,
            price: 1.0,
            size: 1.0,
        };
        store.append(vec![tick]).await.unwrap();
        assert!(store.latest_tick(&symbol).await.unwrap().is_some());
        store.close().await.unwrap();
        let fresh = tempfile::tempdir().unwrap();
        let fresh = of_version(fresh.path(), MIGRATIONS.len());
        let migrated = Connection::open(dir.path().join(FILE)).unwrap();
        assert_eq!(statements(&migrated), statements(&fresh));
        let version: u32 = migrated
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(version, VERSION);
    }
}
