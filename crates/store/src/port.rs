//! The ports: one trait per capability, and [`Store`], which is all of them.

use async_trait::async_trait;
use market::{Bar, Interval, Reject, RejectReason, Symbol, Tick, Timestamp, wire::Fan};
use serde::{Deserialize, Serialize};

use crate::{DroppedCount, PutAside, Result};

/// A stored tick and its position in the order of storage.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTick {
    /// Grows with every tick stored, over all symbols; from 1.
    pub position: u64,
    /// The tick.
    pub tick: Tick,
}

/// What an append did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Appended {
    /// The ticks that were not there before, in order of storage.
    pub stored: Vec<StoredTick>,
    /// How many were there already.
    pub duplicates: usize,
    /// The bars that changed, as they stand now, sorted by symbol, interval and start.
    pub bars: Vec<Bar>,
}

/// A symbol that the store has prices of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instrument {
    /// The symbol.
    pub symbol: Symbol,
    /// The close of its latest bar (of the shortest interval that has one).
    pub last_price: f64,
    /// The time of the latest tick, or the start of the latest bar where it only has bars.
    #[serde(rename = "last_us")]
    pub last: Timestamp,
    /// The intervals that it has bars of, shortest first.
    pub intervals: Vec<Interval>,
    /// Whether it was imported or replayed rather than live: true when it has no ticks.
    pub bars_only: bool,
}

/// Where a page of symbols ended: the next one begins after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolPlace {
    /// Whether its name begins with the text searched for; true without a text.
    pub begins: bool,
    /// Whether it has no ticks.
    pub bars_only: bool,
    /// The symbol.
    pub symbol: Symbol,
}

/// Which symbols to list: those whose names begin with the text first, then those that hold it
/// elsewhere; of both, those with ticks before those without, each by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SymbolQuery {
    /// A part of the name, upper case as symbols are; empty lists all.
    pub text: String,
    /// Only what comes after it.
    pub after: Option<SymbolPlace>,
    /// At most so many.
    pub limit: usize,
}

/// A page of symbols.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SymbolPage {
    /// In the order of the query.
    pub instruments: Vec<Instrument>,
    /// Where the next page begins; absent when this is the last one.
    pub next: Option<SymbolPlace>,
}

impl SymbolQuery {
    /// The parts of the list that the query still has to go through, in order: (begins, without ticks,
    /// after this name). A text lists those that hold it elsewhere too.
    pub(crate) fn parts(&self) -> Vec<(bool, bool, String)> {
        let all = [(true, false), (true, true), (false, false), (false, true)];
        let (from, name) = match &self.after {
            Some(place) => ((!place.begins, place.bars_only), place.symbol.to_string()),
            None => ((false, false), String::new()),
        };
        all.into_iter()
            .filter(|(begins, _)| *begins || !self.text.is_empty())
            .filter(|(begins, bars_only)| (!begins, *bars_only) >= from)
            .map(|(begins, bars_only)| {
                let first = (!begins, bars_only) == from;
                let after = if first { name.clone() } else { String::new() };
                (begins, bars_only, after)
            })
            .collect()
    }
}

/// Which bars to read: half-open in time, oldest first in the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct BarQuery {
    /// The symbol.
    pub symbol: Symbol,
    /// The interval.
    pub interval: Interval,
    /// Starts at or after.
    pub from: Timestamp,
    /// Starts before.
    pub until: Timestamp,
    /// At most so many: the latest of the range.
    pub limit: usize,
}

/// Ticks, and the bars that follow from them.
#[async_trait]
pub trait TickStore: Send + Sync {
    /// Stores ticks and corrects their bars, as one. Doubles, in the store or in the batch, are
    /// dropped.
    ///
    /// # Errors
    /// Unavailable or internal: then none or all of the batch is stored; append it again. Invalid:
    /// a price or size that is not finite, a sequence above 2^63 - 1; then none is stored.
    async fn append(&self, ticks: Vec<Tick>) -> Result<Appended>;

    /// The ticks of `symbol` stored after `position`, in order of storage, at most `limit`.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn ticks_after(
        &self,
        symbol: &Symbol,
        position: u64,
        limit: usize,
    ) -> Result<Vec<StoredTick>>;

    /// The ticks of `symbol` in `[from, until)`, by key, at most `limit`: the latest of the range.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn ticks(
        &self,
        symbol: &Symbol,
        from: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Tick>>;

    /// The tick of `symbol` with the greatest key, with the greatest position of the symbol.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn latest_tick(&self, symbol: &Symbol) -> Result<Option<StoredTick>>;
}

