//! The store on a server of MongoDB's protocol.
//!
//! Model: one collection per kind of document, all named after the ticks' (`stock_data`,
//! `stock_data_bars` …). A document's `_id` is made of its key (see the module `keys`), so that
//! writing is idempotent: ticks go in by unordered `insertMany`, and the answer "duplicate key"
//! means "already there". Reads go by an index on (symbol, time) or by `_id`s: ranges of `_id`s would
//! do on MongoDB, and not every server of its protocol has an index for them.
//!
//! Nothing here needs transactions, change streams, time-series collections or averages on the
//! server: what two writes have to agree on is made so that it can be done again.
//! - **Positions** come from a counter document, one `$inc` per append, so they grow over every
//!   process that writes to the database. Duplicates leave gaps.
//! - **Bars** lie in parts, one for each process that stored ticks of them, and readers merge them;
//!   see the module `bars`. A part that a duplicate belongs to (its first append may have died between
//!   ticks and bars) is folded anew from the ticks of that process; see the module `fold`, also for
//!   what holds where retention has removed them.
//! - **A batch** is not atomic: after a failure, some of its ticks may be there. Appending it again
//!   completes it, and in the same process the ticks of the failed attempt count as stored, not as
//!   duplicates, so that those who follow the answers miss none.
//!
//! One process at a time should write a symbol, which the bus's partitions see to. If two do, the
//! ticks and bars are still right; only the positions of that symbol may then become visible out of
//! order.
//!
//! Writes ask for a majority; what that means is the server's to say.
//!
//! What it does not do: lock the database, run migrations by itself across major versions of the
//! server, TLS settings (they are the URI's).

mod artefacts;
mod bars;
mod counters;
mod dead_letters;
mod documents;
mod fault;
mod fold;
mod instruments;
mod job_documents;
mod jobs;
mod keys;
mod ledger;
mod outbox;
mod outside;
mod ports;
mod publication_documents;
mod publish;
mod ranges;
mod recent;
mod registry;
mod retention;
mod schema;
mod scores;
mod ticks;
mod training;
mod training_ports;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use market::{Interval, Symbol, Timestamp};
use mongodb::{
    Client, Collection, Database,
    bson::{Document, doc},
    options::{Acknowledgment, ClientOptions, WriteConcern},
};
use tokio::sync::Mutex;

use self::{
    bars::{Key, Series},
    dead_letters::Room,
    documents::{BarDocument, DeadLetterDocument, TickDocument},
    ranges::Ranges,
    recent::Recent,
    training::Training,
};
use crate::{DeadLetterQuota, Result, StoreError};

/// What a [`MongoStore`] is connected with.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoOptions {
    /// The connection string: hosts, credentials, TLS, `retryWrites=false` for servers that have
    /// none.
    pub uri: String,
    /// The database.
    pub database: String,
    /// The collection of ticks; the others are named after it.
    pub collection: String,
    /// How long the server may not be there before a call fails.
    pub timeout: Duration,
    /// Whether updates name the shard key besides the `_id`: a `mongos` then asks one shard, not all.
    /// Where it is `None`, the server is asked whether it is one. A server without shards may be slower
    /// at it.
    pub name_shard_key: Option<bool>,
    /// How many dead letters are kept. Of several processes, each looks from time to time how many
    /// there are: together they may keep some more.
    pub dead_letter_quota: DeadLetterQuota,
}

impl MongoOptions {
    /// The defaults of the original pipeline, for a server.
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            database: "stock_db".into(),
            collection: "stock_data".into(),
            timeout: Duration::from_secs(10),
            name_shard_key: None,
            dead_letter_quota: DeadLetterQuota::default(),
        }
    }
}

impl std::fmt::Debug for MongoOptions {
    /// Leaves the URI out: a password may be in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongoOptions")
            .field("database", &self.database)
            .field("collection", &self.collection)
            .finish_non_exhaustive()
    }
}

/// The store in a MongoDB database. Cheap to clone.
#[derive(Clone)]
pub struct MongoStore {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    names: Names,
    ticks: Collection<TickDocument>,
    bars: Collection<BarDocument>,
    forecasts: Collection<Document>,
    outcomes: Collection<Document>,
    dead_letters: Collection<DeadLetterDocument>,
    symbols: Collection<Document>,
    meta: Collection<Document>,
    dropped_letters: Collection<Document>,
    training: Training,
    dead_letter_quota: DeadLetterQuota,
    /// How many letters each source has, as far as this process knows.
    letter_room: Mutex<Room>,
    /// See [`MongoOptions::name_shard_key`].
    name_shard_key: bool,
    /// FerretDB 1.24 gets only the first of several sums of a group right.
    one_sum_per_group: bool,
    /// Appends take turns: their ticks lie in the order of their positions.
    writer: Mutex<Writer>,
    /// What the last write failed with, where that was the server's fault.
    failing: std::sync::Mutex<Option<StoreError>>,
}

