//! The ports: one trait per capability, a file per topic. Consumers ask for the one that they need.
//!
//! Two kinds of store: a **database** has every port ([`StorePorts::of_database`]), a **sink** takes prices
//! and dead letters and answers no reads ([`StorePorts::of_sink`]). What a sink cannot do is not in its
//! type: [`StorePorts::database`] is absent.

mod artefacts;
mod dead_letters;
mod jobs;
mod ledger;
mod outbox;
mod prices;
mod readiness;
mod registry;
mod retention;

use std::sync::Arc;

pub use self::{
    artefacts::{Artefacts, MOST_ARTEFACT_BYTES},
    dead_letters::{DeadLetter, DeadLetterLog, DeadLetterState, DeadLetterStore, ReasonCount},
    jobs::{
        Finished, JOB_LINE_CHARS, JOB_LINES_KEPT, Job, JobKind, JobLine, JobQuery, JobState,
        JobStore, Lease, MOST_JOB_BYTES, MOST_WAITING_JOBS, NewJob, Outcome, Progress, Renewed,
        Submitted,
    },
    ledger::{
        ForecastLedger, LedgerQuery, LedgerRow, OpenForecast, Recorded, ScoreRow, StepOutcome,
    },
    outbox::{
        MOST_WAITING_MESSAGES, Message, MessageState, NewMessage, OLD_MESSAGES_KEPT, Outbox, Topic,
    },
    prices::{
        Appended, BarQuery, Instrument, InstrumentQuote, PriceReader, PriceWriter, StoredTick,
        SymbolPage, SymbolPlace, SymbolQuery,
    },
    readiness::Readiness,
    registry::{
        AliasChange, AliasMove, AliasTarget, Artefact, Budget, Change, Lineage, ModelRegistry,
        ModelSummary, NewVerdict, NewVersion, Publication, Published, Verdict, Version,
        VersionQuery,
    },
    retention::{BarRetention, Removed, TickRetention},
};

/// The ports of an open store. Cheap to clone.
///
/// ```
/// use std::sync::Arc;
/// use store::{SqliteOptions, SqliteStore, StorePorts};
///
/// # async fn open(dir: std::path::PathBuf) -> store::Result<()> {
/// let store = SqliteStore::open(SqliteOptions::new(dir)).await?;
/// let ports = StorePorts::of_database(Arc::new(store));
/// ports.readiness.ready().await?;
/// if let Some(database) = &ports.database {
///     let every_symbol = database.prices.instruments().await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct StorePorts {
    /// Takes prices in.
    pub prices: Arc<dyn PriceWriter>,
    /// Takes rejected rows in, and lists them.
    pub dead_letters: Arc<dyn DeadLetterLog>,
    /// Removes ticks by age.
    pub tick_retention: Arc<dyn TickRetention>,
    /// Says whether the store can do its work.
    pub readiness: Arc<dyn Readiness>,
    /// What only a database has; absent of a sink.
    pub database: Option<DatabasePorts>,
}

/// The ports that only a database has. Cheap to clone.
#[derive(Clone)]
pub struct DatabasePorts {
    /// Reads prices.
    pub prices: Arc<dyn PriceReader>,
    /// The forecast ledger.
    pub ledger: Arc<dyn ForecastLedger>,
    /// Dead letters that can be replayed and discarded.
    pub dead_letters: Arc<dyn DeadLetterStore>,
    /// Removes bars by age.
    pub bar_retention: Arc<dyn BarRetention>,
    /// Durable jobs.
    pub jobs: Arc<dyn JobStore>,
    /// Versions of models, aliases, verdicts.
    pub registry: Arc<dyn ModelRegistry>,
    /// The content of model files.
    pub artefacts: Arc<dyn Artefacts>,
    /// Messages to others.
    pub outbox: Arc<dyn Outbox>,
}

/// A store that has every port.
pub trait Database:
    PriceWriter
    + PriceReader
    + ForecastLedger
    + DeadLetterStore
    + TickRetention
    + BarRetention
    + JobStore
    + ModelRegistry
    + Artefacts
    + Outbox
    + Readiness
    + 'static
{
}

impl<S> Database for S where
    S: PriceWriter
        + PriceReader
        + ForecastLedger
        + DeadLetterStore
        + TickRetention
        + BarRetention
        + JobStore
        + ModelRegistry
        + Artefacts
        + Outbox
        + Readiness
        + 'static
{
}

impl std::fmt::Debug for StorePorts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StorePorts")
            .field("database", &self.database.is_some())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for DatabasePorts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabasePorts").finish_non_exhaustive()
    }
}

impl StorePorts {
    /// Of a store that has every port.
    pub fn of_database<S: Database>(store: Arc<S>) -> Self {
        let database = DatabasePorts {
            prices: Arc::<S>::clone(&store),
            ledger: Arc::<S>::clone(&store),
            dead_letters: Arc::<S>::clone(&store),
            bar_retention: Arc::<S>::clone(&store),
            jobs: Arc::<S>::clone(&store),
            registry: Arc::<S>::clone(&store),
            artefacts: Arc::<S>::clone(&store),
            outbox: Arc::<S>::clone(&store),
        };
        Self {
            database: Some(database),
            ..Self::of_sink(store)
        }
    }

    /// Of a store that is written and not read.
    pub fn of_sink<S>(store: Arc<S>) -> Self
    where
        S: PriceWriter + DeadLetterLog + TickRetention + Readiness + 'static,
    {
        Self {
            prices: Arc::<S>::clone(&store),
            dead_letters: Arc::<S>::clone(&store),
            tick_retention: Arc::<S>::clone(&store),
            readiness: store,
            database: None,
        }
    }
}

/// A database as it stands behind an [`Arc`].
impl<S: Database> From<Arc<S>> for StorePorts {
    fn from(store: Arc<S>) -> Self {
        Self::of_database(store)
    }
}
