//! What Tickcast keeps: ticks, bars, the forecast ledger, dead letters, jobs, models and messages to others.
//! Ports by topic, and their sides: SQLite in WAL mode, servers of MongoDB's protocol, and daily CSV files.
//!
//! Contract, the same for every side and checked by one suite (`tests/contract/suite`):
//! - A tick is stored once per (symbol, timestamp, sequence), however often it is appended.
//! - When [`PriceWriter::append`] has returned, the ticks are on disk as far as the process can see to
//!   it (they survive kill -9), and the bars of every interval hold each stored tick once.
//! - The position of a tick in the order of storage grows with time, survives restarts and never
//!   changes.
//! - Removal by age leaves the newest tick and bars of each symbol, and never touches the ledger.
//! - No source of dead letters takes the room of another, and none is dropped without being counted.
//! - A ledger entry never changes and is refused once its first outcome could be known.
//! - A job is held by one attempt at a time; its completion is there with all that it publishes, or not at all.
//!
//! [`CsvSink`] takes prices and dead letters and has no other port: daily files instead of a database.
//!
//! What it does not do: decide what is a good row (see `market::TickRules`), forecast, score.

mod blocking;
mod check;
mod content;
pub mod csv_rows;
mod csv_sink;
mod error;
pub mod export;
mod lock;
#[cfg(feature = "mongodb")]
pub mod mongo;
mod ports;
mod publication;
pub mod quota;
mod sqlite;

pub use csv_sink::{CsvSink, CsvSinkOptions};
pub use error::{Result, StoreError};
pub use market::DroppedCount;
pub use ports::{
    AliasChange, AliasMove, AliasTarget, Appended, Artefact, Artefacts, BarQuery, BarRetention,
    Budget, Change, Database, DatabasePorts, DeadLetter, DeadLetterLog, DeadLetterState,
    DeadLetterStore, Finished, ForecastLedger, Instrument, InstrumentQuote, JOB_LINE_CHARS,
    JOB_LINES_KEPT, Job, JobKind, JobLine, JobQuery, JobState, JobStore, Lease, LedgerQuery,
    LedgerRow, Lineage, MOST_ARTEFACT_BYTES, MOST_JOB_BYTES, MOST_WAITING_JOBS,
    MOST_WAITING_MESSAGES, Message, MessageState, ModelRegistry, ModelSummary, NewJob, NewMessage,
    NewVerdict, NewVersion, OLD_MESSAGES_KEPT, OpenForecast, Outbox, Outcome, PriceReader,
    PriceWriter, Progress, Publication, Published, Readiness, ReasonCount, Recorded, Removed,
    Renewed, ScoreRow, StepOutcome, StorePorts, StoredTick, Submitted, SymbolPage, SymbolPlace,
    SymbolQuery, TickRetention, Topic, Verdict, Version, VersionQuery,
};
pub use quota::{DeadLetterQuota, RejectReport};
pub use sqlite::{Copied, SqliteOptions, SqliteStore};