/// What the appends of this process remember of each other.
#[derive(Default)]
struct Writer {
    /// Its number, 0 before the first append: whose part of a bar is whose.
    number: i64,
    /// The latest bars of each symbol and interval that it has written parts of.
    recent: HashMap<(Symbol, Interval), Recent>,
    /// Bars that an append changes, or changed when it failed, and since when.
    unsure: HashMap<Key, Instant>,
    /// The last position that it was given.
    last: i64,
    /// When it was last seen that other processes append too.
    others_at: Option<Instant>,
    /// Positions of appends that were answered: their bars are right.
    finished: Ranges,
    /// Positions of appends that failed: of what is there of them, nobody was told then.
    failed: Ranges,
    /// Those of them that a later append has told of.
    told: HashSet<i64>,
}

struct Names {
    bars: String,
    /// What is known to stand in the symbols' documents.
    noted: std::sync::Mutex<HashSet<(Symbol, &'static str)>>,
    /// When a bar of a symbol and interval was last put here, and the start of the newest of them.
    put: std::sync::Mutex<HashMap<Series, (Instant, Timestamp)>>,
}

impl MongoStore {
    /// Connects, checks the schema version and makes the indexes that are missing.
    ///
    /// # Errors
    /// Invalid: a URI that cannot be read, refused credentials. Unavailable: no server. A newer
    /// schema.
    pub async fn connect(options: MongoOptions) -> Result<Self> {
        let mut client = ClientOptions::parse(&options.uri).await?;
        client.app_name.get_or_insert_with(|| "tickcast".into());
        client.server_selection_timeout = Some(options.timeout);
        client.connect_timeout.get_or_insert(options.timeout);
        client
            .write_concern
            .get_or_insert_with(|| WriteConcern::builder().w(Acknowledgment::Majority).build());
        let database = Client::with_options(client)?.database(&options.database);
        let server = database.run_command(doc! { "buildInfo": 1 }).await?;
        let name_shard_key = match options.name_shard_key {
            Some(chosen) => chosen,
            // What a mongos says of itself, and nobody else.
            None => {
                let hello = database.run_command(doc! { "hello": 1 }).await?;
                hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid")
            }
        };
        let name = |part: &str| format!("{}_{part}", options.collection);
        let inner = Inner {
            ticks: database.collection(&options.collection),
            bars: database.collection(&name("bars")),
            forecasts: database.collection(&name("forecasts")),
            outcomes: database.collection(&name("outcomes")),
            dead_letters: database.collection(&name("dead_letters")),
            symbols: database.collection(&name("symbols")),
            meta: database.collection(&name("meta")),
            names: Names {
                bars: name("bars"),
                noted: std::sync::Mutex::default(),
                put: std::sync::Mutex::default(),
            },
            dropped_letters: database.collection(&name("dropped_dead_letters")),
            training: Training::new(&database, &options.collection),
            dead_letter_quota: options.dead_letter_quota,
            letter_room: Mutex::default(),
            name_shard_key,
            one_sum_per_group: server.contains_key("ferretdbVersion"),
            writer: Mutex::default(),
            failing: std::sync::Mutex::default(),
            database,
        };
        inner.prepare().await?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Asks the server whether it is there.
    ///
    /// # Errors
    /// Unavailable.
    pub async fn ping(&self) -> Result<()> {
        self.inner.database.run_command(doc! { "ping": 1 }).await?;
        Ok(())
    }
}

impl Inner {
    fn set_failing(&self, error: Option<StoreError>) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        *failing = error;
    }

    /// Takes note of how a write ended: it says whether the store is ready.
    fn noted<T>(&self, written: Result<T>) -> Result<T> {
        match &written {
            Ok(_) => self.set_failing(None),
            Err(e @ (StoreError::Unavailable { .. } | StoreError::Refused { .. })) => {
                self.set_failing(Some(e.clone()));
            }
            // The call's own fault.
            Err(_) => {}
        }
        written
    }

    /// See [`crate::Readiness::ready`]. A process that only reads may have no right to write, so only
    /// one whose writes have failed tries one.
    async fn ready(&self) -> Result<()> {
        self.database.run_command(doc! { "ping": 1 }).await?;
        let failing = {
            let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
            failing.is_some()
        };
        if failing {
            let probe = doc! { "_id": format!("probe|{:?}", std::thread::current().id()) };
            let probe_of = || async {
                // An insert: a server that is full may still take updates.
                match self.meta.insert_one(probe.clone()).await {
                    Err(e) if !schema::is_duplicate(&e) => Err(StoreError::from(e)),
                    _ => Ok(self.meta.delete_one(probe.clone()).await.map(drop)?),
                }
            };
            self.noted(probe_of().await)?;
        }
        Ok(())
    }
}

/// A limit as the driver takes it; `None` when nothing is asked for.
fn limit_of(limit: usize) -> Option<i64> {
    (limit > 0).then(|| i64::try_from(limit).unwrap_or(i64::MAX))
}