/// Bars.
#[async_trait]
pub trait BarStore: Send + Sync {
    /// Stores bars that came as bars; one that is there under the same (symbol, interval, start) is
    /// replaced. What a bar covers (from its first to its last key) is told by it alone, whatever ticks
    /// there are of it, before or after; ticks outside of that are merged into it ([`market::Bar`] has
    /// the rule). They are kept with `trades` = 0, whatever they say.
    /// Returns how many were written.
    ///
    /// # Errors
    /// Unavailable or internal: then none or all of the batch is stored. Invalid: a number that is
    /// not finite; then none is stored.
    async fn put_bars(&self, bars: Vec<Bar>) -> Result<usize>;

    /// Reads bars, oldest first.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn bars(&self, query: &BarQuery) -> Result<Vec<Bar>>;

    /// Every symbol that has bars, by name. For what must go through all of them: a page asks for
    /// [`Self::symbols`].
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn instruments(&self) -> Result<Vec<Instrument>>;

    /// A page of the symbols that have bars. Costs as much as it lists; of a text that names do not
    /// begin with, a look at every name besides.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn symbols(&self, query: &SymbolQuery) -> Result<SymbolPage>;

    /// One symbol, where it has bars.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn instrument(&self, symbol: &Symbol) -> Result<Option<Instrument>>;
}

/// Whether an entry went into the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is in, under this id.
    New(i64),
    /// One of the same (symbol, interval, origin, model) was there; it stays as it is.
    AlreadyThere(i64),
    /// Refused: `made_at` lies after the end of the first target bar, so that its outcome could be
    /// known.
    TooLate,
}

/// A forecast with steps that are not scored yet.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenForecast {
    /// The ledger's id.
    pub id: i64,
    /// The forecast.
    pub fan: Fan,
    /// How many of its steps are scored; they are scored in order.
    pub scored_steps: u32,
}

/// The outcome of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepOutcome {
    /// The forecast's id.
    pub forecast_id: i64,
    /// The step, from 1.
    pub step: u32,
    /// The close that came.
    pub actual: f64,
    /// The forecast of the naive model from the same origin: what it is measured against.
    pub naive: f64,
}

/// A ledger entry with what is known of its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The ledger's id.
    pub id: i64,
    /// The forecast.
    pub fan: Fan,
    /// The closes that came, by step from 1; shorter than the fan while steps are open.
    pub actuals: Vec<f64>,
}

/// Which ledger entries to read.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerQuery {
    /// The symbol.
    pub symbol: Symbol,
    /// The interval.
    pub interval: Interval,
    /// Only of this model.
    pub model: Option<String>,
    /// Origins at or after.
    pub from: Timestamp,
    /// Origins before.
    pub until: Timestamp,
    /// At most so many: the latest.
    pub limit: usize,
}

/// The live record of a model at one step: what became of its scored forecasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    /// The symbol.
    pub symbol: Symbol,
    /// The interval.
    pub interval: Interval,
    /// The model.
    pub model: String,
    /// The step, from 1.
    pub step: u32,
    /// How many outcomes are in.
    pub count: u64,
    /// Mean absolute error.
    pub mae: f64,
    /// Root mean squared error.
    pub rmse: f64,
    /// Mean absolute error of naive over the same outcomes.
    pub naive_mae: f64,
    /// Share of outcomes inside each level's interval: (level in percent, share 0 to 1).
    pub coverage: Vec<(f64, f64)>,
}

/// The forecast ledger: append-only.
#[async_trait]
pub trait ForecastLedger: Send + Sync {
    /// Writes forecasts; one answer each, in order.
    ///
    /// # Errors
    /// Unavailable or internal: then none or all are written. Invalid: a fan whose lengths disagree,
    /// without steps, with targets out of order or a number that is not finite; then none is written.
    async fn record(&self, fans: Vec<Fan>) -> Result<Vec<Recorded>>;

    /// Forecasts of a symbol and interval with an unscored step whose target bar ends at or before
    /// `now` (market time), oldest origin first, at most `limit`.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn due(
        &self,
        symbol: &Symbol,
        interval: Interval,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<OpenForecast>>;

