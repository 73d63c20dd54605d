//! The SQLite side.

use std::sync::Arc;

use async_trait::async_trait;
use store::{LetterQuota, SqliteOptions, SqliteStore, Store};

use crate::suite::{Place, StoreUnderTest, contract_tests};

struct Sqlite;

struct Directory {
    dir: tempfile::TempDir,
    letter_quota: LetterQuota,
    open: Option<SqliteStore>,
}

#[async_trait]
impl StoreUnderTest for Sqlite {
    async fn place(&self, letter_quota: LetterQuota) -> Box<dyn Place> {
        Box::new(Directory {
            dir: tempfile::tempdir().unwrap(),
            letter_quota,
            open: None,
        })
    }
}

#[async_trait]
impl Place for Directory {
    async fn open(&mut self) -> Arc<dyn Store> {
        if let Some(store) = self.open.take() {
            store.close().await.unwrap();
        }
        let store = SqliteStore::open(SqliteOptions {
            letter_quota: self.letter_quota,
            ..SqliteOptions::new(self.dir.path())
        })
        .await
        .unwrap();
        self.open = Some(store.clone());
        Arc::new(store)
    }
}

contract_tests!(Sqlite);
