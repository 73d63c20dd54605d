//! The schema's version, and the indexes.
//!
//! Migrations: a version is a number in the document `schema` of the meta collection. A build that
//! meets an older one brings it up step by step at connection; one that meets a newer one refuses,
//! because it cannot know what the documents mean. A new field that old builds may ignore needs no
//! new version.

use futures::{StreamExt, TryStreamExt, stream};
use mongodb::{
    Collection, IndexModel,
    bson::{Bson, Document, doc},
    error::ErrorKind,
};

use super::{Inner, fault};
use crate::{Result, StoreError};

/// The version that this build writes.
///
/// 2 (from 1): bars lie in parts, one for each process that wrote ticks of them. Ticks without a
/// writer, and their bars, are those of the writer 0: nothing has to be rewritten, but a build that
/// knows only version 1 would count such bars wrongly.
const VERSION: u32 = 2;

/// Statements of one command: a server takes at most 100,000 and 48 MB, and several moderate
/// commands run better than one large one.
const STATEMENTS: usize = 1_000;
/// Commands on their way at the same time.
const UPDATES_AT_ONCE: usize = 4;

impl Inner {
    /// What finds a symbol's document by its `_id`; see [`super::MongoOptions::name_shard_key`].
    pub(super) fn only(&self, id: &str, symbol: &str) -> Document {
        let mut only = doc! { "_id": id };
        if self.name_shard_key {
            only.insert("symbol", symbol);
        }
        only
    }

    pub(super) async fn prepare(&self) -> Result<()> {
        self.check_version().await?;
        // One by one: FerretDB 1.24 cuts the connection when it is asked for two and one is there.
        // None is unique: what must be is an `_id`, so that a collection can be sharded by symbol.
        let index = async |collection: &Collection<Document>, keys: Document| {
            let model = IndexModel::builder().keys(keys).build();
            collection.create_index(model).await.map(drop)
        };
        let ticks = self.ticks.clone_with_type();
        let by_time = doc! { "symbol": 1, "ts_us": 1, "seq": 1 };
        index(&ticks, by_time).await?;
        index(&ticks, doc! { "symbol": 1, "position": 1 }).await?;
        let bars = self.bars.clone_with_type();
        let by_start = doc! { "symbol": 1, "interval": 1, "start_us": 1 };
        index(&bars, by_start).await?;
        index(&self.forecasts, doc! { "number": 1 }).await?;
        let by_origin = doc! { "symbol": 1, "interval": 1, "origin_us": 1 };
        index(&self.forecasts, by_origin).await?;
        let due = doc! { "symbol": 1, "interval": 1, "due_us": 1 };
        index(&self.forecasts, due).await?;
        let scored = doc! { "symbol": 1, "interval": 1 };
        index(&self.outcomes, scored).await?;
        let listed = doc! { "has_ticks": 1, "_id": 1 };
        index(&self.symbols, listed).await?;
        let letters = self.dead_letters.clone_with_type();
        index(&letters, doc! { "state": 1, "reason": 1 }).await?;
        index(&letters, doc! { "message": 1 }).await?;
        index(&letters, doc! { "source": 1, "state": 1 }).await?;
        // What a source has, in letters and bytes, without reading the letters.
        index(&letters, doc! { "source": 1, "bytes": 1 }).await?;
        self.training.prepare().await
    }

