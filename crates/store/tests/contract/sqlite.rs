//! The SQLite side.

use std::sync::Arc;

use async_trait::async_trait;
use store::{SqliteOptions, SqliteStore, Store};

use crate::suite::{Place, StoreUnderTest, contract_tests};

struct Sqlite;

struct Directory {
    dir: tempfile::TempDir,
    dead_letters_kept: u64,
    open: Option<SqliteStore>,
}

#[async_trait]
impl StoreUnderTest for Sqlite {
    async fn place(&self, dead_letters_kept: u64) -> Box<dyn Place> {
        Box::new(Directory {
            dir: tempfile::tempdir().unwrap(),
            dead_letters_kept,
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
            dead_letters_kept: self.dead_letters_kept,
            ..SqliteOptions::new(self.dir.path())
        })
        .await
        .unwrap();
        self.open = Some(store.clone());
        Arc::new(store)
    }
}

contract_tests!(Sqlite);
