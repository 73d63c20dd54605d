//! What the training loop has in the database, and what every part of it goes by.
//!
//! Model: no transaction and no lock of the server. Each step is one change of one document, and what changes
//! together is committed by one of them; see the module `publish`. Changes compare and set, which MongoDB does
//! atomically. FerretDB 1.24 does not, so those of one process take turns too ([`Training::turn`]): there one
//! process at a time works on jobs, as it writes at a time.

use mongodb::{
    Collection, Database, IndexModel,
    bson::{Document, doc},
    options::ReturnDocument,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Mutex;

use super::{Inner, fault};
use crate::{Result, StoreError};

/// How often a change is tried that others come before.
pub(super) const TRIES: u32 = 100;

/// The collections, named after that of the ticks.
pub(super) struct Training {
    pub jobs: Collection<Document>,
    pub job_lines: Collection<Document>,
    pub models: Collection<Document>,
    pub versions: Collection<Document>,
    pub alias_moves: Collection<Document>,
    pub verdicts: Collection<Document>,
    pub outbox: Collection<Document>,
    /// Publications on their way; see the module `publish`.
    pub publications: Collection<Document>,
    pub artefacts: Collection<Document>,
    /// Held while this process changes anything of these.
    pub turn: Mutex<()>,
}

impl Training {
    pub(super) fn new(database: &Database, ticks: &str) -> Self {
        let of = |part: &str| database.collection(&format!("{ticks}_{part}"));
        Self {
            jobs: of("jobs"),
            job_lines: of("job_lines"),
            models: of("models"),
            versions: of("model_versions"),
            alias_moves: of("alias_moves"),
            verdicts: of("verdicts"),
            outbox: of("outbox"),
            publications: of("publications"),
            artefacts: of("artefacts"),
            turn: Mutex::default(),
        }
    }

    /// Makes the indexes that are missing, one by one: see [`Inner::prepare`].
    pub(super) async fn prepare(&self) -> Result<()> {
        let index = async |collection: &Collection<Document>, keys: Document| {
            let model = IndexModel::builder().keys(keys).build();
            collection.create_index(model).await.map(drop)
        };
        index(&self.jobs, doc! { "number": 1 }).await?;
        let next = doc! { "state": 1, "kind": 1, "priority": -1, "run_at_us": 1, "number": 1 };
        index(&self.jobs, next).await?;
        index(&self.jobs, doc! { "state": 1, "number": 1 }).await?;
        index(&self.jobs, doc! { "kind": 1, "number": 1 }).await?;
        index(&self.job_lines, doc! { "job": 1, "number": 1 }).await?;
        index(&self.models, doc! { "name": 1 }).await?;
        index(&self.versions, doc! { "number": 1 }).await?;
        index(&self.versions, doc! { "name": 1, "number": 1 }).await?;
        let by_time = doc! { "name": 1, "alias": 1, "at_us": 1 };
        index(&self.alias_moves, by_time).await?;
        index(&self.verdicts, doc! { "number": 1 }).await?;
        index(&self.verdicts, doc! { "name": 1, "number": 1 }).await?;
        index(&self.outbox, doc! { "number": 1 }).await?;
        let waiting = doc! { "topic": 1, "state": 1, "number": 1 };
        index(&self.outbox, waiting).await?;
        Ok(())
    }
}

impl Inner {
    /// Changes the document that the filter finds; the document after it. `None`: there is none, or it has
    /// changed meanwhile.
    pub(super) async fn change(
        &self,
        collection: &Collection<Document>,
        filter: Document,
        set: Document,
    ) -> Result<Option<Document>> {
        let changed = collection
            .find_one_and_update(filter, set)
            .return_document(ReturnDocument::After)
            .await?;
        Ok(changed)
    }
}

/// A document as what it should be.
pub(super) fn read<T: DeserializeOwned>(document: Document) -> Result<T> {
    mongodb::bson::deserialize_from_document(document).map_err(fault::foreign)
}

/// A value as a document.
pub(super) fn document<T: Serialize>(value: &T) -> Result<Document> {
    mongodb::bson::serialize_to_document(value).map_err(|error| StoreError::Internal {
        detail: format!("a value is no document: {error}"),
    })
}

/// A value as JSON: not every number and key of it is one of a document.
pub(super) fn text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Internal {
        detail: format!("a value has no JSON: {error}"),
    })
}

/// And back.
pub(super) fn json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(fault::foreign)
}

/// The error where others always came first.
pub(super) fn contended(what: &str) -> StoreError {
    StoreError::Unavailable {
        detail: format!("{what} is being changed by others all the time"),
    }
}