    async fn check_version(&self) -> Result<()> {
        let found = self.meta.find_one(doc! { "_id": "schema" }).await?;
        let found = found.as_ref().map(|d| match d.get("version") {
            Some(Bson::Int32(n)) => u32::try_from(*n).unwrap_or(u32::MAX),
            Some(Bson::Int64(n)) => u32::try_from(*n).unwrap_or(u32::MAX),
            _ => u32::MAX,
        });
        match found {
            Some(VERSION) => Ok(()),
            Some(1) => {
                let raised = doc! { "$set": { "version": VERSION } };
                self.meta
                    .update_one(doc! { "_id": "schema", "version": 1 }, raised)
                    .await?;
                Ok(())
            }
            Some(found) => Err(StoreError::SchemaVersion {
                found,
                known: VERSION,
            }),
            None => {
                let first = doc! { "_id": "schema", "version": VERSION };
                match self.meta.insert_one(first).await {
                    Ok(_) => Ok(()),
                    // Another process was first, with this version or another.
                    Err(error) if is_duplicate(&error) => Box::pin(self.check_version()).await,
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Runs an `update` command of many statements, in no order; answers with the indexes of those
    /// that were refused for a duplicate key.
    ///
    /// As a command of its own, because the driver's bulk write needs a server of version 8. Sent
    /// again by hand after a cut connection: the statements are made so that this is harmless.
    pub(super) async fn update_many_of(
        &self,
        collection: &str,
        statements: Vec<Document>,
    ) -> Result<Vec<usize>> {
        let chunks: Vec<(usize, Vec<Document>)> = statements
            .chunks(STATEMENTS)
            .enumerate()
            .map(|(i, c)| (i * STATEMENTS, c.to_vec()))
            .collect();
        let refused: Vec<Vec<usize>> = stream::iter(chunks)
            .map(|(base, chunk)| async move {
                let refused = self.update(collection, chunk, false).await?;
                Ok::<_, StoreError>(refused.into_iter().map(|i| i + base).collect())
            })
            .buffered(UPDATES_AT_ONCE)
            .try_collect()
            .await?;
        Ok(refused.concat())
    }

    /// As [`Self::update_many_of`], on bars: each group in its order, groups side by side. Answers
    /// with what came with the refused ones.
    pub(super) async fn update_in_order<T: Send>(
        &self,
        groups: impl Iterator<Item = Vec<(Document, T)>>,
    ) -> Result<Vec<T>> {
        let mut chunks: Vec<Vec<(Document, T)>> = Vec::new();
        for group in groups {
            match chunks.last_mut() {
                Some(chunk) if chunk.len() + group.len() <= STATEMENTS => chunk.extend(group),
                _ => chunks.push(group),
            }
        }
        let refused: Vec<Vec<T>> = stream::iter(chunks)
            .map(|mut chunk| async move {
                let mut refused = Vec::new();
                while !chunk.is_empty() {
                    let statements = chunk.iter().map(|(statement, _)| statement.clone());
                    // In order: the first that is refused ends the command.
                    let first = self
                        .update(&self.names.bars, statements.collect(), true)
                        .await?;
                    let Some(first) = first.first() else {
                        break;
                    };
                    let rest = chunk.split_off((first + 1).min(chunk.len()));
                    refused.extend(chunk.pop().map(|(_, of)| of));
                    chunk = rest;
                }
                Ok::<_, StoreError>(refused)
            })
            .buffered(UPDATES_AT_ONCE)
            .try_collect()
            .await?;
        Ok(refused.into_iter().flatten().collect())
    }

    async fn update(
        &self,
        collection: &str,
        statements: Vec<Document>,
        ordered: bool,
    ) -> Result<Vec<usize>> {
        let command = doc! {
            "update": collection,
            "updates": statements,
            "ordered": ordered,
            "writeConcern": { "w": "majority" },
        };
        let answer = match self.database.run_command(command.clone()).await {
            Err(error) if is_cut(&error) => self.database.run_command(command).await?,
            other => other?,
        };
        refusals(&answer)
    }
}

fn is_cut(error: &mongodb::error::Error) -> bool {
    matches!(
        *error.kind,
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. }
    )
}

pub(super) fn is_duplicate(error: &mongodb::error::Error) -> bool {
    use mongodb::error::WriteFailure;
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(e)) => e.code == fault::DUPLICATE,
        ErrorKind::Command(e) => e.code == fault::DUPLICATE,
        _ => false,
    }
}

/// The indexes in the list of inserted documents that were there already.
///
/// # Errors
/// Every other fault of the call.
pub(super) fn duplicates<T>(inserted: mongodb::error::Result<T>) -> Result<Vec<usize>> {
    let Err(error) = inserted else {
        return Ok(Vec::new());
    };
    if let ErrorKind::InsertMany(many) = &*error.kind
        && many.write_concern_error.is_none()
        && let Some(errors) = &many.write_errors
        && errors.iter().all(|e| e.code == fault::DUPLICATE)
    {
        return Ok(errors.iter().map(|e| e.index).collect());
    }
    Err(error.into())
}

fn refusals(answer: &Document) -> Result<Vec<usize>> {
    if let Ok(concern) = answer.get_document("writeConcernError") {
        return Err(StoreError::Unavailable {
            detail: format!("not written to a majority: {concern}"),
        });
    }
    let Ok(errors) = answer.get_array("writeErrors") else {
        return Ok(Vec::new());
    };
    let mut refused = Vec::with_capacity(errors.len());
    for error in errors {
        let Some(error) = error.as_document() else {
            continue;
        };
        let number = |key| match error.get(key) {
            Some(Bson::Int32(n)) => i64::from(*n),
            Some(Bson::Int64(n)) => *n,
            _ => -1,
        };
        let code = i32::try_from(number("code")).unwrap_or(-1);
        if code != fault::DUPLICATE {
            let message = error.get_str("errmsg").unwrap_or("write error").to_owned();
            return Err(fault::by_code(code, message));
        }
        refused.push(usize::try_from(number("index")).unwrap_or(usize::MAX));
    }
    Ok(refused)
}
