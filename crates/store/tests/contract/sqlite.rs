//! The SQLite side.

use std::sync::Arc;

use async_trait::async_trait;
use store::{DeadLetterQuota, SqliteOptions, SqliteStore};

use crate::suite::{Database, Place, StoreUnderTest, contract_tests};

struct Sqlite;

struct Directory {
    dir: tempfile::TempDir,
    dead_letter_quota: DeadLetterQuota,
    open: Option<SqliteStore>,
}

#[async_trait]
impl StoreUnderTest for Sqlite {
    async fn place(&self, dead_letter_quota: DeadLetterQuota) -> Box<dyn Place> {
        Box::new(Directory {
            dir: tempfile::tempdir().unwrap(),
            dead_letter_quota,
            open: None,
        })
    }
}

#[async_trait]
impl Place for Directory {
    async fn open(&mut self) -> Arc<dyn Database> {
        if let Some(store) = self.open.take() {
            store.close().await.unwrap();
        }
        let store = SqliteStore::open(SqliteOptions {
            dead_letter_quota: self.dead_letter_quota,
            ..SqliteOptions::new(self.dir.path())
        })
        .await
        .unwrap();
        self.open = Some(store.clone());
        Arc::new(store)
    }
}

contract_tests!(Sqlite);
