//! What Tickcast keeps: ticks, bars, the forecast ledger and dead letters. A port for each and
//! one for removal by age, and their embedded side, SQLite in WAL mode.
//!
//! Contract, the same for every side and checked by one suite (`tests/contract/suite`):
//! - A tick is stored once per (symbol, timestamp, sequence), however often it is appended.
//! - When [`TickStore::append`] has returned, the ticks are on disk as far as the process can see to
//!   it (they survive kill -9), and the bars of every interval hold each stored tick once.
//! - The position of a tick in the order of storage grows with time, survives restarts and never
//!   changes.
//! - Removal by age leaves the newest tick and bars of each symbol, and never touches the ledger.
//! - No source of dead letters takes the room of another, and none is dropped without being counted.
//! - A ledger entry never changes and is refused once its first outcome could be known.
//!
//! [`CsvSink`] is a side for writing only, outside that suite: daily files instead of a database.
//!
//! What it does not do: decide what is a good row (see `market::TickRules`), forecast, score.

mod blocking;
mod check;
mod csv;
pub mod csv_rows;
mod error;
pub mod export;
mod lock;
#[cfg(feature = "mongodb")]
pub mod mongo;
mod port;
pub mod quota;
mod sqlite;

pub use csv::{CsvSink, CsvSinkOptions};
pub use error::{Result, StoreError};
pub use port::{
    Appended, BarQuery, BarStore, DeadLetter, DeadLetterState, DeadLetterStore, ForecastLedger,
    Instrument, LedgerQuery, LedgerRow, OpenForecast, Readiness, ReasonCount, Recorded, Removed,
    Retention, ScoreRow, StepOutcome, Store, StoredTick, SymbolPage, SymbolPlace, SymbolQuery,
    TickStore,
};
pub use quota::{DroppedCount, LetterQuota, PutAside};
pub use sqlite::{Copied, SqliteOptions, SqliteStore};