    /// Writes outcomes, in any order within the call; one that is there already is left as it is.
    /// Returns how many were new.
    ///
    /// # Errors
    /// Unavailable or internal: then none or all are written. NotFound: no such forecast. Invalid: a
    /// step that is not the forecast's next one, or a number that is not finite. Then none is
    /// written.
    async fn score(&self, outcomes: Vec<StepOutcome>) -> Result<usize>;

    /// Reads entries with their outcomes, oldest origin first.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn ledger(&self, query: &LedgerQuery) -> Result<Vec<LedgerRow>>;

    /// The live record by model and step; all symbols' when `symbol` is `None`.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn scoreboard(
        &self,
        symbol: Option<&Symbol>,
        interval: Option<Interval>,
    ) -> Result<Vec<ScoreRow>>;
}

/// What has become of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterState {
    /// Waits for somebody to look at it.
    Open,
    /// Was replayed and went through.
    Replayed,
}

/// A row that could not be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The table's id.
    pub id: i64,
    /// When it was put aside.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
    /// What and why.
    pub reject: Reject,
    /// What has become of it.
    pub state: DeadLetterState,
}

/// How many dead letters there are of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// The reason.
    pub reason: RejectReason,
    /// How many wait.
    pub open: u64,
    /// How many were replayed.
    pub replayed: u64,
}

/// Dead letters.
#[async_trait]
pub trait DeadLetterStore: Send + Sync {
    /// Puts rows aside; of those that name the same [`Reject::message`] one is kept. What exceeds the
    /// quota of its source, or of the store, is counted and not kept: see [`crate::quota`]. Takes time
    /// in proportion to the rows.
    ///
    /// # Errors
    /// Unavailable or internal: then some may be written. Those that name their message can be put aside
    /// again; of those among them that are not kept, some may then be counted twice.
    async fn put_aside(&self, rejects: Vec<Reject>, at: Timestamp) -> Result<PutAside>;

    /// The open ones with an id above `after`, by id, at most `limit`; of one reason if given.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn open_dead_letters(
        &self,
        reason: Option<RejectReason>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>>;

    /// Marks letters as replayed.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn mark_replayed(&self, ids: Vec<i64>) -> Result<usize>;

    /// Counts by reason.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn dead_letter_counts(&self) -> Result<Vec<ReasonCount>>;

    /// Counts of those that were not kept, by source and reason, since their source was last discarded.
    ///
    /// # Errors
    /// Unavailable or internal.
    async fn dropped_dead_letters(&self) -> Result<Vec<DroppedCount>>;

    /// Removes letters, open and replayed ones, of a reason and a source if given, with what is counted
    /// as dropped of them: room for new ones. Returns how many letters those were.
    ///
    /// # Errors
    /// Unavailable or internal: then some are removed; call it again.
    async fn discard(&self, reason: Option<RejectReason>, source: Option<&str>) -> Result<u64>;
}

/// What a retention run removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The symbols looked at.
    pub symbols: usize,
    /// The rows removed.
    pub rows: u64,
}

/// Removal by age. The ledger is not in reach of it. The newest tick of a symbol and the newest bar
/// of each of its intervals stay, whatever their age: they say that there is such a symbol, and where
/// it stands.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Removes ticks older than `before`. Their bars stay as they are; a tick that old which comes
    /// again is a new one, and counts in its bars once more: keep ticks for longer than the bus
    /// keeps records.
    ///
    /// # Errors
    /// Unavailable or internal: then some are removed; call it again.
    async fn remove_ticks(&self, before: Timestamp) -> Result<Removed>;

    /// Removes bars of an interval that start before `before`.
    ///
    /// # Errors
    /// As [`Self::remove_ticks`].
    async fn remove_bars(&self, interval: Interval, before: Timestamp) -> Result<Removed>;
}

/// Whether the store can do its work.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Returns when it can be read, and nothing speaks against its being written. When writes have
    /// failed, one is tried.
    ///
    /// # Errors
    /// Why it cannot: the last error of a write that has not been followed by one which went through,
    /// a damaged file, a server that is away.
    async fn ready(&self) -> Result<()>;
}

/// Every port in one: what the pipeline and the pages hold as `Arc<dyn Store>`.
pub trait Store:
    TickStore + BarStore + ForecastLedger + DeadLetterStore + Retention + Readiness + 'static
{
}

impl<T> Store for T where
    T: TickStore + BarStore + ForecastLedger + DeadLetterStore + Retention + Readiness + 'static
{
}
